//! Limits: what people wish and the policy allows, counted over all mailers behind the gate, whatever is in flight.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::shop::*;
use crate::support::client::stuffed;
use crate::support::upstream::{Moment, say};
use crate::support::{Act, Client, Gate, Upstream, Verb};

/// Advertising for books that is a message of its own.
fn letter(number: usize) -> Vec<u8> {
    String::from_utf8(BOOKS.to_vec()).unwrap().replace("<1@exemple.fr>", &format!("<{number}@exemple.fr>")).into_bytes()
}

/// A wish about everything.
fn wish(address: &str, limit: &str) -> String {
    json!({
        "address": address, "controller": "shop", "type": "frequency", "at": "2026-01-11T12:00:00+01:00",
        "limit": limit, "actor": "person",
    })
    .to_string()
}

/// People who agreed to offers on books and wish no more than this.
fn readers(gate: &Gate, people: &[&str], limit: &str) {
    import(gate, &people.iter().flat_map(|who| [opt_in(who, "offers/books"), wish(who, limit)]).collect::<Vec<_>>());
}

#[track_caller]
fn assert_enough(reply: &str, start: &str) {
    assert!(reply.starts_with(start) && reply.contains("(FREQ_CAP)"), "{reply}");
}

fn taken(upstream: &Upstream) -> usize {
    upstream.record().accepted().len()
}

/// Every decision in the journal is told again as it was recorded.
#[track_caller]
fn assert_told_again(gate: &Gate, journal: &[Value]) {
    let references: BTreeSet<&str> = journal.iter().map(|row| row["ref"].as_str().unwrap()).collect();
    for reference in references {
        let output = gate.command(&["explain", "--json", "--ref", reference]).output().unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        for one in told["recipients"].as_array().unwrap() {
            for word in ["decision", "reason"] {
                assert_eq!(one[word], one["recorded"][word], "{told:#}");
            }
        }
    }
}

#[track_caller]
fn assert_all_told_again(gate: &mut Gate) {
    let journal = settled(gate);
    assert_told_again(gate, &journal);
}

/// An upstream that has each message in full and answers one for each `()` it is sent; for all at the end.
fn pondering() -> (Upstream, Sender<()>) {
    let (go_on, wait) = channel();
    let wait = Mutex::new(wait);
    let upstream = Upstream::scripted(move |moment| {
        if moment.verb == Verb::Dot {
            _ = wait.lock().unwrap().recv();
        }
        Act::Normal
    });
    (upstream, go_on)
}

/// Answers the first final dot with this.
fn first_dot(act: Act) -> Upstream {
    Upstream::scripted(move |moment: &Moment| match (moment.verb, moment.nth) {
        (Verb::Dot, 0) => act.clone(),
        _ => Act::Normal,
    })
}

#[test]
fn of_two_messages_at_the_same_moment_one_is_delivered() {
    for (action, refusal) in [("block", "550 5.7.1"), ("delay", "451 4.7.1")] {
        let upstream = Upstream::start();
        let mut gate = Gate::builder(upstream.address).policy_value("freq_action", &format!("\"{action}\"")).start();
        readers(&gate, &[ANNA], "weekly");
        let mut clients = [gate.client(), gate.client()];
        clients.iter_mut().for_each(|client| client.envelope(SENDER, &[ANNA]));
        for (number, client) in clients.iter_mut().enumerate() {
            client.write(&[stuffed(&letter(number)), b".\r\n".to_vec()].concat());
        }
        let mut replies = clients.map(|mut client| client.reply());
        replies.sort();
        assert!(replies[0].starts_with("250"), "{replies:?}");
        assert_enough(&replies[1], refusal);
        assert_eq!(taken(&upstream), 1);
        let journal = settled(&mut gate);
        let reasons: BTreeSet<&str> = journal.iter().map(|row| row["reason"].as_str().unwrap()).collect();
        assert_eq!(reasons, BTreeSet::from(["OK_OPT_IN", "FREQ_CAP"]));
        assert_told_again(&gate, &journal);
    }
}

