use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use regex::Regex;
use tempfile::TempDir;

use super::load::SHIPPED_TEMPLATES;
use super::*;
use crate::config::parse_policy;
use crate::web::locale::SHIPPED;

fn policy(more: &str) -> Policy {
    let controller = "[controller.c]\nname = \"Librairie C\"\ndomains = [\"c.example\"]\ncontact = \"a@c.example\"\n\
                      privacy_url = \"https://c.example/privacy\"\n";
    parse_policy("policy.toml", &format!("{controller}{more}"), &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A directory of an operator's with these files in it.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("locales")).unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

fn checked(files: &[(&str, &str)], more: &str) -> Vec<String> {
    let directory = directory(files);
    let place = format!("{}/", directory.path().display());
    let problems = Site::load("https://c.example", Some(directory.path())).check(&policy(more));
    problems.iter().map(|problem| problem.to_string().replace(&place, "")).collect()
}

async fn shown(site: &Site, template: &str, controller: Option<&Controller>, tag: &str) -> String {
    let view = View { locale: site.locale_of([&tag.to_owned()]), controller, senders: Vec::new() };
    let context = context! { sender => "Librairie C", topics => [""; 0], again => (), masked => (), wrong_address => false, preferences => () };
    let answer = site.answer(StatusCode::OK, template, &view, context);
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

#[test]
fn every_page_as_shipped_can_be_shown_in_every_language() {
    let site = Site::shipped("https://c.example");
    assert_eq!(site.check(&policy("")), []);
    assert_eq!(site.gaps(), Vec::<String>::new());
}

#[test]
fn the_shipped_languages_say_the_same_things() {
    let all: Vec<_> = SHIPPED.iter().map(|(name, text)| (name, keys_of(text))).collect();
    for (name, keys) in &all {
        assert_eq!(keys, &all[0].1, "{name} and {}", all[0].0);
        assert!(keys.len() > 20);
    }
}

#[test]
fn the_shipped_languages_use_the_same_variables() {
    let variable = Regex::new(r"\{\s*\$([a-z_-]+)").unwrap();
    let of = |text: &str, key: &str| -> BTreeSet<String> {
        let after = text.split_once(&format!("\n{key} =")).unwrap().1;
        let end = Regex::new(r"\n[a-z#]").unwrap().find(after).map_or(after.len(), |found| found.start());
        variable.captures_iter(&after[..end]).map(|found| found[1].to_owned()).collect()
    };
    let (_, english) = SHIPPED[0];
    for (name, text) in SHIPPED {
        for key in keys_of(english) {
            assert_eq!(of(text, &key), of(english, &key), "{name}: {key}");
        }
    }
}

/// Keys that templates and code name, and beginnings of keys that end in a variable.
fn used() -> (BTreeSet<String>, BTreeSet<String>) {
    let in_templates = Regex::new(r#"\bt\(\s*"([a-z0-9-]+)"\s*(~?)"#).unwrap();
    let in_code = Regex::new(r#"\bsay\(\s*"([a-z0-9-]+)"()"#).unwrap();
    let mut texts: Vec<(String, &Regex)> =
        SHIPPED_TEMPLATES.iter().map(|(_, text)| ((*text).to_owned(), &in_templates)).collect();
    let mut folders = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "rs" => {
                    let text = fs::read_to_string(path).unwrap();
                    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                    texts.push((code.to_owned(), &in_code));
                }
                _ => {}
            }
        }
    }
    let (mut keys, mut beginnings) = (BTreeSet::new(), BTreeSet::new());
    for (text, pattern) in &texts {
        for found in pattern.captures_iter(text) {
            if found[2].is_empty() {
                keys.insert(found[1].to_owned())
            } else {
                beginnings.insert(found[1].to_owned())
            };
        }
    }
    (keys, beginnings)
}

#[test]
fn every_message_that_is_used_is_written_and_every_written_one_is_used() {
    let (_, english) = SHIPPED[0];
    let written = keys_of(english);
    let (keys, beginnings) = used();
    let unwritten: Vec<_> = keys.difference(&written).collect();
    assert!(unwritten.is_empty(), "no language says {unwritten:?}");
    for beginning in &beginnings {
        assert!(written.iter().any(|key| key.starts_with(beginning)), "no message begins with {beginning}");
    }
    let unused: Vec<_> = written
        .iter()
        .filter(|key| !keys.contains(*key) && !beginnings.iter().any(|beginning| key.starts_with(beginning)))
        .collect();
    assert!(unused.is_empty(), "nobody says {unused:?}");
}

#[test]
fn every_page_has_a_sample_and_every_word_in_code_too() {
    let samples: BTreeSet<_> = samples::pages().into_iter().map(|(template, _)| template).collect();
    for (name, text) in SHIPPED_TEMPLATES {
        let is_page = text.contains("{% extends");
        assert_eq!(samples.contains(name), is_page, "{name}");
    }
    let said: BTreeSet<_> = samples::said().into_iter().map(|(key, _)| key).collect();
    let in_templates: String = SHIPPED_TEMPLATES.iter().map(|(_, text)| *text).collect();
    for key in used().0.iter().filter(|key| !in_templates.contains(&format!("\"{key}\""))) {
        assert!(said.contains(key.as_str()), "{key} is said in code and has no sample");
    }
}

#[test]
fn no_template_has_words_of_its_own() {
    let tags = Regex::new(r"(?s)<style>.*?</style>|\{%.*?%\}|\{\{.*?\}\}|<[^>]*>").unwrap();
    for (name, text) in SHIPPED_TEMPLATES {
        let words = tags.replace_all(text, " ");
        assert!(!words.chars().any(char::is_alphabetic), "{name}: {words}");
    }
}

#[test]
fn a_fault_of_the_operators_is_told_with_its_file_and_line() {
    let page = "{% extends \"base.html\" %}\n{% block content %}\n";
    let table: [(&str, String, &str); 14] = [
        ("done.html", format!("{page}{{{{ t(\"done-heading\" }}}}"), "done.html:3: syntax error"),
        ("done.html", format!("{page}{{{{ nobody }}}}{{% endblock %}}"), "done.html:3: undefined value"),
        ("done.html", format!("{page}{{{{ t(\"dnoe\") }}}}{{% endblock %}}"), "no language has the message dnoe"),
        (
            "done.html",
            format!("{page}{{{{ t(\"done-everything\") }}}}{{% endblock %}}"),
            "done.html:3: invalid operation: message done-everything: ",
        ),
        ("contacts.html", "\n{{ sender }}".to_owned(), "contacts.html:2: undefined value"),
        ("done.html", "{% extends \"basis.html\" %}".to_owned(), "done.html:1: template not found"),
        ("dnoe.html", page.to_owned() + "{% endblock %}", "dnoe.html:1: no page of ours has this name"),
        ("style.css", "main { }\n</style>".to_owned(), "style.css:2: `</` would end the style"),
        ("print.css", String::new(), "print.css:1: no page uses it"),
        ("locales/de.ftl", "done-heading = { $\n".to_owned(), "locales/de.ftl:1: not Fluent"),
        ("locales/de.ftl", "\ndnoe-heading = Fertig\n".to_owned(), "locales/de.ftl:2: no page says dnoe-heading"),
        ("locales/de.ftl", "ask-intro = { $from }\n".to_owned(), "message ask-intro: "),
        ("locales/de.ftl", "code-text = { $cdoe }\n".to_owned(), "locales/de.ftl:1: message code-text: "),
        ("locales/german.of.ours.ftl", String::new(), "is no language"),
    ];
    for (name, text, expected) in table {
        let told = checked(&[(name, &text)], "");
        assert!(told.iter().any(|line| line.contains(expected)), "{name} {text}: {told:#?}");
    }
    assert_eq!(checked(&[], ""), Vec::<String>::new());
    let nowhere = Site::load("https://c.example", Some(Path::new("/nowhere/at/all"))).check(&policy(""));
    assert!(nowhere[0].to_string().starts_with("/nowhere/at/all:1: cannot be read"), "{nowhere:?}");
}

#[test]
fn a_controllers_words_are_checked_too() {
    let table = [
        ("texts.en = { \"done-heading\" = \"Goodbye\" }", None),
        ("texts.en = { \"done-headign\" = \"Goodbye\" }", Some("policy.toml:6: controller c, texts.en: no page says")),
        (
            "texts.de = { \"done-heading\" = \"Fertig\" }",
            Some("policy.toml:6: controller c, texts.de: there is no de.ftl"),
        ),
        ("texts.en = { \"ask-intro\" = \"From { $name }\" }", Some("message ask-intro: ")),
        ("texts.fr = { \"code-text\" = \"{ $\" }", Some("message code-text: ")),
    ];
    for (texts, expected) in table {
        let told = checked(&[], texts);
        match expected {
            None => assert_eq!(told, Vec::<String>::new(), "{texts}"),
            Some(expected) => assert!(told.iter().any(|line| line.contains(expected)), "{texts}: {told:#?}"),
        }
    }
}

#[tokio::test]
async fn an_operators_files_go_before_ours_and_ours_before_broken_ones() {
    let page = |inside: &str| format!("{{% extends \"base.html\" %}}{{% block content %}}{inside}{{% endblock %}}");
    let (ask, done) = (page("{{ t(\"ask-heading\") }} & more"), page("{{ t(\"done-heading\") }}{{ nobody }}"));
    let files = [
        ("ask.html", ask.as_str()),
        ("done.html", &done),
        ("unavailable.html", "{% nonsense %}"),
        ("style.css", "main { color: red }\r\n"),
        ("locales/de.ftl", "ask-heading = Abbestellen?\ndone-heading = Fertig\n"),
    ];
    let directory = directory(&files);
    let site = Site::load("https://c.example/wishes/", Some(directory.path()));
    assert_eq!(site.base(), "/wishes");
    let german = shown(&site, "ask.html", None, "de").await;
    assert!(german.contains("Abbestellen? & more") && german.contains("<html lang=\"de\" dir=\"ltr\">"), "{german}");
    assert!(german.contains("<style>main { color: red }\n</style>"), "{german}");
    let done = shown(&site, "done.html", None, "fr").await;
    assert!(done.contains("C’est fait") && done.contains("Librairie C"), "ours stands in: {done}");
    assert!(shown(&site, "unavailable.html", None, "en").await.contains("try the same link again"));
    assert_eq!(site.gaps().len(), 1);
    assert!(site.gaps()[0].starts_with("de.ftl leaves "), "{:?}", site.gaps());
}

#[tokio::test]
async fn a_controllers_broken_words_do_not_keep_a_page_from_being_shown() {
    let policy = policy("texts.en = { \"done-heading\" = \"{ $nobody }\", \"done-everything\" = \"Bye { $sender }\" }");
    let site = Site::shipped("https://c.example");
    let page = shown(&site, "done.html", policy.controllers.get("c"), "en").await;
    assert!(page.contains("<h1>Done</h1>"), "{page}");
    let policy = self::policy("texts.en = { \"done-everything\" = \"Bye { $sender }\" }");
    assert!(shown(&site, "done.html", policy.controllers.get("c"), "en").await.contains("Bye Librairie C"));
}
