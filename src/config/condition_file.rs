//! The conditions of a rule as they are written.

use super::document::{Item, Table};
use super::values::{Domain, Name, field_name};
use crate::policy::rules::{Condition, TextTest};
use crate::smtp::address::EmailAddress;

/// What one compiled regular expression may take: a policy of hundreds stays in the megabytes.
const REGEX_SIZE: usize = 1 << 20;

/// How deep conditions may nest: every later walk over them is recursive.
const MAX_DEPTH: usize = 16;

/// Everything in one table has to hold.
pub(super) fn read_condition(table: &mut Table<'_>) -> Option<Condition> {
    read_at(table, 0)
}

fn read_at(table: &mut Table<'_>, depth: usize) -> Option<Condition> {
    if depth > MAX_DEPTH {
        return table.refuse("conditions are nested more than 16 deep; write several rules");
    }
    // Every key is asked for before one of them fails, so that all faults are told.
    let parts = [
        table.item("all").map(|item| read_list(&item, depth).map(Condition::All)),
        table.item("any").map(|item| read_list(&item, depth).map(Condition::Any)),
        table
            .item("not")
            .map(|item| item.table(|table| read_at(table, depth + 1)).map(|inner| Condition::Not(inner.into()))),
        read_header(table),
        table.item("subject").map(|item| read_tests(&item).map(|tests| one_or_all(tests, Condition::Subject))),
        table.item("from_domain").map(|item| item.read().map(|Domain(domain)| Condition::FromDomain(domain))),
        table
            .item("from_address")
            .map(|item| item.read::<EmailAddress>().map(|a| Condition::FromAddress(a.as_str().into()))),
        table.item("envelope_domain").map(|item| item.read().map(|Domain(domain)| Condition::EnvelopeDomain(domain))),
        table.item("listener").map(|item| item.read().map(|Name(name)| Condition::Listener(name))),
        table.item("credential").map(|item| item.read().map(|Name(name)| Condition::Credential(name))),
        table.item("client").map(|item| item.read().map(Condition::Client)),
        table
            .item("recipients_over")
            .map(|item| item.number(0..=1_000_000).map(|n| Condition::RecipientsOver(n as usize))),
    ];
    let present: Vec<Option<Condition>> = parts.into_iter().flatten().collect();
    if table.is_empty() {
        return table.refuse(
            "is empty, so it would match every message; write header, from_domain, subject or another condition",
        );
    }
    let mut conditions: Vec<Condition> = present.into_iter().collect::<Option<_>>()?;
    match conditions.len() {
        0 => None, // only unknown keys, told by the table
        1 => conditions.pop(),
        _ => Some(Condition::All(conditions)),
    }
}

fn read_list(item: &Item<'_>, depth: usize) -> Option<Vec<Condition>> {
    let conditions = item.each(|element| element.table(|table| read_at(table, depth + 1)))?;
    if conditions.is_empty() {
        return item.refuse("is empty; write at least one condition: [ { from_domain = \"exemple.fr\" } ]");
    }
    Some(conditions)
}

/// Either `header."X-Name" = { tests }`, any number of fields, or `header = "X-Name"` with the tests beside it.
fn read_header(table: &mut Table<'_>) -> Option<Option<Condition>> {
    let item = table.item("header")?;
    if !item.value().is_str() {
        let children = item.children().map(|children| {
            let conditions = children.into_iter().map(|(name, tests)| {
                let Some(name) = field_name(name) else {
                    return tests.refuse_key("is no header field's name; write it without a colon, like \"X-Topic\"");
                };
                read_tests(&tests).map(|tests| header_condition(&name, tests))
            });
            conditions.collect::<Vec<_>>()
        });
        let conditions: Option<Vec<Condition>> = children.and_then(|conditions| conditions.into_iter().collect());
        return Some(conditions.and_then(|mut conditions| match conditions.len() {
            0 => item.refuse("names no field; write header.\"X-Name\" = { present = true }"),
            1 => conditions.pop(),
            _ => Some(Condition::All(conditions)),
        }));
    }
    let name = item.read::<String>().and_then(|name| {
        field_name(&name)
            .or_else(|| item.refuse("is no header field's name; write it without a colon, like \"X-Topic\""))
    });
    let tests = text_tests(table);
    if tests.is_empty() {
        return Some(item.refuse(
            "says not what to look for; add present = true, equals, contains, starts_with, ends_with or matches",
        ));
    }
    let tests: Option<Vec<TextTest>> = tests.into_iter().collect();
    Some(name.zip(tests).map(|(name, tests)| header_condition(&name, tests)))
}

fn header_condition(name: &str, tests: Vec<TextTest>) -> Condition {
    one_or_all(tests, |test| Condition::Header { name: name.to_owned(), test })
}

fn one_or_all(mut tests: Vec<TextTest>, condition: impl Fn(TextTest) -> Condition) -> Condition {
    match (tests.len(), tests.pop()) {
        (1, Some(test)) => condition(test),
        (_, last) => Condition::All(tests.into_iter().chain(last).map(condition).collect()),
    }
}

fn read_tests(item: &Item<'_>) -> Option<Vec<TextTest>> {
    item.table(|table| {
        let tests = text_tests(table);
        if tests.is_empty() {
            return table.refuse(
                "says not what to look for; write present = true, equals, contains, starts_with, ends_with or matches",
            );
        }
        tests.into_iter().collect()
    })
}

/// The tests that stand in a table; `None` for one that is wrong.
fn text_tests(table: &mut Table<'_>) -> Vec<Option<TextTest>> {
    let mut tests = vec![table.item("present").map(|item| item.read().map(TextTest::Present))];
    type Kind = (&'static str, fn(String) -> TextTest);
    let kinds: [Kind; 4] = [
        ("equals", TextTest::Equals),
        ("contains", TextTest::Contains),
        ("starts_with", TextTest::StartsWith),
        ("ends_with", TextTest::EndsWith),
    ];
    for (key, test) in kinds {
        tests.push(table.item(key).map(|item| item.read().map(|Name(text)| test(text))));
    }
    tests.push(table.item("matches").map(|item| read_regex(&item)));
    tests.into_iter().flatten().collect()
}

fn read_regex(item: &Item<'_>) -> Option<TextTest> {
    let Name(pattern) = item.read()?;
    match regex::RegexBuilder::new(&pattern).size_limit(REGEX_SIZE).dfa_size_limit(REGEX_SIZE).build() {
        Ok(regex) => Some(TextTest::Matches(regex)),
        Err(regex::Error::CompiledTooBig(_)) => {
            item.refuse("takes more than 1 MiB when compiled; write a shorter expression")
        }
        Err(error) => {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            item.refuse(&format!(
                "is no regular expression: {reason}; write one, with a backslash before . + ? ( ) meant as they are"
            ))
        }
    }
}
