//! Several copies, one final reply (R71, R93).

use crate::smtp::reply::Reply;

/// How one copy of a message ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyOutcome {
    /// Upstream took it, now or at an earlier attempt.
    Accepted(Reply),
    /// For a while: upstream said 4xx, fell silent or went away.
    Deferred(Reply),
    /// For good.
    Refused(Reply),
    /// Withheld by the policy after all: an objection came while copies were under way.
    Withheld,
}

impl CopyOutcome {
    /// What upstream's final reply to the content makes of a copy.
    pub fn of(reply: Reply) -> CopyOutcome {
        if reply.is_positive() {
            CopyOutcome::Accepted(reply)
        } else if reply.is_permanent() {
            CopyOutcome::Refused(reply)
        } else {
            CopyOutcome::Deferred(reply)
        }
    }
}

/// Whether refused copies can be reported to the sender, so that a 250 hides nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportChannel {
    Open,
    None,
}

/// The client's reply for a message of one or several copies.
///
/// `withheld` counts the recipients the policy held back before any copy was made.
pub fn final_reply(outcomes: &[CopyOutcome], withheld: usize, channel: ReportChannel, reference: &str) -> Reply {
    let late = outcomes.iter().filter(|outcome| **outcome == CopyOutcome::Withheld).count();
    let withheld = withheld + late;
    if let [CopyOutcome::Deferred(reply) | CopyOutcome::Refused(reply)] = outcomes {
        return reply.clone();
    }
    let deferred = outcomes.iter().filter(|outcome| matches!(outcome, CopyOutcome::Deferred(_))).count();
    if deferred > 0 {
        return Reply::copies_deferred(deferred, outcomes.len(), reference);
    }
    let accepted = outcomes.iter().find_map(|outcome| match outcome {
        CopyOutcome::Accepted(reply) => Some(reply),
        _ => None,
    });
    let refused = outcomes.iter().find_map(|outcome| match outcome {
        CopyOutcome::Refused(reply) => Some(reply),
        _ => None,
    });
    match (accepted, refused) {
        (Some(reply), None) => with_count(reply, withheld, reference),
        (Some(reply), Some(_)) if channel == ReportChannel::Open => with_count(reply, withheld, reference),
        (_, Some(reply)) => reply.clone(),
        // Everybody objected while the copies were under way.
        (None, None) => Reply::withheld(vec![format!("every recipient has objected meanwhile; ref {reference}")]),
    }
}

/// Upstream's words, and behind them how many were left out (R93).
fn with_count(reply: &Reply, withheld: usize, reference: &str) -> Reply {
    match withheld {
        0 => reply.clone(),
        some => reply.clone().with_withheld_count(some, reference),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_become_the_reply_that_loses_and_hides_nothing() {
        let ok = || CopyOutcome::Accepted(Reply::new(250, "2.0.0 queued as 1"));
        let later = || CopyOutcome::Deferred(Reply::new(451, "4.2.0 greylisted"));
        let never = || CopyOutcome::Refused(Reply::new(554, "5.7.1 spam"));
        use ReportChannel::{None, Open};
        let table = [
            (vec![ok()], 0, Open, 250, "2.0.0 queued as 1"),
            (vec![ok(), ok()], 0, Open, 250, "2.0.0 queued as 1"),
            (vec![later()], 0, Open, 451, "4.2.0 greylisted"),
            (vec![never()], 3, Open, 554, "5.7.1 spam"),
            (vec![ok(), later(), ok()], 0, Open, 451, "1 of 3"),
            (vec![never(), later()], 0, Open, 451, "1 of 2"),
            (vec![ok(), never()], 0, Open, 250, "2.0.0 queued as 1"),
            (vec![ok(), never()], 0, None, 554, "5.7.1 spam"),
            (vec![never(), never()], 0, Open, 554, "5.7.1 spam"),
            (vec![ok()], 2, Open, 250, "2 recipients withheld"),
            (vec![ok(), CopyOutcome::Withheld], 0, Open, 250, "1 recipient withheld"),
            (vec![CopyOutcome::Withheld], 0, Open, 550, "5.7.1"),
        ];
        for (outcomes, withheld, channel, code, text) in table {
            let reply = final_reply(&outcomes, withheld, channel, "01J");
            assert_eq!(reply.code(), code, "{outcomes:?}");
            assert!(reply.text().contains(text), "{outcomes:?}: {}", reply.text());
        }
    }
}
