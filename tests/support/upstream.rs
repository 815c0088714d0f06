//! A scripted next hop: answers as the test says, keeps every complete message as it came over the wire.
//!
//! It ends a message at CR LF . CR LF and nowhere else.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;

use super::DEADLINE;
use super::wire::Wire;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    /// The final dot.
    Dot,
    Reset,
    Noop,
    Quit,
    Other,
}

/// Where in a conversation an answer is due.
#[derive(Clone, Debug)]
pub struct Moment {
    pub verb: Verb,
    /// The command line, empty for the greeting and the dot.
    pub line: String,
    /// Counts connections from 0.
    pub session: usize,
    /// Counts this verb from 0, over all connections.
    pub nth: usize,
    pub tls: bool,
}

/// What to do at a moment.
#[derive(Clone, Debug)]
pub enum Act {
    /// What a willing server does.
    Normal,
    /// This reply, the code first; several lines are separated by `\n`. A 2xx dot keeps the message.
    Say(String),
    /// These bytes instead of a reply.
    Raw(Vec<u8>),
    /// This reply, then the end.
    SayAndClose(String),
    Close,
    Reset,
    /// Never answer; the connection stays open until the other side ends it.
    Stall,
}

impl Act {
    /// The code of the reply this gives, 0 where it gives none.
    fn code(&self, normal: &str) -> u16 {
        match self {
            Act::Normal => code(normal),
            Act::Say(reply) | Act::SayAndClose(reply) => code(reply),
            Act::Raw(bytes) => code(&String::from_utf8_lossy(bytes)),
            Act::Close | Act::Reset | Act::Stall => 0,
        }
    }
}

pub fn say(text: &str) -> Act {
    Act::Say(text.to_owned())
}

/// A complete message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Everything behind `MAIL FROM:`, parameters included.
    pub from: String,
    /// Everything behind `RCPT TO:`, for each accepted one.
    pub to: Vec<String>,
    /// The content with the dots removed that the wire added.
    pub content: Vec<u8>,
    pub session: usize,
    pub tls: bool,
    pub user: Option<String>,
    /// Whether the dot was answered 2xx.
    pub accepted: bool,
}

#[derive(Default)]
pub struct Record {
    pub sessions: usize,
    /// Connections that have ended.
    pub ended: usize,
    pub messages: Vec<Message>,
    /// Every command line with its session, `.` for a final dot; AUTH without its secrets.
    pub commands: Vec<(usize, String)>,
    /// User and password of every AUTH.
    pub credentials: Vec<(String, String)>,
    /// What was written into a DATA that never ended.
    pub unfinished: Vec<Vec<u8>>,
    /// What no upstream may ever be sent: bare CR, bare LF, NUL (R33).
    pub violations: Vec<String>,
    seen: Vec<Verb>,
}

impl Record {
    pub fn count(&self, verb: &str) -> usize {
        self.commands.iter().filter(|(_, line)| line.to_ascii_uppercase().starts_with(verb)).count()
    }

    pub fn accepted(&self) -> Vec<&Message> {
        self.messages.iter().filter(|message| message.accepted).collect()
    }
}

type Script = dyn Fn(&Moment) -> Act + Send + Sync;

pub struct Upstream {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    script: Box<Script>,
    capabilities: Vec<String>,
    tls: Option<Arc<ServerConfig>>,
    implicit: bool,
    record: Mutex<Record>,
    changed: Condvar,
}

pub struct UpstreamBuilder {
    script: Box<Script>,
    capabilities: Vec<String>,
    tls: Option<Arc<ServerConfig>>,
    implicit: bool,
}

impl UpstreamBuilder {
    /// Asked before every answer.
    pub fn script(mut self, script: impl Fn(&Moment) -> Act + Send + Sync + 'static) -> Self {
        self.script = Box::new(script);
        self
    }

    pub fn capabilities(mut self, keywords: &[&str]) -> Self {
        self.capabilities = keywords.iter().map(|keyword| (*keyword).to_owned()).collect();
        self
    }

