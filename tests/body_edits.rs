//! What is written into bodies, read back by two readers nobody here wrote: mail-parser, and Python's email package where
//! there is a Python.

use std::io::Write;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use consentry::message::body::{BodyScan, Looked};
use consentry::message::body_edit::{BodyEdits, BodyWriter, Personal};
use consentry::message::footer;
use consentry::message::head::{HeadLimits, MessageHead};
use consentry::message::way_out::WaysOut;
use consentry::smtp::data::WireCheck;
use mail_parser::{MessageParser, MimeHeaders, PartType};
use proptest::prelude::*;
use serde_json::Value;

const FIXED: &str = "https://p.example/u/me";
const LINK: &str = "https://p.example/u/AfQvK56xOJZdePoMiCsiL54oULVASKyD_-0123456789AfQvK56xOJZdePoMiCsiL54oULVASKyD";

fn look(wire: &[u8], piece: usize) -> (usize, Looked) {
    let head = MessageHead::locate(wire, &HeadLimits::default()).unwrap();
    let ways = WaysOut::new(Some("https://p.example"), &[]);
    let mut scan = BodyScan::new(&head, wire, &ways, true);
    wire[head.body_start()..].chunks(piece).for_each(|piece| scan.feed(piece));
    (head.body_start(), scan.finish())
}

fn write(wire: &[u8], edits: &BodyEdits, at: usize, piece: usize) -> Vec<u8> {
    let mut out = wire[..at].to_vec();
    let mut writer = BodyWriter::new(edits, at as u64);
    wire[at..].chunks(piece).for_each(|piece| writer.write(piece, &mut out));
    writer.finish(&mut out);
    out
}

fn edit(wire: &[u8], with_footer: bool) -> Vec<u8> {
    let (at, looked) = look(wire, wire.len());
    let wording = footer::wording(&Default::default(), Some("fr"), &[]);
    let footer = with_footer.then_some((&wording, "L’Œuvre"));
    write(wire, &looked.plan.edits(&Personal { link: LINK, footer }), at, wire.len())
}

fn assert_wire_form(wire: &[u8]) {
    let mut check = WireCheck::new();
    check
        .check(wire)
        .and_then(|()| check.finish())
        .unwrap_or_else(|fault| panic!("{fault}: {}", String::from_utf8_lossy(wire)));
}

/// As a receiver has it: the stuffed dots gone.
fn unstuffed(wire: &[u8]) -> Vec<u8> {
    let lines = wire.split_inclusive(|byte| *byte == b'\n');
    lines.flat_map(|line| line.strip_prefix(b".").unwrap_or(line)).copied().collect()
}

/// A charset, a text in it, and how both may be written.
struct Script {
    charset: &'static str,
    text: &'static str,
    encodings: &'static [&'static str],
    /// mail-parser was built without the tables for it.
    python_only: bool,
}

const SCRIPTS: [Script; 13] = [
    Script {
        charset: "us-ascii",
        text: "Good day.",
        encodings: &["7bit", "quoted-printable", "base64"],
        python_only: false,
    },
    Script {
        charset: "utf-8",
        text: "Café – 10 €",
        encodings: &["8bit", "quoted-printable", "base64"],
        python_only: false,
    },
    Script { charset: "utf-8", text: "Plain letters", encodings: &["7bit", "8bit"], python_only: false },
    Script {
        charset: "iso-8859-1",
        text: "Café, déjà",
        encodings: &["8bit", "quoted-printable", "base64"],
        python_only: false,
    },
    Script {
        charset: "iso-8859-15",
        text: "Café 10 €",
        encodings: &["8bit", "quoted-printable", "base64"],
        python_only: false,
    },
    Script {
        charset: "windows-1252",
        text: "Café – 10 €",
        encodings: &["8bit", "quoted-printable", "base64"],
        python_only: false,
    },
    Script {
        charset: "windows-1251",
        text: "Добрый день",
        encodings: &["8bit", "quoted-printable", "base64"],
        python_only: false,
    },
    Script {
        charset: "iso-2022-jp",
        text: "日本語の本",
        encodings: &["7bit", "quoted-printable", "base64"],
        python_only: true,
    },
    Script { charset: "shift_jis", text: "日本語の本", encodings: &["8bit", "base64"], python_only: true },
    Script {
        charset: "gb18030",
        text: "你好，书店",
        encodings: &["8bit", "quoted-printable", "base64"],
        python_only: true,
    },
    Script { charset: "big5", text: "你好書店", encodings: &["8bit", "base64"], python_only: true },
    Script {
        charset: "utf-16le", text: "Café – 10 €", encodings: &["quoted-printable", "base64"], python_only: true
    },
    Script { charset: "utf-16be", text: "Café – 10 €", encodings: &["base64"], python_only: true },
];

