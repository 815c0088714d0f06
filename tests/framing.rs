//! Where a message ends (smtp-behaviour F1–F26): whatever a client writes into its data, upstream gets at most the
//! one message, in every segmentation, with upstreams that end a message at less than CR LF . CR LF.

mod support;

use support::peers::{Exim, OpenSmtpd, Postfix};
use support::{Authority, Client, Gate, Message, Upstream};

/// What becomes of a sequence inside the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The end of the message: what follows are commands.
    End,
    /// Text: what follows is text as well.
    Text,
    /// Refused with this reply, and the connection ends: what follows is never read.
    Kill(&'static str),
}
use Outcome::{End, Kill, Text};

struct Case {
    name: &'static str,
    /// What stands before the sequence.
    before: &'static [u8],
    sequence: &'static [u8],
    normalise: Outcome,
    reject: Outcome,
}

const BEFORE: &[u8] = b"From: shop@example.com\r\nSubject: framing\r\n\r\nbefore";
const BARE: Outcome = Kill("550 5.5.2");
const NUL: Outcome = Kill("550 5.6.0");

const fn case(name: &'static str, sequence: &'static [u8], normalise: Outcome, reject: Outcome) -> Case {
    Case { name, before: BEFORE, sequence, normalise, reject }
}

/// F22, F23 and F26 are not sequences; they have tests of their own. F24 and F25 are F1 with what follows it and byte
/// by byte.
const CASES: &[Case] = &[
    case("F1", b"\r\n.\r\n", End, End),
    case("F2", b"\n.\n", Text, BARE),
    case("F3", b"\n.\r\n", Text, BARE),
    case("F4", b"\r\n.\n", Text, BARE),
    case("F5", b"\r.\r", BARE, BARE),
    case("F6", b"\r.\r\n", BARE, BARE),
    case("F7", b"\r.\n", BARE, BARE),
    case("F8", b"\n.\r", BARE, BARE),
    case("F9", b"\r\n.\rx", BARE, BARE),
    case("F10", b"\r\n.\r\r\n", BARE, BARE),
    case("F11", b"\r\r\n.\r\r\n", BARE, BARE),
    case("F12", b"\r\r\n.\r\n", BARE, BARE),
    case("F13", b"\r\n\0.\r\n", NUL, NUL),
    case("F14", b"\r\n.\0\r\n", NUL, NUL),
    case("F15", b"te\nxt\r\n", Text, BARE),
    case("F16", b"te\rxt\r\n", BARE, BARE),
    Case { name: "F17", before: b"Subject: framing", sequence: b"\n\n", normalise: Text, reject: BARE },
    case("F18 dot space", b"\r\n. \r\n", Text, Text),
    case("F18 space dot", b"\r\n .\r\n", Text, Text),
    case("F19", b"\r\n..\r\n", Text, Text),
    case("F20", b"\r\n...\r\n", Text, Text),
    case("F21 next line", b"\r\n\xc2\x85.\xc2\x85\r\n", Text, Text),
    case("F21 line separator", b"\r\n\xe2\x80\xa8.\xe2\x80\xa8\r\n", Text, Text),
    case("F21 behind the dot", b"\r\n.\xe2\x80\xa8\r\n", Text, Text),
    case("F21 vertical tab", b"\r\n\x0b.\x0b\r\n", Text, Text),
    case("F21 form feed", b"\r\n\x0c.\x0c\r\n", Text, Text),
    case("F21 record separator", b"\r\n\x1e.\x1e\r\n", Text, Text),
];

/// What an attacker hopes to have run: a second message.
const HOPED_FOR: &[u8] = b"MAIL FROM:<smuggled@example.com>\r\nRCPT TO:<anna@example.net>\r\nDATA\r\n\
    Subject: smuggled\r\n\r\nsmuggled\r\n.\r\nQUIT\r\n";
