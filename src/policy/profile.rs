//! Whose address it is: a consumer's, somebody's at work, or a firm's.

use super::free_mail::is_free_mail;
use super::record::Record;
use crate::consent::event::{Actor, EventType, RecordedEvent};

/// The kind of an address that is not a consumer's, with the event that says so.
#[derive(Clone, Copy, Debug)]
pub enum Profile<'a> {
    Consumer,
    Professional(&'a RecordedEvent),
    Generic(&'a RecordedEvent),
}

impl<'a> Profile<'a> {
    /// What the controller said last. At a free-mail domain an address is never a firm's, and somebody's at work only
    /// when a person of the controller said so.
    pub fn of(record: &Record<'a>) -> Profile<'a> {
        let free = is_free_mail(record.domain());
        let said = |recorded: &&RecordedEvent| recorded.event.kind == EventType::Profile;
        let by_the_controller =
            |recorded: &RecordedEvent| matches!(recorded.event.actor, Some(Actor::Operator | Actor::Delegate));
        let believed = |recorded: &&RecordedEvent| !free || !is_professional(recorded) || by_the_controller(recorded);
        match record.own().filter(said).filter(believed).last() {
            Some(recorded) if is_professional(recorded) => Profile::Professional(recorded),
            Some(recorded) if !free && recorded.event.profile_kind.as_deref() == Some("generic") => {
                Profile::Generic(recorded)
            }
            _ => Profile::Consumer,
        }
    }
}

fn is_professional(recorded: &RecordedEvent) -> bool {
    recorded.event.profile_kind.as_deref() == Some("professional")
}
