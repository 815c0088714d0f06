//! The driver of one session: bytes to [`Session`], each [`Step`] carried out. There is no upstream to ask.

use std::time::Duration;

use jiff::Timestamp;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use ulid::Ulid;

use super::listener::Inbox;
use super::record::{self, Mail};
use crate::config::{InboxProtocol, TlsMode};
use crate::relay::connection::{End, fill};
use crate::relay::drain::Drain;
use crate::relay::tls::{Stream, has_waiting_bytes};
use crate::smtp::address::EmailAddress;
use crate::smtp::capabilities::{self, Capabilities, Offer};
use crate::smtp::command::{Command, LineError, LineReader};
use crate::smtp::data::{BareNewline, DataReader};
use crate::smtp::reply::Reply;
use crate::smtp::session::{Envelope, Recipient, Session, SessionRules, Step};

/// What a session may cost (R10, R12, R58).
const MAX_RECIPIENTS: usize = 100;
const MAX_ERRORS: usize = 20;
const MAX_IDLE_COMMANDS: usize = 100;
const MAX_COMMAND_LINE: usize = 2048;

/// So much of a message is looked at: what says what it is stands at its beginning, what came back behind it.
const LOOKED_AT: usize = 512 * 1024;

const COMMAND_READ: usize = 4 * 1024;
const MESSAGE_READ: usize = 32 * 1024;
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);
const TLS_TIMEOUT: Duration = Duration::from_secs(30);

/// What is thrown away of the input after a violation, so that a TCP reset does not eat our reply (R34).
const LINGER_BYTES: usize = 64 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(5);

struct Connection<'i> {
    inbox: &'i Inbox,
    stream: Stream,
    input: Vec<u8>,
    output: Vec<u8>,
    session: Session,
    lines: LineReader,
    drain: Drain,
    id: String,
}