/// What may follow an honest end in the same segment (RFC 2920).
const PIPELINED: &[u8] = b"MAIL FROM:<second@example.com>\r\nRCPT TO:<anna@example.net>\r\nRSET\r\nQUIT\r\n";

impl Case {
    fn outcome(&self, reject: bool) -> Outcome {
        if reject { self.reject } else { self.normalise }
    }

    fn wire(&self, reject: bool) -> Vec<u8> {
        let behind = if self.outcome(reject) == End { PIPELINED } else { HOPED_FOR };
        [self.before, self.sequence, behind].concat()
    }

    /// The wire whole, cut once at every position in and around the sequence, and there byte by byte.
    fn segmentations(&self, wire: &[u8]) -> Vec<Vec<usize>> {
        let (start, end) = (self.before.len() - 1, self.before.len() + self.sequence.len() + 1);
        let mut all = vec![vec![]];
        all.extend((start..=end).map(|at| vec![at]));
        all.push((start..=end).collect());
        // And the end of the whole, where a text really ends.
        all.push((wire.len() - 12..wire.len()).collect());
        all
    }

    /// What the message has to say upstream, the dots of the wire removed; None where there is none.
    fn content(&self, reject: bool) -> Option<Vec<u8>> {
        let text = match self.outcome(reject) {
            Kill(_) => return None,
            End => [self.before, b"\r\n"].concat(),
            Text => [self.before, self.sequence, &HOPED_FOR[..HOPED_FOR.len() - b".\r\nQUIT\r\n".len()]].concat(),
        };
        let lines = text.split_inclusive(|byte| *byte == b'\n');
        let repaired = lines.flat_map(|line| {
            let line = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
            let unstuffed = if line.len() > 1 { line.strip_prefix(b".").unwrap_or(line) } else { line };
            [unstuffed, b"\r\n"].concat()
        });
        Some(repaired.collect())
    }
}

/// Cuts the wire at these places; each portion is read by the gate before the next is written.
fn portions<'a>(wire: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain(std::iter::once(wire.len()));
    starts.zip(ends).map(|(start, end)| &wire[start..end]).collect()
}

/// One session that carries the case, and what the client has to hear.
fn carry(client: &mut Client, case: &Case, reject: bool, cuts: &[usize], wait: bool) {
    let sender = "outer@example.com";
    client.hello();
    client.envelope(sender, &["anna@example.net"]);
    let wire = case.wire(reject);
    for portion in portions(&wire, cuts) {
        client.write(portion);
        if wait {
            client.let_read();
        }
    }
    let replies = client.replies_until_the_end();
    let expected: &[&str] = match case.outcome(reject) {
        End => &["250", "250", "250", "250", "221"],
        Text => &["250", "221"],
        Kill(reply) => &[reply],
    };
    let fits =
        replies.len() == expected.len() && replies.iter().zip(expected).all(|(got, start)| got.starts_with(start));
    let mode = if reject { "reject" } else { "normalise" };
    assert!(fits, "{} ({mode}, cut at {cuts:?}): {replies:?}, expected {expected:?}\n{}", case.name, client.transcript);
}

fn gate_in_front_of(upstream: std::net::SocketAddr) -> Gate {
    let strict = "[listener.strict]\nlisten = [\"127.0.0.1:0\"]\nupstream = \"relay\"\nbare_newline = \"reject\"\n";
    Gate::builder(upstream).listener("bare_newline = \"normalise\"").settings(strict).start()
}

/// Every case in every segmentation and both settings. Returns what upstream has to have got.
fn carry_all(gate: &Gate) -> Vec<Vec<u8>> {
    let mut expected = Vec::new();
    for (listener, reject) in [("submission", false), ("strict", true)] {
        for case in CASES {
            for cuts in case.segmentations(&case.wire(reject)) {
                let mut client = Client::connect(gate.listener(listener));
                client.expect("220");
                carry(&mut client, case, reject, &cuts, true);
                expected.extend(case.content(reject));
            }
        }
    }
    expected
}