fn in_charset(text: &str, charset: &str) -> Vec<u8> {
    match charset {
        "utf-16le" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "utf-16be" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        _ => encoding_rs::Encoding::for_label(charset.as_bytes()).unwrap().encode(text).0.into_owned(),
    }
}

/// Lines of an encoding, CRLF between them, dots stuffed; written apart from the code under test.
fn encoded(bytes: &[u8], encoding: &str) -> Vec<u8> {
    let text = match encoding {
        "base64" => {
            let lines: Vec<String> = STANDARD
                .encode(bytes)
                .as_bytes()
                .chunks(64)
                .map(|line| String::from_utf8(line.to_vec()).unwrap())
                .collect();
            lines.join("\r\n").into_bytes()
        }
        "quoted-printable" => {
            let mut text = String::new();
            let mut column = 0;
            let mut rest = bytes;
            while let [byte, more @ ..] = rest {
                if rest.starts_with(b"\r\n") {
                    text.push_str("\r\n");
                    (rest, column) = (&rest[2..], 0);
                    continue;
                }
                let unit = if byte.is_ascii_alphanumeric() || b"/:.".contains(byte) {
                    char::from(*byte).to_string()
                } else {
                    format!("={byte:02X}")
                };
                if column + unit.len() > 40 {
                    text.push_str("=\r\n");
                    column = 0;
                }
                column += unit.len();
                text.push_str(&unit);
                rest = more;
            }
            text.into_bytes()
        }
        _ => bytes.to_vec(),
    };
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    lines.flat_map(|line| if line.starts_with(b".") { [b".", line].concat() } else { line.to_vec() }).collect()
}

/// A text part and an HTML part with the same words.
fn part(script: &Script, encoding: &str, html: bool, body: &str) -> Vec<u8> {
    let subtype = if html { "html" } else { "plain" };
    let head = format!(
        "Content-Type: text/{subtype}; charset={}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n",
        script.charset
    );
    [head.into_bytes(), encoded(&in_charset(body, script.charset), encoding)].concat()
}

fn multipart(kind: &str, boundary: &str, parts: &[Vec<u8>]) -> Vec<u8> {
    let mut wire = format!("Content-Type: multipart/{kind}; boundary=\"{boundary}\"\r\n\r\npreamble\r\n").into_bytes();
    for part in parts {
        wire.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        wire.extend_from_slice(part);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    wire
}

const STRUCTURES: [&str; 5] = ["plain", "html", "alternative", "nested", "signature_dash"];

/// A whole message. `way` stands in the text and behind a link.
fn message(structure: &str, script: &Script, encoding: &str, way: &str) -> Vec<u8> {
    let words = script.text;
    let plain = format!("{words}\r\n.dots\r\n{way}\r\n-- \r\n{words}\r\n");
    let plain = if structure == "signature_dash" { plain } else { format!("{words}\r\n.dots\r\n\r\n{way} {words}") };
    let html = format!(
        "<html><head><title>{words}</title></head>\r\n<body><p>{words}</p>\r\n.<a href=\"{way}\">x</a></body></html>\r\n"
    );
    let image = b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=".to_vec();
    let body = match structure {
        "html" => part(script, encoding, true, &html),
        "alternative" => {
            multipart("alternative", "b", &[part(script, encoding, false, &plain), part(script, encoding, true, &html)])
        }
        "nested" => {
            let inner = [part(script, encoding, false, &plain), part(script, encoding, true, &html)];
            let related = multipart("related", "b2", &[multipart("alternative", "b3", &inner), image.clone()]);
            multipart("mixed", "b", &[related, image])
        }
        _ => part(script, encoding, false, &plain),
    };
    let end: &[u8] = if body.ends_with(b"\r\n") { b"" } else { b"\r\n" };
    [b"From: a@c.example\r\nSubject: x\r\nMIME-Version: 1.0\r\n", &body[..], end].concat()
}

/// Every combination: what it is, the message, whether only Python can read it.
fn matrix(way: &str) -> Vec<(String, Vec<u8>, bool)> {
    let mut messages = Vec::new();
    for script in &SCRIPTS {
        for encoding in script.encodings {
            for structure in STRUCTURES {
                let name = format!("{structure} {} {encoding}", script.charset);
                messages.push((name, message(structure, script, encoding, way), script.python_only));
            }
        }
    }
    messages
}

/// The text parts as mail-parser reads them: type and text.
fn as_mail_parser_reads(wire: &[u8]) -> Vec<(String, String)> {
    let raw = unstuffed(wire);
    let parsed = MessageParser::default().parse(&raw).unwrap();
    let text = |part: &mail_parser::MessagePart<'_>| match &part.body {
        PartType::Text(text) | PartType::Html(text) => {
            let subtype = part.content_type().and_then(|kind| kind.subtype()).unwrap_or("plain").to_owned();
            Some((subtype, text.replace("\r\n", "\n")))
        }
        _ => None,
    };
    parsed.parts.iter().filter_map(text).collect()
}

