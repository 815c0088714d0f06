use proptest::prelude::*;

use super::*;

fn parse(line: &str) -> Result<Command, CommandError> {
    Command::parse(line.as_bytes())
}

fn code(line: &str) -> String {
    let reply = parse(line).expect_err(line).reply();
    format!("{} {}", reply.code(), reply.enhanced().unwrap())
}

#[test]
fn every_verb_is_known_in_either_case() {
    for (line, command) in [
        ("HELO gate.test", Command::Helo("gate.test".into())),
        ("ehlo [192.0.2.1]", Command::Ehlo("[192.0.2.1]".into())),
        ("EHLO  my_pc ", Command::Ehlo("my_pc".into())),
        ("EHLO [IPv6:2001:db8::1]", Command::Ehlo("[IPv6:2001:db8::1]".into())),
        ("EHLO MacBook-de-Zoé.local", Command::Ehlo("MacBook-de-Zoé.local".into())),
        ("LHLO x", Command::Lhlo("x".into())),
        ("data", Command::Data),
        ("DATA ", Command::Data),
        ("rset", Command::Reset),
        ("NOOP whatever", Command::Noop),
        ("QuIt", Command::Quit),
        ("VRFY anna", Command::Verify),
        ("HELP", Command::Help),
        ("StartTLS", Command::StartTls),
        ("EXPN list", Command::NotImplemented),
        ("BDAT 10 LAST", Command::Chunk),
        ("auth plain", Command::Auth { mechanism: "PLAIN".into(), initial_response: None }),
        ("AUTH PLAIN =", Command::Auth { mechanism: "PLAIN".into(), initial_response: Some("=".into()) }),
        (
            "AUTH SCRAM-SHA-256 biwsbj1h",
            Command::Auth { mechanism: "SCRAM-SHA-256".into(), initial_response: Some("biwsbj1h".into()) },
        ),
    ] {
        assert_eq!(parse(line), Ok(command), "{line}");
    }
}

#[test]
fn envelope_addresses_are_kept_byte_for_byte() {
    for (line, from) in [
        ("MAIL FROM:<>", ""),
        ("MAIL FROM:<Anna.B@Exemple.FR>", "Anna.B@Exemple.FR"),
        ("mail from: <anna@x.test>", "anna@x.test"),
        ("MAIL  FROM:  <\"a>\\\"> b\"@x.test>", "\"a>\\\"> b\"@x.test"),
        ("MAIL FROM:<éric@bücher.test>", "éric@bücher.test"),
    ] {
        let Ok(Command::Mail { from: path, .. }) = parse(line) else { panic!("{line}: {:?}", parse(line)) };
        assert_eq!(path.as_str(), from);
    }
    for to in ["anna@x.test", "Postmaster", "user%host@x.test", "\"j\\oe\"@x.test"] {
        let Ok(Command::Rcpt { to: address, .. }) = parse(&format!("rcpt to:<{to}>")) else { panic!("{to}") };
        assert_eq!(address.as_str(), to);
    }
}

