use proptest::prelude::*;

use super::BareNewline::{Normalise, Reject};
use super::*;

const MAX_LINE: usize = 65_536;

/// What became of some bytes: the wire form with the bytes behind the end mark, or still open, or refused.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Message { wire: Vec<u8>, rest: Vec<u8>, repaired: bool },
    Open { wire: Vec<u8> },
    Refused(FramingError),
}

fn read_pieces(bare_newline: BareNewline, max_line: usize, pieces: &[&[u8]]) -> (Outcome, bool) {
    let mut reader = DataReader::new(bare_newline, max_line);
    let (mut wire, mut rest) = (Vec::new(), Vec::new());
    for piece in pieces {
        match reader.read(piece, &mut wire) {
            Err(error) => {
                assert_eq!(reader.read(b"x\r\n.\r\n", &mut wire), Err(error), "a refusal stays one");
                return (Outcome::Refused(error), reader.saw_overlong_line());
            }
            Ok(progress) => {
                assert!(progress.ended || progress.consumed == piece.len());
                rest.extend_from_slice(&piece[progress.consumed..]);
            }
        }
    }
    let ended = reader.read(b"", &mut wire).unwrap().ended;
    let repaired = reader.saw_bare_newline();
    let outcome = if ended { Outcome::Message { wire, rest, repaired } } else { Outcome::Open { wire } };
    (outcome, reader.saw_overlong_line())
}

/// Reads whole, byte by byte, and cut at every position; all must agree.
fn read(bare_newline: BareNewline, bytes: &[u8]) -> Outcome {
    read_limited(bare_newline, MAX_LINE, bytes).0
}

fn read_limited(bare_newline: BareNewline, max_line: usize, bytes: &[u8]) -> (Outcome, bool) {
    let whole = read_pieces(bare_newline, max_line, &[bytes]);
    let single: Vec<_> = bytes.chunks(1).collect();
    // What is open may hold back its last bytes, but not differently.
    assert_eq!(read_pieces(bare_newline, max_line, &single), whole, "{bytes:?} byte by byte");
    for cut in 1..bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        assert_eq!(read_pieces(bare_newline, max_line, &[head, tail]), whole, "{bytes:?} cut at {cut}");
    }
    whole
}

fn message(wire: &[u8], repaired: bool) -> Outcome {
    Outcome::Message { wire: wire.to_vec(), rest: b"NEXT\r\n".to_vec(), repaired }
}

fn refused(error: FramingError) -> Outcome {
    Outcome::Refused(error)
}

/// Number, bytes, refusal when strict, what normalising writes or refuses with.
type Case<'a> = (&'a str, &'a [u8], Option<FramingError>, Result<&'a [u8], FramingError>);

/// The sequences F2 to F21 that this reader decides, between a first line, a second one and a good end.
#[test]
fn only_the_clients_own_end_mark_ends_a_message() {
    use FramingError::{BareCr, BareLf, Nul};
    let table: [Case; 25] = [
        ("F2", b"\n.\n", Some(BareLf), Ok(b"\r\n..\r\n")),
        ("F3", b"\n.\r\n", Some(BareLf), Ok(b"\r\n..\r\n")),
        ("F4", b"\r\n.\n", Some(BareLf), Ok(b"\r\n..\r\n")),
        ("F5", b"\r.\r", Some(BareCr), Err(BareCr)),
        ("F6", b"\r.\r\n", Some(BareCr), Err(BareCr)),
        ("F7", b"\r.\n", Some(BareCr), Err(BareCr)),
        ("F8", b"\n.\r", Some(BareLf), Err(BareCr)),
        ("F9", b"\r\n.\rx", Some(BareCr), Err(BareCr)),
        ("F10", b"\r\n.\r\r\n", Some(BareCr), Err(BareCr)),
        ("F11", b"\r\r\n.\r\r\n", Some(BareCr), Err(BareCr)),
        ("F12", b"\r\r\n.\r\n", Some(BareCr), Err(BareCr)),
        ("F13", b"\r\n\0.\r\n", Some(Nul), Err(Nul)),
        ("F14", b"\r\n.\0\r\n", Some(Nul), Err(Nul)),
        ("F15", b"a\nb", Some(BareLf), Ok(b"a\r\nb")),
        ("F16", b"a\rb", Some(BareCr), Err(BareCr)),
        ("F17", b"\n\n", Some(BareLf), Ok(b"\r\n\r\n")),
        ("F18a", b"\r\n. \r\n", None, Ok(b"\r\n. \r\n")),
        ("F18b", b"\r\n .\r\n", None, Ok(b"\r\n .\r\n")),
        ("F19", b"\r\n..\r\n", None, Ok(b"\r\n..\r\n")),
        ("F20", b"\r\n...\r\n", None, Ok(b"\r\n...\r\n")),
        ("F21a", "\r\n\u{85}.\u{85}\r\n".as_bytes(), None, Ok("\r\n\u{85}.\u{85}\r\n".as_bytes())),
        ("F21b", "\r\n\u{2028}.\u{2028}\r\n".as_bytes(), None, Ok("\r\n\u{2028}.\u{2028}\r\n".as_bytes())),
        ("F21c", b"\r\n.\x0b\r\n\x0c.\r\n\x1e.\x1e\r\n", None, Ok(b"\r\n.\x0b\r\n\x0c.\r\n\x1e.\x1e\r\n")),
        ("LF of a dotted line", b"\n.x\n", Some(BareLf), Ok(b"\r\n.x\r\n")),
        ("dot lines by LF", b"\n.\n.\r\nx\n.\n", Some(BareLf), Ok(b"\r\n..\r\n..\r\nx\r\n..\r\n")),
    ];
    for (number, bytes, strict, normalised) in &table {
        let sent = [b"one", *bytes, b"two\r\n.\r\nNEXT\r\n"].concat();
        let unchanged = [b"one", *bytes, b"two\r\n"].concat();
        assert_eq!(read(Reject, &sent), strict.map_or(message(&unchanged, false), refused), "{number}");
        let expected = match normalised {
            Ok(written) => message(&[b"one", *written, b"two\r\n"].concat(), strict.is_some()),
            Err(error) => refused(*error),
        };
        assert_eq!(read(Normalise, &sent), expected, "{number}");
    }
}

