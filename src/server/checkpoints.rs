//! Checkpoints of the ledger on a timer, handed to where the store's owner cannot change them.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use jiff::Timestamp;

use crate::config::CheckpointTo;
use crate::consent::ledger::checkpoint::Checkpoint;
use crate::relay::gate::Gate;
use crate::store::{NewCheckpoint, StoreError};

/// Why a checkpoint did not get where it was to be kept.
#[derive(Debug)]
pub enum OutputError {
    File {
        file: PathBuf,
        error: io::Error,
    },
    Command {
        program: String,
        error: io::Error,
    },
    /// The program ended with this.
    Refused {
        program: String,
        status: String,
    },
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, error } => write!(f, "the checkpoint cannot be written to {}: {error}", file.display()),
            Self::Command { program, error } => write!(f, "the checkpoint cannot be given to {program}: {error}"),
            Self::Refused { program, status } => {
                write!(f, "{program} did not take the checkpoint ({status}); run it by hand to see why")
            }
        }
    }
}

impl std::error::Error for OutputError {}

/// Every `checkpoint_every`, as long as the ledger has grown.
pub async fn keep(gate: &Arc<Gate>) {
    let Some(every) = gate.settings.ledger.every else { return };
    loop {
        tokio::time::sleep(every).await;
        let signing = gate.clone();
        let made = tokio::task::spawn_blocking(move || make(&signing)).await;
        match made {
            Ok(Ok(Some(new))) => {
                let size = new.checkpoint.size;
                match gate.store.keep_checkpoint(new).await {
                    Ok(()) => tracing::info!(size, "ledger checkpoint signed"),
                    Err(error) => tracing::error!(%error, "ledger checkpoint not kept"),
                }
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => tracing::error!("{error}"),
            Err(error) => tracing::error!(%error, "ledger checkpoint not made"),
        }
    }
}

/// Signs and hands over; none when nothing was added since the last one.
fn make(gate: &Gate) -> Result<Option<NewCheckpoint>, String> {
    let (Some(signing), Some(to)) = (&gate.settings.signing_keys, &gate.settings.ledger.to) else { return Ok(None) };
    let failed = |error: StoreError| format!("ledger checkpoint not made: {error}");
    let mut reader = gate.store.reader().map_err(failed)?;
    let last = reader.last_checkpoint().map_err(failed)?;
    let new = reader.sign_checkpoint(signing, &gate.settings.ledger_origin(), Timestamp::now()).map_err(failed)?;
    if last == Some(new.checkpoint.size) {
        return Ok(None);
    }
    hand_over(to, &new.checkpoint, &new.note).map_err(|error| error.to_string())?;
    Ok(Some(new))
}

/// Where the settings, or the command line, say.
pub fn hand_over(to: &CheckpointTo, checkpoint: &Checkpoint, note: &str) -> Result<(), OutputError> {
    match to {
        // Their names sort as their sizes do.
        CheckpointTo::Directory(directory) => {
            write_file(&directory.join(format!("checkpoint-{:016}.txt", checkpoint.size)), note)
        }
        CheckpointTo::Command(command) => run(command, note),
    }
}

/// Either the whole note is there or nothing.
pub fn write_file(file: &Path, note: &str) -> Result<(), OutputError> {
    let failed = |error| OutputError::File { file: file.to_owned(), error };
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(directory).map_err(failed)?;
    let mut unfinished = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    unfinished.write_all(note.as_bytes()).map_err(failed)?;
    unfinished.as_file().sync_all().map_err(failed)?;
    unfinished.persist(file).map_err(|error| failed(error.error))?;
    Ok(())
}

fn run(command: &[String], note: &str) -> Result<(), OutputError> {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let failed = |error| OutputError::Command { program: program.clone(), error };
    let mut child = Command::new(program).args(arguments).stdin(Stdio::piped()).spawn().map_err(failed)?;
    let written = child.stdin.take().map_or(Ok(()), |mut input| input.write_all(note.as_bytes()));
    let status = child.wait().map_err(failed)?;
    if !status.success() {
        return Err(OutputError::Refused { program: program.clone(), status: status.to_string() });
    }
    written.map_err(failed)
}
