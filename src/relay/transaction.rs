//! One message in reading order: examine, classify, consult, decide, record, act, answer.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::body;
use super::copies;
use super::gate::{Door, Worker};
use super::hop::{Handing, Hop};
use super::in_flight::Claim;
use super::record;
use super::signing::{self, Unsigned};
use super::spool::Spool;
use super::tls::Stream;
use super::upstream::Content;
use crate::config::{DkimDomain, JournalService, MalformedHeader};
use crate::consent::state::Consulted;
use crate::message::body_edit::{BodyEdits, BodyPlan};
use crate::message::dkim::BodyHash;
use crate::message::edit::HeaderEdits;
use crate::message::head::{HeadError, HeadLimits, MessageHead};
use crate::message::trace::{self, Protocol};
use crate::message::{list, signature};
use crate::policy::classify::{Classification, classify};
use crate::policy::decide::Consultation;
use crate::policy::disposition::{Disposition, distinct};
use crate::policy::facts::{MessageFacts, Origin};
use crate::policy::link::decide_with_link;
use crate::policy::rules::{Class, Mode, OnSigned, Policy, ServiceWithoutStore};
use crate::policy::verdict::{Basis, Decision, Reason, Verdict};
use crate::smtp::address::EmailAddress;
use crate::smtp::reply::Reply;
use crate::smtp::session::Envelope;
use crate::store::{OutcomeResult, Seen, StoreError};

/// How often a message is decided again because another was faster. Each time that other one has taken a place, so a
/// message comes to its end sooner unless there are very many.
const MOST_DECISIONS: usize = 20;

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
    /// Where a copy may say something of its own.
    pub body: BodyPlan,
    pub facts: MessageFacts,
    pub classification: Classification,
    pub verdicts: Vec<Verdict>,
    /// The row of each recipient in the store, 0 for strangers; parallel to `verdicts`.
    pub contacts: Vec<i64>,
    /// How far the decision could see.
    pub seen: Seen,
    pub at: Timestamp,
    /// By what another attempt at this message is known; set where that matters.
    pub attempt: Option<[u8; 32]>,
    /// While it is held nobody else sends this message, and its copies stand in the delivery ledger.
    claim: Option<Claim<'a>>,
    /// Whose place others may be waiting for.
    pub counted: Vec<EmailAddress>,
    /// Of the body as it came: copies that change none of it have it in common.
    body_hash: Option<BodyHash>,
}

/// What came of recording a decision.
enum Recorded {
    Done,
    /// Another message has taken a place that the decision counted on.
    Overtaken,
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
    let mut transaction = Transaction::begin(worker, door, client, mail, head);
    match transaction.settle_on_a_course().await {
        Ok(disposition) => transaction.act(hop, disposition).await,
        Err(reply) => {
            hop.reset().await;
            reply.into()
        }
    }
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

/// What is known of each recipient, and the number of the last event.
type Consultations = Result<(Vec<Consulted>, i64), StoreError>;

impl<'a> Transaction<'a> {
    /// Classifies.
    fn begin(
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
        Transaction {
            worker,
            door,
            client,
            mail,
            head,
            body: BodyPlan::default(),
            facts,
            classification,
            verdicts: Vec::new(),
            contacts: Vec::new(),
            seen: Seen::default(),
            at: Timestamp::now(),
            attempt: None,
            claim: None,
            counted: Vec::new(),
            body_hash: None,
        }
    }

