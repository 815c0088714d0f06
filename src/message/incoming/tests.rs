//! Messages as programs write them, and as nobody should.

use proptest::prelude::*;

use super::*;
use crate::smtp::address::EmailAddress;
use crate::smtp::status::EnhancedStatus;

fn token() -> String {
    "AbC-d_9".repeat(12)
}

fn wire(lines: &str) -> Vec<u8> {
    lines.replace('\n', "\r\n").into_bytes()
}

fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

/// As Postfix writes it.
fn postfix_bounce(fields: &str, list_unsubscribe: &str) -> Vec<u8> {
    wire(&format!(
        "From: MAILER-DAEMON@mx.example (Mail Delivery System)\n\
         To: bounces@exemple.fr\n\
         Auto-Submitted: auto-replied\n\
         MIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status;\n\
         \tboundary=\"B1\"\n\
         \n\
         This is a MIME-encapsulated message.\n\
         \n\
         --B1\n\
         Content-Description: Notification\n\
         Content-Type: text/plain; charset=us-ascii\n\
         \n\
         I'm sorry to have to inform you that your message could not\n\
         be delivered.\n\
         \n\
         --B1\n\
         Content-Description: Delivery report\n\
         Content-Type: message/delivery-status\n\
         \n\
         Reporting-MTA: dns; mx.example\n\
         X-Postfix-Queue-ID: 4Xabc\n\
         Arrival-Date: Thu, 14 May 2026 10:00:00 +0200 (CEST)\n\
         \n\
         {fields}\n\
         --B1\n\
         Content-Description: Undelivered Message\n\
         Content-Type: message/rfc822\n\
         \n\
         Received: from gate.example by mx.example\n\
         Message-ID: <42@exemple.fr>\n\
         List-Unsubscribe: {list_unsubscribe}\n\
         Subject: Offers\n\
         \n\
         --B1 is no delimiter here\n\
         --B1--\n"
    ))
}

const FAILED: &str = "Final-Recipient: rfc822; anna@x.example\n\
     Original-Recipient: rfc822;anna@x.example\n\
     Action: failed\n\
     Status: 5.1.1\n\
     Remote-MTA: dns; mx.x.example\n\
     Diagnostic-Code: smtp; 550 5.1.1 <anna@x.example>: Recipient address\n    rejected: unknown\n";

#[test]
fn a_bounce_tells_whose_address_failed_and_brings_the_token_back() {
    let token = token();
    let links = [
        format!("<https://p.example/u/{token}>"),
        format!("<https://p.example/u/x>,\n <mailto:out@exemple.fr?subject=unsubscribe%20{token}>"),
    ];
    for link in links {
        let Incoming::Delivery { recipients, returned } = read(&postfix_bounce(FAILED, &link), true) else {
            panic!("no delivery report")
        };
        assert_eq!(returned, Returned { tokens: vec![token.clone()], message_id: Some("42@exemple.fr".into()) });
        let expected = RecipientReport {
            original: Some(address("anna@x.example")),
            last: Some(address("anna@x.example")),
            action: Action::Failed,
            status: EnhancedStatus::parse("5.1.1"),
            reply_code: Some(550),
        };
        assert_eq!(recipients, [expected]);
    }
}

#[test]
fn what_happened_to_a_recipient_is_read_as_programs_write_it() {
    let table = [
        (
            "Final-Recipient: rfc822; a@b.example\nAction: delayed\nStatus: 4.4.1\n",
            Action::Delayed,
            Some("4.4.1"),
            None,
        ),
        (
            "Final-Recipient: RFC822; <a@b.example>\nAction: relayed (to x)\nStatus: 2.1.9\n",
            Action::Relayed,
            Some("2.1.9"),
            None,
        ),
        ("Final-Recipient: a@b.example\nAction: expanded\nStatus: 2.1.5\n", Action::Expanded, Some("2.1.5"), None),
        (
            "Final-Recipient: utf-8; a@b.example\nAction: FAILED\nStatus: 5.0.0\n\
          Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound\n",
            Action::Failed,
            Some("5.1.10"),
            Some(550),
        ),
        // What the other server said of the mailbox does not count against what the reporter is sure of.
        (
            "Final-Recipient: rfc822;a@b.example\nAction: failed\nStatus: 4.4.7\n\
          Diagnostic-Code: smtp; 550 5.1.1 unknown\n",
            Action::Failed,
            Some("4.4.7"),
            Some(550),
        ),
        (
            "Final-Recipient: rfc822;a@b.example\nAction: failed\nDiagnostic-Code: smtp; 550 no\n",
            Action::Failed,
            None,
            Some(550),
        ),
        ("Final-Recipient: rfc822;a@b.example\nStatus: 5.1.1\n", Action::Unknown, Some("5.1.1"), None),
        (
            "Final-Recipient: rfc822;a@b.example\nAction: failed\nStatus: 5.2.2\nDiagnostic-Code: X-Unix; 550 5.1.1\n",
            Action::Failed,
            Some("5.2.2"),
            None,
        ),
    ];
    for (fields, action, status, code) in table {
        let Incoming::Delivery { recipients, .. } = read(&postfix_bounce(fields, "<x>"), true) else {
            panic!("{fields}")
        };
        let found = &recipients[0];
        assert_eq!((found.action, found.reply_code), (action, code), "{fields}");
        assert_eq!(found.status.map(|status| status.to_string()).as_deref(), status, "{fields}");
        assert_eq!(found.last, Some(address("a@b.example")), "{fields}");
    }
}

