//! The commands that ask the store, run as an operator runs them.

use std::path::Path;
use std::process::{Command, Output};

use consentry::consent::token::{HashKeys, parse_keys};
use consentry::store::Store;

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place { directory: tempfile::tempdir().unwrap() };
        let directory = place.directory.path().to_str().unwrap().to_owned();
        place.run(&["init", "--domain", "exemple.fr", "--upstream", "127.0.0.1:25", "--dir", &directory], 0);
        place
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn keys(&self) -> HashKeys {
        let text = std::fs::read_to_string(self.path().join("ledger.key")).unwrap();
        HashKeys::new(parse_keys(&text).unwrap()).unwrap()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// What the command says, after checking its exit status.
    fn run(&self, arguments: &[&str], status: i32) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_consentry"));
        command.env("USER", "claire").env_remove("SUDO_USER").arg("--config").arg(self.path().join("consentry.toml"));
        let Output { status: ended, stdout, stderr } = command.args(arguments).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert_eq!(ended.code(), Some(status), "{arguments:?}: {said}");
        said
    }

    /// The wording that `CONSENT` names.
    fn store_text(&self) {
        let file = self.write("n-4.txt", "Yes, write to me about your offers.\n");
        self.run(&["contact", "text", "add", "n-4", &file, "--language", "en"], 0);
    }

    fn record(&self, address: &str, further: &[&str]) {
        self.run(&[&["contact", "record", address], further].concat(), 0);
    }
}

const CONSENT: [&str; 10] = [
    "--type",
    "opt_in",
    "--topics",
    "offers",
    "--mechanism",
    "preference_centre",
    "--text-version",
    "n-4",
    "--actor",
    "person",
];

const NEWSLETTER: &str = "From: News <news@exemple.fr>\nSubject: Hi\nX-Kind: books\n\n.a line with a dot\nhttps://exemple.fr/desinscription/1\n";

#[test]
fn a_store_that_is_not_there_is_a_failure_and_not_an_empty_one() {
    let place = Place::new();
    for command in [&["journal", "list"][..], &["contact", "show", "anna@x.example"], &["policy", "list"]] {
        assert!(place.run(command, 3).contains("the store cannot be opened"));
    }
    assert!(!place.path().join("consentry.db").exists());
}

#[test]
fn what_was_recorded_is_shown_with_what_it_comes_to() {
    let place = Place::new();
    place.store_text();
    place.record("anna@x.example", &CONSENT);
    place.record("bob+tag@y.example", &["--type", "object", "--note", "by phone"]);

    let anna = place.run(&["contact", "show", "ANNA@x.example"], 0);
    assert!(anna.contains("OK_OPT_IN") && anna.contains("ground") && anna.contains("opt_in"), "{anna}");
    assert!(place.run(&["contact", "show", "bob@y.example"], 0).contains("OBJ_GLOBAL"));
    assert!(place.run(&["contact", "show", "carl@z.example"], 1).contains("nothing is known"));
    let history = place.run(&["--json", "contact", "history", "bob+tag@y.example"], 0);
    let event: serde_json::Value = serde_json::from_str(&history).unwrap();
    assert_eq!((&event["type"], &event["actor"]), (&"object".into(), &"operator".into()));
    assert_eq!(event["note"], "recorded by claire: by phone");
}

#[test]
fn a_consent_counts_once_its_wording_is_stored_and_the_wording_stays() {
    let place = Place::new();
    place.record("anna@x.example", &CONSENT);
    let awaited = place.run(&["contact", "show", "anna@x.example"], 0);
    assert!(awaited.contains("CONSENT_NOT_INFORMED") && awaited.contains("n-4"), "{awaited}");
    place.store_text();
    assert!(place.run(&["contact", "show", "anna@x.example"], 0).contains("OK_OPT_IN"));

    let changed = place.write("changed.txt", "Yes, write to me about anything.\n");
    let add = |file: &str, status| place.run(&["contact", "text", "add", "n-4", file, "--language", "en"], status);
    let stored = place.run(&["--json", "contact", "text", "list"], 0);
    let stored: serde_json::Value = serde_json::from_str(&stored).unwrap();
    assert!(add(&changed, 1).contains(stored["sha256"].as_str().unwrap()));
    assert!(add(place.path().join("n-4.txt").to_str().unwrap(), 0).contains("was stored before"));
    let shown = place.run(&["contact", "text", "show", "n-4"], 0);
    assert_eq!(shown, "Yes, write to me about your offers.\n");
    assert!(place.run(&["contact", "text", "show", "n-5"], 1).contains("no text is stored as n-5"));
    let refused = [("", "empty"), (" \n", "empty")];
    for (body, why) in refused {
        let file = place.write("bad.txt", body);
        assert!(place.run(&["contact", "text", "add", "n-6", &file], 2).contains(why));
    }
    assert!(place.run(&["contact", "text", "add", "n 6", &changed], 2).contains("without spaces"));
    assert!(place.run(&["contact", "text", "add", "n-6", &changed, "--language", "f"], 2).contains("a code like"));
}

#[test]
fn an_event_that_means_nothing_to_the_policy_is_not_recorded() {
    let place = Place::new();
    let refused = |further: &[&str]| place.run(&[&["contact", "record", "anna@x.example"], further].concat(), 2);
    assert!(refused(&["--type", "objekt"]).contains("`type`: write one of"));
    assert!(refused(&["--type", "object", "--topics", "music"]).contains("no topic `music`"));
    assert!(refused(&["--type", "object", "--controller", "shop"]).contains("no controller `shop`"));
    assert!(refused(&["--type", "pause"]).contains("`until`: missing"));
}

