use super::*;
use crate::message::head::HeadLimits;

const LINK: &str = "https://p.example/u/me";

fn looked(text: &str) -> Looked {
    let wire = text.replace('\n', "\r\n").into_bytes();
    let head = MessageHead::locate(&wire, &HeadLimits::default()).unwrap();
    let ways = WaysOut::new(Some("https://p.example"), &["https://c.example/out/".to_owned()]);
    let mut scan = BodyScan::new(&head, &wire, &ways, false);
    scan.feed(&wire[head.body_start()..]);
    scan.finish()
}

fn parts(kind: &str, parts: &[&str]) -> String {
    let parts: String = parts.iter().map(|part| format!("--b\n{part}\n")).collect();
    format!("From: a@c.example\nContent-Type: multipart/{kind}; boundary=b\n\n{parts}--b--\n")
}

const PLAIN: &str = "\nhello";
const PLAIN_OUT: &str = "\nhello https://c.example/out/1";
const HTML: &str = "Content-Type: text/html\n\n<p>hello";
const HTML_OUT: &str = "Content-Type: text/html\n\n<a href=https://c.example/out/1>leave</a>";
const ATTACHED: &str = "Content-Disposition: attachment\n\nhttps://c.example/out/1";
const QUOTED_OUT: &str = "Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n<a href=3D\"https://c.exam=\nple/out/1\">leave</a>";
const BASE64_OUT: &str = "Content-Type: text/html\nContent-Transfer-Encoding: base64\n\nPGEgaHJlZj1odHRwczovL2MuZXhhbXBsZS9vdXQvMT5sZWF2\nZTwvYT4=";
const JAPANESE_OUT: &str =
    "Content-Type: text/plain; charset=iso-2022-jp\n\n\u{1b}$BF|K\\\u{1b}(B https://c.example/out/1";
const INNER: &str = "Content-Type: message/rfc822\n\nSubject: x\n\nhttps://c.example/out/1";

#[test]
fn a_way_out_is_looked_for_where_a_reader_sees_it() {
    let table = [
        (format!("A: b\n{PLAIN}\n"), false),
        (format!("A: b\n{PLAIN_OUT}\n"), true),
        (format!("A: b\n\n{LINK}\n"), true),
        (format!("{HTML_OUT}\n"), true),
        (format!("{QUOTED_OUT}\n"), true),
        (format!("{BASE64_OUT}\n"), true),
        (format!("{JAPANESE_OUT}\n"), true),
        (parts("alternative", &[PLAIN_OUT, HTML_OUT]), true),
        (parts("alternative", &[PLAIN, HTML_OUT]), true),
        // Providers show the HTML.
        (parts("alternative", &[PLAIN_OUT, HTML]), false),
        (parts("alternative", &[HTML, PLAIN_OUT]), false),
        (parts("alternative", &[PLAIN_OUT, "Content-Type: text/calendar\n\nx"]), true),
        (parts("alternative", &[PLAIN_OUT]), true),
        // All of these are shown.
        (parts("mixed", &[PLAIN_OUT, HTML]), true),
        (parts("mixed", &[HTML, PLAIN_OUT]), true),
        (parts("related", &[HTML_OUT, "Content-Type: image/png\n\nx"]), true),
        (parts("mixed", &[PLAIN, ATTACHED]), false),
        (parts("mixed", &[PLAIN, INNER]), false),
        (parts("signed", &[PLAIN_OUT, "Content-Type: application/pgp-signature\n\nx"]), true),
        (parts("encrypted", &["Content-Type: application/pgp-encrypted\n\nx"]), false),
        ("Content-Transfer-Encoding: x-uuencode\n\nhttps://c.example/out/1\n".into(), false),
        (String::new(), false),
    ];
    for (text, expected) in table {
        assert_eq!(looked(&text).facts.way_out.is_some(), expected, "{text}");
    }
}

#[test]
fn the_inner_alternative_counts_as_what_its_reader_sees() {
    let inner = |text: &str, html: &str| {
        format!("Content-Type: multipart/alternative; boundary=c\n\n--c\n{text}\n--c\n{html}\n--c--\n")
    };
    let table = [(PLAIN_OUT, HTML, false), (PLAIN, HTML_OUT, true)];
    for (text, html, expected) in table {
        let message = parts("mixed", &[&inner(text, html), "Content-Type: image/png\n\nx"]);
        assert_eq!(looked(&message).facts.way_out.is_some(), expected, "{message}");
    }
}

