//! The commands, run as an operator runs them.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use consentry::consent::ledger::checkpoint::{Checkpoint, PublicKey};
use consentry::consent::token::{HashKeys, parse_keys};
use consentry::policy::verdict::{Decision, Reason};
use consentry::store::Store;
use rusqlite::Connection;
use serde_json::Value;

use super::store::{message, outcome, verdict};

/// Settings, policy and keys in a directory of their own.
pub struct Site {
    directory: tempfile::TempDir,
}

impl Site {
    pub fn new() -> Site {
        let site = Site { directory: tempfile::tempdir().unwrap() };
        let directory = site.directory.path().to_str().unwrap().to_owned();
        site.run(&["init", "--domain", "exemple.fr", "--upstream", "127.0.0.1:25", "--dir", &directory], 0);
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    fn store(&self) -> Store {
        let text = std::fs::read_to_string(self.path("ledger.key")).unwrap();
        Store::open(&self.path("consentry.db"), HashKeys::new(parse_keys(&text).unwrap()).unwrap()).unwrap()
    }

    /// What the command says, after checking its exit status.
    pub fn run(&self, arguments: &[&str], status: i32) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_consentry"));
        command.env("USER", "claire").env_remove("SUDO_USER").arg("--config").arg(self.path("consentry.toml"));
        let Output { status: ended, stdout, stderr } = command.args(arguments).stdin(Stdio::null()).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert_eq!(ended.code(), Some(status), "{arguments:?}: {said}");
        said
    }

