//! A copy for each permitted recipient, and the ledger that makes a retry harmless (R68–R76).

use std::time::Instant;

use ring::digest::{Context, SHA256};

use super::answer::{CopyOutcome, ReportChannel, final_reply};
use super::gate::Worker;
use super::hop::{Handing, Hop};
use super::notify::{self, Undelivered};
use super::personal::{self, ListPlan, PersonalEdits};
use super::record;
use super::tls::Stream;
use super::transaction::{Answer, Mail, Transaction};
use super::upstream::{Content, Handover};
use crate::config::Ledger;
use crate::message::head::MessageHead;
use crate::policy::decide::Consultation;
use crate::policy::disposition::{Disposition, is_personal};
use crate::policy::link::decide_with_link;
use crate::policy::rules::NotifySender;
use crate::policy::verdict::{Decision, Verdict};
use crate::smtp::address::EmailAddress;
use crate::smtp::reply::Reply;
use crate::store::{OutcomeResult, RecordedVerdict, Seen};

/// Delivers a copy to each permitted recipient, reports the others, answers.
pub async fn deliver(
    mut transaction: Transaction<'_>,
    hop: &mut Hop,
    permitted: Vec<usize>,
    withheld: Vec<usize>,
) -> Answer {
    let plan = ListPlan::of(&transaction);
    let too_many = permitted.len() > transaction.door.settings.max_copies;
    if plan == ListPlan::Refuse || too_many {
        hop.reset().await;
        let reply = if too_many {
            Reply::too_many_copies(transaction.door.settings.max_copies)
        } else {
            Reply::signature_in_the_way(&transaction.mail.reference)
        };
        for n in &permitted {
            let recipient = &transaction.verdicts[*n].recipient;
            record::outcome(&transaction, recipient, OutcomeResult::Refused, Some(&reply)).await;
        }
        return reply.into();
    }
    let reported = reportable(&transaction, &withheld);
    for n in &withheld {
        record::outcome(&transaction, &transaction.verdicts[*n].recipient, OutcomeResult::Withheld, None).await;
    }
    let key = transaction.ledger_key();
    let give_up = transaction.mail.taken + transaction.door.settings.fanout_budget;
    let mut fanout = Fanout { key, plan, give_up, is_alone: permitted.len() == 1, outcomes: Vec::new() };
    for n in permitted {
        fanout.deliver_one(&mut transaction, hop, n).await;
    }
    fanout.close(transaction, hop, reported, withheld.len()).await
}

/// Whether what leaves is kept in the delivery ledger: what takes several transactions, or everything if the listener
/// says so (R75).
pub fn is_ledgered(transaction: &Transaction<'_>, disposition: &Disposition) -> bool {
    let all = transaction.door.settings.ledger == Ledger::All;
    match disposition {
        Disposition::Forward => all,
        Disposition::Copies { permitted, withheld } => {
            all || permitted.len() + usize::from(!reportable(transaction, withheld).is_empty()) > 1
        }
        Disposition::Refuse | Disposition::Defer | Disposition::Discard => false,
    }
}

/// Withheld recipients the sender is told about: not those who asked for silence (RFC 3461 section 4.1).
fn reportable(transaction: &Transaction<'_>, withheld: &[usize]) -> Vec<Undelivered> {
    if !has_report_channel(transaction) {
        return Vec::new();
    }
    let verdicts = withheld.iter().map(|n| (*n, &transaction.verdicts[*n]));
    verdicts
        .filter(|(n, _)| !transaction.mail.envelope.recipients[*n].parameters.never_notify())
        .map(|(n, verdict)| Undelivered::withheld(n, verdict))
        .collect()
}

/// A null reverse-path never gets a notice (R26).
fn has_report_channel(transaction: &Transaction<'_>) -> bool {
    transaction.mail.policy.notify_sender == NotifySender::Dsn && !transaction.mail.envelope.from.is_null()
}

struct Fanout {
    key: Option<[u8; 32]>,
    plan: ListPlan,
    give_up: Instant,
    /// One copy and no other: the transaction the client opened upstream may serve.
    is_alone: bool,
    outcomes: Vec<(usize, CopyOutcome)>,
}

impl Fanout {
    async fn deliver_one(&mut self, transaction: &mut Transaction<'_>, hop: &mut Hop, n: usize) {
        let recipient = transaction.verdicts[n].recipient.clone();
        let (result, outcome) = match self.try_one(transaction, hop, n).await {
            Ok(done) => done,
            Err(reply) => (OutcomeResult::Deferred, CopyOutcome::of(reply)),
        };
        let reply = match &outcome {
            CopyOutcome::Accepted(reply) | CopyOutcome::Deferred(reply) | CopyOutcome::Refused(reply) => Some(reply),
            CopyOutcome::Withheld => None,
        };
        record::outcome(transaction, &recipient, result, reply).await;
        self.outcomes.push((n, outcome));
    }

