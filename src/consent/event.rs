//! `ConsentEvent`: who said what, to which controller, when, on what evidence. One JSON object a line.

pub(super) mod fields;
mod parts;
#[cfg(test)]
mod tests;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::smtp::address::EmailAddress;
pub use fields::{FIELDS, Field, Shape};
pub use parts::Parts;

/// How far a clock elsewhere may be ahead of ours before a consent counts from the moment we learned it.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// One thing that is known about a person, in the form in which it is imported, kept and exported.
///
/// Which of the optional fields go with which type is in [`FIELDS`]; [`ConsentEvent::from_json`] holds events from
/// outside to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConsentEvent {
    pub address: EmailAddress,
    pub controller: String,
    #[serde(rename = "type")]
    pub kind: EventType,
    /// When the person acted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// When it was learned, as it says itself: a date ahead of that is none. The store's own moment stands in its row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(default = "email_channel")]
    pub channel: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Value>,
    /// The caller's own; a repeated one is ignored, so a retry is safe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Absent in an objection: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topics: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_version: Option<String>,
    /// Controllers the text names as recipients of the consent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partners: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub informed_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal_offered: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub families: Option<Vec<String>>,
    /// The `kind` of a `profile` (consumer, professional …) or of a `contact` (reply, click …).
    #[serde(default, rename = "kind", skip_serializing_if = "Option::is_none")]
    pub profile_kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub functions: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collected_in_sale: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automatic: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hard: Option<bool>,
}

fn email_channel() -> String {
    "email".into()
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventType {
    Collected,
    Profile,
    OptIn,
    OptInPending,
    OptInConfirmed,
    NoAnswer,
    Refuse,
    Withdraw,
    Object,
    Complaint,
    Purchase,
    RelationEnd,
    Contact,
    Frequency,
    Pause,
    ChannelPreference,
    Bounce,
    /// The person takes an objection back that somebody else made through a forwarded link.
    Undo,
    Erase,
}

impl EventType {
    pub const ALL: [EventType; 19] = [
        Self::Collected,
        Self::Profile,
        Self::OptIn,
        Self::OptInPending,
        Self::OptInConfirmed,
        Self::NoAnswer,
        Self::Refuse,
        Self::Withdraw,
        Self::Object,
        Self::Complaint,
        Self::Purchase,
        Self::RelationEnd,
        Self::Contact,
        Self::Frequency,
        Self::Pause,
        Self::ChannelPreference,
        Self::Bounce,
        Self::Undo,
        Self::Erase,
    ];

    /// The name it has in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Collected => "collected",
            Self::Profile => "profile",
            Self::OptIn => "opt_in",
            Self::OptInPending => "opt_in_pending",
            Self::OptInConfirmed => "opt_in_confirmed",
            Self::NoAnswer => "no_answer",
            Self::Refuse => "refuse",
            Self::Withdraw => "withdraw",
            Self::Object => "object",
            Self::Complaint => "complaint",
            Self::Purchase => "purchase",
            Self::RelationEnd => "relation_end",
            Self::Contact => "contact",
            Self::Frequency => "frequency",
            Self::Pause => "pause",
            Self::ChannelPreference => "channel_preference",
            Self::Bounce => "bounce",
            Self::Undo => "undo",
            Self::Erase => "erase",
        }
    }

    pub fn parse(name: &str) -> Option<EventType> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// A no: it beats every basis, and wins a tie.
    pub fn is_objection(self) -> bool {
        matches!(self, Self::Refuse | Self::Withdraw | Self::Object | Self::Complaint)
    }

    pub fn is_opt_in(self) -> bool {
        matches!(self, Self::OptIn | Self::OptInPending | Self::OptInConfirmed)
    }

    /// Whether more may be sent because of it than without it.
    pub fn raises_permission(self) -> bool {
        self.is_opt_in()
            || matches!(
                self,
                Self::Collected | Self::Profile | Self::Purchase | Self::RelationEnd | Self::Contact | Self::Undo
            )
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    Person,
    Delegate,
    Operator,
    Import,
}

impl Actor {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Delegate => "delegate",
            Self::Operator => "operator",
            Self::Import => "import",
        }
    }
}

impl ConsentEvent {
    /// An event that says no more than its type.
    pub fn new(address: EmailAddress, controller: impl Into<String>, kind: EventType) -> ConsentEvent {
        ConsentEvent {
            address,
            controller: controller.into(),
            kind,
            channel: email_channel(),
            at: None,
            recorded_at: None,
            actor: None,
            source: None,
            note: None,
            evidence: None,
            id: None,
            topics: None,
            mechanism: None,
            text_version: None,
            partners: None,
            provenance: None,
            informed_at: None,
            refusal_offered: None,
            purpose: None,
            families: None,
            profile_kind: None,
            functions: None,
            state: None,
            collected_in_sale: None,
            what: None,
            automatic: None,
            limit: None,
            until: None,
            channels: None,
            code: None,
            hard: None,
        }
    }

