//! Deciding is pure: the pure folders name no socket, file, database, clock, randomness or task, and no module
//! that has them. `clippy.toml` forbids the calls; this forbids the names, so that an alias does not slip through.

use std::fs;
use std::path::{Path, PathBuf};

const PURE: &[&str] = &["src/smtp", "src/message", "src/consent", "src/policy", "src/config"];

/// Reads the files, and nothing else of `config` does.
const EFFECT_AMONG_THEM: &str = "src/config/load.rs";

/// Name, and what it would let in.
const FORBIDDEN: &[(&str, &str)] = &[
    ("tokio::", "sockets, tasks and timers"),
    ("std::fs", "files"),
    ("std::io::stdin", "input"),
    ("std::process", "programs"),
    ("std::thread", "threads"),
    ("std::env", "the environment"),
    ("TcpStream", "sockets"),
    ("TcpListener", "sockets"),
    ("UdpSocket", "sockets"),
    ("rusqlite", "the database"),
    ("tempfile", "files"),
    ("SystemTime", "the clock"),
    ("Instant", "the clock"),
    ("Timestamp::now", "the clock"),
    ("Zoned::now", "the clock"),
    ("TimeZone::system", "the machine's time zone"),
    ("SystemRandom", "randomness"),
    ("Ulid::new", "randomness"),
    ("tracing::", "the log"),
    ("println!", "output"),
    ("eprintln!", "output"),
    ("dbg!", "output"),
    ("unsafe ", "what lib.rs forbids"),
    ("crate::relay", "an effect module"),
    ("crate::inbox", "an effect module"),
    ("crate::store", "an effect module"),
    ("crate::web", "an effect module"),
    ("crate::cli", "an effect module"),
    ("crate::telemetry", "an effect module"),
];

fn sources(place: &Path, found: &mut Vec<PathBuf>) {
    if place.is_file() {
        found.push(place.to_owned());
    } else if let Ok(entries) = fs::read_dir(place) {
        entries.for_each(|entry| sources(&entry.unwrap().path(), found));
    }
}

/// The text without comments, string contents and everything from the first test module on.
fn code(text: &str) -> Vec<(usize, String)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    let until_tests = lines.take_while(|(_, line)| !line.trim_start().starts_with("#[cfg(test)]"));
    until_tests.map(|(number, line)| (number, without_strings(line.split("//").next().unwrap_or("")))).collect()
}

fn without_strings(line: &str) -> String {
    line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

fn faults(path: &Path, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (number, line) in code(text) {
        for (name, lets_in) in FORBIDDEN.iter().filter(|(name, _)| names(&line, name)) {
            faults.push(format!("{}:{number}: `{name}` lets in {lets_in}", path.display()));
        }
    }
    faults
}

/// Whole names only: `Instant` is not in `Instantiate`, `crate::store` not in `crate::stored`.
fn names(line: &str, name: &str) -> bool {
    let part_of_a_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let ends_in_a_word = part_of_a_word(name.chars().last());
    line.match_indices(name).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + name.len()..]);
        let runs_on = ends_in_a_word && part_of_a_word(after.chars().next());
        !part_of_a_word(before.chars().last()) && !runs_on
    })
}

/// Test modules in files of their own may read what they like.
fn is_a_test_file(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem == "tests") || path.components().any(|part| part.as_os_str() == "tests")
}

#[test]
fn a_pure_module_names_no_effect() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for place in PURE {
        let before = files.len();
        sources(&root.join(place), &mut files);
        assert!(files.len() > before, "{place} has moved");
    }
    files.retain(|file| file.extension().is_some_and(|end| end == "rs") && *file != root.join(EFFECT_AMONG_THEM));
    files.retain(|file| !is_a_test_file(file.strip_prefix(root).unwrap().strip_prefix("src").unwrap()));

    let faults: Vec<String> = files
        .iter()
        .flat_map(|file| faults(file.strip_prefix(root).unwrap(), &fs::read_to_string(file).unwrap()))
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_scan_sees_a_name_in_code_and_not_in_a_comment_a_string_or_a_test() {
    let table = [
        ("let now = SystemTime::now();", 1),
        ("use crate::store::Store;", 1),
        ("use crate::stored;", 0),
        ("// SystemTime is an argument", 0),
        ("let text = \"std::fs\";", 0),
        ("fn pure() {}\n#[cfg(test)]\nmod tests { use std::fs; }", 0),
        ("tokio::spawn(async {});", 1),
        ("struct Instantiated;", 0),
    ];
    for (text, expected) in table {
        assert_eq!(faults(Path::new("x.rs"), text).len(), expected, "{text}");
    }
}

#[test]
fn every_pure_module_of_the_map_denies_the_disallowed_calls() {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let lines: Vec<&str> = map.lines().collect();
    for module in ["consent", "message", "policy", "smtp"] {
        let declared = format!("pub mod {module};");
        let at =
            lines.iter().position(|line| *line == declared).unwrap_or_else(|| panic!("{declared} is not in the map"));
        assert!(lines[at - 1].contains("deny(clippy::disallowed_methods, clippy::disallowed_types)"), "{declared}");
    }
}