#[test]
fn a_place_is_taken_before_the_message_is_delivered() {
    let (upstream, go_on) = pondering();
    let gate = Gate::in_front_of(upstream.address);
    readers(&gate, &[ANNA], "weekly");
    let mut first = gate.client();
    first.envelope(SENDER, &[ANNA]);
    first.write(&[stuffed(&letter(1)), b".\r\n".to_vec()].concat());
    drop(upstream.wait_for("the first message", |record| record.count(".") == 1));
    assert_enough(&send(&gate, &[ANNA], &letter(2)), "550 5.7.1");
    drop(go_on);
    first.expect("250");
}

#[test]
fn the_refusal_names_the_wish_and_the_day_and_what_was_sent_stays_sent() {
    let upstream = Upstream::start();
    let mut gate = Gate::in_front_of(upstream.address);
    readers(&gate, &[ANNA], "weekly");
    assert!(send(&gate, &[ANNA], &letter(1)).starts_with("250"));
    let reply = send(&gate, &[ANNA], &letter(2));
    let start =
        format!("550 5.7.1 <{ANNA}> withheld: the recipient's limit for such mail is reached (FREQ_CAP); the address");
    assert!(reply.starts_with(&start), "{reply}");
    assert!(send(&gate, &[ANNA], ORDER).starts_with("250"), "service mail is not held");
    let journal = settled(&mut gate);
    let held = journal.iter().find(|row| row["reason"] == "FREQ_CAP").unwrap();
    let because = held["because"].as_str().unwrap();
    assert!(
        because.starts_with("asked for one message a week at most in all (event 2); the last one went on "),
        "{because}"
    );
    assert_told_again(&gate, &journal);
}

#[test]
fn what_upstream_refuses_takes_no_place() {
    for reply in ["451 4.2.0 Busy", "554 5.7.1 Looks like spam"] {
        for verb in [Verb::Dot, Verb::Data] {
            let upstream = Upstream::scripted(move |moment| match (moment.verb, moment.nth) {
                (at, 0) if at == verb => say(reply),
                _ => Act::Normal,
            });
            let mut gate = Gate::in_front_of(upstream.address);
            readers(&gate, &[ANNA], "weekly");
            assert_eq!(send(&gate, &[ANNA], &letter(1)), reply);
            assert!(send(&gate, &[ANNA], &letter(2)).starts_with("250"), "at {verb:?} {reply}");
            assert_enough(&send(&gate, &[ANNA], &letter(3)), "550");
            let journal = settled(&mut gate);
            assert_eq!(journal.len(), 3);
            assert_told_again(&gate, &journal);
        }
    }
}

#[test]
fn an_answer_that_was_lost_keeps_the_place_for_the_retry_of_the_same_message() {
    let upstream = first_dot(Act::Close);
    let mut gate = Gate::in_front_of(upstream.address);
    readers(&gate, &[ANNA], "weekly");
    assert!(send(&gate, &[ANNA], &letter(1)).starts_with("451"));
    assert_enough(&send(&gate, &[ANNA], &letter(2)), "550");
    assert!(send(&gate, &[ANNA], &letter(1)).starts_with("250"));
    assert_eq!(taken(&upstream), 1);
    assert_enough(&send(&gate, &[ANNA], &letter(1)), "550");
    let journal = settled(&mut gate);
    assert_eq!(journal.len(), 4);
    assert_told_again(&gate, &journal);
}

#[test]
fn a_retry_after_a_lost_250_is_answered_and_not_sent_again() {
    let upstream = Upstream::start();
    let mut gate = Gate::in_front_of(upstream.address);
    readers(&gate, &[ANNA], "weekly");
    let mut client = gate.client();
    let first = client.send(SENDER, &[ANNA], &letter(1));
    client.reset();
    assert_eq!(send(&gate, &[ANNA], &letter(1)), first);
    assert_eq!(taken(&upstream), 1);
    assert_enough(&send(&gate, &[ANNA], &letter(1)), "550");
    assert_all_told_again(&mut gate);
}

#[test]
fn the_same_message_twice_at_once_is_one_message() {
    let (upstream, go_on) = pondering();
    let gate = Gate::in_front_of(upstream.address);
    readers(&gate, &[ANNA], "weekly");
    let mut clients = [gate.client(), gate.client()];
    for client in &mut clients {
        client.envelope(SENDER, &[ANNA]);
        client.write(&[stuffed(&letter(1)), b".\r\n".to_vec()].concat());
        drop(upstream.wait_for("the message", |record| record.count(".") == 1));
    }
    clients[1].let_read();
    drop(go_on);
    let [first, second] = clients.map(|mut client| client.reply());
    assert!(first.starts_with("250"), "{first}");
    assert_eq!(first, second);
    assert_eq!(taken(&upstream), 1);
}