    /// Reads one line. Strict: what is not understood is refused, since half an understood consent is none.
    pub fn from_json(line: &str) -> Result<ConsentEvent, EventError> {
        fields::read(line)
    }

    /// Keys in alphabetical order and nothing absent written, so equal events are equal bytes.
    pub fn to_canonical_json(&self) -> String {
        serde_json::to_value(self).expect("only strings, numbers and flags inside").to_string()
    }

    /// The event as the store learns it at `now`: nothing can have been recorded later than that.
    pub fn learned_at(mut self, now: Timestamp) -> ConsentEvent {
        self.recorded_at = Some(self.recorded_at.map_or(now, |said| said.min(now)));
        self
    }
}

/// An id by which the same thing, told again, is the same event: a digest of what makes it the same.
pub fn stable_id(kind: &str, same: &Value) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, same.to_string().as_bytes());
    format!("{kind}-{}", URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16]))
}

/// An event with its place in the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedEvent {
    pub seq: i64,
    /// The moment it counts from; `event.at` is what was claimed.
    pub at: Timestamp,
    pub event: ConsentEvent,
}

impl RecordedEvent {
    /// `learned`: when the store heard of it, unless the event says so itself.
    pub fn new(seq: i64, mut event: ConsentEvent, learned: Timestamp) -> RecordedEvent {
        let recorded_at = *event.recorded_at.get_or_insert(learned);
        let at = effective_moment(event.kind, event.at.unwrap_or(recorded_at), recorded_at);
        RecordedEvent { seq, at, event }
    }

    /// When it had happened for certain: a clock ahead of ours dates an act later than we knew of it. Beside an
    /// objection an opt-in is as old as this, else a no said in between would be older than the yes it answers.
    pub fn happened_by(&self) -> Timestamp {
        self.event.recorded_at.map_or(self.at, |recorded_at| self.at.min(recorded_at))
    }
}

/// A date ahead of its recording: permission counts from when it was recorded, an objection from the earlier of both.
/// The end of a relation may lie ahead.
fn effective_moment(kind: EventType, said: Timestamp, recorded_at: Timestamp) -> Timestamp {
    match kind {
        EventType::RelationEnd => said,
        _ if !kind.raises_permission() => said.min(recorded_at),
        _ if said.duration_since(recorded_at) > CLOCK_TOLERANCE => recorded_at,
        _ => said,
    }
}

/// Why a line is not an event: the field, what is wrong with it, what would be right. Quotes no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventError {
    /// With what the JSON reader says.
    NotJson(String),
    NotAnObject,
    TooLong {
        bytes: usize,
    },
    Repeated {
        field: String,
    },
    Missing {
        field: &'static str,
        cure: String,
    },
    Unknown {
        field: String,
        nearest: Option<&'static str>,
        kind: EventType,
    },
    WrongType {
        field: &'static str,
        kind: EventType,
        belongs_to: String,
    },
    Value {
        field: &'static str,
        cure: String,
    },
}

impl EventError {
    /// The field it is about, where it is about one.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::NotJson(_) | Self::NotAnObject | Self::TooLong { .. } => None,
            Self::Repeated { field } | Self::Unknown { field, .. } => Some(field),
            Self::Missing { field, .. } | Self::WrongType { field, .. } | Self::Value { field, .. } => Some(field),
        }
    }
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(why) => write!(f, "not JSON: {why}; write one object on one line"),
            Self::NotAnObject => {
                f.write_str("not a JSON object; write {\"address\": …, \"controller\": …, \"type\": …}")
            }
            Self::TooLong { bytes } => {
                write!(f, "{bytes} bytes long; an event may have {} at most", fields::LONGEST_LINE)
            }
            Self::Repeated { field } => write!(f, "`{field}`: stands there twice; keep one"),
            Self::Missing { field, cure } => write!(f, "`{field}`: missing; {cure}"),
            Self::Unknown { field, nearest, kind } => {
                let meant = nearest.map_or(String::new(), |nearest| format!("; did you mean `{nearest}`?"));
                let known = fields::of_kind(*kind).join(", ");
                write!(f, "`{field}`: no such field{meant}; an event of type {kind} has {known}")
            }
            Self::WrongType { field, kind, belongs_to } => {
                write!(f, "`{field}`: an event of type {kind} has no such field, it belongs to {belongs_to}")
            }
            Self::Value { field, cure } => write!(f, "`{field}`: {cure}"),
        }
    }
}

impl std::error::Error for EventError {}
