//! What an upstream can do wrong at every verb, and what the client reads then (section 2.L of the requirements).

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use support::upstream::{Moment, say};
use support::{Act, Client, Gate, Upstream, Verb};

const CONTENT: &[u8] = b"Subject: your order\r\n\r\nhello\r\n";

/// Upstream does this at every moment of that verb.
fn always(verb: Verb, act: Act) -> Upstream {
    Upstream::scripted(move |moment| if moment.verb == verb { act.clone() } else { Act::Normal })
}

/// Upstream does this the first time.
fn once(verb: Verb, act: Act) -> Upstream {
    Upstream::scripted(move |moment| if moment.verb == verb && moment.nth == 0 { act.clone() } else { Act::Normal })
}

fn raw(bytes: &[u8]) -> Act {
    Act::Raw(bytes.to_vec())
}

/// Goes through a transaction up to the first reply that is no success, which is returned.
fn answer(client: &mut Client) -> String {
    for line in ["MAIL FROM:<shop@example.com>", "RCPT TO:<anna@example.net>", "DATA"] {
        client.line(line);
        let reply = client.reply();
        if !reply.starts_with(['2', '3']) {
            return reply;
        }
    }
    client.write(CONTENT);
    client.write(b".\r\n");
    client.reply()
}

#[test]
fn every_fault_of_upstream_has_its_reply_and_the_session_goes_on() {
    let nonsense = || raw(b"25x what\r\n");
    let mixed = || raw(b"250-one\r\n251 two\r\n");
    let long = || raw(&[b"250 ".as_slice(), &[b'x'; 20_000], b"\r\n"].concat());
    let leaving = |text: &str| Act::SayAndClose(format!("421 {text}"));
    let table: Vec<(Verb, Act, &str)> = vec![
        (Verb::Greeting, say("554 5.3.2 No"), "451 4.4.1"),
        (Verb::Greeting, say("421 4.3.2 Busy"), "451 4.4.1"),
        (Verb::Greeting, Act::Close, "451 4.4.1"),
        (Verb::Ehlo, Act::Close, "451 4.4.1"),
        (Verb::Mail, leaving("4.3.2 Going down"), "451 4.3.2 Going down"),
        (Verb::Mail, Act::Close, "451 4.4.2"),
        (Verb::Mail, Act::Reset, "451 4.4.2"),
        (Verb::Mail, say("354 Go on"), "451 4.5.0"),
        (Verb::Mail, nonsense(), "451 4.5.0"),
        (Verb::Mail, mixed(), "451 4.5.0"),
        (Verb::Mail, long(), "451 4.5.0"),
        (Verb::Rcpt, leaving("4.7.0 Too many"), "451 4.7.0 Too many"),
        (Verb::Rcpt, Act::Close, "451 4.4.2"),
        (Verb::Rcpt, say("354 Go on"), "451 4.5.0"),
        (Verb::Rcpt, nonsense(), "451 4.5.0"),
        (Verb::Data, say("554 5.5.1 No"), "554 5.5.1 No"),
        (Verb::Data, say("451 4.3.0 Later"), "451 4.3.0 Later"),
        (Verb::Data, say("250 Done already"), "451 4.5.0"),
        (Verb::Data, leaving("4.3.2 Going down"), "451 4.3.2 Going down"),
        (Verb::Data, Act::Close, "451 4.4.2"),
        (Verb::Data, raw(b"354 Go on\r\n250 2.0.0 Queued\r\n"), "451 4.5.0"),
        (Verb::Dot, say("554 5.7.1 Spam"), "554 5.7.1 Spam"),
        (Verb::Dot, say("452 4.3.1 Full"), "452 4.3.1 Full"),
        (Verb::Dot, leaving("4.3.2 Going down"), "451 4.3.2 Going down"),
        (Verb::Dot, Act::Close, "451 4.4.2"),
        (Verb::Dot, Act::Reset, "451 4.4.2"),
        (Verb::Dot, say("354 More"), "451 4.4.2"),
        (Verb::Dot, nonsense(), "451 4.4.2"),
    ];
    for (verb, act, expected) in table {
        let case = format!("{verb:?} {act:?}");
        let upstream = always(verb, act);
        let gate = Gate::in_front_of(upstream.address);
        let mut client = gate.client();
        let reply = answer(&mut client);
        assert!(reply.starts_with(expected), "{case}: expected {expected:?}, got {reply:?}\n{}", client.transcript);
        // There is no transaction any more. Where upstream went away under it, what the client says before it can know
        // is put off: a refusal would bounce recipients who were never asked about.
        let (gone, afresh) = (verb == Verb::Rcpt, if verb == Verb::Rcpt { "451 4.4.2" } else { "503 5.5.1" });
        client.command("RCPT TO:<bob@example.net>", afresh);
        client.command("DATA", afresh);
        if gone {
            client.command("RSET", "250");
            client.command("DATA", "503 5.5.1");
        }
        client.command("NOOP", "250");
        client.quit();
        assert!(upstream.record().accepted().is_empty(), "{case}");
    }
}

