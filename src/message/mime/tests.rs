use proptest::prelude::*;

use super::*;
use crate::message::head::{HeadLimits, MessageHead};

/// What was found, written down.
#[derive(Default)]
struct Notes {
    lines: Vec<String>,
    /// Offset and content of each leaf.
    leaves: Vec<(u64, Vec<u8>)>,
}

impl Leaves for Notes {
    fn open(&mut self, kind: Multipart) {
        self.lines.push(format!("{kind:?}("));
    }

    fn close(&mut self) {
        self.lines.push(")".into());
    }

    fn begin(&mut self, head: PartHead, place: Place, at: u64) {
        let marks = [
            (head.attachment || place.attachment, "attachment "),
            (place.secured, "secured "),
            (head.ambiguous, "ambiguous "),
        ];
        let marks: String = marks.iter().filter(|(set, _)| *set).map(|(_, mark)| *mark).collect();
        self.lines.push(format!("{marks}{:?}: ", head.kind));
        self.leaves.push((at, Vec::new()));
    }

    fn content(&mut self, bytes: &[u8]) {
        self.leaves.last_mut().unwrap().1.extend_from_slice(bytes);
    }

    fn end(&mut self, line_end_follows: bool) {
        let text = String::from_utf8_lossy(&self.leaves.last().unwrap().1).replace("\r\n", "|");
        let line = self.lines.last_mut().unwrap();
        line.push_str(&text);
        line.push_str(if line_end_follows { "" } else { "$" });
    }

    fn anomaly(&mut self, anomaly: Anomaly) {
        self.lines.push(format!("{anomaly:?}"));
    }
}

fn walk(wire: &[u8], piece: usize) -> Vec<String> {
    let head = MessageHead::locate(wire, &HeadLimits::default()).unwrap();
    let mut walker = Walker::new(PartHead::read(&head, wire, false), head.body_start() as u64, Notes::default());
    wire[head.body_start()..].chunks(piece.max(1)).for_each(|piece| walker.feed(piece));
    let notes = walker.finish();
    for (at, content) in &notes.leaves {
        assert!(wire[*at as usize..].starts_with(content), "the content stands where it is said to");
    }
    notes.lines
}

fn walked(text: &str) -> String {
    let wire = text.replace('\n', "\r\n").into_bytes();
    let whole = walk(&wire, wire.len()).join(" ");
    assert_eq!(walk(&wire, 1).join(" "), whole, "cut into single bytes");
    whole
}

