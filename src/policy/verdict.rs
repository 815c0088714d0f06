//! What is decided about one recipient: the verdict, its reason, and the permit without which nothing is delivered.

use jiff::civil::Date;

use super::because::Because;
use super::rules::Mode;
use super::word::words;
use crate::smtp::address::EmailAddress;

pub use super::reason::{Reason, UnknownReason};

words! {
    /// What happens to one recipient's copy.
    pub enum Decision { Allow = "allow", Block = "block", Defer = "defer" }
}
words! {
    /// On what ground a copy may go.
    pub enum Basis {
        OptIn = "opt_in",
        Customer = "customer",
        Professional = "professional",
        Generic = "generic",
        NonCommercial = "non_commercial",
        Service = "service",
    }
}

/// The decision about one recipient, and everything that led to it.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub recipient: EmailAddress,
    pub decision: Decision,
    pub reason: Reason,
    pub basis: Option<Basis>,
    /// What else stood in the way.
    pub secondary: Vec<Reason>,
    /// The facts that decided.
    pub because: Because,
    /// The events relied on, by number.
    pub events: Vec<i64>,
    /// The last day on which the same message may go.
    pub last_day: Option<Date>,
    /// How many more messages earlier mail leaves room for, this one included; `None`: it plays no part in the verdict.
    pub room: Option<u32>,
    /// What was odd about the class: `CLASS_UNKNOWN`, `CLASS_CONFLICT`.
    pub flags: Vec<Reason>,
    /// The owner of the template is to be warned.
    pub alert: bool,
    /// A way out is to be added to the body.
    pub footer: bool,
    permit: Option<Permit>,
    sentence: String,
}

/// Proof that policy let this recipient through.
///
/// Only a verdict makes one and only a permit can be delivered to, so relaying without a decision does not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    recipient: EmailAddress,
    basis: Option<Basis>,
}

impl Permit {
    /// Whose copy may go.
    pub fn recipient(&self) -> &EmailAddress {
        &self.recipient
    }

    /// The ground on which it goes; none when it only goes because nothing is enforced yet.
    pub fn basis(&self) -> Option<Basis> {
        self.basis
    }

    /// Enforcement would have withheld this copy: it goes in monitor mode only.
    pub fn is_observed(&self) -> bool {
        self.basis.is_none()
    }
}

/// How one recipient's question was answered, before it is known how strictly answers are carried out.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub decision: Decision,
    pub reason: Reason,
    pub basis: Option<Basis>,
    pub secondary: Vec<Reason>,
    pub because: Because,
    pub events: Vec<i64>,
    pub last_day: Option<Date>,
    pub room: Option<u32>,
}

impl Finding {
    pub fn allow(reason: Reason, basis: Basis, because: impl Into<Because>) -> Finding {
        Finding { basis: Some(basis), ..Finding::new(Decision::Allow, reason, because) }
    }

    pub fn block(reason: Reason, because: impl Into<Because>) -> Finding {
        Finding::new(Decision::Block, reason, because)
    }

    pub fn defer(reason: Reason, because: impl Into<Because>) -> Finding {
        Finding::new(Decision::Defer, reason, because)
    }

    fn new(decision: Decision, reason: Reason, because: impl Into<Because>) -> Finding {
        let because = because.into();
        let (secondary, events) = (Vec::new(), Vec::new());
        Finding { decision, reason, basis: None, secondary, because, events, last_day: None, room: None }
    }
}

impl Verdict {
    /// `topics` are what the message is about, for the line the mailer reads.
    pub(super) fn new(recipient: EmailAddress, finding: Finding, mode: Mode, topics: &[String]) -> Verdict {
        let Finding { decision, reason, basis, secondary, because, mut events, last_day, room } = finding;
        events.sort_unstable();
        events.dedup();
        let carried_out = decision == Decision::Allow || mode == Mode::Monitor;
        let permit = carried_out.then(|| Permit { recipient: recipient.clone(), basis });
        let sentence = reason.sentence(&printable(topics));
        let (flags, alert, footer) = (Vec::new(), false, false);
        Verdict {
            recipient,
            decision,
            reason,
            basis,
            secondary,
            because,
            events,
            last_day,
            room,
            flags,
            alert,
            footer,
            permit,
            sentence,
        }
    }

    /// The permit to deliver: there when allowed, and in monitor mode always.
    pub fn permit(&self) -> Option<&Permit> {
        self.permit.as_ref()
    }

