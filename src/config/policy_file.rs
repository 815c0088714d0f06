//! The policy file and its rule packs as they are written, and what makes them contradict themselves.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::document::{Document, Item, Table};
use super::error::ConfigErrors;
use super::form_file::read_forms;
use super::knobs_file::read_knobs;
use super::look_file::ReadFile;
use super::rules_file::{Names, read_rules};
use super::sender_file::{read_controllers, read_topics};
use super::values::{Name, Retention};
use crate::consent::limit::Limit;
use crate::policy::rules::*;

/// Reads a policy and the packs it includes, in the order their rules are to be asked.
pub fn parse_policy(name: &str, text: &str, includes: &[(&str, &str)]) -> Result<Policy, ConfigErrors> {
    parse_policy_with(name, text, includes, None)
}

/// The same, with the pictures it names.
pub(super) fn parse_policy_with(
    name: &str,
    text: &str,
    includes: &[(&str, &str)],
    files: Option<ReadFile<'_>>,
) -> Result<Policy, ConfigErrors> {
    let read = |root: &mut Table<'_>| {
        let known = [root.names("topic"), root.names("controller")];
        let [topics, controllers] = known.map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>());
        Some((read_root(name, root, &topics, &controllers, files), topics, controllers))
    };
    let (draft, mut errors) = Document::read(name, text, None, read);
    let Some((mut policy, topic_names, controller_names)) = draft else { return Err(errors) };
    for (pack, pack_text) in includes {
        let (rules, faults) = Document::read(pack, pack_text, None, |root| {
            let item = root.item("rule");
            let (topic_names, controller_names) = (&topic_names, &controller_names);
            let names = Names { topics: &policy.topics, topic_names, controller_names, earlier: &policy.rules };
            Some(item.map_or(Vec::new(), |item| read_rules(pack, &item, &names)))
        });
        policy.rules.extend(rules.unwrap_or_default());
        errors.extend(faults);
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let source = |(name, text): (&str, &str)| PolicySource { name: name.to_owned(), text: text.to_owned() };
    policy.sources = std::iter::once((name, text)).chain(includes.iter().copied()).map(source).collect();
    policy.hash = hash_of(&policy.sources);
    Ok(policy)
}

/// Reads a policy again from the texts it was once made of.
pub fn parse_sources(sources: &[PolicySource]) -> Result<Policy, ConfigErrors> {
    let Some((policy, packs)) = sources.split_first() else {
        return Err(ConfigErrors::of_file("policy", "there is no text; a policy has at least its own file".into()));
    };
    let packs: Vec<_> = packs.iter().map(|pack| (pack.name.as_str(), pack.text.as_str())).collect();
    parse_policy(&policy.name, &policy.text, &packs)
}

/// The `include` patterns of a policy, whatever else is wrong with it.
pub fn included(name: &str, text: &str) -> Vec<String> {
    Document::read(name, text, None, |root| root.get("include")).0.unwrap_or_default()
}

fn read_root(
    name: &str,
    root: &mut Table<'_>,
    topic_names: &[String],
    controller_names: &[String],
    files: Option<ReadFile<'_>>,
) -> Policy {
    let later = "taking one group of recipients after the other";
    let mixed = [("group", later), ("one_at_a_time", later)];
    if let Some(item) = root.item("include") {
        item.each(read_pattern);
    }
    let controllers = read_controllers(root, files);
    let topics = read_topics(root);
    let forms = read_forms(root, &topics, topic_names, controller_names);
    let mut policy = Policy {
        mode: root.word("mode", Mode::Enforce, &[]),
        time_zone: read_time_zone(root),
        unknown_class: root.word("unknown_class", Class::Promotional, &[]),
        class_conflict: root.word("class_conflict", Class::Promotional, &[]),
        service_without_store: root.word("service_without_store", ServiceWithoutStore::Pass, &[]),
        mixed_recipients: root.word("mixed_recipients", MixedRecipients::DeliverPermitted, &mixed),
        notify_sender: root.word("notify_sender", NotifySender::Dsn, &[]),
        refusal: root.word("refusal", Refusal::Reject, &[]),
        existing_list_headers: root.word("existing_list_headers", ExistingListHeaders::Replace, &[]),
        on_signed: root.item("on_signed").and_then(|item| item.word(&[])),
        knobs: read_knobs(root),
        frequency: root.get("frequency").and_then(Limit::rate),
        journal_retention: root.or("journal_retention", Retention(Some(jiff::Span::new().years(5)))).0,
        family_groups: root.section("family_group", read_family_groups),
        controllers,
        topics,
        forms,
        rules: Vec::new(),
        hash: String::new(),
        sources: Vec::new(),
    };
    if let Some(item) = root.item("rule") {
        let names = Names { topics: &policy.topics, topic_names, controller_names, earlier: &[] };
        policy.rules = read_rules(name, &item, &names);
    }
    policy
}

/// The loader knows one kind of pattern; another would silently name no file.
fn read_pattern(item: &Item<'_>) -> Option<String> {
    let Name(pattern) = item.read()?;
    let (directory, file) = pattern.rsplit_once('/').unwrap_or(("", &pattern));
    if directory.contains('*') || file.matches('*').count() > 1 || pattern.contains(['?', '[', '{']) {
        return item.refuse(&format!(
            "{pattern:?} is more than is understood; write one * in the file's name: \"mailers/*.toml\""
        ));
    }
    Some(pattern)
}

fn read_time_zone(root: &mut Table<'_>) -> TimeZone {
    let read = |item: Item<'_>| {
        let name: String = item.read()?;
        let zone = TimeZone::get(&name).ok();
        zone.or_else(|| item.refuse(&format!("{name:?} is no time zone; write a name like \"Europe/Paris\"")))
    };
    let paris = || TimeZone::get("Europe/Paris").unwrap_or(TimeZone::UTC); // bundled, so it is there
    root.item("time_zone").and_then(read).unwrap_or_else(paris)
}

fn read_family_groups(table: &mut Table<'_>) -> BTreeMap<String, Vec<String>> {
    let read = |(name, item): (&str, Item<'_>)| Some((name.to_owned(), item.read()?));
    table.entries().into_iter().filter_map(read).collect()
}
