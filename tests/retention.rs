//! The end of what is kept: who is listed, who is forgotten, and what stays.

mod support;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use jiff::{Span, Timestamp, Zoned};
use serde_json::{Value, json};
use support::{Gate, Upstream};

const NEWSLETTER: &str = "From: news@exemple.fr\r\nSubject: What is new\r\nX-Kind: newsletter\r\n\r\nThree novels.\r\nhttps://exemple.fr/desinscription/1\r\n";
const NOTICE: &str = "From: shop@exemple.fr\r\nSubject: Your data\r\nX-Consentry-Class: service\r\n\
    X-Consentry-Kind: deletion_notice\r\n\r\nDo you want to stay?\r\n";

fn today() -> Zoned {
    Timestamp::now().in_tz("Europe/Paris").unwrap()
}

/// So many days before (or, negative, after) the day three years ago.
fn three_years_and(days: i64) -> String {
    let day = today().checked_sub(Span::new().years(3)).unwrap().checked_sub(Span::new().days(days)).unwrap();
    day.timestamp().to_string()
}

fn event(address: &str, kind: &str, at: &str, more: Value) -> String {
    let mut event = json!({
        "address": format!("{address}@x.example"), "controller": "shop", "type": kind, "at": at, "recorded_at": at,
        "actor": "person",
    });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event.to_string()
}

fn opt_in(address: &str, at: &str) -> String {
    let proof = json!({
        "topics": ["offers/books"], "mechanism": "unticked_box_ticked", "source": "form", "text_version": "n4",
        "note": format!("{address} at the till"),
    });
    event(address, "opt_in", at, proof)
}

fn object(address: &str, at: &str) -> String {
    event(address, "object", at, json!({"mechanism": "reply"}))
}

fn import(gate: &Gate, events: &[String]) {
    gate.import(&events.iter().map(String::as_str).collect::<Vec<_>>());
}

