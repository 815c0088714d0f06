//! Choices and rights at the built gate: from the page to the next message and the ledger.

mod support;

use mail_parser::MessageParser;
use serde_json::json;
use support::http::{Answer, form, request};
use support::{Gate, Upstream};

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

fn send_books(gate: &Gate, to: &str) -> String {
    let mut client = gate.client();
    let reply = client.send("bounces@exemple.fr", &[to], BOOKS);
    client.quit();
    reply
}

/// The path of the choices, by the link in the last message.
fn choices_of(upstream: &Upstream) -> String {
    let record = upstream.record();
    let content = String::from_utf8(record.accepted().last().unwrap().content.clone()).unwrap();
    let link = content.split("List-Unsubscribe: <").nth(1).and_then(|rest| rest.split('>').next()).unwrap();
    format!("/p/{}", link.rsplit('/').next().unwrap())
}

fn post(gate: &Gate, path: &str, fields: &[(&str, &str)]) -> Answer {
    form(gate.listener("web.public"), path, "Accept-Language: en\r\n", fields)
}

fn hidden(page: &Answer, name: &str) -> Vec<String> {
    let before = format!("name=\"{name}\" value=\"");
    let parts = page.body.split(&before).skip(1).map(|rest| rest.split('"').next().unwrap());
    parts.map(|value| value.replace("&#x2f;", "/")).collect()
}

/// What a browser sends back with these topics ticked and everything as it was; then these fields.
fn save(gate: &Gate, path: &str, page: &Answer, on: &[&str], more: &[(&str, &str)]) -> Answer {
    let shown = hidden(page, "shown");
    let limits: Vec<String> = shown.iter().map(|one| format!("limit/{}", one.split(' ').next().unwrap())).collect();
    let count = shown.len().to_string();
    let mut fields = vec![
        ("step", "save"),
        ("count", count.as_str()),
        ("shown-limit", "none"),
        ("shown-pause", ""),
        ("shown-channels", ""),
    ];
    fields.extend(shown.iter().map(|one| ("shown", one.as_str())));
    fields.extend(limits.iter().map(|name| (name.as_str(), "none")));
    fields.extend(on.iter().map(|path| ("on", *path)));
    let has = |name: &str| more.iter().any(|(other, _)| *other == name);
    fields.extend([("limit", "none"), ("pause", "")].into_iter().filter(|(name, _)| !has(name)));
    fields.extend(more);
    post(gate, path, &fields)
}

fn code_in(upstream: &Upstream) -> String {
    let content = upstream.record().accepted().last().unwrap().content.clone();
    let read = MessageParser::default().parse(&content).unwrap();
    let text = read.body_text(0).unwrap().into_owned();
    let code = text.lines().map(str::trim).find(|line| line.len() == 6 && line.bytes().all(|b| b.is_ascii_digit()));
    code.unwrap_or_else(|| panic!("no code in {text}")).to_owned()
}

#[test]
fn what_is_chosen_is_what_the_next_message_meets() {
    let upstream = Upstream::start();
    let mut gate = Gate::in_front_of(upstream.address);
    gate.import(&[&opt_in(ANNA)]);
    assert!(send_books(&gate, ANNA).starts_with("250"));
    let path = choices_of(&upstream);
    let page = request(gate.listener("web.public"), "GET", &path, "Accept-Language: en\r\n", "");
    assert!(page.status == 200 && page.body.contains("Book offers"), "{}", page.body);
    assert!(send_books(&gate, ANNA).starts_with("250"), "looking changes nothing");

    let saved = save(&gate, &path, &page, &["offers/music"], &[]);
    assert!(saved.status == 200 && saved.body.contains("Book offers"), "{}", saved.body);
    assert!(send_books(&gate, ANNA).contains("(OBJ_TOPIC)"));

    let page = request(gate.listener("web.public"), "GET", &path, "", "");
    let saved = save(&gate, &path, &page, &["offers/books", "offers/music"], &[]);
    assert_eq!(saved.status, 200, "{}", saved.body);
    assert!(send_books(&gate, ANNA).contains("(OBJ_TOPIC)"), "a link may have been passed on");
    let asked = post(&gate, &path, &[("step", "ask-code")]);
    let (request_id, code) = (hidden(&asked, "request").remove(0), code_in(&upstream));
    let proof = [("request", request_id.as_str()), ("code", code.as_str())];
    let page = post(&gate, &path, &[&proof[..], &[("step", "choices")]].concat());
    let more = [&proof[..], &[("limit", "1/month")]].concat();
    let saved = save(&gate, &path, &page, &["offers/books", "offers/music"], &more);
    assert_eq!(saved.status, 200, "{}", saved.body);
    assert!(send_books(&gate, ANNA).contains("(FREQ_CAP)"), "two went already this month");
    let page = request(gate.listener("web.public"), "GET", &path, "", "");
    assert!(page.body.contains("value=\"1&#x2f;month\" selected"), "{}", page.body);

    assert_eq!(post(&gate, &path, &[("step", "off")]).status, 200);
    assert!(send_books(&gate, ANNA).contains("(OBJ_GLOBAL)"));
    let history = gate.run_command(&["contact", "history", ANNA, "--json"]);
    for said in [
        "\"withdraw\"",
        "\"preference_centre\"",
        "\"frequency\"",
        "\"preferences:link\"",
        "\"preferences:code\"",
        "\"preferences-",
    ] {
        assert!(history.contains(said), "no {said} in {history}");
    }
    gate.stop();
    assert!(gate.run_command(&["ledger", "verify"]).contains("the ledger holds"));
    let log = gate.log().join("\n");
    assert!(!log.contains(ANNA) && !log.contains(path.trim_start_matches("/p/")), "{log}");
}

#[test]
fn rights_are_asked_for_with_a_code_and_stand_in_the_ledger() {
    let upstream = Upstream::start();
    let mut gate = Gate::in_front_of(upstream.address);
    gate.import(&[&opt_in(ANNA)]);
    let page = post(&gate, "/rights/shop", &[("address", ANNA)]);
    assert_eq!(page.status, 200, "{}", page.body);
    let (request, code) = (hidden(&page, "request").remove(0), code_in(&upstream));
    let proof = [("request", request.as_str()), ("code", code.as_str())];
    let told = post(&gate, "/rights/shop", &[&proof[..], &[("step", "json")]].concat());
    assert!(told.body.contains("\"consentry-contact-1\"") && told.body.contains(ANNA), "{}", told.body);
    let erased = post(&gate, "/rights/shop", &[&proof[..], &[("step", "erase-now"), ("keep-mark", "1")]].concat());
    assert_eq!(erased.status, 200, "{}", erased.body);
    assert!(send_books(&gate, ANNA).contains("(OBJ_HASH)"));
    gate.stop();
    assert!(gate.run_command(&["ledger", "verify"]).contains("the ledger holds"));
    let text = gate.run_command(&["rights", "text", "--controller", "shop", "--lang", "fr"]);
    assert!(text.contains("/rights/shop") && text.contains("vous opposer"), "{text}");
}
