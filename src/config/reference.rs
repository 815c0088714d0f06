//! The reference page of the policy: what each key takes is asked of the reader itself, so the page cannot say otherwise.

mod keys;

use std::fmt::Write as _;

use toml::{Table, Value};

use super::policy_file::parse_policy;
use keys::SECTIONS;

/// One key: where it stands, what holds without it, and what it means.
pub struct Key {
    pub name: &'static str,
    /// As it would be written; empty: nothing, the key may be left out; `required`.
    pub default: &'static str,
    pub meaning: &'static str,
}

/// One table of a policy.
pub struct Section {
    /// As it is written in the file; empty for the top level.
    pub heading: &'static str,
    /// Where the sample has one.
    path: &'static [&'static str],
    pub preface: &'static str,
    pub keys: &'static [Key],
}

/// A policy that has one of everything.
const SAMPLE: &str = r#"
[controller.x]
name = "X"
domains = ["x.example"]
privacy_url = "https://x.example/privacy"
contact = "privacy@x.example"
[topic.x]
controller = "x"
[form.x]
controller = "x"
topics = ["x"]
[family_group]
culture = ["book"]
[[rule]]
id = "x"
class = "service"
topics_header = "X-Topic"
when.from_domain = "x.example"
"#;

/// A value of a type no key takes: the reader answers what it would take.
const NO_TYPE: &str = "1979-05-27";

const fn key(name: &'static str, default: &'static str, meaning: &'static str) -> Key {
    Key { name, default, meaning }
}

const REQUIRED: &str = "required";

/// The page, in Markdown.
pub fn policy_reference() -> String {
    let mut page = String::from(
        "# Policy reference\n\nEvery key a policy file may have. Printed by `consentry policy reference` from the program itself;\n\
         [policy by example](policy-by-example.md) is the page to begin with.\n",
    );
    for section in SECTIONS {
        let heading = if section.heading.is_empty() { "The top of the file" } else { section.heading };
        // A String takes whatever is written to it.
        _ = write!(
            page,
            "\n## {heading}\n\n{}\n\n| key | takes | without it | |\n|---|---|---|---|\n",
            section.preface
        );
        for key in section.keys {
            let (name, takes) = (key.name, section.takes(key.name));
            let default = match key.default {
                "" | REQUIRED => key.default.to_owned(),
                written => format!("`{}`", written.replace('|', "\\|")),
            };
            _ = writeln!(page, "| `{name}` | {} | {default} | {} |", takes.replace('|', "\\|"), key.meaning);
        }
    }
    page
}

impl Section {
    /// What the reader wants to stand behind a key.
    fn takes(&self, name: &str) -> String {
        let complaint = self.complaint(name, NO_TYPE).unwrap_or_default();
        complaint.rsplit_once("; write ").map_or_else(String::new, |(_, cure)| cure.to_owned())
    }

    /// What the reader says of a policy in which one key of this table has this value.
    fn complaint(&self, name: &str, value: &str) -> Option<String> {
        let written: Table = format!("value = {value}").parse().ok()?;
        let mut root: Table = SAMPLE.parse().ok()?;
        table_at(&mut root, self.path)?.insert(name.to_owned(), written.get("value")?.clone());
        let errors = parse_policy("policy.toml", &toml::to_string(&root).ok()?, &[]).err()?;
        let about = |message: &&String| message.contains(&format!("{name}: "));
        errors.0.iter().map(|error| &error.message).find(about).cloned()
    }
}

fn table_at<'t>(root: &'t mut Table, path: &[&str]) -> Option<&'t mut Table> {
    let mut table = root;
    for step in path {
        let value = table.get_mut(*step)?;
        let inner = match value {
            Value::Array(elements) => elements.first_mut()?,
            other => other,
        };
        table = inner.as_table_mut()?;
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key nobody knows: the reader answers which it knows.
    const NO_KEY: &str = "00";

    impl Section {
        /// The keys the reader asks for in such a table.
        fn known(&self) -> Vec<String> {
            let complaint = self.complaint(NO_KEY, "1").unwrap();
            complaint.split_once("known here: ").unwrap().1.split(", ").map(str::to_owned).collect()
        }
    }

    #[test]
    fn every_key_the_reader_asks_for_is_explained_and_no_other() {
        for section in SECTIONS {
            let mut known = section.known();
            let mut explained: Vec<&str> = section.keys.iter().map(|key| key.name).collect();
            known.sort();
            explained.sort();
            assert_eq!(known, explained, "{}", section.heading);
        }
    }

    #[test]
    fn the_reader_says_what_each_key_takes() {
        for section in SECTIONS {
            for key in section.keys {
                assert!(!section.takes(key.name).is_empty(), "{} {}", section.heading, key.name);
            }
        }
    }

    #[test]
    fn a_default_written_out_changes_nothing() {
        let plain = SAMPLE.parse::<Table>().unwrap();
        let read = |table: &Table| {
            let mut policy = parse_policy("policy.toml", &toml::to_string(table).unwrap(), &[]).unwrap();
            (policy.hash, policy.sources) = Default::default();
            format!("{policy:?}")
        };
        for section in SECTIONS {
            for key in section.keys.iter().filter(|key| !["", REQUIRED].contains(&key.default)) {
                let written: Table = format!("value = {}", key.default).parse().unwrap();
                let mut table = plain.clone();
                table_at(&mut table, section.path).unwrap().insert(key.name.to_owned(), written["value"].clone());
                assert_eq!(read(&table), read(&plain), "{} {}", section.heading, key.name);
            }
        }
    }
}