    /// Decides until the decision is on record with the places it takes; an error is the reply for one that cannot be.
    async fn settle_on_a_course(&mut self) -> Result<Disposition, Reply> {
        self.look_at_body()?;
        for _ in 0..MOST_DECISIONS {
            self.judge().await;
            let disposition = Disposition::of(&self.mail.policy, &self.verdicts);
            let is_counted = self.hangs_on_earlier_mail();
            if self.claim.is_none() && (is_counted || copies::is_ledgered(self, &disposition)) {
                self.claim().await?;
                if is_counted {
                    continue; // what an earlier attempt at this message took is its own
                }
            }
            match self.record(&disposition).await? {
                Recorded::Done => return Ok(disposition),
                Recorded::Overtaken => tracing::debug!(r#ref = self.mail.reference, "overtaken; deciding again"),
            }
        }
        tracing::warn!(r#ref = self.mail.reference, "too many other messages to the same recipient");
        Err(self.fault())
    }

    /// Only advertising is looked into: it has to carry a way out (E11).
    fn look_at_body(&mut self) -> Result<(), Reply> {
        if !self.classification.asks_about_the_recipient() {
            return Ok(());
        }
        let on_signed = self.on_signed();
        let looked =
            body::look(self.worker, &mut self.mail, &self.head, &self.classification, on_signed).map_err(|error| {
                tracing::error!(r#ref = self.mail.reference, "the message cannot be read back: {error}");
                self.fault()
            })?;
        self.body = looked.plan;
        self.facts.body = Some(looked.facts.clone());
        self.classification.body = Some(looked.facts);
        Ok(())
    }

    /// Consults and decides.
    async fn judge(&mut self) {
        let recipients: Vec<EmailAddress> = self.mail.envelope.recipients.iter().map(|to| to.address.clone()).collect();
        let consulted = self.consult(&recipients).await;
        self.at = Timestamp::now();
        let failing = self.worker.gate.link.failing_since();
        let verdict = |n: usize, recipient| {
            let consultation = match &consulted {
                Ok((known, _)) => Consultation::Known(&known[n]),
                Err(_) => Consultation::Unavailable,
            };
            decide_with_link(&self.mail.policy, &self.classification, recipient, consultation, failing, self.at)
        };
        self.verdicts = recipients.iter().enumerate().map(|(n, recipient)| verdict(n, recipient)).collect();
        let (known, event_seq) = consulted.unwrap_or_else(|_| (vec![Consulted::default(); recipients.len()], 0));
        self.contacts = known.iter().map(|one| one.contact_id).collect();
        self.seen = Seen { event_seq, sent_seq: known.first().map_or(0, |one| one.sent_seq) };
    }

    /// One read for all recipients. Mail whose verdict does not depend on anybody's
    /// consent asks nothing, so it passes while the store is down (E4 before E6),
    /// unless the policy would rather wait for the store.
    async fn consult(&self, recipients: &[EmailAddress]) -> Consultations {
        let classification = &self.classification;
        let outcome = match &classification.controller {
            Some(controller) if classification.asks_about_the_recipient() => {
                self.worker.consult(controller, recipients).await
            }
            _ if self.mail.policy.service_without_store == ServiceWithoutStore::Defer => {
                self.worker.consult("", &[]).await
            }
            _ => Ok((Vec::new(), 0)),
        };
        if let Err(error) = &outcome {
            tracing::error!("the consent store gives no answer: {error}");
        }
        outcome.map(|(mut known, seq)| {
            known.resize(recipients.len(), Consulted::default());
            for one in &mut known {
                self.attempt.iter().for_each(|attempt| one.forget_attempt(attempt));
            }
            (known, seq)
        })
    }

    /// Whether anybody's verdict would be another without the mail that went before. While nothing is enforced no
    /// verdict matters to what goes.
    fn hangs_on_earlier_mail(&self) -> bool {
        self.mail.policy.mode == Mode::Enforce && self.verdicts.iter().any(|verdict| verdict.room.is_some())
    }

    /// Waits for an earlier attempt at the same message that is still under way.
    async fn claim(&mut self) -> Result<(), Reply> {
        let attempt = copies::ledger_key(&mut self.mail, &self.head).map_err(|_| self.fault())?;
        let patience = self.door.settings.fanout_budget;
        self.claim = self.worker.gate.in_flight.claim(attempt, patience).await;
        self.attempt = Some(attempt);
        if self.claim.is_none() { Err(self.fault()) } else { Ok(()) }
    }

    /// The message's key in the delivery ledger, where its copies are kept there.
    pub fn ledger_key(&self) -> Option<[u8; 32]> {
        self.attempt.filter(|_| self.claim.is_some())
    }

    fn fault(&self) -> Reply {
        Reply::gate_fault(&self.mail.reference)
    }
}

impl Transaction<'_> {
    /// The decision is durable before it takes effect; for service mail as
    /// `journal.service` says. An error is the reply for a decision that nobody
    /// could audit and that is therefore not carried out.
    async fn record(&mut self, disposition: &Disposition) -> Result<Recorded, Reply> {
        if self.list_fields_are_signed() && *disposition != Disposition::Forward {
            self.note(if self.on_signed() == OnSigned::Resign { "resigned" } else { "signed_unsub" });
        }
        let row = record::message_record(self, disposition);
        let counted: Vec<EmailAddress> =
            row.places.taken.iter().filter(|place| place.room.is_some()).map(|place| place.recipient.clone()).collect();
        let store = &self.worker.gate.store;
        let is_service = self.is_service_to_all() && counted.is_empty();
        let passes = is_service && self.mail.policy.service_without_store == ServiceWithoutStore::Pass;
        // Mail that is to wait for the store has to find out whether it can be written.
        if *disposition == Disposition::Defer
            || passes && self.worker.gate.settings.journal_service == JournalService::After
        {
            store.record_message_later(row);
            return Ok(Recorded::Done);
        }
        let error = match store.record_message(row).await {
            Ok(()) => {
                self.counted = counted;
                return Ok(Recorded::Done);
            }
            Err(StoreError::PlaceTaken) => return Ok(Recorded::Overtaken),
            Err(error) => error,
        };
        tracing::error!(r#ref = self.mail.reference, "the decision cannot be recorded: {error}");
        // A mode that changes nothing does not start to because the journal is full.
        let is_trial = *disposition == Disposition::Forward && !is_service;
        if passes || is_trial {
            return Ok(Recorded::Done);
        }
        store.release_places(self.mail.reference.clone()); // it may still be written, and will not have gone
        Err(self.fault())
    }

    /// Once, however often the message is decided.
    fn note(&mut self, note: &str) {
        if !self.mail.notes.iter().any(|known| known == note) {
            self.mail.notes.push(note.into());
        }
    }

    /// What is service mail only to some may have turned out to be advertising.
    fn is_service_to_all(&self) -> bool {
        let is_service = |verdict: &Verdict| verdict.basis == Some(Basis::Service);
        self.classification.class == Class::Service && self.verdicts.iter().all(is_service)
    }

    /// Whether a signature covers the fields a personal copy would add (R56).
    pub fn list_fields_are_signed(&self) -> bool {
        signature::signature_covers_list_fields(&self.head, self.mail.spool.memory())
    }

    /// What is done about a signature that an edit of ours would break.
    pub fn on_signed(&self) -> OnSigned {
        let (settings, wire) = (&self.worker.gate.settings, self.mail.spool.memory());
        settings.on_signed(&self.mail.policy, self.door.upstream.settings(), &self.head, wire)
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
            .map(|verdict| verdict.refusal_text(&self.mail.reference))
            .collect();
        Reply::withheld(lines)
    }

    /// What has to end before the same message can go: the gate's own faults before anybody's limit.
    fn deferral(&self) -> Reply {
        let reference = &self.mail.reference;
        let waits_for_the_link = |verdict: &&Verdict| verdict.reason == Reason::EndpointDown;
        if let Some(verdict) = self.verdicts.iter().find(waits_for_the_link) {
            return Reply::new(verdict.reply_code(), verdict.reply_text(reference));
        }
        let mut deferred = self.verdicts.iter().filter(|verdict| verdict.decision == Decision::Defer);
        if !deferred.all(Verdict::waits_for_room) {
            return self.fault();
        }
        let waiting = distinct(&self.verdicts).into_iter().map(|n| &self.verdicts[n]);
        let waiting = waiting.filter(|verdict| verdict.waits_for_room());
        Reply::not_yet(waiting.map(|verdict| verdict.reply_text(reference)).collect())
    }

    async fn withhold(&mut self, hop: &mut Hop, reply: Reply, result: OutcomeResult) -> Answer {
        hop.reset().await;
        for verdict in &self.verdicts {
            let text = self.own_line(verdict, &reply, result);
            record::answered(self, &verdict.recipient, result, (reply.code(), text)).await;
        }
        reply.into()
    }

    /// What one recipient's row keeps of the reply: a line that names another recipient belongs to that one's row.
    fn own_line(&self, verdict: &Verdict, reply: &Reply, result: OutcomeResult) -> Option<String> {
        let reference = &self.mail.reference;
        match (result, verdict.decision) {
            (OutcomeResult::Refused, Decision::Block | Decision::Defer) => Some(verdict.refusal_text(reference)),
            (OutcomeResult::Deferred, Decision::Defer) => Some(verdict.reply_text(reference)),
            (OutcomeResult::Refused | OutcomeResult::Deferred, _) => None,
            // Names nobody.
            _ => Some(reply.text()),
        }
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
        let ledger_key = self.ledger_key();
        let name = copies::everybody(self.verdicts.iter().map(|verdict| &verdict.recipient));
        if let Some((result, reply)) = self.earlier_attempt(ledger_key, &name).await {
            hop.reset().await;
            self.outcomes(result, Some(&reply)).await;
            return Answer { reply, ledger_key };
        }
        // Whoever waits for it waits for the message, not for its signature.
        let mut edits = HeaderEdits::default();
        let head = self.signed_head(&mut edits, None).await.unwrap_or_else(|error| {
            tracing::error!(r#ref = self.mail.reference, "it goes unsigned: {error}");
            self.applied(&edits)
        });
        let envelope = self.mail.envelope.clone();
        let reference = self.mail.reference.clone();
        let recipients = self
            .verdicts
            .iter()
            .zip(&envelope.recipients)
            .filter_map(|(verdict, to)| Some((verdict.permit()?, &to.parameters)))
            .collect();
        let handing = Handing { from: &envelope.from, parameters: &envelope.parameters, recipients };
        let (spool, body_start) = (&mut self.mail.spool, self.head.body_start());
        let content = Content { head: &head, spool, body_start, body: BodyEdits::default() };
        let commit = copies::commit_point(self.worker, self.client, &reference, ledger_key, name);
        let handover = hop.hand_over(&handing, content, &commit).await;
        let (result, reply) = copies::settle(self.worker, &reference, handover, ledger_key, name).await;
        self.outcomes(result, Some(&reply)).await;
        Answer { reply, ledger_key }
    }

    async fn outcomes(&self, result: OutcomeResult, reply: Option<&Reply>) {
        for verdict in &self.verdicts {
            record::outcome(self, &verdict.recipient, result, reply).await;
        }
    }

    /// The header section as it leaves, signed where there is a key for its author. A copy with something of its own
    /// (`body`, its edits below) always gets our signature; any other only where the author's has not signed it already.
    pub async fn signed_head(
        &mut self,
        edits: &mut HeaderEdits,
        body: Option<&BodyEdits>,
    ) -> Result<Vec<u8>, Unsigned> {
        self.complete(edits);
        let head = self.applied(edits);
        let wire = self.mail.spool.memory();
        let signer = signing::signer(&self.worker.gate, &self.door.upstream, &self.head, wire);
        let marks = list::gate_fields(&self.head, wire);
        let breaks = !marks.is_empty() && signature::signature_covers(&self.head, wire, list::is_gate_field);
        let is_needed = |domain: &&DkimDomain| {
            body.is_some() || breaks || !signature::has_aligned_signature(&self.head, wire, &domain.domain)
        };
        let Some(domain) = signer.filter(is_needed) else {
            return Ok(head);
        };
        let (spool, body_start) = (&mut self.mail.spool, self.head.body_start());
        let hash = match (body.filter(|edits| !edits.is_empty()), self.body_hash) {
            (Some(edits), _) => signing::body_hash(spool, body_start, edits).await?,
            (None, Some(known)) => known,
            (None, None) => *self.body_hash.insert(signing::body_hash(spool, body_start, &BodyEdits::default()).await?),
        };
        let signatures = signing::signatures(domain, &head, &hash)?;
        edits.insert.splice(1..1, signatures); // below our Received, above all that is signed
        Ok(self.applied(edits))
    }

    /// The header section with these edits.
    pub fn applied(&self, edits: &HeaderEdits) -> Vec<u8> {
        edits.apply(&self.mail.spool.memory()[..self.head.body_start()], &self.head)
    }

    /// What every message gets: our Received on top, the gate's own fields gone.
    fn complete(&self, edits: &mut HeaderEdits) {
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
    }
}
