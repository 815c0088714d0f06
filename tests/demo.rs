//! `consentry demo` as a newcomer runs it: the real program, judged by what it prints for programs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Runs the demonstration with a place of its own for temporary files.
fn demo(place: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consentry"));
    command.arg("demo").env("TMPDIR", place).env_remove("NO_COLOR");
    command
}

fn records(text: &str) -> BTreeMap<String, Vec<Value>> {
    let mut records: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        records.entry(value["record"].as_str().unwrap().to_owned()).or_default().push(value);
    }
    records
}

fn once() -> BTreeMap<String, Vec<Value>> {
    let place = tempfile::tempdir().unwrap();
    let output = demo(place.path()).args(["--once", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "the log stays out of the way");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "nothing is left behind");
    records(&String::from_utf8(output.stdout).unwrap())
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}"))
}

#[test]
fn every_kind_of_contact_gets_what_it_agreed_to_and_nothing_else() {
    let records = once();
    let decisions = &records["decision"];
    let row = |message: &str, recipient: &str| {
        let is_it = |row: &&Value| text(row, "message") == message && text(row, "recipient") == recipient;
        decisions.iter().find(is_it).unwrap_or_else(|| panic!("no row for {recipient} of {message}"))
    };
    let table = [
        ("order", "farid@example.org", "order-mail", "allow", "SVC_OK"),
        ("invoice", "nadia@example.org", "order-mail", "allow", "SVC_OK"),
        ("parcel-notice", "voisine@example.com", "order-mail", "allow", "SVC_OK"),
        ("password-reset", "oscar@example.net", "account-mail", "allow", "SVC_OK"),
        ("one-time-code", "paul@example.com", "account-mail", "allow", "SVC_OK"),
        ("review-request", "farid@example.org", "review-request", "allow", "SVC_OK"),
        ("newsletter-fr", "anna@example.org", "listmonk-campaign", "allow", "OK_OPT_IN"),
        ("newsletter-fr", "chloe@example.net", "listmonk-campaign", "allow", "OK_OPT_IN"),
        ("newsletter-fr", "david@example.net", "listmonk-campaign", "block", "CONSENT_PENDING"),
        ("newsletter-fr", "elodie@example.com", "listmonk-campaign", "block", "CONSENT_DOI_LATE"),
        ("newsletter-fr", "farid@example.org", "listmonk-campaign", "block", "OBJ_GLOBAL"),
        ("newsletter-fr", "gaelle@example.org", "listmonk-campaign", "allow", "OK_OPT_IN"),
        ("newsletter-fr", "hugo@example.com", "listmonk-campaign", "block", "CONSENT_PRETICKED"),
        ("newsletter-fr", "ines@example.net", "listmonk-campaign", "block", "CONSENT_TERMS"),
        ("newsletter-fr", "jules@example.org", "listmonk-campaign", "block", "CONSENT_EXPIRED"),
        ("newsletter-fr", "karine@example.org", "listmonk-campaign", "allow", "OK_OPT_IN"),
        ("newsletter-fr", "nadia@example.org", "listmonk-campaign", "allow", "OK_CUSTOMER"),
        ("newsletter-fr", "oscar@example.net", "listmonk-campaign", "block", "OBJ_COMPLAINT"),
        ("newsletter-fr", "lou+fr@gmail.com", "listmonk-campaign", "block", "OBJ_GLOBAL"),
        ("newsletter-fr", "marie+fr@example.org", "listmonk-campaign", "block", "OBJ_GLOBAL"),
        ("newsletter-fr", "stranger@example.com", "listmonk-campaign", "block", "CONSENT_NONE"),
        ("newsletter-en", "bruno@example.org", "mautic-segment-mail", "block", "CONSENT_TOPIC"),
        ("newsletter-en", "gaelle@example.org", "mautic-segment-mail", "block", "OBJ_TOPIC"),
        ("newsletter-en", "una@example.net", "mautic-segment-mail", "allow", "OK_OPT_IN"),
        ("newsletter-en", "victor@example.com", "mautic-segment-mail", "block", "CONSENT_NO_PROOF"),
        ("newsletter-en", "wendy@example.com", "mautic-segment-mail", "block", "CONSENT_CHANNEL"),
        ("newsletter-en", "xavier@example.org", "mautic-segment-mail", "allow", "OK_OPT_IN"),
        ("newsletter-en", "yasmine@example.net", "mautic-segment-mail", "block", "PROV_HARVESTED"),
        ("newsletter-en", "zoe@example.com", "mautic-segment-mail", "block", "PROV_THIRD_PARTY"),
        ("music-sale", "quentin@example.com", "mautic-segment-mail", "block", "OBJ_TOPIC"),
        ("editorial", "anna@example.org", "editorial-letter", "block", "CONSENT_TOPIC"),
        ("editorial", "samuel@example.com", "editorial-letter", "allow", "OK_OPT_IN"),
        ("cart-reminder", "basile@example.org", "cart-reminder", "block", "CONSENT_PENDING"),
        ("cart-reminder", "clara@example.net", "cart-reminder", "block", "CONSENT_NOT_INFORMED"),
        ("cart-reminder", "denis@example.net", "cart-reminder", "block", "CONSENT_CONDITIONED"),
        ("opt-in-request", "david@example.net", "listmonk-opt-in-request", "allow", "SVC_DOI"),
        ("opt-in-request", "stranger@example.com", "listmonk-opt-in-request", "block", "CONSENT_NONE"),
        ("order-with-tips", "anna@example.org", "kind", "allow", "OK_OPT_IN"),
        ("order-with-tips", "nadia@example.org", "kind", "block", "CUST_FAMILY_UNKNOWN"),
        ("script-report", "team@exemple.fr", "unknown_class", "block", "CONSENT_NONE"),
    ];
    for (message, recipient, rule, decision, reason) in table {
        let row = row(message, recipient);
        let found = (text(row, "class_rule"), text(row, "decision"), text(row, "reason"));
        assert_eq!(found, (rule, decision, reason), "{recipient} of {message}");
    }
}

