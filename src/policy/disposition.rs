//! One verdict per recipient into one course of action for the message.

use std::collections::HashSet;

use super::rules::{MixedRecipients, Mode, Policy, Refusal};
use super::verdict::{Basis, Decision, Verdict};

/// What becomes of a message. Numbers are positions in the list of verdicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It goes on as it came, to everybody.
    Forward,
    /// Each permitted recipient gets a copy; the withheld ones do not.
    Copies { permitted: Vec<usize>, withheld: Vec<usize> },
    /// Nobody gets it, and the client is told.
    Refuse,
    /// Nobody gets it, and the client is told it went well.
    Discard,
    /// Nobody gets it now; the client is to try again.
    Defer,
}

impl Disposition {
    pub fn of(policy: &Policy, verdicts: &[Verdict]) -> Disposition {
        let is_service = |verdict: &Verdict| verdict.basis == Some(Basis::Service);
        if policy.mode == Mode::Monitor && verdicts.iter().all(|verdict| verdict.permit().is_some())
            || verdicts.iter().all(is_service)
        {
            return Disposition::Forward;
        }
        let (permitted, withheld): (Vec<usize>, Vec<usize>) =
            distinct(verdicts).into_iter().partition(|n| verdicts[*n].decision == Decision::Allow);
        if !permitted.is_empty()
            && (withheld.is_empty() || policy.mixed_recipients == MixedRecipients::DeliverPermitted)
        {
            return Disposition::Copies { permitted, withheld };
        }
        if permitted.is_empty() && verdicts.iter().any(|verdict| verdict.decision == Decision::Defer) {
            return Disposition::Defer;
        }
        match policy.refusal {
            Refusal::Discard if permitted.is_empty() => Disposition::Discard,
            _ => Disposition::Refuse,
        }
    }
}

/// The first verdict about each recipient: who is named twice gets one copy (R24).
pub fn distinct(verdicts: &[Verdict]) -> Vec<usize> {
    let mut known = HashSet::new();
    (0..verdicts.len()).filter(|n| known.insert(verdicts[*n].recipient.consent_key())).collect()
}

/// Whether a copy carries the fields that let its recipient leave: advertising does, service mail never. The verdict
/// says which it is, for some kinds of mail are service to one recipient and advertising to another.
pub fn is_personal(verdict: &Verdict) -> bool {
    verdict.basis != Some(Basis::Service)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_policy;
    use crate::policy::because::Because;
    use crate::policy::verdict::{Finding, Reason};
    use crate::smtp::address::EmailAddress;

    fn verdicts(policy: &Policy, kinds: &str) -> Vec<Verdict> {
        let finding = |kind| match kind {
            's' => Finding::allow(Reason::SvcOk, Basis::Service, Because::default()),
            'a' => Finding::allow(Reason::OkOptIn, Basis::OptIn, Because::default()),
            'b' => Finding::block(Reason::ConsentNone, Because::default()),
            _ => Finding::defer(Reason::StoreUnavailable, Because::default()),
        };
        let reader = |n: usize| EmailAddress::parse(&format!("reader{n}@x.example")).unwrap();
        let kinds = kinds.chars().enumerate();
        kinds.map(|(n, kind)| Verdict::new(reader(n), finding(kind), policy.mode, &[])).collect()
    }

    #[test]
    fn who_is_named_twice_counts_once() {
        let about = |address| {
            let address = EmailAddress::parse(address).unwrap();
            Verdict::new(address, Finding::block(Reason::ConsentNone, Because::default()), Mode::Enforce, &[])
        };
        let verdicts = ["anna@x.example", "bob@x.example", "anna@X.EXAMPLE", "\"bob\"@x.example"].map(about);
        assert_eq!(distinct(&verdicts), [0, 1]);
    }

    #[test]
    fn verdicts_lead_to_the_course_of_action_the_policy_names() {
        let copies = |permitted: &[usize], withheld: &[usize]| Disposition::Copies {
            permitted: permitted.to_vec(),
            withheld: withheld.to_vec(),
        };
        let table = [
            ("", "s", Disposition::Forward),
            ("", "ss", Disposition::Forward),
            ("", "a", copies(&[0], &[])),
            ("", "aa", copies(&[0, 1], &[])),
            ("", "sa", copies(&[0, 1], &[])),
            ("", "ab", copies(&[0], &[1])),
            ("", "b", Disposition::Refuse),
            ("", "d", Disposition::Defer),
            ("", "bd", Disposition::Defer),
            ("mixed_recipients = \"reject_all\"", "ab", Disposition::Refuse),
            ("mixed_recipients = \"reject_all\"", "aa", copies(&[0, 1], &[])),
            ("refusal = \"discard\"", "b", Disposition::Discard),
            ("refusal = \"discard\"", "ab", copies(&[0], &[1])),
            ("refusal = \"discard\"\nmixed_recipients = \"reject_all\"", "ab", Disposition::Refuse),
            ("refusal = \"discard\"", "d", Disposition::Defer),
            ("mode = \"monitor\"", "abd", Disposition::Forward),
        ];
        for (knobs, kinds, expected) in table {
            let policy = parse_policy("policy.toml", knobs, &[]).unwrap();
            assert_eq!(Disposition::of(&policy, &verdicts(&policy, kinds)), expected, "{knobs} {kinds}");
        }
    }
}
