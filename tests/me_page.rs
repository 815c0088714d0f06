//! `/u/me` of the built gate: from the fixed address in a mailer's template to the mail that is withheld.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mail_parser::MessageParser;
use serde_json::{Value, json};
use support::http::{Answer, form, request};
use support::upstream::say;
use support::{Act, Gate, Message, Upstream, Verb};

const ANNA: &str = "anna@x.example";
const BOOKS: &[u8] = b"From: news@exemple.fr\r\nSubject: What is new\r\nX-Kind: newsletter\r\n\r\nThree novels.\r\nhttps://exemple.fr/desinscription/1\r\n";

fn opt_in(address: &str) -> String {
    json!({
        "address": address, "controller": "shop", "type": "opt_in", "at": "2026-01-10T12:00:00+01:00",
        "topics": ["offers"], "mechanism": "unticked_box_ticked", "source": "sign-up form", "text_version": "n4",
        "actor": "person",
    })
    .to_string()
}

fn enter(gate: &Gate, fields: &[(&str, &str)]) -> Answer {
    form(gate.listener("web.public"), "/u/me", "Accept-Language: en\r\n", fields)
}

fn hidden(page: &Answer, name: &str) -> String {
    let after = page.body.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap_or_else(|| panic!("{}", page.body));
    after.split('"').next().unwrap().to_owned()
}

/// The boxes of a page, as a browser would send them.
fn boxes(page: &Answer) -> Vec<String> {
    let values = page.body.split("type=\"checkbox\" name=\"leave\" value=\"").skip(1);
    values.map(|rest| rest.split('"').next().unwrap().replace("&quot;", "\"").replace("&#x2f;", "/")).collect()
}

fn code_in(message: &Message) -> String {
    let read = MessageParser::default().parse(&message.content).unwrap();
    let text = read.body_text(0).unwrap().into_owned();
    let code = text.lines().map(str::trim).find(|line| line.len() == 6 && line.bytes().all(|b| b.is_ascii_digit()));
    code.unwrap_or_else(|| panic!("no code in {text}")).to_owned()
}

fn send_books(gate: &Gate) -> String {
    let mut client = gate.client();
    let reply = client.send("bounces@exemple.fr", &[ANNA], BOOKS);
    client.quit();
    reply
}

fn row<'a>(journal: &'a [Value], reason: &str) -> &'a Value {
    journal.iter().find(|row| row["reason"] == reason).unwrap_or_else(|| panic!("no {reason}: {journal:#?}"))
}

#[test]
fn from_the_fixed_address_to_the_mail_that_is_withheld() {
    let upstream = Upstream::start();
    let mut gate = Gate::in_front_of(upstream.address);
    gate.import(&[&opt_in(ANNA)]);
    let page = request(gate.listener("web.public"), "GET", "/u/me", "", "");
    assert!(page.status == 200 && page.body.contains("name=\"address\""));

    let page = enter(&gate, &[("address", ANNA)]);
    assert_eq!(page.status, 200, "{}", page.body);
    let mail = upstream.single_message();
    let code = code_in(&mail);
    let form = [("request", &*hidden(&page, "request")), ("code", &code)];
    let choice = enter(&gate, &form);
    assert!(choice.body.contains("Book offers") && choice.body.contains("Music offers"), "{}", choice.body);
    let books = &boxes(&choice)[0];
    let left = enter(&gate, &[&form[..], &[("step", "leave"), ("leave", books)]].concat());
    assert!(left.status == 200 && left.body.contains("Book offers"), "{}", left.body);

    let reply = send_books(&gate);
    assert!(reply.starts_with("550 5.7.1") && reply.contains("(OBJ_TOPIC)"), "{reply}");
    let history = gate.run_command(&["contact", "history", ANNA, "--json"]);
    assert!(history.contains("\"web:me\"") && history.contains("\"link_page\""), "{history}");
    gate.stop();
    assert_journalled_and_secret(&gate, &code);
}

fn assert_journalled_and_secret(gate: &Gate, code: &str) {
    let journal = gate.journal();
    let sent = row(&journal, "SVC_RIGHTS");
    assert_eq!((&sent["decision"], &sent["outcome"]["result"]), (&json!("allow"), &json!("delivered")));
    assert_eq!(sent["listener"], "web.public");
    let reference = sent["ref"].as_str().unwrap();
    let told = gate.run_command(&["explain", "--ref", reference]);
    assert!(told.contains("SVC_RIGHTS") && !told.contains("recorded as"), "{told}");
    let log = gate.log().join("\n");
    assert!(!log.contains(ANNA) && !log.contains(code), "{log}");
    for file in std::fs::read_dir(gate.directory()).unwrap() {
        let path = file.unwrap().path();
        if path.to_string_lossy().contains("consentry.db") {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(6).any(|window| window == code.as_bytes()), "the code is in {}", path.display());
        }
    }
}

