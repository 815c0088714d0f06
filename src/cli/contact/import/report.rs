//! What an import found and did.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use crate::cli::table::{list, printable, table};
use crate::cli::{CliError, Globals};
use crate::consent::import::{Refused, Taken};
use crate::store::{Clash, Progress, Slice, StoreError};

/// How many bad lines are told one by one.
const LISTED: usize = 50;

#[derive(Default)]
pub(super) struct Report {
    /// By controller and type.
    good: BTreeMap<(String, &'static str), u64>,
    pub bad: u64,
    /// The first of them: line, field, reason.
    listed: Vec<(u64, Option<String>, String)>,
    /// Those of them whose id stands for something else already; the second pass leaves them out.
    pub clashed: BTreeSet<u64>,
    /// The file they are in.
    pub refused: Option<PathBuf>,
    /// Opt-ins that count as addresses alone, by what their proof lacks.
    unproven: BTreeMap<&'static str, u64>,
    /// Lines that mean nothing by the map.
    silent: u64,
    /// Wordings that events name, the first of them.
    pub versions: BTreeSet<String>,
    /// Those of them that nobody has stored.
    pub awaited: Vec<String>,
    written: Slice,
    longest: Duration,
    /// The second pass was made, whatever came of it.
    wrote_any: bool,
    pub earlier: Progress,
}

impl Report {
    pub fn count(&mut self, line: u64, read: Result<Vec<Taken>, Refused>) {
        match read {
            Ok(taken) => {
                self.silent += u64::from(taken.is_empty());
                for Taken { event, unproven } in taken {
                    if let Some(version) = event.text_version
                        && self.versions.len() < LISTED
                    {
                        self.versions.insert(version);
                    }
                    *self.good.entry((event.controller, event.kind.as_str())).or_default() += 1;
                    unproven.into_iter().for_each(|field| *self.unproven.entry(field).or_default() += 1);
                }
            }
            Err(refused) => self.bad_line(line, refused.error.field(), refused.error.to_string()),
        }
    }

    fn bad_line(&mut self, line: u64, field: Option<&str>, error: String) {
        self.bad += 1;
        if self.listed.len() < LISTED {
            self.listed.push((line, field.map(str::to_owned), error));
        }
    }

    /// A line whose id stands for something else already.
    pub fn clash(&mut self, line: u64, error: &StoreError) {
        self.clashed.insert(line);
        self.bad_line(line, Some("id"), format!("`id`: {error}"));
    }

    pub fn wrote(&mut self, slice: &Slice) {
        self.wrote_any = true;
        self.written.added += slice.added;
        self.written.known += slice.known;
        for Clash { line, event, error } in &slice.clashes {
            self.good.entry((event.controller.clone(), event.kind.as_str())).and_modify(|count| *count -= 1);
            self.clash(*line, error);
        }
        if !slice.alone {
            self.longest = self.longest.max(slice.held);
        }
    }

    pub fn print(&self, dry_run: bool, globals: &Globals) -> Result<(), CliError> {
        if globals.json {
            globals.print_json(&self.as_json(dry_run))
        } else {
            globals.print(&self.as_text(dry_run, globals))
        }
    }

    fn as_text(&self, dry_run: bool, globals: &Globals) -> String {
        let mut counts = table(&["controller", "type", "events"], globals.coloured());
        for ((controller, kind), count) in &self.good {
            counts.add_row([controller.as_str(), kind, &count.to_string()]);
        }
        let mut text = format!("{counts}\n");
        for (line, _, error) in &self.listed {
            _ = writeln!(text, "line {line}: {}", printable(error));
        }
        let unlisted = self.bad - self.listed.len() as u64;
        if unlisted > 0 {
            _ = writeln!(text, "and {unlisted} more bad lines");
        }
        if let Some(path) = &self.refused {
            _ = writeln!(text, "the refused lines are in {}, each with its reason", path.display());
        }
        for (field, count) in &self.unproven {
            _ = writeln!(
                text,
                "without proof: {count} (`{field}` is missing), kept as `collected`, which permits no mail; say it with \
                 --set {field}=… where it is known"
            );
        }
        if !self.awaited.is_empty() {
            _ = writeln!(
                text,
                "not stored yet: the wording {}; until `contact text add`, consent to it is CONSENT_NOT_INFORMED",
                list(&self.awaited)
            );
        }
        if self.silent > 0 {
            _ = writeln!(text, "lines that mean no event by this map: {}", self.silent);
        }
        let good: u64 = self.good.values().sum();
        _ = writeln!(text, "{good} good, {} bad; {}", self.bad, self.outcome(dry_run));
        text
    }

    fn outcome(&self, dry_run: bool) -> String {
        let Slice { added, known, .. } = &self.written;
        if dry_run {
            return "nothing was written (dry run)".into();
        }
        if self.earlier.finished {
            return "this file was imported before: nothing was left to write".into();
        }
        if !self.wrote_any && self.bad > 0 {
            return "nothing was written; correct the lines, or take the others with --keep-going".into();
        }
        let known =
            if *known > 0 { format!(", {known} were recorded before, as their id tells") } else { String::new() };
        match self.earlier.lines_done {
            0 => format!("{added} written{known}"),
            line => format!("went on behind line {line}: {added} written{known}"),
        }
    }

    fn as_json(&self, dry_run: bool) -> serde_json::Value {
        let good = self
            .good
            .iter()
            .map(|((controller, kind), count)| json!({"controller": controller, "type": kind, "events": count}));
        let listed =
            self.listed.iter().map(|(line, field, error)| json!({"line": line, "field": field, "error": error}));
        json!({
            "good": good.collect::<Vec<_>>(),
            "bad": self.bad,
            "bad_lines": listed.collect::<Vec<_>>(),
            "refused_file": self.refused,
            "unproven": self.unproven,
            "lines_without_event": self.silent,
            "awaited_texts": self.awaited,
            "dry_run": dry_run,
            "added": self.written.added,
            "known": self.written.known,
            "resumed_behind_line": self.earlier.lines_done,
            "finished_before": self.earlier.finished,
            "longest_lock_ms": u64::try_from(self.longest.as_millis()).unwrap_or(u64::MAX),
        })
    }
}