#[test]
fn a_message_is_explained_by_who_may_get_it() {
    let place = Place::new();
    let policy = std::fs::read_to_string(place.path().join("policy.toml")).unwrap();
    let links = "optout_links = [\"https://exemple.fr/desinscription/\"]\nlanguages =";
    let rule = "\n[[rule]]\nid = \"books\"\nwhen.header.\"X-Kind\" = { equals = \"books\" }\nclass = \"promotional\"\ntopics = [\"offers\"]\n";
    place.write("policy.toml", &(policy.replace("\"monitor\"", "\"enforce\"").replace("languages =", links) + rule));
    place.store_text();
    place.record("anna@x.example", &CONSENT);
    let (lf, crlf) = (place.write("lf.eml", NEWSLETTER), place.write("crlf.eml", &NEWSLETTER.replace('\n', "\r\n")));

    for message in [&lf, &crlf] {
        let told = place.run(&["--json", "explain", message, "--to", "anna@x.example", "bob@y.example"], 1);
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!((&told["class_rule"], &told["topics"]), (&"books".into(), &serde_json::json!(["offers"])));
        assert_eq!(told["recipients"][0]["reason"], "OK_OPT_IN");
        assert_eq!(told["recipients"][0]["reply"], serde_json::Value::Null);
        assert_eq!(told["recipients"][1]["reason"], "CONSENT_NONE");
        assert!(told["recipients"][1]["reply"].as_str().unwrap().starts_with("550 5.7.1 <bob@y.example> withheld: "));
    }
    place.run(&["explain", &lf, "--to", "anna@x.example"], 0);
    assert!(
        place.run(&["explain", &lf, "--to", "anna@x.example", "--at", "2036-01-01"], 1).contains("CONSENT_EXPIRED")
    );
    assert!(place.run(&["explain", &lf, "--to", "anna@x.example", "--listener", "x"], 2).contains("no listener `x`"));
    place.run(&["explain", "--ref", "01J0000000000000000000000"], 1);
}

#[test]
fn an_import_is_all_or_nothing_unless_told_to_keep_going() {
    let place = Place::new();
    let file = place.write(
        "people.csv",
        "Mail,type,topics\nanna@x.example,object,\nbob@@y.example,object,\ncarl@z.example,withdraw,music\n",
    );
    let import = ["contact", "import", &file, "--map", "Mail=address", "--set", "controller=main"];
    assert!(place.run(&import[..3], 2).contains("column `Mail` is no field of an event"));
    for told in [place.run(&[&import[..], &["--dry-run"]].concat(), 1), place.run(&import, 1)] {
        assert!(told.contains("line 3: `address`") && told.contains("line 4: `topics`"), "{told}");
        assert!(told.contains("nothing was written") && !told.contains("bob"), "{told}");
    }
    assert!(!place.path().join("consentry.db").exists());

    assert!(place.run(&[&import[..], &["--keep-going"]].concat(), 0).contains("1 good, 2 bad; 1 written"));
    assert!(place.run(&["contact", "show", "anna@x.example"], 0).contains("OBJ_GLOBAL"));
    assert!(place.run(&[&import[..], &["--keep-going"]].concat(), 0).contains("was imported before"));
}

#[test]
fn a_policy_is_rolled_back_with_a_copy_of_what_was_there() {
    let place = Place::new();
    let kept = consentry::config::load_policy(&place.path().join("policy.toml")).unwrap();
    let store = Store::open(&place.path().join("consentry.db"), place.keys()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(store.keep_policy(&kept, "2026-05-15T08:00:00Z".parse().unwrap())).unwrap();
    store.shutdown();

    let before = std::fs::read_to_string(place.path().join("policy.toml")).unwrap();
    let changed = before.replace("\"monitor\"", "\"enforce\"");
    place.write("policy.toml", &changed);
    let digits = &kept.hash["sha256:".len()..][..10];
    assert!(place.run(&["policy", "diff", digits], 1).contains("-mode = \"monitor\"\n+mode = \"enforce\""));
    assert!(place.run(&["policy", "rollback", digits], 0).contains("consentry reload"));
    assert_eq!(std::fs::read_to_string(place.path().join("policy.toml")).unwrap(), before);
    let names = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().path());
    let copy = names.into_iter().find(|path| path.to_str().unwrap().contains("policy.toml.bak-")).unwrap();
    assert_eq!(std::fs::read_to_string(copy).unwrap(), changed);
    place.run(&["policy", "diff", digits], 0);
    assert!(place.run(&["policy", "show", "ffff"], 2).contains("was ever in force"));
}

#[test]
fn a_rollback_that_would_not_give_the_old_policy_changes_nothing() {
    let place = Place::new();
    std::fs::create_dir_all(place.path().join("mailers")).unwrap();
    let kept = consentry::config::load_policy(&place.path().join("policy.toml")).unwrap();
    let store = Store::open(&place.path().join("consentry.db"), place.keys()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(store.keep_policy(&kept, "2026-05-15T08:00:00Z".parse().unwrap())).unwrap();
    store.shutdown();

    let pack = "[[rule]]\nid = \"later\"\nwhen.header.\"X-Later\" = { present = true }\nclass = \"service\"\n";
    place.write("mailers/later.toml", pack);
    let changed = std::fs::read_to_string(place.path().join("policy.toml")).unwrap() + "# changed\n";
    place.write("policy.toml", &changed);
    let told = place.run(&["policy", "rollback", &kept.hash], 3);
    assert!(told.contains("later.toml") && told.contains("nothing was changed"), "{told}");
    assert_eq!(std::fs::read_to_string(place.path().join("policy.toml")).unwrap(), changed);
}
