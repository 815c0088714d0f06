use proptest::prelude::*;

use super::*;

/// Reads with every way of cutting the bytes in two, and byte by byte; all must agree.
fn read(bytes: &[u8]) -> Result<Vec<Reply>, ReplyError> {
    let whole = read_in(&[bytes]);
    for cut in 0..bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        assert_eq!(read_in(&[head, tail]), whole, "cut at {cut}");
    }
    assert_eq!(read_in(&bytes.chunks(1).collect::<Vec<_>>()), whole, "byte by byte");
    whole
}

fn read_in(pieces: &[&[u8]]) -> Result<Vec<Reply>, ReplyError> {
    let mut reader = ReplyReader::new();
    let mut replies = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            let (consumed, reply) = reader.read(rest)?;
            replies.extend(reply);
            rest = &rest[consumed..];
        }
    }
    Ok(replies)
}

#[test]
fn replies_are_read_one_at_a_time() {
    let replies =
        read(b"250 2.1.0 Ok\r\n250-one\r\n250-\r\n250 three\r\n354\r\n221 bye\n451 caf\xe9\r\n421 par").unwrap();
    assert_eq!(
        replies,
        [
            Reply::new(250, "2.1.0 Ok"),
            Reply::multi(250, vec!["one".into(), String::new(), "three".into()]),
            Reply::new(354, ""),
            Reply::new(221, "bye"),
            Reply::new(451, "caf\u{fffd}"),
        ]
    );
}

#[test]
fn what_is_no_reply_is_an_error() {
    for (bytes, error) in [
        (&b"hello\r\n"[..], ReplyError::Malformed),
        (b"\r\n", ReplyError::Malformed),
        (b"25\r\n", ReplyError::Malformed),
        (b"150 early\r\n", ReplyError::Malformed),
        (b"650 late\r\n", ReplyError::Malformed),
        (b"2500 long\r\n", ReplyError::Malformed),
        (b"250\tok\r\n", ReplyError::Malformed),
        (b"250 o\0k\r\n", ReplyError::Malformed),
        (b"250 o\rk\r\n", ReplyError::Malformed),
        (b"250-one\r\n550 two\r\n", ReplyError::MixedCodes),
    ] {
        assert_eq!(read(bytes), Err(error), "{bytes:?}");
    }
}

#[test]
fn a_reply_is_bounded_in_lines_and_length() {
    let line = |length: usize| format!("250 {}\r\n", "x".repeat(length - 4)).into_bytes();
    assert!(read_in(&[&line(2048)]).is_ok());
    assert_eq!(read_in(&[&line(2049)]), Err(ReplyError::LineTooLong));
    assert_eq!(read_in(&line(2049).chunks(1).collect::<Vec<_>>()), Err(ReplyError::LineTooLong));
    assert_eq!(read_in(&[&[b'2'; 4096]]), Err(ReplyError::LineTooLong));
    assert!(read_in(&[format!("{}250 x\r\n", "250-x\r\n".repeat(99)).as_bytes()]).is_ok());
    assert_eq!(read_in(&["250-x\r\n".repeat(101).as_bytes()]), Err(ReplyError::TooManyLines));
}

#[test]
fn a_reader_knows_whether_it_is_in_a_reply() {
    let mut reader = ReplyReader::new();
    for (bytes, inside) in [(&b"2"[..], true), (b"50-a\r\n", true), (b"250 b\r\n", false)] {
        reader.read(bytes).unwrap();
        assert_eq!(reader.is_in_reply(), inside);
    }
}

#[test]
fn written_text_cannot_end_its_line() {
    let reply = Reply::multi(550, vec!["a\r\n250 b\0".into(), "caf\u{e9}\u{85}".into()]);
    assert_eq!(reply.to_bytes(false), b"550-a??250 b?\r\n550 caf??\r\n");
    assert_eq!(reply.to_bytes(true), "550-a??250 b?\r\n550 café?\r\n".as_bytes());
}

#[test]
fn written_replies_stay_within_512_bytes_and_20_lines() {
    let reply = Reply::multi(250, vec!["é".repeat(600); 30]);
    for utf8 in [false, true] {
        let bytes = reply.to_bytes(utf8);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.split_inclusive("\r\n").all(|line| line.len() <= 512));
        assert_eq!(text.matches("\r\n").count(), 20);
        assert_eq!(text.matches("250 ").count(), 1);
    }
}

#[test]
fn an_enhanced_code_is_recognised_and_added_where_missing() {
    for (code, text, enhanced, with) in [
        (250, "2.1.5 Ok", Some("2.1.5"), "2.1.5 Ok"),
        (550, "5.7.1", Some("5.7.1"), "5.7.1"),
        (451, "try later", None, "4.0.0 try later"),
        (250, "", None, "2.0.0"),
        (250, "2.1.5000 x", None, "2.0.0 2.1.5000 x"),
        (250, "10.0.0.1 said ok", None, "2.0.0 10.0.0.1 said ok"),
        (354, "go on", None, "go on"),
    ] {
        let reply = Reply::new(code, text);
        assert_eq!(reply.enhanced(), enhanced);
        assert_eq!(reply.with_enhanced().lines(), [with]);
    }
    assert_eq!(Reply::multi(550, vec!["no".into(), "never".into()]).with_enhanced().text(), "5.0.0 no 5.0.0 never");
}

#[test]
fn upstreams_hangup_does_not_hang_up_on_the_client() {
    assert_eq!(Reply::new(421, "4.3.2 bye").without_hangup(), Reply::new(451, "4.3.2 bye"));
    assert_eq!(Reply::new(250, "ok").without_hangup(), Reply::new(250, "ok"));
}

#[test]
fn a_refusal_names_ten_recipients_at_most() {
    let reply = Reply::withheld((0..12).map(|n| format!("<r{n}@x.test> withheld")).collect());
    assert_eq!((reply.code(), reply.lines().len()), (550, 11));
    assert_eq!(reply.lines()[0], "5.7.1 <r0@x.test> withheld");
    assert_eq!(reply.lines()[10], "5.7.1 and 2 more withheld");
    let one = Reply::withheld(vec!["5.7.1 <a@x.test> withheld".into()]);
    assert_eq!(one.to_bytes(false), b"550 5.7.1 <a@x.test> withheld\r\n");
}

#[test]
fn upstreams_final_text_stands_before_the_count() {
    let reply = Reply::new(250, "2.0.0 Ok: queued as 4ZK").with_withheld_count(2, "01J");
    assert_eq!(reply.lines(), ["2.0.0 Ok: queued as 4ZK (2 recipients withheld; ref 01J)"]);
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(code in 200u16..600, lines in prop::collection::vec("[ -~]{0,506}", 1..=20)) {
        let reply = Reply::multi(code, lines);
        prop_assert_eq!(read_in(&[&reply.to_bytes(false)]), Ok(vec![reply]));
    }

    #[test]
    fn any_text_is_written_as_exactly_one_reply(code in 200u16..600, lines in prop::collection::vec(any::<String>(), 0..25)) {
        let written = Reply::multi(code, lines).to_bytes(true);
        prop_assert_eq!(read_in(&[&written]).unwrap().len(), 1);
    }

    #[test]
    fn any_bytes_are_read_alike_however_they_arrive(bytes in prop::collection::vec(prop::sample::select(b"25 -\r\n\0x".to_vec()), 0..24)) {
        let _ = read(&bytes);
    }
}
