//! `contact corrections`: addresses that are not their customer's, or that take no mail.

use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::json;

use crate::cli::moment::{Moment, shown};
use crate::cli::table;
use crate::cli::{CliError, Globals};
use crate::config;
use crate::policy::correction::{Fault, fault};
use crate::store::Reader;

/// Addresses to put right: whoever reads their mail says that it is not theirs, or they bounced for good and service
/// mail still went there
///
/// One stands on the list until the person shows that it is theirs: by signing up again, after a bounce by any act.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only of this controller
    #[arg(long, value_name = "ID")]
    controller: Option<String>,
    /// Service mail since then counts: a day, a moment, or how long ago
    #[arg(long, value_name = "MOMENT", default_value = "90d")]
    since: Moment,
}

pub(super) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let (settings, policy) = config::load(&globals.config)?;
    if let Some(id) = args.controller.as_ref().filter(|id| !policy.controllers.contains_key(*id)) {
        let known: Vec<&str> = policy.controllers.keys().map(String::as_str).collect();
        return Err(CliError::Usage(format!("no controller is called {id}; there are: {}", known.join(", "))));
    }
    let now = Timestamp::now();
    let since = args.since.resolve(now);
    let mut reader = Reader::open(&settings.store, settings.hash_keys.clone())?;
    let mut table = table::table(&["address", "controller", "what", "since", "last service mail"], globals.coloured());
    for (address, controller) in reader.said_against()? {
        if args.controller.as_ref().is_some_and(|only| *only != controller) {
            continue;
        }
        let (consulted, _) = reader.consult(&controller, std::slice::from_ref(&address))?;
        let consulted = consulted.into_iter().next().unwrap_or_default();
        let Some((fault, at)) = fault(&policy, &controller, &address, &consulted, now) else { continue };
        let last = reader.last_service_mail(&address, &controller, since)?;
        if fault == Fault::Bounced && last.is_none() {
            continue; // nothing is written to it any more
        }
        if globals.json {
            globals.print_json(&json!({
                "address": address, "controller": controller, "fault": fault, "since": at, "last_service_mail": last,
            }))?;
        } else {
            let what = match fault {
                Fault::WrongAddress => "not theirs",
                Fault::Bounced => "bounced for good",
            };
            let last = last.map(shown).unwrap_or_default();
            table.add_row([table::printable(address.as_str()), controller, what.to_owned(), shown(at), last]);
        }
    }
    if !globals.json {
        globals.print(&format!("{table}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}
