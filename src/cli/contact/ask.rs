//! `contact ask`: people whom somebody noted in a shop or on the telephone confirm it themselves.

use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressDrawTarget};
use jiff::Timestamp;
use serde_json::json;
use tokio::runtime::Runtime;

use super::the_controller;
use crate::cli::{CliError, Globals};
use crate::config::{self, Settings};
use crate::consent::event::{ConsentEvent, EventType, RecordedEvent};
use crate::policy::rules::Policy;
use crate::policy::sign_up::{needs_a_tick, still_waits};
use crate::smtp::address::EmailAddress;
use crate::store::{Reader, Store};

/// How many events are read at once.
const PAGE: usize = 500;

/// Ask by mail for the person's own tick
///
/// For consent that somebody else noted, in a shop or on the telephone: what `doi_sources` names counts only once the
/// person has confirmed it. The running gate sends the question within seconds, a whole import at a measured pace; its
/// link leads to a page where the person ticks what they agree to. Nobody is asked twice about the same thing.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whom to ask
    #[arg(value_name = "ADDR", value_parser = EmailAddress::parse, required_unless_present = "waiting")]
    address: Option<EmailAddress>,
    /// Everybody who was noted and not asked yet, as after an import
    #[arg(long, conflicts_with = "address")]
    waiting: bool,
    /// On whose behalf; may be left out when the policy has one controller
    #[arg(long, value_name = "ID")]
    controller: Option<String>,
    /// In which language; else the controller's first
    #[arg(long, value_name = "LANGUAGE")]
    lang: Option<String>,
}

pub(super) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let (settings, policy) = config::load(&globals.config)?;
    let controller = the_controller(args.controller.as_deref(), &policy)?;
    let asker = Asker::open(settings, policy, args.lang.clone())?;
    match &args.address {
        Some(address) => asker.ask_one(address, &controller, globals),
        None => asker.ask_waiting(&controller, globals),
    }
}

/// Puts people onto the list of those to be asked.
pub(super) struct Asker {
    policy: Policy,
    store: Store,
    runtime: Runtime,
    language: Option<String>,
    now: Timestamp,
}

impl Asker {
    pub(super) fn open(settings: Settings, policy: Policy, language: Option<String>) -> Result<Asker, CliError> {
        if settings.public_web.is_none() {
            return Err(CliError::Usage("there is no page to answer on; add [web.public] to the settings".into()));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| CliError::Failed(format!("no runtime: {error}")))?;
        let store = Store::open(&settings.store, settings.hash_keys)?;
        Ok(Asker { policy, store, runtime, language, now: Timestamp::now() })
    }

    fn ask_one(self, address: &EmailAddress, controller: &str, globals: &Globals) -> Result<ExitCode, CliError> {
        let mut reader = self.store.reader()?;
        let contact = reader.contact(address)?;
        let events = contact.map(|contact| reader.history(contact.id)).transpose()?.unwrap_or_default();
        let mut requests: Vec<RecordedEvent> = Vec::new();
        for recorded in events.into_iter().filter(|recorded| recorded.event.controller == controller) {
            if self.waits(&mut reader, &recorded)? {
                requests.push(recorded);
            }
        }
        let Some(request) = requests.last() else {
            let why =
                "nothing of this address waits to be confirmed: it is recorded already, too old, or answered with a no";
            self.tell(globals, &json!({"asked": false, "reason": "nothing_waits"}), why)?;
            return Ok(ExitCode::from(1));
        };
        let asked = self.begin(request)?;
        let (reason, told) = match asked {
            true => (None, format!("the gate asks {address} to confirm event {}", request.seq)),
            false => (Some("asked_before"), format!("{address} was asked about event {} before", request.seq)),
        };
        self.tell(globals, &json!({"asked": asked, "event": request.seq, "reason": reason}), &told)?;
        self.store.shutdown();
        Ok(if asked { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    fn ask_waiting(self, controller: &str, globals: &Globals) -> Result<ExitCode, CliError> {
        let mut reader = self.store.reader()?;
        let progress = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let (mut asked, mut before, mut last) = (0_u64, 0_u64, 0);
        loop {
            let page = reader.events_after(last, PAGE)?;
            let Some(newest) = page.last() else { break };
            last = newest.seq;
            progress.inc(page.len() as u64);
            for recorded in page.iter().filter(|recorded| recorded.event.controller == controller) {
                if !self.waits(&mut reader, recorded)? {
                    continue;
                }
                if self.begin(recorded)? { asked += 1 } else { before += 1 }
            }
        }
        progress.finish_and_clear();
        let told = format!("{asked} to be asked by the gate, {before} were asked before");
        self.tell(globals, &json!({"asked": asked, "asked_before": before}), &told)?;
        self.store.shutdown();
        Ok(ExitCode::SUCCESS)
    }

    /// Whether somebody else noted it, and the person has yet to confirm it.
    fn waits(&self, reader: &mut Reader, recorded: &RecordedEvent) -> Result<bool, CliError> {
        let event = &recorded.event;
        if !matches!(event.kind, EventType::OptIn | EventType::OptInPending) || !needs_a_tick(recorded) {
            return Ok(false);
        }
        let (known, _) = reader.consult(&event.controller, std::slice::from_ref(&event.address))?;
        let known = known.into_iter().next().unwrap_or_default();
        Ok(still_waits(&self.policy, recorded, &event.address, &known, self.now))
    }

    fn begin(&self, request: &RecordedEvent) -> Result<bool, CliError> {
        let of_controller = self.policy.controllers.get(&request.event.controller);
        let first = of_controller.and_then(|controller| controller.languages.first());
        let language = self.language.as_ref().or(first).map_or("en", String::as_str);
        Ok(self.runtime.block_on(self.store.begin_asking(request.seq, language))?)
    }

    /// For an event that was just recorded: whether it is one that can be asked about, and then is.
    pub(super) fn ask_about(&self, seq: i64) -> Result<bool, CliError> {
        let mut reader = self.store.reader()?;
        let Some(request) = reader.event(seq)? else { return Ok(false) };
        Ok(self.waits(&mut reader, &request)? && self.begin(&request)?)
    }

    /// One event by hand.
    pub(super) fn record(&self, event: ConsentEvent) -> Result<i64, CliError> {
        Ok(self.runtime.block_on(self.store.record_event(event))?)
    }

    fn tell(&self, globals: &Globals, document: &serde_json::Value, text: &str) -> Result<(), CliError> {
        if globals.json { globals.print_json(document) } else { globals.print(&format!("{text}\n")) }
    }
}