#[test]
fn every_faulty_line_has_its_code() {
    let long = format!("HELO {}", "x".repeat(1024));
    for (line, reply) in [
        ("", "500 5.5.1"),
        ("BLURB", "500 5.5.1"),
        ("HELO\tgate", "500 5.5.1"),
        ("MAILFROM:<a@x.test>", "500 5.5.1"),
        ("HELO", "501 5.5.4"),
        ("EHLO ", "501 5.5.4"),
        ("HELO a b", "501 5.5.4"),
        ("HELO a\tb", "501 5.5.4"),
        ("HELO a\t", "501 5.5.4"),
        ("HELO a)", "501 5.5.4"),
        ("HELO a\u{1}", "501 5.5.4"),
        ("HELO a\u{85}", "501 5.5.4"),
        ("HELO []", "501 5.5.4"),
        ("HELO [a", "501 5.5.4"),
        (&long, "501 5.5.4"),
        ("DATA now", "501 5.5.4"),
        ("RSET now", "501 5.5.4"),
        ("QUIT now", "501 5.5.4"),
        ("STARTTLS now", "501 5.5.4"),
        ("MAIL", "501 5.5.4"),
        ("MAIL TO:<a@x.test>", "501 5.5.4"),
        ("MAIL FROM<a@x.test>", "501 5.5.4"),
        ("MAIL FROM:", "501 5.1.7"),
        ("MAIL FROM:a@x.test", "501 5.1.7"),
        ("MAIL FROM:<a@x.test", "501 5.1.7"),
        ("MAIL FROM:<a@x.test>SIZE=1", "501 5.1.7"),
        ("MAIL FROM:<a b@x.test>", "501 5.1.7"),
        ("MAIL FROM:<a>", "501 5.1.7"),
        ("MAIL FROM:<postmaster>", "501 5.1.7"),
        ("MAIL FROM:<@r.test:a@x.test>", "501 5.1.7"),
        ("RCPT FROM:<a@x.test>", "501 5.5.4"),
        ("RCPT TO:<>", "501 5.1.3"),
        ("RCPT TO:a@x.test", "501 5.1.3"),
        ("RCPT TO:<a>", "501 5.1.3"),
        ("RCPT TO:<@r.test:a@x.test>", "501 5.1.3"),
        ("RCPT TO:<a(comment)@x.test>", "501 5.1.3"),
        ("RCPT TO:<a@x.test> (comment)", "555 5.5.4"),
        ("RCPT TO:<a@x.test>,<b@x.test>", "501 5.1.3"),
        ("AUTH", "501 5.5.4"),
        ("AUTH PL@IN", "501 5.5.4"),
        ("AUTH A-MECHANISM-TOO-LONG-FOR-ANY", "501 5.5.4"),
        ("AUTH PLAIN AA== more", "501 5.5.4"),
        ("AUTH PLAIN A", "501 5.5.2"),
        ("AUTH PLAIN AA==AA==", "501 5.5.2"),
    ] {
        assert_eq!(code(line), reply, "{line}");
        assert!(!parse(line).unwrap_err().closes(), "{line}");
    }
}

#[test]
fn a_line_with_a_line_end_or_nul_inside_closes() {
    for line in [&b"NOOP\rQUIT"[..], b"NOOP\nQUIT", b"NOOP\0", b"NOOP\r"] {
        let error = Command::parse(line).unwrap_err();
        assert_eq!(error, CommandError::Framing);
        assert!(error.closes());
        assert_eq!(error.reply().code(), 500);
    }
    assert_eq!(Command::parse(b"NOOP \xff"), Err(CommandError::Syntax));
}

#[test]
fn good_parameters_go_on_as_they_came() {
    for (written, rendered) in [
        ("", ""),
        (" SIZE=1000 BODY=8BITMIME", " SIZE=9 BODY=8BITMIME"),
        (" body=7bit smtputf8", " SIZE=9 BODY=7BIT SMTPUTF8"),
        ("  RET=hdrs   ENVID=QQ+2B31 ", " SIZE=9 RET=hdrs ENVID=QQ+2B31"),
        (" AUTH=<>", " SIZE=9 AUTH=<>"),
        (" AUTH=e+3Dmc2@x.test", " SIZE=9 AUTH=e+3Dmc2@x.test"),
    ] {
        let Ok(Command::Mail { parameters, .. }) = parse(&format!("MAIL FROM:<>{written}")) else {
            panic!("{written}")
        };
        let size = if written.is_empty() { None } else { Some(9) };
        assert_eq!(parameters.render(size), rendered);
    }
    for written in [
        "",
        " NOTIFY=NEVER",
        " NOTIFY=SUCCESS,failure,Delay ORCPT=rfc822;anna@x.test",
        " ORCPT=rfc822;a+2Bb@x.test",
        " ORCPT=utf-8;éric@x.test",
    ] {
        let Ok(Command::Rcpt { parameters, .. }) = parse(&format!("RCPT TO:<a@x.test>{written}")) else {
            panic!("{written}")
        };
        assert_eq!(parameters.render(), written);
        assert_eq!(parameters.never_notify(), written.contains("NEVER"));
        assert_eq!(parameters.is_ascii(), !written.contains('é'));
    }
}

