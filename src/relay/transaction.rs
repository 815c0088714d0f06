//! One message in reading order: examine, classify, consult, decide, record, act, answer.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::copies;
use super::gate::{Door, Worker};
use super::hop::{Handing, Hop};
use super::record;
use super::spool::Spool;
use super::tls::Stream;
use super::upstream::Content;
use crate::config::{JournalService, Ledger, MalformedHeader};
use crate::consent::state::Consulted;
use crate::message::edit::HeaderEdits;
use crate::message::head::{HeadError, HeadLimits, MessageHead};
use crate::message::trace::{self, Protocol};
use crate::message::{list, signature};
use crate::policy::classify::{Classification, classify};
use crate::policy::decide::Consultation;
use crate::policy::disposition::{Disposition, distinct};
use crate::policy::facts::{MessageFacts, Origin};
use crate::policy::link::decide_with_link;
use crate::policy::rules::{Class, Policy, ServiceWithoutStore};
use crate::policy::verdict::{Decision, Reason, Verdict};
use crate::smtp::address::EmailAddress;
use crate::smtp::reply::Reply;
use crate::smtp::session::Envelope;
use crate::store::{OutcomeResult, StoreError};

/// A message taken whole from a client, and what is known about its coming.
pub struct Mail {
    pub reference: String,
    pub session: String,
    pub envelope: Envelope,
    pub spool: Spool,
    pub origin: Origin,
    pub hello: String,
    pub protocol: Protocol,
    pub policy: Arc<Policy>,
    /// What was noticed while it was read.
    pub notes: Vec<String>,
    pub taken: Instant,
}

/// The client's final reply, and what may be forgotten once the client has it.
pub struct Answer {
    pub reply: Reply,
    /// Key of this message's delivery rows (R73).
    pub ledger_key: Option<[u8; 32]>,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Answer {
        Answer { reply, ledger_key: None }
    }
}

/// A message with its class and verdicts, on its way out.
pub struct Transaction<'a> {
    pub worker: &'a Worker,
    pub door: &'a Door,
    /// Only looked at, to see whether the client is still there (R77).
    pub client: &'a Stream,
    pub mail: Mail,
    pub head: MessageHead,
    pub facts: MessageFacts,
    pub classification: Classification,
    pub verdicts: Vec<Verdict>,
    /// The row of each recipient in the store, 0 for strangers; parallel to `verdicts`.
    pub contacts: Vec<i64>,
    /// Events the decision could see: those up to this number.
    pub event_seq: i64,
    pub at: Timestamp,
}

/// Takes a message from its final dot to its final reply.
pub async fn carry_out(worker: &Worker, door: &Door, hop: &mut Hop, client: &Stream, mail: Mail) -> Answer {
    let head = match examine(&mail, door, &worker.gate.settings.hostname) {
        Ok(head) => head,
        Err(reply) => {
            hop.reset().await;
            record::refused_unread(&mail, &reply);
            return reply.into();
        }
    };
    let mut transaction = judge(worker, door, client, mail, head).await;
    let disposition = Disposition::of(&transaction.mail.policy, &transaction.verdicts);
    if let Err(reply) = transaction.record(&disposition).await {
        hop.reset().await;
        return reply.into();
    }
    transaction.act(hop, disposition).await
}

/// Loop and header section (R46, R53, R58); the size was looked at while reading.
fn examine(mail: &Mail, door: &Door, hostname: &str) -> Result<MessageHead, Reply> {
    let limits = HeadLimits {
        header: door.settings.max_header_size,
        field: door.settings.max_field_size,
        fields: door.settings.max_fields,
    };
    let wire = mail.spool.memory();
    let head = MessageHead::locate(wire, &limits).map_err(|error| Reply::bad_message(&error.to_string()))?;
    if head.body_start() == wire.len() && !mail.spool.is_whole_in_memory() {
        // What was not looked at must not leave: marks and fields of the gate's own could stand in it.
        return Err(Reply::bad_message(&HeadError::HeaderTooLong.to_string()));
    }
    if trace::is_loop(trace::received_count(head.fields(wire), hostname)) {
        return Err(Reply::mail_loop());
    }
    if door.settings.malformed_header == MalformedHeader::Reject && head.anomalies().is_malformed() {
        return Err(Reply::bad_message("The header section is malformed"));
    }
    Ok(head)
}

