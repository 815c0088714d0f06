//! A decision as the journal keeps it, and as the log tells it.

use std::time::Duration;

use jiff::Timestamp;

use super::personal::ListPlan;
use super::transaction::{Mail, Transaction};
use crate::message::list;
use crate::policy::classify::Classification;
use crate::policy::disposition::{Disposition, distinct, is_personal};
use crate::policy::facts::MessageFacts;
use crate::policy::rules::{ExistingListHeaders, Mode, Policy};
use crate::policy::verdict::{Basis, Decision, Reason, Verdict};
use crate::smtp::address::EmailAddress;
use crate::smtp::reply::Reply;
use crate::store::{MessageRecord, Outcome, OutcomeResult, Place, Places, RecordedVerdict, Seen};

/// What a decision was about: the same for the journal and for the log.
pub struct Decided<'a> {
    pub reference: &'a str,
    pub session: &'a str,
    pub policy: &'a Policy,
    pub upstream: &'a str,
    pub facts: &'a MessageFacts,
    pub class: &'a Classification,
}

impl<'a> Decided<'a> {
    fn of(transaction: &'a Transaction<'_>) -> Decided<'a> {
        Decided {
            reference: &transaction.mail.reference,
            session: &transaction.mail.session,
            policy: &transaction.mail.policy,
            upstream: transaction.door.upstream.name(),
            facts: &transaction.facts,
            class: &transaction.classification,
        }
    }

    /// The journal row of a message of which nothing more is known, and which has no verdicts yet.
    pub fn row(&self) -> MessageRecord {
        let (origin, class) = (&self.facts.origin, self.class);
        MessageRecord {
            reference: self.reference.to_string(),
            at: Timestamp::now(),
            session: self.session.to_string(),
            listener: origin.listener.clone(),
            credential: origin.credential.clone(),
            client: origin.client.to_string(),
            envelope_from: self.facts.envelope_from.as_str().to_string(),
            message_id: None,
            size: 0,
            class: class.class,
            class_rule: class.rule.clone(),
            class_evidence: class.evidence.clone(),
            controller: class.controller.clone(),
            topics: class.topics.clone(),
            families: class.families.clone(),
            policy_hash: self.policy.hash.clone(),
            mode: self.policy.mode,
            facts: self.facts.clone(),
            notes: Vec::new(),
            event_seq: 0,
            upstream: self.upstream.to_string(),
            verdicts: Vec::new(),
            places: Places::default(),
        }
    }

    /// The row of a recipient refused at RCPT, before there was a message.
    pub fn early_record(&self, verdict: &Verdict, seen: Seen) -> MessageRecord {
        let reply = format!("{} {}", verdict.reply_code(), verdict.reply_text(self.reference));
        MessageRecord {
            notes: vec!["refused_at_rcpt".into()],
            event_seq: seen.event_seq,
            verdicts: vec![RecordedVerdict::new(verdict, Some(reply))],
            places: Places { seen: seen.sent_seq, ..Places::default() },
            ..self.row()
        }
    }

    /// What these verdicts take of the room that earlier mail leaves.
    pub fn places<'v>(
        &self,
        verdicts: impl Iterator<Item = &'v Verdict>,
        seen: Seen,
        attempt: Option<[u8; 32]>,
    ) -> Places {
        let is_enforced = self.policy.mode == Mode::Enforce;
        let taken = verdicts.filter_map(|verdict| place(verdict, is_enforced)).collect();
        Places { seen: seen.sent_seq, attempt, kinds: self.class.kinds.clone(), taken }
    }

    /// One decision, one event, always the same fields.
    pub fn tell(&self, verdict: &Verdict, upstream_code: Option<u16>, took: Duration, recipient: Option<&str>) {
        tracing::info!(
            r#ref = self.reference,
            session = self.session,
            listener = self.facts.origin.listener,
            credential = self.facts.origin.credential,
            class = self.class.class.as_str(),
            class_rule = self.class.rule,
            controller = self.class.controller,
            topics = self.class.topics.join(","),
            decision = verdict.decision.as_str(),
            reason = %verdict.reason,
            basis = verdict.basis.map(|basis| basis.as_str()),
            policy = self.policy.hash,
            upstream = self.upstream,
            upstream_code,
            took_us = micros(took),
            recipient,
            "decided"
        );
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// The journal row of a message, with one verdict for each recipient.
pub fn message_record(transaction: &Transaction<'_>, disposition: &Disposition) -> MessageRecord {
    let reference = &transaction.mail.reference;
    let told = |verdict: &Verdict| match disposition {
        Disposition::Refuse if verdict.decision != Decision::Allow => {
            Some(format!("550 {}", verdict.refusal_text(reference)))
        }
        Disposition::Defer if verdict.waits_for_room() => Some(format!("451 {}", verdict.reply_text(reference))),
        _ => None,
    };
    let verdicts = transaction.verdicts.iter().map(|verdict| RecordedVerdict::new(verdict, told(verdict)));
    let decided = Decided::of(transaction);
    let going = going(disposition, &transaction.verdicts).into_iter().map(|n| &transaction.verdicts[n]);
    MessageRecord {
        at: transaction.at,
        message_id: message_id(transaction),
        size: transaction.mail.spool.size(),
        notes: notes(transaction, disposition),
        event_seq: transaction.seen.event_seq,
        verdicts: verdicts.collect(),
        places: decided.places(going, transaction.seen, transaction.attempt),
        ..decided.row()
    }
}

/// Whose copies leave, by position.
fn going(disposition: &Disposition, verdicts: &[Verdict]) -> Vec<usize> {
    match disposition {
        Disposition::Forward => distinct(verdicts),
        Disposition::Copies { permitted, .. } => permitted.clone(),
        Disposition::Refuse | Disposition::Defer | Disposition::Discard => Vec::new(),
    }
}

/// Advertising takes a place, and so do a notice of deletion and a request to confirm. While nothing is enforced it goes whether there is room
/// or not.
fn place(verdict: &Verdict, is_enforced: bool) -> Option<Place> {
    let promotional = verdict.basis != Some(Basis::Service);
    let room = verdict.room.filter(|_| is_enforced);
    let counts = promotional || matches!(verdict.reason, Reason::SvcRetention | Reason::SvcDoi);
    counts.then(|| Place { recipient: verdict.recipient.clone(), promotional, room })
}

fn message_id(transaction: &Transaction<'_>) -> Option<String> {
    let wire = transaction.mail.spool.memory();
    let field = transaction.head.fields(wire).find(|field| field.is("Message-ID"))?;
    Some(field.unfolded().chars().take(998).collect())
}

fn notes(transaction: &Transaction<'_>, disposition: &Disposition) -> Vec<String> {
    let mut notes = transaction.mail.notes.clone();
    notes.extend(way_out_note(transaction).map(String::from));
    if !matches!(disposition, Disposition::Copies { .. }) {
        return notes;
    }
    let wire = transaction.mail.spool.memory();
    let has_own = !list::existing_list_fields(&transaction.head, wire).is_empty();
    let plan = ListPlan::of(transaction);
    notes.extend(plan.note(has_own).map(String::from));
    // What cannot be passed on is told: a mailto, a page, somebody else's host, or one link for several people.
    if has_own
        && plan == ListPlan::Replace
        && transaction.mail.policy.existing_list_headers == ExistingListHeaders::Chain
    {
        notes.push("unsub_not_chained".into());
    }
    if has_own && plan == ListPlan::Keep && !list::is_one_click_capable(&transaction.head, wire) {
        notes.push("unsub_kept_without_one_click".into());
    }
    notes
}

/// What is said of a body without a way out that goes all the same.
fn way_out_note(transaction: &Transaction<'_>) -> Option<&'static str> {
    let offers_none = transaction.facts.body.as_ref().is_some_and(|body| body.way_out.is_none());
    if transaction.verdicts.iter().any(|verdict| verdict.footer) {
        return Some("footer");
    }
    let passes = |verdict: &Verdict| verdict.decision == Decision::Allow && is_personal(verdict);
    (offers_none && transaction.verdicts.iter().any(passes)).then_some("no_way_out")
}

/// What became of one recipient's copy: into the journal with the next group commit, and into the log. Where a place
/// is given back that others may be waiting for, it is durable before the client hears of it.
pub async fn outcome(
    transaction: &Transaction<'_>,
    recipient: &EmailAddress,
    result: OutcomeResult,
    reply: Option<&Reply>,
) {
    let (code, text) = (reply.map(Reply::code), reply.map(Reply::text));
    settle(transaction, recipient, result, code, text).await;
}

/// The same, of a whole message that we answered ourselves: of what the client was told, the part that is about this
/// recipient.
pub async fn answered(
    transaction: &Transaction<'_>,
    recipient: &EmailAddress,
    result: OutcomeResult,
    (code, own_line): (u16, Option<String>),
) {
    settle(transaction, recipient, result, Some(code), own_line).await;
}

async fn settle(
    transaction: &Transaction<'_>,
    recipient: &EmailAddress,
    result: OutcomeResult,
    code: Option<u16>,
    text: Option<String>,
) {
    let took = transaction.mail.taken.elapsed();
    let outcome = Outcome {
        reference: transaction.mail.reference.clone(),
        recipient: Some(recipient.clone()),
        result,
        code,
        text,
        at: Timestamp::now(),
        took_us: micros(took),
    };
    let store = &transaction.worker.gate.store;
    if !(result.is_certain_no() && transaction.counted.contains(recipient)) {
        store.record_outcome(outcome);
    } else if let Err(error) = store.settle_outcome(outcome).await {
        tracing::error!(
            r#ref = transaction.mail.reference,
            "a place under a cap may not have been given back: {error}"
        );
    }
    let Some(verdict) = transaction.verdicts.iter().find(|verdict| verdict.recipient == *recipient) else {
        return;
    };
    // Of a copy without a permit upstream was not asked: the reply is ours.
    let upstream_code = code.filter(|_| verdict.permit().is_some());
    // The address only where the operator asked for it.
    let recipient = transaction.worker.gate.settings.log.addresses.then(|| verdict.recipient.as_str());
    Decided::of(transaction).tell(verdict, upstream_code, took, recipient);
}

/// A message that was refused before anybody's consent was asked.
pub fn refused_unread(mail: &Mail, reply: &Reply) {
    tracing::info!(
        r#ref = mail.reference,
        session = mail.session,
        listener = mail.origin.listener,
        notes = mail.notes.join(","),
        reply_code = reply.code(),
        reason = reply.text(),
        "refused before classification"
    );
}
