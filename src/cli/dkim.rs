//! `consentry dkim`: keys that sign, and the records that verifiers find them by.

mod check;
mod keygen;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{CliError, Globals};
use crate::config::{self, DkimKey, Settings};
use crate::message::dkim::PublicKey;
use crate::smtp::address::domain_key;

/// Make keys that sign mail, print their DNS records, check what is published
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write a new private key to a file and print the record to publish
    Keygen(KeygenArgs),
    /// Print the records of the keys in the settings
    Record(Which),
    /// Compare the published records with the keys in the settings; exit status 1 where one does not fit
    Check(CheckArgs),
}

#[derive(Debug, clap::Args)]
pub struct KeygenArgs {
    /// The domain of the From addresses it signs for
    #[arg(long)]
    domain: String,
    /// The name it is published under: SELECTOR._domainkey.DOMAIN
    #[arg(long)]
    selector: String,
    /// What kind of key; openssl makes the RSA ones
    #[arg(long = "type", value_enum, default_value_t = Kind::Rsa2048)]
    kind: Kind,
    /// Where the key goes; a file that is there is left alone
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Rsa2048,
    Ed25519,
}

/// Which of the keys in the settings.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// Only those of this domain
    #[arg(long)]
    domain: Option<String>,
    /// Only the one of this selector
    #[arg(long)]
    selector: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    #[command(flatten)]
    which: Which,
    /// Take the record from this file instead of the DNS: its value, or its line of a zone file
    #[arg(long, value_name = "RECORD")]
    file: Option<PathBuf>,
}

pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    match &args.action {
        Action::Keygen(args) => keygen::run(args, globals),
        Action::Record(which) => {
            let settings = config::load_settings(&globals.config)?;
            for (name, key) in chosen(&settings, which)? {
                tell(&name, &key.key.public(), &key.file, globals)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Action::Check(args) => check::run(args, globals),
    }
}

/// The keys that were asked for, by the name of their record.
fn chosen<'s>(settings: &'s Settings, which: &Which) -> Result<Vec<(String, &'s DkimKey)>, CliError> {
    let wanted = which.domain.as_deref().map(domain_key);
    let domains = settings.dkim.values().filter(|one| wanted.as_ref().is_none_or(|wanted| *wanted == one.domain));
    let keys = domains.flat_map(|one| one.keys.iter().map(move |key| (record_name(&key.selector, &one.domain), key)));
    let selector = which.selector.as_deref();
    let keys: Vec<_> = keys.filter(|(_, key)| selector.is_none_or(|wanted| wanted == key.selector)).collect();
    if keys.is_empty() {
        let known: Vec<_> = settings.dkim.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(CliError::Usage(format!(
            "the settings hold no such key; add [dkim.\"DOMAIN\"] with selector and key_file (there now: {known})"
        )));
    }
    Ok(keys)
}

fn record_name(selector: &str, domain: &str) -> String {
    format!("{selector}._domainkey.{domain}")
}

/// The record, as a zone file takes it and as a form on a web page does.
fn tell(name: &str, key: &PublicKey, file: &std::path::Path, globals: &Globals) -> Result<(), CliError> {
    if globals.json {
        return globals.print_json(&record_json(name, key, file));
    }
    let (zone, value) = (key.zone_record(), key.record());
    globals.print(&format!(
        "in a zone file:\n\n{name}. IN TXT ( {zone} )\n\nin a form:\n\nname:  {name}\ntype:  TXT\nvalue: {value}\n\n"
    ))
}

fn record_json(name: &str, key: &PublicKey, file: &std::path::Path) -> Value {
    json!({"name": name, "type": key.algorithm.key_type(), "record": key.record(), "zone": key.zone_record(), "file": file.display().to_string()})
}