    async fn try_one(
        &mut self,
        transaction: &mut Transaction<'_>,
        hop: &mut Hop,
        n: usize,
    ) -> Result<(OutcomeResult, CopyOutcome), Reply> {
        let name = recipient_digest(&transaction.verdicts[n].recipient);
        if let Some(key) = &self.key
            && let Some(reply) = earlier_reply(transaction.worker, &transaction.mail.reference, key, &name).await?
        {
            return Ok((OutcomeResult::AlreadyDelivered, CopyOutcome::Accepted(reply)));
        }
        if Instant::now() > self.give_up {
            return Err(Reply::gate_fault(&transaction.mail.reference)); // R69a: the retry goes on from here
        }
        if !self.is_alone && !still_permitted(transaction, n).await? {
            return Ok((OutcomeResult::Withheld, CopyOutcome::Withheld));
        }
        let handover = self.hand_over(transaction, hop, n).await;
        let (result, reply) = settle(transaction.worker, &transaction.mail.reference, handover, self.key, name).await;
        Ok((result, CopyOutcome::of(reply)))
    }

    async fn hand_over(&self, transaction: &mut Transaction<'_>, hop: &mut Hop, n: usize) -> Handover {
        let is_personal = is_personal(&transaction.verdicts[n]);
        let edits = match is_personal {
            true => personal::edits(transaction, n, &self.plan),
            false => Some(PersonalEdits::default()),
        };
        let withdrawn = |reference: &str| Handover::Withdrawn(Reply::gate_fault(reference));
        let Some(mut edits) = edits else {
            return withdrawn(&transaction.mail.reference);
        };
        let head = match transaction.signed_head(&mut edits.head, is_personal.then_some(&edits.body)).await {
            Ok(head) => head,
            Err(error) if is_personal => {
                tracing::error!(r#ref = transaction.mail.reference, "a copy is put off: {error}");
                return withdrawn(&transaction.mail.reference);
            }
            Err(error) => {
                tracing::error!(r#ref = transaction.mail.reference, "it goes unsigned: {error}");
                transaction.applied(&edits.head)
            }
        };
        let verdict = &transaction.verdicts[n];
        let Some(permit) = verdict.permit() else {
            return withdrawn(&transaction.mail.reference);
        };
        if let Some(link) = edits.mailer_link.take()
            && let Err(error) = transaction.worker.gate.store.keep_mailer_link(link).await
        {
            tracing::error!("a mailer's link cannot be kept: {error}");
            return Handover::Withdrawn(Reply::cannot_record(&transaction.mail.reference));
        }
        let envelope = &transaction.mail.envelope;
        let parameters = envelope.parameters.for_content_grown_by(edits.body.growth());
        let handing = Handing {
            from: &envelope.from,
            parameters: &parameters,
            recipients: vec![(permit, &envelope.recipients[n].parameters)],
        };
        let (spool, body_start) = (&mut transaction.mail.spool, transaction.head.body_start());
        let content = Content { head: &head, spool, body_start, body: edits.body };
        let name = recipient_digest(&verdict.recipient);
        let commit = commit_point(transaction.worker, transaction.client, &transaction.mail.reference, self.key, name);
        hop.hand_over(&handing, content, &commit).await
    }

    /// Reports what could not be delivered, then composes the final reply.
    async fn close(
        self,
        mut transaction: Transaction<'_>,
        hop: &mut Hop,
        mut reported: Vec<Undelivered>,
        withheld: usize,
    ) -> Answer {
        let channel = if has_report_channel(&transaction) { ReportChannel::Open } else { ReportChannel::None };
        let outcomes: Vec<CopyOutcome> = self.outcomes.iter().map(|(_, outcome)| outcome.clone()).collect();
        let mut reply = final_reply(&outcomes, withheld, channel, &transaction.mail.reference);
        if reply.is_positive() {
            if channel == ReportChannel::Open {
                reported.extend(self.outcomes.iter().filter_map(|(n, outcome)| refused(&transaction, *n, outcome)));
            }
            if !reported.is_empty()
                && let Err(deferred) = self.report(&mut transaction, hop, &reported).await
            {
                reply = deferred;
            }
        } else {
            hop.reset().await;
            reply = self.name_who_has_it(&transaction, reply);
        }
        Answer { reply, ledger_key: self.key }
    }

    /// A refusal of some copies when others were taken and no report can tell (R71).
    fn name_who_has_it(&self, transaction: &Transaction<'_>, reply: Reply) -> Reply {
        let taken = self.outcomes.iter().filter(|(_, outcome)| matches!(outcome, CopyOutcome::Accepted(_)));
        let names: Vec<&str> = taken.map(|(n, _)| transaction.verdicts[*n].recipient.as_str()).collect();
        if reply.is_permanent() && !names.is_empty() { reply.with_delivered(&names) } else { reply }
    }

    /// Hands the notice to upstream before the client hears 250 (R63).
    async fn report(
        &self,
        transaction: &mut Transaction<'_>,
        hop: &mut Hop,
        reported: &[Undelivered],
    ) -> Result<(), Reply> {
        let name = notice_about(reported.iter().map(|one| &transaction.verdicts[one.position].recipient));
        if let Some(key) = &self.key
            && earlier_reply(transaction.worker, &transaction.mail.reference, key, &name).await?.is_some()
        {
            return Ok(());
        }
        let commit = commit_point(transaction.worker, transaction.client, &transaction.mail.reference, self.key, name);
        let handover = notify::hand_over(transaction, hop, reported, &commit).await;
        let (result, reply) = settle(transaction.worker, &transaction.mail.reference, handover, self.key, name).await;
        if result == OutcomeResult::Delivered {
            return Ok(());
        }
        tracing::warn!(
            r#ref = transaction.mail.reference,
            upstream_code = reply.code(),
            "the notice of withheld recipients could not be handed over"
        );
        Err(Reply::cannot_report(&transaction.mail.reference))
    }
}

fn refused(transaction: &Transaction<'_>, n: usize, outcome: &CopyOutcome) -> Option<Undelivered> {
    match outcome {
        CopyOutcome::Refused(reply) => Some(Undelivered::refused(n, reply)),
        CopyOutcome::Withheld => Some(Undelivered::withheld(n, &transaction.verdicts[n])),
        _ => None,
    }
    .filter(|_| !transaction.mail.envelope.recipients[n].parameters.never_notify())
}

/// Each copy's recipient is read once more right before its own DATA (R59). The
/// new verdict replaces the old one, in the journal too.
async fn still_permitted(transaction: &mut Transaction<'_>, n: usize) -> Result<bool, Reply> {
    let fault = || Reply::gate_fault(&transaction.mail.reference);
    let Some(controller) = transaction.classification.controller.as_deref() else {
        return Ok(true); // service mail: nobody's consent is asked
    };
    if !transaction.classification.asks_about_the_recipient() {
        return Ok(true);
    }
    let recipient = [transaction.verdicts[n].recipient.clone()];
    let (mut known, event_seq) = transaction.worker.consult(controller, &recipient).await.map_err(|_| fault())?;
    // The place it has itself taken is not in its way.
    transaction.attempt.iter().for_each(|attempt| known[0].forget_attempt(attempt));
    let seen = Seen { event_seq, sent_seq: known[0].sent_seq };
    let policy = &transaction.mail.policy;
    let consultation = Consultation::Known(&known[0]);
    let now = jiff::Timestamp::now();
    let failing = transaction.worker.gate.link.failing_since();
    let verdict = decide_with_link(policy, &transaction.classification, &recipient[0], consultation, failing, now);
    if verdict.decision == Decision::Allow {
        return Ok(true);
    }
    replace_verdict(transaction, n, verdict, seen).await?;
    Ok(false)
}

async fn replace_verdict(
    transaction: &mut Transaction<'_>,
    n: usize,
    verdict: Verdict,
    seen: Seen,
) -> Result<(), Reply> {
    let revised = RecordedVerdict::new(&verdict, None);
    transaction.verdicts[n] = verdict;
    let store = &transaction.worker.gate.store;
    let recorded = store.revise_verdict(transaction.mail.reference.clone(), revised, seen).await;
    recorded.map_err(|_| Reply::gate_fault(&transaction.mail.reference))
}

/// The last moment before the final dot: the client must still be there (R77),
/// and the intent must be durable (R70, R76).
pub fn commit_point<'a>(
    worker: &'a Worker,
    client: &'a Stream,
    reference: &'a str,
    key: Option<[u8; 32]>,
    name: [u8; 16],
) -> impl AsyncFn() -> Result<(), Reply> + 'a {
    async move || {
        if client.is_reset() {
            tracing::info!(note = "client_gone", "the client is gone; nothing was handed over");
            return Err(Reply::session_failed());
        }
        match key {
            Some(key) => worker.gate.store.delivery_intent(key, name).await.map_err(|error| {
                tracing::error!("the delivery ledger cannot be written: {error}");
                Reply::cannot_record(reference)
            }),
            None => Ok(()),
        }
    }
}