#[test]
fn a_declared_size_too_large_to_count_is_over_every_limit() {
    let Ok(Command::Mail { parameters, .. }) = parse("MAIL FROM:<> SIZE=99999999999999999999") else { panic!() };
    assert_eq!(parameters.size, Some(u64::MAX));
}

#[test]
fn every_faulty_parameter_has_its_code() {
    let (long_envid, long_orcpt) = (format!("ENVID={}", "x".repeat(101)), format!("ORCPT=rfc822;{}", "x".repeat(500)));
    let (bad, unknown) = ("501 5.5.4", "555 5.5.4");
    for (parameter, reply) in [
        ("SIZE", bad),
        ("SIZE=", bad),
        ("SIZE=-1", bad),
        ("SIZE=1e3", bad),
        ("SIZE=111111111111111111111", bad),
        ("SIZE=1 SIZE=1", bad),
        ("BODY=9BIT", bad),
        ("BODY", bad),
        ("BODY=7BIT BODY=7BIT", bad),
        ("BODY=BINARYMIME", unknown),
        ("SMTPUTF8=yes", bad),
        ("SMTPUTF8 SMTPUTF8", bad),
        ("RET=ALL", bad),
        ("RET=FULL RET=HDRS", bad),
        ("ENVID=", bad),
        ("ENVID=a+0D+0Ab", bad),
        ("ENVID=a+7Fb", bad),
        ("ENVID=a+2", bad),
        ("ENVID=a+2b", bad),
        ("ENVID=a=b", bad),
        ("ENVID=é", bad),
        (&long_envid, bad),
        ("AUTH=", bad),
        ("AUTH=a+00", bad),
        ("AUTH=<> AUTH=<>", bad),
        ("HOLDFOR=60", unknown),
        ("REQUIRETLS", unknown),
        ("=", unknown),
    ] {
        assert_eq!(code(&format!("MAIL FROM:<a@x.test> {parameter}")), reply, "{parameter}");
    }
    for (parameter, reply) in [
        ("NOTIFY=", bad),
        ("NOTIFY=NEVER,FAILURE", bad),
        ("NOTIFY=SUCCESS,", bad),
        ("NOTIFY=NEVER NOTIFY=NEVER", bad),
        ("ORCPT=anna@x.test", bad),
        ("ORCPT=;anna@x.test", bad),
        ("ORCPT=rfc822;", bad),
        ("ORCPT=rfc822;a+0D+0Ab", bad),
        ("ORCPT=rfc822;a ORCPT=rfc822;a", bad),
        (&long_orcpt, bad),
        ("SIZE=1", unknown),
        ("RRVS=2020-01-01", unknown),
    ] {
        assert_eq!(code(&format!("RCPT TO:<a@x.test> {parameter}")), reply, "{parameter}");
    }
}

#[test]
fn a_credential_is_not_printed() {
    let command = parse("AUTH PLAIN AGFubmEAc2VjcmV0").unwrap();
    assert!(!format!("{command:?}").contains("AGFubmEAc2VjcmV0"));
}

/// What a reader makes of the bytes when they arrive in pieces of the given size.
fn lines(normalise: bool, limit: usize, bytes: &[u8], piece: usize) -> (Vec<Result<Vec<u8>, LineError>>, usize) {
    let (mut reader, mut input, mut taken, mut most) = (LineReader::new(normalise), Vec::new(), Vec::new(), 0);
    for piece in bytes.chunks(piece) {
        input.extend_from_slice(piece);
        loop {
            match reader.next_command(&mut input, limit) {
                Ok(None) => break,
                Ok(Some(line)) => taken.push(Ok(line)),
                Err(error) => taken.push(Err(error)),
            }
            if matches!(taken.last(), Some(Err(error)) if error.closes()) {
                return (taken, most);
            }
        }
        most = most.max(input.len());
    }
    (taken, most)
}