    /// Offers STARTTLS as well.
    pub fn starttls(mut self, config: Arc<ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    pub fn implicit_tls(mut self, config: Arc<ServerConfig>) -> Self {
        self.tls = Some(config);
        self.implicit = true;
        self
    }

    pub fn start(self) -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: self.script,
            capabilities: self.capabilities,
            tls: self.tls,
            implicit: self.implicit,
            record: Mutex::default(),
            changed: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&accepting);
                let number = shared.change(|record| {
                    record.sessions += 1;
                    record.sessions - 1
                });
                thread::spawn(move || {
                    Conversation::new(&shared, number).hold(stream);
                    shared.change(|record| record.ended += 1);
                });
            }
        });
        Upstream { address, shared }
    }
}

impl Upstream {
    /// Offers what a relay of today offers.
    pub fn builder() -> UpstreamBuilder {
        let capabilities = ["PIPELINING", "SIZE 104857600", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES"];
        UpstreamBuilder { script: Box::new(|_| Act::Normal), capabilities: vec![], tls: None, implicit: false }
            .capabilities(&capabilities)
    }

    pub fn start() -> Upstream {
        Self::builder().start()
    }

    pub fn scripted(script: impl Fn(&Moment) -> Act + Send + Sync + 'static) -> Upstream {
        Self::builder().script(script).start()
    }

    pub fn record(&self) -> MutexGuard<'_, Record> {
        self.shared.record.lock().unwrap()
    }

    /// Waits until the record is as wanted.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&Record) -> bool) -> MutexGuard<'_, Record> {
        let waited = self.shared.changed.wait_timeout_while(self.record(), DEADLINE, |record| !wanted(record));
        let (record, result) = waited.unwrap();
        assert!(!result.timed_out(), "upstream never saw {what}; commands: {:?}", record.commands);
        record
    }

    /// The only message there is.
    pub fn single_message(&self) -> Message {
        let record = self.wait_for("a message", |record| !record.messages.is_empty());
        assert_eq!(record.messages.len(), 1, "{:?}", record.commands);
        record.messages[0].clone()
    }

    /// Waits until every connection has ended, so that nothing can arrive any more.
    pub fn wait_until_quiet(&self) -> MutexGuard<'_, Record> {
        self.wait_for("the end of every session", |record| record.ended == record.sessions)
    }
}

impl Shared {
    fn change<T>(&self, change: impl FnOnce(&mut Record) -> T) -> T {
        let result = change(&mut self.record.lock().unwrap());
        self.changed.notify_all();
        result
    }
}

/// The connection is over, by whichever side.
struct Over;

struct Conversation<'a> {
    shared: &'a Shared,
    session: usize,
    wire: Option<Wire>,
    input: Vec<u8>,
    from: Option<String>,
    to: Vec<String>,
    user: Option<String>,
}

impl<'a> Conversation<'a> {
    fn new(shared: &'a Shared, session: usize) -> Self {
        Self { shared, session, wire: None, input: Vec::new(), from: None, to: Vec::new(), user: None }
    }

    fn hold(mut self, stream: TcpStream) {
        self.wire = Some(Wire::plain(stream));
        if self.shared.implicit && self.start_tls().is_err() {
            return;
        }
        if self.answer(Verb::Greeting, "", "220 upstream.example ESMTP").is_err() {
            return;
        }
        while let Ok(line) = self.line() {
            if self.command(&line).is_err() {
                break;
            }
        }
    }

    fn wire(&mut self) -> Result<&mut Wire, Over> {
        self.wire.as_mut().ok_or(Over)
    }

    fn start_tls(&mut self) -> Result<(), Over> {
        let (wire, config) = (self.wire.take().ok_or(Over)?, self.shared.tls.clone().ok_or(Over)?);
        self.wire = Some(wire.into_server_tls(config).map_err(|_| Over)?);
        Ok(())
    }

    fn fill(&mut self) -> Result<(), Over> {
        let mut buffer = [0; 65536];
        let read = self.wire()?.read(&mut buffer).map_err(|_| Over)?;
        self.input.extend_from_slice(&buffer[..read]);
        if read == 0 { Err(Over) } else { Ok(()) }
    }

    fn line(&mut self) -> Result<String, Over> {
        loop {
            if let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&self.input[..end]).into_owned();
                self.input.drain(..end + 2);
                return Ok(line);
            }
            self.fill()?;
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Over> {
        let wire = self.wire()?;
        wire.write_all(bytes).and_then(|()| wire.flush()).map_err(|_| Over)
    }

