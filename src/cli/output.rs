//! Where an export goes: standard output, or a file that was not there before.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::CliError;

/// Why an export stopped.
pub enum Stopped {
    Output(io::Error),
    Command(CliError),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Stopped {
        Stopped::Output(error)
    }
}

impl From<crate::store::StoreError> for Stopped {
    fn from(error: crate::store::StoreError) -> Stopped {
        Stopped::Command(error.into())
    }
}

/// Writes to a new file that only its owner reads, or to standard output. A reader that has seen enough is no failure.
pub fn write_to(
    path: Option<&Path>,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Stopped>,
) -> Result<(), CliError> {
    let name = path.map_or_else(|| "standard output".to_owned(), |path| path.display().to_string());
    let out: Box<dyn Write> = match path {
        Some(path) => {
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            Box::new(made.map_err(|error| unwritable(&name, &error))?)
        }
        None => Box::new(io::stdout().lock()),
    };
    let mut out = BufWriter::new(out);
    match write(&mut out).and_then(|()| Ok(out.flush()?)) {
        Err(Stopped::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(Stopped::Output(error)) => Err(unwritable(&name, &error)),
        Err(Stopped::Command(error)) => Err(error),
        Ok(()) => Ok(()),
    }
}

fn unwritable(what: &str, error: &io::Error) -> CliError {
    let why =
        if error.kind() == ErrorKind::AlreadyExists { "it is there already".to_owned() } else { error.to_string() };
    CliError::Failed(format!("{what} cannot be written: {why}"))
}

/// One record of a CSV file. What comes from outside must not be run by a spreadsheet.
pub fn record<S: AsRef<str>>(cells: impl IntoIterator<Item = S>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    // Writing into memory does not fail.
    _ = writer.write_record(cells.into_iter().map(|cell| guarded(cell.as_ref())));
    writer.into_inner().unwrap_or_default()
}

/// A cell that a spreadsheet would take for a formula begins with `'`.
fn guarded(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (cell, expected) in [("=1+1", "'=1+1"), ("@x", "'@x"), ("anna@x.example", "anna@x.example"), ("", "")] {
            assert_eq!(guarded(cell), expected);
        }
    }
}
