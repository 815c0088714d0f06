//! Sessions with the gate as text: what the client says and reads is in `tests/dialogues`, what upstream saw of it here.

mod support;

use std::fmt::Write as _;

use support::upstream::{Moment, say};
use support::{Act, Client, Gate, Upstream, Verb, dialogue};

/// Answers as the addresses in its commands wish.
fn wishful(moment: &Moment) -> Act {
    let address = moment.line.split(['<', '>']).nth(1).unwrap_or_default();
    let who = address.split('@').next().unwrap_or_default();
    match (moment.verb, who) {
        (Verb::Mail, "greylisted") => say(&format!("450 4.7.1 <{address}>: come back in 300 seconds")),
        (Verb::Mail, "banned") => say(&format!("554 5.7.1 <{address}>: Sender address rejected: Access denied")),
        (Verb::Mail, _) => say(&format!("250 2.1.0 Sender <{address}> ok")),
        (Verb::Rcpt, "full") => say(&format!("452 4.2.2 <{address}>: mailbox is full")),
        (Verb::Rcpt, "unknown") => {
            say(&format!("550 5.1.1 <{address}>: no such user here\n5.1.1 see https://example.net/help"))
        }
        (Verb::Rcpt, "moved") => say("251 2.1.5 User not local; will forward to <elsewhere@example.org>"),
        (Verb::Rcpt, "unsure") => say("252 2.1.5 Cannot verify, but will take it"),
        (Verb::Rcpt, _) => say(&format!("250 2.1.5 Recipient <{address}> ok")),
        _ => Act::Normal,
    }
}

/// Holds the conversation and returns what upstream was asked, its greetings left out.
#[track_caller]
fn held(name: &str, upstream: &Upstream, gate: &Gate) -> Vec<String> {
    dialogue::hold(&mut Client::connect(gate.address()), name);
    asked(upstream)
}

fn asked(upstream: &Upstream) -> Vec<String> {
    let record = upstream.wait_until_quiet();
    assert_eq!(record.violations, Vec::<String>::new());
    let courtesies = ["EHLO", "QUIT"];
    let asked = record.commands.iter().map(|(_, line)| line.clone());
    asked.filter(|line| !courtesies.iter().any(|verb| line.starts_with(verb))).collect()
}

#[track_caller]
fn assert_upstream_is_asked(name: &str, expected: &[&str]) {
    let upstream = Upstream::scripted(wishful);
    let gate = Gate::in_front_of(upstream.address);
    assert_eq!(held(name, &upstream, &gate), expected, "{name}");
}

#[test]
fn commands_out_of_order_never_reach_upstream() {
    assert_upstream_is_asked("order", &["MAIL FROM:<shop@example.com>", "RCPT TO:<anna@example.net>"]);
}

#[test]
fn every_verb_has_its_answer() {
    assert_upstream_is_asked("commands", &[]);
}

#[test]
fn octets_behind_bdat_are_not_run() {
    assert_upstream_is_asked("bdat", &["MAIL FROM:<shop@example.com>", "RCPT TO:<anna@example.net>"]);
}

#[test]
fn parameters_are_checked_here_and_passed_verbatim() {
    assert_upstream_is_asked(
        "parameters",
        &[
            "MAIL FROM:<shop@example.com> BODY=8BITMIME RET=HDRS ENVID=a+2Bb",
            "RCPT TO:<anna@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;anna+40example.net@x.example",
        ],
    );
}

#[test]
fn addresses_are_parsed_strictly_and_passed_untouched() {
    assert_upstream_is_asked(
        "addresses",
        &[
            "MAIL FROM:<>",
            "RCPT TO:<postmaster>",
            "RCPT TO:<PostMaster@example.net>",
            "RCPT TO:<news-anna=example.net%list@example.com>",
            "RCPT TO:<host!anna@example.com>",
            "RCPT TO:<\"anna smith\"@example.net>",
            "RCPT TO:<\"a>b\"@example.net>",
            "RCPT TO:<anna@[192.0.2.7]>",
            "RCPT TO:<anna@EXAMPLE.net>",
        ],
    );
}

#[test]
fn a_second_greeting_is_a_reset() {
    assert_upstream_is_asked(
        "hello_again",
        &["MAIL FROM:<shop@example.com>", "RCPT TO:<anna@example.net>", "RSET", "MAIL FROM:<shop@example.com>", "RSET"],
    );
}

