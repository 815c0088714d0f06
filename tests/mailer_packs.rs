//! The shipped rule packs against messages as the software writes them: each rule has one, named after it, and
//! `none-*` are look-alikes that no rule may touch.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use consentry::config::parse_policy;
use consentry::message::head::{HeadLimits, MessageHead};
use consentry::policy::classify::{Classification, classify};
use consentry::policy::facts::{MessageFacts, Origin};
use consentry::policy::rules::{Class, Policy};
use consentry::policy::verdict::Reason;
use consentry::smtp::address::ReversePath;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files of a folder in the order of their names.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    paths
}

/// A policy that has no rule of its own.
fn packs_only() -> Policy {
    let read =
        |path: PathBuf| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap());
    let packs: Vec<(String, String)> = files(&root().join("config/mailers"), "toml").into_iter().map(read).collect();
    let packs: Vec<(&str, &str)> = packs.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    parse_policy("policy.toml", "", &packs).unwrap_or_else(|errors| panic!("{errors}"))
}

fn classify_file(policy: &Policy, path: &Path) -> Classification {
    let text = fs::read(path).unwrap();
    let mut wire = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        wire.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        wire.extend_from_slice(b"\r\n");
    }
    let head = MessageHead::locate(&wire, &HeadLimits::default()).unwrap();
    let origin = Origin {
        listener: "submission".into(),
        credential: None,
        client: "127.0.0.1".parse().unwrap(),
        may_send: vec![Class::Service, Class::Promotional],
        trust_headers: false,
        pin: None,
    };
    let sender = ReversePath::parse("bounces@mailer.example").unwrap();
    classify(policy, &MessageFacts::gather(policy, origin, sender, 1, &head, &wire))
}

#[test]
fn every_rule_has_a_message_that_it_alone_decides() {
    let policy = packs_only();
    let rules: BTreeSet<&str> = policy.rules.iter().map(|rule| rule.id.as_str()).collect();
    let messages = files(&root().join("tests/mailers"), "eml");
    let names: BTreeSet<&str> = messages.iter().map(|path| path.file_stem().unwrap().to_str().unwrap()).collect();
    let unseen: Vec<&&str> = rules.iter().filter(|id| !names.contains(**id)).collect();
    assert!(unseen.is_empty(), "no message in tests/mailers for {unseen:?}");
    for path in &messages {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let found = classify_file(&policy, path);
        let expected = if name.starts_with("none-") { "unknown_class" } else { name };
        assert_eq!(found.rule, expected, "{name}: {:?}", found.evidence);
        let rule = policy.rules.iter().find(|rule| rule.id == name);
        assert_eq!(rule.and_then(|rule| rule.class).unwrap_or(Class::Promotional), found.class, "{name}");
        assert!(!found.flags.contains(&Reason::ClassConflict), "{name} is claimed by two packs");
    }
}

#[test]
fn no_rule_calls_a_real_message_what_it_is_not() {
    let policy = packs_only();
    let corpus = root().join("../shared/corpus/messages");
    let (mut seen, mut told) = (0, 0);
    for (folder, class) in [("service", Class::Service), ("promotional", Class::Promotional)] {
        for path in files(&corpus.join(folder), "eml") {
            let found = classify_file(&policy, &path);
            let by_a_rule = found.rule != "unknown_class";
            assert!(!by_a_rule || found.class == class, "{}: {} says {}", path.display(), found.rule, found.class);
            seen += 1;
            told += usize::from(by_a_rule);
        }
    }
    println!("{told} of {seen} real messages are told by a rule, none wrongly");
}
