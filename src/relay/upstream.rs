//! The next hop: connect, secure, log in, ask, hand over.
//!
//! MAIL and RCPT are questions anybody may ask. Content is another matter: it
//! leaves only through [`UpstreamConnection::send`], which takes a [`Permit`]
//! for each recipient of the open transaction and refuses anything else.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::spool::Spool;
use super::tls::{self, Stream, TlsError, has_waiting_bytes};
use crate::config::{Login, TlsMode, UpstreamSettings};
use crate::policy::verdict::Permit;
use crate::smtp::address::{EmailAddress, ReversePath};
use crate::smtp::capabilities::{Capabilities, SIZE_HEADROOM};
use crate::smtp::command::{MailParameters, RcptParameters};
use crate::smtp::data::WireCheck;
use crate::smtp::reply::{Reply, ReplyReader};

/// A named upstream and what it is known to offer (R14).
pub struct Upstream {
    settings: UpstreamSettings,
    hostname: String,
    connector: Option<TlsConnector>,
    learned: Mutex<Option<Capabilities>>,
    /// Messages it has in full and has not answered yet.
    unanswered: Arc<AtomicUsize>,
}

/// What went wrong with upstream; none of it is the client's fault.
#[derive(Debug)]
pub enum UpstreamError {
    Unresolvable,
    Unreachable,
    /// Greeted or answered EHLO with a refusal.
    Unwelcome(Reply),
    /// No TLS, or a certificate that does not verify.
    Tls(String),
    /// Our own login was refused.
    Login(Reply),
    /// An answer that makes no sense (R19).
    Protocol(&'static str),
    /// It said 421, and what it said with it.
    Leaving(Reply),
    Closed,
    TimedOut,
    /// It no longer offers what the client was told (R15).
    LacksExtension,
}

impl UpstreamError {
    /// What the client is told. A fault between us and upstream is always 451.
    pub fn reply(&self) -> Reply {
        match self {
            UpstreamError::Unresolvable => Reply::upstream_unresolved(),
            UpstreamError::Unreachable | UpstreamError::Unwelcome(_) => Reply::upstream_unreachable(),
            UpstreamError::Tls(_) | UpstreamError::Login(_) => Reply::upstream_not_trusted(),
            UpstreamError::Protocol(_) => Reply::upstream_makes_no_sense(),
            UpstreamError::Leaving(reply) => reply.clone().without_hangup(),
            UpstreamError::Closed | UpstreamError::TimedOut => Reply::upstream_lost(),
            UpstreamError::LacksExtension => Reply::capability_gone(),
        }
    }

    /// Whether a fresh connection could do better: this one merely went away.
    pub fn is_departure(&self) -> bool {
        matches!(self, UpstreamError::Closed | UpstreamError::Leaving(_))
    }
}

impl std::fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            UpstreamError::Unresolvable => write!(f, "its name cannot be resolved"),
            UpstreamError::Unreachable => write!(f, "no address answers"),
            UpstreamError::Unwelcome(reply) => write!(f, "it refused the session: {} {}", reply.code(), reply.text()),
            UpstreamError::Tls(reason) => write!(f, "TLS: {reason}"),
            UpstreamError::Login(reply) => write!(f, "it refused our login: {} {}", reply.code(), reply.text()),
            UpstreamError::Protocol(what) => write!(f, "it does not speak SMTP: {what}"),
            UpstreamError::Leaving(reply) => write!(f, "it is leaving: {}", reply.text()),
            UpstreamError::Closed => write!(f, "it closed the connection"),
            UpstreamError::TimedOut => write!(f, "it did not answer in time"),
            UpstreamError::LacksExtension => write!(f, "it no longer offers what it did"),
        }
    }
}

impl From<io::Error> for UpstreamError {
    fn from(_: io::Error) -> UpstreamError {
        UpstreamError::Closed
    }
}

