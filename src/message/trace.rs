//! Trace fields: the Received field we add (RFC 5321 section 4.4) and the ones that betray a loop.

use std::net::IpAddr;

use jiff::Zoned;

use super::edit::InsertedField;
use super::head::Field;

/// More Received fields than this are a loop (R53, RFC 5321 section 6.3).
pub const MOST_RECEIVED: usize = 100;
/// So are this many of ours.
pub const OURS_IN_A_LOOP: usize = 3;

/// How the client spoke to us, as the `with` clause names it (RFC 3848, RFC 6531 section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    pub extended: bool,
    pub tls: bool,
    pub authenticated: bool,
    pub utf8: bool,
}

impl Protocol {
    pub fn keyword(self) -> &'static str {
        match (self.utf8, self.extended || self.tls || self.authenticated, self.tls, self.authenticated) {
            (true, _, false, false) => "UTF8SMTP",
            (true, _, true, false) => "UTF8SMTPS",
            (true, _, false, true) => "UTF8SMTPA",
            (true, _, true, true) => "UTF8SMTPSA",
            (false, false, ..) => "SMTP",
            (false, true, false, false) => "ESMTP",
            (false, true, true, false) => "ESMTPS",
            (false, true, false, true) => "ESMTPA",
            (false, true, true, true) => "ESMTPSA",
        }
    }
}

/// What our Received field tells.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    pub helo: &'a str,
    pub client: IpAddr,
    pub hostname: &'a str,
    pub protocol: Protocol,
    pub id: &'a str,
    /// Only when there is one recipient: naming one of several would reveal a Bcc.
    pub for_recipient: Option<&'a str>,
    pub at: &'a Zoned,
}

/// Tells our fields from those another program on the same machine writes.
const PROGRAM: &str = "(Consentry)";

/// One line, so that what the gate added to a message it forwards is one line to see, and one to strip.
pub fn received(trace: &Received<'_>) -> InsertedField {
    let address = match trace.client.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("IPv6:{address}"),
    };
    let mut clauses = vec![
        format!("from {} ([{address}])", cleaned(trace.helo)),
        format!("by {} {PROGRAM}", cleaned(trace.hostname)),
        format!("with {}", trace.protocol.keyword()),
        format!("id {}", cleaned(trace.id)),
    ];
    clauses.extend(trace.for_recipient.map(|recipient| format!("for <{recipient}>")));
    if let Some(last) = clauses.last_mut() {
        last.push(';');
    }
    clauses.push(date(trace.at));
    InsertedField::new("Received", &clauses.join(" "))
}

/// An atom-like word without anything that ends or opens something in a Received field.
fn cleaned(text: &str) -> String {
    let kept = |character: &char| character.is_ascii_graphic() && !"()<>;\\\"".contains(*character);
    let word: String = text.chars().filter(kept).take(255).collect();
    if word.is_empty() { "unknown".to_owned() } else { word }
}

/// The date of RFC 5322 section 3.3.
pub(crate) fn date(at: &Zoned) -> String {
    at.strftime("%a, %-d %b %Y %H:%M:%S %z").to_string()
}

/// How many Received fields there are, and how many of them `hostname` wrote.
pub fn received_count<'a>(fields: impl Iterator<Item = Field<'a>>, hostname: &str) -> (usize, usize) {
    let hostname = cleaned(hostname);
    let received = fields.filter(|field| field.is("Received")).map(|field| is_by(&field.unfolded(), &hostname));
    received.fold((0, 0), |(total, ours), is_ours| (total + 1, ours + usize::from(is_ours)))
}

/// Whether the field goes round: too many hops, or too often through us (R53).
pub fn is_loop((total, ours): (usize, usize)) -> bool {
    total > MOST_RECEIVED || ours >= OURS_IN_A_LOOP
}

fn is_by(value: &str, hostname: &str) -> bool {
    let words: Vec<&str> = value.split_whitespace().collect();
    words.windows(3).any(|three| {
        three[0].eq_ignore_ascii_case("by") && three[1].eq_ignore_ascii_case(hostname) && three[2] == PROGRAM
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::head::{HeadLimits, MessageHead};

    fn at() -> Zoned {
        "2026-03-02T09:05:07+01:00[Europe/Paris]".parse().unwrap()
    }

    fn trace(at: &Zoned) -> Received<'_> {
        let protocol = Protocol { extended: true, tls: true, authenticated: true, utf8: false };
        Received {
            helo: "mail.c.example",
            client: "192.0.2.7".parse().unwrap(),
            hostname: "gate.example.net",
            protocol,
            id: "01JABC",
            for_recipient: Some("anna@x.example"),
            at,
        }
    }

    #[test]
    fn it_says_who_gave_us_the_message_and_how() {
        let at = at();
        assert_eq!(
            received(&trace(&at)).to_wire(),
            "Received: from mail.c.example ([192.0.2.7]) by gate.example.net (Consentry) with ESMTPSA \
             id 01JABC for <anna@x.example>; Mon, 2 Mar 2026 09:05:07 +0100\r\n"
        );
    }

    #[test]
    fn a_helo_cannot_forge_a_clause() {
        let at = at();
        let table = [
            ("x) by evil (y", "xbyevily"),
            ("a\r\nBcc: b", "aBcc:b"),
            ("é;\t", "unknown"),
            ("", "unknown"),
            ("[192.0.2.7]", "[192.0.2.7]"),
        ];
        for (helo, expected) in table {
            let value = received(&Received { helo, ..trace(&at) }).value().to_owned();
            assert!(value.starts_with(&format!("from {expected} ([192.0.2.7])")), "{value}");
        }
    }

    #[test]
    fn several_recipients_are_not_named_and_a_v6_client_is_tagged() {
        let at = at();
        let client = "2001:db8::1".parse().unwrap();
        let value = received(&Received { for_recipient: None, client, ..trace(&at) }).value().to_owned();
        assert!(!value.contains(" for "));
        assert!(value.contains("([IPv6:2001:db8::1])") && value.contains("id 01JABC;"), "{value}");
    }

    #[test]
    fn the_protocol_keyword_is_the_registered_one() {
        let keyword = |extended, tls, authenticated, utf8| Protocol { extended, tls, authenticated, utf8 }.keyword();
        assert_eq!(keyword(false, false, false, false), "SMTP");
        assert_eq!(keyword(true, false, false, false), "ESMTP");
        assert_eq!(keyword(true, true, false, false), "ESMTPS");
        assert_eq!(keyword(true, false, true, false), "ESMTPA");
        assert_eq!(keyword(true, false, false, true), "UTF8SMTP");
        assert_eq!(keyword(true, true, true, true), "UTF8SMTPSA");
    }

    #[test]
    fn hops_are_counted_and_ours_are_told_apart() {
        let ours = received(&trace(&at())).to_wire();
        let others = "Received: from gate.example.net by relay.example with SMTP; x\r\n\
                      received : from by (x) by GATE.example.net (Consentry) with SMTP; x\r\n\
                      Received: by gate.example.net (Postfix) with SMTP; x\r\nX-Received: by gate.example.net\r\n";
        let wire = format!("{ours}{others}{ours}\r\n").into_bytes();
        let head = MessageHead::locate(&wire, &HeadLimits::default()).unwrap();
        let counts = received_count(head.fields(&wire), "gate.example.net");
        assert_eq!(counts, (5, 3));
        assert!(is_loop(counts) && is_loop((101, 0)) && !is_loop((100, 2)));
    }
}
