//! `contact text`: the wordings that `text_version` names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::moment::shown;
use crate::cli::table;
use crate::cli::{ANSWER_IS_NO, CliError, Globals, journal};
use crate::config;
use crate::policy::rules::Policy;
use crate::store::{KeptText, Store, StoreError};

/// A wording is read by people; a file this long is something else.
const LONGEST_TEXT: usize = 256 * 1024;

/// What was shown to people who agreed: store it, list, show
///
/// An opt-in that names a wording nobody has stored counts as CONSENT_NOT_INFORMED until the wording arrives. What is
/// stored stays as it is: a new wording is a new version.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Store the wording of a version, word for word; exit status 1 when another one is stored under that name
    Add {
        /// As the events name it, like newsletter-4
        #[arg(value_name = "VERSION")]
        name: String,
        /// The text as it was shown: UTF-8, plain or HTML
        file: PathBuf,
        /// The language it is in; else the first language of the policy's controllers
        #[arg(long, value_name = "CODE")]
        language: Option<String>,
    },
    /// All versions with language, hash and date
    List,
    /// The text of a version, word for word; exit status 1 when it is not stored
    Show {
        #[arg(value_name = "VERSION")]
        name: String,
        /// One language of it; else all
        #[arg(long, value_name = "CODE")]
        language: Option<String>,
    },
}

pub(super) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    match &args.command {
        Command::Add { name, file, language } => add(name, file, language.as_deref(), globals),
        Command::List => list(globals),
        Command::Show { name, language } => show(name, language.as_deref(), globals),
    }
}

fn add(version: &str, file: &Path, language: Option<&str>, globals: &Globals) -> Result<ExitCode, CliError> {
    let (settings, policy) = config::load(&globals.config)?;
    if version.is_empty() || version.len() > 100 || version.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(CliError::Usage("a version is a name without spaces, 100 bytes at most, like newsletter-4".into()));
    }
    let language = language_of(language, &policy)?;
    let text = KeptText::new(version, &language, read(file)?, Timestamp::now());
    let store = Store::open(&settings.store, settings.hash_keys)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|e| CliError::Failed(format!("no runtime: {e}")))?;
    let kept = runtime.block_on(store.keep_text(text.clone()));
    store.shutdown();
    let added = match kept {
        Err(differs @ StoreError::TextDiffers { .. }) => {
            eprintln!("consentry: {differs}");
            return Ok(ExitCode::from(ANSWER_IS_NO));
        }
        kept => kept?,
    };
    if globals.json {
        let (language, sha256) = (&text.language, &text.sha256);
        globals.print_json(&json!({"version": version, "language": language, "sha256": sha256, "added": added}))?;
    } else {
        let done = if added { "stored" } else { "was stored before:" };
        globals.print(&format!("{done} {version} in {language}, {}\n", text.sha256))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Two or three letters, then perhaps a region, as on the web pages.
fn language_of(said: Option<&str>, policy: &Policy) -> Result<String, CliError> {
    if let Some(code) = said {
        let plain = |part: &str| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
        let right = code.split('-').all(plain);
        let wrong = || CliError::Usage(format!("--language {code}: write a code like fr, en or fr-CA"));
        return right.then(|| code.to_owned()).ok_or_else(wrong);
    }
    let mut first = policy.controllers.values().filter_map(|controller| controller.languages.first());
    let language = first.next().filter(|language| first.all(|other| other == *language));
    language.cloned().ok_or_else(|| CliError::Usage("say which language it is in: --language fr".into()))
}

fn read(file: &Path) -> Result<String, CliError> {
    let told = |why: String| CliError::Usage(format!("{}: {why}", file.display()));
    let bytes = fs::read(file).map_err(|e| told(e.to_string()))?;
    if bytes.len() > LONGEST_TEXT {
        return Err(told(format!("{} bytes; a wording has {LONGEST_TEXT} at most", bytes.len())));
    }
    let text = String::from_utf8(bytes).map_err(|_| told("not UTF-8; save the file as UTF-8".into()))?;
    if text.trim().is_empty() {
        return Err(told("empty; nobody agrees to nothing".into()));
    }
    Ok(text)
}

fn list(globals: &Globals) -> Result<ExitCode, CliError> {
    let texts = journal::open(globals)?.texts()?;
    if globals.json {
        texts.iter().try_for_each(|text| globals.print_json(&described(text)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = table::table(&["version", "language", "added", "bytes", "sha256"], globals.coloured());
    for text in &texts {
        let (added, bytes) = (shown(text.added_at), text.body.len().to_string());
        table.add_row([&text.version, &text.language, &added, &bytes, &text.sha256]);
    }
    globals.print(&format!("{table}\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn described(text: &KeptText) -> Value {
    let KeptText { version, language, sha256, added_at, body } = text;
    json!({"version": version, "language": language, "sha256": sha256, "added_at": added_at, "bytes": body.len()})
}

fn show(version: &str, language: Option<&str>, globals: &Globals) -> Result<ExitCode, CliError> {
    let mut texts = journal::open(globals)?.text(version)?;
    texts.retain(|text| language.is_none_or(|wanted| text.language == wanted));
    if texts.is_empty() {
        eprintln!("consentry: no text is stored as {version}; see `contact text list`");
        return Ok(ExitCode::from(ANSWER_IS_NO));
    }
    for text in &texts {
        if globals.json {
            let mut told = described(text);
            told["body"] = text.body.as_str().into();
            globals.print_json(&told)?;
            continue;
        }
        if texts.len() > 1 {
            globals.print(&format!("# {} in {}, {}\n", text.version, text.language, text.sha256))?;
        }
        globals.print(&text.body)?;
        if !text.body.ends_with('\n') && texts.len() > 1 {
            globals.print("\n")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
