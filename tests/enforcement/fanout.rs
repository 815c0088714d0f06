//! Several copies of one message: partial failures, retries, changes of mind in between (cases 69 to 74).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use crate::shop::*;
use crate::support::upstream::{Moment, say};
use crate::support::{Act, Client, Gate, Upstream, Verb};

const READERS: [&str; 5] = ["r1@x.example", "r2@x.example", "r3@x.example", "r4@x.example", "r5@x.example"];

fn subscribed(gate: &Gate, people: &[&str]) {
    import(gate, &people.iter().map(|person| opt_in(person, "offers/books")).collect::<Vec<_>>());
}

/// Answers the n-th final dot of all with this.
fn at_dot(nth: usize, reply: &'static str) -> impl Fn(&Moment) -> Act + Send + Sync {
    move |moment| if moment.verb == Verb::Dot && moment.nth == nth { say(reply) } else { Act::Normal }
}

fn envelopes_to(people: &[&str]) -> Vec<String> {
    people.iter().map(|person| format!("{SENDER}>{person}")).collect()
}

#[track_caller]
fn assert_copies(upstream: &Upstream, people: &[&str]) {
    assert_eq!(envelopes(&upstream.record().accepted()), envelopes_to(people));
}

#[test]
fn a_retry_sends_only_the_copy_that_was_deferred() {
    let upstream = Upstream::scripted(at_dot(2, "451 4.7.1 Greylisted"));
    let mut gate = Gate::in_front_of(upstream.address);
    subscribed(&gate, &READERS);
    let reply = send(&gate, &READERS, BOOKS);
    assert!(reply.starts_with("451 4.3.0 1 of 5 copies deferred, try again; ref "), "{reply}");
    assert_copies(&upstream, &["r1@x.example", "r2@x.example", "r4@x.example", "r5@x.example"]);
    let retry = send(&gate, &READERS, BOOKS);
    assert!(retry.starts_with("250 2.0.0 Ok: queued as U"), "{retry}");
    assert_copies(&upstream, &["r1@x.example", "r2@x.example", "r4@x.example", "r5@x.example", "r3@x.example"]);
    let journal = settled(&mut gate);
    let count = |result: &str| journal.iter().filter(|row| row["outcome"]["result"] == result).count();
    assert_eq!([count("delivered"), count("deferred"), count("already_delivered")], [5, 1, 4], "{journal:#?}");
}

#[test]
fn a_retry_with_other_bytes_is_another_message() {
    let upstream = Upstream::scripted(at_dot(1, "451 4.7.1 Greylisted"));
    let gate = Gate::in_front_of(upstream.address);
    subscribed(&gate, &READERS[..2]);
    assert!(send(&gate, &READERS[..2], BOOKS).starts_with("451"));
    let dated = String::from_utf8(BOOKS.to_vec()).unwrap().replace("10:00:00", "10:05:00");
    assert!(send(&gate, &READERS[..2], dated.as_bytes()).starts_with("250"));
    assert_copies(&upstream, &["r1@x.example", "r1@x.example", "r2@x.example"]);
}

#[test]
fn trace_added_by_a_queue_in_between_makes_no_other_message() {
    let upstream = Upstream::scripted(at_dot(1, "451 4.7.1 Greylisted"));
    let gate = Gate::in_front_of(upstream.address);
    subscribed(&gate, &READERS[..2]);
    let traced = |time: &str| [format!("Received: from a by b; {time}\r\n").as_bytes(), BOOKS].concat();
    assert!(send(&gate, &READERS[..2], &traced("10:00")).starts_with("451"));
    assert!(send(&gate, &READERS[..2], &traced("10:05")).starts_with("250"));
    assert_copies(&upstream, &READERS[..2]);
}

#[test]
fn a_trusted_id_makes_a_retry_known_whatever_its_bytes() {
    let upstream = Upstream::scripted(at_dot(1, "451 4.7.1 Greylisted"));
    let gate = Gate::builder(upstream.address).listener("trust_headers = true").start();
    subscribed(&gate, &READERS[..2]);
    let numbered = |more: &str| [format!("X-Consentry-Id: campaign-7\r\nX-Try: {more}\r\n").as_bytes(), BOOKS].concat();
    assert!(send(&gate, &READERS[..2], &numbered("1")).starts_with("451"));
    assert!(send(&gate, &READERS[..2], &numbered("2")).starts_with("250"));
    assert_copies(&upstream, &READERS[..2]);
}

/// The client's RCPTs are the first two upstream hears, the copies' own the next.
fn second_thoughts(reply: &'static str) -> Upstream {
    Upstream::scripted(move |moment| match (moment.verb, moment.nth) {
        (Verb::Rcpt, 3) => say(reply),
        _ => Act::Normal,
    })
}

#[test]
fn a_recipient_upstream_defers_only_when_its_copy_comes_is_left_to_the_retry() {
    let upstream = second_thoughts("450 4.2.0 Greylisted");
    let gate = Gate::in_front_of(upstream.address);
    subscribed(&gate, &READERS[..2]);
    let reply = send(&gate, &READERS[..2], BOOKS);
    assert!(reply.starts_with("451 4.3.0 1 of 2 copies deferred"), "{reply}");
    assert!(send(&gate, &READERS[..2], BOOKS).starts_with("250"));
    assert_copies(&upstream, &READERS[..2]);
}