fn run(gate: &Gate, arguments: &[&str]) -> Vec<Value> {
    let told = gate.run_command(&[&["retention", "run", "--json"], arguments].concat());
    told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// `due name done`, of people; `due count done`, of the rest where there are any.
fn told(lines: &[Value]) -> Vec<String> {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let told = |line: &Value| match line["address"].as_str() {
        Some(address) => format!("{} {} {}", word(&line["due"]), address.split('@').next().unwrap(), line["done"]),
        None => format!("{} {} {}", word(&line["due"]), line["count"], line["done"]),
    };
    lines.iter().filter(|line| line["count"] != 0).map(told).collect()
}

fn send(gate: &Gate, to: &str, content: &str) -> String {
    let mut client = gate.client();
    let reply = client.send("bounces@exemple.fr", &[&format!("{to}@x.example")], content.as_bytes());
    client.quit();
    reply
}

fn query(gate: &Gate, sql: &str) -> i64 {
    let store = rusqlite::Connection::open(gate.directory().join("consentry.db")).unwrap();
    store.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Anna's time is nearly over, Bob's was over long ago, Carl's has just begun, Dora left before hers was over.
fn four_people(gate: &Gate) {
    let begun = three_years_and(-300);
    import(
        gate,
        &[
            opt_in("anna", &three_years_and(-10)),
            opt_in("bob", &three_years_and(40)),
            opt_in("carl", &begun),
            opt_in("dora", &three_years_and(60)),
            object("dora", &three_years_and(50)),
        ],
    );
}

#[test]
fn a_dry_run_says_who_is_due_and_changes_nothing() {
    let upstream = Upstream::start();
    let gate = Gate::in_front_of(upstream.address);
    four_people(&gate);
    let expected = ["notice anna false", "purge bob false", "purge dora false"];
    for _ in 0..2 {
        assert_eq!(told(&run(&gate, &["--dry-run"])), expected);
    }
    let text = gate.run_command(&["retention", "run", "--dry-run"]);
    assert!(text.contains("notice  anna@x.example shop ") && text.contains("1  due for the notice"), "{text}");
    assert!(text.contains("2  people at one controller: to be forgotten"), "{text}");
    assert_eq!(query(&gate, "SELECT count (*) FROM event WHERE type = 'erase'"), 0);
}

#[test]
fn the_list_for_the_mailer_is_whole_and_nobody_elses() {
    let upstream = Upstream::start();
    let gate = Gate::in_front_of(upstream.address);
    four_people(&gate);
    let last_day = today().checked_add(Span::new().days(10)).unwrap().date();
    let (csv, lines) = (gate.directory().join("due.csv"), gate.directory().join("due.ndjson"));
    std::fs::write(&csv, "an older list\n").unwrap();
    for file in [&csv, &lines] {
        run(&gate, &["--dry-run", "--notices", file.to_str().unwrap()]);
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let expected = format!("address,controller,last_day,reason\nanna@x.example,shop,{last_day},opt_in\n");
    assert_eq!(std::fs::read_to_string(&csv).unwrap(), expected);
    let line: Value = serde_json::from_str(&std::fs::read_to_string(&lines).unwrap()).unwrap();
    assert_eq!((&line["address"], &line["last_day"]), (&json!("anna@x.example"), &json!(last_day)));
    let nowhere = gate.command(&["retention", "run", "--notices", "/nowhere/due.csv"]).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(3));
    assert_eq!(query(&gate, "SELECT count (*) FROM event WHERE type = 'erase'"), 0, "first the list, then the end");
}

#[test]
fn who_is_due_is_forgotten_while_the_gate_runs_and_an_objection_stays() {
    let upstream = Upstream::start();
    let mut gate = Gate::in_front_of(upstream.address);
    four_people(&gate);
    assert!(send(&gate, "carl", NEWSLETTER).starts_with("250"));
    assert_eq!(told(&run(&gate, &[])), ["notice anna false", "purge bob true", "purge dora true"]);
    assert_eq!(told(&run(&gate, &[])), ["notice anna false"], "what was done is done");
    assert_eq!(query(&gate, "SELECT count (*) FROM event WHERE type = 'erase'"), 2);
    assert_eq!(query(&gate, "SELECT count (*) FROM act WHERE kind = 'erasure'"), 2, "and recorded");
    assert_eq!(query(&gate, "SELECT count (*) FROM contact WHERE address LIKE 'bob%' OR address LIKE 'dora%'"), 0);

    assert!(send(&gate, "bob", NEWSLETTER).contains("(CONSENT_NONE)"));
    assert!(send(&gate, "dora", NEWSLETTER).contains("(OBJ_HASH)"));
    assert!(send(&gate, "carl", NEWSLETTER).starts_with("250"));
    gate.stop();
    assert!(!gate.log().join("\n").contains("@x.example"));
}

#[test]
fn whoever_an_old_file_brings_back_is_forgotten_again() {
    let upstream = Upstream::start();
    let gate = Gate::in_front_of(upstream.address);
    let bob = opt_in("bob", &three_years_and(40));
    import(&gate, std::slice::from_ref(&bob));
    for nightly in 1..=3 {
        assert_eq!(told(&run(&gate, &[])), ["purge bob true"], "run {nightly}");
        assert_eq!(query(&gate, "SELECT count (*) FROM contact WHERE address LIKE 'bob%'"), 0, "run {nightly}");
        assert_eq!(query(&gate, "SELECT count (*) FROM event WHERE personal LIKE '%bob%'"), 0, "run {nightly}");
        assert!(told(&run(&gate, &[])).is_empty(), "run {nightly}: nobody is left");
        // The same data in another file.
        import(&gate, &[bob.clone(), opt_in(&format!("carl{nightly}"), &three_years_and(-300))]);
        assert_eq!(query(&gate, "SELECT count (*) FROM contact WHERE address LIKE 'bob%'"), 1, "run {nightly}");
    }
}

#[test]
fn a_notice_that_passed_takes_its_reader_off_the_list() {
    let upstream = Upstream::start();
    let gate = Gate::builder(upstream.address).listener("trust_headers = true").start();
    four_people(&gate);
    assert!(send(&gate, "anna", NOTICE).starts_with("250"));
    assert_eq!(told(&run(&gate, &["--dry-run"])), ["purge bob false", "purge dora false"]);
}

#[test]
fn proofs_marks_and_decisions_end_in_their_own_time() {
    let upstream = Upstream::start();
    let gate = Gate::builder(upstream.address).policy_value("suppression_retention", "\"3 years\"").start();
    let long_ago = today().checked_sub(Span::new().years(6)).unwrap().timestamp().to_string();
    import(&gate, &[opt_in("bob", &long_ago), opt_in("dora", &long_ago), object("dora", &long_ago)]);
    import(&gate, &[opt_in("erik", &three_years_and(40))]);
    let lines = run(&gate, &[]);
    let expected = ["purge bob true", "purge dora true", "purge erik true", "evidence 3 true", "suppression 1 true"];
    assert_eq!(told(&lines), expected);
    let kept = "SELECT count (*) FROM event WHERE proof IS NOT NULL AND type <> 'erase'";
    assert_eq!(query(&gate, kept), 1, "erik's is not five years old");
    assert_eq!(query(&gate, "SELECT count (*) FROM event WHERE proof IS NULL AND proof_digest IS NULL"), 0);
    assert_eq!(query(&gate, "SELECT count (*) FROM suppression"), 0);
    assert_eq!(query(&gate, "SELECT count (*) FROM act WHERE kind = 'purge'"), 2);
    assert!(told(&run(&gate, &[])).is_empty());
    assert!(send(&gate, "dora", NEWSLETTER).contains("(CONSENT_NONE)"));
}

#[test]
fn what_is_kept_without_end_is_kept() {
    let upstream = Upstream::start();
    let gate = Gate::builder(upstream.address).policy_value("evidence_retention", "\"unlimited\"").start();
    let long_ago = today().checked_sub(Span::new().years(9)).unwrap().timestamp().to_string();
    import(&gate, &[opt_in("bob", &long_ago), object("bob", &long_ago)]);
    assert_eq!(told(&run(&gate, &[])), ["purge bob true"]);
    assert_eq!(query(&gate, "SELECT count (*) FROM event WHERE proof IS NULL"), 0);
    assert_eq!(query(&gate, "SELECT count (*) FROM suppression"), 1);
}

fn erasures(gate: &Gate) -> i64 {
    query(gate, "SELECT count (*) FROM event WHERE type = 'erase'")
}

#[test]
fn a_run_that_was_killed_goes_on_where_it_was_and_does_nothing_twice() {
    const PEOPLE: i64 = 500;
    let upstream = Upstream::start();
    let gate = Gate::in_front_of(upstream.address);
    let events: Vec<String> = (0..PEOPLE).map(|n| opt_in(&format!("p{n}"), &three_years_and(40))).collect();
    import(&gate, &events);
    let mut first = gate.command(&["retention", "run", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(first.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(line.contains("\"done\":true"), "{line}");
    let before = erasures(&gate);
    assert!((1..PEOPLE).contains(&before), "{before} were forgotten before it was killed");
    let rest = run(&gate, &[]);
    assert_eq!(rest.iter().filter(|line| line["due"] == "purge").count() as i64, PEOPLE - before);
    assert_eq!(erasures(&gate), PEOPLE);
    assert_eq!(query(&gate, "SELECT count (*) FROM contact WHERE address LIKE '%@x.example'"), 0);
    assert!(told(&run(&gate, &[])).is_empty());
}

#[test]
fn a_store_that_somebody_else_holds_is_left_alone_and_said_so() {
    let upstream = Upstream::start();
    let mut gate = Gate::in_front_of(upstream.address);
    four_people(&gate);
    gate.stop();
    let store = rusqlite::Connection::open(gate.directory().join("consentry.db")).unwrap();
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    let output = gate.command(&["retention", "run"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(!output.stderr.is_empty() && erasures(&gate) == 0);
    assert_eq!(run(&gate, &["--dry-run"]).len(), 5, "looking needs no lock");
    store.execute_batch("ROLLBACK").unwrap();
    assert_eq!(told(&run(&gate, &[])).len(), 3);
}