/// Writes what became of a copy into the ledger and says it in words; the log hears of a copy nobody knows about.
pub async fn settle(
    worker: &Worker,
    reference: &str,
    handover: Handover,
    key: Option<[u8; 32]>,
    name: [u8; 16],
) -> (OutcomeResult, Reply) {
    let store = &worker.gate.store;
    let (result, reply) = match handover {
        Handover::Answered(reply) if reply.is_positive() => (OutcomeResult::Delivered, reply),
        Handover::Answered(reply) if reply.is_permanent() => (OutcomeResult::Refused, reply),
        Handover::Answered(reply) | Handover::Withdrawn(reply) => (OutcomeResult::Deferred, reply),
        Handover::NotStarted(error) | Handover::NotSent(error) => (OutcomeResult::Deferred, error.reply()),
        // The intent stays: a retry sends again, at least once (R74). However it was lost, the answer is lost (2.L).
        Handover::Unknown(error) => {
            tracing::warn!(r#ref = reference, note = "indeterminate", "no answer after the final dot: {error}");
            return (OutcomeResult::Unknown, Reply::upstream_lost());
        }
    };
    if let Some(key) = key {
        let written = match result {
            OutcomeResult::Delivered => {
                store.delivery_done(key, name, &format!("{} {}", reply.code(), reply.text())).await
            }
            _ => store.delivery_forget(key, name).await,
        };
        if let Err(error) = written {
            tracing::error!("the delivery ledger cannot be written: {error}");
        }
    }
    (result, reply)
}

/// Upstream's reply to a copy that an earlier attempt delivered. While nobody can tell whether there was one, none is
/// sent.
pub async fn earlier_reply(
    worker: &Worker,
    reference: &str,
    key: &[u8; 32],
    name: &[u8; 16],
) -> Result<Option<Reply>, Reply> {
    let deliveries = worker.read(|reader| reader.deliveries(key)).await.map_err(|error| {
        tracing::error!("the delivery ledger cannot be read: {error}");
        Reply::gate_fault(reference)
    })?;
    let done = deliveries.into_iter().find(|delivery| delivery.done && delivery.recipient == *name);
    Ok(done.map(|done| {
        let text = done.reply.as_deref().and_then(|reply| reply.split_once(' ')).map_or("2.0.0 Ok", |(_, text)| text);
        Reply::new(250, text)
    }))
}

/// What makes two attempts the same message: who sends it, the reverse-path, and
/// the content without its trace; or the identity a trusted mailer gave it (R72).
/// Fails when the content cannot be read back.
pub fn ledger_key(mail: &mut Mail, head: &MessageHead) -> std::io::Result<[u8; 32]> {
    let mut digest = Context::new(&SHA256);
    let client = mail.origin.credential.clone().unwrap_or_else(|| mail.origin.client.to_string());
    for part in [client.as_str(), mail.envelope.from.as_str()] {
        digest.update(part.as_bytes());
        digest.update(&[0]);
    }
    let wire = mail.spool.memory();
    let named = head.fields(wire).find(|field| mail.origin.trust_headers && field.is("X-Consentry-Id"));
    if let Some(field) = named {
        digest.update(field.unfolded().as_bytes());
    } else {
        for field in head.fields(wire).filter(|field| !field.is("Received")) {
            digest.update(&wire[field.span()]);
        }
        let mut pieces = mail.spool.read_from(head.body_start())?;
        loop {
            let piece = pieces.next_piece()?;
            if piece.is_empty() {
                break;
            }
            digest.update(piece);
        }
    }
    let mut key = [0; 32];
    key.copy_from_slice(digest.finish().as_ref());
    Ok(key)
}

/// A recipient in the ledger: no address in clear.
fn recipient_digest(recipient: &EmailAddress) -> [u8; 16] {
    name_of(recipient.consent_key().as_bytes())
}

/// The ledger's name for a message that goes to all of these in one transaction.
pub fn everybody<'a>(recipients: impl Iterator<Item = &'a EmailAddress>) -> [u8; 16] {
    of_all("to", recipients)
}

/// The ledger's name for the notice about these.
fn notice_about<'a>(recipients: impl Iterator<Item = &'a EmailAddress>) -> [u8; 16] {
    of_all("about", recipients)
}

fn of_all<'a>(what: &str, recipients: impl Iterator<Item = &'a EmailAddress>) -> [u8; 16] {
    let mut keys: Vec<String> = recipients.map(EmailAddress::consent_key).collect();
    keys.sort_unstable();
    keys.insert(0, what.to_string()); // no address: it has no @
    name_of(keys.join("\0").as_bytes())
}

fn name_of(text: &[u8]) -> [u8; 16] {
    let digest = ring::digest::digest(&SHA256, text);
    let mut name = [0; 16];
    name.copy_from_slice(&digest.as_ref()[..16]);
    name
}