#[test]
fn the_end_mark_is_found_wherever_a_line_may_start() {
    for mode in [Normalise, Reject] {
        assert_eq!(read(mode, b"a\r\n.\r\nNEXT\r\n"), message(b"a\r\n", false), "F1");
        assert_eq!(read(mode, b".\r\nNEXT\r\n"), message(b"", false), "R30: an empty message");
        assert_eq!(read(mode, b"\r\n.\r\nNEXT\r\n"), message(b"\r\n", false));
        let pieces: [&[u8]; 6] = [b"a", b"\r", b"\n", b".", b"\r", b"\nNEXT\r\n"];
        assert_eq!(read_pieces(mode, MAX_LINE, &pieces).0, message(b"a\r\n", false), "F25");
    }
}

#[test]
fn a_client_that_leaves_early_has_not_ended_its_message() {
    for mode in [Normalise, Reject] {
        for (sent, wire) in [
            (&b"a\r\n.\r"[..], &b"a\r\n"[..]), // F22
            (b"a\r\n.", b"a\r\n"),
            (b"a\r\n", b"a\r\n"),
            (b"a\r", b"a"),
            (b"a", b"a"),
            (b"", b""),
        ] {
            assert_eq!(read(mode, sent), Outcome::Open { wire: wire.to_vec() }, "{sent:?}");
        }
    }
}

#[test]
fn an_overlong_line_is_cut_and_remembered_while_framing_holds() {
    for (sent, wire, overlong) in [
        (&b"12345\r\n.\r\nNEXT\r\n"[..], &b"12345\r\n"[..], false),
        (b".12345\r\n.\r\nNEXT\r\n", b".12345\r\n", false), // the stuffed dot is not counted
        (b"..2345\r\n.\r\nNEXT\r\n", b"..2345\r\n", false),
        (b"a\r\n123456\r\n.a\r\n..\r\nb\r\n.\r\nNEXT\r\n", b"a\r\n12345", true),
        (b".123456\r\n.\r\nNEXT\r\n", b".12345", true),
    ] {
        assert_eq!(read_limited(Reject, 5, sent), (message(wire, false), overlong), "{sent:?}");
    }
    assert_eq!(read_limited(Reject, 5, b"123456\n.\r\n").0, refused(FramingError::BareLf));
    assert_eq!(read_limited(Normalise, 5, b"123456\r\n.\rx").0, refused(FramingError::BareCr));
}

#[test]
fn a_stream_without_a_line_end_takes_no_more_room_than_one_line() {
    let (mut reader, mut wire) = (DataReader::new(Normalise, MAX_LINE), Vec::new());
    for _ in 0..1024 {
        reader.read(&[b'x'; 64 << 10], &mut wire).unwrap(); // F26 in small
    }
    assert!(reader.saw_overlong_line());
    assert_eq!(wire.len(), MAX_LINE);
}

#[test]
fn every_refusal_has_its_reply_and_note() {
    for (error, code, enhanced, note) in [
        (FramingError::BareLf, 550, "5.5.2", "bare_lf"),
        (FramingError::BareCr, 550, "5.5.2", "bare_cr"),
        (FramingError::Nul, 550, "5.6.0", "nul"),
    ] {
        assert_eq!((error.reply().code(), error.reply().enhanced(), error.note()), (code, Some(enhanced), note));
    }
}

