//! A shop's mail, what its customers said, and how to look at what became of it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

use crate::support::{Client, Gate, Message, Upstream};

pub const SENDER: &str = "bounces@exemple.fr";
pub const ANNA: &str = "anna@x.example";
pub const BOB: &str = "bob@y.example";
pub const CARL: &str = "carl@z.example";

pub const BOOKS: &[u8] = b"From: news@exemple.fr\r\nTo: readers@exemple.fr\r\nSubject: What is new\r\nX-Kind: newsletter\r\n\
    Date: Sat, 21 Nov 2026 10:00:00 +0100\r\nMessage-ID: <1@exemple.fr>\r\n\r\nThree novels.\r\n.\r\n..and one poem\r\nhttps://exemple.fr/desinscription/1\r\n";
pub const ORDER: &[u8] =
    b"From: shop@exemple.fr\r\nSubject: Your order\r\nList-Unsubscribe: <https://exemple.fr/own>\r\n\
    Message-ID: <2@exemple.fr>\r\n\r\nThank you.\r\n";

/// An opt-in with all the proof there has to be.
pub fn opt_in(address: &str, topic: &str) -> String {
    json!({
        "address": address, "controller": "shop", "type": "opt_in", "at": "2026-01-10T12:00:00+01:00",
        "topics": [topic], "mechanism": "unticked_box_ticked", "source": "sign-up form", "text_version": "newsletter-4",
        "actor": "person",
    })
    .to_string()
}

/// Later than every opt-in here.
pub fn objection(address: &str, topics: &[&str]) -> String {
    json!({
        "address": address, "controller": "shop", "type": "object", "at": "2026-02-01T12:00:00+01:00",
        "topics": topics, "mechanism": "reply", "actor": "person",
    })
    .to_string()
}

/// Anna agreed, Bob agreed and objected, Carl is unknown.
pub fn three_people(gate: &Gate) {
    import(gate, &[opt_in(ANNA, "offers/books"), opt_in(BOB, "offers/books"), objection(BOB, &["offers/books"])]);
}

#[track_caller]
pub fn import(gate: &Gate, events: &[String]) {
    gate.import(&events.iter().map(String::as_str).collect::<Vec<_>>());
}

/// One session with one message; its final reply.
#[track_caller]
pub fn send(gate: &Gate, to: &[&str], content: &[u8]) -> String {
    let mut client = gate.client();
    let reply = client.send(SENDER, to, content);
    client.quit();
    reply
}

/// What the decisions were, once the gate has ended and every outcome is written.
#[track_caller]
pub fn settled(gate: &mut Gate) -> Vec<Value> {
    gate.stop();
    gate.journal()
}

/// The one decision about somebody.
#[track_caller]
pub fn about<'a>(journal: &'a [Value], recipient: &str) -> &'a Value {
    let rows: Vec<&Value> = journal.iter().filter(|row| row["recipient"] == recipient).collect();
    assert_eq!(rows.len(), 1, "decisions about {recipient}: {journal:#?}");
    rows[0]
}

/// `decision reason outcome` of somebody's only row.
#[track_caller]
pub fn told(journal: &[Value], recipient: &str) -> String {
    let row = about(journal, recipient);
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    format!("{} {} {}", word(&row["decision"]), word(&row["reason"]), word(&row["outcome"]["result"]))
}

/// The unfolded values of every field of this name.
pub fn fields(content: &[u8], name: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(content).into_owned();
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let named = unfolded.lines().filter_map(|line| line.split_once(':'));
    let wanted = named.filter(|(field, _)| field.trim_end().eq_ignore_ascii_case(name));
    wanted.map(|(_, value)| value.trim().to_owned()).collect()
}

/// The content without the fields the gate adds to every copy and to a personal one.
pub fn without_added(content: &[u8]) -> Vec<u8> {
    let added = ["Received:", "List-Unsubscribe:", "List-Unsubscribe-Post:", "List-Id:"];
    let (mut kept, mut dropping, mut in_head) = (Vec::new(), false, true);
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        in_head &= line != b"\r\n";
        let folded = line.starts_with(b" ") || line.starts_with(b"\t");
        dropping =
            in_head && if folded { dropping } else { added.iter().any(|name| line.starts_with(name.as_bytes())) };
        if !dropping {
            kept.extend_from_slice(line);
        }
    }
    kept
}

/// Behind `/u/` of the message's only List-Unsubscribe.
#[track_caller]
pub fn token(message: &Message) -> String {
    let values = fields(&message.content, "List-Unsubscribe");
    let [value] = values.as_slice() else { panic!("one List-Unsubscribe, not {values:?}") };
    let uri = value.strip_prefix("<http://127.0.0.1:8080/u/").unwrap_or_else(|| panic!("{value}"));
    uri.split('>').next().unwrap().to_owned()
}

/// The message for this recipient alone.
#[track_caller]
pub fn copy_for(upstream: &Upstream, recipient: &str) -> Message {
    let record = upstream.record();
    let to = [format!("<{recipient}>")];
    let copies: Vec<&Message> = record.accepted().into_iter().filter(|message| message.to == to).collect();
    assert_eq!(copies.len(), 1, "copies for {recipient} among {:?}", envelopes(&record.accepted()));
    copies[0].clone()
}

/// Who got what from whom, in order: `sender>recipient,recipient`.
pub fn envelopes(messages: &[&Message]) -> Vec<String> {
    let bare = |path: &String| path.split('>').next().unwrap_or_default().trim_start_matches('<').to_owned();
    let to = |message: &Message| message.to.iter().map(bare).collect::<Vec<_>>().join(",");
    messages.iter().map(|message| format!("{}>{}", bare(&message.from), to(message))).collect()
}

#[track_caller]
pub fn assert_delivered(upstream: &Upstream, expected: &[&str]) {
    assert_eq!(envelopes(&upstream.record().accepted()), expected);
}

/// Status and everything behind it.
pub fn http(address: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: preferences.example\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("an HTTP status");
    (status, answer)
}

/// The mail program's button.
pub fn one_click(gate: &Gate, token: &str) -> (u16, String) {
    http(gate.listener("web.public"), "POST", &format!("/u/{token}"), "List-Unsubscribe=One-Click")
}

/// MAIL and RCPT with parameters, and the content; the final reply.
#[track_caller]
pub fn transaction(client: &mut Client, mail: &str, recipients: &[&str], content: &[u8]) -> String {
    client.command(mail, "250");
    for recipient in recipients {
        client.command(recipient, "250");
    }
    client.command("DATA", "354");
    client.write(&crate::support::client::stuffed(content));
    client.write(b".\r\n");
    client.reply()
}
