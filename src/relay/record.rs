//! A decision as the journal keeps it, and as the log tells it.

use jiff::Timestamp;

use super::personal::ListPlan;
use super::transaction::{Mail, Transaction};
use crate::message::list;
use crate::policy::classify::classify;
use crate::policy::disposition::Disposition;
use crate::policy::facts::MessageFacts;
use crate::policy::rules::Policy;
use crate::policy::verdict::{Decision, Verdict};
use crate::smtp::address::EmailAddress;
use crate::smtp::reply::Reply;
use crate::store::{MessageRecord, Outcome, OutcomeResult, RecordedVerdict};

/// The journal row of a message, with one verdict for each recipient.
pub fn message_record(transaction: &Transaction<'_>, disposition: &Disposition) -> MessageRecord {
    let mail = &transaction.mail;
    let class = &transaction.classification;
    let reference = &mail.reference;
    let verdicts = transaction.verdicts.iter().map(|verdict| {
        let told = matches!(disposition, Disposition::Refuse) && verdict.decision != Decision::Allow;
        RecordedVerdict::new(verdict, told.then(|| format!("550 {}", verdict.reply_text(reference))))
    });
    MessageRecord {
        reference: reference.clone(),
        at: transaction.at,
        session: mail.session.clone(),
        listener: mail.origin.listener.clone(),
        credential: mail.origin.credential.clone(),
        client: mail.origin.client.to_string(),
        envelope_from: mail.envelope.from.as_str().to_string(),
        message_id: message_id(transaction),
        size: mail.spool.size(),
        class: class.class,
        class_rule: class.rule.clone(),
        class_evidence: class.evidence.clone(),
        controller: class.controller.clone(),
        topics: class.topics.clone(),
        families: class.families.clone(),
        policy_hash: mail.policy.hash.clone(),
        mode: mail.policy.mode,
        facts: transaction.facts.clone(),
        notes: notes(transaction, disposition),
        event_seq: transaction.event_seq,
        upstream: transaction.door.upstream.name().to_string(),
        verdicts: verdicts.collect(),
    }
}

fn message_id(transaction: &Transaction<'_>) -> Option<String> {
    let wire = transaction.mail.spool.memory();
    let field = transaction.head.fields(wire).find(|field| field.is("Message-ID"))?;
    Some(field.unfolded().chars().take(998).collect())
}

fn notes(transaction: &Transaction<'_>, disposition: &Disposition) -> Vec<String> {
    let mut notes = transaction.mail.notes.clone();
    let wire = transaction.mail.spool.memory();
    if matches!(disposition, Disposition::Copies { .. }) {
        let has_own = !list::existing_list_fields(&transaction.head, wire).is_empty();
        notes.extend(ListPlan::of(transaction).note(has_own).map(String::from));
        if has_own
            && ListPlan::of(transaction) == ListPlan::Keep
            && !list::is_one_click_capable(&transaction.head, wire)
        {
            notes.push("unsub_kept_without_one_click".into());
        }
    }
    notes
}

/// A recipient refused at RCPT, before there was a message.
pub struct Early<'a> {
    pub session: &'a str,
    pub policy: &'a Policy,
    pub upstream: &'a str,
    pub reference: String,
}

impl Early<'_> {
    pub fn message_record(&self, facts: MessageFacts, verdict: &Verdict, event_seq: i64) -> MessageRecord {
        let class = classify(self.policy, &facts);
        let reply = format!("{} {}", verdict.reply_code(), verdict.reply_text(&self.reference));
        MessageRecord {
            reference: self.reference.clone(),
            at: Timestamp::now(),
            session: self.session.to_string(),
            listener: facts.origin.listener.clone(),
            credential: facts.origin.credential.clone(),
            client: facts.origin.client.to_string(),
            envelope_from: facts.envelope_from.as_str().to_string(),
            message_id: None,
            size: 0,
            class: class.class,
            class_rule: class.rule,
            class_evidence: class.evidence,
            controller: class.controller,
            topics: class.topics,
            families: class.families,
            policy_hash: self.policy.hash.clone(),
            mode: self.policy.mode,
            facts,
            notes: vec!["refused_at_rcpt".into()],
            event_seq,
            upstream: self.upstream.to_string(),
            verdicts: vec![RecordedVerdict::new(verdict, Some(reply))],
        }
    }
}

/// What became of one recipient's copy: into the journal with the next group
/// commit, and into the log.
pub fn outcome(transaction: &Transaction<'_>, recipient: &EmailAddress, result: OutcomeResult, reply: Option<&Reply>) {
    let took = transaction.mail.taken.elapsed();
    transaction.worker.gate.store.record_outcome(Outcome {
        reference: transaction.mail.reference.clone(),
        recipient: Some(recipient.clone()),
        result,
        code: reply.map(Reply::code),
        text: reply.map(Reply::text),
        at: Timestamp::now(),
        took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
    });
    let Some(verdict) = transaction.verdicts.iter().find(|verdict| verdict.recipient == *recipient) else {
        return;
    };
    tell(transaction, verdict, reply, took.as_micros());
}

/// One decision, one event, always the same fields; the address only where the operator asked for it.
fn tell(transaction: &Transaction<'_>, verdict: &Verdict, reply: Option<&Reply>, took_us: u128) {
    let mail = &transaction.mail;
    let class = &transaction.classification;
    let recipient = transaction.worker.gate.settings.log.addresses.then(|| verdict.recipient.as_str());
    tracing::info!(
        r#ref = mail.reference,
        session = mail.session,
        listener = mail.origin.listener,
        credential = mail.origin.credential,
        class = class.class.as_str(),
        class_rule = class.rule,
        controller = class.controller,
        topics = class.topics.join(","),
        decision = verdict.decision.as_str(),
        reason = %verdict.reason,
        basis = verdict.basis.map(|basis| basis.as_str()),
        policy = mail.policy.hash,
        upstream = transaction.door.upstream.name(),
        upstream_code = reply.map(Reply::code),
        took_us = u64::try_from(took_us).unwrap_or(u64::MAX),
        recipient,
        "decided"
    );
}

/// The same event for a recipient refused at RCPT: upstream was not asked.
pub fn tell_early(row: &MessageRecord, verdict: &Verdict) {
    tracing::info!(
        r#ref = row.reference,
        session = row.session,
        listener = row.listener,
        credential = row.credential,
        class = row.class.as_str(),
        class_rule = row.class_rule,
        controller = row.controller,
        topics = row.topics.join(","),
        decision = verdict.decision.as_str(),
        reason = %verdict.reason,
        policy = row.policy_hash,
        upstream = row.upstream,
        "decided"
    );
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