    fn say(&mut self, reply: &str) -> Result<(), Over> {
        let lines: Vec<&str> = reply.split('\n').collect();
        let code = &lines[0][..3];
        let mut bytes = String::new();
        for (index, line) in lines.iter().enumerate() {
            let text = line.strip_prefix(code).map_or(*line, |rest| rest.trim_start_matches([' ', '-']));
            let separator = if index + 1 == lines.len() { ' ' } else { '-' };
            bytes += &format!("{code}{separator}{text}\r\n");
        }
        self.write(bytes.as_bytes())
    }

    /// Asks the script what is to be done now.
    fn decide(&mut self, verb: Verb, line: &str) -> Result<Act, Over> {
        let nth = self.shared.change(|record| {
            record.seen.push(verb);
            record.seen.iter().filter(|seen| **seen == verb).count() - 1
        });
        let tls = self.wire()?.is_tls();
        Ok((self.shared.script)(&Moment { verb, line: line.to_owned(), session: self.session, nth, tls }))
    }

    fn carry_out(&mut self, act: Act, normal: &str) -> Result<(), Over> {
        match act {
            Act::Normal => self.say(normal),
            Act::Say(reply) => self.say(&reply),
            Act::Raw(bytes) => self.write(&bytes),
            Act::SayAndClose(reply) => {
                let _ = self.say(&reply);
                Err(Over)
            }
            Act::Close => Err(Over),
            Act::Reset => {
                self.wire.take().ok_or(Over)?.reset();
                Err(Over)
            }
            Act::Stall => loop {
                self.fill()?;
            },
        }
    }

    /// Answers as the script says and returns the code that was given.
    fn answer(&mut self, verb: Verb, line: &str, normal: &str) -> Result<u16, Over> {
        let act = self.decide(verb, line)?;
        let code = act.code(normal);
        self.carry_out(act, normal).map(|()| code)
    }

    fn command(&mut self, line: &str) -> Result<(), Over> {
        let upper = line.to_ascii_uppercase();
        let verb = upper.split([' ', ':']).next().unwrap_or("").to_owned();
        let shown = if verb == "AUTH" { "AUTH".to_owned() } else { line.to_owned() };
        self.shared.change(|record| record.commands.push((self.session, shown)));
        match verb.as_str() {
            "EHLO" => self.ehlo(line),
            "HELO" => self.answer(Verb::Helo, line, "250 upstream.example").map(|_| ()),
            "STARTTLS" => match self.answer(Verb::StartTls, line, "220 2.0.0 Go ahead")? {
                220 => self.start_tls(),
                _ => Ok(()),
            },
            "AUTH" => self.authenticate(line),
            "MAIL" => self.mail(line),
            "RCPT" => self.rcpt(line),
            "DATA" => self.data(line),
            "RSET" => {
                self.forget();
                self.answer(Verb::Reset, line, "250 2.0.0 Ok").map(|_| ())
            }
            "NOOP" => self.answer(Verb::Noop, line, "250 2.0.0 Ok").map(|_| ()),
            "QUIT" => {
                let _ = self.answer(Verb::Quit, line, "221 2.0.0 Bye");
                Err(Over)
            }
            _ => self.answer(Verb::Other, line, "500 5.5.1 Unknown command").map(|_| ()),
        }
    }

    fn ehlo(&mut self, line: &str) -> Result<(), Over> {
        self.forget();
        let mut reply = vec!["250 upstream.example".to_owned()];
        reply.extend(self.shared.capabilities.iter().cloned());
        if self.shared.tls.is_some() && !self.wire()?.is_tls() {
            reply.push("STARTTLS".to_owned());
        }
        self.answer(Verb::Ehlo, line, &reply.join("\n")).map(|_| ())
    }

    fn forget(&mut self) {
        self.from = None;
        self.to.clear();
    }

    fn mail(&mut self, line: &str) -> Result<(), Over> {
        if positive(self.answer(Verb::Mail, line, "250 2.1.0 Ok")?) {
            self.from = Some(line["MAIL FROM:".len()..].to_owned());
        }
        Ok(())
    }

    fn rcpt(&mut self, line: &str) -> Result<(), Over> {
        if positive(self.answer(Verb::Rcpt, line, "250 2.1.5 Ok")?) {
            self.to.push(line["RCPT TO:".len()..].to_owned());
        }
        Ok(())
    }

