//! What the page of choices says, in one language: kept word for word before the event that names it.

use jiff::Timestamp;

use crate::consent::ledger::{hex, sha256};
use crate::store::KeptText;
use crate::web::locale::FluentValue;
use crate::web::room::Room;

/// Digits of the hash in a version: enough that no two wordings share one.
const DIGITS: usize = 12;

/// The question, and who asks it, what for and how to stop.
pub struct Wording {
    pub question: String,
    pub info: Vec<String>,
    pub privacy: String,
    pub privacy_url: String,
    language: String,
    body: String,
    name: &'static str,
}

impl Wording {
    /// Of the page of choices.
    pub fn of(room: &Room<'_>) -> Wording {
        let question = room.own_words().say("own-question", &about(room));
        let own = room.policy.topics.values().filter(|topic| topic.controller == room.controller);
        let labels: Vec<String> = own.map(|topic| room.label(&topic.path)).collect();
        Wording::new(room, ("preferences", question), &labels)
    }

    /// Of the question what of these topics goes along to a new address.
    pub fn of_moving(room: &Room<'_>, topics: &[String]) -> Wording {
        let question = room.own_words().say("own-move-question", &about(room));
        Wording::new(room, ("moving", question), &room.labels(topics))
    }

    fn new(room: &Room<'_>, (name, question): (&'static str, String), labels: &[String]) -> Wording {
        let words = room.own_words();
        let about = about(room);
        let info = vec![words.say("own-info-who", &about), words.say("own-info-stop", &about)];
        let privacy = words.say("own-info-privacy", &about);
        let privacy_url = room.controller().map(|controller| controller.privacy_url.clone()).unwrap_or_default();
        let mut lines = vec![question.clone()];
        lines.extend(labels.iter().map(|label| format!("- {label}")));
        lines.extend(info.iter().cloned());
        lines.push(format!("{privacy}: {privacy_url}"));
        let body = lines.join("\n") + "\n";
        Wording { question, info, privacy, privacy_url, language: room.locale.tag(), body, name }
    }

    /// `NAME-` and the beginning of the hash over the text.
    pub fn version(&self) -> String {
        let sum = hex(&sha256(&[self.body.as_bytes()]));
        format!("{}-{}", self.name, &sum[..DIGITS])
    }

    pub fn kept(&self, at: Timestamp) -> KeptText {
        KeptText::new(&self.version(), &self.language, self.body.clone(), at)
    }
}

fn about(room: &Room<'_>) -> [(&'static str, FluentValue<'static>); 1] {
    [("sender", room.sender().to_owned().into())]
}
