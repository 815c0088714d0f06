//! What a person may ask for, and the lists others may have: complete, readable, and only of those who agreed to it.

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Output;

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use support::{Gate, Upstream};

const SENDER: &str = "bounces@exemple.fr";
const BOOKS: &[u8] =
    b"From: news@exemple.fr\r\nSubject: What is new\r\nX-Kind: newsletter\r\nMessage-ID: <1@exemple.fr>\r\n\r\nThree novels.\r\n";

fn opt_in(address: &str, further: Value) -> String {
    let mut event = json!({
        "address": address, "controller": "shop", "type": "opt_in", "at": "2026-01-10T12:00:00+01:00",
        "topics": ["offers/books"], "mechanism": "unticked_box_ticked", "source": "web:form", "actor": "person",
        "text_version": "newsletter-4",
    });
    further.as_object().unwrap().iter().for_each(|(name, value)| event[name] = value.clone());
    event.to_string()
}

fn objection(address: &str, further: Value) -> String {
    let mut event = json!({
        "address": address, "controller": "shop", "type": "object", "at": "2026-02-01T12:00:00+01:00", "actor": "person",
    });
    further.as_object().unwrap().iter().for_each(|(name, value)| event[name] = value.clone());
    event.to_string()
}

struct Place {
    gate: Gate,
    _upstream: Upstream,
    directory: tempfile::TempDir,
}

