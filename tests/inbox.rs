//! Mail to the gate itself: what a person, a mail system or a mailbox provider sends, and what the next newsletter
//! then meets.

mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use rusqlite::Connection;
use serde_json::{Value, json};
use support::gate::POLICY;
use support::peers::{Postfix, program, until};
use support::upstream::say;
use support::{Act, Client, Gate, Upstream, Verb};

const ANNA: &str = "anna@x.example";
const OUT: &str = "out@exemple.fr";
const REPORTS: &str = "bounces@exemple.fr";
const BOOKS: &[u8] = b"From: news@exemple.fr\r\nSubject: What is new\r\nMessage-ID: <n1@exemple.fr>\r\n\
    X-Kind: newsletter\r\n\r\nThree novels.\r\nhttps://exemple.fr/desinscription/1\r\n";
const ORDER: &[u8] =
    b"From: shop@exemple.fr\r\nSubject: Your order\r\nMessage-ID: <o1@exemple.fr>\r\n\r\nOn its way.\r\n";

fn opt_in(address: &str) -> String {
    json!({
        "address": address, "controller": "shop", "type": "opt_in", "at": "2026-01-10T12:00:00+01:00",
        "topics": ["offers"], "mechanism": "unticked_box_ticked", "source": "sign-up form", "text_version": "n4",
        "actor": "person",
    })
    .to_string()
}

fn gate_with(upstream: &Upstream, inbox: &str) -> Gate {
    let policy = POLICY.replace("kind = \"company\"", &format!("kind = \"company\"\nunsubscribe_mailto = \"{OUT}\""));
    let settings = format!("[inbox.mail]\nlisten = [\"127.0.0.1:0\"]\naddresses = [\"{REPORTS}\"]\n{inbox}\n");
    let gate = Gate::builder(upstream.address).policy(&policy).settings(&settings).start();
    gate.import(&[&opt_in(ANNA)]);
    gate
}

fn gate(upstream: &Upstream) -> Gate {
    gate_with(upstream, "")
}

fn relay(gate: &Gate, content: &[u8]) -> String {
    let mut client = gate.client();
    let reply = client.send("bounces@exemple.fr", &[ANNA], content);
    client.quit();
    reply
}

/// The newsletter goes out; its token.
fn token(gate: &Gate, upstream: &Upstream) -> String {
    assert!(relay(gate, BOOKS).starts_with("250"));
    let copy = String::from_utf8(upstream.single_message().content).unwrap();
    let field = copy.lines().find(|line| line.starts_with("List-Unsubscribe: ")).unwrap().to_owned();
    let token = field.split("/u/").nth(1).unwrap().split('>').next().unwrap().to_owned();
    assert!(field.ends_with(&format!("<mailto:{OUT}?subject=unsubscribe%20{token}>")), "{field}");
    token
}

fn write_to(gate: &Gate, from: &str, to: &str, content: &str) -> String {
    let mut client = Client::ready(gate.listener("inbox.mail"));
    let reply = client.send(from, &[to], content.replace('\n', "\r\n").as_bytes());
    client.quit();
    reply
}

#[track_caller]
fn taken(gate: &Gate, from: &str, to: &str, content: &str) {
    let reply = write_to(gate, from, to, content);
    assert!(reply.starts_with("250 2.6.0"), "{reply}");
}

