//! What arrives is what was sent, but for one Received line (R45): service mail, byte for byte.

mod support;

use support::client::stuffed;
use support::{Gate, Upstream};

/// The added field, unfolded, and the rest.
fn without_the_received_line(content: &[u8]) -> (String, Vec<u8>) {
    let mut end = 0;
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        if end > 0 && !line.starts_with(b" ") && !line.starts_with(b"\t") {
            break;
        }
        end += line.len();
    }
    (String::from_utf8(content[..end].to_vec()).unwrap().replace("\r\n\t", " "), content[end..].to_vec())
}

#[track_caller]
fn assert_arrives_unchanged(name: &str, content: &[u8]) {
    let upstream = Upstream::start();
    let gate = Gate::in_front_of(upstream.address);
    let mut client = gate.client();
    assert!(client.send("shop@example.com", &["anna@example.net"], content).starts_with("250"), "{name}");
    client.quit();
    let message = upstream.single_message();
    let (received, rest) = without_the_received_line(&message.content);
    assert!(received.starts_with("Received: from client.example ("), "{name}: {received}");
    assert!(received.contains("by gate.example.net (Consentry) with ESMTP id "), "{name}: {received}");
    assert_same(name, &rest, content);
    assert_eq!(upstream.record().violations, Vec::<String>::new(), "{name}");
}

/// Says where two long texts part instead of printing them.
#[track_caller]
fn assert_same(name: &str, got: &[u8], expected: &[u8]) {
    let parting = got.iter().zip(expected).position(|(a, b)| a != b).unwrap_or(got.len().min(expected.len()));
    let around =
        |text: &[u8]| text[parting.saturating_sub(20)..text.len().min(parting + 40)].escape_ascii().to_string();
    assert!(got == expected, "{name}: parts at byte {parting}: got {:?}, expected {:?}", around(got), around(expected));
}

const HEAD: &str = "From: shop@example.com\r\nTo: anna@example.net\r\nSubject: your order\r\n";

#[test]
fn a_service_message_arrives_as_it_was_sent_but_for_one_line() {
    let long = |length: usize| format!("{HEAD}\r\n{}\r\nend\r\n", "x".repeat(length));
    let table: &[(&str, Vec<u8>)] = &[
        ("plain", format!("{HEAD}\r\nhello\r\n").into()),
        ("leading dots", format!("{HEAD}\r\n.one\r\n..two\r\n...three\r\n. space\r\n").into()),
        ("a lone dot line", format!("{HEAD}\r\nbefore\r\n.\r\nMAIL FROM:<x@example.com>\r\n").into()),
        ("a lone dot line first in the body", format!("{HEAD}\r\n.\r\nbehind\r\n").into()),
        ("dots after empty lines", format!("{HEAD}\r\n\r\n\r\n.\r\n\r\n..\r\n\r\n").into()),
        ("no body", HEAD.into()),
        ("no body but the empty line", format!("{HEAD}\r\n").into()),
        ("8-bit header", b"From: caf\xe9 <shop@example.com>\r\nSubject: \xe0 bient\xf4t\r\n\r\nlatin\xe9\r\n".to_vec()),
        ("invalid UTF-8", b"From: shop@example.com\r\nSubject: \xff\xfe\xc3(\r\n\r\n\xc3\x28\r\n".to_vec()),
        ("UTF-8 header", "From: Élodie <shop@example.com>\r\nSubject: à bientôt ✓\r\n\r\nœuvre\r\n".into()),
        ("line of 998 bytes", long(998).into()),
        ("line of 5000 bytes", long(5000).into()),
        ("line of 65000 bytes", long(65000).into()),
        ("header line of 998 bytes", format!("{HEAD}X-Long: {}\r\n\r\nhello\r\n", "y".repeat(990)).into()),
        ("folded fields", format!("{HEAD}X-Folded: one\r\n two\r\n\tthree\r\n   \r\n four\r\n\r\nhello\r\n").into()),
        ("duplicate fields", format!("{HEAD}{HEAD}Message-ID: <1@x>\r\nMESSAGE-ID: <2@x>\r\n\r\nhello\r\n").into()),
        ("blank before the colon", format!("{HEAD}X-Odd : value\r\nx-empty:\r\n\r\nhello\r\n").into()),
        ("no Date and no Message-ID", b"Subject: bare\r\n\r\nhello\r\n".to_vec()),
        ("a line that is no field", format!("{HEAD}not a field\r\nX-Behind: it\r\n\r\nhello\r\n").into()),
        ("control bytes", format!("{HEAD}\r\n\x01\x02\x0b\x0c\x1e\x7f\r\n").into()),
        ("Received lines of others", format!("Received: from a\r\n\tby b; now\r\n{HEAD}\r\nhello\r\n").into()),
        (
            "list fields of a service message",
            format!("{HEAD}List-Unsubscribe: <https://x.example/u>\r\n\r\nhi\r\n").into(),
        ),
    ];
    for (name, content) in table {
        assert_arrives_unchanged(name, content);
    }
}