impl Place {
    fn with(events: &[String]) -> Place {
        let upstream = Upstream::start();
        let gate = Gate::in_front_of(upstream.address);
        gate.import(&events.iter().map(String::as_str).collect::<Vec<_>>());
        Place { gate, _upstream: upstream, directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    #[track_caller]
    fn run(&self, arguments: &[&str], status: i32) -> String {
        let Output { status: ended, stdout, stderr } = self.gate.command(arguments).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert_eq!(ended.code(), Some(status), "{arguments:?}: {said}");
        said
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.run(&[&["--json"], arguments].concat(), 0)).unwrap()
    }

    /// Writes a list; what is told of it, and what stands in the file.
    #[track_caller]
    fn list(&self, name: &str, further: &[&str]) -> (Value, String) {
        let file = self.path(name);
        let file = file.to_str().unwrap();
        let told = self.json(&[&["contact", "export", "--all", "--by", "claire", "--out", file], further].concat());
        (told, std::fs::read_to_string(file).unwrap())
    }
}

fn addresses(list: &str) -> Vec<String> {
    let address = |line: &str| serde_json::from_str::<Value>(line).unwrap()["address"].as_str().unwrap().to_owned();
    list.lines().map(address).collect()
}

#[test]
fn a_person_gets_everything_that_is_known_as_data_and_as_a_page() {
    let events = [
        opt_in("anna@x.example", json!({"note": "<script>alert(1)</script>", "evidence": {"ip": "192.0.2.4"}})),
        opt_in("anna@x.example", json!({"text_version": "never-stored", "topics": ["offers/music"]})),
        objection("anna+shop@x.example", json!({"topics": ["offers/music"]})),
        opt_in("bob@y.example", json!({})),
    ];
    let mut place = Place::with(&events[..1]);
    place.gate.import(&[&events[2], &events[3]]);
    // The one event whose wording nobody has stored.
    let late = place.path("late.ndjson");
    std::fs::write(&late, &events[1]).unwrap();
    place.run(&["contact", "import", late.to_str().unwrap()], 0);
    let mut client = place.gate.client();
    client.send(SENDER, &["anna@x.example"], BOOKS);
    client.quit();
    place.gate.stop();

    let told = place.json(&["contact", "export", "ANNA@x.example"]);
    assert_eq!((&told["format"], &told["address"]), (&"consentry-contact-1".into(), &"anna@x.example".into()));
    let shop = &told["controllers"][0];
    assert_eq!((&shop["controller"], &shop["contact"]), (&"shop".into(), &"dpo@exemple.fr".into()));
    assert_eq!(shop["events"].as_array().unwrap().len(), 2);
    assert_eq!(shop["events"][0]["evidence"]["ip"], "192.0.2.4");
    let topics: BTreeMap<&str, &str> = shop["mail_now"]
        .as_array()
        .unwrap()
        .iter()
        .map(|topic| (topic["topic"].as_str().unwrap(), topic["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(topics["offers/music"], "OBJ_TOPIC");
    assert_eq!(told["relatives"][0]["address"], "anna+shop@x.example");
    assert_eq!(told["relatives"][0]["objections"][0]["type"], "object");
    assert_eq!(told["texts"][0]["body"], "Yes, write to me (newsletter-4).\n");
    assert_eq!(told["missing_texts"], json!(["never-stored"]));
    let journal = place.gate.journal();
    let decision = &told["decisions"][0];
    assert_eq!((&decision["ref"], &decision["reason"]), (&journal[0]["ref"], &journal[0]["reason"]));
    assert_eq!(decision["outcome"]["result"], journal[0]["outcome"]["result"]);
    assert!(!told.to_string().contains("bob@y.example"));

    let page = |name: &str, language: &str| {
        let file = place.path(name);
        place
            .run(&["contact", "export", "anna@x.example", "--html", file.to_str().unwrap(), "--language", language], 0);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::read_to_string(file).unwrap()
    };
    let (french, english) = (page("fr.html", "fr"), page("en.html", "en"));
    for page in [&french, &english] {
        assert!(page.contains("Librairie Exemple") && page.contains("Yes, write to me (newsletter-4)."), "{page}");
        assert!(page.contains("never-stored") && page.contains("anna+shop@x.example") && page.contains("192.0.2.4"));
        assert!(page.contains(journal[0]["ref"].as_str().unwrap()));
        assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("@import"), "{page}");
        assert!(!page.contains("bob@y.example"));
    }
    assert!(french.contains("lang=\"fr\"") && french.contains("Nos offres de livres") && french.contains("opposé à"));
    assert!(english.contains("lang=\"en\"") && english.contains("Book offers") && english.contains("objected to"));

    assert!(place.run(&["contact", "export", "carl@z.example"], 1).contains("nothing is known"));
    assert!(place.run(&["contact", "export", "anna@x.example", "--controller", "x"], 2).contains("it has shop"));
}

#[test]
fn everything_goes_out_as_it_comes_in() {
    let events = [
        opt_in("anna@x.example", json!({"id": "1", "evidence": {"ip": "192.0.2.4"}, "partners": ["d"]})),
        objection("bob@y.example", json!({"id": "2", "note": "=1+1", "channel": "*"})),
        json!({"address": "carl@z.example", "controller": "shop", "type": "purchase", "state": "paid", "families": ["book", "dvd"],
               "at": "2026-03-01T12:00:00+01:00", "id": "3"}).to_string(),
    ];
    let (first, second, third) = (Place::with(&events), Place::with(&[]), Place::with(&[]));
    let history = |place: &Place, address: &str| -> Vec<Value> {
        let told = place.run(&["--json", "contact", "history", address], 0);
        let event = |line: &str| {
            let mut event: Value = serde_json::from_str(line).unwrap();
            event["seq"].take();
            event
        };
        told.lines().map(event).collect()
    };
    for (name, place, format) in [("all.ndjson", &second, "ndjson"), ("all.csv", &third, "csv")] {
        let file = first.path(name);
        let file = file.to_str().unwrap();
        first.run(&["contact", "export", "--all", "--format", format, "--out", file], 0);
        place.run(&["contact", "import", file], 0);
        for address in ["anna@x.example", "carl@z.example"] {
            assert_eq!(history(&first, address), history(place, address), "{format}");
        }
    }
    assert_eq!(history(&first, "bob@y.example"), history(&second, "bob@y.example"));
    assert_eq!(history(&third, "bob@y.example")[0]["note"], "'=1+1", "no spreadsheet runs it");
    assert_eq!(first.run(&["contact", "export", "--all"], 0).lines().count(), 3);
    let there = first.path("all.csv");
    assert!(
        first.run(&["contact", "export", "--all", "--out", there.to_str().unwrap()], 3).contains("is there already")
    );
}

#[test]
fn a_list_holds_only_who_agreed_to_exactly_that_and_is_recorded_with_who_took_it() {
    let sms = json!({"channel": "sms"});
    let place = Place::with(&[
        opt_in("anna@x.example", sms.clone()),
        opt_in("bob@x.example", sms.clone()),
        objection("bob@x.example", json!({"channel": "*"})),
        opt_in("carl@x.example", json!({})),
        opt_in("dora@x.example", json!({"channel": "sms", "at": "2021-01-10T12:00:00+01:00"})),
        opt_in("emil@x.example", json!({"channel": "sms", "mechanism": "preticked_box"})),
        opt_in("fanny@x.example", sms.clone()),
        objection("fanny@x.example", json!({})),
        opt_in("gerd@x.example", json!({"channel": "sms", "topics": ["offers/music"]})),
    ]);
    let (told, list) = place.list("sms.ndjson", &["--channel", "sms"]);
    assert_eq!(addresses(&list), ["anna@x.example", "fanny@x.example", "gerd@x.example"]);
    assert_eq!((&told["by"], &told["channel"], &told["people"]), (&"claire".into(), &"sms".into(), &3.into()));
    let left_out = json!({"CONSENT_CHANNEL": 1, "CONSENT_EXPIRED": 1, "CONSENT_PRETICKED": 1, "OBJ_GLOBAL": 1});
    assert_eq!(told["left_out"], left_out);
    let first: Value = serde_json::from_str(list.lines().next().unwrap()).unwrap();
    assert_eq!(first["topics"][0]["text_version"], "newsletter-4");
    assert_eq!(first["topics"][0]["last_day"], "2029-01-10");
    let sum: String = digest(&SHA256, list.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(told["sha256"], format!("sha256:{sum}"));

    let (told, list) = place.list("music.csv", &["--channel", "sms", "--topic", "offers/music", "--format", "csv"]);
    assert_eq!((list.lines().count(), &told["left_out"]["CONSENT_TOPIC"]), (2, &2.into()), "{list}");
    assert!(list.lines().nth(1).unwrap().starts_with("gerd@x.example,offers/music,"), "{list}");

    let kept = place.run(&["--json", "contact", "handovers"], 0);
    let kept: Vec<Value> = kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(kept.len(), 2);
    assert_eq!((&kept[0]["sha256"], &kept[0]["by"]), (&format!("sha256:{sum}").into(), &"claire".into()));
    let person = place.json(&["contact", "export", "anna@x.example"]);
    assert_eq!(person["handed_over"][0]["channel"], "sms");
    assert_eq!(place.json(&["contact", "export", "bob@x.example"])["handed_over"], json!([]));

    place.run(&["contact", "record", "gerd@x.example", "--type", "erase", "--by", "claire"], 0);
    assert_eq!(addresses(&place.list("later.ndjson", &["--channel", "sms"]).1), ["anna@x.example", "fanny@x.example"]);
    place.run(&["contact", "export", "gerd@x.example"], 1);
    assert!(!place.run(&["contact", "export", "--all"], 0).contains("gerd@"));

    let refused = |further: &[&str], why: &str| {
        let told = place.run(&[&["contact", "export", "--all"], further].concat(), 2);
        assert!(told.contains(why), "{told}");
    };
    let (there, new) = (place.path("sms.ndjson"), place.path("new"));
    let (there, new) = (there.to_str().unwrap(), new.to_str().unwrap());
    refused(&["--channel", "sms", "--out", new], "--by");
    refused(&["--channel", "sms", "--by", " ", "--out", new], "say who takes the list");
    refused(&["--channel", "sms", "--by", "claire"], "a list needs a file");
    refused(&["--channel", "sms", "--by", "claire", "--out", there], "is there already");
    refused(&["--channel", "fax", "--by", "claire", "--out", new], "write one of email, sms, phone, push, post");
    refused(&["--channel", "*", "--by", "claire", "--out", new], "write one of email, sms");
    refused(&["--partner", "shop", "--by", "claire", "--out", new], "that is the controller itself");
    assert!(!std::path::Path::new(new).exists());
    assert_eq!(place.run(&["--json", "contact", "handovers"], 0).lines().count(), 3);
}

#[test]
fn a_partner_gets_only_who_agreed_to_its_name() {
    let named = json!({"partners": ["cinema"]});
    let place = Place::with(&[
        opt_in("anna@x.example", named.clone()),
        opt_in("bob@x.example", json!({"partners": ["theatre"]})),
        opt_in("carl@x.example", named.clone()),
        objection("carl@x.example", json!({"topics": ["offers/books"]})),
        opt_in("dora@x.example", json!({})),
        objection("emil@x.example", json!({})),
        opt_in("fanny@gmail.com", named.clone()),
        objection("fan.ny@gmail.com", json!({})),
    ]);
    let (told, list) = place.list("cinema.ndjson", &["--partner", "cinema"]);
    assert_eq!(addresses(&list), ["anna@x.example"]);
    assert_eq!(told["partner"], "cinema");
    assert_eq!(told["left_out"], json!({"CONSENT_CONTROLLER": 2, "OBJ_GLOBAL": 3, "OBJ_TOPIC": 1}));
}