impl Upstream {
    pub fn new(settings: UpstreamSettings, hostname: String) -> Result<Upstream, TlsError> {
        let connector = match settings.tls {
            TlsMode::Off => None,
            TlsMode::Starttls | TlsMode::Implicit => Some(tls::connector(settings.ca_file.as_deref())?),
        };
        Ok(Upstream { settings, hostname, connector, learned: Mutex::new(None), unanswered: Arc::default() })
    }

    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// What upstream offered on its last verified EHLO; none before the first.
    pub fn capabilities(&self) -> Option<Capabilities> {
        self.learned.lock().map_or(None, |learned| learned.clone())
    }

    /// Whether somebody waits for its answer behind a final dot: leaving now would send that message twice (R11).
    pub fn owes_an_answer(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) > 0
    }

    /// Whether a client's own AUTH is passed through: the gate has no login of its own.
    pub fn passes_auth(&self) -> bool {
        self.settings.login.is_none()
    }

    /// Whether secrets may be sent there (R85).
    pub fn may_carry_credentials(&self) -> bool {
        self.connector.is_some() || self.settings.insecure || self.is_on_loopback()
    }

    fn is_on_loopback(&self) -> bool {
        self.settings.address.iter().all(|(host, _)| {
            host == "localhost"
                || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        })
    }

    /// A session with upstream: connected, secured, greeted, logged in where
    /// settings say so. The first address that gives one.
    pub async fn connect(&self) -> Result<UpstreamConnection, UpstreamError> {
        let mut failure = UpstreamError::Unresolvable;
        for (host, port) in &self.settings.address {
            let target = (host.trim_matches(['[', ']']), *port);
            let Ok(Ok(found)) = timeout(self.settings.connect_timeout, tokio::net::lookup_host(target)).await else {
                continue;
            };
            for address in found {
                match self.open(host, address).await {
                    Ok(connection) => {
                        if let Ok(mut learned) = self.learned.lock() {
                            *learned = Some(connection.capabilities.clone());
                        }
                        return Ok(connection);
                    }
                    Err(error) => failure = error,
                }
            }
        }
        Err(failure)
    }

    async fn open(&self, host: &str, address: SocketAddr) -> Result<UpstreamConnection, UpstreamError> {
        let stream = match timeout(self.settings.connect_timeout, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => stream,
            _ => return Err(UpstreamError::Unreachable),
        };
        // The final dot must not wait for a delayed acknowledgement.
        stream.set_nodelay(true)?;
        self.settle_in(self.connection(stream), host).await.map_err(|error| match error {
            UpstreamError::Closed | UpstreamError::TimedOut | UpstreamError::Leaving(_) => UpstreamError::Unreachable,
            other => other,
        })
    }

    async fn settle_in(
        &self,
        mut connection: UpstreamConnection,
        host: &str,
    ) -> Result<UpstreamConnection, UpstreamError> {
        if self.settings.tls == TlsMode::Implicit {
            connection = self.secure(connection, host).await?;
        }
        connection.greeting().await?;
        connection.hello(&self.hostname).await?;
        if self.settings.tls == TlsMode::Starttls {
            connection = self.start_tls(connection, host).await?;
            connection.hello(&self.hostname).await?; // what was said in clear is forgotten (R82)
        }
        if let Some(login) = &self.settings.login {
            connection.log_in(login).await?;
        }
        Ok(connection)
    }

    async fn start_tls(&self, mut plain: UpstreamConnection, host: &str) -> Result<UpstreamConnection, UpstreamError> {
        if !plain.capabilities.starttls {
            return Err(UpstreamError::Tls("upstream does not offer STARTTLS; nothing is sent in clear".into()));
        }
        let reply = plain.ask("STARTTLS", self.settings.ehlo_timeout).await?;
        if reply.code() != 220 {
            return Err(UpstreamError::Tls(format!("STARTTLS was answered {} {}", reply.code(), reply.text())));
        }
        if !plain.input.is_empty() {
            return Err(UpstreamError::Tls("bytes in clear behind the answer to STARTTLS".into())); // R82
        }
        self.secure(plain, host).await
    }

    fn connection(&self, stream: impl Into<Stream>) -> UpstreamConnection {
        UpstreamConnection::new(stream, &self.settings, self.unanswered.clone())
    }

    async fn secure(&self, plain: UpstreamConnection, host: &str) -> Result<UpstreamConnection, UpstreamError> {
        let name = tls::server_name(host.trim_matches(['[', ']']));
        let (Some(connector), Some(name), Stream::Plain(tcp)) = (&self.connector, name, plain.stream) else {
            return Err(UpstreamError::Tls("the upstream's name cannot stand in a certificate".into()));
        };
        match timeout(self.settings.ehlo_timeout, connector.connect(name, tcp)).await {
            Ok(Ok(tls)) => Ok(self.connection(Stream::Client(Box::new(tls)))),
            Ok(Err(error)) => Err(UpstreamError::Tls(error.to_string())),
            Err(_) => Err(UpstreamError::TimedOut),
        }
    }
}