#[test]
fn a_fault_of_one_connection_is_none_of_the_next_transaction() {
    for (verb, act) in [
        (Verb::Mail, Act::SayAndClose("421 4.3.2 Going down".into())),
        (Verb::Rcpt, Act::Close),
        (Verb::Data, say("451 4.3.0 Later")),
        (Verb::Dot, raw(b"25x\r\n")),
    ] {
        let case = format!("{verb:?} {act:?}");
        let upstream = once(verb, act);
        let gate = Gate::in_front_of(upstream.address);
        let mut client = gate.client();
        assert!(answer(&mut client).starts_with("451"), "{case}");
        assert!(answer(&mut client).starts_with("250 2.0.0 Ok: queued"), "{case}: {}", client.transcript);
        client.quit();
        assert_eq!(upstream.record().accepted().len(), 1, "{case}");
    }
}

#[test]
fn an_upstream_that_knows_only_helo_is_served() {
    let upstream = always(Verb::Ehlo, say("502 Command not implemented"));
    let gate = Gate::in_front_of(upstream.address);
    assert!(answer(&mut gate.client()).starts_with("250"));
    assert_eq!(upstream.single_message().from, "<shop@example.com>");
}

#[test]
fn an_upstream_that_left_before_data_is_asked_once_more() {
    for act in [Act::Close, Act::Reset, Act::SayAndClose("421 4.4.2 Idle".into())] {
        let upstream = once(Verb::Data, act);
        let gate = Gate::in_front_of(upstream.address);
        assert!(answer(&mut gate.client()).starts_with("250 2.0.0 Ok: queued as U"));
        assert_eq!(upstream.single_message().to, ["<anna@example.net>"]);
        assert_eq!(upstream.record().count("RCPT"), 2);
    }
}

#[test]
fn a_recipient_refused_at_the_second_asking_defers_the_message() {
    let upstream = Upstream::scripted(|moment| match (moment.verb, moment.nth) {
        (Verb::Data, 0) => Act::Close,
        (Verb::Rcpt, 1) => say("550 5.1.1 Unknown"),
        _ => Act::Normal,
    });
    let gate = Gate::in_front_of(upstream.address);
    let reply = answer(&mut gate.client());
    assert!(reply.starts_with("451 4.4.2"), "{reply}");
    assert!(upstream.record().messages.is_empty());
}

#[test]
fn an_answer_nobody_asked_for_is_never_taken_for_another() {
    let upstream = once(Verb::Rcpt, raw(b"250 2.1.5 Ok\r\n250 2.1.5 And one more\r\n"));
    let gate = Gate::in_front_of(upstream.address);
    let reply = answer(&mut gate.client());
    assert!(reply.starts_with("451 4.5.0"), "{reply}");
    assert!(upstream.wait_until_quiet().messages.is_empty());
}

