//! A next hop that fails at one place of the dialogue in one way, and knows what it has acknowledged.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use rustls::ServerConfig;

use crate::mail::id_of;
use crate::support::DEADLINE;
use crate::support::wire::Wire;

/// Where the fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    Greeting,
    Ehlo,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    /// Behind the first bytes of a message.
    Content,
    Dot,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Says nothing, reads nothing, keeps the connection.
    Stop,
    Close,
    Reset,
    /// Ends its own direction and goes on reading.
    HalfClose,
    /// Says this instead of what is due.
    Say(Vec<u8>),
    /// Says this and closes.
    Leave(Vec<u8>),
    /// Says what is due, each byte in a segment of its own.
    Drip,
    /// Says what is due, and this behind it.
    Chatter(Vec<u8>),
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub at: At,
    pub fault: Fault,
    /// Every time, not only once.
    pub lasting: bool,
}

/// One complete message: who was to get it, what it was.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Copy {
    pub id: String,
    pub to: String,
}

#[derive(Default)]
pub struct Seen {
    plans: Vec<Plan>,
    /// Counts the plans, so that who has stopped knows when to go.
    era: usize,
    pub sessions: usize,
    pub ended: usize,
    /// Copies answered 2xx, counted before the answer is written.
    pub copies: HashMap<Copy, usize>,
    pub total: usize,
    /// Commands, without what is asked at the start of a session.
    pub commands: Vec<String>,
    /// What was written into a DATA that never ended.
    pub unfinished: Vec<Vec<u8>>,
}

impl Seen {
    pub fn copies_of(&self, id: &str) -> usize {
        self.copies.iter().filter(|(copy, _)| copy.id == id).map(|(_, count)| count).sum()
    }
}

struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
    /// EHLO keywords.
    offer: &'static [&'static str],
    /// Speaks TLS from the first byte.
    tls: Option<Arc<ServerConfig>>,
    /// Nothing but `copies` and `total` is kept: for runs of any length.
    brief: bool,
}

pub struct FaultyUpstream {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl FaultyUpstream {
    pub fn start() -> FaultyUpstream {
        FaultyUpstream::offering(&["PIPELINING", "SIZE 104857600", "8BITMIME", "ENHANCEDSTATUSCODES"])
    }

    pub fn offering(offer: &'static [&'static str]) -> FaultyUpstream {
        FaultyUpstream::run(offer, None, false)
    }

    pub fn under_tls(config: Arc<ServerConfig>) -> FaultyUpstream {
        FaultyUpstream::run(&["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"], Some(config), false)
    }

    /// Keeps only what it was given.
    pub fn brief() -> FaultyUpstream {
        FaultyUpstream::run(&["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"], None, true)
    }

    fn run(offer: &'static [&'static str], tls: Option<Arc<ServerConfig>>, brief: bool) -> FaultyUpstream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { seen: Mutex::default(), changed: Condvar::new(), offer, tls, brief });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&accepting);
                shared.change(|seen| seen.sessions += 1);
                thread::spawn(move || {
                    let _ = Conversation::new(&shared, stream).and_then(Conversation::hold);
                    shared.change(|seen| seen.ended += 1);
                });
            }
        });
        FaultyUpstream { address, shared }
    }

    /// What goes wrong from now on; whoever had stopped goes.
    pub fn plan(&self, plans: impl IntoIterator<Item = Plan>) {
        self.shared.change(|seen| {
            seen.plans = plans.into_iter().collect();
            seen.era += 1;
        });
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen.lock().unwrap()
    }

    /// Empties the record of copies, for runs of any length.
    pub fn forget(&self) {
        self.seen().copies.clear();
    }

    pub fn wait_for(&self, what: &str, wanted: impl Fn(&Seen) -> bool) -> MutexGuard<'_, Seen> {
        let waited = self.shared.changed.wait_timeout_while(self.seen(), DEADLINE, |seen| !wanted(seen));
        let (seen, result) = waited.unwrap();
        assert!(!result.timed_out(), "upstream never saw {what}; commands: {:?}", seen.commands);
        seen
    }

    /// Waits until every connection has ended, so that nothing can arrive any more.
    pub fn wait_until_quiet(&self) -> MutexGuard<'_, Seen> {
        self.wait_for("the end of every session", |seen| seen.ended == seen.sessions)
    }
}

impl Shared {
    fn change<T>(&self, change: impl FnOnce(&mut Seen) -> T) -> T {
        let result = change(&mut self.seen.lock().unwrap());
        self.changed.notify_all();
        result
    }

    /// The fault that is due here, which is over with that unless it lasts.
    fn fault(&self, at: At) -> Option<Fault> {
        let mut seen = self.seen.lock().unwrap();
        let place = seen.plans.iter().position(|plan| plan.at == at)?;
        if seen.plans[place].lasting {
            return Some(seen.plans[place].fault.clone());
        }
        Some(seen.plans.remove(place).fault)
    }

    fn wait_for_the_next_plan(&self) {
        let seen = self.seen.lock().unwrap();
        let era = seen.era;
        let _ = self.changed.wait_timeout_while(seen, DEADLINE, |seen| seen.era == era);
    }
}

struct Conversation<'a> {
    shared: &'a Shared,
    wire: Wire,
    input: Vec<u8>,
    to: Vec<String>,
}

fn over() -> io::Error {
    ErrorKind::ConnectionAborted.into()
}

