use super::*;
use crate::smtp::command::Command;

fn ehlo(lines: &[&str]) -> Capabilities {
    let lines = ["mx.test at your service"].iter().chain(lines).map(|&line| line.to_owned()).collect();
    Capabilities::from_ehlo(&Reply::multi(250, lines))
}

fn everything() -> Capabilities {
    ehlo(&[
        "PIPELINING",
        "SIZE 10485760",
        "8BITMIME",
        "SMTPUTF8",
        "DSN",
        "ENHANCEDSTATUSCODES",
        "STARTTLS",
        "CHUNKING",
        "VRFY",
        "AUTH PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS EXTERNAL GSSAPI NTLM KERBEROS_V4 XOAUTH2",
    ])
}

fn offer(upstream: Option<&Capabilities>) -> Offer<'_> {
    Offer { hostname: "gate.test", upstream, max_message_size: 50 << 20, tls_available: true, auth: true }
}

#[test]
fn an_ehlo_reply_is_read_in_any_case_without_its_greeting() {
    assert_eq!(ehlo(&[]), Capabilities::default());
    assert!(!Capabilities::from_ehlo(&Reply::new(250, "PIPELINING")).pipelining);
    let read = ehlo(&["pipelining", "Size", "AUTH=LOGIN PLAIN", "auth plain Login cram-md5", "AUTH <bad>"]);
    assert!(read.pipelining);
    assert_eq!(read.size, Some(0));
    assert_eq!(read.auth, ["LOGIN", "PLAIN", "CRAM-MD5"]);
    assert_eq!(ehlo(&["SIZE 35882577"]).size, Some(35_882_577));
    assert_eq!(ehlo(&["PIPELININGX", "X-SIZE 3"]), Capabilities::default());
}

#[test]
fn before_upstream_was_seen_only_what_the_gate_does_alone_is_offered() {
    assert_eq!(
        ehlo_reply(&offer(None)).lines(),
        ["gate.test", "PIPELINING", "SIZE 52428800", "STARTTLS", "ENHANCEDSTATUSCODES"]
    );
}

#[test]
fn what_upstream_offers_and_the_gate_carries_is_offered_on() {
    let upstream = everything();
    assert_eq!(
        ehlo_reply(&offer(Some(&upstream))).lines(),
        [
            "gate.test",
            "PIPELINING",
            "SIZE 10477568",
            "8BITMIME",
            "SMTPUTF8",
            "DSN",
            "STARTTLS",
            "AUTH PLAIN LOGIN SCRAM-SHA-256 XOAUTH2",
            "ENHANCEDSTATUSCODES"
        ]
    );
    let bare = Offer { tls_available: false, auth: false, ..offer(Some(&upstream)) };
    assert!(!offered(&bare).starttls && offered(&bare).auth.is_empty());
}

#[test]
fn the_reply_says_exactly_what_was_offered() {
    let upstream = everything();
    for offer in [offer(None), offer(Some(&upstream)), Offer { auth: false, ..offer(Some(&upstream)) }] {
        assert_eq!(Capabilities::from_ehlo(&ehlo_reply(&offer)), offered(&offer));
    }
}

#[test]
fn the_size_limit_is_the_smaller_one_less_headroom() {
    for (ours, theirs, limit) in [
        (1000, None, 1000),
        (1000, Some(0), 1000),
        (100_000, Some(100_000), 100_000 - SIZE_HEADROOM),
        (1000, Some(100_000), 1000),
        (1000, Some(10), 1),
        (0, Some(100_000), 100_000 - SIZE_HEADROOM),
        (0, None, 0),
    ] {
        assert_eq!(size_limit(ours, theirs), limit, "{ours} {theirs:?}");
    }
}

#[test]
fn a_parameter_of_an_extension_that_was_not_offered_is_not_allowed() {
    let nothing = Capabilities::default();
    for parameter in ["SIZE=1", "BODY=7BIT", "SMTPUTF8", "RET=FULL", "ENVID=x", "AUTH=<>"] {
        let line = format!("MAIL FROM:<> {parameter}");
        let Ok(Command::Mail { parameters, .. }) = Command::parse(line.as_bytes()) else { panic!("{line}") };
        assert!(everything().allow_mail(&parameters) && !nothing.allow_mail(&parameters), "{parameter}");
    }
    for parameter in ["NOTIFY=NEVER", "ORCPT=rfc822;a"] {
        let line = format!("RCPT TO:<a@x.test> {parameter}");
        let Ok(Command::Rcpt { parameters, .. }) = Command::parse(line.as_bytes()) else { panic!("{line}") };
        assert!(everything().allow_rcpt(&parameters) && !nothing.allow_rcpt(&parameters), "{parameter}");
    }
    assert!(nothing.allow_mail(&MailParameters::default()) && nothing.allow_rcpt(&RcptParameters::default()));
}
