use super::*;

fn rules() -> SessionRules {
    SessionRules {
        max_recipients: 2,
        max_message_size: 1000,
        max_errors: 5,
        max_idle_commands: 10,
        require_tls: false,
        auth_without_tls: false,
        lmtp: false,
    }
}

fn everything() -> Capabilities {
    Capabilities {
        pipelining: true,
        size: Some(1000),
        eight_bit_mime: true,
        smtputf8: true,
        dsn: true,
        enhanced_status_codes: true,
        starttls: true,
        auth: vec!["PLAIN".into(), "LOGIN".into()],
    }
}

fn said(session: &mut Session, line: &str) -> Step {
    session.command(Command::parse(line.as_bytes()))
}

/// The code of the reply a command gets, or the step it leads to.
fn outcome(session: &mut Session, line: &str) -> String {
    match said(session, line) {
        Step::Reply(reply) => reply.code().to_string(),
        Step::Close(reply) => format!("{} close", reply.code()),
        Step::Reset(reply) => format!("{} reset", reply.code()),
        Step::Greet { extended: true } => "ehlo".into(),
        Step::Greet { extended: false } => "helo".into(),
        Step::AskSender { from, parameters } => {
            session.accept_sender(from, parameters);
            "ask sender".into()
        }
        Step::AskRecipient(recipient) => {
            if recipient.address.as_str().starts_with("refused") {
                session.refuse_recipient();
            } else {
                session.accept_recipient(recipient);
            }
            "ask recipient".into()
        }
        Step::ReadMessage => "read message".into(),
        Step::StartTls => "start tls".into(),
        Step::Authenticate { mechanism, .. } => format!("auth {mechanism}"),
    }
}

/// Plays lines against a session to which everything was offered.
fn play(session: &mut Session, dialogue: &[(&str, &str)]) {
    for (line, expected) in dialogue {
        assert_eq!(outcome(session, line), *expected, "{line} in {dialogue:?}");
        if line.starts_with("EHLO") {
            session.offered(everything());
        }
    }
}

#[test]
fn commands_out_of_order_are_refused_and_change_nothing() {
    play(
        &mut Session::new(rules()),
        &[
            ("MAIL FROM:<a@x.example>", "503"),
            ("EHLO client.example", "ehlo"),
            ("RCPT TO:<b@x.example>", "503"),
            ("DATA", "503"),
            ("MAIL FROM:<a@x.example>", "ask sender"),
            ("MAIL FROM:<c@x.example>", "503"),
        ],
    );
}

#[test]
fn data_needs_a_recipient_upstream_accepted() {
    let start = [("EHLO c.example", "ehlo"), ("MAIL FROM:<a@x.example>", "ask sender")];
    let mut session = Session::new(rules());
    play(&mut session, &start);
    play(&mut session, &[("DATA", "503"), ("RCPT TO:<refused@x.example>", "ask recipient"), ("DATA", "554")]);
    play(&mut session, &[("RCPT TO:<b@x.example>", "ask recipient"), ("DATA", "read message")]);
}

#[test]
fn whatever_ends_a_transaction_leaves_nothing_of_it() {
    type Ending = fn(&mut Session);
    let endings: [(&str, Ending); 6] = [
        ("RSET", |session| play(session, &[("RSET", "250 reset")])),
        ("EHLO", |session| play(session, &[("EHLO again.example", "ehlo")])),
        ("HELO", |session| play(session, &[("HELO again.example", "helo")])),
        ("final reply", |session| _ = session.take_envelope()),
        ("TLS", |session| {
            session.encrypted();
            play(session, &[("EHLO again.example", "ehlo")]);
        }),
        ("AUTH", |session| session.authenticated("shop".into())),
    ];
    for (name, end) in endings {
        let mut session = Session::new(rules());
        play(&mut session, &[("EHLO c.example", "ehlo"), ("MAIL FROM:<a@x.example>", "ask sender")]);
        play(&mut session, &[("RCPT TO:<b@x.example>", "ask recipient")]);
        end(&mut session);
        assert!(session.envelope().is_none(), "{name}");
        play(&mut session, &[("RCPT TO:<b@x.example>", "503"), ("DATA", "503")]);
    }
}

