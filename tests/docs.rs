//! The documentation holds: its settings and policies are taken, its commands parse, its links lead somewhere, and no
//! setting and no reason code is missing from it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use clap::error::ErrorKind;
use consentry::cli::Cli;
use consentry::config::{MAPS, Outside, parse_policy, parse_settings, policy_reference};
use consentry::consent::import::ImportMap;
use consentry::policy::verdict::Reason;
use consentry::policy::word::Word;
use toml::{Table, Value};

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// What a settings fragment leaves out.
const SETTINGS: &str = r#"
policy = "policy.toml"
hostname = "gate.example"
store.url = "sqlite:consentry.db"
keys.token_key_file = "token.key"
keys.ledger_key_file = "ledger.key"
keys.signing_key_file = "signing.key"
upstream.relay.address = ["smtp.example.net:587"]
listener.main = { listen = ["127.0.0.1:2500"], upstream = "relay" }
web.public = { listen = "127.0.0.1:8080", base_url = "https://preferences.example.fr" }
"#;

/// What a policy fragment leaves out.
const POLICY: &str = r#"
[controller.shop]
name = "Librairie Exemple"
domains = ["exemple.fr", "news.exemple.fr"]
privacy_url = "https://exemple.fr/confidentialite"
contact = "dpo@exemple.fr"
[topic."offers/books"]
controller = "shop"
"#;

struct Page {
    path: PathBuf,
    text: String,
}

/// A fenced block: what stands behind its fence, and its lines.
struct Block {
    place: String,
    kind: String,
    text: String,
}

fn pages() -> Vec<Page> {
    let root = Path::new(REPOSITORY);
    let mut paths: Vec<PathBuf> = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(|name| root.join(name)).into();
    let listed = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    paths.extend(listed.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    paths.into_iter().map(|path| Page { text: fs::read_to_string(&path).unwrap(), path }).collect()
}

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(REPOSITORY).join(name)).unwrap()
}

impl Page {
    fn name(&self) -> String {
        self.path.strip_prefix(REPOSITORY).unwrap().display().to_string()
    }

    fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut open: Option<(usize, Block)> = None;
        for (number, line) in self.text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            match (line.trim_start().strip_prefix("```"), &mut open) {
                (Some(kind), None) => {
                    let place = format!("{}:{}", self.name(), number + 1);
                    open = Some((indent, Block { place, kind: kind.trim().to_owned(), text: String::new() }));
                }
                (Some(_), Some(_)) => blocks.extend(open.take().map(|(_, block)| block)),
                (None, Some((indent, block))) => {
                    block.text.push_str(line.get(*indent..).unwrap_or_default());
                    block.text.push('\n');
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block is not closed", self.name());
        blocks
    }

    /// The text without its fenced blocks.
    fn prose(&self) -> String {
        self.text.split("```").step_by(2).collect()
    }
}

fn blocks(kind: &str) -> Vec<Block> {
    pages().iter().flat_map(Page::blocks).filter(|block| block.kind.starts_with(kind)).collect()
}

/// The base with everything the fragment says over it.
fn merged(base: &str, fragment: &Block) -> String {
    let parse = |text: &str| text.parse::<Table>().unwrap_or_else(|error| panic!("{}: {error}", fragment.place));
    let mut whole = parse(base);
    lay_over(&mut whole, parse(&fragment.text));
    whole.to_string()
}

fn lay_over(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => lay_over(below, above),
            (_, value) => _ = base.insert(key, value),
        }
    }
}

/// A machine that has every file.
struct Anywhere;

impl Outside for Anywhere {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn resolve(&self, path: &str) -> PathBuf {
        PathBuf::from(path)
    }

    fn secret_path(&self, path: &str) -> PathBuf {
        PathBuf::from(path)
    }

    fn secret(&self, path: &Path) -> Result<Vec<u8>, String> {
        Ok(match path.extension() {
            Some(end) if end == "pem" => include_bytes!("keys/ed25519.pem").to_vec(),
            _ => format!("AQ{}=", "A".repeat(41)).into_bytes(),
        })
    }

    fn readable(&self, _: &Path) -> Result<(), String> {
        Ok(())
    }

    fn hostname(&self) -> String {
        "gate.example".into()
    }
}

#[test]
fn every_settings_block_is_taken() {
    let blocks = blocks("toml settings");
    assert!(blocks.len() > 5, "only {} blocks were found", blocks.len());
    let policy = parse_policy("policy", &with_topics(), &[]).unwrap();
    for block in blocks {
        let text = if block.kind.ends_with("fragment") { merged(SETTINGS, &block) } else { block.text };
        if let Err(errors) = parse_settings("settings", &text, &Anywhere, Some(&policy)) {
            panic!("{}: {errors}\n{text}", block.place);
        }
    }
}