    fn json(&self, arguments: &[&str], status: i32) -> Value {
        let said = self.run(&[&["--json"], arguments].concat(), status);
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    fn record(&self, address: &str, further: &[&str]) {
        self.run(&[&["contact", "record", address], further].concat(), 0);
    }

    /// As somebody with the file would: past the triggers.
    fn tamper(&self, sql: &str) {
        let db = Connection::open(self.path("consentry.db")).unwrap();
        let mut triggers = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").unwrap();
        let triggers: Vec<String> = triggers.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        triggers.iter().for_each(|name| db.execute_batch(&format!("DROP TRIGGER {name}")).unwrap());
        assert!(db.execute(sql, []).unwrap() > 0, "{sql}");
    }
}

#[test]
fn verify_names_the_first_broken_entry_and_its_status_says_so() {
    let site = Site::new();
    for who in ["anna@x.example", "bob@y.example", "carl@z.example"] {
        site.record(who, &["--type", "object"]);
    }
    let told = site.json(&["ledger", "verify"], 0);
    assert_eq!((&told["holds"], &told["entries"], &told["contacts"]), (&true.into(), &3.into(), &3.into()));
    assert!(site.run(&["ledger", "verify"], 0).contains("the ledger holds: 3 entries"));

    site.tamper("UPDATE event SET at = 0 WHERE seq = 2");
    let told = site.json(&["ledger", "verify"], 1);
    let broken = &told["broken"];
    assert_eq!((&told["holds"], &broken["seq"], &broken["row"]), (&false.into(), &2.into(), &2.into()));
    assert_eq!(
        (&broken["table"], &broken["kind"], &broken["what"]),
        (&"event".into(), &"event".into(), &"changed".into())
    );
    let said = site.run(&["ledger", "verify"], 1);
    assert!(said.contains("entry 2 (event), table event, row 2: changed"), "{said}");
    assert!(!said.contains("bob"), "{said}");
}

#[test]
fn a_checkpoint_kept_elsewhere_shows_what_is_missing_and_a_forged_one_is_refused() {
    let site = Site::new();
    site.record("anna@x.example", &["--type", "object"]);
    let older = std::fs::read(site.path("consentry.db")).unwrap();
    site.record("bob@y.example", &["--type", "object"]);
    let kept = site.path("kept.txt").to_str().unwrap().to_owned();
    site.run(&["ledger", "checkpoint", "--out", &kept], 0);
    assert!(site.run(&["ledger", "verify", "--checkpoint", &kept], 0).contains("over 2 entries agrees"));

    let note = std::fs::read_to_string(&kept).unwrap();
    let public = site.run(&["ledger", "public-key"], 0);
    let key = PublicKey::parse(&public).unwrap();
    assert_eq!(Checkpoint::open(&note, &[key.key]).unwrap().size, 2);
    let forged = site.write("forged.txt", &note.replacen("\n2\n", "\n1\n", 1));
    assert_eq!(site.json(&["ledger", "verify", "--checkpoint", &forged], 1)["broken"]["table"], "checkpoint");
    let stranger = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    site.run(&["ledger", "verify", "--checkpoint", &kept, "--public-key", stranger], 1);
    site.run(&["ledger", "verify", "--checkpoint", &kept, "--public-key", "anna"], 2);

    for beside in ["consentry.db-wal", "consentry.db-shm"] {
        _ = std::fs::remove_file(site.path(beside));
    }
    std::fs::write(site.path("consentry.db"), older).unwrap();
    let broken = &site.json(&["ledger", "verify", "--checkpoint", &kept], 1)["broken"];
    assert_eq!((&broken["seq"], &broken["what"]), (&2.into(), &"truncated".into()));
}

#[test]
fn a_checkpoint_is_printed_or_given_to_a_program() {
    let site = Site::new();
    site.record("anna@x.example", &["--type", "object"]);
    let note = site.run(&["ledger", "checkpoint"], 0);
    assert!(note.starts_with("consentry/") && note.contains("\n1\n"), "{note}");
    let copy = site.path("copy.txt").to_str().unwrap().to_owned();
    site.run(&["ledger", "checkpoint", "--command", "tee", &copy], 0);
    assert!(std::fs::read_to_string(&copy).unwrap().starts_with("consentry/"));
    assert!(site.run(&["ledger", "checkpoint", "--command", "false"], 3).contains("did not take the checkpoint"));

    let settings = std::fs::read_to_string(site.path("consentry.toml")).unwrap();
    let unsigned: String =
        settings.lines().filter(|line| !line.starts_with("signing_key_file")).map(|line| format!("{line}\n")).collect();
    site.write("consentry.toml", &unsigned);
    assert!(site.run(&["ledger", "checkpoint"], 2).contains("signing_key_file"));
    site.run(&["ledger", "verify"], 0);
    assert!(site.run(&["ledger", "verify", "--checkpoint", &copy], 2).contains("--public-key"));
}

#[test]
fn a_folded_state_that_was_changed_is_made_anew() {
    let site = Site::new();
    site.record("anna@x.example", &["--type", "object"]);
    assert_eq!(site.run(&["--json", "ledger", "rebuild", "--dry-run"], 0), "");
    site.tamper("UPDATE state SET facts = replace (facts, 'object', 'opt_in')");
    assert_eq!(site.json(&["ledger", "verify"], 1)["broken"]["table"], "state");
    let told = site.json(&["ledger", "rebuild", "--dry-run"], 1);
    assert_eq!((&told["table"], &told["what"]), (&"state".into(), &"differs".into()));
    assert!(site.run(&["ledger", "rebuild"], 0).contains("1 differences; made anew"));
    site.run(&["ledger", "rebuild", "--dry-run"], 0);
    site.run(&["ledger", "verify"], 0);
    assert!(site.run(&["contact", "show", "anna@x.example"], 0).contains("OBJ_GLOBAL"));
    site.tamper("DELETE FROM state");
    site.run(&["ledger", "rebuild"], 0);
    site.run(&["ledger", "verify"], 0);
}

#[tokio::test]
async fn erasing_says_what_goes_and_what_stays_and_the_ledger_holds() {
    let site = Site::new();
    site.run(&["contact", "erase", "anna@x.example", "--yes"], 3); // there is no store yet
    site.record("anna@x.example", &["--type", "object", "--topics", "offers", "--note", "Anna called"]);
    site.record("anna@x.example", &["--type", "contact", "--field", "kind=reply"]);
    let store = site.store();
    let told = verdict("anna@x.example", Decision::Block, Reason::ObjTopic);
    let mut letter = message("01J0000000000000000000000A", vec![told]);
    letter.controller = Some("main".into());
    store.record_message(letter).await.unwrap();
    store.record_outcome(outcome("01J0000000000000000000000A", Some("anna@x.example")));
    store.shutdown();

    site.run(&["contact", "erase", "nobody@x.example", "--yes"], 1);
    site.run(&["contact", "erase", "anna@x.example", "--controller", "other", "--yes"], 1);
    assert!(site.run(&["contact", "erase", "anna@x.example"], 2).contains("--yes"), "nobody there to be asked");
    site.run(&["contact", "show", "anna@x.example"], 0);
    let told = site.json(&["contact", "erase", "anna@x.example", "--yes"], 0);
    let erased = &told["erased"][0];
    assert_eq!((&erased["events"], &erased["decisions"], &erased["messages"]), (&3.into(), &1.into(), &1.into()));
    assert_eq!((&erased["objection_kept"], &erased["contact_gone"]), (&true.into(), &true.into()));
    site.run(&["ledger", "verify"], 0);
    site.run(&["contact", "erase", "anna@x.example", "--yes"], 1);

    let shown = site.run(&["contact", "show", "anna@x.example"], 0);
    assert!(shown.contains("OBJ_HASH") && shown.contains("kept as a hash"), "{shown}");
    let listed = site.json(&["journal", "list", "--recipient", "ANNA@x.example"], 0);
    assert_eq!((&listed["erased"], &listed["recipient"]), (&true.into(), &erased["pseudonym"]));
    let explained = site.run(&["explain", "--ref", "01J0000000000000000000000A"], 1);
    assert!(
        explained.contains("OBJ_TOPIC") && explained.contains("the data of this person were erased"),
        "{explained}"
    );
    let explained = site.json(&["explain", "--ref", "01J0000000000000000000000A"], 1);
    assert_eq!(explained["recipients"][0]["erased"], true);
    let text = String::from_utf8_lossy(&std::fs::read(site.path("consentry.db")).unwrap()).to_lowercase();
    assert_eq!(text.matches("anna").count(), 0, "what was erased is not left in the file either");
}

#[test]
fn a_running_gate_hands_its_checkpoints_to_a_program() {
    let site = Site::new();
    let fifo = site.path("head.fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let settings = std::fs::read_to_string(site.path("consentry.toml")).unwrap();
    let timer = format!(
        "[ledger]\ncheckpoint_every = \"100ms\"\ncheckpoint_command = [\"sh\", \"-c\", \"cat > {}\"]\n\n[journal]",
        fifo.display()
    );
    let settings = settings.replace("127.0.0.1:2525", "127.0.0.1:0").replace("127.0.0.1:8080", "127.0.0.1:0");
    site.write("consentry.toml", &settings.replacen("[journal]", &timer, 1));
    let mut gate = Command::new(env!("CARGO_BIN_EXE_consentry"))
        .arg("--config")
        .arg(site.path("consentry.toml"))
        .arg("serve")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Opening waits for the program, reading for its end.
    let note = std::fs::read_to_string(&fifo).unwrap();
    gate.kill().unwrap();
    gate.wait().unwrap();
    let key = PublicKey::parse(&site.run(&["ledger", "public-key"], 0)).unwrap();
    let checkpoint = Checkpoint::open(&note, &[key.key]).unwrap();
    assert!(checkpoint.size > 0 && checkpoint.origin == key.name, "{note}");
    let kept = site.write("kept.txt", &note);
    site.run(&["ledger", "verify", "--checkpoint", &kept], 0);
}