#[test]
fn parameters_that_were_not_offered_are_refused() {
    let mut session = Session::new(rules());
    assert_eq!(outcome(&mut session, "EHLO c.example"), "ehlo");
    session.offered(Capabilities { size: Some(1000), ..Capabilities::default() });
    let table = [
        ("MAIL FROM:<a@x.example> BODY=8BITMIME", "555"),
        ("MAIL FROM:<a@x.example> RET=HDRS", "555"),
        ("MAIL FROM:<a@x.example> SMTPUTF8", "555"),
        ("MAIL FROM:<\u{e9}ric@x.example>", "550"),
    ];
    for (line, expected) in table {
        let mut session = Session::new(SessionRules { max_errors: 100, ..rules() });
        assert_eq!(outcome(&mut session, "EHLO c.example"), "ehlo");
        assert_eq!(outcome(&mut session, line), expected, "{line}");
    }
    play(&mut session, &[("MAIL FROM:<a@x.example> SIZE=1001", "552"), ("MAIL FROM:<a@x.example>", "ask sender")]);
    play(&mut session, &[("RCPT TO:<\u{e9}ric@x.example>", "553"), ("RCPT TO:<b@x.example> NOTIFY=NEVER", "555")]);
}

#[test]
fn a_recipient_too_many_is_put_off_and_the_others_stand() {
    let mut session = Session::new(rules());
    play(&mut session, &[("EHLO c.example", "ehlo"), ("MAIL FROM:<>", "ask sender")]);
    for name in ["a", "b"] {
        assert_eq!(outcome(&mut session, &format!("RCPT TO:<{name}@x.example>")), "ask recipient");
    }
    for _ in 0..20 {
        assert_eq!(outcome(&mut session, "RCPT TO:<c@x.example>"), "452");
    }
    assert_eq!(outcome(&mut session, "DATA"), "read message");
}

#[test]
fn tls_may_be_demanded_and_is_offered_once() {
    let mut session = Session::new(SessionRules { require_tls: true, ..rules() });
    play(&mut session, &[("EHLO c.example", "ehlo"), ("MAIL FROM:<>", "530"), ("NOOP", "250")]);
    play(&mut session, &[("STARTTLS", "start tls")]);
    session.encrypted();
    play(&mut session, &[("MAIL FROM:<>", "503"), ("EHLO c.example", "ehlo"), ("STARTTLS", "503")]);
    play(&mut session, &[("MAIL FROM:<>", "ask sender")]);
}

#[test]
fn auth_follows_what_was_offered_and_where() {
    let mut session = Session::new(rules());
    play(&mut session, &[("AUTH PLAIN AGEAYg==", "503"), ("EHLO c.example", "ehlo")]);
    play(&mut session, &[("AUTH PLAIN AGEAYg==", "538")]); // in clear
    session.encrypted();
    play(&mut session, &[("EHLO c.example", "ehlo"), ("AUTH SCRAM-SHA-1-PLUS", "504")]);
    play(&mut session, &[("AUTH PLAIN AGEAYg==", "auth PLAIN")]);
    session.authenticated("a".into());
    play(&mut session, &[("AUTH PLAIN AGEAYg==", "503")]);
}

#[test]
fn a_session_of_errors_or_idle_talk_is_ended() {
    let mut session = Session::new(rules());
    for _ in 0..4 {
        assert_eq!(outcome(&mut session, "FOO"), "500");
    }
    assert_eq!(outcome(&mut session, "FOO"), "421 close");

    let mut session = Session::new(rules());
    for _ in 0..10 {
        assert_eq!(outcome(&mut session, "NOOP"), "250");
    }
    assert_eq!(outcome(&mut session, "NOOP"), "421 close");
}

#[test]
fn an_accepted_message_clears_the_count() {
    let mut session = Session::new(rules());
    for _ in 0..4 {
        assert_eq!(outcome(&mut session, "FOO"), "500");
    }
    session.message_accepted();
    assert_eq!(outcome(&mut session, "FOO"), "500");
}

#[test]
fn other_verbs_get_their_standard_answer() {
    let table = [
        ("VRFY anna", "252"),
        ("EXPN list", "502"),
        ("ETRN x.example", "502"),
        ("HELP", "214"),
        ("NOOP", "250"),
        ("LHLO c.example", "500"),
        ("RSET now", "501"),
        ("QUIT", "221 close"),
    ];
    for (line, expected) in table {
        assert_eq!(outcome(&mut Session::new(rules()), line), expected, "{line}");
    }
}

#[test]
fn lmtp_and_smtp_do_not_know_each_others_greeting() {
    let mut smtp = Session::new(rules());
    assert_eq!(smtp.command(Command::parse(b"LHLO x")), Step::Reply(Reply::unknown_command()));
    let mut lmtp = Session::new(SessionRules { lmtp: true, ..rules() });
    for greeting in ["EHLO x", "HELO x"] {
        assert_eq!(lmtp.command(Command::parse(greeting.as_bytes())), Step::Reply(Reply::unknown_command()));
    }
    assert_eq!(lmtp.command(Command::parse(b"LHLO x")), Step::Greet { extended: true });
    assert!(lmtp.is_extended());
}
