//! An upstream that catches: it takes every message and keeps it in memory.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::smtp::command::Command;
use crate::smtp::reply::Reply;

const HOSTNAME: &str = "catcher.example";
/// Longer than anything the demonstration waits for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Nobody here sends more.
const LARGEST_MESSAGE: usize = 10 << 20;

/// One message as it arrived.
#[derive(Clone, Debug)]
pub struct Caught {
    /// Empty is the null sender.
    pub from: String,
    pub to: Vec<String>,
    /// CRLF lines, the stuffed dots taken out again.
    pub message: Vec<u8>,
}

/// The running catcher; dropping it ends it.
pub struct Catcher {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    caught: Mutex<Vec<Caught>>,
    more: Condvar,
    closing: AtomicBool,
}

impl Catcher {
    /// Listens on a free port of the loopback address.
    pub fn start() -> io::Result<Catcher> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let catcher = Catcher { address: listener.local_addr()?, shared: Arc::default() };
        let shared = catcher.shared.clone();
        thread::Builder::new().name("catcher".into()).spawn(move || accept(&listener, &shared))?;
        Ok(catcher)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything caught so far.
    pub fn caught(&self) -> Vec<Caught> {
        self.shared.caught().clone()
    }

    /// The first message that fits, waited for as long as reasonable.
    pub fn wait_for(&self, fits: impl Fn(&Caught) -> bool) -> Option<Caught> {
        let none_fits = |caught: &mut Vec<Caught>| !caught.iter().any(&fits);
        let waited = self.shared.more.wait_timeout_while(self.shared.caught(), PATIENCE, none_fits);
        let (caught, _) = waited.unwrap_or_else(PoisonError::into_inner);
        caught.iter().find(|caught| fits(caught)).cloned()
    }
}

impl Drop for Catcher {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address); // wakes the thread that accepts
    }
}

impl Shared {
    fn caught(&self) -> MutexGuard<'_, Vec<Caught>> {
        self.caught.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, caught: Caught) {
        self.caught().push(caught);
        self.more.notify_all();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.closing.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = shared.clone();
        // A connection that breaks off leaves nothing to catch.
        let _ = thread::Builder::new().name("catcher".into()).spawn(move || Session::new(stream, shared)?.run());
    }
}

struct Session {
    input: BufReader<TcpStream>,
    output: TcpStream,
    shared: Arc<Shared>,
    from: Option<String>,
    to: Vec<String>,
}

impl Session {
    fn new(stream: TcpStream, shared: Arc<Shared>) -> io::Result<Session> {
        stream.set_nodelay(true)?;
        let output = stream.try_clone()?;
        Ok(Session { input: BufReader::new(stream), output, shared, from: None, to: Vec::new() })
    }

    fn run(mut self) -> io::Result<()> {
        self.say(&Reply::greeting(HOSTNAME))?;
        while let Some(line) = self.line()? {
            let command = match Command::parse(&line) {
                Ok(command) => command,
                Err(error) => {
                    self.say(&error.reply())?;
                    continue;
                }
            };
            let leaves = command == Command::Quit;
            let reply = self.answer(command)?;
            self.say(&reply)?;
            if leaves {
                break;
            }
        }
        Ok(())
    }

    fn answer(&mut self, command: Command) -> io::Result<Reply> {
        Ok(match command {
            Command::Ehlo(_) => self.hello(),
            Command::Helo(_) => self.reset(Reply::hello(HOSTNAME)),
            Command::Mail { from, .. } if self.from.is_none() => {
                self.from = Some(from.as_str().to_owned());
                Reply::new(250, "2.1.0 Sender ok")
            }
            Command::Rcpt { to, .. } if self.from.is_some() => {
                self.to.push(to.as_str().to_owned());
                Reply::new(250, "2.1.5 Recipient ok")
            }
            Command::Data if !self.to.is_empty() => self.take_message()?,
            Command::Reset => self.reset(Reply::ok()),
            Command::Noop => Reply::ok(),
            Command::Quit => Reply::bye(),
            Command::Mail { .. } | Command::Rcpt { .. } | Command::Data => Reply::bad_sequence(),
            _ => Reply::not_implemented(),
        })
    }

    fn hello(&mut self) -> Reply {
        let size = format!("SIZE {LARGEST_MESSAGE}");
        let offered = [HOSTNAME, "PIPELINING", &size, "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES"];
        self.reset(Reply::multi(250, offered.map(str::to_owned).to_vec()))
    }

    fn reset(&mut self, reply: Reply) -> Reply {
        self.from = None;
        self.to.clear();
        reply
    }

    fn take_message(&mut self) -> io::Result<Reply> {
        self.say(&Reply::start_data())?;
        let mut message = Vec::new();
        loop {
            let mut line = Vec::new();
            if self.input.read_until(b'\n', &mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into()); // half a message is none
            }
            if line == b".\r\n" {
                break;
            }
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            if message.len() > LARGEST_MESSAGE {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
        }
        let from = self.from.take().unwrap_or_default();
        let to = std::mem::take(&mut self.to);
        self.shared.keep(Caught { from, to, message });
        Ok(Reply::new(250, "2.0.0 Caught"))
    }

    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        self.input.read_until(b'\n', &mut line)?;
        Ok(line.strip_suffix(b"\r\n").map(<[u8]>::to_vec))
    }

    fn say(&mut self, reply: &Reply) -> io::Result<()> {
        self.output.write_all(&reply.to_bytes(false))
    }
}
