//! `consentry dkim check`: what verifiers find, compared with the private keys.

use std::fs;
use std::process::ExitCode;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{Name, RData};
use serde_json::json;
use tokio::runtime::Builder;

use super::{CheckArgs, chosen};
use crate::cli::{ANSWER_IS_NO, CliError, Globals};
use crate::config;
use crate::message::dkim::{Difference, published};

pub fn run(args: &CheckArgs, globals: &Globals) -> Result<ExitCode, CliError> {
    let settings = config::load_settings(&globals.config)?;
    let keys = chosen(&settings, &args.which)?;
    if args.file.is_some() && keys.len() > 1 {
        let names: Vec<_> = keys.iter().map(|(name, _)| format!("  {name}")).collect();
        let names = names.join("\n");
        return Err(CliError::Usage(format!(
            "a file holds one record, and there are more keys; name one with --domain and --selector:\n{names}"
        )));
    }
    let mut all_fit = true;
    for (name, key) in keys {
        let records = match &args.file {
            Some(file) => {
                let text = fs::read_to_string(file);
                published(&text.map_err(|error| CliError::Usage(format!("{}: {error}", file.display())))?)
            }
            None => look_up(&name)?,
        };
        let differences = key.key.public().differences(&records);
        all_fit &= differences.is_empty();
        tell(&name, &records, &differences, globals)?;
    }
    Ok(if all_fit { ExitCode::SUCCESS } else { ExitCode::from(ANSWER_IS_NO) })
}

fn tell(name: &str, records: &[String], differences: &[Difference], globals: &Globals) -> Result<(), CliError> {
    let told: Vec<String> = differences.iter().map(ToString::to_string).collect();
    if globals.json {
        let document = json!({"name": name, "fits": told.is_empty(), "published": records, "differences": told});
        return globals.print_json(&document);
    }
    if told.is_empty() {
        return globals.print(&format!("{name}: fits the private key\n"));
    }
    globals.print(&format!("{name}: does not fit\n{}", told.iter().map(|one| format!("  {one}\n")).collect::<String>()))
}

/// The TXT records of that name, each with its strings joined.
fn look_up(name: &str) -> Result<Vec<String>, CliError> {
    let failed = |error: &dyn std::fmt::Display| {
        CliError::Failed(format!(
            "{name} cannot be looked up: {error}; try again, or check a copy of the record with --file"
        ))
    };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| failed(&error))?;
    runtime.block_on(async {
        let resolver =
            TokioResolver::builder_tokio().and_then(|builder| builder.build()).map_err(|error| failed(&error))?;
        let name = Name::from_ascii(format!("{name}.")).map_err(|error| failed(&error))?;
        let lookup = match resolver.txt_lookup(name).await {
            Ok(lookup) => lookup,
            Err(error) if error.is_no_records_found() => return Ok(Vec::new()),
            Err(error) => return Err(failed(&error)),
        };
        let records = lookup.answers().iter().filter_map(|record| match &record.data {
            RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
            _ => None,
        });
        Ok(records.collect())
    })
}
