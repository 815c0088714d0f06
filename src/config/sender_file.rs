//! `[controller.…]` and `[topic.…]`: on whose behalf mail is sent, and about what.

use std::collections::BTreeMap;

use super::document::{Item, Table};
use super::look_file::{ReadFile, read_look};
use super::values::{Domain, Name, is_host};
use crate::consent::limit::Limit;
use crate::message::footer;
use crate::policy::rules::{Controller, ControllerKind, Topic};
use crate::smtp::address::EmailAddress;

/// A controller's name stands in every unsubscribe link, which has to fit one line (R54).
const LONGEST_ID: usize = 200;

pub(super) fn read_controllers(root: &mut Table<'_>, files: Option<ReadFile<'_>>) -> BTreeMap<String, Controller> {
    let mut owners = BTreeMap::new();
    let mut controllers = BTreeMap::new();
    for (id, item) in root.named("controller") {
        if id.len() > LONGEST_ID {
            item.refuse_key::<()>(&format!(
                "is too long for an unsubscribe link; write {LONGEST_ID} characters at most"
            ));
        }
        let controller = item.table(|table| read_controller(id, table, &mut owners, files));
        controllers.extend(controller.map(|controller| (id.to_owned(), controller)));
    }
    controllers
}

fn read_controller(
    id: &str,
    table: &mut Table<'_>,
    owners: &mut BTreeMap<String, String>,
    files: Option<ReadFile<'_>>,
) -> Option<Controller> {
    let name = table.need("name", "write the name people know it by").map(|Name(name)| name);
    let domains = match table.item("domains") {
        Some(item) => read_domains(id, &item, owners),
        None => table.refuse("`domains` is missing; write the From: domains that send for it, [\"exemple.fr\"]"),
    };
    let languages = table.item("languages").map_or_else(|| Some(vec!["en".to_owned()]), |item| read_languages(&item));
    let privacy_url = match table.item("privacy_url") {
        Some(item) => read_https(&item),
        None => table.refuse("`privacy_url` is missing; write the https address of its privacy notice"),
    };
    let contact = table.need::<EmailAddress>("contact", "write the address that answers questions about personal data");
    let mailto = table.item("unsubscribe_mailto").map_or(Some(None), |item| read_mailto(&item).map(Some));
    let kind = table.word("kind", ControllerKind::Company, &[]);
    let links = table.item("optout_links").map_or_else(|| Some(Vec::new()), |item| item.each(read_https));
    let footer = table.section("footer", read_footer);
    let look = read_look(table, files);
    Some(Controller {
        id: id.to_owned(),
        name: name?,
        domains: domains?,
        languages: languages?,
        privacy_url: privacy_url?,
        contact: contact?.as_str().to_owned(),
        unsubscribe_mailto: mailto?,
        kind,
        optout_links: links?,
        footer,
        look,
    })
}

/// The From: domains of a controller. A domain speaks for one controller, or nobody could tell whose consent counts.
fn read_domains(id: &str, item: &Item<'_>, owners: &mut BTreeMap<String, String>) -> Option<Vec<String>> {
    let domains = item.each(|element| {
        let Domain(domain) = element.read()?;
        match owners.insert(domain.clone(), id.to_owned()) {
            Some(other) => {
                element.refuse(&format!("{domain} belongs to {other} already; leave it with one controller"))
            }
            None => Some(domain),
        }
    })?;
    if domains.is_empty() {
        return item.refuse("is empty; write the From: domains that send for it, [\"exemple.fr\"]");
    }
    Some(domains)
}

fn read_languages(item: &Item<'_>) -> Option<Vec<String>> {
    let languages = item.each(read_language)?;
    if languages.is_empty() {
        return item.refuse("is empty; write [\"en\"], or leave it out");
    }
    Some(languages)
}

fn read_language(item: &Item<'_>) -> Option<String> {
    let language: String = item.read()?;
    if is_language(&language) {
        return Some(language);
    }
    item.refuse(&format!("{language:?} is no language; write \"fr\", \"en\" or \"pt-BR\""))
}

pub(super) fn is_language(text: &str) -> bool {
    let primary = text.split('-').next().unwrap_or_default();
    let alphanumeric = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (2..=3).contains(&primary.len()) && primary.bytes().all(|byte| byte.is_ascii_lowercase()) && alphanumeric
}

