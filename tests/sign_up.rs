//! Signing up with the built gate: the form, the mail with the question, the answer, and the newsletter that then passes.

mod support;

use consentry::consent::stamp::stamp;
use consentry::consent::token::SealingKeys;
use jiff::{SignedDuration, Timestamp};
use mail_parser::MessageParser;
use serde_json::{Value, json};
use support::gate::POLICY;
use support::http::{Answer, form, request};
use support::{Gate, Message, Upstream};

const ANNA: &str = "anna@x.example";
const BOOKS: &[u8] = b"From: news@exemple.fr\r\nSubject: What is new\r\nX-Kind: newsletter\r\n\r\nThree novels.\r\nhttps://exemple.fr/desinscription/1\r\n";

fn hidden(page: &Answer, name: &str) -> String {
    let after = page.body.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap_or_else(|| panic!("{}", page.body));
    after.split('"').next().unwrap().to_owned()
}

/// Fills in the controller's own form, as if it had been open for a minute.
fn sign_up(gate: &Gate, address: &str) -> Answer {
    let web = gate.listener("web.public");
    let page = request(web, "GET", "/subscribe/shop", "Accept-Language: en\r\n", "");
    assert_eq!(page.status, 200, "{}", page.body);
    let keys = SealingKeys::new(vec![[7; 32]]).unwrap();
    let stamp = stamp(&keys, "shop", Timestamp::now() - SignedDuration::from_mins(1));
    let version = hidden(&page, "text_version");
    let fields = [
        ("stamp", &*stamp),
        ("text_version", &version),
        ("language", "en"),
        ("address", address),
        ("topic", "offers/books"),
    ];
    form(web, "/subscribe/shop", "Sec-Fetch-Site: same-origin\r\n", &fields)
}

fn text_of(message: &Message) -> String {
    MessageParser::default().parse(&message.content).unwrap().body_text(0).unwrap().into_owned()
}

fn link_in(message: &Message) -> String {
    let text = text_of(message);
    let link = text.split_whitespace().find_map(|word| word.strip_prefix("http://127.0.0.1:8080"));
    link.unwrap_or_else(|| panic!("{text}")).to_owned()
}

/// The first so many messages that upstream takes.
fn messages(upstream: &Upstream, count: usize) -> Vec<Message> {
    let record = upstream.wait_for("messages", |record| record.accepted().len() >= count);
    record.accepted().into_iter().cloned().collect()
}

fn confirm(gate: &Gate, link: &str, fields: &[(&str, &str)]) -> Answer {
    form(gate.listener("web.public"), link, "Accept-Language: en\r\n", fields)
}

fn send_books(gate: &Gate) -> String {
    let mut client = gate.client();
    let reply = client.send("bounces@exemple.fr", &[ANNA], BOOKS);
    client.quit();
    reply
}

