use super::*;

fn charset(name: &str, bytes: &[u8]) -> Charset {
    Charset::of(Some(name), bytes).unwrap_or_else(|| panic!("{name}"))
}

#[test]
fn text_is_written_within_what_was_declared() {
    let table: [(&str, bool, Substitute, &str, &[u8]); 16] = [
        ("us-ascii", true, Substitute::Ascii, "désinscrire… 5 €", b"desinscrire... 5 EUR"),
        ("us-ascii", true, Substitute::Html, "dé", b"d&#233;"),
        ("utf-8", false, Substitute::Ascii, "dé – x", "dé – x".as_bytes()),
        ("utf-8", true, Substitute::Ascii, "dé – x", b"de - x"),
        ("utf-8", true, Substitute::Html, "dé", b"d&#233;"),
        ("iso-8859-1", false, Substitute::Ascii, "dé – ’", b"d\xe9 - '"),
        ("iso-8859-1", false, Substitute::Html, "é–", b"\xe9&#8211;"),
        ("windows-1252", false, Substitute::Ascii, "dé – ’", b"d\xe9 \x96 \x92"),
        ("iso-8859-15", false, Substitute::Ascii, "5 € à", b"5 \xa4 \xe0"),
        ("windows-1251", false, Substitute::Ascii, "é да", b"e \xe4\xe0"),
        ("iso-2022-jp", true, Substitute::Ascii, "日本 x", b"\x1b$BF|K\\\x1b(B x"),
        ("gb18030", false, Substitute::Ascii, "你", b"\xc4\xe3"),
        ("utf-16le", false, Substitute::Ascii, "aé", b"a\0\xe9\0"),
        ("utf-16be", false, Substitute::Ascii, "aé", b"\0a\0\xe9"),
        ("koi8-r", false, Substitute::Ascii, "œ ß ÷", b"oe ss \x9f"),
        ("us-ascii", true, Substitute::Ascii, "日", b"?"),
    ];
    for (name, seven_bit, substitute, text, expected) in table {
        let encoded = charset(name, b"").encode(text, seven_bit, substitute);
        assert_eq!(encoded, expected, "{name} {text}: {:?}", String::from_utf8_lossy(&encoded));
    }
}

#[test]
fn names_nobody_knows_are_no_charset() {
    for name in ["utf-7", "x-unknown", "iso-2022-kr", "hz-gb-2312", "\u{e9}"] {
        assert_eq!(Charset::of(Some(name), b""), None, "{name}");
    }
    for name in ["", "US-ASCII", " utf-8 ", "latin1", "cp1252", "SHIFT_JIS", "big5", "euc-kr"] {
        assert!(Charset::of(Some(name), b"").is_some(), "{name}");
    }
    assert!(Charset::of(None, b"").is_some());
}

#[test]
fn the_order_of_two_bytes_is_told_by_mark_or_name_or_nuls() {
    let table: [(&str, &[u8], &str); 5] = [
        ("utf-16", b"\xff\xfea\0", "\u{feff}a"),
        ("utf-16", b"\xfe\xff\0a", "\u{feff}a"),
        ("utf-16", b"\0a\0b", "ab"),
        ("utf-16", b"a\0b\0", "ab"),
        ("utf-16be", b"\0a", "a"),
    ];
    for (name, bytes, expected) in table {
        assert_eq!(charset(name, bytes).decode(bytes), expected, "{name} {bytes:?}");
    }
}

#[test]
fn places_in_the_text_are_found_in_the_bytes() {
    let text = "日本語 café – https://p.example/u/me. 終".repeat(40);
    for name in ["utf-8", "gb18030", "iso-2022-jp", "shift_jis", "utf-16le", "euc-jp", "big5"] {
        let fitting: String = if matches!(name, "utf-8" | "gb18030" | "utf-16le") {
            text.clone()
        } else {
            text.replace(['é', '–'], "e")
        };
        let charset = charset(name, b"");
        let bytes = charset.encode(&fitting, false, Substitute::Ascii);
        assert_eq!(charset.decode(&bytes), fitting, "{name}");
        let address = "https://p.example/u/me";
        let edges: Vec<_> = fitting
            .match_indices(address)
            .flat_map(|(at, _)| [(at, Edge::Start), (at + address.len(), Edge::End)])
            .collect();
        let found = charset.locate(&bytes, &edges);
        assert_eq!(found.len(), 80);
        let written = charset.encode(address, true, Substitute::Ascii);
        for pair in found.chunks(2) {
            assert_eq!(&bytes[pair[0].unwrap()..pair[1].unwrap()], written, "{name}");
        }
    }
}

#[test]
fn bytes_that_are_not_what_they_claim_shift_nothing() {
    let bytes = b"caf\xe9 x";
    let charset = charset("utf-8", bytes);
    let text = charset.decode(bytes);
    let place = text.find('x').unwrap();
    assert_eq!(charset.locate(bytes, &[(place, Edge::Start)]), [Some(5)]);
}