fn all_ways(normalise: bool, limit: usize, bytes: &[u8]) -> Vec<Result<Vec<u8>, LineError>> {
    let whole = lines(normalise, limit, bytes, bytes.len().max(1)).0;
    for piece in 1..bytes.len() {
        assert_eq!(lines(normalise, limit, bytes, piece).0, whole, "{bytes:?} in pieces of {piece}");
    }
    whole
}

#[test]
fn lines_are_taken_one_at_a_time_and_the_rest_stays() {
    let ok = |line: &[u8]| Ok(line.to_vec());
    assert_eq!(all_ways(false, 99, b"EHLO x\r\n\r\nQUIT\r\nhalf"), [ok(b"EHLO x"), ok(b""), ok(b"QUIT")]);
    assert_eq!(all_ways(true, 99, b"EHLO x\nQUIT\r\n\n"), [ok(b"EHLO x"), ok(b"QUIT"), ok(b"")]);
    let mut input = b"DATA\r\nX: y\r\n".to_vec();
    LineReader::new(false).next_command(&mut input, 99).unwrap();
    assert_eq!(input, b"X: y\r\n");
}

#[test]
fn only_crlf_ends_a_line_unless_normalising() {
    for (bytes, strict, normalised) in [
        (&b"NOOP\nQUIT\r\n"[..], LineError::BareLf, None),
        (b"NOOP\rQUIT\r\n", LineError::BareCr, Some(LineError::BareCr)),
        (b"NOOP\r\rQUIT\r\n", LineError::BareCr, Some(LineError::BareCr)),
        (b"NOOP\0\r\n", LineError::Nul, Some(LineError::Nul)),
        (b"NOOP\r\0\n", LineError::BareCr, Some(LineError::BareCr)),
    ] {
        assert_eq!(all_ways(false, 99, bytes).last(), Some(&Err(strict)), "{bytes:?}");
        assert_eq!(all_ways(true, 99, bytes).last().unwrap().as_ref().err(), normalised.as_ref(), "{bytes:?}");
        assert!(strict.closes());
    }
}

#[test]
fn a_line_over_the_limit_is_refused_once_and_the_next_one_taken() {
    let ok = |line: &[u8]| Ok(line.to_vec());
    assert_eq!(
        all_ways(false, 8, b"NOOP 1\r\nNOOP 12\r\nQUIT\r\n"),
        [ok(b"NOOP 1"), Err(LineError::TooLong), ok(b"QUIT")]
    );
    assert!(!LineError::TooLong.closes());
}

#[test]
fn an_endless_line_takes_no_room() {
    let endless = vec![b'x'; 1 << 20];
    let (taken, most) = lines(false, 2048, &endless, 512);
    assert!(taken.is_empty() && most <= 2048 + 512, "{most}");
}

#[test]
fn an_auth_line_has_its_own_limit() {
    let auth = |length: usize| [b"auth PLAIN ".as_slice(), &vec![b'A'; length - 13], b"\r\n"].concat();
    assert_eq!(lines(false, 2048, &auth(AUTH_LINE_LIMIT), 1000).0.len(), 1);
    assert!(lines(false, 2048, &auth(AUTH_LINE_LIMIT), 1000).0[0].is_ok());
    let over = auth(AUTH_LINE_LIMIT + 1);
    for piece in [1, 1000, over.len()] {
        assert_eq!(lines(false, 2048, &over, piece).0, [Err(LineError::AuthTooLong)]);
    }
}

proptest! {
    #[test]
    fn lines_are_the_same_however_they_arrive(
        bytes in prop::collection::vec(prop::sample::select(b"\r\n\r\n\0xA ".to_vec()), 0..24),
        normalise: bool,
        limit in 1usize..12,
    ) {
        all_ways(normalise, limit, &bytes);
    }

    #[test]
    fn no_line_makes_the_parser_panic(line in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = Command::parse(&line);
        let _ = Command::parse(&[b"MAIL FROM:<a@b>", line.as_slice()].concat());
        let _ = Command::parse(&[b"RCPT TO:", line.as_slice()].concat());
    }
}
