//! What was said, apart from who said it: the person can be forgotten and the proof stays.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::ConsentEvent;

/// The fields that name the person, or may: a remark, and the id another program knows the event by.
const PERSONAL: [&str; 3] = ["address", "note", "id"];

/// Words of a name in `evidence` whose value tells of the person's machine, or in the person's own words. They prove
/// nothing that time, wording and mechanism do not.
const TELLING: [&str; 16] = [
    "agent", "browser", "comment", "comments", "device", "email", "ip", "mail", "message", "name", "note", "other",
    "phone", "remark", "remarks", "ua",
];

/// An event as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    pub proof: String,
    pub personal: String,
}

impl ConsentEvent {
    /// What was said and, apart from it, who said it. Each is canonical JSON.
    pub fn to_parts(&self) -> Parts {
        let Ok(Value::Object(mut said)) = serde_json::to_value(self) else {
            unreachable!("an event is written as an object of strings, numbers and flags")
        };
        let mut who: Map<String, Value> = PERSONAL.iter().filter_map(|field| said.remove_entry(*field)).collect();
        if let Some(Value::Object(evidence)) = said.get_mut("evidence") {
            let names: Vec<String> =
                evidence.iter().filter(|(name, value)| tells(name, value)).map(|(name, _)| name.clone()).collect();
            let telling: Map<String, Value> = names.iter().filter_map(|name| evidence.remove_entry(name)).collect();
            if !telling.is_empty() {
                who.insert("evidence".into(), Value::Object(telling));
            }
        }
        Parts { proof: Value::Object(said).to_string(), personal: Value::Object(who).to_string() }
    }

    /// The event that was parted.
    pub fn from_parts(proof: &str, personal: &str) -> Result<ConsentEvent, serde_json::Error> {
        let mut said: Map<String, Value> = serde_json::from_str(proof)?;
        for (field, value) in serde_json::from_str::<Map<String, Value>>(personal)? {
            match (said.get_mut(&field), value) {
                (Some(Value::Object(proof)), Value::Object(telling)) => proof.extend(telling),
                (_, value) => _ = said.insert(field, value),
            }
        }
        serde_json::from_value(Value::Object(said))
    }
}

/// By its name, or by what stands in it: nobody has to name a column of addresses so.
fn tells(name: &str, value: &Value) -> bool {
    let name = name.to_ascii_lowercase();
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| TELLING.contains(&word)) || is_telling(value)
}

fn is_telling(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('@') || text.trim().parse::<IpAddr>().is_ok(),
        Value::Array(items) => items.iter().any(is_telling),
        Value::Object(members) => members.iter().any(|(name, value)| tells(name, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