fn history(gate: &Gate) -> Vec<Value> {
    let told = gate.run_command(&["contact", "history", ANNA, "--json"]);
    told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn from_the_form_to_the_newsletter_that_passes() {
    let upstream = Upstream::start();
    let gate = Gate::in_front_of(upstream.address);
    let reply = send_books(&gate);
    assert!(reply.contains("(CONSENT_NONE)"), "{reply}");
    let told = sign_up(&gate, ANNA);
    assert!(told.status == 200 && told.body.contains("Look into your mailbox"), "{}", told.body);
    let question = upstream.single_message();
    let read = MessageParser::default().parse(&question.content).unwrap();
    let from = read.from().unwrap().first().unwrap();
    assert_eq!((from.name(), from.address()), (Some("Librairie Exemple"), Some("dpo@exemple.fr")));
    assert_eq!(read.subject(), Some("Librairie Exemple: please confirm"));
    assert!(read.header("List-Unsubscribe").is_none(), "nothing but the question");
    let reply = send_books(&gate);
    assert!(reply.contains("(CONSENT_PENDING)"), "{reply}");

    let link = link_in(&question);
    let page = request(gate.listener("web.public"), "GET", &link, "Accept-Language: en\r\n", "");
    assert!(page.status == 200 && page.body.contains("Book offers"), "{}", page.body);
    assert!(send_books(&gate).contains("(CONSENT_PENDING)"), "looking changes nothing");
    assert_eq!(confirm(&gate, &link, &[("confirm", "yes")]).status, 200);
    let reply = send_books(&gate);
    assert!(reply.starts_with("250"), "{reply}");
    assert!(send_books(&gate).starts_with("250"));

    let journal = gate.journal();
    let asked = journal.iter().find(|row| row["reason"] == "SVC_DOI").unwrap_or_else(|| panic!("{journal:#?}"));
    assert_eq!((&asked["class"], &asked["controller"]), (&json!("service"), &json!("shop")));
    let kept = gate.run_command(&["contact", "text", "list"]);
    assert!(kept.contains("form-shop-"), "{kept}");
    assert!(gate.log().iter().all(|line| !line.contains("anna")), "no address in the log");
}

#[test]
fn what_a_clerk_noted_is_asked_about_once_and_confirmed_by_a_tick() {
    let upstream = Upstream::start();
    let mut gate = Gate::in_front_of(upstream.address);
    let noted = [
        "contact",
        "record",
        ANNA,
        "--type",
        "opt_in",
        "--mechanism",
        "oral_delegated",
        "--actor",
        "delegate",
        "--source",
        "in_store:lyon",
        "--topics",
        "offers/books,offers/music",
        "--text-version",
        "shop-1",
        "--by",
        "ines",
    ];
    gate.run_command(&noted);
    let asked = gate.run_command(&["contact", "ask", ANNA, "--lang", "en", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&asked).unwrap()["asked"], true, "{asked}");
    let question = messages(&upstream, 1).remove(0);
    assert!(text_of(&question).contains("Tick on this page"), "{}", text_of(&question));
    let again = gate.command(&["contact", "ask", ANNA, "--json"]).output().unwrap();
    assert_eq!(again.status.code(), Some(1), "once is enough");
    let waiting = gate.run_command(&["contact", "ask", "--waiting", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&waiting).unwrap(), json!({"asked": 0, "asked_before": 1}));
    gate.kill();
    gate.run();

    let link = link_in(&question);
    let page = request(gate.listener("web.public"), "GET", &link, "Accept-Language: en\r\n", "");
    assert!(page.body.contains("type=\"checkbox\"") && !page.body.contains("checked"), "{}", page.body);
    assert!(send_books(&gate).contains("(CONSENT_"), "noted is not agreed");
    let version = hidden(&page, "text_version");
    let ticked = [("confirm", "yes"), ("topic", "offers/books"), ("text_version", &*version), ("language", "en")];
    assert_eq!(confirm(&gate, &link, &ticked).status, 200);
    assert!(send_books(&gate).starts_with("250"));
    let confirmed = history(&gate).pop().unwrap();
    assert_eq!(confirmed["topics"], json!(["offers/books"]), "{confirmed}");
    assert_eq!(upstream.record().accepted().len(), 2, "the question once, the newsletter once");
}

#[test]
fn who_does_not_answer_is_reminded_once_and_who_said_no_is_not() {
    let upstream = Upstream::start();
    let mut gate = Gate::builder(upstream.address).policy(&format!("doi_reminder = \"1 second\"\n{POLICY}")).start();
    assert_eq!(sign_up(&gate, ANNA).status, 200);
    let sent = messages(&upstream, 2);
    assert!(!text_of(&sent[0]).contains("only reminder") && text_of(&sent[1]).contains("only reminder"));
    let due = || gate.run_command(&["contact", "ask", "--waiting", "--json"]);
    assert_eq!(
        serde_json::from_str::<Value>(&due()).unwrap()["asked"],
        0,
        "who signed up is asked by the sign-up alone"
    );
    assert_eq!(confirm(&gate, &link_in(&sent[1]), &[("confirm", "yes")]).status, 200);
    assert!(send_books(&gate).starts_with("250"));
    gate.stop();
    gate.run();
    // What would be due once more is due at once, and the round that looks for it is the one that sends this.
    let noted = [
        "contact",
        "record",
        "bob@x.example",
        "--type",
        "opt_in",
        "--mechanism",
        "oral_delegated",
        "--actor",
        "delegate",
        "--source",
        "in_store:lyon",
        "--topics",
        "offers/books",
        "--by",
        "ines",
        "--ask",
    ];
    gate.run_command(&noted);
    let sent = messages(&upstream, 4);
    let to_anna = sent.iter().filter(|message| message.to.iter().any(|to| to.contains("anna"))).count();
    assert_eq!(to_anna, 3, "question, reminder, newsletter");
}

#[test]
fn a_form_on_a_web_site_is_pasted_and_posts_to_the_gate() {
    let upstream = Upstream::start();
    let forms = "[form.news]\ncontroller = \"shop\"\ntopics = [\"offers/books\"]\norigins = [\"https://exemple.fr\"]\n\
                 text = { fr = \"Je veux recevoir :\", en = \"I want to receive:\" }\n";
    let policy = POLICY.replace("[[rule]]", &format!("{forms}[[rule]]"));
    let gate = Gate::builder(upstream.address).policy(&policy).start();
    let listed = gate.run_command(&["form", "list"]);
    assert!(listed.contains("news") && listed.contains("/subscribe/shop/news"), "{listed}");
    let shown = gate.run_command(&["form", "show", "news", "--lang", "en"]);
    assert!(shown.contains("I want to receive:") && shown.contains("- Book offers"), "{shown}");
    let html = gate.run_command(&["form", "snippet", "news", "--lang", "en"]);
    assert!(!html.contains("<script") && html.contains("Book offers") && html.contains("I want to receive:"), "{html}");
    let snippet = Answer { status: 200, head: String::new(), body: html };
    let version = hidden(&snippet, "text_version");
    let fields = [("text_version", &*version), ("language", "en"), ("address", ANNA), ("topic", "offers/books")];
    let web = gate.listener("web.public");
    let refused = form(web, "/subscribe/shop/news", "Origin: https://evil.example\r\n", &fields);
    assert_eq!(refused.status, 403);
    let taken =
        form(web, "/subscribe/shop/news", "Origin: https://exemple.fr\r\nSec-Fetch-Site: cross-site\r\n", &fields);
    assert_eq!(taken.status, 200, "{}", taken.body);
    let question = upstream.single_message();
    assert_eq!(confirm(&gate, &link_in(&question), &[("confirm", "yes")]).status, 200);
    assert!(send_books(&gate).starts_with("250"));
}
