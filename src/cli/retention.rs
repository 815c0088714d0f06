//! `consentry retention`: what is over is said, and then ended.

mod notices;
mod purge;

use std::path::PathBuf;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::{Span, Timestamp};
use serde_json::json;

use super::table::printable;
use super::{CliError, Globals};
use crate::config;
use crate::policy::retention::{Due, Retention, retention};
use crate::policy::rules::Policy;
use crate::smtp::address::EmailAddress;
use crate::store::{Known, Reader};
use notices::Notices;
use purge::Purge;

/// How many are read at once.
const PAGE: usize = 500;

/// The end of what is kept: who is to be asked, and what is to be forgotten
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Run(RunArgs),
}

/// List who is due for the one notice, and forget what is over
///
/// A person is due for the notice when their last day is near or over and the gate has not seen one pass. Forgotten
/// is, for each controller, whoever has had the time to answer it, or whose last day lies further back than that
/// (`retention_notice`); then the proofs, marks of objection and decisions that are older than the policy keeps them.
/// Works while a gate runs, in short transactions. What was done stays done: run it again after a fault.
#[derive(Debug, clap::Args)]
struct RunArgs {
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Where to write who is due for the notice, for the mailer: .csv, else one JSON object a line
    #[arg(long, value_name = "FILE")]
    notices: Option<PathBuf>,
}

pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let Command::Run(args) = &args.command;
    let (settings, policy) = config::load(&globals.config)?;
    let now = Timestamp::now();
    let mut run = Run {
        globals,
        policy: &policy,
        now,
        reader: Reader::open(&settings.store, settings.hash_keys.clone())?,
        notices: args.notices.as_deref().map(Notices::create).transpose()?,
        purge: if args.dry_run { None } else { Some(Purge::open(&settings)?) },
        found: Found::default(),
    };
    run.people()?;
    run.records()?;
    if let Some(notices) = run.notices.take() {
        notices.finish()?;
    }
    if let Some(purge) = run.purge.take() {
        purge.close();
    }
    if !globals.json {
        let file = args.notices.as_ref().map(|path| path.display().to_string());
        globals.print(&run.found.told(args.dry_run, file.as_deref()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Somebody at one controller, and how that stands.
struct Person {
    address: EmailAddress,
    controller: String,
    standing: Retention,
    /// The newest of their own events, and the newest of all, when this was found.
    newest: i64,
    seen: i64,
}

impl Person {
    fn line(&self) -> String {
        let Person { address, controller, standing, .. } = self;
        format!(
            "{:<7} {} {controller} {} {}\n",
            standing.due.as_str(),
            printable(address.as_str()),
            standing.last_day,
            standing.reason()
        )
    }
}

#[derive(Default)]
struct Found {
    notices: u64,
    people: u64,
    proofs: i64,
    marks: i64,
    messages: i64,
}

impl Found {
    fn told(&self, dry_run: bool, file: Option<&str>) -> String {
        let done = |verb: &str| if dry_run { format!("to be {verb}") } else { verb.to_owned() };
        let written = file.map_or_else(|| "name a file with --notices".to_owned(), |file| format!("listed in {file}"));
        let rows = [
            (self.notices.cast_signed(), "due for the notice".to_owned(), written),
            (self.people.cast_signed(), "people at one controller".to_owned(), done("forgotten")),
            (self.proofs, "proofs past evidence_retention".to_owned(), done("dropped")),
            (self.marks, "marks of objections past suppression_retention".to_owned(), done("dropped")),
            (self.messages, "messages past journal_retention".to_owned(), done("dropped")),
        ];
        rows.iter().map(|(count, what, done)| format!("{count:>9}  {what}: {done}\n")).collect()
    }
}

struct Run<'a> {
    globals: &'a Globals,
    policy: &'a Policy,
    now: Timestamp,
    reader: Reader,
    notices: Option<Notices>,
    /// None: only looking.
    purge: Option<Purge>,
    found: Found,
}

impl Run<'_> {
    /// Everybody, one controller at a time.
    fn people(&mut self) -> Result<(), CliError> {
        let bar = progress(self.reader.known_count()?);
        let mut after = None;
        loop {
            let page = self.reader.known_after(after.as_ref(), PAGE)?;
            let Some(last) = page.last() else { break };
            after = Some(last.place());
            for known in page {
                self.one(known)?;
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        match &mut self.purge {
            Some(purge) => {
                let forgotten = purge.forget_rest(self.now)?;
                self.forgotten(&forgotten)
            }
            None => Ok(()),
        }
    }

    fn one(&mut self, known: Known) -> Result<(), CliError> {
        let Known { address, controller, .. } = known;
        let (consulted, seen) = self.reader.consult(&controller, std::slice::from_ref(&address))?;
        let consulted = consulted.into_iter().next().unwrap_or_default();
        let Some(standing) = retention(self.policy, &controller, &address, &consulted, self.now) else {
            return Ok(());
        };
        let own = consulted.exact.iter().flat_map(|state| &state.events).map(|recorded| recorded.seq);
        let person = Person { address, controller, standing, newest: own.max().unwrap_or_default(), seen };
        match (standing.due, &mut self.purge) {
            (Due::Nothing, _) => Ok(()),
            (Due::Notice, _) => {
                self.found.notices += 1;
                if let Some(notices) = &mut self.notices {
                    notices.write(&person)?;
                }
                self.tell(&person)
            }
            (Due::Purge, None) => {
                self.found.people += 1;
                self.tell(&person)
            }
            (Due::Purge, Some(purge)) => {
                let forgotten = purge.forget(person, self.now)?;
                self.forgotten(&forgotten)
            }
        }
    }

    fn forgotten(&mut self, people: &[Person]) -> Result<(), CliError> {
        self.found.people += people.len() as u64;
        people.iter().try_for_each(|person| self.tell(person))
    }

    fn tell(&self, person: &Person) -> Result<(), CliError> {
        let Person { address, controller, standing, .. } = person;
        if self.globals.json {
            return self.globals.print_json(&json!({
                "due": standing.due, "address": address, "controller": controller, "last_day": standing.last_day,
                "reason": standing.reason(), "done": self.purge.is_some() && standing.due == Due::Purge,
            }));
        }
        if self.purge.is_none() { self.globals.print(&person.line()) } else { Ok(()) }
    }

    /// What the store has of its own: proofs of people forgotten, marks, decisions.
    fn records(&mut self) -> Result<(), CliError> {
        let policy = self.policy;
        if let Some(before) = self.horizon(policy.knobs.evidence_retention) {
            self.found.proofs = match &mut self.purge {
                Some(purge) => purge.proofs(&mut self.reader, before)?,
                None => self.count_proofs(before)?,
            };
            self.tell_count("evidence", self.found.proofs, before)?;
        }
        if let Some(before) = self.horizon(policy.knobs.suppression_retention) {
            self.found.marks = match &mut self.purge {
                Some(purge) => purge.suppressions(before)?,
                None => self.reader.suppressions_before(before)?,
            };
            self.tell_count("suppression", self.found.marks, before)?;
        }
        if let Some(before) = self.horizon(policy.journal_retention) {
            self.found.messages = match &mut self.purge {
                Some(purge) => purge.journal(before)?,
                None => self.reader.messages_before(before)?,
            };
            self.tell_count("journal", self.found.messages, before)?;
        }
        Ok(())
    }

    fn count_proofs(&mut self, before: Timestamp) -> Result<i64, CliError> {
        let (mut count, mut after) = (0, 0);
        loop {
            let page = self.reader.proofs_unused_since(before, after, PAGE)?;
            let Some(last) = page.last() else { return Ok(count) };
            after = *last;
            count += i64::try_from(page.len()).unwrap_or(i64::MAX);
        }
    }

    /// In calendar years of the policy's zone; none when it is kept without end.
    fn horizon(&self, kept: Option<Span>) -> Option<Timestamp> {
        let now = self.now.to_zoned(self.policy.time_zone.clone());
        Some(now.checked_sub(kept?).ok()?.timestamp())
    }

    fn tell_count(&self, what: &str, count: i64, before: Timestamp) -> Result<(), CliError> {
        if !self.globals.json {
            return Ok(());
        }
        self.globals.print_json(&json!({
            "due": what, "count": count, "before": before, "done": self.purge.is_some(),
        }))
    }
}

fn progress(length: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{msg} {wide_bar} {percent}% {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message("looking through contacts");
    bar
}
