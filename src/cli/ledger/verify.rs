//! `ledger verify`: the whole store against its ledger, and the ledger against checkpoints kept elsewhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::progress;
use crate::cli::{ANSWER_IS_NO, CliError, Globals, proof};
use crate::config::{self, CheckpointTo, Settings};
use crate::consent::ledger::checkpoint::{Checkpoint, CheckpointError, PublicKey};
use crate::store::{Answer, Fault, Reader, Trust, Verified};

/// Hold every row to the ledger, and name the first entry that does not hold
///
/// Reads the whole store as it is at one moment, while a gate may go on. A changed, removed, inserted or reordered row
/// is found anywhere; a tail cut off together with the sealed head of an older copy only with a checkpoint from after
/// it. Exit status 1 when something does not hold.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A checkpoint kept elsewhere; may be given several times. The newest of checkpoint_directory is taken in any case
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// The public key that checkpoints are held to, as `ledger public-key` prints it; else those of signing_key_file
    #[arg(long, value_name = "KEY", value_parser = PublicKey::parse)]
    public_key: Vec<PublicKey>,
    /// Instead of the store a file of `journal proof` or `contact proof`: needs neither settings nor store, but the key
    #[arg(long, value_name = "FILE", requires = "public_key", conflicts_with = "checkpoint")]
    bundle: Option<PathBuf>,
}

pub(super) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    if let Some(file) = &args.bundle {
        return bundle(file, &args.public_key, globals);
    }
    let settings = config::load_settings(&globals.config)?;
    let trust = match trust(args, &settings)? {
        Ok(trust) => trust,
        Err(forged) => return not_ours(&forged, globals),
    };
    let mut reader = Reader::open(&settings.store, settings.hash_keys)?;
    let (bar, mut tell) = progress("verifying");
    let answer = reader.verify_ledger(&trust, &mut tell)?;
    bar.finish_and_clear();
    match answer {
        Answer::Holds(verified) => {
            if globals.json {
                globals.print_json(&holds_json(&verified)?)?;
            } else {
                globals.print(&holds_text(&verified))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Answer::Broken(fault) => broken(&fault, globals),
    }
}

/// What a stranger does.
fn bundle(file: &Path, keys: &[PublicKey], globals: &Globals) -> Result<ExitCode, CliError> {
    let keys: Vec<[u8; 32]> = keys.iter().map(|public| public.key).collect();
    match proof::read_bundle(file)?.verify(&keys) {
        Ok(verified) if globals.json => globals.print_json(&json!({"holds": true, "bundle": verified}))?,
        Ok(verified) => globals.print(&format!(
            "it holds: {} entries of the ledger of {} as it was on {} ({} entries), {} decisions, {} events, \
             {} wordings, {} policies\n",
            verified.entries,
            verified.origin,
            verified.at,
            verified.size,
            verified.decisions,
            verified.events,
            verified.texts,
            verified.policies
        ))?,
        Err(error) => {
            if globals.json {
                globals.print_json(&json!({"holds": false, "broken": error.to_string()}))?;
            } else {
                globals.print(&format!("it does not hold: {error}\n"))?;
            }
            return Ok(ExitCode::from(ANSWER_IS_NO));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A checkpoint that nobody signed, and the file it stands in.
struct Forged {
    file: PathBuf,
    error: CheckpointError,
}

fn trust(args: &Args, settings: &Settings) -> Result<Result<Trust, Forged>, CliError> {
    let own = settings.signing_keys.as_ref().map(|keys| keys.public()).unwrap_or_default();
    let given: Vec<[u8; 32]> = args.public_key.iter().map(|public| public.key).collect();
    let public_keys = if given.is_empty() { own } else { given };
    let mut files = args.checkpoint.clone();
    files.extend(newest_of(settings)?);
    if public_keys.is_empty() && !files.is_empty() {
        let why =
            "a checkpoint is worth as much as its signature: give --public-key, or name signing_key_file in [keys]";
        return Err(CliError::Usage(why.into()));
    }
    let mut checkpoints = Vec::new();
    for file in files {
        let note = fs::read_to_string(&file).map_err(|e| CliError::Usage(format!("{}: {e}", file.display())))?;
        match Checkpoint::open(&note, &public_keys) {
            Ok(checkpoint) => checkpoints.push(checkpoint),
            Err(error) => return Ok(Err(Forged { file, error })),
        }
    }
    Ok(Ok(Trust { public_keys, checkpoints }))
}

/// The names of the files in the directory sort as the sizes in them do.
fn newest_of(settings: &Settings) -> Result<Option<PathBuf>, CliError> {
    let Some(CheckpointTo::Directory(directory)) = &settings.ledger.to else { return Ok(None) };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CliError::Failed(format!("{}: {error}", directory.display()))),
    };
    let files = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    Ok(files.filter(|file| is_checkpoint(file)).max())
}

fn is_checkpoint(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.strip_prefix("checkpoint-").is_some_and(|rest| rest.ends_with(".txt"))
}

fn not_ours(forged: &Forged, globals: &Globals) -> Result<ExitCode, CliError> {
    let (file, why) = (forged.file.display().to_string(), forged.error.to_string());
    if globals.json {
        let broken = json!({"seq": null, "kind": null, "table": "checkpoint", "row": null, "what": "changed", "file": file, "detail": why});
        globals.print_json(&json!({"holds": false, "broken": broken}))?;
    } else {
        globals.print(&format!("the checkpoint {file} does not hold: {why}\n"))?;
    }
    Ok(ExitCode::from(ANSWER_IS_NO))
}

fn broken(fault: &Fault, globals: &Globals) -> Result<ExitCode, CliError> {
    if globals.json {
        globals.print_json(&json!({"holds": false, "broken": fault}))?;
    } else {
        globals.print(&format!("the ledger does not hold\n{fault}\n"))?;
    }
    Ok(ExitCode::from(ANSWER_IS_NO))
}

fn holds_json(verified: &Verified) -> Result<Value, CliError> {
    let mut told = serde_json::to_value(verified).map_err(|e| CliError::Failed(e.to_string()))?;
    told["holds"] = true.into();
    Ok(told)
}

fn holds_text(verified: &Verified) -> String {
    let kinds: Vec<String> = verified.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let mut text = format!(
        "the ledger holds: {} entries ({}), {} contacts\nroot {}\n",
        verified.entries,
        kinds.join(", "),
        verified.contacts,
        verified.root
    );
    if verified.checkpoints_kept > 0 {
        text += &format!("{} checkpoints in the store agree\n", verified.checkpoints_kept);
    }
    for size in &verified.checkpoints_given {
        text += &format!("the checkpoint over {size} entries agrees\n");
    }
    if verified.checkpoints_given.is_empty() {
        text += "no checkpoint from elsewhere was given: an older copy of the whole store would pass as well\n";
    }
    text
}