#[test]
fn leaves_are_found_where_readers_find_them() {
    let table = [
        ("A: b\n\nhello\n", "Text: hello|$"),
        ("\nhello\n", "Text: hello|$"),
        ("Content-Type: text/html; charset=utf-8\n\n<p>\n", "Html: <p>|$"),
        (
            "Content-Type: multipart/mixed; boundary=b\n\npre\n--b\n\none\n--b\nContent-Type: image/png\n\n\n--b--\npost\n",
            "Mixed( Text: one Other:  )",
        ),
        // The boundary of one is the beginning of the other's.
        (
            "Content-Type: multipart/mixed; boundary=\"b\"\n\n--b\nContent-Type: multipart/alternative; boundary=\"bb\"\n\n--bb\n\none\n--bbb\n--bb--\n--b--\n",
            "Mixed( Alternative( Text: one|--bbb ) )",
        ),
        // Missing ends.
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\none\n--b\n\ntwo\n",
            "Mixed( Alternative( Text: one ) Text: two|$ )",
        ),
        // Blanks behind a delimiter, a dot stuffed before one, a line that only begins like one.
        ("Content-Type: multipart/mixed; boundary=b\n\n--b \t\n\none\n--bx\n.--b--\nrest\n", "Mixed( Text: one|--bx )"),
        // A message inside is not entered.
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nSubject: x\n\ninner\n--b--\n",
            "Mixed( Other: Subject: x||inner )",
        ),
        (
            "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\ninner\n--b--\n",
            "Digest( Other: Subject: x||inner )",
        ),
        // Attachments, and all that is inside one.
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Disposition: attachment; filename=x\n\none\n--b--\n",
            "Mixed( attachment Text: one )",
        ),
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Disposition: inline\n\none\n--b--\n",
            "Mixed( Text: one )",
        ),
        // Signed.
        (
            "Content-Type: multipart/signed; boundary=b\n\n--b\n\none\n--b\nContent-Type: application/pgp-signature\n\nx\n--b--\n",
            "Signed( secured Text: one secured Other: x )",
        ),
        ("Content-Type: application/pkcs7-mime; smime-type=signed-data\n\nx\n", "secured Sealed: x|$"),
        // An empty part, one without an empty line, one without a header.
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n--b\nA: b\n--b\none\n\ntwo\n--b--\n",
            "Mixed( Text: $ ambiguous Text: two )",
        ),
        // Nobody can say where these parts begin.
        ("Content-Type: multipart/mixed\n\n--b\n\none\n", "Boundary"),
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n",
            "Mixed( Boundary Text: one )",
        ),
        // Said twice, said wrongly.
        ("Content-Type: text/plain\nContent-Type: text/html\n\nx\n", "ambiguous Text: x|$"),
        ("Content-Type: text\n\nx\n", "ambiguous Text: x|$"),
        ("Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\n\nx\n", "ambiguous Text: x|$"),
        // RFC 2231, comments and odd spellings.
        (
            "content-TYPE: Multipart/Mixed;\n boundary*0=\"a \";\n boundary*1=b\n\n--a b\n\nx\n--a b--\n",
            "Mixed( Text: x )",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(walked(text), expected, "{text}");
    }
}

#[test]
fn nesting_and_number_of_parts_are_bounded() {
    let mut deep = String::new();
    for level in 0..10_000 {
        deep.push_str(&format!("Content-Type: multipart/mixed; boundary=b{level}x\n\n--b{level}x\n"));
    }
    deep.push_str("\nhello\n");
    let found = walked(&deep);
    assert_eq!(found.matches('(').count(), 50);
    assert!(found.contains("TooDeep") && !found.contains("hello"), "{found}");

    let many = format!("Content-Type: multipart/mixed; boundary=b\n\n{}", "--b\n\nx\n".repeat(10_000));
    let found = walked(&many);
    assert!(
        found.contains("TooManyParts") && found.matches("Text").count() == 999,
        "{}",
        found.matches("Text").count()
    );

    let long = format!("Content-Type: multipart/mixed; boundary=b\n\n--b\nA: {}\n\nx\n--b\n\ny\n", "x".repeat(100_000));
    assert_eq!(walked(&long), "Mixed( HeaderTooLong Text: y|$ )");
}

#[test]
fn a_line_of_a_megabyte_is_read_in_one_pass() {
    let text = format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n{}\n--b--\n", "--b".repeat(350_000));
    let wire = text.replace('\n', "\r\n").into_bytes();
    let lines = walk(&wire, 64 * 1024);
    assert_eq!(lines[1].len(), "Text: ".len() + 3 * 350_000);
}

fn line() -> impl Strategy<Value = String> {
    let lines = [
        "--a",
        "--a--",
        "--b",
        "--b--",
        "--a-",
        "",
        "x",
        "text",
        "..",
        ".--a",
        "Content-Type: text/html",
        "Content-Type: multipart/mixed; boundary=b",
        "Content-Type: multipart/alternative; boundary=a",
        "Content-Type: multipart/signed; boundary=\"b\"",
        "Content-Transfer-Encoding: base64",
        "Content-Disposition: attachment",
    ];
    prop::sample::select(lines.to_vec()).prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn what_is_found_does_not_depend_on_the_pieces(lines in prop::collection::vec(line(), 0..60), piece in 1_usize..40) {
        let wire = format!("Content-Type: multipart/mixed; boundary=a\r\n\r\n{}\r\n", lines.join("\r\n")).into_bytes();
        prop_assert_eq!(walk(&wire, piece), walk(&wire, wire.len()));
    }
}