/// Without the one line the gate adds.
fn as_sent(content: &[u8]) -> Vec<u8> {
    assert!(content.starts_with(b"Received: from "), "{}", content.escape_ascii());
    let lines = content.split_inclusive(|byte| *byte == b'\n');
    lines.skip(1).skip_while(|line| line.starts_with(b" ") || line.starts_with(b"\t")).flatten().copied().collect()
}

fn assert_same_contents(messages: &[Message], expected: &[Vec<u8>]) {
    assert_eq!(messages.len(), expected.len());
    for (message, expected) in messages.iter().zip(expected) {
        let content = as_sent(&message.content);
        assert_eq!(content.escape_ascii().to_string(), expected.escape_ascii().to_string());
        assert_eq!((message.from.split(' ').next(), message.to.len()), (Some("<outer@example.com>"), 1));
    }
}

#[test]
fn no_sequence_of_bytes_in_the_data_becomes_a_command_or_a_bare_newline_upstream() {
    let upstream = Upstream::start();
    let mut gate = gate_in_front_of(upstream.address);
    let expected = carry_all(&gate);
    gate.stop();
    let record = upstream.wait_until_quiet();
    assert_eq!(record.violations, Vec::<String>::new());
    assert!(record.unfinished.is_empty(), "{:?}", record.unfinished);
    assert_same_contents(&record.messages, &expected);
}

#[test]
fn tls_records_cut_at_any_place_change_nothing() {
    let (upstream, authority) = (Upstream::start(), Authority::new());
    let builder = Gate::builder(upstream.address);
    authority.issue(&["localhost"]).write_to(builder.directory(), "gate");
    let files = "certificate_file = \"gate.pem\"\nkey_file = \"gate.key\"";
    let strict = format!(
        "[listener.strict]\nlisten = [\"127.0.0.1:0\"]\nupstream = \"relay\"\ntls = \"implicit\"\n{files}\nbare_newline = \"reject\"\n"
    );
    let mut gate = builder.listener("tls = \"implicit\"").listener(files).settings(&strict).start();
    let mut expected = Vec::new();
    for (listener, reject) in [("submission", false), ("strict", true)] {
        for case in CASES {
            let all = case.segmentations(&case.wire(reject));
            for cuts in [&all[0], &all[all.len() - 2]] {
                let mut client = Client::connect_tls(gate.listener(listener), authority.client_config(), "localhost");
                client.expect("220");
                carry(&mut client, case, reject, cuts, false);
                expected.extend(case.content(reject));
            }
        }
    }
    gate.stop();
    let record = upstream.wait_until_quiet();
    assert_eq!(record.violations, Vec::<String>::new());
    assert_same_contents(&record.messages, &expected);
}

#[test]
fn a_stock_postfix_behind_the_gate_never_sees_a_second_message() {
    let Some(postfix) = Postfix::with_a_mailbox() else { return };
    let mut gate = gate_in_front_of(postfix.address);
    let expected = carry_all(&gate);
    gate.stop();
    let mailbox = postfix.mailbox();
    assert!(!postfix.log().contains("smuggled@example.com"), "{}", postfix.log());
    assert_eq!(mailbox.len(), expected.len());
}

#[test]
fn an_opensmtpd_behind_the_gate_never_sees_a_second_message() {
    let next = Upstream::start();
    let Some(opensmtpd) = OpenSmtpd::relaying_to(next.address) else { return };
    let mut gate = gate_in_front_of(opensmtpd.address);
    let expected = carry_all(&gate);
    gate.stop();
    let senders = opensmtpd.accepted_senders();
    assert!(senders.iter().all(|sender| sender == "outer@example.com"), "{senders:?}");
    assert_eq!(senders.len(), expected.len());
}

