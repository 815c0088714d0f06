//! What a person can leave, and what they chose to.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use crate::policy::concern::concern;
use crate::policy::rules::Policy;
use crate::smtp::address::EmailAddress;
use crate::store::{Store, StoreError};
use crate::web::locale::Locale;
use crate::web::page::topic_label;

/// Everything, of one controller or of all.
const EVERYTHING: &str = "*";

/// One box to tick.
#[derive(Serialize)]
pub struct Box {
    /// As the form sends it.
    pub value: String,
    pub label: String,
    /// The person has left it before.
    pub left: bool,
}

/// One controller with its boxes.
#[derive(Serialize)]
pub struct Offer {
    pub sender: String,
    pub topics: Vec<Box>,
    pub everything: Box,
}

/// What is known of the address decides which topics are shown. May block.
pub fn read(
    store: &Store,
    policy: &Policy,
    address: &EmailAddress,
    locale: &Locale,
    now: Timestamp,
) -> Result<Vec<Offer>, StoreError> {
    let mut reader = store.reader()?;
    let mut offers = Vec::new();
    for controller in policy.controllers.values() {
        let (consulted, _) = reader.consult(&controller.id, std::slice::from_ref(address))?;
        let consulted = consulted.into_iter().next().unwrap_or_default();
        let concern = concern(policy, &controller.id, address, &consulted, now);
        let boxed = |(path, left): (String, bool)| Box {
            value: value(&controller.id, &path),
            label: topic_label(policy, &path, locale).to_owned(),
            left,
        };
        offers.push(Offer {
            sender: controller.name.clone(),
            topics: concern.topics.into_iter().map(boxed).collect(),
            everything: Box { value: value(&controller.id, EVERYTHING), label: String::new(), left: concern.left },
        });
    }
    Ok(offers)
}

/// JSON, because any key of the policy may hold any character.
fn value(controller: &str, topic: &str) -> String {
    serde_json::json!([controller, topic]).to_string()
}

/// What is left of one controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    pub controller: String,
    /// Empty: everything.
    pub topics: Vec<String>,
}

/// A wish as the page repeats it.
#[derive(Serialize)]
pub struct Left {
    pub sender: String,
    /// Empty: everything.
    pub topics: Vec<String>,
}

impl Wish {
    /// One for each controller; everything takes its topics in. `None`: something the policy does not have.
    pub fn read(chosen: &[&str], policy: &Policy) -> Option<Vec<Wish>> {
        let mut wishes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for value in chosen {
            if *value == EVERYTHING {
                let all = policy.controllers.keys().map(|id| (id.clone(), BTreeSet::from([EVERYTHING.to_owned()])));
                wishes = all.collect();
                break;
            }
            let (controller, topic): (String, String) = serde_json::from_str(value).ok()?;
            let known = topic == EVERYTHING || policy.topic(&topic).is_some_and(|known| known.controller == controller);
            if !known || !policy.controllers.contains_key(&controller) {
                return None;
            }
            wishes.entry(controller).or_default().insert(topic);
        }
        let wish = |(controller, topics): (String, BTreeSet<String>)| {
            let everything = topics.contains(EVERYTHING);
            Wish { controller, topics: if everything { Vec::new() } else { topics.into_iter().collect() } }
        };
        Some(wishes.into_iter().map(wish).collect())
    }

    pub fn told(&self, policy: &Policy, locale: &Locale) -> Left {
        let controller = policy.controllers.get(&self.controller);
        let topics = self.topics.iter().map(|path| topic_label(policy, path, locale).to_owned());
        Left {
            sender: controller.map_or_else(|| self.controller.clone(), |controller| controller.name.clone()),
            topics: topics.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_policy;

    #[test]
    fn boxes_become_one_wish_for_each_controller() {
        let controller = |id: &str| {
            format!(
                "[controller.{id}]\nname = \"{id}\"\ndomains = [\"{id}.example\"]\ncontact = \"a@{id}.example\"\n\
                 privacy_url = \"https://{id}.example/\"\n"
            )
        };
        let topics = "[topic.news]\ncontroller = \"a\"\n[topic.\"offers/books\"]\ncontroller = \"a\"\n\
                      [topic.trips]\ncontroller = \"b\"\n";
        let text = [controller("a"), controller("b"), topics.to_owned()].concat();
        let policy = parse_policy("policy.toml", &text, &[]).unwrap();
        let wish = |controller: &str, topics: &[&str]| Wish {
            controller: controller.to_owned(),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        };
        let (news, books, all_of_a) = (value("a", "news"), value("a", "offers/books"), value("a", "*"));
        let (foreign, nobody, all_of_b) = (value("b", "news"), value("c", "*"), value("b", "*"));
        let table: [(&[&str], _); 8] = [
            (&[], Some(vec![])),
            (&[&news], Some(vec![wish("a", &["news"])])),
            (&[&books, &news], Some(vec![wish("a", &["news", "offers/books"])])),
            (&[&news, &all_of_b, &all_of_a], Some(vec![wish("a", &[]), wish("b", &[])])),
            (&[&news, "*"], Some(vec![wish("a", &[]), wish("b", &[])])),
            (&[&foreign], None),
            (&[&nobody], None),
            (&["news"], None),
        ];
        for (chosen, expected) in table {
            assert_eq!(Wish::read(chosen, &policy), expected, "{chosen:?}");
        }
    }
}
