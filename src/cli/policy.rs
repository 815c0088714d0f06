//! `consentry policy`: every policy that was ever in force.

mod rollback;

use std::process::ExitCode;

use serde_json::json;
use similar::TextDiff;

use super::journal;
use super::moment::shown;
use super::table;
use super::{ANSWER_IS_NO, CliError, Globals};
use crate::config::{load_policy, load_settings, policy_reference};
use crate::policy::rules::PolicySource;
use crate::store::{KeptPolicy, Reader};

/// The policies that were ever in force: list, show, compare, go back to one
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// All of them, the one loaded last first
    List,
    /// The texts of one
    Show {
        /// Its hash; the first digits are enough
        hash: String,
    },
    /// What one says otherwise than another, or than the files as they are now; exit status 1 when they differ
    Diff {
        /// The older one
        hash: String,
        /// The newer one; else the policy file and its packs
        other: Option<String>,
    },
    /// Every key a policy may have, what it takes and what it means, as a Markdown page
    Reference,
    /// Write the texts of one back to the policy file and its packs, with a copy of what was there
    Rollback {
        /// Its hash; the first digits are enough
        hash: String,
    },
}

pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let reader = || journal::open(globals);
    match &args.command {
        Command::List => print_list(globals, &mut reader()?),
        Command::Show { hash } => print_one(&find(&mut reader()?, hash)?, globals),
        Command::Diff { hash, other } => print_diff(hash, other.as_deref(), globals, &mut reader()?),
        Command::Rollback { hash } => rollback::run(&find(&mut reader()?, hash)?, globals),
        Command::Reference => {
            globals.print(&policy_reference())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The one policy whose hash begins so, with or without `sha256:`.
fn find(reader: &mut Reader, wanted: &str) -> Result<KeptPolicy, CliError> {
    let digits = wanted.strip_prefix("sha256:").unwrap_or(wanted).to_ascii_lowercase();
    let mut found = reader.policies()?;
    found.retain(|kept| !digits.is_empty() && kept.hash.trim_start_matches("sha256:").starts_with(&digits));
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(CliError::Usage(format!("no policy with the hash {wanted} was ever in force; see `policy list`"))),
        many => {
            Err(CliError::Usage(format!("{many} policies have a hash that begins with {wanted}; write more of it")))
        }
    }
}

fn print_list(globals: &Globals, reader: &mut Reader) -> Result<ExitCode, CliError> {
    let policies = reader.policies()?;
    let mut table = table::table(&["hash", "mode", "first in force", "last loaded", "files"], globals.coloured());
    for kept in &policies {
        let files: Vec<&str> = kept.sources.iter().map(|source| source.name.as_str()).collect();
        if globals.json {
            globals.print_json(&json!({
                "hash": kept.hash, "mode": kept.mode, "first_in_force": kept.first_in_force,
                "last_in_force": kept.last_in_force, "files": files,
            }))?;
        }
        let short = kept.hash.chars().take("sha256:".len() + 12).collect::<String>();
        let more = if files.len() > 1 { format!(" and {} more", files.len() - 1) } else { String::new() };
        let files = format!("{}{more}", files.first().copied().unwrap_or("-"));
        table.add_row([short, kept.mode.clone(), shown(kept.first_in_force), shown(kept.last_in_force), files]);
    }
    if !globals.json {
        globals.print(&format!("{table}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_one(kept: &KeptPolicy, globals: &Globals) -> Result<ExitCode, CliError> {
    if globals.json {
        globals.print_json(&json!({
            "hash": kept.hash, "mode": kept.mode, "first_in_force": kept.first_in_force,
            "last_in_force": kept.last_in_force, "sources": kept.sources,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = format!("# {}\n", kept.hash);
    for source in &kept.sources {
        text.push_str(&format!("\n# ===== {} =====\n{}", source.name, source.text));
    }
    globals.print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn print_diff(hash: &str, other: Option<&str>, globals: &Globals, reader: &mut Reader) -> Result<ExitCode, CliError> {
    let older = find(reader, hash)?.sources;
    let newer = match other {
        Some(other) => find(reader, other)?.sources,
        None => load_policy(&load_settings(&globals.config)?.policy_path)?.sources,
    };
    let text = difference(&older, &newer);
    if globals.json {
        globals.print_json(&json!({"differ": !text.is_empty(), "diff": text}))?;
    } else {
        globals.print(&text)?;
    }
    Ok(if text.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(ANSWER_IS_NO) })
}

/// File by file; the policy's own file goes by its place, for it may have been moved.
fn difference(older: &[PolicySource], newer: &[PolicySource]) -> String {
    let mut text = String::new();
    let own = older.first().zip(newer.first());
    let packs = |sources: &[PolicySource]| sources.iter().skip(1).cloned().collect::<Vec<_>>();
    let (before, after) = (packs(older), packs(newer));
    let find = |sources: &[PolicySource], name: &str| sources.iter().find(|source| source.name == name).cloned();
    let mut names: Vec<&str> = before.iter().chain(&after).map(|source| source.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if let Some((before, after)) = own {
        text.push_str(&unified(Some(before), Some(after)));
    }
    for name in names {
        text.push_str(&unified(find(&before, name).as_ref(), find(&after, name).as_ref()));
    }
    text
}

fn unified(before: Option<&PolicySource>, after: Option<&PolicySource>) -> String {
    let side = |source: Option<&PolicySource>| {
        source.map_or(("/dev/null".to_owned(), String::new()), |source| (source.name.clone(), source.text.clone()))
    };
    let ((old_name, old), (new_name, new)) = (side(before), side(after));
    if old == new {
        return String::new();
    }
    TextDiff::from_lines(&old, &new).unified_diff().header(&old_name, &new_name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, text: &str) -> PolicySource {
        PolicySource { name: name.into(), text: text.into() }
    }

    #[test]
    fn a_difference_names_files_and_lines() {
        let older = [source("a/policy.toml", "mode = \"monitor\"\n"), source("m/one.toml", "x\n")];
        let newer = [source("b/policy.toml", "mode = \"enforce\"\n"), source("m/two.toml", "y\n")];
        let told = difference(&older, &newer);
        for part in [
            "--- a/policy.toml\n+++ b/policy.toml",
            "-mode = \"monitor\"\n+mode = \"enforce\"",
            "--- m/one.toml\n+++ /dev/null",
            "--- /dev/null\n+++ m/two.toml",
        ] {
            assert!(told.contains(part), "{part} in\n{told}");
        }
        assert_eq!(difference(&older, &older), "");
    }
}