fn check(bytes: &[u8]) -> Result<(), NotWireForm> {
    let verdict = |pieces: &[&[u8]]| {
        let mut check = WireCheck::new();
        pieces.iter().try_for_each(|piece| check.check(piece)).and_then(|()| check.finish())
    };
    let whole = verdict(&[bytes]);
    assert_eq!(verdict(&bytes.chunks(1).collect::<Vec<_>>()), whole, "{bytes:?} byte by byte");
    for cut in 0..bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        assert_eq!(verdict(&[head, tail]), whole, "{bytes:?} cut at {cut}");
    }
    whole
}

#[test]
fn only_wire_form_is_written() {
    for (bytes, verdict) in [
        (&b""[..], Ok(())),
        (b"a\r\n", Ok(())),
        (b"..\r\n.a\r\n. \r\n\r\n", Ok(())),
        (b"a", Err(NotWireForm::OpenLine)),
        (b"a\r", Err(NotWireForm::OpenLine)),
        (b".", Err(NotWireForm::OpenLine)),
        (b"a\nb\r\n", Err(NotWireForm::BareLf)),
        (b".\n", Err(NotWireForm::BareLf)),
        (b"a\rb\r\n", Err(NotWireForm::BareCr)),
        (b"a\r\r\n", Err(NotWireForm::BareCr)),
        (b".\r\r\n", Err(NotWireForm::BareCr)),
        (b"\0\r\n", Err(NotWireForm::Nul)),
        (b".\0\r\n", Err(NotWireForm::Nul)),
        (b".\r\n", Err(NotWireForm::LoneDot)),
        (b"a\r\n.\r\n", Err(NotWireForm::LoneDot)),
    ] {
        assert_eq!(check(bytes), verdict, "{bytes:?}");
    }
}

/// The rule as one would say it, line by line and slowly.
fn model(bare_newline: BareNewline, bytes: &[u8]) -> Outcome {
    let (mut wire, mut line, mut behind_crlf, mut repaired) = (Vec::new(), Vec::new(), true, false);
    let mut at = 0;
    while at < bytes.len() {
        let crlf = bytes[at..].starts_with(b"\r\n");
        at += if crlf { 2 } else { 1 };
        match bytes[at - 1] {
            b'\n' if crlf && behind_crlf && line == b"." => {
                return Outcome::Message { wire, rest: bytes[at..].to_vec(), repaired };
            }
            b'\n' if !crlf && bare_newline == Reject => return refused(FramingError::BareLf),
            b'\n' => {
                wire.extend_from_slice(if line == b"." { b".." } else { &line });
                wire.extend_from_slice(b"\r\n");
                line.clear();
                behind_crlf = crlf;
                repaired |= !crlf;
            }
            b'\r' if at == bytes.len() => break,
            b'\r' => return refused(FramingError::BareCr),
            0 => return refused(FramingError::Nul),
            byte => line.push(byte),
        }
    }
    if line != b"." {
        wire.extend_from_slice(&line);
    }
    Outcome::Open { wire }
}

/// Reads, and holds the outcome against the model and against a strict reader of what would be written.
fn examine(mode: BareNewline, bytes: &[u8]) {
    let outcome = read(mode, bytes);
    assert_eq!(outcome, model(mode, bytes), "{mode:?} {bytes:?}");
    let Outcome::Message { wire, .. } = outcome else { return };
    assert_eq!(check(&wire), Ok(()), "{mode:?} {bytes:?}");
    let written = [&wire[..], b".\r\nNEXT\r\n"].concat();
    assert_eq!(read(Reject, &written), message(&wire, false), "{mode:?} {bytes:?}: one message, and the same");
    if mode == Reject {
        assert!(bytes.starts_with(&written[..wire.len() + 3]), "{bytes:?}: not a byte changed");
    }
}

#[test]
fn no_short_sequence_ends_a_message_early_or_changes_in_writing() {
    const ALPHABET: &[u8] = b"\r\n.\0 x";
    for length in 0..=5u32 {
        for number in 0..ALPHABET.len().pow(length) {
            let letter = |place| ALPHABET[number / ALPHABET.len().pow(place) % ALPHABET.len()];
            let sequence: Vec<u8> = (0..length).map(letter).collect();
            for mode in [Normalise, Reject] {
                examine(mode, &[&sequence[..], b"RCPT TO:<a@x.test>\r\n.\r\nNEXT\r\n"].concat());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn reading_follows_the_model_whatever_arrives(
        bytes in prop::collection::vec(prop::sample::select(b"\r\n\r\n.\n. x\0".to_vec()), 0..40),
    ) {
        examine(Normalise, &bytes);
        examine(Reject, &bytes);
    }

    #[test]
    fn clean_lines_are_read_as_they_are(
        lines in prop::collection::vec(prop::sample::select(vec!["", "..", "x", ".x", " .", "...", "x."]), 0..12),
    ) {
        let wire: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let sent = format!("{wire}.\r\nNEXT\r\n");
        prop_assert_eq!(read(Reject, sent.as_bytes()), message(wire.as_bytes(), false));
    }
}