/// The limits of one conversation with upstream (section 2.M).
#[derive(Clone, Copy)]
struct Patience {
    greeting: Duration,
    ehlo: Duration,
    mail: Duration,
    data: Duration,
    write: Duration,
    last_reply: Duration,
}

/// One SMTP session with upstream.
pub struct UpstreamConnection {
    stream: Stream,
    input: Vec<u8>,
    capabilities: Capabilities,
    patience: Patience,
    /// Recipients upstream accepted in the open transaction; none without one.
    transaction: Option<Vec<EmailAddress>>,
    /// Something went wrong that leaves the dialogue out of step.
    unusable: bool,
    /// Carried a transaction before: it may have been closed for idleness since.
    used: bool,
    unanswered: Arc<AtomicUsize>,
}

/// A message between its final dot and upstream's answer.
struct Unanswered(Arc<AtomicUsize>);

impl Unanswered {
    fn begin(count: &Arc<AtomicUsize>) -> Unanswered {
        count.fetch_add(1, Ordering::Relaxed);
        Unanswered(count.clone())
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is sent as message content: the edited head, then the rest of the spool.
pub struct Content<'a> {
    pub head: &'a [u8],
    pub spool: &'a mut Spool,
    pub body_start: usize,
}

impl Content<'_> {
    /// The same content for another attempt.
    pub fn again(&mut self) -> Content<'_> {
        Content { head: self.head, spool: self.spool, body_start: self.body_start }
    }
}

/// How a hand-over ended.
#[derive(Debug)]
pub enum Handover {
    /// Upstream's final reply to the content, or its refusal of DATA.
    Answered(Reply),
    /// Upstream went away before it said 354: nothing of the message was written.
    NotStarted(UpstreamError),
    /// The content broke off before the final dot; upstream discards it.
    NotSent(UpstreamError),
    /// Our commit point said no; the connection was dropped before the final dot.
    Withdrawn(Reply),
    /// The final dot is out and no answer came: upstream may have the message (R74).
    Unknown(UpstreamError),
}

impl UpstreamConnection {
    fn new(stream: impl Into<Stream>, settings: &UpstreamSettings, unanswered: Arc<AtomicUsize>) -> UpstreamConnection {
        UpstreamConnection {
            stream: stream.into(),
            input: Vec::new(),
            capabilities: Capabilities::default(),
            patience: Patience {
                greeting: settings.greeting_timeout,
                ehlo: settings.ehlo_timeout,
                mail: settings.mail_timeout,
                data: settings.data_timeout,
                write: settings.write_timeout,
                last_reply: settings.final_timeout,
            },
            transaction: None,
            unusable: false,
            used: false,
            unanswered,
        }
    }

    /// Whether another command may be sent on this connection.
    pub fn is_usable(&self) -> bool {
        !self.unusable && self.input.is_empty()
    }

    /// Whether it carried a transaction before, so that it may have grown old.
    pub fn was_used(&self) -> bool {
        self.used
    }

    async fn greeting(&mut self) -> Result<(), UpstreamError> {
        let reply = self.read_reply(self.patience.greeting).await?;
        if reply.code() == 220 { Ok(()) } else { Err(UpstreamError::Unwelcome(reply)) }
    }

