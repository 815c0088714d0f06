use mail_parser::{Message, MessageParser, MimeHeaders};
use proptest::prelude::*;

use super::*;

struct Case {
    to: EmailAddress,
    withheld: Vec<EmailAddress>,
    orcpt: Option<&'static str>,
    envid: Option<&'static str>,
    headers: Vec<u8>,
    sentence: String,
}

impl Default for Case {
    fn default() -> Case {
        Case {
            to: address("sender@c.example"),
            withheld: vec![address("bob@y.example"), address("carl@z.example")],
            orcpt: None,
            envid: None,
            headers: b"From: sender@c.example\r\nSubject: Books\r\n\r\n".to_vec(),
            sentence: "no consent on record for offers/books".to_owned(),
        }
    }
}

fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

impl Case {
    /// The notice as a strict receiver gets it: wire form checked, dots taken off.
    fn received(&self) -> Vec<u8> {
        let arrived: Zoned = "2026-03-02T09:05:07+01:00[Europe/Paris]".parse().unwrap();
        let withheld: Vec<_> = self.withheld.iter().map(|address| self.recipient(address)).collect();
        let notice = Notice {
            hostname: "gate.example.net",
            to: &self.to,
            reference: "01JREF",
            arrived: &arrived,
            envid: self.envid,
            original_headers: &self.headers,
            message_id: "01JREF.notice@gate.example.net",
            boundary: "Zk3b9",
            withheld: &withheld,
        };
        let wire = notice.to_wire();
        assert!(wire.ends_with(b"\r\n"));
        for line in wire.split_inclusive(|byte| *byte == b'\n') {
            let content = line.strip_suffix(b"\r\n").expect("a CRLF ends every line");
            assert!(content.len() <= 998 && content != b".");
            assert!(!content.iter().any(|byte| matches!(byte, b'\r' | 0)));
            assert!(content.is_ascii() || notice.needs_smtputf8());
        }
        encoding::unstuffed(&wire)
    }

    fn recipient<'a>(&'a self, address: &'a EmailAddress) -> WithheldRecipient<'a> {
        let (orcpt, sentence) = (self.orcpt, self.sentence.as_str());
        WithheldRecipient {
            address,
            orcpt,
            status: "5.7.1",
            cause: Cause::Withheld { reason: "CONSENT_NONE", sentence },
        }
    }
}

fn content_type(message: &Message<'_>, part: u32) -> String {
    let kind = message.part(part).unwrap().content_type().unwrap();
    format!("{}/{}", kind.ctype(), kind.subtype().unwrap())
}

/// The groups of fields in the second part, unfolded.
fn status_groups(message: &Message<'_>) -> Vec<Vec<String>> {
    let status = String::from_utf8(message.part(2).unwrap().contents().to_vec()).unwrap();
    let unfolded = status.replace("\r\n\t", " ");
    let groups = unfolded.trim_end().split("\r\n\r\n");
    groups.map(|group| group.lines().map(str::to_owned).collect()).collect()
}

#[test]
fn a_notice_is_a_report_of_three_parts() {
    let received = Case::default().received();
    let message = MessageParser::default().parse(&received).unwrap();
    assert_eq!(content_type(&message, 0), "multipart/report");
    let kind = message.content_type().unwrap();
    assert_eq!(kind.attribute("report-type"), Some("delivery-status"));
    assert_eq!(message.parts.len(), 4);
    assert_eq!(content_type(&message, 1), "text/plain");
    assert_eq!(content_type(&message, 2), "message/delivery-status");
    assert_eq!(content_type(&message, 3), "text/rfc822-headers");
    assert_eq!(message.header_raw("Auto-Submitted").unwrap().trim(), "auto-replied");
    assert_eq!(message.header_raw("To").unwrap().trim(), "<sender@c.example>");
    let returned = message.part(3).unwrap().contents();
    assert!(returned.starts_with(b"From: sender@c.example\r\nSubject: Books\r\n"));
}

#[test]
fn each_withheld_recipient_has_its_own_block_and_nobody_else_is_named() {
    let case = Case { envid: Some("QQ314+2B159"), orcpt: Some("rfc822;bob+2Bx@y.example"), ..Case::default() };
    let received = case.received();
    let message = MessageParser::default().parse(&received).unwrap();
    let groups = status_groups(&message);
    assert_eq!(
        groups[0],
        [
            "Reporting-MTA: dns; gate.example.net",
            "Original-Envelope-Id: QQ314+159",
            "Arrival-Date: Mon, 2 Mar 2026 09:05:07 +0100",
        ]
    );
    assert_eq!(groups.len(), 3);
    for (group, address) in groups[1..].iter().zip(&case.withheld) {
        assert_eq!(
            *group,
            [
                "Original-Recipient: rfc822; bob+x@y.example",
                &format!("Final-Recipient: rfc822; {address}"),
                "Action: failed",
                "Status: 5.7.1",
                "Diagnostic-Code: smtp; 550 5.7.1 withheld: no consent on record for offers/books \
                 (CONSENT_NONE); ref 01JREF",
            ]
        );
    }
    let text = message.body_text(0).unwrap().into_owned();
    assert!(text.contains("<bob@y.example>") && text.contains("<carl@z.example>") && text.contains("01JREF"));
    let known = ["sender@c.example", "bob@y.example", "bob+x@y.example", "carl@z.example"];
    let named = String::from_utf8(received.clone()).unwrap();
    let named = named.split(['<', '>', ' ', '"', '\r', '\n']).filter(|word| word.contains('@'));
    for word in named {
        assert!(known.contains(&word) || word.ends_with("@gate.example.net"), "{word}");
    }
}