impl<'a> Conversation<'a> {
    fn new(shared: &'a Shared, stream: TcpStream) -> io::Result<Conversation<'a>> {
        let wire = match &shared.tls {
            Some(config) => Wire::plain(stream).into_server_tls(Arc::clone(config))?,
            None => Wire::plain(stream),
        };
        Ok(Conversation { shared, wire, input: Vec::new(), to: Vec::new() })
    }

    fn hold(mut self) -> io::Result<()> {
        self.answer(At::Greeting, "220 upstream.example ESMTP\r\n")?;
        loop {
            let line = self.line()?;
            let verb = line.get(..4).unwrap_or(&line).to_ascii_uppercase();
            if !self.shared.brief && !["EHLO", "AUTH"].contains(&verb.as_str()) {
                self.shared.change(|seen| seen.commands.push(line.clone()));
            }
            match verb.as_str() {
                "EHLO" => {
                    let keywords = self.shared.offer.join("\r\n250-");
                    self.answer(At::Ehlo, &format!("250-upstream.example\r\n250-{keywords}\r\n250 HELP\r\n"))
                }
                "STAR" => self.answer(At::StartTls, "220 2.0.0 Go ahead\r\n"),
                "AUTH" => self.answer(At::Auth, "235 2.7.0 Accepted\r\n"),
                "MAIL" => {
                    self.to.clear();
                    self.answer(At::Mail, "250 2.1.0 Ok\r\n")
                }
                "RCPT" => {
                    self.to.push(line[8..].trim_matches(['<', '>']).to_owned());
                    self.answer(At::Rcpt, "250 2.1.5 Ok\r\n")
                }
                "DATA" => self.data(),
                "QUIT" => return self.write(b"221 2.0.0 Bye\r\n"),
                _ => self.write(b"250 2.0.0 Ok\r\n"), // RSET
            }?;
        }
    }

    fn data(&mut self) -> io::Result<()> {
        let code = self.answer_with(At::Data, "354 Go ahead\r\n")?;
        if !code.starts_with(b"354") {
            return Ok(());
        }
        let content = match self.content() {
            Ok(content) => content,
            Err(error) => {
                let unfinished = std::mem::take(&mut self.input);
                self.shared.change(|seen| seen.unfinished.push(unfinished));
                return Err(error);
            }
        };
        self.acknowledge(&content)
    }

    /// The copies count before the answer is out, whatever becomes of the answer.
    fn acknowledge(&mut self, content: &[u8]) -> io::Result<()> {
        let normal = b"250 2.0.0 Ok: queued\r\n";
        let fault = self.shared.fault(At::Dot);
        let said: &[u8] = match &fault {
            None | Some(Fault::Drip | Fault::Chatter(_)) => normal,
            Some(Fault::Say(bytes) | Fault::Leave(bytes)) => bytes,
            Some(_) => b"",
        };
        if said.starts_with(b"250") {
            let id = id_of(content);
            let to = std::mem::take(&mut self.to);
            self.shared.change(|seen| {
                seen.total += to.len();
                for to in to {
                    *seen.copies.entry(Copy { id: id.clone(), to }).or_default() += 1;
                }
            });
        }
        self.carry_out(fault, normal).map(drop)
    }

    /// Everything before CR LF . CR LF, which is searched in what is new only.
    fn content(&mut self) -> io::Result<Vec<u8>> {
        let mut content = b"\r\n".to_vec();
        let mut searched = 0;
        let mut fault = self.shared.fault(At::Content);
        content.append(&mut self.input);
        loop {
            if let Some(at) = memchr::memmem::find(&content[searched..], b"\r\n.\r\n") {
                self.input = content.split_off(searched + at + 5);
                content.truncate(searched + at + 2);
                content.drain(..2);
                return Ok(content);
            }
            searched = content.len().saturating_sub(4);
            if content.len() > 2
                && let Some(fault) = fault.take()
                && let Err(error) = self.carry_out(Some(fault), b"")
            {
                self.input = content;
                return Err(error);
            }
            if let Err(error) = self.fill() {
                self.input = content;
                return Err(error);
            }
            content.append(&mut self.input);
        }
    }

    fn answer(&mut self, at: At, normal: &str) -> io::Result<()> {
        self.answer_with(at, normal).map(drop)
    }

    /// What was said.
    fn answer_with(&mut self, at: At, normal: &str) -> io::Result<Vec<u8>> {
        let fault = self.shared.fault(at);
        self.carry_out(fault, normal.as_bytes())
    }

    fn carry_out(&mut self, fault: Option<Fault>, normal: &[u8]) -> io::Result<Vec<u8>> {
        match fault {
            None => self.write(normal).map(|()| normal.to_vec()),
            Some(Fault::Stop) => {
                self.shared.wait_for_the_next_plan();
                Err(over())
            }
            Some(Fault::Close) => Err(over()),
            Some(Fault::Reset) => {
                socket2::SockRef::from(self.wire.tcp()).set_linger(Some(Duration::ZERO))?;
                Err(over())
            }
            Some(Fault::HalfClose) => {
                self.wire.tcp().shutdown(Shutdown::Write)?;
                Ok(Vec::new())
            }
            Some(Fault::Say(bytes)) => self.write(&bytes).map(|()| bytes),
            Some(Fault::Leave(bytes)) => self.write(&bytes).and(Err(over())),
            Some(Fault::Drip) => {
                normal.iter().try_for_each(|byte| self.write(&[*byte]))?;
                Ok(normal.to_vec())
            }
            Some(Fault::Chatter(bytes)) => {
                self.write(&[normal, &bytes].concat())?;
                Ok(normal.to_vec())
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.write_all(bytes)?;
        self.wire.flush()
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.input, b"\r\n") {
                let line = String::from_utf8_lossy(&self.input[..end]).into_owned();
                self.input.drain(..end + 2);
                return Ok(line);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut buffer = [0; 65536];
        let read = self.wire.read(&mut buffer)?;
        self.input.extend_from_slice(&buffer[..read]);
        if read == 0 { Err(over()) } else { Ok(()) }
    }
}