#[test]
fn a_gate_that_is_killed_before_it_delivers_has_taken_the_place() {
    let upstream = Upstream::scripted(|moment| match (moment.verb, moment.nth) {
        (Verb::Data, 0) => Act::Stall,
        _ => Act::Normal,
    });
    let mut gate = Gate::in_front_of(upstream.address);
    readers(&gate, &[ANNA], "weekly");
    let mut client = gate.client();
    client.envelope(SENDER, &[ANNA]);
    client.write(&[stuffed(&letter(1)), b".\r\n".to_vec()].concat());
    drop(upstream.wait_for("DATA", |record| record.count("DATA") == 1));
    gate.kill();
    gate.run();
    assert_enough(&send(&gate, &[ANNA], &letter(2)), "550");
    assert!(send(&gate, &[ANNA], &letter(1)).starts_with("250"), "the retry of what was killed");
    assert_eq!(taken(&upstream), 1);
    assert_all_told_again(&mut gate);
}

#[test]
fn mailers_on_two_listeners_share_one_window() {
    let upstream = Upstream::start();
    let other = "[listener.other]\nlisten = [\"127.0.0.1:0\"]\nupstream = \"relay\"\ntls = \"off\"\n";
    let gate = Gate::builder(upstream.address).settings(other).policy_value("frequency", "\"2/week\"").start();
    import(&gate, &[opt_in(ANNA, "offers/books")]);
    assert!(send(&gate, &[ANNA], &letter(1)).starts_with("250"));
    let mut client = Client::ready(gate.listener("other"));
    assert!(client.send(SENDER, &[ANNA], &letter(2)).starts_with("250"));
    assert_enough(&client.send(SENDER, &[ANNA], &letter(3)), "550");
    assert_enough(&send(&gate, &[ANNA], &letter(4)), "550");
}

#[test]
fn who_has_enough_is_left_out_and_the_others_get_their_copies() {
    for action in ["block", "delay"] {
        let upstream = Upstream::start();
        let mut gate = Gate::builder(upstream.address).policy_value("freq_action", &format!("\"{action}\"")).start();
        readers(&gate, &[ANNA, BOB, CARL], "weekly");
        assert!(send(&gate, &[ANNA], &letter(1)).starts_with("250"));
        let reply = send(&gate, &[ANNA, BOB, CARL], &letter(2));
        assert!(reply.starts_with("250 ") && reply.contains("(1 recipient withheld; ref "), "{reply}");
        let all = [ANNA, BOB, CARL].map(|who| format!("{SENDER}>{who}"));
        assert_delivered(&upstream, &[&all[0], &all[1], &all[2], &format!(">{SENDER}")]);
        let notice = String::from_utf8(upstream.record().accepted()[3].content.clone()).unwrap();
        assert!(notice.contains(ANNA) && notice.contains("FREQ_CAP") && !notice.contains(BOB), "{notice}");
        assert_all_told_again(&mut gate);
    }
}

#[test]
fn where_one_refusal_refuses_all_a_delay_is_none() {
    let upstream = Upstream::start();
    let gate = Gate::builder(upstream.address)
        .policy_value("freq_action", "\"delay\"")
        .policy_value("mixed_recipients", "\"reject_all\"")
        .start();
    readers(&gate, &[ANNA, BOB], "weekly");
    assert!(send(&gate, &[ANNA], &letter(1)).starts_with("250"));
    let reply = send(&gate, &[ANNA, BOB], &letter(2));
    assert_enough(&reply, &format!("550 5.7.1 <{ANNA}> withheld: "));
    assert!(send(&gate, &[BOB], &letter(3)).starts_with("250"), "nobody else has lost a place");
}