#[test]
fn a_connection_that_grew_old_is_replaced_unnoticed() {
    let upstream = once(Verb::Dot, raw(b"250 2.0.0 Ok: queued as 1\r\n421 4.4.2 Idle for too long\r\n"));
    let gate = Gate::in_front_of(upstream.address);
    let mut client = gate.client();
    assert_eq!(answer(&mut client), "250 2.0.0 Ok: queued as 1");
    assert!(answer(&mut client).starts_with("250 2.0.0 Ok: queued as U"), "{}", client.transcript);
    let upstream = Upstream::scripted(|moment| match (moment.verb, moment.nth) {
        (Verb::Dot, 0) => Act::SayAndClose("250 2.0.0 Ok: queued as 1".into()),
        _ => Act::Normal,
    });
    let gate = Gate::in_front_of(upstream.address);
    let mut client = gate.client();
    assert_eq!(answer(&mut client), "250 2.0.0 Ok: queued as 1");
    assert!(answer(&mut client).starts_with("250 2.0.0 Ok: queued as U"), "{}", client.transcript);
}

#[test]
fn an_extension_that_upstream_took_back_is_told_and_no_longer_offered() {
    let poor = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&poor);
    let upstream = Upstream::scripted(move |moment: &Moment| {
        let is_poor = moment.verb == Verb::Ehlo && state.load(Ordering::SeqCst);
        if is_poor { say("250 upstream.example\nSIZE 1000000") } else { Act::Normal }
    });
    let gate = Gate::in_front_of(upstream.address);
    drop(upstream.wait_for("the first question", |record| record.sessions > 0 && record.ended == record.sessions));
    let (mut first, mut second, mut third) = (gate.client(), gate.client(), gate.client());
    poor.store(true, Ordering::SeqCst);
    first.command("MAIL FROM:<shop@example.com> BODY=8BITMIME", "451 4.3.5");
    second.command("MAIL FROM:<shop@example.com>", "250");
    second.command("RCPT TO:<anna@example.net> NOTIFY=NEVER", "451 4.3.5");
    third.command("MAIL FROM:<élodie@example.com> SMTPUTF8", "451 4.3.5");
    let offered = first.hello();
    assert!(offered.contains("SIZE 991808") && !offered.contains("8BITMIME") && !offered.contains("DSN"), "{offered}");
    first.command("MAIL FROM:<shop@example.com>", "250");
}

#[test]
fn what_upstream_says_cannot_break_our_replies() {
    let many = (0..30).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
    let table: Vec<(Act, usize, &str)> = vec![
        (say(&format!("550 5.1.1 {}", "y".repeat(600))), 1, "550 5.1.1 yyy"),
        (say(&format!("550 {many}")), 20, "550-"),
        (raw("550 5.1.1 caf\u{e9} \u{2028}\u{85} tab\tbell\x07\r\n".as_bytes()), 1, "550 5.1.1 caf? "),
    ];
    for (act, lines, start) in table {
        let upstream = always(Verb::Rcpt, act);
        let gate = Gate::in_front_of(upstream.address);
        let mut client = gate.client();
        client.command("MAIL FROM:<shop@example.com>", "250");
        let reply = client.command("RCPT TO:<anna@example.net>", start);
        assert_eq!(reply.lines().count(), lines, "{reply:?}");
        for line in reply.split('\n') {
            assert!(line.len() <= 510 && line.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{line:?}");
        }
    }
}

#[test]
fn an_upstream_without_enhanced_codes_gets_general_ones_put_in_front() {
    let upstream = Upstream::builder()
        .capabilities(&[])
        .script(|moment| match moment.verb {
            Verb::Mail => say("250 sender ok"),
            Verb::Rcpt if moment.line.contains("full") => say("452 mailbox full"),
            Verb::Rcpt => say("250 recipient ok"),
            Verb::Dot => say("250 queued as 4711"),
            _ => Act::Normal,
        })
        .start();
    let gate = Gate::in_front_of(upstream.address);
    let mut client = gate.client();
    client.command("MAIL FROM:<shop@example.com>", "250 2.0.0 sender ok");
    client.command("RCPT TO:<full@example.net>", "452 4.0.0 mailbox full");
    client.command("RCPT TO:<anna@example.net>", "250 2.0.0 recipient ok");
    client.command("DATA", "354");
    client.write(CONTENT);
    client.write(b".\r\n");
    client.expect("250 2.0.0 queued as 4711");
}
