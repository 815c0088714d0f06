//! `contact import`: check everything, then write, as fast as the store takes it or in slices that a running gate does
//! not notice.

mod refused;
mod report;
mod source;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use clap::ValueEnum;

use super::record::pair;
use super::terms;
use crate::cli::{ANSWER_IS_NO, CliError, Globals};
use crate::config::{self, Settings};
use crate::consent::event::ConsentEvent;
use crate::consent::import::{Line, Taken, Terms};
use crate::store::{Importer, Reader, StoreError, Waiting};
use refused::RefusedLines;
use report::Report;
use source::Source;

/// How many events are read ahead of the store, in batches of so many lines.
const READ_AHEAD: usize = 10_000;
const BATCH: usize = 500;

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
    /// Which column of a CSV file is which field (an empty FIELD leaves the column out); or a TOML file that says what
    /// each row means; or one that ships: brevo, mailchimp-subscribed, mailchimp-unsubscribed, mailchimp-cleaned
    #[arg(long, value_name = "COLUMN=FIELD|FILE")]
    map: Vec<String>,
    /// What a line means that does not say it itself, like controller=shop
    #[arg(long, value_name = "FIELD=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// Check only
    #[arg(long)]
    dry_run: bool,
    /// Write the good lines though there are bad ones; these go with the reason into a file beside
    #[arg(long)]
    keep_going: bool,
    /// Where the refused lines go; else beside FILE, as FILE.refused.ndjson or .csv
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,
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
    let mut file = Source::open(args, &policy.time_zone)?;

    let mut report = check(&mut file, &terms, args, &settings)?;
    terms.digest.clone_from(&file.digest);
    let may_write = !args.dry_run && (report.bad == 0 || args.keep_going);
    if may_write {
        write(&file, &terms, &settings, &mut report)?;
        report.awaited = awaited(&settings, &report)?;
    }
    report.print(args.dry_run, globals)?;
    let asked_for = args.keep_going && !args.dry_run;
    Ok(if report.bad == 0 || asked_for { ExitCode::SUCCESS } else { ExitCode::from(ANSWER_IS_NO) })
}

/// The first pass: every line is read and held to policy, proof and what is recorded; nothing is written but what is
/// refused.
fn check(file: &mut Source, terms: &Terms, args: &Args, settings: &Settings) -> Result<Report, CliError> {
    let mut report = Report::default();
    let mut recorded = Recorded::open(settings, terms);
    let beside = args.file.with_extension(file.refused_extension());
    let kept = (args.keep_going && !args.dry_run) || args.refused.is_some();
    let mut refused = kept.then(|| RefusedLines::at(args.refused.as_ref().unwrap_or(&beside)));
    if refused.as_ref().is_some_and(|refused| refused.path == args.file) {
        return Err(CliError::Usage("--refused: name another file than the one that is read".into()));
    }
    file.check(terms, |(line, read)| {
        if let (Err(error), Some(refused)) = (&read, &mut refused) {
            refused.write(line, error)?;
        }
        match read.as_ref().ok().map(|taken| recorded.clash(taken)).transpose()?.flatten() {
            Some(clash) => report.clash(line, &clash),
            None => report.count(line, read),
        }
        Ok(())
    })?;
    if let Some(refused) = refused {
        let path = refused.path.clone();
        report.refused = refused.finish()?.then_some(path);
    }
    Ok(report)
}

/// What the store has already, where there is one.
struct Recorded {
    reader: Option<Reader>,
    /// How ids begin that the import makes itself, and that stand for nothing else.
    made_up: String,
}

impl Recorded {
    /// A store that cannot be read yet is brought up to date by the second pass, which finds what this would have found.
    fn open(settings: &Settings, terms: &Terms) -> Recorded {
        let reader = Reader::open(&settings.store, settings.hash_keys.clone()).ok();
        Recorded { reader, made_up: format!("import:{}:", terms.digest) }
    }

    fn clash(&mut self, taken: &[Taken]) -> Result<Option<StoreError>, CliError> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        for Taken { event, .. } in taken {
            if event.id.as_ref().is_some_and(|id| !id.starts_with(&self.made_up))
                && let Some(seq) = reader.clash(event)?
            {
                return Ok(Some(StoreError::IdTaken { seq }));
            }
        }
        Ok(None)
    }
}

/// The wordings that were named and that nobody has stored.
fn awaited(settings: &Settings, report: &Report) -> Result<Vec<String>, CliError> {
    let mut reader = Reader::open(&settings.store, settings.hash_keys.clone())?;
    let mut awaited = Vec::new();
    for version in &report.versions {
        if reader.text(version)?.is_empty() {
            awaited.push(version.clone());
        }
    }
    Ok(awaited)
}

/// The second pass: read on a thread of its own, written in slices, each of which says how far it got.
fn write(file: &Source, terms: &Terms, settings: &Settings, report: &mut Report) -> Result<(), CliError> {
    let (mut importer, earlier) = Importer::open(&settings.store, settings.hash_keys.clone(), &file.digest)?;
    report.earlier = earlier;
    if earlier.finished {
        return Ok(());
    }
    let progress = file.progress("writing");
    let (send, batches) = sync_channel(READ_AHEAD / BATCH);
    let clashed = std::mem::take(&mut report.clashed);
    thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let lines = file.lines(terms, &progress)?;
            send_batches(lines.filter(|(line, _)| *line > earlier.lines_done && !clashed.contains(line)), send);
            Ok(())
        });
        let written = write_batches(&mut importer, &batches, report);
        // Whoever reads stops when nobody takes what it reads.
        drop(batches);
        reading.join().unwrap_or_else(|_| Err(CliError::Failed("the file could not be read".into())))?;
        written
    })?;
    progress.finish_and_clear();
    file.check_unchanged()?;
    Ok(importer.finish()?)
}

type Batch = Vec<(u64, ConsentEvent)>;

fn send_batches(lines: impl Iterator<Item = Line>, to: SyncSender<Batch>) {
    let mut batch = Vec::with_capacity(BATCH);
    for (line, read) in lines {
        batch.extend(read.into_iter().flatten().map(|taken| (line, taken.event)));
        if batch.len() >= BATCH && to.send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH))).is_err() {
            return;
        }
    }
    // An error says that nobody takes it any more.
    _ = to.send(batch);
}

fn write_batches(importer: &mut Importer, batches: &Receiver<Batch>, report: &mut Report) -> Result<(), CliError> {
    // Nobody waits for the file with the lock in hand while somebody else may want it.
    let mut more = |events: &mut VecDeque<_>, wait: bool| {
        let next = if wait { batches.recv().ok() } else { batches.try_recv().ok() };
        events.extend(next.unwrap_or_default());
    };
    let mut waiting = Waiting { events: VecDeque::new(), more: &mut more };
    while let Some(line) = waiting.line(true) {
        let slice = patiently(|| importer.write_slice(&mut waiting)).map_err(|error| {
            CliError::Failed(format!(
                "{error}; the lines before {line} are written, and the same command goes on there"
            ))
        })?;
        report.wrote(&slice);
    }
    Ok(())
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
