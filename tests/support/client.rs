//! A client that writes any bytes in any portions and reads replies one by one.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use rustls::ClientConfig;

use super::DEADLINE;
use super::kernel::KernelQueues;
use super::wire::Wire;

pub struct Client {
    wire: Option<Wire>,
    input: Vec<u8>,
    /// Both directions, for the message of a failed test.
    pub transcript: String,
}

impl Client {
    /// Connects and reads nothing yet.
    pub fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("the gate listens");
        Client { wire: Some(Wire::plain(stream)), input: Vec::new(), transcript: String::new() }
    }

    /// Connects, is greeted, says EHLO.
    pub fn ready(address: SocketAddr) -> Client {
        let mut client = Client::connect(address);
        client.expect("220");
        client.hello();
        client
    }

    pub fn connect_tls(address: SocketAddr, config: Arc<ClientConfig>, name: &str) -> Client {
        let mut client = Client::connect(address);
        client.start_tls(config, name);
        client
    }

    /// The handshake, now.
    pub fn start_tls(&mut self, config: Arc<ClientConfig>, name: &str) {
        assert!(self.input.is_empty(), "bytes in clear behind the reply to STARTTLS: {:?}", self.input);
        let wire = self.wire.take().expect("an open connection");
        self.wire = Some(wire.into_client_tls(config, name).expect("the handshake"));
    }

    pub fn hello(&mut self) -> String {
        self.command("EHLO client.example", "250")
    }

    fn wire(&mut self) -> &mut Wire {
        self.wire.as_mut().expect("an open connection")
    }

    /// All bytes at once. A connection the gate has already closed is no fault here: the replies tell.
    pub fn write(&mut self, bytes: &[u8]) {
        self.transcript += &format!("C: {}\n", shown(bytes));
        let wire = self.wire();
        let _ = wire.write_all(bytes).and_then(|()| wire.flush());
    }

    pub fn line(&mut self, line: &str) {
        self.write(format!("{line}\r\n").as_bytes());
    }

    /// Returns when the gate has taken out of its socket all that was written: the next write is a segment of its own.
    pub fn let_read(&mut self) {
        let ends = (self.wire().tcp().local_addr().unwrap(), self.wire().tcp().peer_addr());
        let (ours, Ok(theirs)) = ends else { return };
        let mut queues = KernelQueues::open();
        let deadline = Instant::now() + DEADLINE;
        while !queues.are_empty(ours, theirs) {
            assert!(Instant::now() < deadline, "the gate has stopped reading\n{}", self.transcript);
            std::thread::yield_now();
        }
    }

    /// Each portion is read by the gate before the next one is written.
    pub fn write_in_portions<'a>(&mut self, portions: impl IntoIterator<Item = &'a [u8]>) {
        for portion in portions {
            self.write(portion);
            self.let_read();
        }
    }

    /// The next reply, its lines joined by `\n`; None when the connection has ended instead.
    pub fn try_reply(&mut self) -> Option<String> {
        let mut lines: Vec<String> = Vec::new();
        loop {
            let line = self.try_line()?;
            let last = line.as_bytes().get(3) != Some(&b'-');
            lines.push(line);
            if last {
                let reply = lines.join("\n");
                self.transcript += &format!("S: {reply}\n");
                return Some(reply);
            }
        }
    }

    pub fn reply(&mut self) -> String {
        self.try_reply().unwrap_or_else(|| panic!("the connection ended instead of a reply\n{}", self.transcript))
    }

    /// The next reply, which has to start like this.
    #[track_caller]
    pub fn expect(&mut self, start: &str) -> String {
        let reply = self.reply();
        assert!(reply.starts_with(start), "expected {start:?}, got {reply:?}\n{}", self.transcript);
        reply
    }

    #[track_caller]
    pub fn command(&mut self, line: &str, start: &str) -> String {
        self.line(line);
        self.expect(start)
    }

    /// Everything up to the end of the connection, reply by reply.
    pub fn replies_until_the_end(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.try_reply()).collect()
    }

    #[track_caller]
    pub fn expect_the_end(&mut self) {
        let rest = self.replies_until_the_end();
        assert!(
            rest.is_empty() && self.input.is_empty(),
            "more was said: {rest:?} {:?}\n{}",
            self.input,
            self.transcript
        );
    }

    /// The end, and before it no SMTP: a TLS alert at most.
    #[track_caller]
    pub fn expect_the_end_of_a_handshake(&mut self) {
        let (rest, alert) = (self.replies_until_the_end(), std::mem::take(&mut self.input));
        let no_smtp = rest.is_empty() && (alert.is_empty() || (alert.len() == 7 && alert[0] == 21));
        assert!(no_smtp, "more was said: {rest:?} {alert:?}\n{}", self.transcript);
    }

    /// MAIL, RCPT and DATA, each of which has to be taken.
    #[track_caller]
    pub fn envelope(&mut self, from: &str, to: &[&str]) {
        self.command(&format!("MAIL FROM:<{from}>"), "250");
        for recipient in to {
            self.command(&format!("RCPT TO:<{recipient}>"), "25");
        }
        self.command("DATA", "354");
    }

    /// A whole transaction; dots are doubled here and the final one added. Returns the final reply.
    #[track_caller]
    pub fn send(&mut self, from: &str, to: &[&str], content: &[u8]) -> String {
        self.envelope(from, to);
        self.write(&stuffed(content));
        self.write(b".\r\n");
        self.reply()
    }

    pub fn quit(mut self) {
        self.command("QUIT", "221");
        self.expect_the_end();
    }

    /// Ends our direction only.
    pub fn half_close(&mut self) {
        self.wire().tcp().shutdown(Shutdown::Write).unwrap();
    }

    /// Ends with a TCP reset.
    pub fn reset(mut self) {
        self.wire.take().expect("an open connection").reset();
    }

    fn try_line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&self.input[..end]).into_owned();
                self.input.drain(..end + 2);
                return Some(line);
            }
            let mut buffer = [0; 16384];
            match self.wire().read(&mut buffer) {
                Ok(0) => return None,
                Ok(read) => self.input.extend_from_slice(&buffer[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("no reply within {DEADLINE:?}\n{}", self.transcript)
                }
                Err(_) => return None,
            }
        }
    }
}

/// Doubles the leading dots and ends the last line (RFC 5321, section 4.5.2).
pub fn stuffed(content: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(content.len() + 16);
    let mut line_start = true;
    for byte in content {
        if line_start && *byte == b'.' {
            wire.push(b'.');
        }
        wire.push(*byte);
        line_start = *byte == b'\n';
    }
    if !content.is_empty() && !content.ends_with(b"\r\n") {
        wire.extend_from_slice(b"\r\n");
    }
    wire
}

fn shown(bytes: &[u8]) -> String {
    let text = bytes[..bytes.len().min(400)].escape_ascii().to_string();
    if bytes.len() > 400 { format!("{text}… ({} bytes)", bytes.len()) } else { text }
}
