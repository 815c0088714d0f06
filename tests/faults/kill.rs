//! The gate is killed while twenty clients send. Whatever got its 250 is upstream, and a retry delivers the rest once,
//! save for copies in the one window that RFC 1047 names: sent, and the answer not yet written down.

use std::net::SocketAddr;
use std::thread;

use rusqlite::Connection;

use crate::faulty::{Copy, FaultyUpstream};
use crate::mail::{SENDER, agree, newsletter, order};
use crate::support::{Client, Gate};

const CLIENTS: usize = 20;

/// A message, who must get it, and whether the client was told that they have.
#[derive(Clone)]
struct Sent {
    id: String,
    content: Vec<u8>,
    to: Vec<String>,
    acknowledged: bool,
}

/// What happened over many kills.
#[derive(Debug, Default)]
struct Count {
    kills: usize,
    acknowledged: usize,
    retried: usize,
    /// Unanswered, and upstream had all of it when the gate died.
    unanswered_upstream: usize,
    lost: usize,
    /// Rows of copies whose answer was not written down when the gate died.
    intents: usize,
    duplicates: usize,
}

/// Everybody who may be written to: three for each client.
fn people() -> Vec<String> {
    (0..CLIENTS).flat_map(|client| (0..3).map(move |n| format!("p{n}-of-{client}@x.example"))).collect()
}

/// Service and promotional, to one and to three, by turns.
fn message(client: usize, number: usize, round: usize) -> Sent {
    let id = format!("k{round}-{client}-{number}");
    let recipients = if (client + number) % 4 < 2 { 1 } else { 3 };
    let content = if number.is_multiple_of(2) { newsletter(&id) } else { order(&id) };
    let to = (0..recipients).map(|n| format!("p{n}-of-{client}@x.example")).collect();
    Sent { id, content, to, acknowledged: false }
}

/// The final reply; None when the connection ended before it.
fn deliver(client: &mut Client, sent: &Sent) -> Option<String> {
    client.line(&format!("MAIL FROM:<{SENDER}>"));
    client.try_reply()?;
    for to in &sent.to {
        client.line(&format!("RCPT TO:<{to}>"));
        client.try_reply()?;
    }
    client.line("DATA");
    client.try_reply()?;
    client.write(&sent.content);
    client.write(b".\r\n");
    client.try_reply()
}

/// Sends until the gate is gone; everything that was tried.
fn send_until_the_end(gate: SocketAddr, number: usize, round: usize) -> Vec<Sent> {
    let mut tried = Vec::new();
    let mut client = Client::connect(gate);
    let greeted = client.try_reply().is_some_and(|reply| reply.starts_with("220"));
    client.line("EHLO client.example");
    if !greeted || client.try_reply().is_none() {
        return tried;
    }
    for turn in 0.. {
        let mut sent = message(number, turn, round);
        let reply = deliver(&mut client, &sent);
        sent.acknowledged = reply.as_ref().is_some_and(|reply| reply.starts_with("250"));
        tried.push(sent);
        match reply {
            Some(reply) => assert!(reply.starts_with("250"), "{reply}"),
            None => break,
        }
    }
    tried
}

/// Which of a message's recipients have it how often.
fn copies(upstream: &FaultyUpstream, sent: &Sent) -> Vec<usize> {
    let seen = upstream.seen();
    let copy = |to: &String| Copy { id: sent.id.clone(), to: to.clone() };
    sent.to.iter().map(|to| seen.copies.get(&copy(to)).copied().unwrap_or(0)).collect()
}

/// Copies that had been announced to the ledger and not settled.
fn open_intents(gate: &Gate) -> usize {
    let store = Connection::open(gate.directory().join("consentry.db")).unwrap();
    store.query_row("SELECT count (*) FROM delivery WHERE done = 0", [], |row| row.get(0)).unwrap()
}

/// One life of the gate and its violent end after `until` more copies.
fn kill_once(gate: &mut Gate, upstream: &FaultyUpstream, round: usize, until: usize, count: &mut Count) {
    let (address, before) = (gate.address(), upstream.seen().total);
    let clients: Vec<_> =
        (0..CLIENTS).map(|number| thread::spawn(move || send_until_the_end(address, number, round))).collect();
    drop(upstream.wait_for("enough copies", |seen| seen.total >= before + until));
    gate.kill();
    let tried: Vec<Sent> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    drop(upstream.wait_until_quiet());
    let intents = open_intents(gate);

    for sent in tried.iter().filter(|sent| sent.acknowledged) {
        let copies = copies(upstream, sent);
        count.acknowledged += 1;
        count.lost += copies.iter().filter(|copies| **copies == 0).count();
        assert!(copies.iter().all(|copies| *copies <= 1), "{}: {copies:?} without a retry", sent.id);
    }
    gate.run();
    let unanswered: Vec<Sent> = tried.into_iter().filter(|sent| !sent.acknowledged).collect();
    let complete = |sent: &&Sent| copies(upstream, sent).iter().all(|copies| *copies > 0);
    count.unanswered_upstream += unanswered.iter().filter(complete).count();
    let duplicates = retry(gate, upstream, &unanswered);
    assert!(duplicates <= intents, "{duplicates} second copies, {intents} open intents at the kill");
    count.kills += 1;
    count.retried += unanswered.len();
    count.intents += intents;
    count.duplicates += duplicates;
}

/// Each unanswered message again, byte for byte; copies beyond the first, one for each transaction upstream.
fn retry(gate: &Gate, upstream: &FaultyUpstream, unanswered: &[Sent]) -> usize {
    let mut duplicates = 0;
    for sent in unanswered {
        let mut client = gate.client();
        let reply = deliver(&mut client, sent).expect("an answer");
        assert!(reply.starts_with("250"), "{}: {reply}", sent.id);
        client.quit();
        let copies = copies(upstream, sent);
        assert!(copies.iter().all(|copies| (1..=2).contains(copies)), "{}: {copies:?}", sent.id);
        let second = copies.iter().filter(|copies| **copies == 2).count();
        // Service mail went to everybody at once: one window.
        duplicates += if sent.content.starts_with(b"From: shop") { second.min(1) } else { second };
    }
    duplicates
}

/// Numbers without pattern that are the same every time.
fn scattered(round: usize) -> usize {
    let mixed = (round as u64).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    5 + usize::try_from((mixed ^ (mixed >> 29)) >> 40).unwrap() % 200
}

fn kill_many(times: usize) -> Count {
    let upstream = FaultyUpstream::brief();
    let builder = Gate::builder(upstream.address).listener("ledger = \"all\"");
    let people = people();
    agree(builder.directory(), &people.iter().map(String::as_str).collect::<Vec<_>>());
    let mut gate = builder.start();
    let mut count = Count::default();
    for round in 0..times {
        kill_once(&mut gate, &upstream, round, scattered(round), &mut count);
        if times > 100 && (round + 1) % 25 == 0 {
            println!("{count:?}");
        }
        upstream.forget(); // no later message has the name of an earlier one
    }
    count
}

#[test]
fn what_was_acknowledged_outlives_a_kill_and_a_retry_of_the_rest_delivers_it_once() {
    let count = kill_many(5);
    assert_eq!((count.kills, count.lost), (5, 0), "{count:?}");
    assert!(count.acknowledged > 0 && count.retried > 0, "{count:?}");
}

/// `scripts/kill-run` runs this one with KILLS set.
#[test]
#[ignore = "as long as it is told to be"]
fn many_kills() {
    let times = std::env::var("KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(1000);
    let count = kill_many(times);
    println!("{count:#?}");
    assert_eq!(count.lost, 0);
}
