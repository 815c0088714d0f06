//! Real messages, where a folder of them is at hand: the shared corpus beside the repository, or
//! `CONSENTRY_MESSAGES=folder cargo test --test real_messages`. Without one there is nothing to read and nothing to fail.

use std::path::{Path, PathBuf};

use consentry::message::body::BodyScan;
use consentry::message::body_edit::{BodyWriter, Personal};
use consentry::message::edit::{HeaderEdits, InsertedField};
use consentry::message::footer;
use consentry::message::head::{Field, HeadLimits, MessageHead};
use consentry::message::list;
use consentry::message::way_out::WaysOut;
use consentry::smtp::data::WireCheck;
use mail_parser::{MessageParser, PartType};

fn messages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            messages(&path, found);
        } else if path.extension().is_some_and(|end| end == "eml") {
            found.push(path);
        }
    }
}

/// As a client would send it: CRLF lines, dots stuffed.
fn wire_form(text: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(text.len() + text.len() / 32);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        wire.extend_from_slice(b"\r\n");
    }
    wire
}

fn each_message(mut check: impl FnMut(&Path, &[u8], &MessageHead)) {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus/messages");
    let folder = std::env::var_os("CONSENTRY_MESSAGES").map_or(PathBuf::from(corpus), PathBuf::from);
    if !folder.is_dir() {
        eprintln!("no folder of real messages here: nothing was compared");
        return;
    }
    let mut found = Vec::new();
    messages(&folder, &mut found);
    assert!(!found.is_empty(), "no .eml file in the folder");
    for path in found {
        let wire = wire_form(&std::fs::read(&path).unwrap());
        let head = MessageHead::locate(&wire, &HeadLimits::default()).unwrap();
        check(&path, &wire, &head);
    }
}

#[test]
fn every_byte_below_the_block_is_the_senders() {
    each_message(|path, wire, head| {
        let remove = list::existing_list_fields(head, wire);
        let edits = HeaderEdits { insert: vec![InsertedField::new("X-Ours", "yes")], remove: remove.clone() };
        let (top, body) = wire.split_at(head.body_start());
        let edited = [&edits.apply(top, head), body].concat();
        let block: &[u8] = if head.separator_missing() { b"X-Ours: yes\r\n\r\n" } else { b"X-Ours: yes\r\n" };
        let mut rest = edited.strip_prefix(block).unwrap().to_vec();
        for span in remove {
            rest.splice(span.start..span.start, wire[span].iter().copied());
        }
        assert!(rest == wire, "{}", path.display());
    });
}

#[test]
fn an_independent_parser_sees_the_same_fields() {
    each_message(|path, wire, head| {
        if head.anomalies().odd_line || head.separator_missing() {
            return; // readers differ there: that is what the readings are for
        }
        let parsed = MessageParser::default().parse(wire).unwrap();
        let theirs: Vec<_> =
            parsed.headers_raw().map(|(name, value)| (name.to_ascii_lowercase(), flat(value))).collect();
        let is_utf8 = |field: &Field<'_>| std::str::from_utf8(field.raw_value()).is_ok(); // they leave the others out
        let ours =
            head.fields(wire).filter(is_utf8).map(|field| (field.name().to_ascii_lowercase(), flat(&field.unfolded())));
        assert_eq!(ours.collect::<Vec<_>>(), theirs, "{}", path.display());
        let from = parsed.from().map(|from| from.iter().filter_map(|one| one.address().map(str::to_owned)).collect());
        let ours = head.fields(wire).filter(|field| field.is("From")).last().map(|field| field.addresses());
        assert_eq!(ours, from, "{}", path.display());
        let subject = head.fields(wire).filter(|field| field.is("Subject")).last().map(|field| flat(&field.decoded()));
        assert_eq!(subject, parsed.subject().map(flat), "{}", path.display());
    });
}

const LINK: &str = "https://p.example/u/AfQvK56xOJZdePoMiCsiL54oULVASKyD_-0123456789AfQvK56xOJZdePoMiCsiL54oULVASKyD";

/// A copy with a footer, if it can have one.
fn with_footer(wire: &[u8], head: &MessageHead) -> Option<Vec<u8>> {
    let ways = WaysOut::new(Some("https://p.example"), &[]);
    let mut scan = BodyScan::new(head, wire, &ways, true);
    wire[head.body_start()..].chunks(1000).for_each(|piece| scan.feed(piece));
    let looked = scan.finish();
    if !looked.facts.editable() {
        return None;
    }
    let wording = footer::wording(&Default::default(), looked.plan.language.as_deref(), &[]);
    let edits = looked.plan.edits(&Personal { link: LINK, footer: Some((&wording, "L’Œuvre")) });
    let mut edited = wire[..head.body_start()].to_vec();
    let mut writer = BodyWriter::new(&edits, head.body_start() as u64);
    wire[head.body_start()..].chunks(777).for_each(|piece| writer.write(piece, &mut edited));
    writer.finish(&mut edited);
    Some(edited)
}

#[test]
fn a_footer_is_added_and_everything_else_reads_as_before() {
    let (mut edited_messages, mut others) = (0, 0);
    each_message(|path, wire, head| {
        let Some(edited) = with_footer(wire, head) else {
            others += 1;
            return;
        };
        edited_messages += 1;
        let mut check = WireCheck::new();
        assert!(check.check(&edited).and_then(|()| check.finish()).is_ok(), "{}", path.display());
        let [before, after] = [wire, &edited].map(|wire| MessageParser::default().parse(wire).unwrap());
        assert_eq!(before.parts.len(), after.parts.len(), "{}", path.display());
        let mut links = 0;
        for (before, after) in before.parts.iter().zip(&after.parts) {
            let (PartType::Text(came) | PartType::Html(came), PartType::Text(left) | PartType::Html(left)) =
                (&before.body, &after.body)
            else {
                assert!(before.body == after.body, "{}", path.display());
                continue;
            };
            links += left.matches(LINK).count();
            let start = came.bytes().zip(left.bytes()).take_while(|(one, other)| one == other).count();
            let end = came.bytes().rev().zip(left.bytes().rev()).take_while(|(one, other)| one == other).count();
            assert!(start + end >= came.trim_ascii_end().len(), "{}: something else changed", path.display());
        }
        assert!((1..=2).contains(&links), "{}: {links} links", path.display());
    });
    println!("{edited_messages} messages edited, {others} left alone");
}

/// Blanks aside, which parsers keep differently.
fn flat(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}
