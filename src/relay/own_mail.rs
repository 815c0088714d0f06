//! Mail the gate sends of its own accord: judged, journalled and handed over like any service message.
//!
//! There is no queue behind it. Who asked for the mail hears whether upstream has it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use ulid::Ulid;

use super::gate::Gate;
use super::hop::{Handing, Hop};
use super::record::Decided;
use super::signing;
use super::spool::Spool;
use super::upstream::{Content, Handover, Upstream, UpstreamError};
use crate::config::JournalService;
use crate::consent::state::Consulted;
use crate::message::body_edit::BodyEdits;
use crate::message::head::{HeadLimits, MessageHead};
use crate::message::own::{Letter, Letterhead};
use crate::policy::classify::{Classification, classify};
use crate::policy::decide::{Consultation, decide};
use crate::policy::facts::{MessageFacts, Origin};
use crate::policy::rules::{Class, Pin, Policy, ServiceWithoutStore};
use crate::policy::verdict::Verdict;
use crate::smtp::address::{EmailAddress, ReversePath};
use crate::smtp::command::{Body, MailParameters, RcptParameters};
use crate::smtp::reply::Reply;
use crate::smtp::session::Recipient;
use crate::store::{MessageRecord, Outcome, OutcomeResult, RecordedVerdict, Seen, StoreError};

/// Our own header sections are short.
const LIMITS: HeadLimits = HeadLimits { header: 64 * 1024, field: 16 * 1024, fields: 100 };

/// One message of the gate's own, and as what it goes.
#[derive(Clone, Debug)]
pub struct OwnMail {
    pub letter: Letter,
    /// Of the From field, and of the envelope: reports about it, if any, go there.
    pub from: EmailAddress,
    /// May be empty.
    pub from_name: String,
    /// A kind of service mail (`rights_reply`, `doi_request`), which says under which reason it goes.
    pub kind: &'static str,
    /// In whose name it goes; `None`: as the From domain says.
    pub controller: Option<String>,
    /// The part of the gate that wrote it, as the journal names it in place of a listener.
    pub origin: &'static str,
}

/// How it went when nothing stood in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    Taken,
    /// Upstream will not have this recipient. Nobody but its owner should be told: it says whether a mailbox exists.
    Refused,
    /// It may have left or not: upstream fell silent behind the final dot.
    Unknown,
}

/// Why nothing was sent.
#[derive(Debug)]
pub enum NotSent {
    /// Upstream cannot be reached or says no, for a while or to all mail of ours. Its words may hold the address and
    /// stand in the journal.
    Upstream {
        code: u16,
    },
    Store(StoreError),
    /// By the policy, as the decision in the journal says.
    Withheld,
    Spool,
}

impl std::fmt::Display for NotSent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NotSent::Upstream { code } => {
                write!(f, "upstream did not take it (code {code}); the journal has its words")
            }
            NotSent::Store(error) => write!(f, "{error}"),
            NotSent::Withheld => f.write_str("the policy withholds it, see the journal"),
            NotSent::Spool => f.write_str("there is no room for messages; see [spool] in the settings"),
        }
    }
}

impl std::error::Error for NotSent {}

/// Judges, records and hands over. What became of it stands in the journal even if the caller no longer waits.
pub async fn send(gate: &Gate, upstream: Arc<Upstream>, mail: OwnMail) -> Result<Sent, NotSent> {
    let taken = Instant::now();
    let draft = Draft::compose(gate, upstream, mail)?;
    let verdict = draft.judge(gate)?;
    draft.record(gate, &verdict).await?;
    let attempt = draft.hand_over(gate, &verdict).await;
    draft.settle(gate, &verdict, &attempt, taken);
    attempt.outcome
}

struct Draft {
    reference: String,
    policy: Arc<Policy>,
    upstream: Arc<Upstream>,
    mail: OwnMail,
    facts: MessageFacts,
    class: Classification,
    wire: Vec<u8>,
    message_id: String,
    at: Timestamp,
}

/// What came of a hand-over, and upstream's words for it.
struct Attempt {
    outcome: Result<Sent, NotSent>,
    result: OutcomeResult,
    reply: Option<Reply>,
}