#[test]
fn what_stands_against_a_footer_is_known_before_anything_is_decided() {
    use Obstacle::{Charset, NoText, Secured, Structure};
    let table = [
        (format!("A: b\n{PLAIN}\n"), None),
        (format!("{HTML}\n"), None),
        (parts("alternative", &[PLAIN, HTML]), None),
        (format!("DKIM-Signature: v=1; h=from\n{PLAIN}\n"), Some(Secured)),
        (format!("ARC-Seal: i=1\n{PLAIN}\n"), Some(Secured)),
        (format!("DomainKey-Signature: a=b\n{PLAIN}\n"), Some(Secured)),
        (parts("signed", &[PLAIN, "Content-Type: application/pgp-signature\n\nx"]), Some(Secured)),
        (parts("encrypted", &["Content-Type: application/octet-stream\n\nx"]), Some(NoText)),
        ("Content-Type: application/pkcs7-mime\n\nx\n".into(), Some(Secured)),
        ("A: b\n\n-----BEGIN PGP SIGNED MESSAGE-----\nx\n".into(), Some(Secured)),
        ("Content-Type: text/plain; charset=utf-7\n\nx\n".into(), Some(Charset)),
        ("Content-Type: text/plain; charset=utf-16\n\nx\n".into(), Some(Charset)),
        (parts("alternative", &[PLAIN, "Content-Type: text/html; charset=x-none\n\nx"]), Some(Charset)),
        ("Content-Type: text/plain\nContent-Type: text/html\n\nx\n".into(), Some(Structure)),
        ("A: b\nodd line\n\nx\n".into(), Some(Structure)),
        ("no header at all\n".into(), Some(Structure)),
        ("A: b\n".into(), Some(Structure)),
        ("Content-Type: multipart/mixed\n\n--b\n\nx\n".into(), Some(Structure)),
        ("Content-Type: text/html\n\n<p>x<!-- never closed\n".into(), Some(Structure)),
        ("Content-Transfer-Encoding: base64\n\naGk=\naGk=\n".into(), Some(Structure)),
        ("Content-Type: image/png\n\nx\n".into(), Some(NoText)),
        (parts("mixed", &[ATTACHED]), Some(NoText)),
        // The second of these is shown, the first would get the footer.
        (parts("alternative", &[HTML, HTML]), Some(Structure)),
        (format!("A: b\n\n{}\n", "long line\n".repeat(300_000)), Some(Obstacle::TooLong)),
    ];
    for (text, expected) in table {
        let shown: String = text.chars().take(200).collect();
        assert_eq!(looked(&text).facts.obstacle, expected, "{shown}");
        assert_eq!(looked(&text).facts.editable(), expected.is_none());
    }
}

#[test]
fn only_so_much_text_is_looked_at() {
    let filler = format!("Content-Type: text/html\n\n{}", "<b>\n".repeat(500_000));
    let fillers = |count: usize| std::iter::repeat_n(filler.as_str(), count).collect::<Vec<_>>();
    let message = |count| parts("mixed", &[&fillers(count)[..], &[HTML_OUT]].concat());
    assert!(looked(&message(3)).facts.way_out.is_some());
    assert!(looked(&message(5)).facts.way_out.is_none());
}

#[test]
fn without_pages_nothing_is_written_anywhere() {
    let wire = format!("A: b\r\n\r\n{LINK}\r\n").into_bytes();
    let head = MessageHead::locate(&wire, &HeadLimits::default()).unwrap();
    let ways = WaysOut::new(None, &[]);
    let mut scan = BodyScan::new(&head, &wire, &ways, false);
    scan.feed(&wire[head.body_start()..]);
    let looked = scan.finish();
    assert_eq!(looked.facts, BodyFacts { obstacle: Some(Obstacle::NoLink), ..BodyFacts::default() });
    assert!(!looked.plan.changes(true));
}

