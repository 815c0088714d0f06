//! `[[rule]]`: what a rule looks for and what it says, in the policy and in packs.

use std::collections::BTreeMap;

use super::condition_file::read_condition;
use super::document::{Item, Table};
use super::values::{FieldName, Name};
use crate::policy::rules::{Class, Rule, Topic, TopicsHeader};

/// The kinds a message can be said to be of (consent rules, section 1.3).
pub const KINDS: [&str; 12] = [
    "editorial",
    "loyalty_enrolment",
    "cart_reminder",
    "deletion_notice",
    "with_incentive",
    "review_request",
    "doi_request",
    "rights_reply",
    "breach_notice",
    "non_commercial",
    "reconfirm",
    "mixed",
];

/// What a rule may refer to.
pub(super) struct Names<'a> {
    pub topics: &'a BTreeMap<String, Topic>,
    /// All that have a table, refused ones included: their fault is told once, where it is.
    pub topic_names: &'a [String],
    pub controller_names: &'a [String],
    /// Rules of the files read before.
    pub earlier: &'a [Rule],
}

pub(super) fn read_rules(source: &str, item: &Item<'_>, names: &Names<'_>) -> Vec<Rule> {
    let mut places: BTreeMap<String, String> =
        names.earlier.iter().map(|rule| (rule.id.clone(), rule.source.clone())).collect();
    let Some(tables) = item.elements() else { return Vec::new() };
    let read = |item: Item<'_>| item.table(|table| read_rule(source, table, names, &mut places));
    tables.into_iter().filter_map(read).collect()
}

fn read_rule(
    source: &str,
    table: &mut Table<'_>,
    names: &Names<'_>,
    places: &mut BTreeMap<String, String>,
) -> Option<Rule> {
    let id = match table.item("id") {
        Some(item) => read_id(source, &item, places),
        None => {
            table.refuse("`id` is missing; write a name, it stands in the journal beside every decision of this rule")
        }
    };
    let condition = match table.item("when") {
        Some(item) => item.table(|table| read_condition(table)),
        None => table.refuse(
            "`when` is missing, so it would match every message; write when.header.\"X-…\" = { present = true }",
        ),
    };
    let class = table.item("class").map_or(Some(None), |item| item.word::<Class>(&[]).map(Some));
    let controller = table.item("controller").map_or(Some(None), |item| {
        item.one_of("controller", names.controller_names.iter().map(String::as_str)).map(Some)
    });
    let topics =
        table.item("topics").map_or_else(|| Some(Vec::new()), |item| read_topic_names(&item, &controller, names));
    let topics_header = read_topics_header(table, names);
    let families = table.or("families", Vec::new());
    let functions = table.or("functions", Vec::new());
    let kinds = table.item("kind").map_or_else(|| Some(Vec::new()), |item| read_kinds(&item));
    let silent = ["class", "controller", "topics", "topics_header", "families", "functions", "kind"];
    if !silent.iter().any(|key| table.has(key)) {
        return table.refuse("says nothing of the messages it matches; add class = \"service\" or \"promotional\"");
    }
    Some(Rule {
        id: id?,
        source: source.to_owned(),
        condition: condition?,
        class: class?,
        controller: controller?,
        topics: topics?,
        topics_header: topics_header?,
        families,
        functions,
        kinds: kinds?,
    })
}

fn read_id(source: &str, item: &Item<'_>, places: &mut BTreeMap<String, String>) -> Option<String> {
    let Name(id) = item.read()?;
    match places.insert(id.clone(), source.to_owned()) {
        Some(other) => item.refuse(&format!("{id:?} is the id of a rule in {other} already; write another one")),
        None => Some(id),
    }
}

fn read_topic_names(item: &Item<'_>, controller: &Option<Option<String>>, names: &Names<'_>) -> Option<Vec<String>> {
    let mut owner = controller.clone().flatten();
    item.each(|element| {
        let name = element.one_of("topic", names.topic_names.iter().map(String::as_str))?;
        let of = &names.topics.get(&name)?.controller; // where it was refused, so is the policy
        match owner.get_or_insert_with(|| of.clone()) {
            owner if owner == of => Some(name),
            owner => element.refuse(&format!(
                "{name} is a topic of {of}, the rest of the rule speaks of {owner}; a message is sent for one controller"
            )),
        }
    })
}

fn read_topics_header(table: &mut Table<'_>, names: &Names<'_>) -> Option<Option<TopicsHeader>> {
    let map_item = table.item("topics_map");
    let Some(header) = table.item("topics_header") else {
        return match map_item {
            Some(item) => item.refuse_key("maps nothing without a field; add topics_header = \"X-Topic\""),
            None => Some(None),
        };
    };
    let header = header.read();
    let topic = |(word, item): (&str, Item<'_>)| {
        Some((word.to_owned(), item.one_of("topic", names.topic_names.iter().map(String::as_str))?))
    };
    let map: Option<Vec<_>> = match map_item {
        Some(item) => item.children().map(|children| children.into_iter().map(topic).collect()),
        None => Some(Vec::new()),
    };
    let map = map?.into_iter().collect::<Option<_>>()?;
    header.map(|FieldName(header)| Some(TopicsHeader { header, map }))
}

fn read_kinds(item: &Item<'_>) -> Option<Vec<String>> {
    let kind = |item: &Item<'_>| item.one_of("kind of message", KINDS.into_iter());
    if item.value().is_str() { kind(item).map(|kind| vec![kind]) } else { item.each(kind) }
}
