//! The notice to the sender, read by a parser nobody here wrote: Python's `email`.

mod support;

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::upstream::say;
use support::{Act, Gate, Upstream, Verb};

const SENDER: &str = "bounces@exemple.fr";
const BOOKS: &str = "From: =?utf-8?q?Librairie?= <news@exemple.fr>\r\nSubject: What is new\r\nX-Kind: newsletter\r\n\
    Message-ID: <1@exemple.fr>\r\n\r\nThe body nobody is to see in a report.\r\nhttps://exemple.fr/desinscription/1\r\n";

/// Structure, fields and defects of a message, as JSON.
const READER: &str = r#"
import email, email.policy, json, sys
message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
def told(part):
    fields = [[name, str(value)] for name, value in part.items()]
    defects = [repr(defect) for defect in part.defects]
    defects += [repr(defect) for value in part.values() for defect in getattr(value, 'defects', [])]
    payload = part.get_payload()
    parts = [told(each) for each in payload] if isinstance(payload, list) else []
    text = part.get_content() if part.get_content_type() == 'text/plain' else '' if parts else str(payload)
    return dict(type=part.get_content_type(), fields=fields, defects=defects, parts=parts, text=text,
                report=part.get_param('report-type'))
json.dump(told(message), sys.stdout)
"#;

/// None where there is no Python.
fn read(content: &[u8]) -> Option<Value> {
    let mut python = Command::new("python3")
        .args(["-c", READER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .inspect_err(|_| eprintln!("there is no python3: the notice is not read"))
        .ok()?;
    python.stdin.take().unwrap().write_all(content).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn field<'a>(part: &'a Value, name: &str) -> Vec<&'a str> {
    let fields = part["fields"].as_array().unwrap().iter();
    let named = fields.filter(|pair| pair[0].as_str().unwrap().eq_ignore_ascii_case(name));
    named.map(|pair| pair[1].as_str().unwrap()).collect()
}

#[track_caller]
fn only<'a>(part: &'a Value, name: &str) -> &'a str {
    let values = field(part, name);
    assert_eq!(values.len(), 1, "{name} in {part:#}");
    values[0]
}

#[track_caller]
fn assert_no_defects(part: &Value) {
    assert_eq!(part["defects"], json!([]), "{part:#}");
    part["parts"].as_array().unwrap().iter().for_each(assert_no_defects);
}

fn event(address: &str, kind: &str, at: &str) -> String {
    let mut event = json!({
        "address": address, "controller": "shop", "type": kind, "at": at, "topics": ["offers/books"], "actor": "person",
    });
    if kind == "opt_in" {
        event["mechanism"] = "unticked_box_ticked".into();
        event["source"] = "sign-up form".into();
        event["text_version"] = "newsletter-4".into();
    }
    event.to_string()
}

fn opt_in(address: &str) -> String {
    event(address, "opt_in", "2026-01-10T12:00:00+01:00")
}

/// Sends to these with these parameters and returns envelope and content of the notice.
fn notice(upstream: &Upstream, events: &[String], mail: &str, recipients: &[&str]) -> support::Message {
    let gate = Gate::in_front_of(upstream.address);
    gate.import(&events.iter().map(String::as_str).collect::<Vec<_>>());
    let mut client = gate.client();
    client.command(mail, "250");
    recipients.iter().for_each(|recipient| _ = client.command(recipient, "250"));
    client.command("DATA", "354");
    client.write(format!("{BOOKS}.\r\n").as_bytes());
    client.expect("250");
    client.quit();
    let record = upstream.record();
    let notices: Vec<_> = record.accepted().into_iter().filter(|message| message.from.starts_with("<>")).collect();
    assert_eq!(notices.len(), 1);
    notices[0].clone()
}

