//! `contact export`: everything that is known of one person; every event; or a list for another use.

mod everybody;
mod list;

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use jiff::Timestamp;

use crate::cli::{ANSWER_IS_NO, CliError, Globals};
use crate::config;
use crate::message::language::Language;
use crate::policy::rules::Policy;
use crate::rights::{Person, document, page};
use crate::smtp::address::EmailAddress;
use crate::store::Reader;

/// Everything that is known of a person, as JSON or as a page to read; with --all, of everybody
///
/// `--all` writes every event, one a line, as `contact import` reads it. With `--channel` or `--partner` it writes the
/// list of those who agreed to exactly that: who took it and how many stood on it is recorded, and how many were left
/// out is told with the reasons.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The person; exit status 1 when nothing is known
    #[arg(value_name = "ADDR", value_parser = EmailAddress::parse, required_unless_present = "all", conflicts_with = "all")]
    address: Option<EmailAddress>,
    /// A page to read instead of JSON, which needs nothing from elsewhere
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    html: Option<PathBuf>,
    /// The language of the page; else the first of the policy's controllers
    #[arg(long, value_name = "CODE")]
    language: Option<Language>,
    /// Only what this controller holds; a list is about one
    #[arg(long, value_name = "ID")]
    controller: Option<String>,
    /// Every event of everybody
    #[arg(long)]
    all: bool,
    /// A list of those who agreed to be reached this way: email, sms, phone, push, post
    #[arg(long, requires = "all", requires = "by", conflicts_with = "partner")]
    channel: Option<String>,
    /// A list of those who agreed that this controller, named in the wording, writes to them
    #[arg(long, value_name = "ID", requires = "all", requires = "by")]
    partner: Option<String>,
    /// Only who agreed to this topic or one below it
    #[arg(long, requires = "all")]
    topic: Option<String>,
    /// Who takes the list
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// How events and lists are written
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    format: Format,
    /// Where to, a file that is not there yet; else standard output. A list needs one
    #[arg(long, value_name = "FILE", conflicts_with = "html")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line
    Ndjson,
    /// For spreadsheets: cells a spreadsheet would take for a formula begin with '
    Csv,
}

pub(super) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let (settings, policy) = config::load(&globals.config)?;
    if let Some(id) = &args.controller
        && !policy.controllers.contains_key(id)
    {
        let known: Vec<&str> = policy.controllers.keys().map(String::as_str).collect();
        return Err(CliError::Usage(format!("the policy has no controller `{id}`; it has {}", known.join(", "))));
    }
    match &args.address {
        Some(address) => person(args, address, (&settings, &policy), globals),
        None if args.channel.is_some() || args.partner.is_some() => list::run(args, (settings, &policy), globals),
        None if args.topic.is_some() => {
            Err(CliError::Usage("--topic is for a list: say --channel or --partner".into()))
        }
        None => everybody::run(args, &mut Reader::open(&settings.store, settings.hash_keys)?),
    }
}

fn person(
    args: &Args,
    address: &EmailAddress,
    (settings, policy): (&config::Settings, &Policy),
    globals: &Globals,
) -> Result<ExitCode, CliError> {
    let mut reader = Reader::open(&settings.store, settings.hash_keys.clone())?;
    let person = Person::gather(&mut reader, policy, address, args.controller.as_deref(), Timestamp::now())?;
    if !person.is_known() {
        if !globals.json {
            eprintln!("consentry: nothing is known of this address");
        }
        return Ok(ExitCode::from(ANSWER_IS_NO));
    }
    if let Some(path) = &args.html {
        let tags = policy.controllers.values().flat_map(|controller| &controller.languages);
        let language = args.language.unwrap_or_else(|| Language::first_of(tags));
        let page = page(&person, policy, language).map_err(|e| CliError::Failed(e.to_string()))?;
        write_new(path, page.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let document = document(&person, policy);
    let text = if globals.json { document.to_string() } else { format!("{document:#}") };
    match &args.out {
        Some(path) => write_new(path, format!("{text}\n").as_bytes())?,
        None => globals.print(&format!("{text}\n"))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// For its owner's eyes only.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = written.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(|error| CliError::Failed(format!("{}: {error}", path.display())))
}