impl Draft {
    fn compose(gate: &Gate, upstream: Arc<Upstream>, mail: OwnMail) -> Result<Draft, NotSent> {
        let (at, policy) = (Timestamp::now(), gate.policy());
        let message_id = format!("{}@{}", Ulid::new(), gate.settings.hostname);
        let wire = mail.letter.to_wire(&Letterhead {
            from: &mail.from,
            from_name: &mail.from_name,
            date: &at.to_zoned(jiff::tz::TimeZone::system()),
            message_id: &message_id,
        });
        let facts = facts(&policy, &mail, &wire).ok_or(NotSent::Withheld)?;
        let class = classify(&policy, &facts);
        let reference = Ulid::new().to_string();
        Ok(Draft { reference, policy, upstream, mail, facts, class, wire, message_id, at })
    }

    fn to(&self) -> &EmailAddress {
        &self.mail.letter.to
    }

    /// The same decision as for anybody's mail.
    fn judge(&self, gate: &Gate) -> Result<(Verdict, Seen), NotSent> {
        let (known, event_seq) = match &self.class.controller {
            Some(controller) if self.class.asks_about_the_recipient() => {
                let mut reader = gate.store.reader().map_err(NotSent::Store)?;
                let asked = reader.consult(controller, std::slice::from_ref(self.to())).map_err(NotSent::Store)?;
                (asked.0.into_iter().next().unwrap_or_default(), asked.1)
            }
            _ => (Consulted::default(), 0),
        };
        let seen = Seen { event_seq, sent_seq: known.sent_seq };
        Ok((decide(&self.policy, &self.class, self.to(), Consultation::Known(&known), self.at), seen))
    }

    /// Before it takes effect or with the next group, as the settings say of service mail; what takes a place is none.
    async fn record(&self, gate: &Gate, (verdict, seen): &(Verdict, Seen)) -> Result<(), NotSent> {
        let goes = std::iter::once(verdict).filter(|verdict| verdict.permit().is_some());
        let places = self.decided().places(goes, *seen, None);
        let takes_a_place = !places.taken.is_empty();
        let row = MessageRecord {
            at: self.at,
            message_id: Some(format!("<{}>", self.message_id)),
            size: self.wire.len() as u64,
            event_seq: seen.event_seq,
            verdicts: vec![RecordedVerdict::new(verdict, None)],
            places,
            ..self.decided().row()
        };
        let passes = self.policy.service_without_store == ServiceWithoutStore::Pass && !takes_a_place;
        if passes && gate.settings.journal_service == JournalService::After {
            gate.store.record_message_later(row);
            return Ok(());
        }
        match gate.store.record_message(row).await {
            Err(error) if !passes => Err(NotSent::Store(error)),
            _ => Ok(()),
        }
    }

    async fn hand_over(&self, gate: &Gate, (verdict, _): &(Verdict, Seen)) -> Attempt {
        let Some(permit) = verdict.permit() else {
            return Attempt::withdrawn(NotSent::Withheld);
        };
        let mut spool = Spool::new(&gate.spool, u64::MAX);
        spool.append(&self.wire);
        if spool.fault().is_some() {
            return Attempt::withdrawn(NotSent::Spool);
        }
        let mut hop = Hop::new(self.upstream.clone());
        let offers_dsn = hop.learn().await.is_some_and(|offered| offered.dsn);
        let from = ReversePath::Mailbox(self.mail.from.clone());
        let needs_utf8 = !self.to().is_ascii() || !self.mail.from.is_ascii();
        let parameters = MailParameters {
            smtputf8: needs_utf8,
            body: needs_utf8.then_some(Body::EightBitMime),
            ..MailParameters::default()
        };
        // Anybody can have us write to anybody: a report about an address that is none would go to the wrong person.
        let asked = RcptParameters { notify: offers_dsn.then(|| "NEVER".to_owned()), ..RcptParameters::default() };
        let recipient = Recipient { address: self.to().clone(), parameters: asked };
        let attempt = match ask(&mut hop, &from, &parameters, &recipient).await {
            Ok(()) => {
                let recipients = vec![(permit, &recipient.parameters)];
                let handing = Handing { from: &from, parameters: &parameters, recipients };
                let signature = signing::on_own_mail(gate, &self.upstream, &self.wire);
                let content =
                    Content { head: &signature, spool: &mut spool, body_start: 0, body: BodyEdits::default() };
                Attempt::of(hop.hand_over(&handing, content, &nothing_to_commit).await)
            }
            Err(attempt) => attempt,
        };
        hop.quit().await;
        attempt
    }

