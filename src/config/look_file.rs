//! The keys of `[controller.…]` that say how its pages look.

use std::collections::BTreeMap;

use super::document::{Item, Table};
use super::sender_file::is_language;
use super::values::Name;
use crate::policy::look::{Accent, Colour, Image, Look};

/// Reads a file that a policy names, relative to it; the error says why not.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> Result<Vec<u8>, String>;

/// `files`: `None` where a policy is read from its text alone.
pub(super) fn read_look(table: &mut Table<'_>, files: Option<ReadFile<'_>>) -> Look {
    Look {
        logo: table.item("logo").and_then(|item| read_logo(&item, files)),
        accent: table.item("accent").and_then(|item| read_accent(&item)),
        texts: table.section("texts", read_texts),
    }
}

fn read_logo(item: &Item<'_>, files: Option<ReadFile<'_>>) -> Option<Image> {
    let Name(path) = item.read()?;
    let bytes = match files?(&path) {
        Ok(bytes) => bytes,
        Err(message) => return item.refuse(&message),
    };
    Image::new(bytes).map_or_else(|error| item.refuse(&format!("{path} {error}")), Some)
}

fn read_accent(item: &Item<'_>) -> Option<Accent> {
    let Name(text) = item.read()?;
    let Some(colour) = Colour::parse(&text) else {
        return item.refuse(&format!("{text:?} is no colour; write \"#1b4fb3\""));
    };
    Accent::new(colour).map_or_else(
        || {
            item.refuse(&format!(
                "{text} is hard to read on light and on dark paper alike; write a darker or a lighter colour"
            ))
        },
        Some,
    )
}

fn read_texts(table: &mut Table<'_>) -> BTreeMap<String, BTreeMap<String, String>> {
    let read = |(language, item): (&str, Item<'_>)| {
        if !is_language(language) {
            return item.refuse_key("is no language; write texts.fr = { \"done-heading\" = \"…\" }");
        }
        let texts = item.children()?.into_iter().map(|(key, item)| Some((key.to_owned(), read_text(&item)?)));
        Some((language.to_owned(), texts.collect::<Option<BTreeMap<_, _>>>()?))
    };
    table.entries().into_iter().filter_map(read).collect()
}

/// May have several lines: those of a letter do.
fn read_text(item: &Item<'_>) -> Option<String> {
    let Some(text) = item.value().as_str() else { return item.refuse_type("a string in quotes") };
    if text.trim().is_empty() || text.chars().any(|c| c.is_control() && c != '\n') {
        return item.refuse("is empty or holds a control character; write what the page is to say");
    }
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use crate::config::{parse_policy, policy_file::parse_policy_with};

    const CONTROLLER: &str = "[controller.c]\nname = \"C\"\ndomains = [\"c.example\"]\ncontact = \"a@c.example\"\n\
                              privacy_url = \"https://c.example/\"\n";

    fn file(path: &str) -> Result<Vec<u8>, String> {
        match path {
            "logo.svg" => Ok(b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec()),
            "notes.txt" => Ok(b"notes".to_vec()),
            _ => Err(format!("{path} cannot be read; name a file that can")),
        }
    }

    #[test]
    fn a_look_is_read_or_its_line_is_named() {
        let table = [
            ("logo = \"logo.svg\"", ""),
            ("accent = \"#1b4fb3\"", ""),
            ("texts.fr = { \"done-heading\" = \"Voilà\\nc’est fait\" }", ""),
            ("logo = \"notes.txt\"", "notes.txt is no PNG, JPEG, WebP, GIF or SVG"),
            ("logo = \"none.png\"", "cannot be read"),
            ("accent = \"blue\"", "is no colour"),
            ("accent = \"#808080\"", "hard to read on light and on dark paper alike"),
            ("texts.French = {}", "is no language"),
            ("texts.fr = \"Voilà\"", "write a table"),
            ("texts.fr = { done = \" \" }", "is empty"),
            ("texts.fr = { done = 1 }", "write a string"),
        ];
        for (line, expected) in table {
            let read = parse_policy_with("policy.toml", &format!("{CONTROLLER}{line}\n"), &[], Some(&file));
            let told = read.as_ref().err().map(ToString::to_string).unwrap_or_default();
            assert_eq!(told.is_empty(), expected.is_empty(), "{line}: {told}");
            assert!(
                told.contains(expected) && (told.is_empty() || told.starts_with("policy.toml:6:")),
                "{line}: {told}"
            );
        }
    }

    #[test]
    fn a_policy_read_from_its_texts_has_no_picture() {
        let policy = parse_policy("policy.toml", &format!("{CONTROLLER}logo = \"logo.svg\""), &[]).unwrap();
        assert_eq!(policy.controllers["c"].look.logo, None);
    }
}