#[test]
fn nothing_is_replaced_where_a_signature_stands_against_it() {
    let link = |before: &str| format!("{before}\n\n{LINK}\n");
    let table = [
        (link("A: b"), 1),
        (link("DKIM-Signature: v=1"), 0),
        (
            parts(
                "mixed",
                &[&format!("\n{LINK}"), &format!("Content-Type: text/html\n\n<a href=\"{LINK}\">x</a> {LINK}")],
            ),
            3,
        ),
        (parts("signed", &[&format!("\n{LINK}")]), 0),
        (parts("mixed", &[&format!("Content-Disposition: attachment\n\n{LINK}")]), 0),
    ];
    for (text, expected) in table {
        let links: usize = looked(&text).plan.parts.iter().map(|part| part.links.len()).sum();
        assert_eq!(links, expected, "{text}");
    }
}

#[test]
fn only_the_whole_address_stands_for_the_link() {
    let table = [
        ("https://p.example/u/me", 1),
        ("(https://p.example/u/me).", 1),
        ("https://p.example/u/me?utm_source=x", 1),
        ("https://p.example/u/me#top", 1),
        ("\"https://p.example/u/me\"", 1),
        ("https://p.example/u/mexico", 0),
        ("https://p.example/u/me-too", 0),
        ("https://p.example/u/me/", 0),
        ("https://p.example/u/me.html", 0),
        ("https://p.example/u/m%65", 0),
        ("xhttps://p.example/u/me", 0),
        ("éhttps://p.example/u/me", 0),
        ("https://p.example.evil/u/me", 0),
    ];
    for (text, expected) in table {
        let message = format!("Content-Type: text/plain; charset=utf-8\n\n{text}\n");
        let links: usize = looked(&message).plan.parts.iter().map(|part| part.links.len()).sum();
        assert_eq!(links, expected, "{text}");
    }
}

#[test]
fn the_language_is_what_the_message_says() {
    let html = "Content-Type: text/html\n\n<html lang=\"de\">x";
    let table = [
        (format!("Content-Language: fr-CA, en\n{html}\n"), Some("fr-CA")),
        (format!("{html}\n"), Some("de")),
        (parts("alternative", &["Content-Language: it\n\nx", html]), Some("de")),
        (parts("alternative", &["Content-Language: it\n\nx", HTML]), Some("it")),
        (format!("A: b\n{PLAIN}\n"), None),
    ];
    for (text, expected) in table {
        assert_eq!(looked(&text).plan.language.as_deref(), expected, "{text}");
    }
}

#[test]
fn what_the_journal_keeps_is_read_back() {
    let facts =
        BodyFacts { way_out: Some(WayOut::Registered), obstacle: Some(Obstacle::NoText), names_a_function: true };
    let kept = serde_json::to_string(&facts).unwrap();
    assert_eq!(kept, r#"{"way_out":"registered","obstacle":"no_text","names_a_function":true}"#);
    assert_eq!(serde_json::from_str::<BodyFacts>(&kept).unwrap(), facts);
    assert_eq!(serde_json::from_str::<BodyFacts>("{}").unwrap(), BodyFacts::default());
}

#[test]
fn whom_a_text_is_for_it_says_at_its_beginning_where_a_reader_sees_it() {
    const LINE: &str = "For the attention of the head of purchasing";
    let html = |body: &str| format!("Content-Type: text/html\n\n{body}\n");
    let far = format!("{}{LINE}", "word ".repeat(1000));
    let table = [
        (format!("A: b\n\nGood day.\n\n{LINE}\n"), true),
        (html(&format!("<title>x</title><a href='{LINK}'>out</a><p>{LINE}</p>")), true),
        (html("<p>&Agrave; l&rsquo;attention <b>de la direction</b></p>"), true),
        (html(&format!("<div hidden>{LINE}</div><p>Good day.</p>")), false),
        (html(&format!("<head><title>{LINE}</title></head><p>Good day.</p>")), false),
        (format!("A: b\n\n{far}\n"), false),
        ("A: b\n\nGood day.\n".to_owned(), false),
    ];
    for (text, expected) in table {
        assert_eq!(looked(&text).facts.names_a_function, expected, "{text}");
    }
}
