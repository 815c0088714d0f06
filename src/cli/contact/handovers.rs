//! `contact handovers`: the lists that others took.

use std::process::ExitCode;

use serde_json::json;

use crate::cli::moment::shown;
use crate::cli::table::{self, list, printable};
use crate::cli::{CliError, Globals, journal};

pub(super) fn run(globals: &Globals) -> Result<ExitCode, CliError> {
    let handovers = journal::open(globals)?.handovers()?;
    if globals.json {
        handovers.iter().try_for_each(|one| globals.print_json(&json!(one)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let columns = ["at", "taken by", "controller", "for", "topics", "people", "left out", "file"];
    let mut table = table::table(&columns, globals.coloured());
    for one in &handovers {
        let reasons: Vec<String> = one.left_out.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        let (at, people) = (shown(one.at), one.people.to_string());
        let file: String = one.sha256.chars().take("sha256:".len() + 12).collect();
        let for_whom = one.to.to_string();
        table.add_row([
            at,
            printable(&one.by),
            one.controller.clone(),
            for_whom,
            list(&one.topics),
            people,
            list(&reasons),
            file,
        ]);
    }
    globals.print(&format!("{table}\n"))?;
    Ok(ExitCode::SUCCESS)
}
