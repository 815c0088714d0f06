//! The side door of a running gate: a local socket that takes one word and answers with one JSON line.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Reloaded, reload};
use crate::relay::gate::Gate;

/// Loading and checking a policy takes milliseconds; anything longer is a gate that hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the gate answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    pub done: bool,
    /// Hash of the policy in force now.
    pub policy: String,
    /// What was wrong, one line each.
    pub errors: Vec<String>,
    /// What the operator should know, one sentence each.
    pub warnings: Vec<String>,
}

/// The socket; it is removed when the gate ends.
pub struct Control {
    path: PathBuf,
}

impl Control {
    /// Listens at `path`, for the owner and its group only. A socket left behind by
    /// a gate that was killed is replaced; one that answers is not.
    pub fn open(path: &Path, gate: Arc<Gate>) -> io::Result<Control> {
        if UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another gate answers there"));
        }
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o660))?;
        std::thread::Builder::new().name("control".into()).spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = serve(&stream, &gate);
            }
        })?;
        Ok(Control { path: path.into() })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn serve(stream: &UnixStream, gate: &Gate) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut word = String::new();
    BufReader::new(stream).read_line(&mut word)?;
    let answer = match word.trim() {
        "reload" => match reload(gate) {
            Ok(Reloaded { policy, warnings }) => {
                Answer { done: true, policy: policy.hash.clone(), errors: Vec::new(), warnings }
            }
            Err(error) => refusal(gate, &error.to_string()),
        },
        _ => refusal(gate, "the gate knows only: reload"),
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    (&mut &*stream).write_all(&line)
}

fn refusal(gate: &Gate, errors: &str) -> Answer {
    tracing::error!("reload refused, the policy in force stays: {errors}");
    let errors = errors.lines().map(String::from).collect();
    Answer { done: false, policy: gate.policy().hash.clone(), errors, warnings: Vec::new() }
}

/// Sends one word to the gate that listens at `path`.
pub fn ask(path: &Path, word: &str) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    writeln!(stream, "{word}")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}
