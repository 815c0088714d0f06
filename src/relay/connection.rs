//! The driver of one client connection: bytes to [`Session`], each [`Step`] carried out.
//!
//! Partial input lives in the connection, never in a future that a time limit
//! may drop (R100).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use ulid::Ulid;

use super::drain::Drain;
use super::gate::{Door, Worker};
use super::hop::Hop;
use super::tls::{Stream, has_waiting_bytes};
use crate::config::{EarlyTalk, TlsMode};
use crate::message::trace::Protocol;
use crate::policy::facts::Origin;
use crate::policy::rules::Policy;
use crate::smtp::capabilities::{self, Offer};
use crate::smtp::command::{Command, LineReader};
use crate::smtp::data::BareNewline;
use crate::smtp::reply::Reply;
use crate::smtp::session::{Session, SessionRules, Step};

/// What is thrown away of the input after a violation, so that a TCP reset does not eat our reply (R34).
const LINGER_BYTES: usize = 64 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(5);

/// Room for a read of commands; a message comes in larger pieces.
const COMMAND_READ: usize = 4 * 1024;

/// Why the dialogue is over. The reply, if one is due, has been queued.
pub enum End {
    /// Nothing more to say.
    Quit,
    /// The client broke the protocol: nothing more of it is run (R34).
    Violation,
    /// The connection is gone.
    Lost,
    /// The client has stopped sending.
    TimedOut,
    /// The handshake comes next.
    StartTls,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> End {
        End::Lost
    }
}

/// A 250 the client may not have read yet.
struct Unconfirmed {
    key: [u8; 32],
    /// Input that was there before the 250 says nothing about it.
    is_older_input: bool,
}

pub struct Connection<'w> {
    pub(super) worker: &'w Worker,
    pub(super) door: &'w Arc<Door>,
    pub(super) stream: Stream,
    pub(super) client: IpAddr,
    pub(super) input: Vec<u8>,
    output: Vec<u8>,
    pub(super) session: Session,
    pub(super) hop: Hop,
    lines: LineReader,
    pub(super) drain: Drain,
    pub(super) id: String,
    /// The policy of the transaction in progress: the one it began with.
    pub(super) policy: Arc<Policy>,
    /// Delivery rows to forget once the client goes on: it has our 250 (R73).
    unconfirmed: Option<Unconfirmed>,
}

/// Serves one client until it leaves.
pub async fn serve(worker: &Worker, door: &Arc<Door>, tcp: TcpStream, peer: SocketAddr, drain: Drain) {
    if tcp.set_nodelay(true).is_err() {
        return;
    }
    let client = peer.ip().to_canonical();
    let mut connection = Connection::new(worker, door, Stream::Plain(tcp), client, drain);
    if door.settings.tls == TlsMode::Implicit {
        match connection.handshake().await {
            Some(secured) => connection = secured,
            None => return,
        }
    }
    let mut end = match connection.greet() {
        Ok(()) => connection.converse().await,
        Err(end) => end,
    };
    while matches!(end, End::StartTls) {
        match connection.handshake().await {
            Some(secured) => connection = secured,
            None => return,
        }
        end = connection.converse().await;
    }
    connection.close(end).await;
}

