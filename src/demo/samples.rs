//! The sample contacts and messages, as they ship under `demo/`.

use jiff::civil::date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::DemoError;
use crate::consent::event::ConsentEvent;
use crate::smtp::address::EmailAddress;
use crate::store::KeptText;

pub const POLICY: &str = include_str!("../../demo/policy.toml");
const CONTACTS: &str = include_str!("../../demo/contacts.ndjson");
const TEXTS: &str = include_str!("../../demo/texts.toml");
const SENDS: &str = include_str!("../../demo/sends.toml");

macro_rules! messages {
    ($($name:literal),* $(,)?) => {
        /// Name and text of every message in `demo/messages`.
        const MESSAGES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../demo/messages/", $name, ".eml")))),*];
    };
}

messages!(
    "cart-reminder",
    "editorial",
    "invoice",
    "music-sale",
    "newsletter-fr",
    "newsletter-en",
    "one-time-code",
    "opt-in-request",
    "order",
    "order-with-tips",
    "parcel-notice",
    "password-reset",
    "review-request",
    "script-report",
);

/// One message with its envelope.
#[derive(Clone, Debug)]
pub struct Sample {
    pub name: String,
    pub from: EmailAddress,
    pub to: Vec<EmailAddress>,
    /// With angle brackets.
    pub message_id: String,
    /// CRLF lines, not dot-stuffed.
    pub message: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sends {
    send: Vec<Send>,
}

/// One line of `demo/sends.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Send {
    file: String,
    from: EmailAddress,
    to: Vec<EmailAddress>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Texts {
    text: Vec<Text>,
}

/// One wording of `demo/texts.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    version: String,
    language: String,
    body: String,
}

/// The wordings that the sample contacts agreed to.
pub fn texts(now: Timestamp) -> Result<Vec<KeptText>, DemoError> {
    let wrong = |error: toml::de::Error| DemoError::Sample { file: "texts.toml".into(), error: error.to_string() };
    let texts: Texts = toml::from_str(TEXTS).map_err(wrong)?;
    let kept = |Text { version, language, body }| KeptText::new(&version, &language, body, now);
    Ok(texts.text.into_iter().map(kept).collect())
}

/// What is sent, in the order in which it is sent, as if it were written at `now`.
pub fn messages(now: Timestamp) -> Result<Vec<Sample>, DemoError> {
    let wrong = |error: String| DemoError::Sample { file: "sends.toml".into(), error };
    let sends: Sends = toml::from_str(SENDS).map_err(|error| wrong(error.to_string()))?;
    let sample = |Send { file, from, to }: Send| {
        let text = MESSAGES.iter().find(|(name, _)| *name == file).map(|(_, text)| *text);
        let text = text.ok_or_else(|| wrong(format!("messages/{file}.eml is not there")))?;
        Ok(Sample::new(file, from, to, text, now))
    };
    sends.send.into_iter().map(sample).collect()
}

impl Sample {
    fn new(name: String, from: EmailAddress, to: Vec<EmailAddress>, text: &str, now: Timestamp) -> Sample {
        let message_id = format!("<{name}.{}@{}>", now.as_microsecond(), from.domain());
        let date = now.to_zoned(TimeZone::UTC).strftime("%a, %-d %b %Y %H:%M:%S %z");
        let text = format!("Date: {date}\nMessage-ID: {message_id}\n{text}");
        Sample { name, from, to, message_id, message: text.replace('\n', "\r\n").into_bytes() }
    }

    /// The same message again, to one recipient, under a number of its own.
    pub fn again(&self, to: &EmailAddress, now: Timestamp) -> Sample {
        let message_id = format!("<{}.{}@{}>", self.name, now.as_microsecond(), self.from.domain());
        let text = String::from_utf8_lossy(&self.message).replace(&self.message_id, &message_id);
        Sample { to: vec![to.clone()], message_id, message: text.into_bytes(), ..self.clone() }
    }
}

/// The events of the sample contacts. Their dates are those of people who are written to on 1 July 2026; each is moved
/// by the days since, so that what is recent stays recent.
pub fn contacts(now: Timestamp) -> Result<Vec<ConsentEvent>, DemoError> {
    let days = now.to_zoned(TimeZone::UTC).date().duration_since(date(2026, 7, 1));
    let read = |(index, line): (usize, &str)| {
        let event = ConsentEvent::from_json(line);
        let file = format!("contacts.ndjson:{}", index + 1);
        event.map(|event| moved(event, days)).map_err(|error| DemoError::Sample { file, error: error.to_string() })
    };
    CONTACTS.lines().enumerate().map(read).collect()
}

fn moved(mut event: ConsentEvent, by: SignedDuration) -> ConsentEvent {
    for moment in [&mut event.at, &mut event.informed_at].into_iter().flatten() {
        // A date no calendar reaches stays where it is.
        *moment = moment.checked_add(by).unwrap_or(*moment);
    }
    event
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_that_ships_is_read_and_used() {
        let now = "2031-03-04T05:06:07Z".parse().unwrap();
        let samples = messages(now).unwrap();
        let sent: BTreeSet<&str> = samples.iter().map(|sample| sample.name.as_str()).collect();
        let embedded: BTreeSet<&str> = MESSAGES.iter().map(|(name, _)| *name).collect();
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/messages");
        let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let shipped: BTreeSet<String> = files.map(|file| file.replace(".eml", "")).collect();
        assert_eq!(sent, embedded);
        assert_eq!(embedded, shipped.iter().map(String::as_str).collect());
        assert!(samples.iter().any(|sample| sample.to.len() > 10) && samples.iter().any(|sample| sample.to.len() == 1));
    }

    #[test]
    fn every_wording_that_a_sample_contact_names_is_there_and_named() {
        let now = "2031-03-04T05:06:07Z".parse().unwrap();
        let named: BTreeSet<String> = contacts(now).unwrap().into_iter().filter_map(|one| one.text_version).collect();
        let there: BTreeSet<String> = texts(now).unwrap().into_iter().map(|text| text.version).collect();
        assert_eq!(named, there);
    }

    #[test]
    fn the_contacts_age_with_the_calendar() {
        let people = |day: &str| contacts(day.parse().unwrap()).unwrap();
        let (first, later) = (people("2026-07-01T12:00:00Z"), people("2036-07-01T23:59:59Z"));
        let addresses: BTreeSet<&EmailAddress> = first.iter().map(|event| &event.address).collect();
        assert!(addresses.len() >= 30, "{}", addresses.len());
        for (early, late) in first.iter().zip(&later) {
            let days = late.at.unwrap().duration_since(early.at.unwrap());
            assert_eq!(days, SignedDuration::from_hours(24 * 3653), "{early:?}");
        }
    }

    #[test]
    fn a_message_sent_again_differs_only_in_its_number_and_recipient() {
        let now = "2031-03-04T05:06:07Z".parse().unwrap();
        let sample = messages(now).unwrap().remove(0);
        let other = EmailAddress::parse("anna@example.org").unwrap();
        let again = sample.again(&other, "2031-03-04T05:06:08Z".parse().unwrap());
        assert_eq!((again.to, &again.from), (vec![other], &sample.from));
        assert_ne!(again.message_id, sample.message_id);
        let text = String::from_utf8(again.message).unwrap();
        assert_eq!(text.replace(&again.message_id, &sample.message_id).into_bytes(), sample.message);
    }
}
