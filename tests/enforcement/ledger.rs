//! How long a delivery is remembered: until the client is known to have its 250 (R73, R75).

use crate::shop::*;
use crate::support::{Gate, Upstream};

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