#[test]
fn nothing_from_outside_starts_a_field_or_a_part() {
    let case = Case {
        envid: Some("a+0D+0AAction:+20delivered+00"),
        orcpt: Some("rfc822;x+0D+0A+0D+0AFinal-Recipient:+20rfc822;evil"),
        sentence: "no\r\n\r\n--=_Zk3b9\r\nContent-Type: text/html\r\n\r\n<b>".to_owned(),
        headers: b"Subject: x\r\n--=_Zk3b9\r\nContent-Type: text/html\r\n--=_Zk3b9x--\r\n..\r\n\r\n".to_vec(),
        ..Case::default()
    };
    let received = case.received();
    let message = MessageParser::default().parse(&received).unwrap();
    assert_eq!(message.parts.len(), 4);
    let groups = status_groups(&message);
    assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [3, 5, 5]);
    assert!(groups.iter().flatten().all(|line| !line.starts_with("Action: delivered")));
    assert!(message.part(3).unwrap().contents().starts_with(b"Subject: x\r\n--=_Zk3b9\r\n"));
}

#[test]
fn an_address_beyond_ascii_is_written_as_the_way_back_allows() {
    let withheld = vec![address("ü+1@bücher.example")];
    let case = Case { withheld: withheld.clone(), ..Case::default() };
    let received = case.received();
    let message = MessageParser::default().parse(&received).unwrap();
    assert_eq!(content_type(&message, 2), "message/delivery-status");
    assert_eq!(status_groups(&message)[1][0], r"Final-Recipient: utf-8; \x{FC}\x{2B}1@b\x{FC}cher.example");
    assert!(message.body_text(0).unwrap().contains("<ü+1@bücher.example>"));

    let headers = "Subject: Bücher\r\n\r\n".as_bytes().to_vec();
    let case = Case { withheld, to: address("ö@c.example"), headers, ..Case::default() };
    let received = case.received();
    let message = MessageParser::default().parse(&received).unwrap();
    assert_eq!(content_type(&message, 2), "message/global-delivery-status");
    assert_eq!(content_type(&message, 3), "message/global-headers");
    assert_eq!(status_groups(&message)[1][0], "Final-Recipient: utf-8; ü+1@bücher.example");
}

#[test]
fn awkward_headers_come_back_as_they_were() {
    let long = format!("X-Long: {}\r\n", "y".repeat(3000));
    for headers in [&b"Subject: caf\xe9 = x \r\n\r\n"[..], long.as_bytes(), b"..Dot: x\r\n.. y\r\n\r\n", b""] {
        let received = Case { headers: headers.to_vec(), ..Case::default() }.received();
        let message = MessageParser::default().parse(&received).unwrap();
        let returned = message.part(3).unwrap().text_contents().unwrap().to_owned();
        let expected = String::from_utf8_lossy(&encoding::unstuffed(headers)).into_owned();
        assert_eq!(returned.trim_end(), expected.trim_end());
    }
}

#[test]
fn a_huge_header_section_is_cut_at_a_line() {
    let headers = "X: yyyy\r\n".repeat(20_000).into_bytes();
    let received = Case { headers, ..Case::default() }.received();
    assert!(received.len() < MOST_HEADER + 8 * 1024);
}

proptest! {
    #[test]
    fn quoted_printable_is_short_lines_of_ascii_and_comes_back(
        lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..6),
    ) {
        let clean = |line: Vec<u8>| line.into_iter().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect::<Vec<_>>();
        let text: Vec<u8> = lines.into_iter().flat_map(|line| [clean(line), b"\r\n".to_vec()].concat()).collect();
        let encoded = quoted_printable(&text);
        prop_assert!(encoded.is_ascii());
        prop_assert!(encoded.split(|byte| *byte == b'\n').all(|line| line.len() <= 77));
        let decoded = mail_parser::decoders::quoted_printable::quoted_printable_decode(&encoded);
        prop_assert_eq!(decoded.unwrap_or_default(), text);
    }

    #[test]
    fn any_parameters_give_the_same_structure(envid in "\\PC{0,80}", orcpt in "\\PC{0,80}", sentence in "(?s).{0,600}") {
        let envid: &'static str = envid.leak();
        let orcpt: &'static str = orcpt.leak();
        let case = Case { envid: Some(envid), orcpt: Some(orcpt), sentence, ..Case::default() };
        let received = case.received();
        let message = MessageParser::default().parse(&received).unwrap();
        prop_assert_eq!(message.parts.len(), 4);
        prop_assert_eq!(status_groups(&message).len(), 3);
    }
}