#[test]
fn thirty_megabytes_arrive_as_they_were_sent() {
    let mut content = format!("{HEAD}\r\n").into_bytes();
    let mut state = 1_u32;
    while content.len() < 30 << 20 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223); // Numerical Recipes; only variety matters
        let line = [".", "..", "", "text", "\u{e9}"][(state >> 16) as usize % 5];
        content.extend_from_slice(line.as_bytes());
        content.resize(content.len() + (state >> 24) as usize, b'z');
        content.extend_from_slice(b"\r\n");
    }
    assert_arrives_unchanged("30 MB", &content);
}

#[test]
fn a_message_without_a_header_loses_no_byte() {
    for content in [
        &b"hello world\r\nmore\r\n"[..],
        b"\r\nstarts with the empty line\r\n",
        b"From me Mon Jan  1\r\nSubject: x\r\n\r\nhi\r\n",
    ] {
        let upstream = Upstream::start();
        let gate = Gate::in_front_of(upstream.address);
        let mut client = gate.client();
        client.envelope("shop@example.com", &["anna@example.net"]);
        client.write(&stuffed(content));
        client.write(b".\r\n");
        client.expect("250");
        let (_, rest) = without_the_received_line(&upstream.single_message().content);
        assert!(rest.ends_with(content), "{} in {}", content.escape_ascii(), rest.escape_ascii());
    }
}

#[test]
fn an_empty_message_stays_empty() {
    let upstream = Upstream::start();
    let gate = Gate::in_front_of(upstream.address);
    let mut client = gate.client();
    client.envelope("shop@example.com", &["anna@example.net"]);
    client.write(b".\r\n");
    client.expect("250");
    let (received, rest) = without_the_received_line(&upstream.single_message().content);
    assert!(received.starts_with("Received: "), "{received}");
    assert!(rest.is_empty() || rest == b"\r\n", "{}", rest.escape_ascii());
}

#[test]
fn parameters_and_replies_pass_word_for_word() {
    let upstream = Upstream::scripted(|moment| match moment.verb {
        support::Verb::Mail => support::upstream::say("250 2.1.0 sender noted, ref 77"),
        support::Verb::Rcpt => support::upstream::say("251 2.1.5 will forward"),
        support::Verb::Dot => support::upstream::say("250 2.0.0 Ok: queued as 4F2A"),
        _ => support::Act::Normal,
    });
    let gate = Gate::in_front_of(upstream.address);
    // What may be offered is learned from upstream's EHLO, so it is asked for once before.
    let mut first = gate.client();
    first.command("MAIL FROM:<shop@example.com>", "250");
    first.quit();
    let mut client = gate.client();
    client.command(
        "MAIL FROM:<shop@example.com> BODY=8BITMIME RET=HDRS ENVID=QQ314159",
        "250 2.1.0 sender noted, ref 77",
    );
    client.command(
        "RCPT TO:<anna@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;anna@example.net",
        "251 2.1.5 will forward",
    );
    client.command("DATA", "354");
    client.write(b"Subject: x\r\n\r\nhi\r\n.\r\n");
    client.expect("250 2.0.0 Ok: queued as 4F2A");
    client.quit();
    let message = upstream.single_message();
    for parameter in ["BODY=8BITMIME", "RET=HDRS", "ENVID=QQ314159"] {
        assert!(message.from.contains(parameter), "{}", message.from);
    }
    assert_eq!(message.to, ["<anna@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;anna@example.net"]);
}
