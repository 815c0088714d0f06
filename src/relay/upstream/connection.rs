//! One SMTP session with upstream: questions, and one answer for each.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::Poll;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::UpstreamError;
use crate::config::{Login, UpstreamSettings};
use crate::relay::tls::{Stream, has_waiting_bytes};
use crate::smtp::address::{EmailAddress, ReversePath};
use crate::smtp::capabilities::{Capabilities, SIZE_HEADROOM};
use crate::smtp::command::{MailParameters, RcptParameters};
use crate::smtp::reply::{Reply, ReplyReader};

/// The limits of one conversation with upstream (section 2.M).
#[derive(Clone, Copy)]
pub(super) struct Patience {
    greeting: Duration,
    ehlo: Duration,
    mail: Duration,
    pub(super) data: Duration,
    pub(super) write: Duration,
    pub(super) last_reply: Duration,
}

/// One SMTP session with upstream.
pub struct UpstreamConnection {
    pub(super) stream: Stream,
    pub(super) input: Vec<u8>,
    pub(super) capabilities: Capabilities,
    pub(super) patience: Patience,
    /// Recipients upstream accepted in the open transaction; none without one.
    pub(super) transaction: Option<Vec<EmailAddress>>,
    /// Something went wrong that leaves the dialogue out of step.
    pub(super) unusable: bool,
    /// Carried a transaction before: it may have been closed for idleness since.
    used: bool,
    pub(super) unanswered: Arc<AtomicUsize>,
}

impl UpstreamConnection {
    pub(super) fn new(stream: Stream, settings: &UpstreamSettings, unanswered: Arc<AtomicUsize>) -> UpstreamConnection {
        UpstreamConnection {
            stream,
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

    pub(super) async fn greeting(&mut self) -> Result<(), UpstreamError> {
        let reply = self.read_reply(self.patience.greeting).await?;
        if reply.code() == 220 { Ok(()) } else { Err(UpstreamError::Unwelcome(reply)) }
    }

    pub(super) async fn hello(&mut self, hostname: &str) -> Result<(), UpstreamError> {
        let reply = self.ask(&format!("EHLO {hostname}"), self.patience.ehlo).await?;
        if reply.is_positive() {
            self.capabilities = Capabilities::from_ehlo(&reply);
            return Ok(());
        }
        // A server of RFC 821 knows only HELO.
        let reply = self.ask(&format!("HELO {hostname}"), self.patience.ehlo).await?;
        if reply.is_positive() { Ok(()) } else { Err(UpstreamError::Unwelcome(reply)) }
    }

    pub(super) async fn log_in(&mut self, login: &Login) -> Result<(), UpstreamError> {
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
        let size =
            parameters.size.filter(|_| self.capabilities.size.is_some()).map(|size| size.saturating_add(SIZE_HEADROOM));
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

    /// Says goodbye and does not wait for the answer.
    pub async fn quit(mut self) {
        if self.is_usable() {
            let _ = write(&mut self.stream, b"QUIT\r\n", Duration::from_secs(1)).await;
            let _ = timeout(Duration::from_secs(1), self.stream.shutdown()).await;
        }
    }

    pub(super) async fn ask(&mut self, command: &str, patience: Duration) -> Result<Reply, UpstreamError> {
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
    pub(super) async fn read_reply(&mut self, patience: Duration) -> Result<Reply, UpstreamError> {
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
    pub(super) async fn has_unasked_answer(&mut self) -> bool {
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

    pub(super) fn nonsense(&mut self, what: &'static str) -> UpstreamError {
        self.unusable = true;
        UpstreamError::Protocol(what)
    }
}

pub(super) async fn write(stream: &mut Stream, bytes: &[u8], patience: Duration) -> Result<(), UpstreamError> {
    let written = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    match timeout(patience, written).await {
        Ok(written) => Ok(written?),
        Err(_) => Err(UpstreamError::TimedOut),
    }
}
