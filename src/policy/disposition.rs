//! One verdict per recipient into one course of action for the message.

use super::rules::{Class, MixedRecipients, Mode, Policy, Refusal};
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
            (0..verdicts.len()).partition(|n| verdicts[*n].decision == Decision::Allow);
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

/// Whether a copy carries the fields that let its recipient leave: promotional
/// mail does, service mail never.
pub fn is_personal(verdict: &Verdict, class: Class) -> bool {
    class == Class::Promotional && verdict.basis != Some(Basis::Service)
}
