//! `consentry demo`: everything at once on loopback, and what became of each message.

mod json;
mod text;

use std::io::BufRead;
use std::process::ExitCode;

use clap::Args as Arguments;
use jiff::Timestamp;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::{CliError, Globals};
use crate::demo::catcher::Caught;
use crate::demo::outcome::{self, Row, Sent};
use crate::demo::stage::Stage;
use crate::demo::{DemoError, samples};

/// The message whose story is told from every side.
const SHOWN: &str = "newsletter-fr";
/// The message that nobody may get.
const REFUSED: &str = "music-sale";

/// Show what the gate does, on this machine and with made-up mail
///
/// Starts the gate, an upstream that only catches and the web pages on loopback, with sample contacts of every kind;
/// sends sample messages through it by SMTP, and prints what was delivered, what was withheld and why. Nothing leaves
/// this machine, nothing is installed, and the files it needs lie in a temporary directory until it ends.
#[derive(Debug, Arguments)]
pub struct Args {
    /// End after the table instead of leaving gate and pages open until Ctrl-C
    #[arg(long)]
    once: bool,
}

/// All there is to tell.
struct Told {
    stage: Stage,
    /// Of the sample contacts: events and people.
    contacts: (usize, usize),
    sent: Vec<Sent>,
    rows: Vec<Row>,
    caught: Vec<Caught>,
    /// A permitted copy of the message shown, its recipient, and its way out.
    copy: Caught,
    reader: String,
    link: String,
    notice: Caught,
}

pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(signals_failed)?;
    // From here on Ctrl-C is a wish that is heard, so the temporary directory is removed in any case.
    let mut ends = runtime.block_on(async { Ends::listen() })?;
    let told = perform(&runtime)?;
    globals.print(&if globals.json { json::document(&told) } else { text::page(&told, globals.coloured()) })?;
    if !args.once {
        if !globals.json {
            globals.print(&text::invitation(&told))?;
        }
        runtime.block_on(stay_open(&told, &mut ends, globals))?;
    }
    told.stage.tear_down();
    Ok(ExitCode::SUCCESS)
}

fn perform(runtime: &Runtime) -> Result<Told, DemoError> {
    let now = Timestamp::now();
    let stage = Stage::set_up()?;
    let contacts = runtime.block_on(stage.record_contacts(now))?;
    let sent = outcome::send_all(&stage, samples::messages(now)?)?;
    let rows = outcome::rows(&stage, &sent)?;
    let shown = find(&sent, SHOWN)?;
    let notice = outcome::notice(&stage, &shown.sample)?;
    let caught = stage.catcher.caught();
    let copy = outcome::copies(&caught, &shown.sample).next().cloned();
    let copy = copy.ok_or(DemoError::Overdue("a copy of the newsletter"))?;
    let link = outcome::unsubscribe_link(&copy).ok_or(DemoError::Overdue("an unsubscribe link"))?;
    let reader = copy.to.concat();
    Ok(Told { contacts, rows, notice, reader, link, copy, caught, sent, stage })
}

fn find<'a>(sent: &'a [Sent], name: &str) -> Result<&'a Sent, DemoError> {
    sent.iter().find(|sent| sent.sample.name == name).ok_or(DemoError::Overdue("the newsletter"))
}

/// Until Ctrl-C; each line on standard input sends the message shown to its reader once more.
async fn stay_open(told: &Told, ends: &mut Ends, globals: &Globals) -> Result<(), CliError> {
    let mut lines = lines_typed();
    loop {
        tokio::select! {
            () = ends.wait() => return Ok(()),
            Some(()) = lines.recv() => globals.print(&send_again(told, globals)?)?,
        }
    }
}

fn send_again(told: &Told, globals: &Globals) -> Result<String, DemoError> {
    let shown = &find(&told.sent, SHOWN)?.sample;
    let to = shown.to.iter().find(|to| to.as_str() == told.reader);
    let to = to.ok_or(DemoError::Overdue("the reader of the newsletter"))?;
    let sent = outcome::send_all(&told.stage, vec![shown.again(to, Timestamp::now())])?;
    let rows = outcome::rows(&told.stage, &sent)?;
    Ok(if globals.json { json::again(&sent, &rows) } else { text::again(&sent, &rows) })
}

/// Nothing more once standard input is at its end.
fn lines_typed() -> mpsc::UnboundedReceiver<()> {
    let (typed, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if line.is_err() || typed.send(()).is_err() {
                return;
            }
        }
    });
    lines
}

/// The signals that end the demonstration.
struct Ends {
    interrupt: Signal,
    terminate: Signal,
}

impl Ends {
    fn listen() -> Result<Ends, CliError> {
        let interrupt = signal(SignalKind::interrupt()).map_err(signals_failed)?;
        let terminate = signal(SignalKind::terminate()).map_err(signals_failed)?;
        Ok(Ends { interrupt, terminate })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn signals_failed(error: std::io::Error) -> CliError {
    CliError::Failed(format!("signals cannot be received: {error}"))
}

impl From<DemoError> for CliError {
    fn from(error: DemoError) -> CliError {
        match error {
            DemoError::Config(errors) => CliError::Settings(errors),
            other => CliError::Failed(other.to_string()),
        }
    }
}
