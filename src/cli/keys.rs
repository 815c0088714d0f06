//! `consentry keys`: which keys there are, and new ones without losing what the old ones made.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Subcommand, ValueEnum};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;

use super::{CliError, Globals};
use crate::config::{self, Settings};
use crate::consent::token::parse_keys;

/// List the keys, or put a new one in front of them
///
/// A key is never shown: it is told apart by its fingerprint. Older keys stay in their file, because links that were
/// sealed and hashes that were made with them have to go on working. A lost token key makes every unsubscribe link
/// sealed with it a dead one; a lost ledger key makes every objection whose address was erased unrecognisable. Neither
/// can be made again, so keep a copy of the files.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the fingerprint of every key, and which one is in use for new links and hashes
    List,
    /// Make a new key and put it first; the older ones stay
    Rotate {
        /// Which key; all of them when left out
        which: Option<Which>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    /// Seals unsubscribe links
    Token,
    /// Chains the ledger, and keys the hashes of people who objected
    Ledger,
    /// Signs checkpoints of the ledger
    Signing,
}

const ALL: [Which; 3] = [Which::Token, Which::Ledger, Which::Signing];

impl Which {
    fn name(self) -> &'static str {
        match self {
            Which::Token => "token",
            Which::Ledger => "ledger",
            Which::Signing => "signing",
        }
    }

    /// None: the settings name none.
    fn file(self, settings: &Settings) -> Option<&Path> {
        match self {
            Which::Token => Some(&settings.token_key_file),
            Which::Ledger => Some(&settings.ledger_key_file),
            Which::Signing => settings.signing_key_file.as_deref(),
        }
    }

    fn cost_of_loss(self) -> &'static str {
        match self {
            Which::Token => {
                "lost, every link sealed with it is dead: recipients of mail already sent could not unsubscribe by it"
            }
            Which::Ledger => {
                "lost, an objection whose address was erased is no longer recognised: that person could be written to again; \
                 and the gate does not go on with a ledger that it cannot check"
            }
            Which::Signing => {
                "lost, checkpoints are signed with another key from then on: keep the public key of each (`ledger public-key`)"
            }
        }
    }
}

pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let settings = config::load_settings(&globals.config)?;
    match args.action {
        Action::List => list(&settings, globals)?,
        Action::Rotate { which } => {
            let all = which.is_none();
            for which in which.map_or(ALL.to_vec(), |which| vec![which]) {
                match which.file(&settings) {
                    Some(file) => rotate(which, file, globals)?,
                    None if all => {}
                    None => {
                        let missing = "the settings name no signing_key_file below [keys]; nothing was changed";
                        return Err(CliError::Usage(missing.into()));
                    }
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(settings: &Settings, globals: &Globals) -> Result<(), CliError> {
    for which in ALL {
        let Some(path) = which.file(settings) else { continue };
        let text = fs::read_to_string(path).map_err(|error| failed(path, &error))?;
        let keys = parse_keys(&text).map_err(|error| failed(path, &error))?;
        if !globals.json {
            globals.print(&format!("{} key, {}\n", which.name(), path.display()))?;
        }
        for (index, key) in keys.iter().enumerate() {
            let in_use = index == 0;
            if globals.json {
                let file = path.display().to_string();
                globals.print_json(
                    &json!({"key": which.name(), "file": file, "fingerprint": fingerprint(key), "in_use": in_use}),
                )?;
            } else {
                let role = if in_use { "in use" } else { "older, still honoured" };
                globals.print(&format!("  {}  {role}\n", fingerprint(key)))?;
            }
        }
        if !globals.json {
            globals.print(&format!("  {}\n", which.cost_of_loss()))?;
        }
    }
    Ok(())
}

fn rotate(which: Which, path: &Path, globals: &Globals) -> Result<(), CliError> {
    let path = fs::canonicalize(path).map_err(|error| failed(path, &error))?;
    let older = fs::read_to_string(&path).map_err(|error| failed(&path, &error))?;
    let key = new_key()?;
    replace(&path, &format!("{}\n{older}", STANDARD.encode(key))).map_err(|error| failed(&path, &error))?;
    if globals.json {
        let file = path.display().to_string();
        return globals
            .print_json(&json!({"key": which.name(), "file": file, "fingerprint": fingerprint(&key), "in_use": true}));
    }
    globals.print(&format!(
        "{} key {} is now the first one in {}; restart the gate to use it, and keep a copy of the file\n",
        which.name(),
        fingerprint(&key),
        path.display()
    ))
}

/// 32 bytes nobody can guess.
pub(super) fn new_key() -> Result<[u8; 32], CliError> {
    let mut key = [0; 32];
    let filled = SystemRandom::new().fill(&mut key);
    filled.map_err(|_| CliError::Failed("the system gives no random bytes".into()))?;
    Ok(key)
}

/// Either the old file or the whole new one is there, whatever happens; owner and mode stay.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let before = fs::metadata(path)?;
    let directory = path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let mut file = tempfile::NamedTempFile::new_in(&directory)?;
    file.write_all(text.as_bytes())?;
    let made = file.as_file().metadata()?;
    if (made.uid(), made.gid()) != (before.uid(), before.gid()) {
        chown(file.path(), Some(before.uid()), Some(before.gid()))?;
    }
    file.as_file().set_permissions(before.permissions())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    fs::File::open(directory)?.sync_all()
}

/// What a key is called: the beginning of its SHA-256, from which nobody gets back to 32 random bytes.
fn fingerprint(key: &[u8; 32]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, key);
    digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> CliError {
    CliError::Failed(format!("{}: {error}", path.display()))
}
