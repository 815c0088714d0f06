//! Why a verdict is what it is: the facts that decided, kept as values and said in any language we speak.

use std::fmt;

use jiff::civil::{Date, Time};
use serde::{Deserialize, Serialize};

pub use super::sentence::Sentence;
use crate::consent::limit::{Limit, Rate, Window};
use crate::message::language::Language;

/// One fact: a sentence and what it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    #[serde(rename = "fact")]
    pub sentence: Sentence,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// The day it happened, in the zone of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Date>,
    /// A day it leads to: the last one of a permission, the end of a pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// The time of `until` on the clock of the policy's zone, where the day alone says too little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<i64>,
    /// One word more, as it stands in events and policies: a mechanism, a provenance, a controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<String>,
}

impl Fact {
    pub fn new(sentence: Sentence) -> Fact {
        Fact { sentence, topics: Vec::new(), on: None, until: None, time: None, event: None, word: None }
    }

    pub fn about(self, topics: impl IntoIterator<Item = impl Into<String>>) -> Fact {
        Fact { topics: topics.into_iter().map(Into::into).collect(), ..self }
    }

    pub fn on(self, day: Date) -> Fact {
        Fact { on: Some(day), ..self }
    }

    pub fn until(self, day: Date) -> Fact {
        Fact { until: Some(day), ..self }
    }

    pub fn at_time(self, time: Time) -> Fact {
        Fact { time: Some(time), ..self }
    }

    pub fn event(self, seq: i64) -> Fact {
        Fact { event: Some(seq), ..self }
    }

    pub fn word(self, word: impl Into<String>) -> Fact {
        Fact { word: Some(word.into()), ..self }
    }

    /// The sentence in this language. What a mailer or an event wrote is put in as it stands and never read again.
    pub fn say(&self, language: Language) -> String {
        let [english, french] = self.sentence.wording();
        let mut rest = match language {
            Language::English => english,
            Language::French => french,
        };
        let mut said = String::new();
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            said.push_str(before);
            said.push_str(&self.value(name, language));
            rest = after;
        }
        said + rest
    }

    fn value(&self, name: &str, language: Language) -> String {
        let day = |day: Option<Date>| day.map(|day| written(day, language));
        let value = match name {
            "topics" => Some(self.topics.join(", ")),
            "on" => day(self.on),
            "until" => {
                day(self.until).map(|day| day + &self.time.map_or_else(String::new, |time| clock(time, language)))
            }
            "rate" => self.word.as_deref().map(|word| spoken(word, language)),
            "event" => self.event.map(|seq| seq.to_string()),
            _ => self.word.clone(),
        };
        value.unwrap_or_else(|| "?".to_owned())
    }
}

/// All that decided, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Because(pub Vec<Fact>);

impl Because {
    pub fn say(&self, language: Language) -> String {
        self.0.iter().map(|fact| fact.say(language)).collect::<Vec<_>>().join(", ")
    }
}

impl From<Fact> for Because {
    fn from(fact: Fact) -> Because {
        Because(vec![fact])
    }
}

impl From<Sentence> for Because {
    fn from(sentence: Sentence) -> Because {
        Fact::new(sentence).into()
    }
}

/// In English.
impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.say(Language::English))
    }
}

/// A day as people write it: `2 February 2026`, `2 février 2026`.
pub fn written(day: Date, language: Language) -> String {
    const FRENCH: [&str; 12] = [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ];
    match language {
        Language::English => day.strftime("%-d %B %Y").to_string(),
        Language::French => {
            let number = if day.day() == 1 { "1er".to_owned() } else { day.day().to_string() };
            format!("{number} {} {}", FRENCH[day.month().unsigned_abs() as usize - 1], day.year())
        }
    }
}

/// A limit as people say it: `2 messages a week`, `2 messages par semaine`.
fn spoken(limit: &str, language: Language) -> String {
    let Some(Rate { count, window }) = Limit::parse(limit).and_then(Limit::rate) else { return limit.to_owned() };
    let [english, french] = match window {
        Window::Day => ["a day", "par jour"],
        Window::Week => ["a week", "par semaine"],
        Window::Month => ["a month", "par mois"],
    };
    match (language, count) {
        (Language::English, 1) => format!("one message {english}"),
        (Language::English, _) => format!("{count} messages {english}"),
        (Language::French, 1) => format!("un message {french}"),
        (Language::French, _) => format!("{count} messages {french}"),
    }
}

/// A time as people write it behind a day: ` at 10:00`, ` à 10 h 00`.
fn clock(time: Time, language: Language) -> String {
    match language {
        Language::English => time.strftime(" at %H:%M").to_string(),
        Language::French => time.strftime(" à %-H h %M").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn a_fact_names_its_day_its_topics_and_its_event_in_both_languages() {
        let fact = Fact::new(Sentence::ObjectedTo).about(["offers/books"]).on(date(2026, 2, 2)).event(812);
        assert_eq!(fact.say(Language::English), "objected to offers/books on 2 February 2026 (event 812)");
        assert_eq!(fact.say(Language::French), "s’est opposé à offers/books le 2 février 2026 (événement 812)");
        assert_eq!(written(date(2026, 8, 1), Language::French), "1er août 2026");
        let pause = Fact::new(Sentence::Paused).until(date(2026, 6, 1)).at_time(Time::constant(8, 5, 0, 0)).event(3);
        assert_eq!(pause.say(Language::English), "asked for a pause until 1 June 2026 at 08:05 (event 3)");
        let reached =
            Fact::new(Sentence::CapReachedOverall).word("2/week").on(date(2026, 5, 12)).until(date(2026, 5, 16));
        assert!(reached.say(Language::English).starts_with("the policy allows 2 messages a week at most in all; "));
        let once = Fact::new(Sentence::WishReachedOverall).word("monthly").event(2);
        assert!(once.say(Language::French).starts_with("a demandé au plus un message par mois en tout (événement 2)"));
        assert_eq!(pause.say(Language::French), "a demandé une pause jusqu’au 1er juin 2026 à 8 h 05 (événement 3)");
    }

    #[test]
    fn what_a_mailer_wrote_is_not_read_as_a_place_to_fill() {
        let fact = Fact::new(Sentence::NothingOnRecordFor).about(["{event}"]).event(7);
        assert_eq!(fact.say(Language::English), "no consent on record for {event}");
    }

    #[test]
    fn facts_survive_being_kept_as_json() {
        let because = Because(vec![Fact::new(Sentence::CollectedAs).word("bought").on(date(2026, 1, 1)).event(3)]);
        let kept = serde_json::to_string(&because).unwrap();
        assert_eq!(kept, r#"[{"fact":"collected_as","on":"2026-01-01","event":3,"word":"bought"}]"#);
        assert_eq!(serde_json::from_str::<Because>(&kept).unwrap(), because);
    }
}