#[test]
fn the_copies_of_one_message_that_failed_give_their_places_back_and_the_others_keep_theirs() {
    let upstream = Upstream::scripted(|moment| match (moment.verb, moment.nth) {
        (Verb::Dot, 1) => say("451 4.7.1 Greylisted"),
        _ => Act::Normal,
    });
    let mut gate = Gate::in_front_of(upstream.address);
    readers(&gate, &[ANNA, BOB], "weekly");
    assert!(send(&gate, &[ANNA, BOB], &letter(1)).starts_with("451 4.3.0 1 of 2"));
    assert_enough(&send(&gate, &[ANNA], &letter(2)), "550");
    assert!(send(&gate, &[ANNA, BOB], &letter(1)).starts_with("250"), "only Bob's copy was missing");
    assert_delivered(&upstream, &[&format!("{SENDER}>{ANNA}"), &format!("{SENDER}>{BOB}")]);
    assert_enough(&send(&gate, &[BOB], &letter(3)), "550");
    assert_all_told_again(&mut gate);
}

#[test]
fn a_wish_voiced_while_copies_are_under_way_does_not_count_the_message_itself() {
    let (upstream, go_on) = pondering();
    let gate = Gate::in_front_of(upstream.address);
    import(&gate, &[opt_in(ANNA, "offers/books"), opt_in(BOB, "offers/books")]);
    let mut client = gate.client();
    client.envelope(SENDER, &[ANNA, BOB]);
    client.write(&[stuffed(&letter(1)), b".\r\n".to_vec()].concat());
    drop(upstream.wait_for("the first copy", |record| record.count(".") == 1));
    import(&gate, &[wish(BOB, "weekly")]);
    drop(go_on);
    client.expect("250");
    client.quit();
    assert_delivered(&upstream, &[&format!("{SENDER}>{ANNA}"), &format!("{SENDER}>{BOB}")]);
    assert_enough(&send(&gate, &[BOB], &letter(2)), "550");
}

#[test]
fn a_pinned_listener_refuses_at_rcpt_whom_no_content_could_help() {
    let upstream = first_dot(Act::Close);
    let pins = ["class = \"promotional\"", "controller = \"shop\"", "topics = [\"offers/books\"]"];
    let start = Gate::builder(upstream.address);
    let mut gate = pins.iter().fold(start, |gate, line| gate.listener(line)).start();
    readers(&gate, &[ANNA], "weekly");
    assert!(send(&gate, &[ANNA], &letter(1)).starts_with("451"));
    assert_enough(&send(&gate, &[ANNA], &letter(2)), "550"); // at the end of the data: it might have been the retry
    assert!(send(&gate, &[ANNA], &letter(1)).starts_with("250"));
    let mut client = gate.client();
    client.command(&format!("MAIL FROM:<{SENDER}>"), "250");
    let reply = client.command(&format!("RCPT TO:<{ANNA}>"), "550 5.7.1");
    assert_enough(&reply, "550");
    client.quit();
    assert_all_told_again(&mut gate);
}

#[test]
fn a_trial_counts_what_went_and_says_what_would_have_been_too_much() {
    let upstream = Upstream::start();
    let mut gate = Gate::builder(upstream.address).policy_value("mode", "\"monitor\"").start();
    readers(&gate, &[ANNA], "weekly");
    for number in 1..=3 {
        assert!(send(&gate, &[ANNA], &letter(number)).starts_with("250"));
    }
    assert_eq!(taken(&upstream), 3);
    let journal = settled(&mut gate);
    let mut reasons: Vec<&str> = journal.iter().map(|row| row["reason"].as_str().unwrap()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["FREQ_CAP", "FREQ_CAP", "OK_OPT_IN"]);
    assert_told_again(&gate, &journal);
}

/// A neutral notice that the account will be deleted, as a trusted mailer declares it.
fn deletion_notice(number: usize) -> Vec<u8> {
    format!(
        "From: shop@exemple.fr\r\nSubject: Your account\r\nMessage-ID: <d{number}@exemple.fr>\r\n\
         X-Consentry-Class: service\r\nX-Consentry-Kind: deletion_notice\r\n\r\nIt will be deleted.\r\n"
    )
    .into_bytes()
}

#[test]
fn a_notice_of_deletion_is_service_mail_once() {
    let upstream = first_dot(say("451 4.2.0 Busy"));
    let mut gate = Gate::builder(upstream.address).listener("trust_headers = true").start();
    import(&gate, &[objection(ANNA, &["*"])]);
    assert!(send(&gate, &[ANNA], &deletion_notice(1)).starts_with("451 4.2.0 Busy"));
    assert!(send(&gate, &[ANNA], &deletion_notice(2)).starts_with("250"), "upstream did not take the first one");
    let reply = send(&gate, &[ANNA], &deletion_notice(3));
    assert!(reply.starts_with("550 5.7.1") && reply.contains("(OBJ_GLOBAL)"), "{reply}");
    assert!(send(&gate, &[BOB, CARL], &deletion_notice(4)).starts_with("250"), "to others it is the first");
    let journal = settled(&mut gate);
    assert_eq!(journal.iter().filter(|row| row["reason"] == "SVC_RETENTION").count(), 4, "{journal:#?}");
    assert_told_again(&gate, &journal);
}