#[test]
fn a_client_of_rfc_821_is_served_without_extensions() {
    let upstream = Upstream::scripted(wishful);
    let gate = Gate::in_front_of(upstream.address);
    let expected = ["MAIL FROM:<shop@example.com>", "RCPT TO:<anna@example.net>", "DATA", "."];
    assert_eq!(held("helo", &upstream, &gate), expected);
    let content = String::from_utf8(upstream.single_message().content).unwrap();
    assert!(content.contains(" with SMTP id "), "{content}");
}

#[test]
fn a_reset_transaction_leaves_nothing_behind() {
    let upstream = Upstream::scripted(wishful);
    let gate = Gate::in_front_of(upstream.address);
    held("reset", &upstream, &gate);
    let message = upstream.single_message();
    assert_eq!(message.from, "<other@example.com>");
    assert_eq!(message.to, ["<bob@example.net>"]);
}

#[test]
fn upstream_answers_each_recipient_itself() {
    let upstream = Upstream::scripted(wishful);
    let gate = Gate::in_front_of(upstream.address);
    held("upstream_says", &upstream, &gate);
    let message = upstream.single_message();
    assert_eq!(message.to, ["<anna@example.net>", "<moved@example.net>", "<unsure@example.net>"]);
}

#[test]
fn a_reply_of_several_lines_arrives_with_all_of_them() {
    let upstream = Upstream::scripted(wishful);
    let gate = Gate::in_front_of(upstream.address);
    let mut client = gate.client();
    client.command("MAIL FROM:<shop@example.com>", "250");
    let reply = client.command("RCPT TO:<unknown@example.net>", "550");
    assert_eq!(reply, "550-5.1.1 <unknown@example.net>: no such user here\n550 5.1.1 see https://example.net/help");
}

#[test]
fn without_a_recipient_there_is_no_message() {
    let upstream = Upstream::scripted(wishful);
    let gate = Gate::in_front_of(upstream.address);
    held("all_refused", &upstream, &gate);
    assert_eq!(upstream.single_message().to, ["<anna@example.net>"]);
}

#[test]
fn content_that_does_not_wait_is_never_run_as_commands() {
    assert_upstream_is_asked(
        "all_refused_and_content",
        &["MAIL FROM:<shop@example.com>", "RCPT TO:<unknown@example.net>"],
    );
    assert_upstream_is_asked("early_content", &["MAIL FROM:<shop@example.com>", "RCPT TO:<anna@example.net>"]);
}

#[test]
fn pipelined_commands_are_answered_in_order() {
    let upstream = Upstream::scripted(wishful);
    let gate = Gate::in_front_of(upstream.address);
    held("pipelining", &upstream, &gate);
    let record = upstream.record();
    let envelopes: Vec<_> = record.messages.iter().map(|message| (message.from.as_str(), message.to.clone())).collect();
    assert_eq!(
        envelopes,
        [
            ("<shop@example.com>", vec!["<anna@example.net>".to_owned(), "<bob@example.net>".to_owned()]),
            ("<other@example.com>", vec!["<carl@example.net>".to_owned()]),
        ]
    );
}

#[test]
fn a_refused_message_leaves_no_transaction_behind() {
    assert_upstream_is_asked(
        "after_policy_refusal",
        &["MAIL FROM:<news@exemple.fr>", "RCPT TO:<stranger@example.net>", "RSET"],
    );
}

#[test]
fn utf8_goes_where_it_was_asked_for() {
    let upstream = Upstream::scripted(wishful);
    let gate = Gate::in_front_of(upstream.address);
    held("utf8", &upstream, &gate);
    let message = upstream.single_message();
    assert_eq!(message.from, "<élodie@example.com> SMTPUTF8");
    assert_eq!(message.to[0], "<anna@bücher.example>");
    assert_eq!(message.to[1], "<anna@example.net> ORCPT=utf-8;élodie@example.net");
    let received = String::from_utf8(message.content).unwrap();
    assert!(received.contains(" with UTF8SMTP "), "{received}");
}

#[test]
fn an_upstream_without_extensions_gets_none() {
    let upstream = Upstream::builder().script(wishful).capabilities(&[]).start();
    let gate = Gate::in_front_of(upstream.address);
    let expected = ["MAIL FROM:<shop@example.com>", "RCPT TO:<anna@example.net>"];
    assert_eq!(held("no_utf8", &upstream, &gate), expected);
}