#[test]
fn a_report_may_speak_of_several_and_of_forwarding() {
    let fields = "Original-Recipient: rfc822; anna@x.example\nFinal-Recipient: rfc822; other@y.example\n\
                  Action: failed\nStatus: 5.1.1\n\n\
                  Final-Recipient: rfc822; ben@x.example\nAction: delivered\nStatus: 2.0.0\n";
    let Incoming::Delivery { recipients, .. } = read(&postfix_bounce(fields, "<x>"), true) else { panic!() };
    assert_eq!(recipients.len(), 2);
    assert_eq!(recipients[0].original, Some(address("anna@x.example")));
    assert_eq!(recipients[0].last, Some(address("other@y.example")));
    assert_eq!((recipients[1].action, &recipients[1].original), (Action::Delivered, &None));
    let empty = read(&postfix_bounce("X-Nothing: here\n", "<x>"), true);
    assert!(matches!(empty, Incoming::Unclear { why: Unclear::ReportWithoutRecipient, .. }), "{empty:?}");
}

/// The example of RFC 5965 appendix B.2, with our link in it.
fn arf(fields: &str) -> Vec<u8> {
    wire(&format!(
        "From: <abusedesk@example.com>\nTo: <abuse@example.net>\nSubject: FW: Earn money\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=feedback-report; boundary=\"part1_13d.2e68ed54_boundary\"\n\
         \n\
         --part1_13d.2e68ed54_boundary\nContent-Type: text/plain; charset=\"US-ASCII\"\n\
         Content-Transfer-Encoding: 7bit\n\nThis is an email abuse report.\n\n\
         --part1_13d.2e68ed54_boundary\nContent-Type: message/feedback-report\n\n\
         {fields}User-Agent: SomeGenerator/1.0\nVersion: 1\n\n\
         --part1_13d.2e68ed54_boundary\nContent-Type: text/rfc822-headers\n\n\
         From: <somespammer@example.net>\nTo: <redacted@example.com>\nSubject: Earn money\n\
         Message-ID: 8787KJKJ3K4J3K4J3K4J3.mail@example.net\n\
         List-Unsubscribe: <https://p.example/u/{}>\n\n\
         --part1_13d.2e68ed54_boundary--\n",
        token()
    ))
}

#[test]
fn a_complaint_says_what_it_is_and_about_which_message() {
    let table = [
        ("Feedback-Type: abuse\n", Feedback::Complaint),
        ("Feedback-Type: FRAUD\n", Feedback::Complaint),
        ("Feedback-Type: opt-out\n", Feedback::OptOut),
        ("Feedback-Type: not-spam\n", Feedback::NotSpam),
        ("Feedback-Type: auth-failure\n", Feedback::Authentication),
        ("Feedback-Type: virus\n", Feedback::Other),
        ("Feedback-Type: something\n", Feedback::Other),
    ];
    for (fields, feedback) in table {
        let Incoming::Complaint { report, returned } = read(&arf(fields), false) else { panic!("{fields}") };
        assert_eq!(report, ComplaintReport { feedback, recipients: vec![] }, "{fields}");
        assert_eq!(returned.tokens, [token()]);
        assert_eq!(returned.message_id.as_deref(), Some("8787KJKJ3K4J3K4J3K4J3.mail@example.net"));
    }
    for fields in ["", "Feedback-Type: abuse\nFeedback-Type: not-spam\n"] {
        let read = read(&arf(fields), false);
        assert!(matches!(read, Incoming::Unclear { why: Unclear::ComplaintWithoutType, .. }), "{read:?}");
    }
    let named = "Feedback-Type: abuse\nOriginal-Rcpt-To: <anna@x.example>\nOriginal-Rcpt-To: anna@x.example\n\
                 Original-Rcpt-To: rfc822; ben@x.example\nRemoval-Recipient: not an address\n";
    let Incoming::Complaint { report, .. } = read(&arf(named), false) else { panic!() };
    assert_eq!(report.recipients, [address("anna@x.example"), address("ben@x.example")]);
}