#[test]
fn no_copy_reaches_anybody_without_a_permit() {
    let records = once();
    let permitted = |row: &&Value| text(row, "decision") == "allow";
    let key = |row: &Value| (text(row, "message").to_owned(), text(row, "recipient").to_owned());
    let mut permits: BTreeSet<(String, String)> = records["decision"].iter().filter(permitted).map(key).collect();
    for row in &records["decision"] {
        assert_eq!(row["arrived"], Value::from(u8::from(text(row, "decision") == "allow")), "{row}");
    }
    for copy in &records["copy"] {
        let to: Vec<&str> = copy["to"].as_array().unwrap().iter().map(|to| to.as_str().unwrap()).collect();
        if text(copy, "from").is_empty() {
            assert!(to.len() == 1 && (to[0].ends_with("@exemple.fr") || to[0].ends_with("@news.exemple.fr")), "{copy}");
            continue; // a notice to a sender
        }
        for to in to {
            assert!(permits.remove(&(text(copy, "message").to_owned(), to.to_owned())), "{to}: {copy}");
        }
    }
    assert_eq!(permits, BTreeSet::new(), "permitted and not delivered");
}

#[test]
fn advertising_carries_its_way_out_and_service_mail_one_line_more() {
    let records = once();
    for copy in records["copy"].iter().filter(|copy| !text(copy, "from").is_empty()) {
        let added = text(copy, "added");
        assert!(added.starts_with("Received: from "), "{copy}");
        let service = ["order", "invoice", "parcel-notice", "password-reset", "one-time-code", "review-request"];
        let is_service = service.contains(&text(copy, "message")) || text(copy, "message") == "opt-in-request";
        assert_eq!(added.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"), !is_service, "{copy}");
    }
}

#[test]
fn the_mail_program_learns_who_was_withheld() {
    let records = once();
    let reply = |message: &str| records["reply"].iter().find(|reply| text(reply, "message") == message).unwrap();
    assert_eq!(reply("newsletter-fr")["code"], 250);
    assert!(reply("newsletter-fr")["lines"][0].as_str().unwrap().contains("recipients withheld"));
    assert_eq!(reply("music-sale")["code"], 550);
    assert!(reply("music-sale")["lines"][0].as_str().unwrap().contains("(OBJ_TOPIC)"));
    let notices = records["copy"].iter().filter(|copy| text(copy, "from").is_empty()).count();
    assert!(notices >= 4, "{notices} notices");
}

#[test]
fn the_button_of_the_link_withholds_the_very_next_message() {
    let place = tempfile::tempdir().unwrap();
    let mut command = demo(place.path());
    let mut running = command.arg("--json").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut typed, mut printed) = (running.stdin.take().unwrap(), BufReader::new(running.stdout.take().unwrap()));
    let mut next = |record: &str| loop {
        let mut line = String::new();
        assert_ne!(printed.read_line(&mut line).unwrap(), 0, "ended early");
        let value: Value = serde_json::from_str(&line).unwrap();
        if value["record"] == record {
            return value;
        }
    };
    let pages = next("pages");
    let mut send_again = |decision: &str, reason: &str| {
        typed.write_all(b"\n").unwrap();
        let row = next("decision");
        assert_eq!((text(&row, "recipient"), text(&row, "decision")), (text(&pages, "unsubscribes"), decision));
        assert_eq!(text(&row, "reason"), reason);
    };
    send_again("allow", "OK_OPT_IN");
    let answer = press_button(text(&pages, "unsubscribe"));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    send_again("block", "OBJ_TOPIC");
    let ended = Command::new("kill").arg(running.id().to_string()).status().unwrap();
    assert!(ended.success() && running.wait().unwrap().success());
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "nothing is left behind");
}

fn press_button(link: &str) -> String {
    let (host, path) = link.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let body = "List-Unsubscribe=One-Click";
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_page_for_people_fits_a_hundred_columns_and_is_coloured_only_on_request() {
    let place = tempfile::tempdir().unwrap();
    let plain = demo(place.path()).arg("--once").output().unwrap();
    let plain = String::from_utf8(plain.stdout).unwrap();
    assert!(!plain.contains('\u{1b}'));
    for line in plain.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    for part in ["CONSENT_PRETICKED", "Recipient", "List-Unsubscribe-Post:", "550 5.7.1", "250 2.0.0"] {
        assert!(plain.contains(part), "{part}");
    }
    let coloured = demo(place.path()).args(["--once", "--color", "always"]).output().unwrap();
    assert!(String::from_utf8(coloured.stdout).unwrap().contains("\u{1b}[38;5;"));
}