#[test]
fn of_two_notices_of_deletion_at_the_same_moment_one_is_service_mail() {
    let upstream = Upstream::start();
    let gate = Gate::builder(upstream.address).listener("trust_headers = true").start();
    let mut clients = [gate.client(), gate.client()];
    clients.iter_mut().for_each(|client| client.envelope(SENDER, &[CARL]));
    for (number, client) in clients.iter_mut().enumerate() {
        client.write(&[stuffed(&deletion_notice(number)), b".\r\n".to_vec()].concat());
    }
    let mut replies = clients.map(|mut client| client.reply());
    replies.sort();
    assert!(replies[0].starts_with("250"), "{replies:?}");
    assert!(replies[1].starts_with("550 5.7.1") && replies[1].contains("(CONSENT_NONE)"), "{replies:?}");
}

/// Sends as many messages at once; how many were acknowledged, refused for the limit, put off.
fn hammer(gate: SocketAddr, reader: &str, messages: usize, round: usize) -> [usize; 3] {
    let (start, counts) = (Arc::new(Barrier::new(messages)), Arc::new([const { AtomicUsize::new(0) }; 3]));
    let senders = (0..messages).map(|number| {
        let (start, counts, reader) = (Arc::clone(&start), Arc::clone(&counts), reader.to_owned());
        thread::spawn(move || {
            let mut client = Client::ready(gate);
            client.envelope(SENDER, &[&reader]);
            let content = [stuffed(&letter(round * 1000 + number)), b".\r\n".to_vec()].concat();
            start.wait();
            client.write(&content);
            let reply = client.reply();
            let kind = match &reply[..3] {
                "250" => 0,
                "550" if reply.contains("(FREQ_CAP)") => 1,
                "451" => 2,
                _ => panic!("{reply}"),
            };
            counts[kind].fetch_add(1, Ordering::SeqCst);
        })
    });
    senders.collect::<Vec<_>>().into_iter().for_each(|sender| sender.join().unwrap());
    [0, 1, 2].map(|kind| counts[kind].load(Ordering::SeqCst))
}

/// Messages that upstream has or may have for somebody.
fn sent_to(upstream: &Upstream, reader: &str) -> usize {
    let to = [format!("<{reader}>")];
    upstream.record().messages.iter().filter(|message| message.to == to && message.accepted).count()
}

#[test]
fn however_many_come_at_once_no_more_than_the_limit_go() {
    // Upstream takes what it is given, or refuses every third message, one after the other for good and for a while.
    for is_moody in [false, true] {
        let upstream = Upstream::scripted(move |moment| match (moment.verb, moment.nth % 6) {
            (Verb::Dot, 2) if is_moody => say("451 4.2.0 Busy"),
            (Verb::Dot, 5) if is_moody => Act::Close,
            _ => Act::Normal,
        });
        let mut gate = Gate::in_front_of(upstream.address);
        let round = AtomicUsize::new(0);
        let case = (1usize..6, 1usize..14);
        proptest!(ProptestConfig { cases: 8, max_shrink_iters: 0, ..ProptestConfig::default() }, |((limit, messages) in case)| {
            let round = round.fetch_add(1, Ordering::SeqCst);
            let reader = format!("r{round}@x.example");
            readers(&gate, &[&reader], &format!("{limit}/week"));
            let [acknowledged, refused, put_off] = hammer(gate.address(), &reader, messages, round);
            let sent = sent_to(&upstream, &reader);
            prop_assert!(sent <= limit, "{} of {} went, {} were allowed", sent, messages, limit);
            prop_assert_eq!((acknowledged, acknowledged + refused + put_off), (sent, messages));
            if !is_moody {
                prop_assert_eq!((sent, put_off), (limit.min(messages), 0));
            }
        });
        assert_all_told_again(&mut gate);
    }
}