fn request(head: &str, body: &str, null_sender: bool) -> Incoming {
    read(&wire(&format!("{head}\n\n{body}\n")), null_sender)
}

#[test]
fn a_request_carries_its_token_in_the_subject_however_it_was_bent() {
    let token = token();
    let (start, end) = token.split_at(40);
    let table = [
        format!("Subject: unsubscribe {token}"),
        format!("Subject: Re: unsubscribe {token}"),
        format!("Subject: Désinscription : {token} merci"),
        format!("Subject: unsubscribe\n {token}"),
        format!("Subject: unsubscribe {start}\n {end}"),
        format!("Subject: =?utf-8?Q?unsubscribe_{}?=", token.replace('_', "=5F")),
        format!(
            "Subject: =?utf-8?Q?unsubscribe_{}?=\n =?utf-8?Q?{}?=",
            start.replace('_', "=5F"),
            end.replace('_', "=5F")
        ),
        format!("SUBJECT : unsubscribe {token}"),
    ];
    for subject in table {
        let read = request(&format!("From: Anna <anna@x.example>\n{subject}"), "", false);
        let Incoming::Request(found) = read else { panic!("{subject}: {read:?}") };
        assert!(found.in_subject.contains(&token), "{subject}: {found:?}");
        assert_eq!(found.from, Some(address("anna@x.example")));
    }
}

#[test]
fn a_request_without_a_token_says_who_asks() {
    let table = [
        ("From: anna@x.example", Some("anna@x.example")),
        ("From: \"Anna\" <anna@x.example>\nSubject: stop", Some("anna@x.example")),
        ("From: anna@x.example, ben@x.example", None),
        ("From: anna@x.example\nFrom: ben@x.example", None),
        ("From: anna@x.example\nFrom: Anna@X.EXAMPLE", Some("anna@x.example")),
        ("From: nobody", None),
        ("Subject: unsubscribe", None),
    ];
    for (head, from) in table {
        let read = request(head, "", false);
        let Incoming::Request(found) = read else { panic!("{head}: {read:?}") };
        assert_eq!(found.from, from.map(address), "{head}");
        assert!(found.in_subject.is_empty() && found.in_body.is_empty() && !found.automatic);
    }
    let quoted = format!("> To leave: https://p.example/u/{}\n> Bye", token());
    let Incoming::Request(found) = request("From: anna@x.example\nSubject: Re: Offers", &quoted, false) else {
        panic!()
    };
    assert_eq!(found.in_body, [token()]);
}

#[test]
fn what_a_program_wrote_asks_for_nothing() {
    let from = "From: anna@x.example\nSubject: Re: Offers";
    let table = [
        (format!("{from}\nAuto-Submitted: auto-replied"), false),
        (format!("{from}\nAuto-Submitted: auto-replied (vacation)"), true),
        (format!("{from}\nAuto-Submitted: auto-generated; x=y"), false),
        (format!("{from}\nX-Autoreply: yes"), false),
        (format!("{from}\nPrecedence: auto_reply"), true),
        (format!("From: anna@x.example\nSubject: unsubscribe {}\nAuto-Submitted: auto-replied", token()), false),
    ];
    for (head, null_sender) in table {
        let body = format!("I am away. You wrote: https://p.example/u/{}", token());
        assert_eq!(request(&head, &body, null_sender), Incoming::Automatic, "{head}");
    }
    let of_a_mail_program =
        format!("From: anna@x.example\nSubject: unsubscribe {}\nAuto-Submitted: auto-generated", token());
    let Incoming::Request(found) = request(&of_a_mail_program, "", false) else { panic!() };
    assert!(found.automatic && found.in_subject.first() == Some(&token()));
    assert!(matches!(request(&format!("{from}\nAuto-Submitted: no"), "", false), Incoming::Request(_)));
    let receipt = "From: anna@x.example\nContent-Type: multipart/report; boundary=x";
    let body = "--x\nContent-Type: message/disposition-notification\n\nDisposition: manual; displayed\n--x--";
    assert_eq!(request(receipt, body, false), Incoming::Automatic);
}

