//! A small mail program: speaks SMTP to the gate and remembers what it was told.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::samples::Sample;
use crate::smtp::capabilities::Capabilities;
use crate::smtp::reply::{Reply, ReplyReader};

/// Past this the demonstration is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection that said EHLO.
pub struct Mailer {
    stream: TcpStream,
    unread: Vec<u8>,
    offered: Capabilities,
}

/// What came back for one message.
#[derive(Clone, Debug)]
pub struct Told {
    /// To RCPT, in the order of the recipients.
    pub recipients: Vec<Reply>,
    /// The last reply: to the message, or the refusal before it.
    pub last: Reply,
}

impl Mailer {
    pub fn connect(address: SocketAddr) -> io::Result<Mailer> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut mailer = Mailer { stream, unread: Vec::new(), offered: Capabilities::default() };
        expect(&mailer.reply()?, 220)?;
        let hello = mailer.ask("EHLO shop.example")?;
        expect(&hello, 250)?;
        mailer.offered = Capabilities::from_ehlo(&hello);
        Ok(mailer)
    }

    /// Sends one message with its envelope.
    pub fn send(&mut self, sample: &Sample) -> io::Result<Told> {
        let body = if self.offered.eight_bit_mime { " BODY=8BITMIME" } else { "" };
        let sender = self.ask(&format!("MAIL FROM:<{}>{body}", sample.from.as_str()))?;
        if !sender.is_positive() {
            return self.give_up(Vec::new(), sender);
        }
        let mut recipients = Vec::new();
        for recipient in &sample.to {
            recipients.push(self.ask(&format!("RCPT TO:<{}>", recipient.as_str()))?);
        }
        let data = self.ask("DATA")?;
        if !data.is_intermediate() {
            return self.give_up(recipients, data);
        }
        self.stream.write_all(&dot_stuffed(&sample.message))?;
        let last = self.reply()?;
        Ok(Told { recipients, last })
    }

    pub fn quit(mut self) -> io::Result<()> {
        self.ask("QUIT").map(drop)
    }

    fn give_up(&mut self, recipients: Vec<Reply>, last: Reply) -> io::Result<Told> {
        self.ask("RSET")?;
        Ok(Told { recipients, last })
    }

    fn ask(&mut self, command: &str) -> io::Result<Reply> {
        self.stream.write_all(format!("{command}\r\n").as_bytes())?;
        self.reply()
    }

    fn reply(&mut self) -> io::Result<Reply> {
        let mut reader = ReplyReader::new();
        loop {
            let read = reader.read(&self.unread).map_err(|error| io::Error::other(error.to_string()))?;
            let (consumed, reply) = read;
            self.unread.drain(..consumed);
            if let Some(reply) = reply {
                return Ok(reply);
            }
            let mut more = [0; 4096];
            match self.stream.read(&mut more)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => self.unread.extend_from_slice(&more[..n]),
            }
        }
    }
}

fn expect(reply: &Reply, code: u16) -> io::Result<()> {
    if reply.code() == code { Ok(()) } else { Err(io::Error::other(format!("{} {}", reply.code(), reply.text()))) }
}

/// A dot before every line that begins with one, and the line that ends it (RFC 5321 section 4.5.2).
fn dot_stuffed(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(message.len() + 16);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    if !wire.is_empty() && !wire.ends_with(b"\r\n") {
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::catcher::Catcher;
    use super::super::samples;
    use super::*;

    #[test]
    fn what_the_mailer_sends_is_what_the_catcher_keeps() {
        let catcher = Catcher::start().unwrap();
        let mut mailer = Mailer::connect(catcher.address()).unwrap();
        let samples = samples::messages(Timestamp::UNIX_EPOCH).unwrap();
        for sample in &samples {
            let told = mailer.send(sample).unwrap();
            assert_eq!((told.last.code(), told.recipients.len()), (250, sample.to.len()));
        }
        mailer.quit().unwrap();
        let caught = catcher.caught();
        assert_eq!(caught.len(), samples.len());
        for (caught, sample) in caught.iter().zip(&samples) {
            assert_eq!(caught.from, sample.from.as_str());
            assert_eq!(caught.to, sample.to.iter().map(|to| to.as_str()).collect::<Vec<_>>());
            assert_eq!(caught.message, sample.message, "{}", sample.name);
        }
    }

    #[test]
    fn lines_with_dots_and_a_missing_line_end_survive() {
        assert_eq!(dot_stuffed(b".\r\n..x\r\nend"), b"..\r\n...x\r\nend\r\n.\r\n");
        assert_eq!(dot_stuffed(b""), b".\r\n");
    }
}