    /// It may go later, once the limit it would go beyond leaves room.
    pub fn waits_for_room(&self) -> bool {
        self.decision == Decision::Defer && self.reason == Reason::FreqCap
    }

    /// The code of the reply when this recipient is all there is.
    pub fn reply_code(&self) -> u16 {
        match self.decision {
            Decision::Allow => 250,
            Decision::Block => 550,
            Decision::Defer => 451,
        }
    }

    /// What the mailer reads behind 550: also for a recipient it might have to wait for, when the whole message is
    /// refused because of others.
    pub fn refusal_text(&self, reference: &str) -> String {
        let (address, reason, sentence) = (self.recipient.as_str(), self.reason, &self.sentence);
        let fine = if reason.address_is_fine() { "the address itself is fine; " } else { "" };
        format!("5.7.1 <{address}> withheld: {sentence} ({reason}); {fine}ref {reference}")
    }

    /// What the mailer reads behind the code: one line, no state of anybody else, and where to look it up.
    pub fn reply_text(&self, reference: &str) -> String {
        let address = self.recipient.as_str();
        let Verdict { reason, sentence, .. } = self;
        match self.decision {
            Decision::Allow => format!("2.1.5 <{address}> permitted ({reason}); ref {reference}"),
            Decision::Block => self.refusal_text(reference),
            Decision::Defer if self.waits_for_room() => {
                format!("4.7.1 <{address}> not yet: {sentence} ({reason}); ref {reference}")
            }
            Decision::Defer => format!("4.3.0 {sentence} ({reason}); try again later; ref {reference}"),
        }
    }
}

/// Topics as they may stand in a reply: a believed field of the mailer may have held anything.
fn printable(topics: &[String]) -> String {
    const LONGEST: usize = 120;
    let joined = topics.join(", ");
    let shown = joined.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' });
    shown.take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(finding: Finding, mode: Mode, topics: &[&str]) -> Verdict {
        let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        Verdict::new(EmailAddress::parse("anna@exemple.fr").unwrap(), finding, mode, &topics)
    }

    #[test]
    fn a_withheld_recipient_is_named_with_cause_code_and_reference() {
        let nothing =
            verdict(Finding::block(Reason::ConsentNone, Because::default()), Mode::Enforce, &["offers/books"]);
        assert_eq!(
            nothing.reply_text("01J9"),
            "5.7.1 <anna@exemple.fr> withheld: no consent on record for offers/books (CONSENT_NONE); \
             the address itself is fine; ref 01J9"
        );
        assert_eq!(nothing.reply_code(), 550);
    }

    #[test]
    fn a_fault_of_the_gate_asks_to_try_again() {
        let down = verdict(Finding::defer(Reason::StoreUnavailable, Because::default()), Mode::Enforce, &[]);
        assert_eq!(
            down.reply_text("01J9"),
            "4.3.0 the consent store gives no answer (STORE_UNAVAILABLE); try again later; ref 01J9"
        );
        assert_eq!(down.reply_code(), 451);
    }

    #[test]
    fn a_topic_from_outside_cannot_break_the_reply() {
        let topics = ["offers\r\n250 2.0.0 fine", "b\u{fc}cher", &"x".repeat(500)];
        let text =
            verdict(Finding::block(Reason::ConsentNone, Because::default()), Mode::Enforce, &topics).reply_text("01J9");
        assert!(text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()), "{text}");
        assert!(text.len() < 300, "{text}");
    }

    #[test]
    fn only_an_allowed_recipient_has_a_permit_unless_nothing_is_enforced() {
        let table = [
            (Finding::allow(Reason::OkOptIn, Basis::OptIn, Because::default()), Mode::Enforce, Some(false)),
            (Finding::block(Reason::ObjTopic, Because::default()), Mode::Enforce, None),
            (Finding::defer(Reason::StoreUnavailable, Because::default()), Mode::Enforce, None),
            (Finding::allow(Reason::OkOptIn, Basis::OptIn, Because::default()), Mode::Monitor, Some(false)),
            (Finding::block(Reason::ObjTopic, Because::default()), Mode::Monitor, Some(true)),
            (Finding::defer(Reason::StoreUnavailable, Because::default()), Mode::Monitor, Some(true)),
        ];
        for (finding, mode, observed) in table {
            let verdict = verdict(finding, mode, &[]);
            assert_eq!(verdict.permit().map(Permit::is_observed), observed, "{verdict:?}");
        }
    }
}