#[test]
fn what_may_be_a_bounce_is_left_to_a_person() {
    let qmail = format!(
        "Hi. This is the qmail-send program at mx.example.\nI'm afraid I wasn't able to deliver your message.\n\n\
         <anna@x.example>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n\
         --- Below this line is a copy of the message.\n\nList-Unsubscribe: <https://p.example/u/{}>\n",
        token()
    );
    for (head, null_sender) in [
        ("From: MAILER-DAEMON@mx.example\nSubject: failure notice", true),
        ("From: MAILER-DAEMON@mx.example\nSubject: failure notice", false),
        ("From: postmaster@mx.example\nSubject: Unzustellbar", true),
    ] {
        let read = request(head, &qmail, null_sender);
        let Incoming::Unclear { why: Unclear::BounceWithoutReport, returned } = read else { panic!("{read:?}") };
        assert_eq!(returned.tokens, [token()]);
    }
    let read = request(&format!("From: anna@x.example\nSubject: unsubscribe {}", token()), "", true);
    assert!(matches!(read, Incoming::Unclear { why: Unclear::RequestWithoutSender, .. }), "{read:?}");
    let endless = format!("X-Long: {}", "a".repeat(300 * 1024));
    assert!(matches!(request(&endless, "", false), Incoming::Unclear { why: Unclear::Header, .. }));
}

#[test]
fn nested_and_endless_parts_are_passed_over_in_good_time() {
    let mut nested = String::from("From: a@b.example\nContent-Type: multipart/mixed; boundary=b0\n\n");
    for depth in 0..5000 {
        nested += &format!("--b{depth}\nContent-Type: multipart/mixed; boundary=b{}\n\n", depth + 1);
    }
    assert!(matches!(read(&wire(&nested), false), Incoming::Request(_)));
    let parts = "--b\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822; a@b.example\n\n".repeat(5000);
    let report = format!("From: a@b.example\nContent-Type: multipart/report; boundary=b\n\n{parts}--b--\n");
    assert!(matches!(read(&wire(&report), true), Incoming::Delivery { recipients, .. } if recipients.len() == 1));
    let groups = "Final-Recipient: rfc822; a@b.example\nAction: failed\n\n".repeat(5000);
    let Incoming::Delivery { recipients, .. } = read(&postfix_bounce(&groups, "<x>"), true) else { panic!() };
    assert_eq!(recipients.len(), 100);
}

#[test]
fn everybody_who_is_named_is_known() {
    let named: Vec<String> = people(&postfix_bounce(FAILED, "<mailto:out@exemple.fr?subject=x>"))
        .iter()
        .map(EmailAddress::to_string)
        .collect();
    for address in ["anna@x.example", "bounces@exemple.fr", "out@exemple.fr", "MAILER-DAEMON@mx.example"] {
        assert!(named.iter().any(|name| name == address), "{address} in {named:?}");
    }
}

/// Lines of which such messages are made, in any order.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just("From: a@b.example\r\n".to_owned()),
        Just("Subject: =?utf-8?Q?x?= \r\n".to_owned()),
        Just("Auto-Submitted: auto-replied\r\n".to_owned()),
        Just("Content-Type: multipart/report; boundary=b\r\n".to_owned()),
        Just("Content-Type: message/delivery-status\r\n".to_owned()),
        Just("Content-Type: message/feedback-report\r\n".to_owned()),
        Just("Content-Type: message/rfc822\r\n".to_owned()),
        Just("Content-Transfer-Encoding: base64\r\n".to_owned()),
        Just("Final-Recipient: rfc822;;\r\n".to_owned()),
        Just("Diagnostic-Code: smtp; 5é\r\n".to_owned()),
        Just("Status: 5.1\r\n".to_owned()),
        Just("Feedback-Type: abuse\r\n".to_owned()),
        Just("List-Unsubscribe: <%zz\r\n".to_owned()),
        Just("--b\r\n".to_owned()),
        Just("--b--\r\n".to_owned()),
        Just("\r\n".to_owned()),
        "[ -~é]{0,80}(\r\n|\n|)",
    ];
    prop::collection::vec(line, 0..40).prop_map(|lines| lines.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..2000), null_sender: bool) {
        read(&bytes, null_sender);
    }

    #[test]
    fn any_order_of_lines_is_read(bytes in pieces(), null_sender: bool) {
        read(&bytes, null_sender);
    }
}