impl<'w> Connection<'w> {
    fn new(worker: &'w Worker, door: &'w Arc<Door>, stream: Stream, client: IpAddr, drain: Drain) -> Connection<'w> {
        let settings = &door.settings;
        Connection {
            worker,
            door,
            stream,
            client,
            input: Vec::new(),
            output: Vec::new(),
            session: Session::new(SessionRules {
                max_recipients: settings.max_recipients,
                max_message_size: settings.max_message_size,
                max_errors: settings.max_errors,
                max_idle_commands: settings.max_idle_commands,
                require_tls: settings.require_tls,
                auth_without_tls: settings.auth_without_tls,
                lmtp: false,
            }),
            hop: Hop::new(door.upstream.clone()),
            lines: LineReader::new(settings.bare_newline == BareNewline::Normalise),
            drain,
            id: Ulid::new().to_string(),
            policy: worker.gate.policy(),
            unconfirmed: None,
        }
    }

    /// Ends the clear-text connection and starts the encrypted one afresh: no byte
    /// and no state of the old one survives (R81).
    async fn handshake(self) -> Option<Connection<'w>> {
        let (Stream::Plain(tcp), Some(acceptor)) = (self.stream, &self.door.acceptor) else {
            return None;
        };
        let deadline = Instant::now() + self.door.settings.tls_timeout;
        let tls = match timeout_at(deadline, acceptor.accept(tcp)).await {
            Ok(Ok(tls)) => tls,
            Ok(Err(error)) => {
                tracing::info!(session = self.id, note = "tls_fail", "TLS handshake failed: {error}");
                return None;
            }
            Err(_) => return None,
        };
        let stream = Stream::Server(Box::new(tls));
        let mut secured = Connection::new(self.worker, self.door, stream, self.client, self.drain);
        secured.id = self.id;
        secured.session.encrypted();
        Some(secured)
    }

    /// 220, unless the client spoke before its turn (R3).
    fn greet(&mut self) -> Result<(), End> {
        let early = !self.stream.is_encrypted() && has_waiting_bytes(self.stream.tcp());
        if early && self.door.settings.early_talk == EarlyTalk::Reject {
            self.say(&Reply::talks_out_of_turn());
            return Err(End::Violation);
        }
        self.say(&Reply::greeting(&self.worker.gate.settings.hostname));
        Ok(())
    }

    /// Runs the dialogue until it ends.
    async fn converse(&mut self) -> End {
        loop {
            let line = match self.next_line().await {
                Ok(Ok(line)) => line,
                Ok(Err(error)) => {
                    let step = self.session.bad_line(error);
                    if let Err(end) = self.carry_out(step).await {
                        return end;
                    }
                    continue;
                }
                Err(end) => return end,
            };
            self.confirm().await;
            let command = Command::parse(&line);
            // DATA ends a group of commands (RFC 2920 section 3.1): what comes before its answer is content,
            // and never run as commands, whatever the answer is (R36).
            if command == Ok(Command::Data) && !self.input.is_empty() {
                self.say(&Reply::talks_out_of_turn());
                return End::Violation;
            }
            let step = self.session.command(command);
            if let Err(end) = self.carry_out(step).await {
                return end;
            }
        }
    }

    /// Keeps the delivery rows until the client shows that it has the 250 that is about to be written. Commands it
    /// sent before, a QUIT on its way out above all, do not show that.
    pub(super) async fn await_confirmation(&mut self, key: Option<[u8; 32]>) {
        let Some(key) = key else { return };
        let now = Instant::now();
        let _ = fill(&mut self.stream, &mut self.input, COMMAND_READ, now).await;
        self.unconfirmed = Some(Unconfirmed { key, is_older_input: !self.input.is_empty() });
    }

    /// The client goes on: it has our 250, so a second identical message is meant as one (R73).
    /// Waits for it, or the next message would find the rows of this one.
    async fn confirm(&mut self) {
        if let Some(Unconfirmed { key, .. }) = self.unconfirmed.take_if(|pending| !pending.is_older_input)
            && let Err(error) = self.worker.gate.store.delivery_release(key).await
        {
            tracing::error!("delivery rows cannot be released: {error}");
        }
    }

    async fn next_line(&mut self) -> Result<Result<Vec<u8>, crate::smtp::command::LineError>, End> {
        let deadline = Instant::now() + self.door.settings.command_timeout;
        loop {
            match self.lines.next_command(&mut self.input, self.door.settings.max_command_line) {
                Ok(Some(line)) => return Ok(Ok(line)),
                Err(error) => return Ok(Err(error)),
                Ok(None) => {}
            }
            self.flush().await?;
            let mut drain = self.drain.clone();
            tokio::select! {
                biased;
                () = drain.draining() => {
                    self.say(&Reply::shutting_down());
                    return Err(End::Quit);
                }
                filled = fill(&mut self.stream, &mut self.input, COMMAND_READ, deadline) => filled?,
            }
            if let Some(pending) = &mut self.unconfirmed {
                pending.is_older_input = false;
            }
        }
    }

    async fn carry_out(&mut self, step: Step) -> Result<(), End> {
        match step {
            Step::Reply(reply) => self.say(&reply),
            Step::Close(reply) => {
                self.say(&reply);
                let is_error = reply.is_permanent() || reply.is_transient();
                return Err(if is_error { End::Violation } else { End::Quit });
            }
            Step::Reset(reply) => {
                self.hop.reset().await;
                self.say(&reply);
            }
            Step::Greet { extended } => self.hello(extended).await,
            Step::AskSender { from, parameters } => self.ask_sender(from, parameters).await,
            Step::AskRecipient(recipient) => self.ask_recipient(recipient).await,
            Step::ReadMessage => return self.take_message().await,
            Step::StartTls => return Err(self.start_tls().await),
            Step::Authenticate { mechanism, initial_response } => {
                return self.authenticate(&mechanism, initial_response).await;
            }
        }
        Ok(())
    }

    async fn hello(&mut self, extended: bool) {
        self.hop.reset().await;
        let hostname = &self.worker.gate.settings.hostname;
        if !extended {
            self.session.offered(capabilities::Capabilities::default());
            let reply = Reply::hello(hostname);
            return self.say(&reply);
        }
        let upstream = self.hop.learn().await;
        let may_authenticate = self.session.may_authenticate()
            && self.door.upstream.passes_auth()
            && self.door.upstream.may_carry_credentials();
        let offer = Offer {
            hostname,
            upstream: upstream.as_ref(),
            max_message_size: self.door.settings.max_message_size,
            tls_available: self.door.acceptor.is_some() && !self.session.is_encrypted(),
            auth: may_authenticate,
        };
        let reply = capabilities::ehlo_reply(&offer);
        self.session.offered(capabilities::offered(&offer));
        self.say(&reply);
    }

    /// 220 and then the handshake; a byte already waiting was meant to be run
    /// after it, and is what an injection looks like (R81).
    async fn start_tls(&mut self) -> End {
        if !self.input.is_empty() {
            tracing::warn!(session = self.id, note = "starttls_injection", "clear text behind STARTTLS");
            self.say(&Reply::talks_out_of_turn());
            return End::Violation;
        }
        self.say(&Reply::ready_for_tls());
        match self.flush().await {
            Ok(()) => End::StartTls,
            Err(end) => end,
        }
    }

    /// Queues a reply. It is written when no complete command is left to answer.
    pub(super) fn say(&mut self, reply: &Reply) {
        self.say_as(reply, self.session.speaks_utf8());
    }

    fn say_as(&mut self, reply: &Reply, utf8: bool) {
        self.output.extend_from_slice(&reply.to_bytes(utf8));
    }

    /// Upstream's reply as it came; where upstream knows no enhanced codes, ours is put in front.
    pub(super) fn pass_on(&mut self, reply: Reply) {
        self.pass_on_as(reply, self.session.speaks_utf8());
    }

    /// The final reply may speak as its transaction did, which is over by then.
    pub(super) fn pass_on_as(&mut self, reply: Reply, utf8: bool) {
        let knows = self.door.upstream.capabilities().is_some_and(|known| known.enhanced_status_codes);
        self.say_as(&if knows { reply } else { reply.with_enhanced() }, utf8);
    }

    pub(super) async fn flush(&mut self) -> Result<(), End> {
        if self.output.is_empty() {
            return Ok(());
        }
        let deadline = Instant::now() + self.door.settings.reply_timeout;
        let written = async {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await
        };
        timeout_at(deadline, written).await.map_err(|_| End::Lost)??;
        self.output.clear();
        Ok(())
    }

    /// Reads more input, until the deadline.
    pub(super) async fn fill(&mut self, room: usize, deadline: Instant) -> Result<(), End> {
        fill(&mut self.stream, &mut self.input, room, deadline).await
    }

    /// One line of an AUTH exchange.
    pub(super) async fn next_response(&mut self, limit: usize) -> Result<Result<Vec<u8>, Reply>, End> {
        let deadline = Instant::now() + self.door.settings.command_timeout;
        self.flush().await?;
        loop {
            match self.lines.next_line(&mut self.input, limit) {
                Ok(Some(line)) => return Ok(Ok(line)),
                Err(error) if error.closes() => {
                    self.say(&error.reply());
                    return Err(End::Violation);
                }
                Err(_) => return Ok(Err(Reply::auth_line_too_long())),
                Ok(None) => self.fill(COMMAND_READ, deadline).await?,
            }
        }
    }

    /// Where messages of this session come from, and what the settings say about that place.
    pub(super) fn origin(&self) -> Origin {
        self.worker.gate.settings.origin(&self.door.settings, self.session.user(), self.client)
    }

    pub(super) fn protocol(&self, utf8: bool) -> Protocol {
        Protocol {
            extended: self.session.is_extended(),
            tls: self.session.is_encrypted(),
            authenticated: self.session.user().is_some(),
            utf8,
        }
    }

    /// Ends the connection so that the client can read our last reply. A client that
    /// vanished leaves upstream with a closed connection and no other byte (R101).
    async fn close(mut self, end: End) {
        if matches!(end, End::Lost) {
            return;
        }
        if matches!(end, End::TimedOut) {
            self.say(&Reply::client_timed_out());
        }
        if self.flush().await.is_ok() {
            let _ = tokio::time::timeout(LINGER_TIME, self.stream.shutdown()).await;
        }
        if matches!(end, End::Violation) {
            self.linger().await;
        }
        self.hop.quit().await;
    }

    /// Reads and throws away what the client still sends (R34).
    async fn linger(&mut self) {
        let deadline = Instant::now() + LINGER_TIME;
        let mut thrown_away = 0;
        while thrown_away < LINGER_BYTES {
            self.input.clear();
            if self.fill(COMMAND_READ, deadline).await.is_err() {
                return;
            }
            thrown_away += self.input.len();
        }
    }
}

/// Reads what is there, at least one byte.
pub async fn fill(stream: &mut Stream, input: &mut Vec<u8>, room: usize, deadline: Instant) -> Result<(), End> {
    input.reserve(room);
    match timeout_at(deadline, stream.read_buf(input)).await {
        Ok(Ok(1..)) => Ok(()),
        Ok(_) => Err(End::Lost),
        Err(_) => Err(End::TimedOut),
    }
}
