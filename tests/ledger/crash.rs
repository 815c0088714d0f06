//! A process that is killed while it writes leaves a ledger that holds.

use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};

use rusqlite::Connection;

use super::commands::Site;

const EVENTS: usize = 6000;

fn import(site: &Site, file: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consentry"));
    command.arg("--config").arg(site.path("consentry.toml")).args(["contact", "import", file]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn entries(site: &Site) -> i64 {
    let db = Connection::open(site.path("consentry.db")).unwrap();
    db.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    db.query_row("SELECT count (*) FROM ledger", [], |row| row.get(0)).unwrap_or(0)
}

#[test]
fn whoever_is_killed_while_writing_leaves_a_ledger_that_holds() {
    let site = Site::new();
    let mut lines = String::new();
    for number in 0..EVENTS {
        _ = writeln!(lines, r#"{{"address":"user{number}@x.example","controller":"main","type":"object"}}"#);
    }
    let file = site.write("events.ndjson", &lines);
    for _ in 0..3 {
        let before = entries(&site);
        let mut child = import(&site, &file);
        while entries(&site) == before && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        site.run(&["ledger", "verify"], 0);
    }
    assert!(import(&site, &file).wait().unwrap().success());
    assert_eq!(entries(&site), i64::try_from(EVENTS).unwrap());
    site.run(&["ledger", "verify"], 0);
}