/// Classify, consult, decide.
async fn judge<'a>(
    worker: &'a Worker,
    door: &'a Door,
    client: &'a Stream,
    mut mail: Mail,
    head: MessageHead,
) -> Transaction<'a> {
    let policy = mail.policy.clone();
    let wire = mail.spool.memory();
    let envelope = &mail.envelope;
    let facts = MessageFacts::gather(
        &policy,
        mail.origin.clone(),
        envelope.from.clone(),
        envelope.recipients.len(),
        &head,
        wire,
    );
    let classification = classify(&policy, &facts);
    mail.notes.extend(head.anomalies().notes());
    let recipients: Vec<EmailAddress> = mail.envelope.recipients.iter().map(|to| to.address.clone()).collect();
    let consulted = consult(worker, &policy, &classification, &recipients).await;
    let at = Timestamp::now();
    let failing = worker.gate.link.failing_since();
    let (verdicts, contacts, event_seq) = verdicts(&policy, &classification, &recipients, &consulted, failing, at);
    Transaction { worker, door, client, mail, head, facts, classification, verdicts, contacts, event_seq, at }
}

type Consultations = Result<(Vec<Consulted>, i64), StoreError>;

/// One read for all recipients. Mail whose verdict does not depend on anybody's
/// consent asks nothing, so it passes while the store is down (E4 before E6),
/// unless the policy would rather wait for the store.
async fn consult(
    worker: &Worker,
    policy: &Policy,
    classification: &Classification,
    recipients: &[EmailAddress],
) -> Consultations {
    let outcome = match &classification.controller {
        Some(controller) if classification.asks_about_the_recipient() => worker.consult(controller, recipients).await,
        _ if policy.service_without_store == ServiceWithoutStore::Defer => worker.consult("", &[]).await,
        _ => Ok((Vec::new(), 0)),
    };
    if let Err(error) = &outcome {
        tracing::error!("the consent store gives no answer: {error}");
    }
    outcome.map(|(mut known, seq)| {
        known.resize(recipients.len(), Consulted::default());
        (known, seq)
    })
}

fn verdicts(
    policy: &Policy,
    classification: &Classification,
    recipients: &[EmailAddress],
    consulted: &Consultations,
    link_failing_since: Option<Timestamp>,
    at: Timestamp,
) -> (Vec<Verdict>, Vec<i64>, i64) {
    let verdict = |n: usize, recipient| {
        let consultation = match consulted {
            Ok((known, _)) => Consultation::Known(&known[n]),
            Err(_) => Consultation::Unavailable,
        };
        decide_with_link(policy, classification, recipient, consultation, link_failing_since, at)
    };
    let verdicts = recipients.iter().enumerate().map(|(n, recipient)| verdict(n, recipient)).collect();
    match consulted {
        Ok((known, seq)) => (verdicts, known.iter().map(|one| one.contact_id).collect(), *seq),
        Err(_) => (verdicts, vec![0; recipients.len()], 0),
    }
}

