use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

#[test]
fn a_part_stands_for_the_bytes_its_encoding_says() {
    use Transfer::{Base64, Identity, QuotedPrintable};
    let table: [(Transfer, &[u8], &[u8]); 14] = [
        (Identity, b"one\r\n..two\r\n.three\r\n", b"one\r\n.two\r\nthree\r\n"),
        (Identity, b"", b""),
        (QuotedPrintable, b"caf=C3=A9 =3d x\r\n", "café = x\r\n".as_bytes()),
        (QuotedPrintable, b"one =\r\ntwo=  \r\nthree  \r\n", b"one twothree\r\n"),
        (QuotedPrintable, b"..dot=\r\n..dot\r\n", b".dot.dot\r\n"),
        (QuotedPrintable, b"a=ZZ =3 b=", b"a=ZZ =3 b"),
        (QuotedPrintable, b"=3D=\r\n3D", b"=3D"),
        (QuotedPrintable, b"=", b""),
        (Base64, b"aGVs\r\nbG8=\r\n", b"hello"),
        (Base64, b"aGVs bG8", b"hello"),
        (Base64, b"aGVsbG8==", b"hello"),
        (Base64, b"a", b""),
        (Base64, b"aGk=\r\naGk=\r\n", b"hihi"),
        (Base64, b"\r\n", b""),
    ];
    for (transfer, wire, expected) in table {
        let decoded = decode(wire, transfer);
        assert_eq!(
            decoded,
            expected,
            "{transfer:?} {:?}: {:?}",
            String::from_utf8_lossy(wire),
            String::from_utf8_lossy(&decoded)
        );
    }
}

#[test]
fn encodings_are_known_by_name_in_any_case() {
    let table = [
        ("8BIT", Transfer::Identity),
        (" binary ", Transfer::Identity),
        ("8bits", Transfer::Identity),
        ("7-bit", Transfer::Identity),
        ("8bit-x", Transfer::Unknown),
        ("Quoted-Printable", Transfer::QuotedPrintable),
        ("base64;", Transfer::Base64),
        ("x-uuencode", Transfer::Unknown),
    ];
    for (name, expected) in table {
        assert_eq!(Transfer::named(name), expected, "{name}");
    }
}

#[test]
fn decoded_bytes_are_found_where_they_were_written() {
    let wire = b"..one =\r\ntwo=3D\r\n.x";
    let decoded = decode(wire, Transfer::QuotedPrintable);
    assert_eq!(decoded, b".one two=\r\nx");
    let found = locate(wire, Transfer::QuotedPrintable, &[1..4, 4..8, 8..9]);
    let written: Vec<&[u8]> = found.into_iter().map(|range| &wire[range]).collect();
    assert_eq!(written, [&b"one"[..], b" =\r\ntwo", b"=3D"]);
}

#[test]
fn a_gap_in_base64_that_some_readers_stop_at_is_noticed() {
    for (wire, expected) in [("aGk=", false), ("aGk=\r\n", false), ("aGk=aGk=", true), ("aGVs\r\naGVs", false)] {
        let mut reader = Base64Reader::default();
        reader.read(wire.as_bytes(), |_| {});
        assert_eq!(reader.runs_on_behind_padding(), expected, "{wire}");
    }
}

proptest! {
    #[test]
    fn what_is_written_quoted_is_read_back_and_no_line_is_too_long(
        bytes in prop::collection::vec(prop::sample::select(b"ab .=\r\n\xe9_".to_vec()), 0..300),
        column in 0_usize..76,
    ) {
        let mut quoted = QuotedWriter::new(0);
        quoted.out.extend(std::iter::repeat_n(b'x', column));
        let mut started = QuotedWriter { out: quoted.out, column };
        started.write(&bytes, false);
        let wire = started.out;
        for line in wire.split(|byte| *byte == b'\n') {
            prop_assert!(line.strip_suffix(b"\r").unwrap_or(line).len() <= QUOTED_LINE + 1, "a stuffed dot is not counted");
        }
        prop_assert_eq!(decode(&wire, Transfer::QuotedPrintable)[column..].to_vec(), bytes);
    }

    #[test]
    fn base64_is_read_and_written_in_any_pieces(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        piece in 1_usize..100,
        line in prop::sample::select(vec![4_usize, 60, 64, 76]),
    ) {
        let mut wire = Vec::new();
        let mut writer = Base64Writer::new(line);
        bytes.chunks(piece).for_each(|chunk| writer.write(chunk, &mut wire));
        writer.finish(&mut wire);
        prop_assert!(wire.split(|byte| *byte == b'\n').all(|text| text.strip_suffix(b"\r").unwrap_or(text).len() <= line));
        let joined: Vec<u8> = wire.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        prop_assert_eq!(STANDARD.decode(&joined).unwrap(), bytes.clone());
        let mut reader = Base64Reader::default();
        let mut read = Vec::new();
        wire.chunks(piece).for_each(|chunk| reader.read(chunk, |bytes| read.extend_from_slice(bytes)));
        reader.finish(|bytes| read.extend_from_slice(bytes));
        prop_assert_eq!(read, bytes);
    }
}