    async fn hello(&mut self, hostname: &str) -> Result<(), UpstreamError> {
        let reply = self.ask(&format!("EHLO {hostname}"), self.patience.ehlo).await?;
        if reply.is_positive() {
            self.capabilities = Capabilities::from_ehlo(&reply);
            return Ok(());
        }
        // A server of RFC 821 knows only HELO.
        let reply = self.ask(&format!("HELO {hostname}"), self.patience.ehlo).await?;
        if reply.is_positive() { Ok(()) } else { Err(UpstreamError::Unwelcome(reply)) }
    }

    async fn log_in(&mut self, login: &Login) -> Result<(), UpstreamError> {
        let offers = |name: &str| self.capabilities.auth.iter().any(|offered| offered.eq_ignore_ascii_case(name));
        let reply = if offers("PLAIN") {
            let response = STANDARD.encode(format!("\0{}\0{}", login.username, login.password));
            self.ask(&format!("AUTH PLAIN {response}"), self.patience.ehlo).await?
        } else {
            self.log_in_by_steps(login).await?
        };
        if reply.code() == 235 { Ok(()) } else { Err(UpstreamError::Login(reply)) }
    }

    /// AUTH LOGIN: name and password each answer a challenge.
    async fn log_in_by_steps(&mut self, login: &Login) -> Result<Reply, UpstreamError> {
        let mut reply = self.ask("AUTH LOGIN", self.patience.ehlo).await?;
        for secret in [&login.username, &login.password] {
            if reply.code() != 334 {
                break;
            }
            reply = self.ask(&STANDARD.encode(secret), self.patience.ehlo).await?;
        }
        Ok(reply)
    }

    /// One line of an AUTH exchange that is passed through (R84).
    pub async fn authenticate(&mut self, line: &str) -> Result<Reply, UpstreamError> {
        self.ask(line, self.patience.ehlo).await
    }

    /// Opens a transaction; upstream's reply is the client's reply (R17).
    pub async fn mail(&mut self, from: &ReversePath, parameters: &MailParameters) -> Result<Reply, UpstreamError> {
        if !self.carries(parameters) {
            return Err(UpstreamError::LacksExtension);
        }
        if self.transaction.is_some() {
            self.reset().await?;
        }
        let size = parameters.size.filter(|_| self.capabilities.size.is_some()).map(|size| size + SIZE_HEADROOM);
        let parameters = MailParameters { size, ..parameters.clone() };
        let reply = self.ask(&format!("MAIL FROM:{from}{}", parameters.render(size)), self.patience.mail).await?;
        let reply = self.sensible(reply)?;
        self.used = true;
        if reply.is_positive() {
            self.transaction = Some(Vec::new());
        }
        Ok(reply)
    }

    /// R15: what the client already used must be there on this connection.
    fn carries(&self, parameters: &MailParameters) -> bool {
        let has = &self.capabilities;
        (parameters.body.is_none() || has.eight_bit_mime)
            && (!parameters.smtputf8 || has.smtputf8)
            && (parameters.ret.is_none() && parameters.envid.is_none() || has.dsn)
    }

    /// The same for a recipient's parameters.
    fn carries_for(&self, parameters: &RcptParameters) -> bool {
        self.capabilities.dsn || parameters.notify.is_none() && parameters.orcpt.is_none()
    }

    /// Asks for one recipient, with its exact bytes and parameters (R18).
    pub async fn rcpt(&mut self, to: &EmailAddress, parameters: &RcptParameters) -> Result<Reply, UpstreamError> {
        if !self.carries_for(parameters) {
            return Err(UpstreamError::LacksExtension);
        }
        let line = format!("RCPT TO:<{}>{}", to.as_str(), parameters.render());
        let reply = self.ask(&line, self.patience.mail).await?;
        let reply = self.sensible(reply)?;
        if reply.is_positive()
            && let Some(accepted) = &mut self.transaction
        {
            accepted.push(to.clone());
        }
        Ok(reply)
    }