    fn settle(&self, gate: &Gate, (verdict, _): &(Verdict, Seen), attempt: &Attempt, taken: Instant) {
        gate.store.record_outcome(Outcome {
            reference: self.reference.clone(),
            recipient: Some(self.to().clone()),
            result: attempt.result,
            code: attempt.reply.as_ref().map(Reply::code),
            text: attempt.reply.as_ref().map(Reply::text),
            at: Timestamp::now(),
            took_us: u64::try_from(taken.elapsed().as_micros()).unwrap_or(u64::MAX),
        });
        let recipient = gate.settings.log.addresses.then(|| self.to().as_str());
        let upstream_code = attempt.reply.as_ref().map(Reply::code);
        self.decided().tell(verdict, upstream_code, taken.elapsed(), recipient);
    }

    fn decided(&self) -> Decided<'_> {
        Decided {
            reference: &self.reference,
            session: self.mail.origin,
            policy: &self.policy,
            upstream: self.upstream.name(),
            facts: &self.facts,
            class: &self.class,
        }
    }
}

/// What classification is to see: a place pinned to service mail, and the kind as a trusted mailer would declare it, so
/// that the journal's facts lead to the same verdict when it is explained.
fn facts(policy: &Policy, mail: &OwnMail, wire: &[u8]) -> Option<MessageFacts> {
    let declared = [format!("X-Consentry-Kind: {}\r\n", mail.kind).as_bytes(), wire].concat();
    let head = MessageHead::locate(&declared, &LIMITS).ok()?;
    let origin = Origin {
        listener: mail.origin.to_owned(),
        credential: None,
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        // A request to confirm that nobody asked for is advertising, and is then judged as such.
        may_send: vec![Class::Service, Class::Promotional],
        trust_headers: true,
        pin: Some(Pin { class: Class::Service, controller: mail.controller.clone(), topics: Vec::new() }),
    };
    let from = ReversePath::Mailbox(mail.from.clone());
    Some(MessageFacts::gather(policy, origin, from, 1, &head, &declared))
}

/// MAIL and RCPT one by one, because a no to the recipient means something else than a no to us.
async fn ask(
    hop: &mut Hop,
    from: &ReversePath,
    parameters: &MailParameters,
    recipient: &Recipient,
) -> Result<(), Attempt> {
    let unreachable = |error: UpstreamError| Attempt::not_taken(&error.reply());
    let reply = hop.mail(from, parameters).await.map_err(unreachable)?;
    if !reply.is_positive() {
        return Err(Attempt::not_taken(&reply));
    }
    let reply = hop.rcpt(recipient).await.map_err(unreachable)?;
    if reply.is_permanent() {
        return Err(Attempt { outcome: Ok(Sent::Refused), result: OutcomeResult::Refused, reply: Some(reply) });
    }
    if reply.is_positive() { Ok(()) } else { Err(Attempt::not_taken(&reply)) }
}

/// Its row is written before it is handed over, and nobody repeats it.
async fn nothing_to_commit() -> Result<(), Reply> {
    Ok(())
}

impl Attempt {
    fn of(handover: Handover) -> Attempt {
        match handover {
            Handover::Answered(reply) if reply.is_positive() => {
                Attempt { outcome: Ok(Sent::Taken), result: OutcomeResult::Delivered, reply: Some(reply) }
            }
            Handover::Answered(reply) | Handover::Withdrawn(reply) => Attempt::not_taken(&reply),
            Handover::NotStarted(error) | Handover::NotSent(error) => Attempt::not_taken(&error.reply()),
            Handover::Unknown(_) => Attempt { outcome: Ok(Sent::Unknown), result: OutcomeResult::Unknown, reply: None },
        }
    }

    fn not_taken(reply: &Reply) -> Attempt {
        let result = if reply.is_permanent() { OutcomeResult::Refused } else { OutcomeResult::Deferred };
        Attempt { outcome: Err(NotSent::Upstream { code: reply.code() }), result, reply: Some(reply.clone()) }
    }

    fn withdrawn(why: NotSent) -> Attempt {
        Attempt { outcome: Err(why), result: OutcomeResult::Withheld, reply: None }
    }
}
