//! The list for the mailer: who is due for the one notice. The old list stays until the new one is whole.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::NamedTempFile;

use super::Person;
use crate::cli::CliError;

enum Format {
    Csv(Box<csv::Writer<BufWriter<NamedTempFile>>>),
    Ndjson(BufWriter<NamedTempFile>),
}

pub struct Notices {
    path: PathBuf,
    out: Format,
}

impl Notices {
    /// Readable by its owner only, as temporary files are.
    pub fn create(path: &Path) -> Result<Notices, CliError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = NamedTempFile::new_in(folder).map_err(|error| told(path, &error))?;
        let is_csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        let mut out = BufWriter::new(file);
        let out = if is_csv {
            let mut csv = csv::Writer::from_writer(out);
            csv.write_record(["address", "controller", "last_day", "reason"]).map_err(|error| told(path, &error))?;
            Format::Csv(Box::new(csv))
        } else {
            out.flush().map_err(|error| told(path, &error))?;
            Format::Ndjson(out)
        };
        Ok(Notices { path: path.to_owned(), out })
    }

    pub fn write(&mut self, person: &Person) -> Result<(), CliError> {
        let Person { address, controller, standing, .. } = person;
        let (last_day, reason) = (standing.last_day.to_string(), standing.reason());
        let path = &self.path;
        match &mut self.out {
            Format::Csv(csv) => csv
                .write_record([address.as_str(), controller.as_str(), last_day.as_str(), reason])
                .map_err(|error| told(path, &error)),
            Format::Ndjson(out) => {
                let line =
                    json!({"address": address, "controller": controller, "last_day": last_day, "reason": reason});
                writeln!(out, "{line}").map_err(|error| told(path, &error))
            }
        }
    }

    /// Puts the list in its place.
    pub fn finish(self) -> Result<(), CliError> {
        let path = self.path;
        let file = match self.out {
            Format::Csv(csv) => csv.into_inner().map_err(|error| told(&path, &error))?.into_inner(),
            Format::Ndjson(out) => out.into_inner(),
        };
        let file = file.map_err(|error| told(&path, &error))?;
        file.as_file().sync_all().map_err(|error| told(&path, &error))?;
        file.persist(&path).map(drop).map_err(|error| told(&path, &error))
    }
}

fn told(path: &Path, error: &dyn std::fmt::Display) -> CliError {
    CliError::Failed(format!("{}: {error}; is there room, and may it be written to?", path.display()))
}