#[test]
fn a_command_line_ends_in_cr_lf_and_nothing_else() {
    assert_upstream_is_asked("framing_cr", &[]);
    assert_upstream_is_asked("framing_nul", &[]);
    assert_upstream_is_asked("framing_lf", &[]);
    let upstream = Upstream::start();
    let gate = Gate::builder(upstream.address).listener("bare_newline = \"reject\"").start();
    assert_eq!(held("framing_lf_rejected", &upstream, &gate), Vec::<String>::new());
}

#[test]
fn errors_and_idling_end_a_session_but_mail_forgives() {
    let upstream = Upstream::start();
    let gate = Gate::builder(upstream.address).listener("max_errors = 5").start();
    held("errors", &upstream, &gate);
    held("errors_forgiven", &upstream, &gate);
    let gate = Gate::builder(upstream.address).listener("max_idle_commands = 3").start();
    held("idle", &upstream, &gate);
}

#[test]
fn overlong_lines_are_errors_too() {
    let upstream = Upstream::start();
    let gate = Gate::builder(upstream.address).listener("max_errors = 3").start();
    let mut client = gate.client();
    let line = format!("NOOP {}", "x".repeat(2048));
    client.command(&line, "500 5.5.2");
    client.command(&line, "500 5.5.2");
    client.command(&line, "421 4.7.0");
    client.expect_the_end();
}

/// The keywords offered, in alphabetical order.
fn offered(gate: &Gate) -> Vec<String> {
    let mut client = Client::connect(gate.address());
    client.expect("220");
    let reply = client.hello();
    let mut keywords: Vec<String> = reply.lines().skip(1).map(|line| line[4..].to_owned()).collect();
    keywords.sort();
    keywords
}

#[test]
fn ehlo_offers_what_upstream_offers_and_the_gate_carries() {
    let table: &[(&[&str], &[&str])] = &[
        (
            &["PIPELINING", "SIZE 10240000", "VRFY", "ETRN", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING", "BINARYMIME"],
            &["8BITMIME", "DSN", "ENHANCEDSTATUSCODES", "PIPELINING", "SIZE 10231808", "SMTPUTF8"],
        ),
        (&["8BITMIME", "SIZE 0"], &["8BITMIME", "ENHANCEDSTATUSCODES", "PIPELINING", "SIZE 52428800"]),
        (&["dsn", "size"], &["DSN", "ENHANCEDSTATUSCODES", "PIPELINING", "SIZE 52428800"]),
        // An AUTH that upstream offers is not offered on in clear (R85).
        (
            &["AUTH PLAIN LOGIN", "FUTURERELEASE 86400 2026-12-31"],
            &["ENHANCEDSTATUSCODES", "PIPELINING", "SIZE 52428800"],
        ),
        (&[], &["ENHANCEDSTATUSCODES", "PIPELINING", "SIZE 52428800"]),
    ];
    for (upstream_offers, expected) in table {
        let upstream = Upstream::builder().capabilities(upstream_offers).start();
        let gate = Gate::in_front_of(upstream.address);
        assert_eq!(offered(&gate), *expected, "upstream offers {upstream_offers:?}");
    }
}

#[test]
fn an_upstream_nobody_has_seen_is_no_reason_not_to_greet() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gate = Gate::in_front_of(closed);
    assert_eq!(offered(&gate), ["ENHANCEDSTATUSCODES", "PIPELINING", "SIZE 52428800"]);
    let mut client = gate.client();
    client.command("MAIL FROM:<shop@example.com>", "451 4.4.1");
    client.command("RCPT TO:<anna@example.net>", "503 5.5.1");
    client.command("NOOP", "250");
    client.quit();
}

#[test]
fn a_name_that_cannot_be_resolved_is_told_apart() {
    let upstream = Upstream::start();
    let gate = Gate::builder(upstream.address).upstream_host("nowhere.invalid").upstream("insecure = true").start();
    gate.client().command("MAIL FROM:<shop@example.com>", "451 4.4.3");
}

