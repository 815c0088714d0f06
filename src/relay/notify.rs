//! The notice to the envelope sender about recipients who got no copy (R63).

use ulid::Ulid;

use super::hop::{Handing, Hop};
use super::signing;
use super::spool::Spool;
use super::transaction::Transaction;
use super::upstream::{Content, Handover};
use crate::consent::state::Consulted;
use crate::message::body_edit::BodyEdits;
use crate::message::notice::{Cause, Notice, WithheldRecipient};
use crate::policy::classify::Classification;
use crate::policy::decide::{Consultation, decide};
use crate::policy::verdict::Verdict;
use crate::smtp::address::{EmailAddress, ReversePath};
use crate::smtp::command::{Body, MailParameters, RcptParameters};
use crate::smtp::reply::Reply;

/// A recipient of the message who got no copy, by its position in the envelope.
pub struct Undelivered {
    pub position: usize,
    status: String,
    why: Why,
}

enum Why {
    Withheld { code: String, sentence: String },
    Refused { reply: String },
}

impl Undelivered {
    pub fn withheld(position: usize, verdict: &Verdict) -> Undelivered {
        let why = Why::Withheld { code: verdict.reason.to_string(), sentence: verdict.because.to_string() };
        Undelivered { position, status: "5.7.1".into(), why }
    }

    /// Refused by upstream for good.
    pub fn refused(position: usize, reply: &Reply) -> Undelivered {
        let why = Why::Refused { reply: format!("{} {}", reply.code(), reply.text()) };
        Undelivered { position, status: reply.enhanced().unwrap_or("5.0.0").into(), why }
    }

    fn cause(&self) -> Cause<'_> {
        match &self.why {
            Why::Withheld { code, sentence } => Cause::Withheld { reason: code, sentence },
            Why::Refused { reply } => Cause::Refused { reply },
        }
    }
}

/// Hands the notice to upstream, permitted as system mail by the same decision as any other.
pub async fn hand_over(
    transaction: &Transaction<'_>,
    hop: &mut Hop,
    undelivered: &[Undelivered],
    commit: &impl AsyncFn() -> Result<(), Reply>,
) -> Handover {
    let fault = || Handover::Withdrawn(Reply::gate_fault(&transaction.mail.reference));
    let Some(sender) = transaction.mail.envelope.from.mailbox() else {
        return fault();
    };
    let wire = compose(transaction, sender, undelivered);
    let Some(verdict) = permit(transaction) else {
        return fault();
    };
    let Some(permit) = verdict.permit().filter(|permit| permit.recipient() == sender) else {
        return fault();
    };
    let mut spool = Spool::new(&transaction.worker.gate.spool, u64::MAX);
    spool.append(&wire);
    if spool.fault().is_some() {
        return fault();
    }
    let parameters = RcptParameters::default();
    let needs_utf8 = !sender.is_ascii();
    let handing = Handing {
        from: &ReversePath::Null,
        parameters: &MailParameters {
            smtputf8: needs_utf8,
            body: needs_utf8.then_some(Body::EightBitMime),
            ..MailParameters::default()
        },
        recipients: vec![(permit, &parameters)],
    };
    let signature = signing::on_own_mail(&transaction.worker.gate, &transaction.door.upstream, &wire);
    hop.hand_over(
        &handing,
        Content { head: &signature, spool: &mut spool, body_start: 0, body: BodyEdits::default() },
        commit,
    )
    .await
}

fn compose(transaction: &Transaction<'_>, to: &EmailAddress, undelivered: &[Undelivered]) -> Vec<u8> {
    let envelope = &transaction.mail.envelope;
    let withheld: Vec<WithheldRecipient<'_>> = undelivered
        .iter()
        .map(|one| {
            let recipient = &envelope.recipients[one.position];
            WithheldRecipient {
                address: &recipient.address,
                orcpt: recipient.parameters.orcpt.as_deref(),
                status: &one.status,
                cause: one.cause(),
            }
        })
        .collect();
    let hostname = &transaction.worker.gate.settings.hostname;
    let reference = &transaction.mail.reference;
    Notice {
        hostname,
        to,
        reference,
        arrived: &transaction.at.to_zoned(jiff::tz::TimeZone::system()),
        envid: envelope.parameters.envid.as_deref(),
        original_headers: &transaction.mail.spool.memory()[..transaction.head.body_start()],
        message_id: &format!("{}.withheld@{hostname}", Ulid::new()),
        boundary: &Ulid::new().to_string(),
        withheld: &withheld,
    }
    .to_wire()
}

/// The gate's own report is system mail, whatever the rules say of mail that comes from where the message did.
fn permit(transaction: &Transaction<'_>) -> Option<Verdict> {
    let policy = &transaction.mail.policy;
    let sender = transaction.mail.envelope.from.mailbox()?;
    let class = Classification::own_report();
    Some(decide(policy, &class, sender, Consultation::Known(&Consulted::default()), transaction.at))
}