impl Transaction<'_> {
    /// The decision is durable before it takes effect; for service mail as
    /// `journal.service` says. An error is the reply for a decision that nobody
    /// could audit and that is therefore not carried out.
    async fn record(&mut self, disposition: &Disposition) -> Result<(), Reply> {
        let signed = self.list_fields_are_signed();
        if signed && *disposition != Disposition::Forward {
            self.mail.notes.push("signed_unsub".into());
        }
        let row = record::message_record(self, disposition);
        let store = &self.worker.gate.store;
        let is_service = self.classification.class == Class::Service;
        let passes = is_service && self.mail.policy.service_without_store == ServiceWithoutStore::Pass;
        // Mail that is to wait for the store has to find out whether it can be written.
        if *disposition == Disposition::Defer
            || passes && self.worker.gate.settings.journal_service == JournalService::After
        {
            store.record_message_later(row);
            return Ok(());
        }
        let Err(error) = store.record_message(row).await else {
            return Ok(());
        };
        tracing::error!(r#ref = self.mail.reference, "the decision cannot be recorded: {error}");
        // A mode that changes nothing does not start to because the journal is full.
        let is_trial = *disposition == Disposition::Forward && !is_service;
        if passes || is_trial { Ok(()) } else { Err(Reply::gate_fault(&self.mail.reference)) }
    }

    /// Whether a signature covers the fields a personal copy would add (R56).
    pub fn list_fields_are_signed(&self) -> bool {
        signature::signature_covers_list_fields(&self.head, self.mail.spool.memory())
    }

    async fn act(mut self, hop: &mut Hop, disposition: Disposition) -> Answer {
        match disposition {
            Disposition::Forward => self.forward(hop).await,
            Disposition::Copies { permitted, withheld } => copies::deliver(self, hop, permitted, withheld).await,
            Disposition::Refuse => self.withhold(hop, self.refusal(), OutcomeResult::Refused).await,
            Disposition::Defer => self.withhold(hop, self.deferral(), OutcomeResult::Deferred).await,
            Disposition::Discard => {
                let reply = Reply::discarded(&self.mail.reference);
                self.withhold(hop, reply, OutcomeResult::Discarded).await
            }
        }
    }

    /// One line for each withheld recipient, ten at most; no state of a permitted one.
    fn refusal(&self) -> Reply {
        let lines = distinct(&self.verdicts)
            .into_iter()
            .map(|n| &self.verdicts[n])
            .filter(|verdict| verdict.decision != Decision::Allow)
            .map(|verdict| verdict.reply_text(&self.mail.reference))
            .collect();
        Reply::withheld(lines)
    }

    /// What has to end before the same message can go.
    fn deferral(&self) -> Reply {
        let reference = &self.mail.reference;
        let waits_for_the_link = |verdict: &&Verdict| verdict.reason == Reason::EndpointDown;
        match self.verdicts.iter().find(waits_for_the_link) {
            Some(verdict) => Reply::new(verdict.reply_code(), verdict.reply_text(reference)),
            None => Reply::gate_fault(reference),
        }
    }

    async fn withhold(&mut self, hop: &mut Hop, reply: Reply, result: OutcomeResult) -> Answer {
        hop.reset().await;
        for verdict in &self.verdicts {
            record::outcome(self, &verdict.recipient, result, Some(&reply));
        }
        reply.into()
    }

    /// What an earlier attempt at the same message came to, or that nobody can say.
    async fn earlier_attempt(&self, key: Option<[u8; 32]>, name: &[u8; 16]) -> Option<(OutcomeResult, Reply)> {
        match copies::earlier_reply(self.worker, &self.mail.reference, &key?, name).await {
            Ok(reply) => Some((OutcomeResult::AlreadyDelivered, reply?)),
            Err(reply) => Some((OutcomeResult::Deferred, reply)),
        }
    }

    /// The message as it came, with one Received line, to everybody at once.
    async fn forward(mut self, hop: &mut Hop) -> Answer {
        let in_ledger = self.door.settings.ledger == Ledger::All;
        let Ok(ledger_key) = in_ledger.then(|| copies::ledger_key(&mut self.mail, &self.head)).transpose() else {
            return Reply::gate_fault(&self.mail.reference).into();
        };
        let Ok(_claim) = copies::claim(self.worker, ledger_key, self.door.settings.fanout_budget).await else {
            return Reply::gate_fault(&self.mail.reference).into();
        };
        let name = copies::everybody(self.verdicts.iter().map(|verdict| &verdict.recipient));
        if let Some((result, reply)) = self.earlier_attempt(ledger_key, &name).await {
            hop.reset().await;
            self.outcomes(result, Some(&reply));
            return Answer { reply, ledger_key };
        }
        let head = self.edited_head(&mut HeaderEdits::default());
        let envelope = self.mail.envelope.clone();
        let reference = self.mail.reference.clone();
        let recipients = self
            .verdicts
            .iter()
            .zip(&envelope.recipients)
            .filter_map(|(verdict, to)| Some((verdict.permit()?, &to.parameters)))
            .collect();
        let handing = Handing { from: &envelope.from, parameters: &envelope.parameters, recipients };
        let content = Content { head: &head, spool: &mut self.mail.spool, body_start: self.head.body_start() };
        let commit = copies::commit_point(self.worker, self.client, &reference, ledger_key, name);
        let handover = hop.hand_over(&handing, content, &commit).await;
        let (result, reply) = copies::settle(self.worker, &reference, handover, ledger_key, name).await;
        self.outcomes(result, Some(&reply));
        Answer { reply, ledger_key }
    }

    fn outcomes(&self, result: OutcomeResult, reply: Option<&Reply>) {
        for verdict in &self.verdicts {
            record::outcome(self, &verdict.recipient, result, reply);
        }
    }

    /// The header section as it leaves: our Received on top, the gate's own fields gone.
    pub fn edited_head(&self, edits: &mut HeaderEdits) -> Vec<u8> {
        let wire = self.mail.spool.memory();
        let now = self.at.to_zoned(jiff::tz::TimeZone::system());
        let only = match self.mail.envelope.recipients.as_slice() {
            [one] => Some(one.address.as_str()),
            _ => None, // `for` would reveal a Bcc (R52)
        };
        edits.insert.insert(
            0,
            trace::received(&trace::Received {
                helo: &self.mail.hello,
                client: self.mail.origin.client,
                hostname: &self.worker.gate.settings.hostname,
                protocol: self.mail.protocol,
                id: &self.mail.reference,
                for_recipient: only,
                at: &now,
            }),
        );
        edits.remove.extend(list::gate_fields(&self.head, wire));
        edits.apply(&wire[..self.head.body_start()], &self.head)
    }
}