#[test]
fn a_recipient_upstream_refuses_only_when_its_copy_comes_is_reported() {
    let upstream = second_thoughts("550 5.1.1 Gone meanwhile");
    let gate = Gate::in_front_of(upstream.address);
    subscribed(&gate, &READERS[..2]);
    assert!(send(&gate, &READERS[..2], BOOKS).starts_with("250"));
    assert_delivered(&upstream, &[&format!("{SENDER}>r1@x.example"), &format!(">{SENDER}")]);
    let notice = String::from_utf8(upstream.record().accepted()[1].content.clone()).unwrap();
    assert!(notice.contains("r2@x.example") && notice.contains("Gone meanwhile"), "{notice}");
}

#[test]
fn a_copy_refused_for_good_is_reported_and_the_rest_acknowledged() {
    let upstream = Upstream::scripted(at_dot(1, "554 5.7.1 Looks like spam"));
    let mut gate = Gate::in_front_of(upstream.address);
    subscribed(&gate, &READERS[..3]);
    let reply = send(&gate, &READERS[..3], BOOKS);
    assert!(reply.starts_with("250 2.0.0 Ok: queued as U"), "{reply}");
    let mut expected = envelopes_to(&["r1@x.example", "r3@x.example"]);
    expected.push(format!(">{SENDER}"));
    assert_eq!(envelopes(&upstream.record().accepted()), expected);
    let notice = String::from_utf8(upstream.record().accepted()[2].content.clone()).unwrap();
    assert!(notice.contains("r2@x.example") && notice.contains("Looks like spam"), "{notice}");
    assert!(!notice.contains("r1@x.example") && !notice.contains("r3@x.example"), "{notice}");
    let journal = settled(&mut gate);
    assert_eq!(told(&journal, "r2@x.example"), "allow OK_OPT_IN refused");
    assert_eq!(about(&journal, "r2@x.example")["outcome"]["code"], 554);
}

#[test]
fn a_copy_refused_for_good_is_told_at_once_where_no_report_may_go() {
    let upstream = Upstream::scripted(at_dot(1, "554 5.7.1 Looks like spam"));
    let gate = Gate::builder(upstream.address).policy_value("notify_sender", "\"none\"").start();
    subscribed(&gate, &READERS[..3]);
    let reply = send(&gate, &READERS[..3], BOOKS);
    let lines: Vec<&str> = reply.lines().collect();
    assert_eq!(lines[0], "554-5.7.1 Looks like spam");
    assert!(lines[1].contains("<r1@x.example>") && lines[2].contains("<r3@x.example>"), "{reply}");
    assert!(send(&gate, &READERS[..3], BOOKS).starts_with("250"));
    assert_copies(&upstream, &["r1@x.example", "r3@x.example", "r2@x.example"]);
}

#[test]
fn all_copies_refused_is_upstreams_refusal() {
    let upstream = Upstream::scripted(|moment| match moment.verb {
        Verb::Dot => say("554 5.7.1 Looks like spam"),
        _ => Act::Normal,
    });
    let gate = Gate::in_front_of(upstream.address);
    subscribed(&gate, &READERS[..2]);
    assert_eq!(send(&gate, &READERS[..2], BOOKS), "554 5.7.1 Looks like spam");
}

#[test]
fn a_single_copy_is_answered_as_upstream_answers_it() {
    let upstream = Upstream::scripted(at_dot(0, "451-4.2.0 Busy,\n4.2.0 come back"));
    let gate = Gate::in_front_of(upstream.address);
    subscribed(&gate, &[ANNA]);
    assert_eq!(send(&gate, &[ANNA], BOOKS), "451-4.2.0 Busy,\n451 4.2.0 come back");
    assert!(send(&gate, &[ANNA], BOOKS).starts_with("250"));
    assert_copies(&upstream, &[ANNA]);
}

#[test]
fn a_notice_that_cannot_be_handed_over_defers_and_is_all_a_retry_sends() {
    let broken = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&broken);
    let upstream = Upstream::scripted(move |moment| {
        let to_sender = moment.verb == Verb::Rcpt && moment.line.contains(SENDER);
        if to_sender && state.load(Ordering::SeqCst) { say("451 4.2.0 Not now") } else { Act::Normal }
    });
    let gate = Gate::in_front_of(upstream.address);
    three_people(&gate);
    let reply = send(&gate, &[ANNA, BOB], BOOKS);
    assert!(reply.starts_with("451 4.3.0 Cannot report the withheld recipients now"), "{reply}");
    assert_copies(&upstream, &[ANNA]);
    broken.store(false, Ordering::SeqCst);
    assert!(send(&gate, &[ANNA, BOB], BOOKS).contains("(1 recipient withheld; ref "));
    assert_delivered(&upstream, &[&format!("{SENDER}>{ANNA}"), &format!(">{SENDER}")]);
}