fn history(gate: &Gate, address: &str) -> Vec<Value> {
    let output = gate.command(&["contact", "history", address, "--json"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn kinds(gate: &Gate, address: &str) -> Vec<String> {
    let kind = |row: &Value| row["event"]["type"].as_str().or(row["type"].as_str()).unwrap().to_owned();
    history(gate, address).iter().map(kind).collect()
}

fn unclear(gate: &Gate) -> Vec<Value> {
    gate.run_command(&["inbox", "list", "--json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn bounce(fields: &str, returned: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.example\nTo: {REPORTS}\nSubject: Undelivered\nAuto-Submitted: auto-replied\n\
         MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n\
         --b\nContent-Type: text/plain\n\nSorry.\n\n\
         --b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n{fields}\n\
         --b\nContent-Type: text/rfc822-headers\n\n{returned}\n--b--\n"
    )
}

fn failed(address: &str, status: &str) -> String {
    format!("Final-Recipient: rfc822; {address}\nAction: failed\nStatus: {status}\n")
}

fn returned(token: &str) -> String {
    format!("Subject: What is new\nMessage-ID: <n1@exemple.fr>\nList-Unsubscribe: <https://p.example/u/{token}>\n")
}

fn complaint(kind: &str, returned: &str) -> String {
    format!(
        "From: fbl@provider.example\nTo: {REPORTS}\nSubject: complaint\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n\
         --b\nContent-Type: text/plain\n\nA complaint.\n\n\
         --b\nContent-Type: message/feedback-report\n\nFeedback-Type: {kind}\nUser-Agent: x/1\nVersion: 1\n\n\
         --b\nContent-Type: message/rfc822\n\n{returned}\n\n--b--\n"
    )
}

#[test]
fn a_letter_with_the_token_ends_what_the_message_was_about_and_nothing_else() {
    let upstream = Upstream::start();
    let gate = gate(&upstream);
    let token = token(&gate, &upstream);
    // From somebody else: the token says whose it is.
    taken(&gate, "ben@y.example", OUT, &format!("From: ben@y.example\nSubject: Re: unsubscribe {token}\n\n\n"));
    assert!(relay(&gate, BOOKS).contains("(OBJ_TOPIC)"));
    assert!(relay(&gate, ORDER).starts_with("250"));
    let said = history(&gate, ANNA).pop().unwrap();
    let text = said.to_string();
    assert!(text.contains("\"mailto\"") && text.contains("token_by_mail"), "{text}");
    assert!(text.contains("offers/books") && text.contains("\"from_agrees\":false"), "{text}");
    // Said again it is the same.
    taken(&gate, ANNA, OUT, &format!("From: {ANNA}\nSubject: unsubscribe {token}\n\n\n"));
    assert_eq!(kinds(&gate, ANNA), ["opt_in", "object"]);
    let log = gate.log().join("\n");
    assert!(!log.contains(ANNA) && !log.contains("ben@") && !log.contains(&token), "{log}");
}

#[test]
fn who_answers_a_message_that_was_passed_on_speaks_for_themselves() {
    let upstream = Upstream::start();
    let gate = gate(&upstream);
    let token = token(&gate, &upstream);
    let quoted = format!("From: ben@y.example\nSubject: please stop\n\nNo more.\n> https://p.example/u/{token}\n");
    taken(&gate, "ben@y.example", OUT, &quoted);
    assert_eq!(kinds(&gate, ANNA), ["opt_in"], "the quoted message was hers, the letter is not");
    assert!(relay(&gate, BOOKS).starts_with("250"));
}

#[test]
fn a_report_that_names_no_message_of_ours_waits_for_a_person() {
    let upstream = Upstream::start();
    let gate = gate(&upstream);
    token(&gate, &upstream);
    taken(&gate, "", REPORTS, &bounce(&failed(ANNA, "5.1.1"), ""));
    assert_eq!(kinds(&gate, ANNA), ["opt_in"]);
    assert_eq!(unclear(&gate).len(), 1);
}

#[test]
fn a_letter_without_a_token_ends_everything_for_who_signs_it() {
    let upstream = Upstream::start();
    let gate = gate(&upstream);
    taken(&gate, ANNA, OUT, &format!("From: Anna <{ANNA}>\n\n\n"));
    assert!(relay(&gate, BOOKS).contains("(OBJ_GLOBAL)"));
    // Of somebody of whom nothing is known only a mark is kept, and it counts from the first import on.
    taken(&gate, "carl@z.example", OUT, "From: carl@z.example\nSubject: stop\n\n\n");
    assert!(kinds(&gate, "carl@z.example").is_empty());
    gate.import(&[&opt_in("carl@z.example")]);
    let mut client = gate.client();
    let reply = client.send("bounces@exemple.fr", &["carl@z.example"], BOOKS);
    assert!(reply.contains("(OBJ_HASH)"), "{reply}");
}

#[test]
fn what_a_program_answers_ends_nothing() {
    let upstream = Upstream::start();
    let gate = gate(&upstream);
    let token = token(&gate, &upstream);
    let vacation =
        format!("From: {ANNA}\nAuto-Submitted: auto-replied\nSubject: Away\n\n> https://p.example/u/{token}\n");
    taken(&gate, ANNA, OUT, &vacation);
    taken(&gate, "", OUT, &vacation);
    taken(&gate, OUT, OUT, &format!("From: {OUT}\nSubject: loop\n\n\n"));
    assert!(unclear(&gate).is_empty());
    // A request that comes from nobody is looked at.
    taken(&gate, "", OUT, &format!("From: {ANNA}\nSubject: unsubscribe {token}\n\n\n"));
    assert_eq!(unclear(&gate)[0]["why"], "request_without_sender");
    assert_eq!(kinds(&gate, ANNA), ["opt_in"]);
    assert!(upstream.single_message().accepted, "nothing was answered by mail");
}

#[test]
fn nothing_but_the_gates_own_mailboxes_is_taken() {
    let upstream = Upstream::start();
    let gate = gate(&upstream);
    let mut client = Client::ready(gate.listener("inbox.mail"));
    client.command("MAIL FROM:<>", "250");
    client.command(&format!("RCPT TO:<{ANNA}>"), "550 5.1.1");
    client.command("DATA", "554 5.5.1");
    client.command("RCPT TO:<OUT@Exemple.FR>", "250");
    client.command("AUTH PLAIN =", "503");
    client.command("LHLO x", "500");
    client.command("RSET", "250");
    client.command("DATA", "503");
    client.quit();
    assert!(upstream.record().messages.is_empty());
}

#[test]
fn a_bounce_for_good_withholds_the_next_newsletter_and_no_service_mail() {
    let upstream = Upstream::start();
    let gate = gate(&upstream);
    let token = token(&gate, &upstream);
    let delayed = "Final-Recipient: rfc822; anna@x.example\nAction: delayed\nStatus: 4.4.1\n";
    taken(&gate, "", REPORTS, &bounce(delayed, &returned(&token)));
    assert_eq!(kinds(&gate, ANNA), ["opt_in"]);
    // Forwarded: the report names whom we never wrote to, the token whom we did.
    taken(&gate, "", REPORTS, &bounce(&failed("other@y.example", "5.1.1"), &returned(&token)));
    taken(&gate, "", REPORTS, &bounce(&failed("other@y.example", "5.1.1"), &returned(&token)));
    assert_eq!(kinds(&gate, ANNA), ["opt_in", "bounce"]);
    assert!(history(&gate, ANNA)[1].to_string().contains("\"forwarded\":true"));
    assert!(relay(&gate, BOOKS).contains("(ADDR_DEAD)"));
    assert!(relay(&gate, ORDER).starts_with("250"));
}

#[test]
fn a_bounce_without_a_token_counts_for_mail_that_was_sent_and_for_no_other() {
    let upstream = Upstream::start();
    let gate = gate(&upstream);
    let order = "Subject: Your order\nMessage-ID: <o1@exemple.fr>\n";
    taken(&gate, "", REPORTS, &bounce(&failed(ANNA, "5.1.1"), order));
    assert!(unclear(&gate).is_empty() && kinds(&gate, ANNA) == ["opt_in"], "nothing had been sent");
    token(&gate, &upstream);
    taken(&gate, "", REPORTS, &bounce(&failed(ANNA, "5.1.1"), "Message-ID: <forged@exemple.fr>\n"));
    assert_eq!(unclear(&gate)[0]["why"], "bounce_of_another_message");
    taken(&gate, "", REPORTS, &bounce(&failed(ANNA, "5.2.2"), &returned("no-token")));
    assert_eq!(kinds(&gate, ANNA), ["opt_in", "bounce"]);
    assert!(relay(&gate, BOOKS).starts_with("250"), "a full mailbox is no dead one");
    taken(&gate, "", REPORTS, &bounce(&failed(ANNA, "5.1.1"), &returned("no-token")));
    assert!(relay(&gate, BOOKS).contains("(ADDR_DEAD)"));
}

#[test]
fn a_complaint_ends_everything_and_not_spam_does_not() {
    let upstream = Upstream::start();
    let gate = gate(&upstream);
    let token = token(&gate, &upstream);
    for kind in ["not-spam", "auth-failure"] {
        taken(&gate, "fbl@provider.example", REPORTS, &complaint(kind, &returned(&token)));
    }
    assert_eq!(kinds(&gate, ANNA), ["opt_in"]);
    taken(&gate, "fbl@provider.example", REPORTS, &complaint("abuse", &returned(&token)));
    taken(&gate, "fbl@provider.example", REPORTS, &complaint("abuse", &returned(&token)));
    assert_eq!(kinds(&gate, ANNA), ["opt_in", "complaint"]);
    assert!(relay(&gate, BOOKS).contains("(OBJ_COMPLAINT)"));
    taken(&gate, "fbl@provider.example", REPORTS, &complaint("abuse", &returned("forged")));
    assert_eq!(unclear(&gate)[0]["why"], "complaint_of_nobody_known");
}

#[test]
fn what_is_unclear_waits_for_an_operator_who_decides() {
    let upstream = Upstream::start();
    let gate = gate(&upstream);
    let token = token(&gate, &upstream);
    let qmail = format!(
        "From: MAILER-DAEMON@mx.example\nSubject: failure notice\n\nSorry, no mailbox \u{1b}[31mhere. (#5.1.1)\n\n\
         {}\n",
        returned(&token)
    );
    taken(&gate, "", REPORTS, &qmail);
    taken(&gate, "", REPORTS, &qmail);
    let waiting = unclear(&gate);
    assert_eq!(waiting.len(), 1, "the same message is kept once");
    assert_eq!((&waiting[0]["why"], &waiting[0]["address"]), (&json!("bounce_without_report"), &json!(ANNA)));
    let id = waiting[0]["id"].to_string();
    let shown = gate.run_command(&["inbox", "show", &id]);
    assert!(shown.contains("no mailbox") && !shown.contains('\u{1b}'), "{shown}");

    let said = gate.run_command(&["inbox", "resolve", &id, "--as", "bounce", "--by", "Zoé"]);
    assert!(said.contains("taken as bounce"), "{said}");
    let event = history(&gate, ANNA).pop().unwrap().to_string();
    assert!(event.contains("operator:Zoé") && event.contains("\"hard\":true"), "{event}");
    assert!(relay(&gate, BOOKS).contains("(ADDR_DEAD)"));
    assert!(unclear(&gate).is_empty());
    let again = gate.command(&["inbox", "resolve", &id, "--as", "nothing", "--by", "Zoé"]).output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    gate.run_command(&["ledger", "verify"]);
}

#[test]
fn whoever_is_erased_is_in_no_kept_mail() {
    let upstream = Upstream::start();
    let gate = gate(&upstream);
    taken(&gate, "ben@y.example", REPORTS, &format!("From: ben@y.example\nSubject: about {ANNA}\n\nHello.\n"));
    taken(&gate, "ben@y.example", REPORTS, "From: ben@y.example\nSubject: about nobody\n\nHello.\n");
    assert_eq!(unclear(&gate).len(), 2);
    gate.run_command(&["contact", "erase", ANNA, "--yes", "--by", "Zoé"]);
    assert_eq!(unclear(&gate).len(), 1);
}

#[test]
fn a_store_that_cannot_be_written_puts_the_letter_off_and_the_retry_is_one_event() {
    let upstream = Upstream::start();
    let gate = gate(&upstream);
    let letter = format!("From: {ANNA}\nSubject: stop\n\n\n");
    let holder = Connection::open(gate.directory().join("consentry.db")).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let reply = write_to(&gate, ANNA, OUT, &letter);
    assert!(reply.starts_with("451 4.3.1"), "{reply}");
    holder.execute_batch("ROLLBACK").unwrap();
    taken(&gate, ANNA, OUT, &letter);
    assert_eq!(kinds(&gate, ANNA), ["opt_in", "object"]);
}

#[test]
fn upstreams_refusal_of_an_address_is_a_bounce_and_of_a_message_is_none() {
    let upstream = Upstream::builder().script(|moment| match moment.verb {
        Verb::Rcpt if moment.line.contains("anna") => say("550 5.1.1 unknown user"),
        Verb::Rcpt if moment.line.contains("ben") => say("550 5.7.1 blocked"),
        _ => Act::Normal,
    });
    let upstream = upstream.start();
    let gate = gate(&upstream);
    let mut client = gate.client();
    for _ in 0..2 {
        client.command("MAIL FROM:<b@bounces.exemple.fr>", "250");
        client.command(&format!("RCPT TO:<{ANNA}>"), "550 5.1.1");
        client.command("RCPT TO:<ben@x.example>", "550 5.7.1");
        client.command("RSET", "250");
    }
    client.quit();
    // Nobody waits for the row.
    until("the bounce", || (kinds(&gate, ANNA).len() == 2).then_some(()));
    assert_eq!(kinds(&gate, ANNA), ["opt_in", "bounce"]);
    assert!(kinds(&gate, "ben@x.example").is_empty());
}

#[test]
fn lmtp_answers_for_each_recipient() {
    let upstream = Upstream::start();
    let gate = gate_with(&upstream, "protocol = \"lmtp\"");
    let mut client = Client::connect(gate.listener("inbox.mail"));
    client.expect("220");
    client.command("EHLO x", "500");
    client.command("LHLO x", "250");
    client.envelope(ANNA, &[OUT, REPORTS]);
    client.write(format!("From: {ANNA}\r\n\r\n.\r\n").as_bytes());
    client.expect("250 2.6.0");
    client.expect("250 2.6.0");
    client.quit();
    assert_eq!(kinds(&gate, ANNA), ["opt_in", "object"]);
}

#[test]
fn a_message_too_large_is_refused_and_the_session_goes_on() {
    let upstream = Upstream::start();
    let gate = gate_with(&upstream, "max_message_size = \"100KiB\"");
    let mut client = Client::ready(gate.listener("inbox.mail"));
    let large = format!("From: {ANNA}\r\n\r\n{}", "a line of text\r\n".repeat(10_000));
    let reply = client.send(ANNA, &[OUT], large.as_bytes());
    assert!(reply.starts_with("552 5.3.4"), "{reply}");
    let reply = client.send(ANNA, &[OUT], format!("From: {ANNA}\r\n\r\n").as_bytes());
    assert!(reply.starts_with("250"), "{reply}");
    client.quit();
}

#[test]
fn swaks_leaves_by_lmtp() {
    let Some(swaks) = program("swaks") else { return };
    let upstream = Upstream::start();
    let gate = gate_with(&upstream, "protocol = \"lmtp\"");
    let server = gate.listener("inbox.mail").to_string();
    let mut command = Command::new(swaks);
    command.args(["--protocol", "LMTP", "--server", &server, "--from", ANNA, "--to", OUT]);
    command.args(["--header", "Subject: stop", "--helo", "client.example"]);
    let said = command.stdin(Stdio::null()).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    assert!(relay(&gate, BOOKS).contains("(OBJ_GLOBAL)"));
}

/// As docs/mail-to-the-gate.md shows it: the addresses are routed by a transport map.
#[test]
fn postfix_hands_the_mail_over_by_lmtp() {
    let upstream = Upstream::start();
    let gate = gate_with(&upstream, "protocol = \"lmtp\"");
    let token = token(&gate, &upstream);
    let inbox = gate.listener("inbox.mail");
    let mut map = tempfile::NamedTempFile::new().unwrap();
    write!(
        map,
        "{OUT} lmtp:inet:[{ip}]:{port}\n{REPORTS} lmtp:inet:[{ip}]:{port}\n",
        ip = inbox.ip(),
        port = inbox.port()
    )
    .unwrap();
    std::fs::set_permissions(map.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let settings = format!("relay_domains = exemple.fr\ntransport_maps = texthash:{}\n", map.path().display());
    let Some(postfix) = Postfix::start(&settings) else { return };
    let mut client = Client::ready(postfix.address);
    client.send(ANNA, &[OUT], format!("From: {ANNA}\r\nSubject: unsubscribe {token}\r\n\r\n").as_bytes());
    client.quit();
    until("the objection", || kinds(&gate, ANNA).iter().any(|kind| kind == "object").then_some(()));
    postfix.wait_until_quiet();
    assert!(relay(&gate, BOOKS).contains("(OBJ_TOPIC)"));
}
