//! What the page says: words for types, decisions and outcomes.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::consent::event::{Actor, EventType};
use crate::message::language::Language;

/// One of two wordings.
pub fn say(language: Language, english: &'static str, french: &'static str) -> &'static str {
    match language {
        Language::English => english,
        Language::French => french,
    }
}

pub fn kind(kind: EventType, language: Language) -> &'static str {
    use EventType as T;
    let [english, french] = match kind {
        T::Collected => ["address collected", "adresse collectée"],
        T::Profile => ["kind of address", "nature de l’adresse"],
        T::OptIn => ["agreed", "accord"],
        T::OptInPending => ["agreed, to be confirmed", "accord, à confirmer"],
        T::OptInConfirmed => ["agreement confirmed", "accord confirmé"],
        T::NoAnswer => ["question left unanswered", "question sans réponse"],
        T::Refuse => ["refused", "refus"],
        T::Withdraw => ["agreement withdrawn", "accord retiré"],
        T::Object => ["objected", "opposition"],
        T::Complaint => ["complained", "plainte"],
        T::Purchase => ["purchase", "achat"],
        T::RelationEnd => ["end of a relation", "fin d’une relation"],
        T::Contact => ["contact", "contact"],
        T::Frequency => ["wish about frequency", "souhait de fréquence"],
        T::Pause => ["pause", "pause"],
        T::ChannelPreference => ["preferred channels", "canaux préférés"],
        T::Bounce => ["undeliverable", "non distribué"],
        T::Undo => ["objection taken back", "opposition annulée"],
        T::Erase => ["erasure", "effacement"],
    };
    say(language, english, french)
}

pub fn actor(actor: Option<Actor>, language: Language) -> &'static str {
    let [english, french] = match actor {
        Some(Actor::Person) => ["you", "vous"],
        Some(Actor::Delegate) => ["somebody on your behalf", "quelqu’un en votre nom"],
        Some(Actor::Operator) => ["the sender’s staff", "le personnel de l’expéditeur"],
        Some(Actor::Import) => ["taken over from elsewhere", "repris d’un autre fichier"],
        None => ["not recorded", "non enregistré"],
    };
    say(language, english, french)
}

/// `allow`, `block` and `defer` of the journal.
pub fn decision(word: &str, language: Language) -> &'static str {
    match word {
        "allow" => say(language, "sent", "envoyé"),
        "block" => say(language, "withheld", "retenu"),
        _ => say(language, "put off", "différé"),
    }
}

pub fn class(word: &str, language: Language) -> &'static str {
    match word {
        "service" => say(language, "service mail", "message de service"),
        _ => say(language, "advertising", "prospection"),
    }
}

/// To the minute, in the zone of the policy, with its offset.
pub fn moment(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %:z").to_string()
}
