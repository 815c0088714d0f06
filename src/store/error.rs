//! Why the store gave no answer. For promotional mail each of them means 451: no answer is never "no row".

use std::fmt;

use rusqlite::ErrorCode;

/// Sorted by what an operator does about it. Quotes neither rows nor addresses, so it may be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// Another process holds the lock for longer than we wait, or more waits to be written than is kept waiting.
    Busy,
    /// No room on the device.
    Full,
    /// The file cannot be opened, read or written.
    Unreadable(String),
    /// The file is no database, or a damaged one.
    Corrupt(String),
    /// A later version of this program wrote it.
    NewerThanThisProgram { found: usize, known: usize },
    /// The file was deleted or replaced while we had it open.
    Replaced,
    /// Another wording stands under this version and language.
    TextDiffers { version: String, language: String, sha256: String },
    /// This event is recorded under the id and says something else.
    IdTaken { seq: i64 },
    /// The writer has stopped.
    Gone,
    /// Another message has taken the room that a decision counted on: decide again.
    PlaceTaken,
    /// Something was recorded of the person since what is to be written was made: read again.
    Overtaken,
    /// The ledger does not hold, so nothing more is written to it.
    Ledger(String),
    /// A statement failed: a fault of ours.
    Failed(String),
}

impl StoreError {
    /// Whether the same question may well be answered in a moment.
    pub fn is_busy(&self) -> bool {
        *self == Self::Busy
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("the store is locked by another process, or too slow for what is to be written"),
            Self::Full => f.write_str("the device of the store is full; make room"),
            Self::Unreadable(why) => write!(f, "the store cannot be opened, read or written: {why}"),
            Self::Corrupt(why) => write!(f, "the store is damaged: {why}; stop the gate and restore a backup"),
            Self::NewerThanThisProgram { found, known } => {
                write!(f, "the store has schema {found}, this program knows {known}: install the newer program again")
            }
            Self::Replaced => f.write_str("the store's file was deleted or replaced; put it back and restart the gate"),
            Self::TextDiffers { version, language, sha256 } => write!(
                f,
                "another text ({sha256}) is stored as {version} in {language}, and people agreed to that one: give the new wording a new version"
            ),
            Self::IdTaken { seq } => write!(
                f,
                "event {seq} is recorded under this `id` and says something else; give what is new an `id` of its own"
            ),
            Self::Gone => f.write_str("the store's writer has stopped"),
            Self::PlaceTaken => f.write_str("another message was faster; decide again"),
            Self::Overtaken => {
                f.write_str("something was recorded of the same person in between; read it and try again")
            }
            Self::Ledger(why) => write!(
                f,
                "the ledger does not hold: {why}; `consentry ledger verify` names the place. Put back the key file or the \
                 store's backup"
            ),
            Self::Failed(why) => write!(f, "the store could not carry out a statement: {why}"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy,
            Some(ErrorCode::DiskFull) => StoreError::Full,
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure
                | ErrorCode::FileLockingProtocolFailed,
            ) => StoreError::Unreadable(text),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(text),
            _ => StoreError::Failed(text),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    /// What we wrote ourselves cannot be read back. The JSON reader's own words could quote a row.
    fn from(error: serde_json::Error) -> StoreError {
        StoreError::Corrupt(format!("a row holds unexpected text at column {}", error.column()))
    }
}