#[test]
fn the_mail_is_one_another_parser_reads_and_no_machine_answers() {
    let (upstream, codes) = (Upstream::start(), Upstream::start());
    let settings = format!(
        "mail_from = \"no-reply@exemple.fr\"\nmail_upstream = \"codes\"\n\
         [upstream.codes]\naddress = [\"{}\"]\ntls = \"off\"\n",
        codes.address
    );
    let gate = Gate::builder(upstream.address).settings(&settings).start();
    form(gate.listener("web.public"), "/u/me", "Accept-Language: fr\r\n", &[("address", "\u{e9}ric@x.example")]);
    let mail = codes.single_message();
    assert!(mail.from.starts_with("<no-reply@exemple.fr>") && mail.from.contains("SMTPUTF8"), "{}", mail.from);
    assert_eq!(mail.to, ["<\u{e9}ric@x.example> NOTIFY=NEVER"]);
    let read = MessageParser::default().parse(&mail.content).unwrap();
    assert_eq!(read.subject(), Some("Votre code de désabonnement"));
    assert!(read.body_text(0).unwrap().contains("Saisissez-le dans les 15 minutes"));
    let from = read.from().unwrap().first().unwrap();
    assert_eq!((from.name(), from.address()), (Some("Librairie Exemple"), Some("no-reply@exemple.fr")));
    assert_eq!(read.header("Auto-Submitted").and_then(|value| value.as_text()), Some("auto-generated"));
    assert!(String::from_utf8_lossy(&mail.content).contains("\r\nContent-Language: fr\r\n"));
    assert!(read.date().is_some() && read.message_id().unwrap().ends_with("@gate.example.net"));
    assert!(read.header("X-Consentry-Kind").is_none() && read.header("List-Unsubscribe").is_none());
    assert!(upstream.record().messages.is_empty());
}

#[test]
fn who_is_known_and_who_is_not_read_the_same_and_are_asked_alike() {
    let upstream = Upstream::start();
    let gate = Gate::in_front_of(upstream.address);
    gate.import(&[&opt_in(ANNA)]);
    let pages: Vec<String> = [ANNA, "zoe@x.example"]
        .iter()
        .map(|address| {
            let page = enter(&gate, &[("address", address)]);
            let dateless = page.head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date:"));
            let head: Vec<&str> = dateless.collect();
            head.join("\n") + &page.body.replace(&hidden(&page, "request"), "")
        })
        .collect();
    assert_eq!(pages[0], pages[1]);
    let record = upstream.wait_for("both mails", |record| record.messages.len() == 2);
    assert_eq!(record.messages[1].to, ["<zoe@x.example> NOTIFY=NEVER"]);
}

#[test]
fn a_mailbox_that_does_not_exist_is_told_to_nobody() {
    let upstream = Upstream::scripted(|moment| match moment.verb {
        Verb::Rcpt if moment.line.contains("zoe@") => say("550 5.1.1 no such user"),
        _ => Act::Normal,
    });
    let mut gate = Gate::in_front_of(upstream.address);
    let page = enter(&gate, &[("address", "zoe@x.example")]);
    assert!(page.status == 200 && page.body.contains("name=\"code\""), "{}", page.body);
    gate.stop();
    assert_eq!(row(&gate.journal(), "SVC_RIGHTS")["outcome"]["result"], "refused");
    assert!(!gate.log().join("\n").contains("zoe@"));
}

#[test]
fn while_upstream_is_down_the_page_says_so_and_later_all_goes_on() {
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    let upstream = Upstream::scripted(move |moment| match moment.verb {
        Verb::Greeting if is_down.load(Ordering::SeqCst) => Act::Close,
        Verb::Mail if moment.nth == 0 => say("451 4.3.0 not now"),
        _ => Act::Normal,
    });
    let gate = Gate::in_front_of(upstream.address);
    gate.import(&[&opt_in(ANNA)]);
    for round in 0..5 {
        let page = enter(&gate, &[("address", ANNA)]);
        assert_eq!(page.status, 503, "round {round}: {}", page.body);
        assert!(page.body.contains("could not be sent") && page.body.contains("dpo@exemple.fr"));
        assert!(page.body.contains(&format!("value=\"{ANNA}\"")) && page.head.to_lowercase().contains("retry-after"));
        // Not only who hangs up, also who says no for a while.
        down.store(round < 3, Ordering::SeqCst);
    }
    let page = enter(&gate, &[("address", ANNA)]);
    assert_eq!(page.status, 200, "what was not sent was not counted: {}", page.body);
    let code = code_in(&upstream.single_message());
    assert_eq!(enter(&gate, &[("request", &hidden(&page, "request")), ("code", &code)]).status, 200);
}
