//! Everything at once on loopback: the gate, an upstream that only catches, sample contacts, sample messages.
//!
//! Nothing here is taken from the gate's inside: settings and policy are files, messages come by SMTP, consent goes
//! through the store, decisions are read from the journal.

pub mod catcher;
pub mod mailer;
pub mod outcome;
pub mod samples;
pub mod stage;

use std::fmt;
use std::io;

use crate::config::ConfigErrors;
use crate::server::StartError;
use crate::store::StoreError;

/// Why the demonstration cannot be given.
#[derive(Debug)]
pub enum DemoError {
    /// What was being done, and why it failed.
    Io(&'static str, io::Error),
    /// A file that ships with the program is wrong.
    Sample {
        file: String,
        error: String,
    },
    Config(ConfigErrors),
    Start(StartError),
    Store(StoreError),
    /// Something that had to come did not.
    Overdue(&'static str),
}

impl DemoError {
    fn io(doing: &'static str) -> impl Fn(io::Error) -> DemoError {
        move |error| DemoError::Io(doing, error)
    }
}

impl fmt::Display for DemoError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DemoError::Io(doing, error) => write!(formatter, "{doing}: {error}"),
            DemoError::Sample { file, error } => write!(formatter, "demo/{file}: {error}"),
            DemoError::Config(errors) => errors.fmt(formatter),
            DemoError::Start(error) => error.fmt(formatter),
            DemoError::Store(error) => error.fmt(formatter),
            DemoError::Overdue(what) => write!(formatter, "{what} did not come within ten seconds"),
        }
    }
}

impl std::error::Error for DemoError {}

impl From<StoreError> for DemoError {
    fn from(error: StoreError) -> DemoError {
        DemoError::Store(error)
    }
}