    fn authenticate(&mut self, line: &str) -> Result<(), Over> {
        let mut words = line.split(' ').skip(1);
        let (mechanism, initial) = (words.next().unwrap_or("").to_ascii_uppercase(), words.next());
        let (user, password) = match (mechanism.as_str(), initial) {
            ("PLAIN", initial) => {
                let response = initial.map_or_else(|| self.ask(""), |text| Ok(text.to_owned()))?;
                let decoded = decode(&response);
                let mut parts = decoded.split('\0').skip(1).map(str::to_owned);
                (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
            }
            ("LOGIN", initial) => {
                let user = initial.map_or_else(|| self.ask("VXNlcm5hbWU6"), |text| Ok(text.to_owned()))?;
                (decode(&user), decode(&self.ask("UGFzc3dvcmQ6")?))
            }
            _ => return self.say("504 5.5.4 Unknown mechanism"),
        };
        self.shared.change(|record| record.credentials.push((user.clone(), password)));
        if positive(self.answer(Verb::Auth, line, "235 2.7.0 Accepted")?) {
            self.user = Some(user);
        }
        Ok(())
    }

    fn ask(&mut self, challenge: &str) -> Result<String, Over> {
        self.say(&format!("334 {challenge}"))?;
        self.line()
    }

    fn data(&mut self, line: &str) -> Result<(), Over> {
        if self.from.is_none() || self.to.is_empty() {
            return self.say("503 5.5.1 Bad sequence");
        }
        if self.answer(Verb::Data, line, "354 Go ahead")? != 354 {
            return Ok(());
        }
        let Ok(wire) = self.content() else {
            let unfinished = std::mem::take(&mut self.input);
            self.shared.change(|record| record.unfinished.push(unfinished));
            return Err(Over);
        };
        self.shared.change(|record| {
            record.commands.push((self.session, ".".to_owned()));
            record.violations.extend(violations(&wire));
        });
        let normal = format!("250 2.0.0 Ok: queued as U{:04}", self.session);
        let act = self.decide(Verb::Dot, "")?;
        let message = Message {
            from: self.from.take().unwrap_or_default(),
            to: std::mem::take(&mut self.to),
            content: unstuffed(&wire),
            session: self.session,
            tls: self.wire.as_ref().is_some_and(Wire::is_tls),
            user: self.user.clone(),
            accepted: positive(act.code(&normal)),
        };
        self.shared.change(|record| record.messages.push(message)); // kept before it is acknowledged
        self.carry_out(act, &normal)
    }

    /// Everything before CR LF . CR LF; the CR LF of the DATA line counts as the first pair.
    fn content(&mut self) -> Result<Vec<u8>, Over> {
        let mut searched = 0;
        loop {
            if self.input.starts_with(b".\r\n") {
                self.input.drain(..3);
                return Ok(Vec::new());
            }
            if let Some(at) = memchr::memmem::find(&self.input[searched..], b"\r\n.\r\n") {
                let rest = self.input.split_off(searched + at + 5);
                let mut wire = std::mem::replace(&mut self.input, rest);
                wire.truncate(wire.len() - 3);
                return Ok(wire);
            }
            searched = self.input.len().saturating_sub(4);
            self.fill()?;
        }
    }
}

fn code(reply: &str) -> u16 {
    reply.get(..3).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn positive(code: u16) -> bool {
    (200..300).contains(&code)
}

fn decode(text: &str) -> String {
    String::from_utf8_lossy(&STANDARD.decode(text).unwrap_or_default()).into_owned()
}

fn violations(wire: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, byte) in wire.iter().enumerate() {
        let fault = match byte {
            0 => Some("NUL"),
            b'\n' if at == 0 || wire[at - 1] != b'\r' => Some("bare LF"),
            b'\r' if wire.get(at + 1) != Some(&b'\n') => Some("bare CR"),
            _ => None,
        };
        found.extend(fault.map(|fault| format!("{fault} at {at}")));
    }
    found
}

/// A line that starts with a dot loses it (RFC 5321, section 4.5.2).
fn unstuffed(wire: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(wire.len());
    let mut line_start = true;
    for byte in wire {
        if !(line_start && *byte == b'.') {
            content.push(*byte);
        }
        line_start = *byte == b'\n';
    }
    content
}
