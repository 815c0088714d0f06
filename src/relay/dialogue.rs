//! The steps of a connection that ask upstream or take a message.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use ulid::Ulid;

use super::connection::{Connection, End};
use super::record;
use super::spool::Spool;
use super::transaction::{Mail, carry_out};
use crate::consent::state::Consulted;
use crate::policy::bounce;
use crate::policy::classify::classify;
use crate::policy::decide::{Consultation, refuse_before_data};
use crate::policy::facts::MessageFacts;
use crate::policy::rules::{Mode, Refusal};
use crate::policy::verdict::Verdict;
use crate::smtp::address::ReversePath;
use crate::smtp::auth::Exchange;
use crate::smtp::command::{AUTH_LINE_LIMIT, MailParameters};
use crate::smtp::data::DataReader;
use crate::smtp::reply::Reply;
use crate::smtp::session::Recipient;
use crate::store::Seen;

/// Room for a read of message content.
const MESSAGE_READ: usize = 32 * 1024;

impl Connection<'_> {
    /// MAIL goes upstream now, and its answer is the answer (R17). The policy in
    /// force at this moment is the message's until its final reply.
    pub(super) async fn ask_sender(&mut self, from: ReversePath, parameters: MailParameters) {
        self.policy = self.worker.gate.policy();
        let declared = parameters.size.unwrap_or(0);
        if !self.worker.gate.spool.has_room_for(declared) {
            return self.say(&Reply::no_space());
        }
        let mut asked = parameters.clone();
        if asked.auth.is_some() && self.session.user().is_none() {
            asked.auth = Some("<>".into()); // nobody vouches for it (R87)
        }
        let utf8 = asked.smtputf8;
        match self.hop.mail(&from, &asked).await {
            Ok(reply) => {
                if reply.is_positive() {
                    self.session.accept_sender(from, asked);
                }
                self.pass_on_as(reply, utf8);
            }
            Err(error) => {
                self.hop.reset().await;
                self.say(&error.reply());
            }
        }
    }

    /// RCPT goes upstream now; a recipient whom no content could make permitted is
    /// refused before that where the listener pins the class (R25).
    pub(super) async fn ask_recipient(&mut self, recipient: Recipient) {
        if let Some(reply) = self.refuse_early(&recipient).await {
            self.session.refuse_recipient();
            return self.say(&reply);
        }
        match self.hop.rcpt(&recipient).await {
            Ok(reply) => {
                if reply.is_positive() {
                    self.session.accept_recipient(recipient);
                } else {
                    self.note_refusal(&recipient, &reply);
                    self.session.refuse_recipient();
                }
                self.pass_on(reply);
            }
            Err(error) => {
                // Upstream is gone and with it the transaction (R9).
                self.hop.reset().await;
                self.session.lose_transaction();
                self.say(&error.reply());
            }
        }
    }

    /// A refusal for good that speaks of the address is a bounce. Nobody waits for its row.
    fn note_refusal(&self, recipient: &Recipient, reply: &Reply) {
        let pinned = self.door.settings.pin.as_ref().and_then(|pin| pin.controller.as_deref());
        let by_sender = || bounce::controller_of_sender(&self.policy, &self.session.envelope()?.from);
        let Some(controller) = pinned.or_else(by_sender) else { return };
        let event = bounce::refused_at_rcpt(&recipient.address, controller, reply, Timestamp::now(), &self.policy);
        if let Some(event) = event {
            self.worker.gate.store.record_event_later(event);
        }
    }

    /// The refusal, once it is durable; without a journal the end of data decides.
    async fn refuse_early(&mut self, recipient: &Recipient) -> Option<Reply> {
        let policy = self.policy.clone();
        let envelope = self.session.envelope()?;
        let pin = self.door.settings.pin.as_ref()?;
        if policy.mode == Mode::Monitor || policy.refusal == Refusal::Discard || envelope.from.is_null() {
            return None;
        }
        let facts = MessageFacts {
            origin: self.origin(),
            envelope_from: envelope.from.clone(),
            recipients: envelope.recipients.len() + 1,
            readings: vec![Vec::new()],
            body: None,
            fields_kept: Vec::new(),
        };
        let (known, seen) = match &pin.controller {
            Some(controller) => {
                let (mut known, seq) =
                    self.worker.consult(controller, std::slice::from_ref(&recipient.address)).await.ok()?;
                let known = known.remove(0);
                let seen = Seen { event_seq: seq, sent_seq: known.sent_seq };
                (known, seen)
            }
            None => (Consulted::default(), Seen::default()),
        };
        let now = Timestamp::now();
        let verdict = refuse_before_data(&policy, &facts, &recipient.address, Consultation::Known(&known), now)?;
        self.record_early(facts, verdict, seen).await
    }

    async fn record_early(&self, facts: MessageFacts, verdict: Verdict, seen: Seen) -> Option<Reply> {
        let started = std::time::Instant::now();
        let reference = Ulid::new().to_string();
        let decided = record::Decided {
            reference: &reference,
            session: &self.id,
            policy: &self.policy,
            upstream: self.door.upstream.name(),
            facts: &facts,
            class: &classify(&self.policy, &facts),
        };
        self.worker.gate.store.record_message(decided.early_record(&verdict, seen)).await.ok()?;
        let recipient = self.worker.gate.settings.log.addresses.then(|| verdict.recipient.as_str());
        decided.tell(&verdict, None, started.elapsed(), recipient);
        Some(Reply::withheld(vec![verdict.reply_text(&reference)]))
    }

    /// 354, the message, the decision, the final reply.
    pub(super) async fn take_message(&mut self) -> Result<(), End> {
        self.say(&Reply::start_data());
        self.flush().await?;
        let mut notes = Vec::new();
        let taken = self.read_message(&mut notes).await;
        let utf8 = self.session.speaks_utf8();
        let envelope = self.session.take_envelope(); // from here on there is no transaction (R9)
        let (spool, envelope) = match (taken, envelope) {
            (Ok(Ok(spool)), Some(envelope)) => (spool, envelope),
            (taken, _) => {
                self.hop.reset().await;
                let refusal = taken?.err().unwrap_or_else(Reply::bad_sequence);
                self.say(&refusal);
                return Ok(());
            }
        };
        let mail = Mail {
            reference: Ulid::new().to_string(),
            session: self.id.clone(),
            envelope,
            spool,
            origin: self.origin(),
            hello: self.session.hello_name().to_string(),
            protocol: self.protocol(utf8),
            policy: self.policy.clone(),
            notes,
            taken: std::time::Instant::now(),
        };
        let answer = carry_out(self.worker, self.door, &mut self.hop, &self.stream, mail).await;
        if answer.reply.is_positive() {
            self.session.message_accepted();
            self.await_confirmation(answer.ledger_key).await;
        }
        self.pass_on_as(answer.reply, utf8);
        self.flush().await
    }

    /// Reads to the end of the data, whatever is wrong with the message: a refusal
    /// before that would leave its rest to be read as commands.
    async fn read_message(&mut self, notes: &mut Vec<String>) -> Result<Result<Spool, Reply>, End> {
        let settings = &self.door.settings;
        let mut reader = DataReader::new(settings.bare_newline, settings.max_line_length);
        let mut spool = Spool::new(&self.worker.gate.spool, settings.max_message_size);
        let start = Instant::now();
        let mut taken: u64 = 0;
        let mut wire = Vec::new();
        loop {
            wire.clear();
            let progress = match reader.read(&self.input, &mut wire) {
                Ok(progress) => progress,
                Err(error) => {
                    tracing::warn!(session = self.id, note = error.note(), "framing violation; the connection ends");
                    self.say(&error.reply());
                    return Err(End::Violation);
                }
            };
            self.input.drain(..progress.consumed);
            spool.append(&wire);
            if progress.ended {
                break;
            }
            taken += progress.consumed as u64;
            self.fill_message(start, taken).await?;
        }
        if reader.saw_bare_newline() {
            tracing::info!(session = self.id, note = "bare_lf", "line ends repaired");
            notes.push("bare_lf".into());
        }
        Ok(self.check_size(&reader, spool))
    }

    fn check_size(&self, reader: &DataReader, spool: Spool) -> Result<Spool, Reply> {
        if spool.is_too_big() {
            return Err(Reply::message_too_large());
        }
        if reader.saw_overlong_line() {
            return Err(Reply::bad_message("A line is longer than this server takes"));
        }
        if let Some(fault) = spool.fault() {
            tracing::error!(session = self.id, note = "spool_full", "the message cannot be kept: {}", fault.kind());
            return Err(Reply::no_space());
        }
        Ok(spool)
    }

    /// Waits for more of the message, as long as it keeps coming fast enough (section 2.M).
    async fn fill_message(&mut self, start: Instant, taken: u64) -> Result<(), End> {
        let settings = &self.door.settings;
        let earned = Duration::from_secs(taken / settings.min_data_rate.max(1));
        let deadline = start + (settings.data_timeout + earned).min(settings.upload_timeout);
        let mut drain = self.drain.clone();
        tokio::select! {
            biased; // a client that never pauses is told too
            () = drain.over() => {
                self.say(&Reply::shutting_down());
                Err(End::Quit)
            }
            filled = self.fill(MESSAGE_READ, deadline) => {
                if matches!(filled, Err(End::Lost)) {
                    tracing::info!(session = self.id, note = "client_abort", "the client left before the end of its data");
                }
                filled
            }
        }
    }

    /// Relays an AUTH exchange line by line; upstream decides (R84).
    pub(super) async fn authenticate(&mut self, mechanism: &str, initial: Option<String>) -> Result<(), End> {
        let mut exchange = Exchange::new(mechanism);
        let mut line = format!("AUTH {mechanism}");
        if let Some(response) = &initial {
            if !exchange.response(response) {
                self.say(&Reply::bad_base64());
                return Ok(());
            }
            line = format!("{line} {response}");
        }
        loop {
            let reply = match self.hop.authenticate(&line).await {
                Ok(reply) => reply,
                Err(error) => {
                    self.hop.reset().await;
                    self.say(&error.reply());
                    return Ok(());
                }
            };
            if reply.code() != 334 {
                return self.finish_login(reply, exchange);
            }
            self.say(&reply);
            line = match self.read_response(&mut exchange).await? {
                Ok(line) => line,
                Err(refusal) => {
                    let _ = self.hop.authenticate("*").await; // upstream's exchange ends too
                    self.say(&refusal);
                    return Ok(());
                }
            };
        }
    }

    async fn read_response(&mut self, exchange: &mut Exchange) -> Result<Result<String, Reply>, End> {
        let line = match self.next_response(AUTH_LINE_LIMIT).await? {
            Ok(line) => line,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let text = String::from_utf8_lossy(&line).into_owned();
        Ok(match text.as_str() {
            "*" => Err(Reply::login_cancelled()),
            text if !exchange.response(text) => Err(Reply::bad_base64()),
            _ => Ok(text),
        })
    }

    fn finish_login(&mut self, reply: Reply, exchange: Exchange) -> Result<(), End> {
        if reply.code() == 235 {
            self.session.authenticated(exchange.into_user());
        } else if let Some(goodbye) = self.session.login_refused() {
            self.say(&goodbye);
            return Err(End::Violation);
        }
        self.pass_on(reply);
        Ok(())
    }
}