#[test]
fn an_exim_behind_the_gate_never_sees_a_second_message() {
    let Some(exim) = Exim::queueing() else { return };
    let mut gate = gate_in_front_of(exim.address);
    let expected = carry_all(&gate);
    gate.stop();
    let senders = exim.accepted_senders();
    assert!(senders.iter().all(|sender| sender == "outer@example.com"), "{senders:?}");
    assert_eq!(senders.len(), expected.len());
}

/// Without this the tests above would prove nothing: these servers do end a message at LF . LF.
fn takes_a_second_message_behind_a_false_end(address: std::net::SocketAddr) {
    let mut client = Client::ready(address);
    client.envelope("outer@example.com", &["anna@example.net"]);
    client.write(b"Subject: framing\r\n\r\nbefore\n.\n");
    client.expect("250");
    client.send("smuggled@example.com", &["anna@example.net"], b"Subject: smuggled\r\n\r\n");
    client.quit();
}

#[test]
fn the_postfix_of_these_tests_is_lenient_without_the_gate() {
    let Some(postfix) = Postfix::with_a_mailbox() else { return };
    takes_a_second_message_behind_a_false_end(postfix.address);
    assert_eq!(postfix.mailbox().len(), 2);
}

#[test]
fn the_opensmtpd_of_these_tests_is_lenient_without_the_gate() {
    let next = Upstream::start();
    let Some(opensmtpd) = OpenSmtpd::relaying_to(next.address) else { return };
    takes_a_second_message_behind_a_false_end(opensmtpd.address);
    assert_eq!(opensmtpd.accepted_senders(), ["outer@example.com", "smuggled@example.com"]);
}

#[test]
fn a_client_that_vanishes_inside_the_end_mark_leaves_nothing_upstream() {
    let end = b"\r\n.\r\n";
    for kept in 0..end.len() {
        let upstream = Upstream::start();
        let mut gate = Gate::in_front_of(upstream.address);
        let mut client = gate.client();
        client.envelope("outer@example.com", &["anna@example.net"]);
        client.write(b"Subject: framing\r\n\r\nbefore");
        client.write(&end[..kept]);
        client.let_read();
        if kept % 2 == 0 {
            drop(client)
        } else {
            client.reset()
        }
        gate.stop();
        let record = upstream.wait_until_quiet();
        assert_eq!((record.messages.len(), record.unfinished.len(), record.count("DATA")), (0, 0, 0), "{kept} bytes");
    }
}

#[test]
fn content_in_the_same_segment_as_data_is_refused_and_never_run() {
    let upstream = Upstream::start();
    let mut gate = Gate::in_front_of(upstream.address);
    let mut client = gate.client();
    client.command("MAIL FROM:<outer@example.com>", "250");
    client.command("RCPT TO:<anna@example.net>", "250");
    client.write(b"DATA\r\nSubject: early\r\n\r\nearly\r\n.\r\nMAIL FROM:<smuggled@example.com>\r\n");
    client.expect("554 5.5.0");
    client.expect_the_end();
    gate.stop();
    let record = upstream.wait_until_quiet();
    assert_eq!((record.messages.len(), record.count("DATA"), record.count("MAIL")), (0, 0, 1));
}

#[test]
fn text_without_any_line_end_is_refused_in_bounded_memory() {
    const LENGTH: usize = 512 << 20;
    let upstream = Upstream::start();
    let mut gate = Gate::builder(upstream.address).listener("max_message_size = \"4GiB\"").start();
    let mut client = gate.client();
    client.envelope("outer@example.com", &["anna@example.net"]);
    client.write(b"Subject: framing\r\n\r\n");
    let before = gate.peak_memory();
    let block = vec![b'x'; 1 << 20];
    for _ in 0..LENGTH / block.len() {
        client.write(&block);
    }
    client.write(b"\r\n.\r\n");
    client.expect("550 5.6.0");
    assert!(gate.peak_memory() < before + (16 << 20), "{} → {}", before, gate.peak_memory());
    client.quit();
    gate.stop();
    assert_eq!(upstream.wait_until_quiet().count("DATA"), 0);
}