    /// Whether exactly these recipients, in any order, stand in the open transaction.
    pub fn has_exactly<'a>(&self, recipients: impl ExactSizeIterator<Item = &'a EmailAddress>) -> bool {
        let Some(accepted) = &self.transaction else {
            return false;
        };
        accepted.len() == recipients.len() && {
            let mut wanted: Vec<&EmailAddress> = recipients.collect();
            let mut open: Vec<&EmailAddress> = accepted.iter().collect();
            wanted.sort_unstable();
            open.sort_unstable();
            wanted == open
        }
    }

    pub async fn reset(&mut self) -> Result<(), UpstreamError> {
        if self.transaction.take().is_some() {
            self.ask("RSET", self.patience.mail).await?;
        }
        Ok(())
    }

    /// Hands the message over for exactly the recipients that hold a permit.
    ///
    /// `commit` runs when everything but the end has been written: the last
    /// moment at which "nothing happened" is still true. If it refuses, the
    /// connection is dropped and upstream discards what it has.
    pub async fn send(
        &mut self,
        permits: &[&Permit],
        content: Content<'_>,
        commit: &impl AsyncFn() -> Result<(), Reply>,
    ) -> Handover {
        if !self.has_exactly(permits.iter().map(|permit| permit.recipient())) {
            self.unusable = true;
            return Handover::Withdrawn(Reply::session_failed());
        }
        match self.ask("DATA", self.patience.data).await {
            Ok(reply) if reply.code() == 354 => self.transaction = None,
            // The transaction stays open upstream until it is reset.
            Ok(reply) if reply.is_transient() || reply.is_permanent() => return Handover::Answered(reply),
            Ok(_) => return Handover::NotStarted(self.nonsense("an answer to DATA that is neither 354 nor a refusal")),
            Err(error) => return Handover::NotStarted(error),
        }
        if self.has_unasked_answer().await {
            return Handover::NotStarted(self.nonsense("an answer nobody asked for"));
        }
        self.unusable = true; // until the final reply: nothing but content may be written here
        let last = match self.write_content(content).await {
            Ok(last) => last,
            Err(error) => return Handover::NotSent(error),
        };
        if let Err(reply) = commit().await {
            return Handover::Withdrawn(reply);
        }
        self.finish(last).await
    }

    /// Writes all but the last piece, which is returned with the end mark behind it.
    async fn write_content(&mut self, content: Content<'_>) -> Result<Vec<u8>, UpstreamError> {
        let mut check = WireCheck::default();
        let mut pending = content.head.to_vec();
        let mut pieces = content.spool.read_from(content.body_start).map_err(|_| UpstreamError::Closed)?;
        loop {
            let piece = pieces.next_piece().map_err(|_| UpstreamError::Closed)?;
            if piece.is_empty() {
                break;
            }
            if !pending.is_empty() && pending.len() + piece.len() > 128 * 1024 {
                check.check(&pending).map_err(|_| UpstreamError::Protocol("content not in wire form"))?;
                write(&mut self.stream, &pending, self.patience.write).await?;
                pending.clear();
            }
            pending.extend_from_slice(piece);
        }
        check.check(&pending).map_err(|_| UpstreamError::Protocol("content not in wire form"))?;
        check.finish().map_err(|_| UpstreamError::Protocol("content not in wire form"))?;
        pending.extend_from_slice(b".\r\n");
        Ok(pending)
    }

    async fn finish(&mut self, last: Vec<u8>) -> Handover {
        if self.has_unasked_answer().await {
            return match self.read_reply(self.patience.last_reply).await {
                Ok(reply) if reply.is_transient() || reply.is_permanent() => Handover::Answered(reply),
                Err(UpstreamError::Leaving(reply)) => Handover::Answered(reply.without_hangup()),
                // A yes to a message that has not ended yet is none.
                _ => Handover::NotSent(self.nonsense("an answer before the final dot")),
            };
        }
        let _unanswered = Unanswered::begin(&self.unanswered);
        if let Err(error) = write(&mut self.stream, &last, self.patience.write).await {
            return Handover::Unknown(error); // part of the end mark may be out
        }
        match self.read_reply(self.patience.last_reply).await {
            Ok(reply) if reply.is_intermediate() => Handover::Unknown(self.nonsense("a 3xx as final reply")),
            Ok(reply) => {
                self.unusable = !self.input.is_empty();
                Handover::Answered(reply)
            }
            // 421 is a definite no: the message was not taken (section 2.L).
            Err(UpstreamError::Leaving(reply)) => Handover::Answered(reply.without_hangup()),
            Err(error) => Handover::Unknown(error),
        }
    }

    /// Says goodbye and does not wait for the answer.
    pub async fn quit(mut self) {
        if self.is_usable() {
            let _ = write(&mut self.stream, b"QUIT\r\n", Duration::from_secs(1)).await;
            let _ = timeout(Duration::from_secs(1), self.stream.shutdown()).await;
        }
    }

    async fn ask(&mut self, command: &str, patience: Duration) -> Result<Reply, UpstreamError> {
        if self.unusable {
            return Err(self.nonsense("a question on a connection out of step"));
        }
        if self.has_unasked_answer().await {
            return Err(match self.read_reply(patience).await {
                Err(leaving @ UpstreamError::Leaving(_)) => leaving, // it was idle for too long
                _ => self.nonsense("an answer nobody asked for"),
            });
        }
        let mut line = Vec::with_capacity(command.len() + 2);
        line.extend_from_slice(command.as_bytes());
        line.extend_from_slice(b"\r\n");
        let written = write(&mut self.stream, &line, patience).await;
        self.unusable |= written.is_err();
        written?;
        self.read_reply(patience).await
    }

    /// One deadline for the whole reply, however slowly it drips.
    async fn read_reply(&mut self, patience: Duration) -> Result<Reply, UpstreamError> {
        let outcome = timeout(patience, self.read_one()).await.unwrap_or(Err(UpstreamError::TimedOut));
        match outcome {
            Ok(reply) if reply.code() == 421 => {
                self.unusable = true;
                Err(UpstreamError::Leaving(reply))
            }
            Ok(reply) => Ok(reply),
            Err(error) => {
                self.unusable = true;
                Err(error)
            }
        }
    }

    async fn read_one(&mut self) -> Result<Reply, UpstreamError> {
        let mut reader = ReplyReader::new();
        loop {
            let (consumed, reply) =
                reader.read(&self.input).map_err(|_| UpstreamError::Protocol("a malformed reply"))?;
            self.input.drain(..consumed);
            if let Some(reply) = reply {
                return Ok(reply);
            }
            self.input.reserve(1024);
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(UpstreamError::Closed);
            }
        }
    }

    /// Whether upstream said something before it was asked: whose answer that would be nobody can tell.
    async fn has_unasked_answer(&mut self) -> bool {
        if self.input.is_empty() && self.stream.is_encrypted() {
            // A session ticket may wait in the socket: only what the bytes decrypt to counts. The runtime has to look
            // at its sockets first, or it does not know that there is something to read.
            if has_waiting_bytes(self.stream.tcp()) {
                tokio::task::yield_now().await;
            }
            let mut reading = pin!(self.stream.read_buf(&mut self.input));
            let _ = poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await;
        }
        !self.input.is_empty() || !self.stream.is_encrypted() && has_waiting_bytes(self.stream.tcp())
    }

    /// An answer to MAIL or RCPT is 2xx, 4xx or 5xx (R19), and one.
    fn sensible(&mut self, reply: Reply) -> Result<Reply, UpstreamError> {
        if !self.input.is_empty() {
            return Err(self.nonsense("two answers to one question"));
        }
        if reply.is_intermediate() { Err(self.nonsense("a 3xx where none belongs")) } else { Ok(reply) }
    }

    fn nonsense(&mut self, what: &'static str) -> UpstreamError {
        self.unusable = true;
        UpstreamError::Protocol(what)
    }
}

impl From<TcpStream> for Stream {
    fn from(tcp: TcpStream) -> Stream {
        Stream::Plain(tcp)
    }
}

async fn write(stream: &mut Stream, bytes: &[u8], patience: Duration) -> Result<(), UpstreamError> {
    let written = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    match timeout(patience, written).await {
        Ok(written) => Ok(written?),
        Err(_) => Err(UpstreamError::TimedOut),
    }
}
