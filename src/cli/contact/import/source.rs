//! The file of an import, and how it is read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::tz::TimeZone;
use ring::digest::{Context, SHA256};

use super::{Args, Format};
use crate::cli::CliError;
use crate::config::MAPS;
use crate::consent::import::{self, ImportMap, Line, Terms};

/// The file, and how it is read.
pub struct Source {
    file: File,
    pub path: PathBuf,
    length: u64,
    modified: Option<std::time::SystemTime>,
    layout: Layout,
    /// Of the bytes and of how they are read: the same bytes read in another way are other events.
    pub digest: String,
}

enum Layout {
    Ndjson,
    Csv { columns: BTreeMap<String, String> },
    Mapped { map: Box<ImportMap>, text: String, zone: TimeZone },
}

impl Source {
    /// `zone`: that of dates which say none.
    pub fn open(args: &Args, zone: &TimeZone) -> Result<Source, CliError> {
        let told = |e: io::Error| CliError::Usage(format!("{}: {e}", args.file.display()));
        let file = File::open(&args.file).map_err(told)?;
        let found = file.metadata().map_err(told)?;
        if !found.is_file() {
            return Err(CliError::Usage(format!("{}: not a file; it is read twice", args.file.display())));
        }
        let (layout, modified) = (Layout::of(args, zone)?, found.modified().ok());
        let (path, digest) = (args.file.clone(), String::new());
        Ok(Source { file, path, length: found.len(), modified, layout, digest })
    }

    /// The extension of a file of refused lines.
    pub fn refused_extension(&self) -> &'static str {
        if matches!(self.layout, Layout::Ndjson) { "refused.ndjson" } else { "refused.csv" }
    }

    /// Reads all lines from the beginning; the digest is known when that is done.
    pub fn check(&mut self, terms: &Terms, mut each: impl FnMut(Line) -> Result<(), CliError>) -> Result<(), CliError> {
        let mut digest = Context::new(&SHA256);
        let progress = self.progress("checking");
        let source = Watched { inner: self.rewind()?, digest: Some(&mut digest), progress: &progress };
        for line in self.layout.lines(source, terms)? {
            each(line)?;
        }
        progress.finish_and_clear();
        self.digest = self.layout.digest(digest, terms);
        Ok(())
    }

    /// Reads all lines once more.
    pub fn lines<'a>(
        &'a self,
        terms: &'a Terms,
        progress: &'a ProgressBar,
    ) -> Result<impl Iterator<Item = Line> + 'a, CliError> {
        self.layout.lines(Watched { inner: self.rewind()?, digest: None, progress }, terms)
    }

    fn rewind(&self) -> Result<BufReader<&File>, CliError> {
        (&self.file).rewind().map_err(|e| CliError::Failed(format!("{}: {e}", self.path.display())))?;
        Ok(BufReader::with_capacity(256 * 1024, &self.file))
    }

    /// What was written must be what was checked.
    pub fn check_unchanged(&self) -> Result<(), CliError> {
        let now = self.file.metadata().map(|found| (found.len(), found.modified().ok()));
        if now.is_ok_and(|now| now == (self.length, self.modified)) {
            return Ok(());
        }
        Err(CliError::Failed(format!("{}: changed while it was read; import it again", self.path.display())))
    }

    /// A bar over the bytes, on a terminal only.
    pub fn progress(&self, doing: &'static str) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(self.length), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{msg} {wide_bar} {percent}% {eta}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(doing);
        bar
    }
}

impl Layout {
    fn of(args: &Args, zone: &TimeZone) -> Result<Layout, CliError> {
        let usage = |why: &str| Err(CliError::Usage(why.into()));
        let is_csv = args.file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        let mut columns = BTreeMap::new();
        let mut file = None;
        for map in &args.map {
            match map.split_once('=') {
                Some((column, field)) => _ = columns.insert(column.trim().to_owned(), field.trim().to_owned()),
                None if file.replace(map.as_str()).is_none() => {}
                None => return usage("one --map FILE at a time"),
            }
        }
        let by_name = if is_csv { Format::Csv } else { Format::Ndjson };
        let by_map = if args.map.is_empty() { by_name } else { Format::Csv };
        match (args.format.unwrap_or(by_map), file) {
            (Format::Ndjson, None) if columns.is_empty() => Ok(Layout::Ndjson),
            (Format::Ndjson, _) => usage("--map is for --format csv; NDJSON names its fields itself"),
            (Format::Csv, None) => Ok(Layout::Csv { columns }),
            (Format::Csv, Some(_)) if !columns.is_empty() => usage(
                "--map FILE says of every column what it is; leave out --map COLUMN=FIELD, or write it into the file",
            ),
            (Format::Csv, Some(name)) => {
                let text = map_text(name)?;
                let map = ImportMap::parse(&text).map_err(|e| CliError::Usage(format!("{name}: {e}")))?;
                Ok(Layout::Mapped { map: Box::new(map), text, zone: zone.clone() })
            }
        }
    }

    fn lines<'a>(
        &'a self,
        source: impl Read + 'a,
        terms: &'a Terms,
    ) -> Result<Box<dyn Iterator<Item = Line> + 'a>, CliError> {
        let source = BufReader::with_capacity(64 * 1024, source);
        let usage = |e: import::LayoutError| CliError::Usage(e.to_string());
        Ok(match self {
            Layout::Ndjson => Box::new(import::ndjson(source, terms)),
            Layout::Csv { columns } => Box::new(import::csv(source, columns, terms).map_err(usage)?),
            Layout::Mapped { map, zone, .. } => Box::new(import::mapped(source, map, terms, zone).map_err(usage)?),
        })
    }

    fn digest(&self, mut context: Context, terms: &Terms) -> String {
        let how = match self {
            Layout::Ndjson => format!("Ndjson {{}} {:?}", terms.defaults),
            Layout::Csv { columns } => format!("Csv {columns:?} {:?}", terms.defaults),
            Layout::Mapped { text, .. } => format!("Mapped {text:?} {:?}", terms.defaults),
        };
        context.update(how.as_bytes());
        context.finish().as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A file, or one of those that ship with the program, by its name.
fn map_text(name: &str) -> Result<String, CliError> {
    if let Some((_, text)) = MAPS.iter().find(|(known, _)| *known == name) {
        return Ok((*text).to_owned());
    }
    let shipped = MAPS.map(|(name, _)| name).join(", ");
    fs::read_to_string(Path::new(name)).map_err(|e| {
        CliError::Usage(format!("--map {name}: {e}; write COLUMN=FIELD, a TOML file, or one of {shipped}"))
    })
}

/// Bytes on their way through, hashed and shown.
struct Watched<'a, R> {
    inner: R,
    digest: Option<&'a mut Context>,
    progress: &'a ProgressBar,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        if let Some(digest) = &mut self.digest {
            digest.update(&buffer[..length]);
        }
        self.progress.inc(length as u64);
        Ok(length)
    }
}