#[test]
fn the_size_declared_upstream_leaves_room_for_what_is_added() {
    let upstream = Upstream::builder().capabilities(&["SIZE 100000"]).start();
    let gate = Gate::builder(upstream.address).listener("max_message_size = 50000").start();
    let mut client = gate.client();
    client.command("MAIL FROM:<shop@example.com> SIZE=50001", "552 5.3.4");
    client.command("MAIL FROM:<shop@example.com> SIZE=99999999999999999999999", "501 5.5.4");
    client.command("MAIL FROM:<shop@example.com> SIZE=1000", "250");
    client.quit();
    assert_eq!(asked(&upstream), ["MAIL FROM:<shop@example.com> SIZE=9192"]);
}

#[test]
fn a_message_that_is_bigger_than_it_said_is_refused_after_its_end() {
    let upstream = Upstream::start();
    let gate = Gate::builder(upstream.address).listener("max_message_size = 20000").start();
    let mut client = gate.client();
    client.command("MAIL FROM:<shop@example.com> SIZE=10", "250");
    client.command("RCPT TO:<anna@example.net>", "250");
    client.command("DATA", "354");
    // The line that ends nothing is inside what is thrown away (R35).
    let line = format!("{}\r\n", "x".repeat(998));
    client.write(format!("Subject: big\r\n\r\n{}..\r\nMAIL FROM:<x@example.com>\r\n.\r\n", line.repeat(30)).as_bytes());
    client.expect("552 5.3.4");
    client.command("DATA", "503");
    client.quit();
    assert!(!asked(&upstream).contains(&"DATA".to_owned()));
}

#[test]
fn the_recipient_limit_leaves_the_accepted_ones_standing() {
    let upstream = Upstream::start();
    let gate = Gate::builder(upstream.address).listener("max_recipients = 100").start();
    let mut client = gate.client();
    let mut group = "MAIL FROM:<shop@example.com>\r\n".to_owned();
    (0..102).for_each(|n| write!(group, "RCPT TO:<r{n}@example.net>\r\n").unwrap());
    client.write(format!("{group}DATA\r\n").as_bytes());
    (0..101).for_each(|_| _ = client.expect("250"));
    client.expect("452 4.5.3");
    client.expect("452 4.5.3");
    client.expect("354");
    client.write(b"Subject: to a hundred\r\n\r\nhello\r\n.\r\n");
    client.expect("250");
    client.quit();
    assert_eq!(upstream.single_message().to.len(), 100);
}

#[test]
fn connections_over_a_limit_are_told_to_come_back() {
    let upstream = Upstream::start();
    let gate = Gate::builder(upstream.address).listener("max_connections = 1").start();
    let first = gate.client();
    let mut second = Client::connect(gate.address());
    second.expect("421 4.3.2");
    second.expect_the_end();
    drop(first);
    let gate = Gate::builder(upstream.address).listener("max_connections_per_client = 1").start();
    let _first = gate.client();
    let mut second = Client::connect(gate.address());
    second.expect("421 4.7.0");
    second.expect_the_end();
}

#[test]
fn a_stranger_is_not_let_in() {
    let upstream = Upstream::start();
    let gate = Gate::builder(upstream.address).listener("clients = [\"192.0.2.0/24\"]").start();
    let mut client = Client::connect(gate.address());
    client.expect("554 5.7.1");
    client.expect_the_end();
}

/// A client that has said something by the time the gate gets to greet it: the gate stands still meanwhile.
fn early_talker(gate: &Gate, said: &[u8]) -> Client {
    gate.signal("STOP");
    let mut client = Client::connect(gate.address());
    client.write(said);
    gate.signal("CONT");
    client
}

#[test]
fn who_talks_before_the_greeting_is_sent_away() {
    let upstream = Upstream::start();
    let gate = Gate::in_front_of(upstream.address);
    let mut client = early_talker(&gate, b"EHLO client.example\r\nMAIL FROM:<shop@example.com>\r\n");
    client.expect("554 5.5.0");
    client.expect_the_end();
    assert_eq!(upstream.record().count("MAIL"), 0);
}

#[test]
fn early_talk_can_be_allowed() {
    let upstream = Upstream::start();
    let gate = Gate::builder(upstream.address).listener("early_talk = \"allow\"").start();
    let mut client = early_talker(&gate, b"EHLO client.example\r\nQUIT\r\n");
    client.expect("220");
    client.expect("250-gate.example.net");
    client.expect("221");
    client.expect_the_end();
}
