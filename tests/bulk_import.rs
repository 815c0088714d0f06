//! Thirty thousand events come in while a gate goes on committing; the import is killed half-way and goes on.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use consentry::consent::event::{ConsentEvent, EventType};
use consentry::consent::token::{HashKeys, parse_keys};
use consentry::smtp::address::EmailAddress;
use consentry::store::Store;
use rusqlite::Connection;

const EVENTS: u64 = 30_000;

/// Where the import is killed.
const HALF_WAY: u64 = 5_000;

/// A gate's commit waits this long at most; the store itself gives up after two seconds.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let made = consentry(directory.path(), &["init", "--domain", "exemple.fr", "--upstream", "127.0.0.1:25"])
            .args(["--dir", directory.path().to_str().unwrap()])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        Place { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The ledger has one set of keys, whoever writes to it.
    fn keys(&self) -> HashKeys {
        HashKeys::new(parse_keys(&fs::read_to_string(self.path("ledger.key")).unwrap()).unwrap()).unwrap()
    }

    fn write_events(&self) -> PathBuf {
        let mut lines = String::new();
        for number in 0..EVENTS {
            _ = writeln!(
                lines,
                r#"{{"address":"user{number}@x.example","controller":"main","type":"opt_in","topics":["offers"],"at":"2026-01-10T12:00:00+01:00","source":"web:form","mechanism":"unticked_box_ticked","text_version":"n-4"}}"#
            );
        }
        let path = self.path("events.ndjson");
        fs::write(&path, lines).unwrap();
        path
    }

    fn import(&self, file: &Path) -> Child {
        let mut command = consentry(self.directory.path(), &["contact", "import", "--json"]);
        command.arg(file).stdout(Stdio::piped()).spawn().unwrap()
    }

    /// What the store says of the import: lines done, events with an id of it.
    fn progress(&self) -> (u64, u64) {
        let db = Connection::open(self.path("consentry.db")).unwrap();
        db.busy_timeout(Duration::from_secs(2)).unwrap();
        let lines = db.query_row("SELECT coalesce (max (lines_done), 0) FROM import", [], |row| row.get(0)).unwrap();
        let events = r#"SELECT count (*) FROM event WHERE personal LIKE '%"id":"import:%'"#;
        (lines, db.query_row(events, [], |row| row.get(0)).unwrap())
    }
}

fn consentry(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consentry"));
    command.arg("--config").arg(directory.join("consentry.toml")).args(arguments);
    command
}

/// Commits one event after the other until told to stop; the longest that one of them took.
fn commit_meanwhile(store: &Store, mut stop: impl FnMut() -> bool) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (mut longest, mut number) = (Duration::ZERO, 0);
    while !stop() {
        let who = EmailAddress::parse(&format!("gate{number}@y.example")).unwrap();
        let started = Instant::now();
        runtime.block_on(store.record_event(ConsentEvent::new(who, "main", EventType::Object))).unwrap();
        longest = longest.max(started.elapsed());
        number += 1;
        thread::yield_now();
    }
    assert!(number > 0, "nothing was committed meanwhile");
    longest
}

#[test]
fn an_import_lets_a_gate_commit_and_goes_on_where_it_was_killed() {
    let place = Place::new();
    let file = place.write_events();
    let gate = Store::open(&place.path("consentry.db"), place.keys()).unwrap();

    let mut killed = place.import(&file);
    let first = commit_meanwhile(&gate, || {
        assert!(killed.try_wait().unwrap().is_none(), "the import ended before it could be killed");
        place.progress().0 >= HALF_WAY
    });
    killed.kill().unwrap();
    killed.wait().unwrap();
    let (lines, events) = place.progress();
    assert!((HALF_WAY..EVENTS).contains(&lines), "{lines} lines");
    assert_eq!(events, lines, "each slice is there as a whole, with what it says of itself");

    let mut resumed = place.import(&file);
    let second = commit_meanwhile(&gate, || resumed.try_wait().unwrap().is_some());
    let told: serde_json::Value = serde_json::from_reader(resumed.stdout.take().unwrap()).unwrap();
    assert!(resumed.wait().unwrap().success());
    assert_eq!((&told["resumed_behind_line"], &told["added"]), (&lines.into(), &(EVENTS - lines).into()), "{told}");
    assert_eq!(place.progress(), (EVENTS, EVENTS));

    let longest = first.max(second);
    println!("longest wait of a commit {longest:?}, longest slice {} ms", told["longest_lock_ms"]);
    assert!(longest < LONGEST_WAIT, "a commit waited {longest:?}");
}
