//! How long a delivery is remembered: until the client is known to have its 250 (R73, R75).

use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use crate::shop::*;
use crate::support::client::stuffed;
use crate::support::{Act, Gate, Upstream, Verb};

fn gate_with_readers(upstream: &Upstream, more: &[&str]) -> Gate {
    let start = Gate::builder(upstream.address);
    let gate = more.iter().fold(start, |gate, line| gate.listener(line)).start();
    import(&gate, &[opt_in(ANNA, "offers/books"), opt_in(BOB, "offers/books")]);
    gate
}

/// How many messages upstream has.
fn taken(upstream: &Upstream) -> usize {
    upstream.record().accepted().len()
}

#[test]
fn the_same_message_meant_twice_is_sent_twice() {
    for ledger in ["fanout", "all"] {
        let upstream = Upstream::start();
        let gate = gate_with_readers(&upstream, &[&format!("ledger = \"{ledger}\"")]);
        let mut client = gate.client();
        for n in 1..=3 {
            assert!(client.send(SENDER, &[ANNA, BOB], BOOKS).starts_with("250"));
            assert_eq!(taken(&upstream), 3 * n - 1, "ledger = {ledger}, copies of message {n}");
            assert!(client.send(SENDER, &[ANNA], ORDER).starts_with("250"));
            assert_eq!(taken(&upstream), 3 * n, "ledger = {ledger}, order {n}");
        }
        client.quit();
        assert!(send(&gate, &[ANNA, BOB], BOOKS).starts_with("250"));
        assert_eq!(taken(&upstream), 11, "ledger = {ledger}, after QUIT");
    }
}

#[test]
fn copies_are_not_sent_again_to_a_client_that_may_have_lost_its_250() {
    let upstream = Upstream::start();
    let mut gate = gate_with_readers(&upstream, &[]);
    let mut client = gate.client();
    let first = client.send(SENDER, &[ANNA, BOB], BOOKS);
    client.reset(); // it may or may not have read the reply
    let retry = send(&gate, &[ANNA, BOB], BOOKS);
    assert_eq!(retry, first, "the answer is upstream's of then");
    assert_eq!(taken(&upstream), 2);
    assert!(send(&gate, &[ANNA, BOB], BOOKS).starts_with("250"));
    assert_eq!(taken(&upstream), 4, "now it is known to have it");
    let journal = settled(&mut gate);
    assert_eq!(journal.iter().filter(|row| row["outcome"]["result"] == "already_delivered").count(), 2);
}

#[test]
fn ordinary_mail_is_remembered_where_the_listener_says_all() {
    for (ledger, expected) in [("all", 1), ("fanout", 2)] {
        let upstream = Upstream::start();
        let gate = gate_with_readers(&upstream, &[&format!("ledger = \"{ledger}\"")]);
        let mut client = gate.client();
        let first = client.send(SENDER, &[ANNA, CARL], ORDER);
        client.reset();
        let retry = send(&gate, &[ANNA, CARL], ORDER);
        assert!(first.starts_with("250") && retry.starts_with("250"), "{first} {retry}");
        assert_eq!(taken(&upstream), expected, "ledger = {ledger}");
    }
}

#[test]
fn what_was_delivered_is_remembered_over_a_restart() {
    let upstream = Upstream::start();
    let mut gate = gate_with_readers(&upstream, &["ledger = \"all\""]);
    let mut client = gate.client();
    assert!(client.send(SENDER, &[ANNA], BOOKS).starts_with("250"));
    client.reset();
    gate.kill();
    gate.run();
    assert!(send(&gate, &[ANNA], BOOKS).starts_with("250"));
    assert_eq!(taken(&upstream), 1);
}

#[test]
fn another_envelope_is_another_message() {
    let upstream = Upstream::start();
    let gate = gate_with_readers(&upstream, &["ledger = \"all\""]);
    let mut client = gate.client();
    assert!(client.send(SENDER, &[ANNA], ORDER).starts_with("250"));
    client.reset();
    let mut other = gate.client();
    assert!(other.send("other@exemple.fr", &[ANNA], ORDER).starts_with("250"));
    assert_eq!(taken(&upstream), 2, "another sender");
    assert!(other.send(SENDER, &[BOB], ORDER).starts_with("250"));
    assert_eq!(taken(&upstream), 3, "another recipient");
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

#[test]
fn a_retry_while_the_first_attempt_is_under_way_sends_nothing_twice() {
    let (upstream, go_on) = pondering();
    let gate = gate_with_readers(&upstream, &["ledger = \"all\""]);
    for (content, copies) in [(BOOKS, 2), (ORDER, 1)] {
        let before = taken(&upstream);
        let mut impatient = gate.client();
        impatient.envelope(SENDER, &[ANNA, BOB]);
        impatient.write(&stuffed(content));
        impatient.write(b".\r\n");
        drop(upstream.wait_for("the first copy", |record| record.count(".") > before));
        impatient.half_close();
        let mut retry = gate.client();
        retry.envelope(SENDER, &[ANNA, BOB]);
        retry.write(&stuffed(content));
        retry.write(b".\r\n");
        retry.let_read();
        (0..copies).for_each(|_| go_on.send(()).unwrap());
        retry.expect("250");
        retry.quit();
        assert_eq!(taken(&upstream), before + copies);
    }
}

#[test]
fn a_quit_from_before_the_250_does_not_say_that_the_client_has_it() {
    let (upstream, go_on) = pondering();
    let gate = gate_with_readers(&upstream, &[]);
    let mut client = gate.client();
    client.envelope(SENDER, &[ANNA, BOB]);
    client.write(&stuffed(BOOKS));
    client.write(b".\r\n");
    drop(upstream.wait_for("the first copy", |record| record.count(".") == 1));
    client.line("QUIT"); // it has given up waiting and is on its way out
    drop(go_on);
    client.expect("250");
    client.expect("221");
    assert!(send(&gate, &[ANNA, BOB], BOOKS).starts_with("250"));
    assert_eq!(taken(&upstream), 2, "the retry found them delivered");
}