/// An upstream that waits at its first final dot until it is told to go on, after it said that it waits.
fn waiting_at_the_first_dot() -> (Upstream, impl Fn(), impl Fn()) {
    let ((arrived, arrival), (go, gone)) = (channel(), channel::<()>());
    let gone = Mutex::new(gone);
    let upstream = Upstream::scripted(move |moment| {
        if moment.verb == Verb::Dot && moment.nth == 0 {
            arrived.send(()).unwrap();
            gone.lock().unwrap().recv().unwrap();
        }
        Act::Normal
    });
    (upstream, move || arrival.recv().unwrap(), move || go.send(()).unwrap())
}

/// Everything but the final reply.
fn hand_in(client: &mut Client, to: &[&str]) {
    client.envelope(SENDER, to);
    client.write(&crate::support::client::stuffed(BOOKS));
    client.write(b".\r\n");
}

#[test]
fn an_objection_between_two_copies_withholds_the_second() {
    let (upstream, wait, go_on) = waiting_at_the_first_dot();
    let mut gate = Gate::in_front_of(upstream.address);
    subscribed(&gate, &[ANNA, BOB]);
    let mut client = gate.client();
    hand_in(&mut client, &[ANNA, BOB]);
    wait();
    import(&gate, &[objection(BOB, &["offers"])]);
    go_on();
    let reply = client.reply();
    assert!(reply.starts_with("250 ") && reply.contains("(1 recipient withheld; ref "), "{reply}");
    client.quit();
    assert_delivered(&upstream, &[&format!("{SENDER}>{ANNA}"), &format!(">{SENDER}")]);
    let journal = settled(&mut gate);
    assert_eq!(told(&journal, ANNA), "allow OK_OPT_IN delivered");
    assert_eq!(told(&journal, BOB), "block OBJ_TOPIC withheld");
}

#[test]
fn an_objection_between_rcpt_and_the_end_of_the_data_is_honoured() {
    let upstream = Upstream::start();
    let gate = Gate::in_front_of(upstream.address);
    subscribed(&gate, &[ANNA]);
    let mut client = gate.client();
    client.envelope(SENDER, &[ANNA]);
    import(&gate, &[objection(ANNA, &["*"])]);
    client.write(&crate::support::client::stuffed(BOOKS));
    client.write(b".\r\n");
    assert!(client.reply().contains("(OBJ_GLOBAL)"));
    assert_eq!(upstream.record().count("DATA"), 0);
}

#[test]
fn more_copies_than_the_listener_makes_are_refused() {
    let upstream = Upstream::start();
    let gate = Gate::builder(upstream.address).listener("max_copies = 2").start();
    subscribed(&gate, &READERS);
    assert!(send(&gate, &READERS[..3], BOOKS).starts_with("550 5.7.1"));
    assert!(send(&gate, &READERS[..2], BOOKS).starts_with("250"));
    assert_copies(&upstream, &READERS[..2]);
}

#[test]
fn each_copy_has_its_own_recipients_parameters_and_the_senders() {
    let upstream = Upstream::start();
    let gate = Gate::in_front_of(upstream.address);
    subscribed(&gate, &[ANNA, BOB]);
    let mut client = gate.client();
    let anna = format!("RCPT TO:<{ANNA}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;anna+2Bold@x.example");
    let bob = format!("RCPT TO:<{BOB}> NOTIFY=DELAY");
    let mail = format!("MAIL FROM:<{SENDER}> SIZE=1000 RET=HDRS ENVID=campaign-7");
    assert!(transaction(&mut client, &mail, &[&anna, &bob], BOOKS).starts_with("250"));
    let record = upstream.record();
    let accepted = record.accepted();
    assert_eq!(accepted[0].from, format!("<{SENDER}> SIZE=9192 RET=HDRS ENVID=campaign-7"));
    assert_eq!(accepted[1].from, accepted[0].from);
    assert_eq!(accepted[0].to, [&anna["RCPT TO:".len()..]]);
    assert_eq!(accepted[1].to, [&bob["RCPT TO:".len()..]]);
}

#[test]
fn the_next_message_after_a_refused_data_is_a_transaction_of_its_own() {
    let upstream = Upstream::scripted(|moment| match moment.verb {
        Verb::Data if moment.nth == 0 => say("451 4.3.0 Not now"),
        _ => Act::Normal,
    });
    let gate = Gate::in_front_of(upstream.address);
    let mut client = gate.client();
    assert_eq!(client.send(SENDER, &[BOB], ORDER), "451 4.3.0 Not now");
    assert!(client.send(SENDER, &[ANNA], ORDER).starts_with("250"));
    client.quit();
    let record = upstream.record();
    let verbs: Vec<&str> = record.commands.iter().filter_map(|(_, line)| line.split([' ', ':']).next()).collect();
    let between = verbs.iter().skip_while(|verb| **verb != "DATA").skip(1).take(2).copied().collect::<Vec<_>>();
    assert_eq!(between, ["RSET", "MAIL"], "{verbs:?}");
}
