//! `contact import`: check everything, then write in slices that a running gate does not notice.

mod report;

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ring::digest::{Context, SHA256};

use super::record::pair;
use super::terms;
use crate::cli::{ANSWER_IS_NO, CliError, Globals};
use crate::config;
use crate::consent::import::{self, Line, Terms};
use crate::store::{Importer, StoreError};
use report::Report;

/// How many events are read ahead of the lock.
const READ_AHEAD: usize = 2000;

/// How often a slice is tried again while another process holds the store.
const TRIES: usize = 5;

/// Events in bulk: everything is checked first, then all is written or nothing
///
/// A running gate goes on meanwhile. When it is stopped half-way, the same command goes on where it was.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    file: PathBuf,
    /// How the file is written; else by its name
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Which column of a CSV file is which field; an empty FIELD leaves the column out
    #[arg(long, value_name = "COLUMN=FIELD", value_parser = pair)]
    map: Vec<(String, String)>,
    /// What a line means that does not say it itself, like controller=shop
    #[arg(long, value_name = "FIELD=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// Check only
    #[arg(long)]
    dry_run: bool,
    /// Write the good lines though there are bad ones
    #[arg(long)]
    keep_going: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line
    Ndjson,
    /// A line of column names, then one event a line
    Csv,
}

pub(super) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let (settings, policy) = config::load(&globals.config)?;
    let mut terms = terms(&policy);
    terms.defaults = args.set.iter().cloned().collect();
    terms.check().map_err(|e| CliError::Usage(format!("--set: {e}")))?;
    let mut file = Source::open(args)?;

    let mut report = check(&mut file, &terms)?;
    terms.digest.clone_from(&file.digest);
    let may_write = !args.dry_run && (report.bad == 0 || args.keep_going);
    if may_write {
        write(&mut file, &terms, &settings.store, &mut report)?;
    }
    report.print(args.dry_run, globals)?;
    Ok(if report.bad == 0 || may_write { ExitCode::SUCCESS } else { ExitCode::from(ANSWER_IS_NO) })
}

/// The first pass: every line is read and held to policy and proof; nothing is written.
fn check(file: &mut Source, terms: &Terms) -> Result<Report, CliError> {
    let mut report = Report::default();
    let progress = file.progress("checking");
    let mut digest = Context::new(&SHA256);
    let source = Watched { inner: file.rewind()?, digest: Some(&mut digest), progress: &progress };
    for (line, read) in file.layout.lines(source, terms)? {
        report.count(line, read);
    }
    progress.finish_and_clear();
    file.digest = file.layout.digest(digest, terms);
    Ok(report)
}

/// The second pass: slices, each of which says how far it got.
fn write(file: &mut Source, terms: &Terms, store: &Path, report: &mut Report) -> Result<(), CliError> {
    let (mut importer, earlier) = Importer::open(store, &file.digest)?;
    report.earlier = earlier;
    if earlier.finished {
        return Ok(());
    }
    let progress = file.progress("writing");
    let source = Watched { inner: file.rewind()?, digest: None, progress: &progress };
    let lines = file.layout.lines(source, terms)?;
    let mut events =
        lines.filter_map(|(line, read)| Some((line, read.ok()?))).filter(|(line, _)| *line > earlier.lines_done);
    let mut waiting = VecDeque::new();
    loop {
        waiting.extend(events.by_ref().take(READ_AHEAD - waiting.len().min(READ_AHEAD)));
        let Some((line, _)) = waiting.front() else { break };
        let line = *line;
        let slice = patiently(|| importer.write_slice(&mut waiting)).map_err(|error| {
            CliError::Failed(format!(
                "{error}; the lines before {line} are written, and the same command goes on there"
            ))
        })?;
        report.wrote(&slice);
    }
    progress.finish_and_clear();
    file.check_unchanged()?;
    Ok(importer.finish()?)
}

/// Each try waits on its own for the lock; nothing was taken from the line when it was not given.
fn patiently<T>(mut attempt: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let mut tries = 1;
    loop {
        match attempt() {
            Err(error) if error.is_busy() && tries < TRIES => tries += 1,
            answer => return answer,
        }
    }
}

/// The file, and how it is read.
struct Source {
    file: File,
    path: PathBuf,
    length: u64,
    modified: Option<std::time::SystemTime>,
    layout: Layout,
    digest: String,
}

struct Layout {
    format: Format,
    columns: BTreeMap<String, String>,
}

impl Source {
    fn open(args: &Args) -> Result<Source, CliError> {
        let told = |e: io::Error| CliError::Usage(format!("{}: {e}", args.file.display()));
        let file = File::open(&args.file).map_err(told)?;
        let found = file.metadata().map_err(told)?;
        if !found.is_file() {
            return Err(CliError::Usage(format!("{}: not a file; it is read twice", args.file.display())));
        }
        let is_csv = args.file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        let format = args.format.unwrap_or(if is_csv { Format::Csv } else { Format::Ndjson });
        if format == Format::Ndjson && !args.map.is_empty() {
            return Err(CliError::Usage("--map is for --format csv; NDJSON names its fields itself".into()));
        }
        let layout = Layout { format, columns: args.map.iter().cloned().collect() };
        let modified = found.modified().ok();
        Ok(Source { file, path: args.file.clone(), length: found.len(), modified, layout, digest: String::new() })
    }

    fn rewind(&self) -> Result<BufReader<&File>, CliError> {
        (&self.file).rewind().map_err(|e| CliError::Failed(format!("{}: {e}", self.path.display())))?;
        Ok(BufReader::with_capacity(256 * 1024, &self.file))
    }

    /// What was written must be what was checked.
    fn check_unchanged(&self) -> Result<(), CliError> {
        let now = self.file.metadata().map(|found| (found.len(), found.modified().ok()));
        if now.is_ok_and(|now| now == (self.length, self.modified)) {
            return Ok(());
        }
        Err(CliError::Failed(format!("{}: changed while it was read; import it again", self.path.display())))
    }

    /// A bar over the bytes, on a terminal only.
    fn progress(&self, doing: &'static str) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(self.length), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{msg} {wide_bar} {percent}% {eta}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(doing);
        bar
    }
}

impl Layout {
    fn lines<'a>(
        &self,
        source: impl Read + 'a,
        terms: &'a Terms,
    ) -> Result<Box<dyn Iterator<Item = Line> + 'a>, CliError> {
        Ok(match self.format {
            Format::Ndjson => Box::new(import::ndjson(BufReader::new(source), terms)),
            Format::Csv => {
                let lines = import::csv(source, &self.columns, terms);
                Box::new(lines.map_err(|e| CliError::Usage(e.to_string()))?)
            }
        })
    }

    /// The same bytes read in another way are other events.
    fn digest(&self, mut context: Context, terms: &Terms) -> String {
        context.update(format!("{:?} {:?} {:?}", self.format, self.columns, terms.defaults).as_bytes());
        context.finish().as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }
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