#[test]
fn the_notice_is_a_delivery_status_report_with_a_block_for_each_withheld_recipient() {
    let upstream = Upstream::start();
    let events = [
        opt_in("anna@x.example"),
        opt_in("bob@y.example"),
        event("bob@y.example", "object", "2026-02-01T12:00:00+01:00"),
    ];
    let notice = notice(
        &upstream,
        &events,
        &format!("MAIL FROM:<{SENDER}> ENVID=campaign+2D7"),
        &[
            "RCPT TO:<anna@x.example>",
            "RCPT TO:<bob@y.example> ORCPT=rfc822;robert@old.example",
            "RCPT TO:<carl@z.example>",
        ],
    );
    assert_eq!(notice.to, [format!("<{SENDER}>")]);
    assert!(!String::from_utf8_lossy(&notice.content).contains("anna"), "another recipient's state");
    assert!(!String::from_utf8_lossy(&notice.content).contains("nobody is to see"), "the body");
    let Some(message) = read(&notice.content) else { return };
    assert_no_defects(&message);
    assert_eq!((&message["type"], &message["report"]), (&json!("multipart/report"), &json!("delivery-status")));
    assert_eq!(only(&message, "To"), SENDER);
    assert!(only(&message, "Auto-Submitted").starts_with("auto-replied"), "{message:#}");
    assert_eq!(only(&message, "MIME-Version"), "1.0");
    for name in ["From", "Date", "Message-ID", "Subject"] {
        only(&message, name);
    }
    let parts = message["parts"].as_array().unwrap();
    let types: Vec<&str> = parts.iter().map(|part| part["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["text/plain", "message/delivery-status", "text/rfc822-headers"]);
    let text = parts[0]["text"].as_str().unwrap();
    assert!(text.contains("bob@y.example") && text.contains("carl@z.example"), "{text}");

    let blocks = parts[1]["parts"].as_array().unwrap();
    assert_eq!(blocks.len(), 3, "one about the message, one for each of two recipients: {:#}", parts[1]);
    assert_eq!(only(&blocks[0], "Reporting-MTA"), "dns; gate.example.net");
    assert_eq!(only(&blocks[0], "Original-Envelope-Id"), "campaign-7");
    let told: Vec<Vec<&str>> = blocks[1..]
        .iter()
        .map(|block| ["Final-Recipient", "Action", "Status"].map(|name| only(block, name)).to_vec())
        .collect();
    assert_eq!(told, [["rfc822; bob@y.example", "failed", "5.7.1"], ["rfc822; carl@z.example", "failed", "5.7.1"]]);
    assert_eq!(field(&blocks[1], "Original-Recipient"), ["rfc822; robert@old.example"]);
    assert!(field(&blocks[2], "Original-Recipient").is_empty());
    for (block, reason) in [(&blocks[1], "OBJ_TOPIC"), (&blocks[2], "CONSENT_NONE")] {
        assert!(block["fields"].to_string().contains(reason), "{block:#}");
    }
    let original = parts[2]["text"].as_str().unwrap();
    assert!(original.contains("Message-ID: <1@exemple.fr>"), "{original}");
}

#[test]
fn a_copy_upstream_refused_is_reported_with_upstreams_words() {
    let upstream = Upstream::scripted(|moment| match moment.verb {
        Verb::Dot if moment.nth == 1 => say("554 5.7.9 Your reputation\n5.7.9 is poor"),
        _ => Act::Normal,
    });
    let events = [opt_in("anna@x.example"), opt_in("bob@y.example")];
    let recipients = ["RCPT TO:<anna@x.example>", "RCPT TO:<bob@y.example>"];
    let notice = notice(&upstream, &events, &format!("MAIL FROM:<{SENDER}>"), &recipients);
    let Some(message) = read(&notice.content) else { return };
    assert_no_defects(&message);
    let blocks = message["parts"][1]["parts"].as_array().unwrap();
    assert_eq!(blocks.len(), 2);
    assert_eq!(only(&blocks[1], "Final-Recipient"), "rfc822; bob@y.example");
    assert_eq!(only(&blocks[1], "Status"), "5.7.9");
    let diagnostic = only(&blocks[1], "Diagnostic-Code");
    assert!(diagnostic.starts_with("smtp;") && diagnostic.contains("Your reputation"), "{diagnostic}");
}

#[test]
fn addresses_beyond_ascii_make_an_internationalized_report() {
    let upstream = Upstream::start();
    let events = [opt_in("anna@x.example")];
    let notice = notice(
        &upstream,
        &events,
        "MAIL FROM:<élodie@exemple.fr> SMTPUTF8",
        &["RCPT TO:<anna@x.example>", "RCPT TO:<zoé@z.example>"],
    );
    assert_eq!(notice.to, ["<élodie@exemple.fr>"]);
    assert!(notice.from.contains("SMTPUTF8"), "{}", notice.from);
    let text = String::from_utf8(notice.content.clone()).unwrap();
    assert!(text.contains("zoé@z.example"), "{text}");
    let Some(message) = read(&notice.content) else { return };
    let types: Vec<&str> =
        message["parts"].as_array().unwrap().iter().map(|part| part["type"].as_str().unwrap()).collect();
    assert_eq!(types[1], "message/global-delivery-status", "RFC 6533: {text}");
}