/// What is said around the link that is added to a body.
fn read_footer(table: &mut Table<'_>) -> BTreeMap<String, String> {
    let read = |(language, item): (&str, Item<'_>)| {
        if !is_language(language) {
            return item.refuse_key("is no language; write footer = { fr = \"… {link}\", en = \"… {link}\" }");
        }
        let Name(text) = item.read()?;
        match footer::check(&text) {
            Ok(()) => Some((language.to_owned(), text)),
            Err(error) => item.refuse(&error.to_string()),
        }
    };
    table.entries().into_iter().filter_map(read).collect()
}

pub(super) fn read_https(item: &Item<'_>) -> Option<String> {
    let Name(url) = item.read()?;
    let host = url.strip_prefix("https://").map(|rest| rest.split(['/', ':', '?', '#']).next().unwrap_or_default());
    if host.is_some_and(is_host) && !url.contains([' ', '<', '>', '"']) {
        return Some(url);
    }
    item.refuse(&format!("{url:?} is no https address; write something like \"https://exemple.fr/privacy\""))
}

/// An address that is written into a header field of every promotional message, so ASCII only.
fn read_mailto(item: &Item<'_>) -> Option<String> {
    let address: EmailAddress = item.read()?;
    if !address.is_ascii() || address.domain().is_empty() {
        return item.refuse("cannot stand in a mailto link; write an address in ASCII with its domain");
    }
    Some(address.as_str().to_owned())
}

pub(super) fn read_topics(root: &mut Table<'_>) -> BTreeMap<String, Topic> {
    // Controllers that were refused still count as known: their fault is told once, where it is.
    let known = root.names("controller");
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let tables = root.named("topic");
    let paths: Vec<&str> = tables.iter().map(|(path, _)| *path).collect();
    let mut topics = BTreeMap::new();
    for (path, item) in &tables {
        refuse_bad_path(path, item);
        let topic = item.table(|table| read_topic(path, table, &known, &paths, &mut names));
        topics.extend(topic.map(|topic| ((*path).to_owned(), topic)));
    }
    topics
}

fn refuse_bad_path(path: &str, item: &Item<'_>) {
    let segment = |segment: &str| {
        !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if !path.split('/').all(segment) {
        item.refuse_key::<()>(
            "a topic's path ends up in List-Id; write letters, digits, - and _ between slashes, and say the rest in its label",
        );
    }
}

fn read_topic(
    path: &str,
    table: &mut Table<'_>,
    controllers: &[&str],
    paths: &[&str],
    aliases: &mut BTreeMap<String, String>,
) -> Option<Topic> {
    let controller = match table.item("controller") {
        Some(item) => item.one_of("controller", controllers.iter().copied()),
        None => table.refuse("`controller` is missing; write the name of a [controller.…] table"),
    };
    let label = table.section("label", read_label);
    let families = table.or("families", Vec::new());
    let list_id = table.item("list_id").map_or(Some(None), |item| read_list_id(&item).map(Some));
    let own_consent = table.or("own_consent", false);
    let aliases = table
        .item("aliases")
        .map_or_else(|| Some(Vec::new()), |item| item.each(|element| read_alias(element, path, paths, aliases)));
    let frequency = table.get("frequency").and_then(Limit::rate);
    Some(Topic {
        path: path.to_owned(),
        controller: controller?,
        label,
        families,
        list_id: list_id?,
        own_consent,
        aliases: aliases?,
        frequency,
    })
}

fn read_label(table: &mut Table<'_>) -> BTreeMap<String, String> {
    let read = |(language, item): (&str, Item<'_>)| {
        if !is_language(language) {
            return item.refuse_key("is no language; write label = { fr = \"…\", en = \"…\" }");
        }
        item.read::<Name>().map(|Name(label)| (language.to_owned(), label))
    };
    table.entries().into_iter().filter_map(read).collect()
}

fn read_list_id(item: &Item<'_>) -> Option<String> {
    let list_id: String = item.read()?;
    if list_id.contains('.') && is_host(&list_id) {
        return Some(list_id);
    }
    item.refuse(&format!(
        "{list_id:?} is no list identifier (RFC 2919); write something like \"books.offers.exemple.fr\""
    ))
}

/// A former name leads to one topic, and to none that has it now.
fn read_alias(item: &Item<'_>, path: &str, paths: &[&str], taken: &mut BTreeMap<String, String>) -> Option<String> {
    let Name(alias) = item.read()?;
    if paths.contains(&alias.as_str()) {
        return item.refuse(&format!("{alias} is a topic of its own; an alias is a name that no topic has any more"));
    }
    match taken.insert(alias.clone(), path.to_owned()) {
        Some(other) => item.refuse(&format!("{alias} is an alias of {other} already; leave it with one topic")),
        None => Some(alias),
    }
}
