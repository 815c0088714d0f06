//! The lines an import refused, in a file of their own with the reason, so that they can be corrected and come again.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::cli::CliError;
use crate::consent::import::{Original, REFUSED, Refused};

/// Made with the first line that goes into it; an earlier one of the same name makes way.
pub struct RefusedLines {
    pub path: PathBuf,
    out: Option<Out>,
}

enum Out {
    Ndjson(BufWriter<File>),
    Csv(Box<csv::Writer<File>>),
}

impl RefusedLines {
    pub fn at(path: &Path) -> RefusedLines {
        RefusedLines { path: path.to_owned(), out: None }
    }

    pub fn write(&mut self, line: u64, refused: &Refused) -> Result<(), CliError> {
        let because = refused.error.to_string();
        let failed = |why: &dyn std::fmt::Display| CliError::Failed(format!("{}: {why}", self.path.display()));
        if self.out.is_none() {
            self.out = Some(begin(&self.path, &refused.original).map_err(|e| failed(&e))?);
        }
        match (self.out.as_mut(), &refused.original) {
            (Some(Out::Csv(out)), Original::Record { cells, .. }) => {
                let record = [line.to_string(), because];
                out.write_record(record.iter().chain(cells)).map_err(|e| failed(&e))
            }
            (Some(Out::Ndjson(out)), original) => {
                writeln!(out, "{}", object(line, because, original)).map_err(|e| failed(&e))
            }
            _ => Ok(()),
        }
    }

    /// Whether there was any.
    pub fn finish(self) -> Result<bool, CliError> {
        let failed = |why: &dyn std::fmt::Display| CliError::Failed(format!("{}: {why}", self.path.display()));
        match self.out {
            Some(Out::Csv(mut out)) => out.flush().map_err(|e| failed(&e)).map(|()| true),
            Some(Out::Ndjson(mut out)) => out.flush().map_err(|e| failed(&e)).map(|()| true),
            None => Ok(false),
        }
    }
}

fn begin(path: &Path, first: &Original) -> Result<Out, csv::Error> {
    // There are addresses in it.
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let Original::Record { header, .. } = first else { return Ok(Out::Ndjson(BufWriter::new(file))) };
    let mut out = csv::WriterBuilder::new().delimiter(header.delimiter).flexible(true).from_writer(file);
    let columns = header.columns.iter().map(String::as_str);
    out.write_record(REFUSED.into_iter().chain(columns.filter(|column| !REFUSED.contains(column))))?;
    Ok(Out::Csv(Box::new(out)))
}

/// The line's own fields, where it had any, beside the two of ours.
fn object(line: u64, because: String, original: &Original) -> Value {
    let told = |text: &str| serde_json::from_str::<Map<String, Value>>(text).ok();
    let mut object = match original {
        Original::Text(text) => told(text).unwrap_or_else(|| Map::from_iter([("text".to_owned(), json!(text))])),
        Original::Record { cells, .. } => Map::from_iter([("cells".to_owned(), json!(cells))]),
    };
    object.insert(REFUSED[0].to_owned(), line.into());
    object.insert(REFUSED[1].to_owned(), because.into());
    Value::Object(object)
}