fn with_topics() -> String {
    let shipped = fs::read_to_string(Path::new(REPOSITORY).join("config/policy.toml")).unwrap();
    shipped.lines().filter(|line| !line.starts_with("include")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn every_policy_block_is_taken() {
    let blocks = blocks("toml policy");
    assert!(blocks.len() > 2, "only {} blocks were found", blocks.len());
    for block in blocks {
        let text = if block.kind.ends_with("fragment") { merged(POLICY, &block) } else { block.text };
        if let Err(errors) = parse_policy("policy", &text, &[]) {
            panic!("{}: {errors}\n{text}", block.place);
        }
    }
}

#[test]
fn every_map_that_is_shown_or_shipped_is_taken() {
    let (shown, shipped) = (blocks("toml map"), Path::new(REPOSITORY).join("config/maps"));
    assert!(!shown.is_empty());
    for block in shown {
        ImportMap::parse(&block.text).unwrap_or_else(|error| panic!("{}: {error}", block.place));
    }
    let files: BTreeSet<String> = fs::read_dir(shipped)
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(files, MAPS.iter().map(|(name, _)| (*name).to_owned()).collect());
    for (name, text) in MAPS {
        ImportMap::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page("docs/importing-contacts.md").contains(&format!("`{name}`")), "{name} is not explained");
    }
}

#[test]
fn no_toml_block_says_neither_settings_nor_policy() {
    for block in blocks("toml") {
        let known = ["toml settings", "toml settings fragment", "toml policy", "toml policy fragment", "toml map"];
        assert!(known.contains(&block.kind.as_str()), "{}: ```{} is checked by nobody", block.place, block.kind);
    }
}

#[test]
fn every_command_line_parses() {
    let mut seen = 0;
    for block in blocks("sh") {
        for line in block.text.replace("\\\n", " ").lines() {
            for command in line.split("&&").filter_map(our_arguments) {
                if let Err(error) = Cli::try_parse_from(&command)
                    && !is_question(&error)
                {
                    panic!("{}: {line}\n{error}", block.place);
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 25, "only {seen} commands were found");
}

/// Commands in running text may leave out what they are about.
#[test]
fn every_command_named_in_the_text_exists() {
    for page in pages() {
        for code in page.prose().split('`').skip(1).step_by(2) {
            let Some(command) = our_arguments(code).filter(|words| words.len() > 1) else { continue };
            match Cli::try_parse_from(&command) {
                Err(error) if !is_question(&error) && error.kind() != ErrorKind::MissingRequiredArgument => {
                    panic!("{}: `{code}`\n{error}", page.name());
                }
                _ => {}
            }
        }
    }
}

/// The words of a line that calls our program, shell quotes taken off.
fn our_arguments(line: &str) -> Option<Vec<String>> {
    let line = line.trim();
    let line = line.strip_prefix("sudo ").unwrap_or(line);
    if line != "consentry" && !line.starts_with("consentry ") {
        return None;
    }
    let mut words = vec![String::new()];
    let mut quote = None;
    for character in line.chars() {
        match (character, quote) {
            ('\'' | '"', None) => quote = Some(character),
            (end, Some(begin)) if end == begin => quote = None,
            (' ', None) if words.last().is_some_and(String::is_empty) => {}
            (' ', None) => words.push(String::new()),
            (other, _) => words.last_mut().unwrap().push(other),
        }
    }
    words.retain(|word| !word.is_empty());
    Some(words)
}

fn is_question(error: &clap::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    )
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut seen = 0;
    for page in pages() {
        let prose = page.prose();
        for target in prose.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { page.path.clone() } else { page.path.with_file_name("").join(file) };
            assert!(path.exists(), "{}: {target} is not there", page.name());
            let headings = || headings(&fs::read_to_string(&path).unwrap());
            assert!(heading.is_empty() || headings().contains(heading), "{}: no heading for {target}", page.name());
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} links were found");
}

/// Headings as they are linked to.
fn headings(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| line.starts_with('#'));
    let slug = |line: &str| -> String {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    lines.map(slug).collect()
}

#[test]
fn every_page_is_linked_from_the_readme() {
    let readme = page("README.md");
    for page in pages().iter().filter(|page| page.name().starts_with("docs/")) {
        assert!(readme.contains(&format!("({})", page.name())), "{} is linked from nowhere", page.name());
    }
}

#[test]
fn every_key_of_the_shipped_files_is_explained() {
    let tables = [("config/consentry.toml", "docs/settings.md"), ("config/policy.toml", "docs/policy-by-example.md")];
    for (shipped, explained) in tables {
        let text = page(explained);
        for key in page(shipped).lines().filter_map(top_key) {
            let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
            assert!(words.clone().any(|word| word == key), "{explained} does not explain `{key}` of {shipped}");
        }
    }
}

/// `key` of `key = …`, also where it is commented out.
fn top_key(line: &str) -> Option<&str> {
    let (key, _) = line.trim_start_matches("# ").split_once(" = ")?;
    key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_').then_some(key)
}

#[test]
fn the_policy_reference_is_what_the_program_prints() {
    assert!(
        page("docs/policy-reference.md") == policy_reference(),
        "docs/policy-reference.md is old; write it with `consentry policy reference > docs/policy-reference.md`"
    );
}

#[test]
fn every_reason_code_is_explained_and_no_other() {
    let text = page("docs/reading-the-journal.md");
    let reasons = text.split("## The reasons").nth(1).unwrap().split("\n## ").next().unwrap();
    let named: BTreeSet<&str> = reasons.split('`').skip(1).step_by(2).filter(|word| is_code(word)).collect();
    for code in &named {
        assert!(code.parse::<Reason>().is_ok(), "{code} is no reason code");
    }
    let all: BTreeSet<&str> = Reason::WORDS.iter().map(|(code, _)| *code).collect();
    let missing: Vec<_> = all.difference(&named).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn is_code(word: &str) -> bool {
    word.contains('_') && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}