/// Serves one client until it leaves.
pub async fn serve(inbox: &Inbox, tcp: TcpStream, drain: Drain) {
    if tcp.set_nodelay(true).is_err() {
        return;
    }
    let mut connection = Connection::new(inbox, Stream::Plain(tcp), drain);
    if inbox.settings.tls == TlsMode::Implicit {
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

impl<'i> Connection<'i> {
    fn new(inbox: &'i Inbox, stream: Stream, drain: Drain) -> Connection<'i> {
        Connection {
            inbox,
            stream,
            input: Vec::new(),
            output: Vec::new(),
            session: Session::new(SessionRules {
                max_recipients: MAX_RECIPIENTS,
                max_message_size: inbox.settings.max_message_size,
                max_errors: MAX_ERRORS,
                max_idle_commands: MAX_IDLE_COMMANDS,
                require_tls: inbox.settings.require_tls,
                auth_without_tls: false,
                lmtp: inbox.settings.protocol == InboxProtocol::Lmtp,
            }),
            lines: LineReader::new(true),
            drain,
            id: Ulid::new().to_string(),
        }
    }

    /// No byte and no state of the clear-text connection survives (R81).
    async fn handshake(self) -> Option<Connection<'i>> {
        let (Stream::Plain(tcp), Some(acceptor)) = (self.stream, &self.inbox.acceptor) else { return None };
        let tls = match timeout(TLS_TIMEOUT, acceptor.accept(tcp)).await {
            Ok(Ok(tls)) => tls,
            Ok(Err(error)) => {
                tracing::info!(session = self.id, note = "tls_fail", "TLS handshake failed: {error}");
                return None;
            }
            Err(_) => return None,
        };
        let mut secured = Connection::new(self.inbox, Stream::Server(Box::new(tls)), self.drain);
        secured.id = self.id;
        secured.session.encrypted();
        Some(secured)
    }

    /// 220, unless the client spoke before its turn (R3).
    fn greet(&mut self) -> Result<(), End> {
        if !self.stream.is_encrypted() && has_waiting_bytes(self.stream.tcp()) {
            self.say(&Reply::talks_out_of_turn());
            return Err(End::Violation);
        }
        self.say(&Reply::greeting(&self.inbox.gate.settings.hostname));
        Ok(())
    }

    async fn converse(&mut self) -> End {
        loop {
            let line = match self.next_line().await {
                Ok(line) => line,
                Err(end) => return end,
            };
            let step = match line {
                Ok(line) => {
                    let command = Command::parse(&line);
                    // What comes before the answer to DATA is content, never commands (R36).
                    if command == Ok(Command::Data) && !self.input.is_empty() {
                        self.say(&Reply::talks_out_of_turn());
                        return End::Violation;
                    }
                    self.session.command(command)
                }
                Err(error) => self.session.bad_line(error),
            };
            if let Err(end) = self.carry_out(step).await {
                return end;
            }
        }
    }

    async fn next_line(&mut self) -> Result<Result<Vec<u8>, LineError>, End> {
        let deadline = Instant::now() + self.inbox.settings.command_timeout;
        loop {
            match self.lines.next_command(&mut self.input, MAX_COMMAND_LINE) {
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
        }
    }

    async fn carry_out(&mut self, step: Step) -> Result<(), End> {
        match step {
            Step::Reply(reply) | Step::Reset(reply) => self.say(&reply),
            Step::Close(reply) => {
                self.say(&reply);
                let is_error = reply.is_permanent() || reply.is_transient();
                return Err(if is_error { End::Violation } else { End::Quit });
            }
            Step::Greet { extended } => self.hello(extended),
            Step::AskSender { from, parameters } => {
                self.session.accept_sender(from, parameters);
                self.say(&Reply::ok());
            }
            Step::AskRecipient(recipient) => self.recipient(recipient),
            Step::ReadMessage => return self.take_message().await,
            Step::StartTls => return Err(self.start_tls().await),
            // None is offered.
            Step::Authenticate { .. } => self.say(&Reply::not_implemented()),
        }
        Ok(())
    }

    fn hello(&mut self, extended: bool) {
        let hostname = &self.inbox.gate.settings.hostname;
        if !extended {
            self.session.offered(Capabilities::default());
            let reply = Reply::hello(hostname);
            return self.say(&reply);
        }
        let ours = Capabilities { eight_bit_mime: true, smtputf8: true, ..Capabilities::default() };
        let offer = Offer {
            hostname,
            upstream: Some(&ours),
            max_message_size: self.inbox.settings.max_message_size,
            tls_available: self.inbox.acceptor.is_some() && !self.session.is_encrypted(),
            auth: false,
        };
        let reply = capabilities::ehlo_reply(&offer);
        self.session.offered(capabilities::offered(&offer));
        self.say(&reply);
    }

    /// Only the gate's own mailboxes: nothing is relayed.
    fn recipient(&mut self, recipient: Recipient) {
        let is_ours = record::is_a_mailbox(self.inbox, &recipient.address);
        if is_ours {
            self.session.accept_recipient(recipient);
            return self.say(&Reply::ok());
        }
        self.session.refuse_recipient();
        self.say(&Reply::no_such_mailbox());
    }

    /// A byte already waiting was meant to be run under TLS, and is what an injection looks like (R81).
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

    /// 354, the message, what it says made durable, the reply: one, or in LMTP one for each recipient (RFC 2033
    /// section 4.2).
    async fn take_message(&mut self) -> Result<(), End> {
        self.say(&Reply::start_data());
        self.flush().await?;
        let wire = self.read_message().await?;
        let Some(envelope) = self.session.take_envelope() else {
            self.say(&Reply::bad_sequence());
            return Ok(());
        };
        let replies = if self.inbox.settings.protocol == InboxProtocol::Lmtp { envelope.recipients.len() } else { 1 };
        let reply = match wire {
            Ok(wire) => self.take_note(envelope, &wire).await,
            Err(refusal) => refusal,
        };
        if reply.is_positive() {
            self.session.message_accepted();
        }
        (0..replies).for_each(|_| self.say(&reply));
        self.flush().await
    }

    async fn take_note(&self, envelope: Envelope, wire: &[u8]) -> Reply {
        let to: Vec<EmailAddress> = envelope.recipients.into_iter().map(|recipient| recipient.address).collect();
        let mail = Mail { session: &self.id, null_sender: envelope.from.is_null(), to, wire, at: Timestamp::now() };
        match record::take(self.inbox, &mail).await {
            Ok(()) => Reply::taken_note_of(),
            Err(error) => {
                tracing::error!(session = self.id, "mail to the gate is put off: {error}");
                Reply::cannot_record(&self.id)
            }
        }
    }

    /// To the end of the data, whatever is wrong with it, of which the beginning is kept.
    async fn read_message(&mut self) -> Result<Result<Vec<u8>, Reply>, End> {
        let largest = self.inbox.settings.max_message_size;
        let mut reader = DataReader::new(BareNewline::Normalise, usize::MAX);
        let deadline = Instant::now() + self.inbox.settings.data_timeout;
        let (mut kept, mut piece, mut size) = (Vec::new(), Vec::new(), 0_u64);
        loop {
            piece.clear();
            let progress = match reader.read(&self.input, &mut piece) {
                Ok(progress) => progress,
                Err(error) => {
                    tracing::warn!(session = self.id, note = error.note(), "framing violation; the connection ends");
                    self.say(&error.reply());
                    return Err(End::Violation);
                }
            };
            self.input.drain(..progress.consumed);
            size += piece.len() as u64;
            let room = LOOKED_AT - kept.len();
            kept.extend_from_slice(&piece[..piece.len().min(room)]);
            if progress.ended {
                return Ok(if size > largest { Err(Reply::message_too_large()) } else { Ok(kept) });
            }
            let mut drain = self.drain.clone();
            tokio::select! {
                biased;
                () = drain.over() => {
                    self.say(&Reply::shutting_down());
                    return Err(End::Quit);
                }
                filled = fill(&mut self.stream, &mut self.input, MESSAGE_READ, deadline) => filled?,
            }
        }
    }

    /// Queues a reply. It is written when no complete command is left to answer.
    fn say(&mut self, reply: &Reply) {
        self.output.extend_from_slice(&reply.to_bytes(self.session.speaks_utf8()));
    }

    async fn flush(&mut self) -> Result<(), End> {
        if self.output.is_empty() {
            return Ok(());
        }
        let written = async {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await
        };
        timeout_at(Instant::now() + REPLY_TIMEOUT, written).await.map_err(|_| End::Lost)??;
        self.output.clear();
        Ok(())
    }

    /// Ends the connection so that the client can read our last reply.
    async fn close(mut self, end: End) {
        if matches!(end, End::Lost) {
            return;
        }
        if matches!(end, End::TimedOut) {
            self.say(&Reply::client_timed_out());
        }
        if self.flush().await.is_ok() {
            let _ = timeout(LINGER_TIME, self.stream.shutdown()).await;
        }
        if matches!(end, End::Violation) {
            self.linger().await;
        }
    }

    /// Reads and throws away what the client still sends (R34).
    async fn linger(&mut self) {
        let deadline = Instant::now() + LINGER_TIME;
        let mut thrown_away = 0;
        while thrown_away < LINGER_BYTES {
            self.input.clear();
            if fill(&mut self.stream, &mut self.input, COMMAND_READ, deadline).await.is_err() {
                return;
            }
            thrown_away += self.input.len();
        }
    }
}
