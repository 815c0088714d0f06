//! Edits to a header section by byte range: a block on top, some spans gone, every other byte as it came.

use std::ops::Range;

use super::head::MessageHead;

/// Longest line a field may be folded to (RFC 5322 section 2.1.1 recommends 78).
const FOLD_AT: usize = 78;

/// A header field of ours, ready for the wire.
///
/// Invariant: no line break or control byte but the folds made here, so nothing can be injected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InsertedField {
    name: String,
    value: String,
}

impl InsertedField {
    /// A field on one line. Control characters become blanks.
    pub fn new(name: &str, value: &str) -> InsertedField {
        InsertedField { name: name.to_owned(), value: cleaned(value).trim().to_owned() }
    }

    /// A field whose parts stay whole and are separated by a blank, or by a fold where the line grows too long.
    pub fn folded<S: AsRef<str>>(name: &str, parts: &[S]) -> InsertedField {
        let mut value = String::new();
        let mut column = name.len() + 1;
        for part in parts.iter().map(|part| cleaned(part.as_ref())).filter(|part| !part.is_empty()) {
            if !value.is_empty() && column + 1 + part.len() > FOLD_AT {
                value.push_str("\r\n\t");
                column = 8 + part.len();
            } else {
                value.push_str(if value.is_empty() { "" } else { " " });
                column += 1 + part.len();
            }
            value.push_str(&part);
        }
        InsertedField { name: name.to_owned(), value }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value, folded as it goes onto the wire.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// `Name: value` and CRLF.
    pub fn to_wire(&self) -> String {
        format!("{}: {}\r\n", self.name, self.value)
    }
}

fn cleaned(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// What is done to one message's header section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    pub insert: Vec<InsertedField>,
    pub remove: Vec<Range<usize>>,
}

impl HeaderEdits {
    /// The edited header section, to be followed by the body from `head.body_start()` on.
    ///
    /// `wire_head` is the wire form up to there. Where the message has no header the block gets the
    /// empty line it needs, so the content stays content (R47).
    pub fn apply(&self, wire_head: &[u8], head: &MessageHead) -> Vec<u8> {
        let mut edited = Vec::with_capacity(wire_head.len() + 512 * self.insert.len());
        for field in &self.insert {
            edited.extend_from_slice(field.to_wire().as_bytes());
        }
        if head.separator_missing() && !self.insert.is_empty() {
            edited.extend_from_slice(b"\r\n");
        }
        let mut remove = self.remove.clone();
        remove.sort_by_key(|span| span.start);
        let mut copied = 0;
        for span in remove {
            let start = span.start.clamp(copied, wire_head.len());
            edited.extend_from_slice(&wire_head[copied..start]);
            copied = span.end.clamp(start, wire_head.len());
        }
        edited.extend_from_slice(&wire_head[copied..]);
        edited
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::head::HeadLimits;

    fn edit(wire: &[u8], edits: &HeaderEdits) -> Vec<u8> {
        let head = MessageHead::locate(wire, &HeadLimits::default()).unwrap();
        let (top, body) = wire.split_at(head.body_start());
        [&edits.apply(top, &head), body].concat()
    }

    #[test]
    fn the_block_is_on_top_and_the_rest_is_as_it_came() {
        let insert = vec![InsertedField::new("X-A", "1"), InsertedField::new("X-B", "2")];
        let edits = HeaderEdits { insert, remove: Vec::new() };
        let table: [(&[u8], &[u8]); 6] = [
            (b"Subject: x\r\n\r\nbody\r\n", b"X-A: 1\r\nX-B: 2\r\nSubject: x\r\n\r\nbody\r\n"),
            (b"\r\nbody\r\n", b"X-A: 1\r\nX-B: 2\r\n\r\nbody\r\n"),
            (b"hello world\r\n", b"X-A: 1\r\nX-B: 2\r\n\r\nhello world\r\n"),
            (b"From a@b Mon\r\nTo: c\r\n\r\n", b"X-A: 1\r\nX-B: 2\r\n\r\nFrom a@b Mon\r\nTo: c\r\n\r\n"),
            (b"Subject: x\r\n", b"X-A: 1\r\nX-B: 2\r\nSubject: x\r\n"),
            (b"", b"X-A: 1\r\nX-B: 2\r\n\r\n"),
        ];
        for (wire, expected) in table {
            assert_eq!(edit(wire, &edits), expected, "{}", String::from_utf8_lossy(wire));
        }
    }

    #[test]
    fn a_removed_field_takes_its_continuation_lines_with_it() {
        let wire = b"A: 1\r\nB: 2\r\n\tb\r\n. b\r\nC: 3\r\n\r\n..body\r\n";
        let head = MessageHead::locate(wire, &HeadLimits::default()).unwrap();
        let remove = head.spans(wire, |name| name == "b");
        let edits = HeaderEdits { insert: Vec::new(), remove };
        assert_eq!(edit(wire, &edits), b"A: 1\r\nC: 3\r\n\r\n..body\r\n");
    }

    #[test]
    fn nothing_in_a_value_starts_a_new_line() {
        let field = InsertedField::new("X-A", "one\r\nBcc: two\u{85}three\0");
        assert_eq!(field.to_wire(), "X-A: one  Bcc: two three\r\n");
        let field = InsertedField::folded("X-A", &["one\r\n", "Bcc: two"]);
        assert_eq!(field.to_wire().matches('\n').count(), 1);
    }

    #[test]
    fn long_fields_are_folded_between_parts_only() {
        let parts = ["a".repeat(40), "b".repeat(40), "c".repeat(90), "d".to_owned()];
        let wire = InsertedField::folded("Received", &parts).to_wire();
        let expected = format!("Received: {}\r\n\t{}\r\n\t{}\r\n\td\r\n", parts[0], parts[1], parts[2]);
        assert_eq!(wire, expected);
    }

    fn line() -> impl Strategy<Value = Vec<u8>> {
        let texts = ["A: 1", "b: 2", " more", ". more", "odd", "..", "", "From x y", "B : 3", "\u{fc}: 4", ".B: 5"];
        prop::sample::select(texts.to_vec()).prop_map(|text| format!("{text}\r\n").into_bytes())
    }

    proptest! {
        #[test]
        fn without_the_block_and_with_the_removed_spans_it_is_the_input(
            lines in prop::collection::vec(line(), 0..20),
        ) {
            let wire = lines.concat();
            let head = MessageHead::locate(&wire, &HeadLimits::default()).unwrap();
            let remove = head.spans(&wire, |name| name == "b");
            let edits = HeaderEdits { insert: vec![InsertedField::new("X-Ours", "yes")], remove: remove.clone() };
            let edited = edit(&wire, &edits);
            let block = if head.separator_missing() { "X-Ours: yes\r\n\r\n" } else { "X-Ours: yes\r\n" };
            let mut rest = edited.strip_prefix(block.as_bytes()).unwrap().to_vec();
            for span in remove {
                rest.splice(span.start..span.start, wire[span].iter().copied());
            }
            prop_assert_eq!(rest, wire);
        }
    }
}
