//! A listener that pins the class refuses at RCPT those whom no content could make permitted (R25).

use crate::shop::*;
use crate::support::{Gate, GateBuilder, Upstream};

fn pinned(upstream: &Upstream, more: &[&str]) -> GateBuilder {
    let start = Gate::builder(upstream.address).listener("class = \"promotional\"");
    more.iter().fold(start, |gate, line| gate.listener(line))
}

const CONTROLLER: &str = "controller = \"shop\"";
const TOPICS: &str = "topics = [\"offers/books\"]";

#[test]
fn with_controller_and_topics_every_refusal_comes_at_rcpt() {
    let upstream = Upstream::start();
    let mut gate = pinned(&upstream, &[CONTROLLER, TOPICS]).start();
    three_people(&gate);
    let mut client = gate.client();
    client.command(&format!("MAIL FROM:<{SENDER}>"), "250");
    let start = format!(
        "550 5.7.1 <{CARL}> withheld: no consent on record for offers/books (CONSENT_NONE); \
         the address itself is fine; ref "
    );
    client.command(&format!("RCPT TO:<{CARL}>"), &start);
    let line = client.command(&format!("RCPT TO:<{BOB}>"), "550 5.7.1");
    assert!(line.contains("(OBJ_TOPIC)"), "{line}");
    client.command("DATA", "554 5.5.1");
    client.command(&format!("RCPT TO:<{ANNA}>"), "250");
    client.command("DATA", "354");
    client.write(
        b"From: news@exemple.fr\r\nSubject: no mark at all\r\n\r\nhello https://exemple.fr/desinscription/1\r\n.\r\n",
    );
    let reply = client.expect("250");
    assert!(!reply.contains("withheld"), "the client knows them already: {reply}");
    client.quit();
    assert_delivered(&upstream, &[&format!("{SENDER}>{ANNA}")]);
    assert_eq!(upstream.record().count("RCPT"), 1, "upstream never hears of the refused");
    let journal = settled(&mut gate);
    assert_eq!(told(&journal, ANNA), "allow OK_OPT_IN delivered");
    assert_eq!(about(&journal, BOB)["reason"], "OBJ_TOPIC");
    assert_eq!(about(&journal, CARL)["reason"], "CONSENT_NONE");
    assert!(journal.iter().all(|row| row["class_rule"] == "pin"), "{journal:#?}");
    assert!(about(&journal, CARL)["reply"].as_str().unwrap().starts_with(&start));
}

#[test]
fn with_the_controller_alone_only_hopeless_recipients_are_refused_at_rcpt() {
    let upstream = Upstream::start();
    let gate = pinned(&upstream, &[CONTROLLER]).start();
    three_people(&gate);
    import(&gate, &[opt_in("dora@w.example", "offers/music")]);
    let mut client = gate.client();
    client.command(&format!("MAIL FROM:<{SENDER}>"), "250");
    client.command(&format!("RCPT TO:<{CARL}>"), "550 5.7.1");
    client.command(&format!("RCPT TO:<{BOB}>"), "550 5.7.1");
    client.command("RCPT TO:<dora@w.example>", "250");
    client.command("DATA", "354");
    client.write(&crate::support::client::stuffed(BOOKS));
    client.write(b".\r\n");
    let reply = client.expect("550 5.7.1 <dora@w.example>");
    assert!(reply.contains("(CONSENT_TOPIC)"), "{reply}");
}

#[test]
fn with_neither_the_end_of_the_data_decides() {
    let upstream = Upstream::start();
    let gate = pinned(&upstream, &[]).start();
    three_people(&gate);
    let reply = send(&gate, &[CARL], BOOKS);
    assert!(reply.contains("(CONSENT_NONE)"), "{reply}");
}

#[test]
fn a_null_sender_always_waits_for_the_end_of_the_data() {
    let upstream = Upstream::start();
    let gate = pinned(&upstream, &[CONTROLLER, TOPICS]).start();
    let mut client = gate.client();
    assert!(client.send("", &[CARL], BOOKS).starts_with("550 5.7.1"));
}

#[test]
fn nothing_is_refused_early_where_nothing_is_enforced_or_told() {
    for (name, value, code) in [("mode", "\"monitor\"", "250"), ("refusal", "\"discard\"", "250")] {
        let upstream = Upstream::start();
        let gate = pinned(&upstream, &[CONTROLLER, TOPICS]).policy_value(name, value).start();
        assert!(send(&gate, &[CARL], BOOKS).starts_with(code), "{name} = {value}");
    }
}

#[test]
fn a_class_pinned_to_service_asks_nobody() {
    let upstream = Upstream::start();
    let gate = Gate::builder(upstream.address).listener("class = \"service\"").start();
    assert!(send(&gate, &[CARL], BOOKS).starts_with("250"));
    assert!(fields(&upstream.single_message().content, "List-Unsubscribe").is_empty());
}
