//! What a promotional message itself has to carry (consent-rules, section 9): a way out in its body, and a sender who
//! is who he says.

use super::because::{Because, Fact, Sentence};
use super::classify::Classification;
use super::facts::BodyFacts;
use super::rules::{BodyOptout, Policy};
use super::verdict::Reason;
use crate::message::body::Obstacle;

/// How a message is fit to be sent as advertising (E11), or why it is not.
pub(super) enum Carriage {
    Fit,
    /// Once the gate has put a way out into its body.
    WithFooter,
    /// It goes, and the owner of its template is warned.
    WithWarning,
    Unfit {
        reason: Reason,
        because: Because,
        also: Option<Reason>,
    },
}

/// Judges a message that was looked at. One that was not is judged when it is there.
pub(super) fn carriage(policy: &Policy, classification: &Classification) -> Carriage {
    let Some(body) = &classification.body else { return Carriage::Fit };
    let forged = (!classification.author_is_the_controllers).then_some(Reason::MsgIdentity);
    match (way_out(policy, body), forged) {
        (Carriage::Unfit { reason, because, .. }, also) => Carriage::Unfit { reason, because, also },
        (_, Some(reason)) => {
            let controller = classification.controller.as_deref().unwrap_or("?");
            let because = Fact::new(Sentence::AuthorNotTheSenders).word(controller).into();
            Carriage::Unfit { reason, because, also: None }
        }
        (carriage, None) => carriage,
    }
}

fn way_out(policy: &Policy, body: &BodyFacts) -> Carriage {
    let unfit = |because| Carriage::Unfit { reason: Reason::MsgNoOptout, because, also: None };
    if body.way_out.is_some() {
        return Carriage::Fit;
    }
    match (policy.knobs.body_optout, body.obstacle) {
        (BodyOptout::Warn, _) => Carriage::WithWarning,
        (BodyOptout::Append, None) => Carriage::WithFooter,
        (BodyOptout::Append, Some(obstacle)) => {
            unfit(Because(vec![Fact::new(Sentence::NoWayOut), Fact::new(in_the_way(obstacle))]))
        }
        (BodyOptout::Require, _) => unfit(Sentence::NoWayOut.into()),
    }
}

fn in_the_way(obstacle: Obstacle) -> Sentence {
    match obstacle {
        Obstacle::NoLink => Sentence::NoPagesToLeadTo,
        Obstacle::Secured => Sentence::BodyIsSecured,
        Obstacle::Charset => Sentence::BodyCharset,
        Obstacle::Structure => Sentence::BodyStructure,
        Obstacle::TooLong => Sentence::BodyTooLong,
        Obstacle::NoText => Sentence::BodyWithoutText,
    }
}