const READER: &str = r#"
import base64, email, json, sys
for line in sys.stdin:
    message = email.message_from_bytes(base64.b64decode(line))
    found = []
    for part in message.walk():
        if part.get_content_maintype() == "text":
            text = part.get_payload(decode=True).decode(part.get_content_charset("us-ascii"))
            found.append([part.get_content_subtype(), text.replace("\r\n", "\n")])
    print(json.dumps(found))
"#;

/// The same as Python reads them, or nothing where there is no Python.
fn as_python_reads(messages: &[Vec<u8>]) -> Option<Vec<Vec<(String, String)>>> {
    let mut python =
        match Command::new("python3").args(["-c", READER]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() {
            Ok(python) => python,
            Err(error) => {
                eprintln!("no python3 here ({error}): only mail-parser read the messages");
                return None;
            }
        };
    let mut input = python.stdin.take().unwrap();
    let lines: String = messages.iter().map(|wire| STANDARD.encode(unstuffed(wire)) + "\n").collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let read = |line: &str| {
        let parts: Vec<Value> = serde_json::from_str(line).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        parts.iter().map(|part| (text(&part[0]), text(&part[1]))).collect()
    };
    Some(String::from_utf8(output.stdout).unwrap().lines().map(read).collect())
}

/// Compares what every reader makes of each message before and after.
fn compare(
    messages: Vec<(String, Vec<u8>, bool)>,
    with_footer: bool,
    check: impl Fn(&str, &(String, String), &(String, String)),
) {
    let edited: Vec<Vec<u8>> = messages.iter().map(|(_, wire, _)| edit(wire, with_footer)).collect();
    edited.iter().for_each(|wire| assert_wire_form(wire));
    let both = |name: &str, before: Vec<(String, String)>, after: Vec<(String, String)>| {
        assert!(!before.is_empty() && before.len() == after.len(), "{name}: {before:?} {after:?}");
        before.iter().zip(&after).for_each(|(before, after)| check(name, before, after));
    };
    for ((name, wire, python_only), edited) in messages.iter().zip(&edited) {
        if !python_only {
            both(&format!("{name}, mail-parser"), as_mail_parser_reads(wire), as_mail_parser_reads(edited));
        }
    }
    let wires: Vec<Vec<u8>> = messages.iter().map(|(_, wire, _)| wire.clone()).collect();
    if let (Some(before), Some(after)) = (as_python_reads(&wires), as_python_reads(&edited)) {
        for (((name, ..), before), after) in messages.iter().zip(before).zip(after) {
            both(&format!("{name}, python"), before, after);
        }
    }
}

#[test]
fn the_fixed_address_becomes_the_link_and_nothing_else_changes() {
    compare(matrix(FIXED), false, |name, before, after| {
        assert!(before.1.contains(FIXED), "{name}: {}", before.1);
        assert_eq!(*after, (before.0.clone(), before.1.replace(FIXED, LINK)), "{name}");
    });
}

#[test]
fn the_footer_is_there_once_and_the_rest_is_as_it_was() {
    compare(matrix("https://c.example/"), true, |name, before, after| {
        let (kind, text) = after;
        assert_eq!(text.matches(LINK).count(), 1, "{name}: {text}");
        assert!(text.contains("Pour ne plus recevoir ces messages de"), "{name}: {text}");
        let is_html = kind == "html";
        if is_html {
            let place = before.1.rfind("</body>").unwrap();
            assert!(text.starts_with(&before.1[..place]) && text.ends_with(&before.1[place..]), "{name}: {text}");
            let end = &text[text.find(LINK).unwrap()..];
            assert!(end.contains("désinscrire</a>") || end.contains("d&#233;sinscrire</a>"), "{name}: {text}");
        } else {
            assert!(text.starts_with(before.1.trim_end_matches('\n')), "{name}: {text}");
            assert!(text[before.1.trim_end_matches('\n').len()..].starts_with("\n\n"), "{name}: {text}");
        }
    });
}

#[test]
fn bytes_outside_of_the_edited_lines_are_those_that_came() {
    for (name, wire, _) in matrix(FIXED) {
        let edited = edit(&wire, false);
        let is_untouched = |line: &&[u8]| wire.split_inclusive(|byte| *byte == b'\n').any(|came| came == *line);
        let lines: Vec<&[u8]> = edited.split_inclusive(|byte| *byte == b'\n').collect();
        let common = lines.iter().take_while(|line| is_untouched(line)).count();
        assert!(common >= 6, "{name}");
        // The parts behind the text are the same to the last byte.
        if name.starts_with("nested") {
            let image = memchr::memmem::find(&wire, b"Content-Type: image/png").unwrap();
            assert!(edited.ends_with(&wire[image..]), "{name}");
        }
    }
}

#[test]
fn no_line_grows_beyond_what_a_server_takes() {
    for (name, wire, _) in matrix(FIXED).into_iter().chain(matrix("https://c.example/")) {
        for line in edit(&wire, true).split(|byte| *byte == b'\n') {
            let longest = if name.contains("quoted") || name.contains("base64") { 77 } else { 999 };
            let is_field = line.starts_with(b"Content-") || line.starts_with(b"From");
            assert!(is_field || line.len() <= longest, "{name}: {}", String::from_utf8_lossy(line));
        }
    }
}

#[test]
fn a_big_message_is_looked_at_and_edited_piece_by_piece() {
    let mut wire =
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello https://p.example/u/me\r\n--b\r\n\
        Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            .to_vec();
    let line = format!("{}\r\n", "QUJD".repeat(19));
    wire.extend(line.as_bytes().repeat(50 * 1024 * 1024 / line.len()));
    wire.extend_from_slice(b"--b--\r\n");
    let (at, looked) = look(&wire, 64 * 1024);
    assert_eq!(looked.plan.parts.len(), 1, "only the text is kept in mind");
    let edits = looked.plan.edits(&Personal { link: LINK, footer: None });
    let mut writer = BodyWriter::new(&edits, at as u64);
    let (mut sent, mut out) = (0, Vec::new());
    for piece in wire[at..].chunks(64 * 1024) {
        writer.write(piece, &mut out);
        assert!(out.len() <= 64 * 1024 + 4096, "nothing is held back or piled up");
        sent += out.len();
        out.clear();
    }
    writer.finish(&mut out);
    assert_eq!(sent + out.len(), wire.len() - at + LINK.len() - FIXED.len());
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let lines: [&[u8]; 24] = [
        b"--a",
        b"--a--",
        b"--b",
        b"--b--",
        b"",
        b"",
        b"..x",
        b"text =",
        b"=3D =E9 \xe9",
        b"Content-Type: text/html; charset=utf-8",
        b"Content-Type: text/plain; charset=iso-2022-jp",
        b"Content-Type: text/plain; charset=utf-16",
        b"Content-Type: multipart/alternative; boundary=b",
        b"Content-Type: multipart/signed; boundary=b",
        b"Content-Transfer-Encoding: base64",
        b"Content-Transfer-Encoding: quoted-printable",
        b"Content-Disposition: attachment",
        b"https://p.example/u/me",
        b"<a href=3D\"https://p.exam=",
        b"ple/u/me\">x</a>",
        b"</body></html>",
        b"aHR0cHM6Ly9wLmV4YW1wbGUvdS9tZQ==",
        b"\x1b$BF|K\\",
        b"<!-- \xff",
    ];
    prop::sample::select(lines.to_vec()).prop_map(<[u8]>::to_vec)
}

proptest! {
    #[test]
    fn whatever_comes_leaves_in_wire_form_and_the_same_however_it_is_cut(
        lines in prop::collection::vec(line(), 0..40),
        piece in 1_usize..50,
        with_footer: bool,
    ) {
        let start = b"From: a@c.example\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n";
        let wire = [&start[..], &lines.join(&b"\r\n"[..]), b"\r\n"].concat();
        let edited = edit(&wire, with_footer);
        let mut check = WireCheck::new();
        prop_assert!(check.check(&edited).and_then(|()| check.finish()).is_ok(), "{}", String::from_utf8_lossy(&edited));
        let (at, looked) = look(&wire, piece);
        let wording = footer::wording(&Default::default(), Some("fr"), &[]);
        let footer = with_footer.then_some((&wording, "L’Œuvre"));
        let edits = looked.plan.edits(&Personal { link: LINK, footer });
        prop_assert_eq!(write(&wire, &edits, at, piece), edited.clone());
        if edits.is_empty() {
            prop_assert_eq!(edited, wire);
        }
    }
}
