use super::*;
use crate::message::body::BodyScan;
use crate::message::head::{HeadLimits, MessageHead};
use crate::message::way_out::WaysOut;

const LINK: &str = "https://p.example/u/AfQvK56xOJZdePoMiCsiL54oULVASKyD_-0123456789AfQvK56xOJZdePoMiCsiL54oULVASKyD";

fn plan(wire: &[u8]) -> (MessageHead, BodyPlan) {
    let head = MessageHead::locate(wire, &HeadLimits::default()).unwrap();
    let ways = WaysOut::new(Some("https://p.example"), &[]);
    let mut scan = BodyScan::new(&head, wire, &ways, false);
    scan.feed(&wire[head.body_start()..]);
    (head, scan.finish().plan)
}

fn written(wire: &[u8], edits: &BodyEdits, at: usize, piece: usize) -> Vec<u8> {
    let mut out = wire[..at].to_vec();
    let mut writer = BodyWriter::new(edits, at as u64);
    wire[at..].chunks(piece).for_each(|piece| writer.write(piece, &mut out));
    writer.finish(&mut out);
    out
}

fn edited(text: &str, with_footer: bool) -> String {
    let wire = text.replace('\n', "\r\n").into_bytes();
    let (head, plan) = plan(&wire);
    let wording = Wording::default();
    let edits = plan.edits(&Personal { link: LINK, footer: with_footer.then_some((&wording, "C")) });
    let whole = written(&wire, &edits, head.body_start(), wire.len());
    for piece in [1, 2, 7] {
        assert_eq!(written(&wire, &edits, head.body_start(), piece), whole, "in pieces of {piece}");
    }
    assert!(whole.len() as u64 <= wire.len() as u64 + edits.growth(), "the growth is not understated");
    String::from_utf8(whole).unwrap().replace("\r\n", "\n")
}

#[test]
fn only_the_address_gives_way_on_a_line_written_as_it_is() {
    assert_eq!(
        edited("A: b\n\n..x\nLeave: https://p.example/u/me.\n..y\n", false),
        format!("A: b\n\n..x\nLeave: {LINK}.\n..y\n")
    );
    assert_eq!(edited("A: b\n\nhttps://p.example/u/me", false), format!("A: b\n\n{LINK}"));
}

#[test]
fn a_line_that_would_grow_too_long_is_broken_at_blanks_or_stays() {
    const ADDRESS: &str = "https://p.example/u/me";
    let wide = |before: &str, behind: &str| format!("{before}{ADDRESS}{behind}");
    let table = [
        // It fits.
        (wide(&"=".repeat(900), ""), wide(&"=".repeat(900), "").replace(ADDRESS, LINK)),
        (wide(&"=".repeat(997 - LINK.len()), " "), format!("{}{LINK} ", "=".repeat(997 - LINK.len()))),
        // It is broken where blanks are.
        (
            wide(&format!("{} <a href=\"", "x".repeat(950)), "\" y>z</a>"),
            format!("{} <a\nhref=\"{LINK}\"\ny>z</a>", "x".repeat(950)),
        ),
        (wide(&format!("{} ", "x".repeat(970)), ""), format!("{}\n{LINK}", "x".repeat(970))),
        (format!("{ADDRESS} {} {ADDRESS}", "x".repeat(930)), format!("{LINK}\n{}\n{LINK}", "x".repeat(930))),
        (
            format!("{ADDRESS} {ADDRESS}{}", " x".repeat(470)),
            format!("{LINK}\n{LINK}\n{}", " x".repeat(470).trim_start()),
        ),
        // No blank is near: it stays as it is.
        (wide(&"=".repeat(970), ""), wide(&"=".repeat(970), "")),
        (wide(&format!("{} .", "x".repeat(960)), ""), wide(&format!("{} .", "x".repeat(960)), "")),
    ];
    for (line, expected) in table {
        assert_eq!(edited(&format!("A: b\n\n{line}\n"), false), format!("A: b\n\n{expected}\n"), "{line}");
    }
}

#[test]
fn a_quoted_part_is_written_anew_at_the_address_only() {
    let head = "Content-Transfer-Encoding: quoted-printable\n\n";
    let quoted = |text: &str| edited(&format!("{head}{text}\n"), false).replacen(head, "", 1);
    let link = format!("{}=\n{}", &LINK[..75], &LINK[75..]);
    assert_eq!(quoted("https://p.example/u/me"), format!("{link}\n"));
    assert_eq!(
        quoted("=C3=A9 <a href=3D\"https://p.exam=\nple/u/me\">.=\n x"),
        format!("=C3=A9 <a href=3D\"=\n{link}=\n\">.=\n x\n")
    );
    assert_eq!(quoted("a https://p.example/u/me. b"), format!("a =\n{link}=\n... b\n").replace("...", ".."));
    assert_eq!(quoted("https://p.example/u/me https://p.example/u/me"), format!("{link}=\n =\n{link}\n"));
}

#[test]
fn a_footer_ends_the_text_wherever_it_ends() {
    let table = [
        ("A: b\n\nhello\n", format!("A: b\n\nhello\n\nC:\n{LINK}\n")),
        ("A: b\n\n", format!("A: b\n\nC:\n{LINK}\n")),
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nhello\n--b--\n",
            format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nhello\n\nC:\n{LINK}\n--b--\n"),
        ),
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nhello\n\n--b--\n",
            format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nhello\n\nC:\n{LINK}\n--b--\n"),
        ),
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n--b--\n",
            format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nC:\n{LINK}\n--b--\n"),
        ),
    ];
    for (text, expected) in table {
        assert_eq!(edited(text, true), expected, "{text}");
    }
    let html = edited("Content-Type: text/html\n\n<body>.x</body>\n", true);
    assert!(html.starts_with("Content-Type: text/html\n\n<body>.x\n<p") && html.ends_with("</p>\n</body>\n"), "{html}");
    let base64 =
        edited("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: base64\n\n--b--\n", true);
    assert!(base64.contains("base64\n\nQzoN") && base64.contains("\n--b--\n"), "{base64}");
}

#[test]
fn blanks_before_a_footer_are_kept_in_a_quoted_part() {
    let head = "Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n";
    let edited = edited(&format!("{head}<body>x\n  </body>\n"), true);
    assert!(edited.starts_with(&format!("{head}<body>x\n  =\n\n<p>")), "{edited}");
}

#[test]
fn a_part_beyond_the_first_of_its_kind_gets_no_footer() {
    let text = "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n--b--\n";
    let edited = edited(text, true);
    assert_eq!(edited.matches(LINK).count(), 1);
    assert!(edited.find(LINK) < edited.find("two"), "{edited}");
}

#[test]
fn without_edits_every_byte_is_as_it_came() {
    let wire = b"A: b\r\n\r\n..x\r\n\r\ny";
    assert_eq!(written(wire, &BodyEdits::default(), 8, 3), wire);
}
