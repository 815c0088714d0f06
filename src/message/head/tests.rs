use std::hint::black_box;

use proptest::prelude::*;

use super::*;

fn locate(wire: &[u8]) -> MessageHead {
    MessageHead::locate(wire, &HeadLimits::default()).unwrap()
}

fn pairs<'a, F: std::borrow::Borrow<Field<'a>>>(fields: impl IntoIterator<Item = F>) -> Vec<(String, String)> {
    let pair = |field: &Field<'_>| (field.name().to_owned(), field.unfolded());
    fields.into_iter().map(|field| pair(field.borrow())).collect()
}

#[test]
fn names_and_values_are_read_as_a_mail_reader_reads_them() {
    let table: [(&'static [u8], &str, &str); 10] = [
        (b"Subject: hello\r\n\r\n", "Subject", "hello"),
        (b"Subject \t: hello\r\n\r\n", "Subject", "hello"),
        (b"Subject:hello\r\n  world\r\n\tagain\r\n\r\n", "Subject", "hello  world\tagain"),
        (b"Subject:\r\n hello\r\n\r\n", "Subject", "hello"),
        (b".Subject: hello\r\n. world\r\n\r\n", "Subject", "hello world"),
        (b"..Subject: hello\r\n\r\n", ".Subject", "hello"),
        (b"Subject: caf\xe9\r\n\r\n", "Subject", "caf\u{fffd}"),
        (b"Subject: a: b\r\n\r\n", "Subject", "a: b"),
        (b"Subject:\r\n\r\n", "Subject", ""),
        (b"Subject: a\r\n \r\n b\r\n\r\n", "Subject", "a  b"),
    ];
    for (wire, name, value) in table {
        let head = locate(wire);
        assert_eq!(pairs(head.fields(wire)), [(name.to_owned(), value.to_owned())]);
        assert_eq!(head.readings(wire).len(), 1);
        assert_eq!(head.body_start(), wire.len());
        assert!(!head.anomalies().is_malformed());
    }
}

#[test]
fn the_header_ends_at_the_first_empty_line_and_nowhere_else() {
    let table: [(&[u8], usize); 6] = [
        (b"A: 1\r\n\r\nB: 2\r\n\r\n", 8),
        (b"A: 1\r\n \r\nB: 2\r\n\r\n", 17),
        (b"A: 1\r\n..\r\nB: 2\r\n\r\n", 18),
        (b"A: 1\r\n", 6),
        (b"\r\nA: 1\r\n", 2),
        (b"A: 1\r\nno colon\r\nB: 2\r\n\r\nbody", 24),
    ];
    for (wire, expected) in table {
        assert_eq!(locate(wire).body_start(), expected, "{}", String::from_utf8_lossy(wire));
    }
}

#[test]
fn a_first_line_that_is_no_field_means_no_header() {
    let table: [(&'static [u8], bool); 7] = [
        (b"hello world\r\nSubject: x\r\n\r\n", false),
        (b"From a@b Mon Jan 1\r\nSubject: x\r\n\r\n", true),
        (b">From a@b Mon Jan 1\r\nSubject: x\r\n\r\n", true),
        (b" Folded: x\r\nSubject: x\r\n\r\n", false),
        (b": x\r\nSubject: x\r\n\r\n", false),
        (b"two words: x\r\nSubject: x\r\n\r\n", false),
        (b"..\r\nSubject: x\r\n\r\n", false),
    ];
    for (wire, mbox_from) in table {
        let head = locate(wire);
        assert!(head.anomalies().no_header && head.separator_missing());
        assert_eq!(head.anomalies().mbox_from, mbox_from);
        assert_eq!((head.body_start(), head.fields(wire).count()), (0, 0));
        let readings = head.readings(wire);
        assert_eq!(readings.len(), 2, "{}", String::from_utf8_lossy(wire));
        assert_eq!(readings[0].len(), 0);
        assert_eq!(pairs(&readings[1]), [("Subject".to_owned(), "x".to_owned())]);
    }
    let empty_first = locate(b"\r\nbody\r\n");
    assert!(empty_first.anomalies().no_header && !empty_first.separator_missing());
}

#[test]
fn an_odd_line_is_read_in_every_way_readers_do() {
    let wire = b"A: 1\r\nodd line\r\n more\r\nPrecedence: bulk\r\n\r\n";
    let head = locate(wire);
    assert!(head.anomalies().odd_line && head.anomalies().is_malformed() && !head.anomalies().no_header);
    let readings: Vec<_> = head.readings(wire).iter().map(pairs).collect();
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(readings[0], [field("A", "1")]);
    assert_eq!(readings[1], [field("A", "1"), field("Precedence", "bulk")]);
    assert_eq!(readings[2], [field("A", "1 odd line more"), field("Precedence", "bulk")]);
}

#[test]
fn a_name_folded_away_from_its_colon_is_a_field_and_odd() {
    let wire = b"A: 1\r\nodd line\r\nList-Unsubscribe\r\n : <x>\r\n more\r\nB: 2\r\n\r\n";
    let head = locate(wire);
    assert!(head.anomalies().odd_line);
    let field = head.fields(wire).find(|field| field.is("list-unsubscribe")).unwrap();
    assert_eq!(field.unfolded(), "<x> more");
    assert_eq!(&wire[field.span()], b"List-Unsubscribe\r\n : <x>\r\n more\r\n");
    let readings: Vec<_> = head.readings(wire).iter().map(Vec::len).collect();
    assert_eq!(readings, [1, 3, 2]);
}

#[test]
fn a_name_with_odd_bytes_matches_nothing_and_is_reported() {
    for name in [&b"Subj\xc3\xa9ct"[..], b"Subject\x01", b"\xffSubject"] {
        let wire = [b"A: 1\r\n", name, b": x\r\n\r\n"].concat();
        let head = locate(&wire);
        assert!(head.anomalies().eight_bit_names && !head.anomalies().odd_line);
        let field = head.fields(&wire).nth(1).unwrap();
        assert_eq!((field.name(), field.is(""), field.unfolded().as_str()), ("", false, "x"));
    }
}

#[test]
fn fields_that_stand_twice_are_named() {
    let wire = b"From: a\r\nfrom : b\r\nSubject: x\r\nSUBJECT: y\r\nReceived: z\r\nReceived: z\r\n\r\n";
    let head = locate(wire);
    assert_eq!(head.anomalies().repeated, ["from", "subject"]);
    assert_eq!(head.anomalies().notes(), ["dup_from", "dup_subject"]);
    assert!(head.anomalies().is_malformed());
}

#[test]
fn more_header_than_allowed_is_refused_and_the_last_allowed_byte_is_not() {
    let limits = HeadLimits { header: 40, field: 20, fields: 3 };
    let table: [(&[u8], Option<HeadError>); 7] = [
        (b"A: 45678\r\nB: 45678\r\nC: 45678\r\n ccccccc\r\n\r\n", None),
        (b"A: 45678\r\nB: 45678\r\nC: 45678\r\n cccccccc\r\n\r\n", Some(HeadError::HeaderTooLong)),
        (b"A: 456789012345678\r\n\r\n", None),
        (b"A: 4567890123456789\r\n\r\n", Some(HeadError::FieldTooLong)),
        (b"A:\r\n 1\r\n 2\r\n 3\r\n 45\r\n", Some(HeadError::FieldTooLong)),
        (b"A:\r\nB:\r\nC:\r\n\r\n", None),
        (b"A:\r\nB:\r\nC:\r\nD:\r\n", Some(HeadError::TooManyFields)),
    ];
    for (wire, expected) in table {
        assert_eq!(MessageHead::locate(wire, &limits).err(), expected, "{}", String::from_utf8_lossy(wire));
    }
    let reply = HeadError::TooManyFields.reply();
    assert_eq!((reply.code(), reply.text().as_str()), (550, "5.6.0 Too many message header fields"));
}

#[test]
fn addresses_and_encoded_words_are_read_from_the_unfolded_value() {
    let wire = b"From: =?utf-8?Q?Caf=C3=A9?=\r\n <a@x.example>, b@x.example\r\n\r\n";
    let head = locate(wire);
    let field = head.fields(wire).next().unwrap();
    assert_eq!(field.addresses(), ["a@x.example", "b@x.example"]);
    assert!(field.decoded().starts_with("Café"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_and_spans_stay_in_order(wire in "([A-Za-z:. \t\u{e9}-]{0,12}\r\n){0,30}") {
        let wire = wire.as_bytes();
        let head = locate(wire);
        let mut last = 0;
        for field in head.fields(wire) {
            prop_assert!(field.span().start >= last && field.span().end <= head.body_start());
            last = field.span().end;
            field.decoded();
            field.addresses();
        }
        prop_assert!((1..=3).contains(&head.readings(wire).len()));
    }
}

/// Everything a decision reads of a header, on the fastest of five runs.
/// Nothing is timed here: at this size quadratic work does not come to an end.
#[test]
fn header_bombs_are_read_to_the_end() {
    let limits = HeadLimits { header: usize::MAX, field: usize::MAX, fields: usize::MAX };
    let bombs: [(&str, &str); 7] = [
        ("", "A: b\r\n"),
        ("A: b\r\n", " fold\r\n"),
        ("", "odd\r\n"),
        ("", "odd\r\n : x\r\n"),
        ("From: ", "a@b.example, "),
        ("Subject: ", "=?utf-8?Q?a"),
        ("Subject: ", "=?utf-8?Q?=41?= "),
    ];
    for (start, unit) in bombs {
        let wire = format!("{start}{}\r\n\r\n", unit.repeat(200_000)).into_bytes();
        let head = MessageHead::locate(&wire, &limits).unwrap();
        for field in head.readings(&wire).iter().flatten() {
            black_box((field.decoded(), field.addresses()));
        }
    }
}
