use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use ring::rand::SystemRandom;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;

use super::fields::canonical_fields;
use super::*;
use crate::message::edit::HeaderEdits;
use crate::message::head::{HeadLimits, MessageHead};

mod reader;

use reader::{Verdict, verdicts};

const RSA: &[u8] = include_bytes!("../../../tests/keys/rsa2048.pem");
const RSA_1024: &[u8] = include_bytes!("../../../tests/keys/rsa1024.pem");
const ED25519: &[u8] = include_bytes!("../../../tests/keys/ed25519.pem");

fn sha256(bytes: &[u8]) -> BodyHash {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().try_into().unwrap()
}

fn body_hash(wire: &[u8], piece: usize) -> BodyHash {
    let mut hasher = BodyHasher::default();
    wire.chunks(piece).for_each(|piece| hasher.feed(piece));
    hasher.finish()
}

fn locate(wire: &[u8]) -> MessageHead {
    MessageHead::locate(wire, &HeadLimits::default()).unwrap()
}

/// The message on the wire with a signature of each key on top.
fn signed(wire: &[u8], keys: &[&[u8]]) -> Vec<u8> {
    let head = locate(wire);
    let fields = SignedFields::of(&head, wire).unwrap();
    let body = body_hash(&wire[head.body_start()..], 7);
    let keys: Vec<SigningKey> = keys.iter().map(|key| SigningKey::read(key).unwrap()).collect();
    let sign = |key| {
        let signer = Signer { domain: "exemple.fr", selector: "gate", key };
        signer.sign(&fields, &body, 1_795_000_000, &SystemRandom::new()).unwrap()
    };
    let edits = HeaderEdits { insert: keys.iter().map(sign).collect(), remove: Vec::new() };
    [&edits.apply(&wire[..head.body_start()], &head), &wire[head.body_start()..]].concat()
}

fn unstuffed(wire: &[u8]) -> Vec<u8> {
    let lines = wire.split_inclusive(|byte| *byte == b'\n');
    lines.flat_map(|line| line.strip_prefix(b".").unwrap_or(line).to_vec()).collect()
}

#[test]
fn a_body_is_hashed_without_stuffed_dots_trailing_blanks_and_empty_lines_at_its_end() {
    let table: [(&str, &str); 19] = [
        // RFC 6376 section 3.4.5 and 3.4.4.
        (" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n"),
        ("", ""),
        ("\r\n", ""),
        ("\r\n\r\n\r\n", ""),
        (" \r\n\t\r\n", ""),
        ("a\r\n", "a\r\n"),
        ("a", "a\r\n"),
        ("a\r\n\r\nb\r\n\r\n", "a\r\n\r\nb\r\n"),
        ("a\r\n \t\r\nb", "a\r\n\r\nb\r\n"),
        ("a\r\n \r\n \r\n", "a\r\n"),
        ("a \t", "a\r\n"),
        ("\ta", " a\r\n"),
        ("\r\n\r\na", "\r\n\r\na\r\n"),
        // The wire form.
        ("..\r\n", ".\r\n"),
        ("...x\r\n.. y\r\n", "..x\r\n. y\r\n"),
        (". x\r\n", " x\r\n"),
        ("a..\r\n ..\r\n", "a..\r\n ..\r\n"),
        ("\u{e9}\u{a0}\r\n", "\u{e9}\u{a0}\r\n"),
        ("=20 =\r\n..=\r\n", "=20 =\r\n.=\r\n"),
    ];
    for (wire, canonical) in table {
        for piece in [1, 2, 3, 1000] {
            assert_eq!(
                body_hash(wire.as_bytes(), piece),
                sha256(canonical.as_bytes()),
                "{wire:?} in pieces of {piece}"
            );
        }
    }
}

#[test]
fn a_body_of_line_ends_alone_takes_no_memory() {
    let mut hasher = BodyHasher::default();
    (0..10_000).for_each(|_| hasher.feed(&b"\r\n".repeat(1000)));
    hasher.feed(b"x");
    assert_eq!(hasher.finish(), sha256(&[b"\r\n".repeat(10_000_000), b"x\r\n".to_vec()].concat()));
}

#[test]
fn a_field_is_hashed_on_one_line_with_single_blanks() {
    let table = [
        // RFC 6376 section 3.4.5.
        ("A: X\r\n", "a:X\r\n"),
        ("B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n"),
        ("SUBJect:\tA\r\n  B \r\n", "subject:A B\r\n"),
        ("X:\r\n", "x:\r\n"),
        ("X:  \r\n \r\n", "x:\r\n"),
        // The wire form.
        (".X: a\r\n", "x:a\r\n"),
        ("X: a\r\n. b\r\n", "x:a b\r\n"),
        ("X: ..a\r\n", "x:..a\r\n"),
        ("X: caf\u{e9}\r\n", "x:caf\u{e9}\r\n"),
    ];
    for (field, canonical) in table {
        let wire = format!("{field}\r\n").into_bytes();
        let head = locate(&wire);
        let fields: Vec<_> = head.fields(&wire).collect();
        let name = fields[0].name().to_ascii_lowercase();
        let read = String::from_utf8(canonical_fields(&fields, &[&name])).unwrap();
        assert_eq!(read, canonical, "{field:?}");
    }
}

#[test]
fn a_name_that_stands_there_twice_means_the_last_field_first() {
    let wire = b"X: 1\r\nY: 2\r\nx: 3\r\n\r\n";
    let head = locate(wire);
    let fields: Vec<_> = head.fields(wire).collect();
    assert_eq!(canonical_fields(&fields, &["x", "z", "x", "x", "y"]), b"x:3\r\nx:1\r\ny:2\r\n");
}

#[test]
fn what_readers_act_on_is_guarded_against_a_second_one() {
    let names = |wire: &str| {
        let wire = wire.replace('\n', "\r\n").into_bytes();
        SignedFields::of(&locate(&wire), &wire).map_or(String::new(), |fields| fields.names.join(":"))
    };
    assert_eq!(names("From: a\n\n"), "from:from:reply-to:subject:cc");
    assert_eq!(
        names(
            "Received: x\nTo: b\nFrom: a\nSubject: s\nReferences: r\nList-Unsubscribe: <u>\nList-Unsubscribe-Post: p\n\n"
        ),
        "from:from:reply-to:subject:subject:to:to:cc:references:list-unsubscribe:list-unsubscribe:\
         list-unsubscribe-post:list-unsubscribe-post"
    );
    assert_eq!(names("From: a\nReply-To : b\nTo: c\n\n"), "from:from:subject:to:to:cc");
}

#[test]
fn a_header_section_that_readers_see_differently_is_not_signed() {
    for wire in
        ["From : a\n\n", "From: a\nFrom: b\n\n", "From: a\nodd line\nTo: b\n\n", "To: a\n\n", "hello\n", "\n", ""]
    {
        let wire = wire.replace('\n', "\r\n").into_bytes();
        assert_eq!(SignedFields::of(&locate(&wire), &wire), None, "{}", String::from_utf8_lossy(&wire));
    }
}

#[test]
fn the_author_has_one_domain_or_none() {
    let table = [
        ("From: a@Exemple.FR", Some("exemple.fr")),
        ("From: \"b@x.example\" <a@exemple.fr>", Some("exemple.fr")),
        ("From: a@exemple.fr, B <b@EXEMPLE.fr>", Some("exemple.fr")),
        ("From: a@\u{e9}xemple.fr", Some("xn--xemple-9ua.fr")),
        ("From: a@exemple.fr, b@x.example", None),
        ("From: nobody", None),
        ("From:", None),
        ("From : a@exemple.fr", None),
        ("From: a@exemple.fr\r\nFrom: a@exemple.fr", None),
        ("To: a@exemple.fr", None),
    ];
    for (head, expected) in table {
        let wire = format!("{head}\r\n\r\n").into_bytes();
        assert_eq!(author_domain(&locate(&wire), &wire).as_deref(), expected, "{head}");
    }
}

#[test]
fn the_example_of_rfc_8463_is_signed_as_it_is_printed_there() {
    let head = b"From: Joe SixPack <joe@football.example.com>\r\n\
                 To: Suzie Q <suzie@shopping.example.net>\r\n\
                 Subject: Is dinner ready?\r\n\
                 Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
                 Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\r\n";
    let body = b"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";
    assert_eq!(STANDARD.encode(body_hash(body, 5)), "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
    let located = locate(head);
    let fields: Vec<_> = located.fields(head).collect();
    let names = ["from", "to", "subject", "date", "message-id", "from", "subject", "date"];
    let tags = "dkim-signature:v=1; a=ed25519-sha256; c=relaxed/relaxed; d=football.example.com; i=@football.example.com; \
                q=dns/txt; s=brisbane; t=1528637909; h=from : to : subject : date : message-id : from : subject : date; \
                bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b=";
    let bytes = [canonical_fields(&fields, &names), tags.as_bytes().to_vec()].concat();
    let seed = STANDARD.decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=").unwrap();
    let pkcs8 = [STANDARD.decode("MC4CAQAwBQYDK2VwBCIEIA==").unwrap(), seed].concat();
    let key = SigningKey::read(&pkcs8).unwrap();
    assert_eq!(key.public().record(), "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    assert_eq!(
        STANDARD.encode(key.sign(&bytes, &SystemRandom::new()).unwrap()),
        "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="
    );
}

#[test]
fn a_key_is_read_in_every_form_it_is_kept_in() {
    let pkcs8 = PrivatePkcs8KeyDer::from_pem_slice(RSA).unwrap();
    let der = pkcs8.secret_pkcs8_der();
    let pkcs1 = &der[26..]; // behind the PKCS#8 frame of a key of this length
    let pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", STANDARD.encode(pkcs1));
    let published = SigningKey::read(RSA).unwrap().public();
    for form in [RSA, der, pkcs1, pem.as_bytes()] {
        let key = SigningKey::read(form).unwrap();
        assert_eq!((key.algorithm(), key.bits()), (Algorithm::Rsa, 2048));
        assert_eq!(key.public(), published);
        assert_eq!(format!("{key:?}"), "SigningKey(rsa, redacted)");
    }
    assert_eq!(SigningKey::read(ED25519).unwrap().algorithm(), Algorithm::Ed25519);
}

#[test]
fn a_record_for_a_zone_file_is_in_strings_that_read_as_the_record() {
    for key in [RSA, ED25519] {
        let public = SigningKey::read(key).unwrap().public();
        let zone = public.zone_record();
        assert!(zone.split("\" \"").all(|string| string.trim_matches('"').len() <= 255), "{zone}");
        assert_eq!(published(&format!("gate._domainkey IN TXT ( {zone} )\n")), [public.record()]);
        assert_eq!(published(&format!("{}\n", public.record())), [public.record()]);
        assert_eq!(public.differences(&published(&zone)), []);
    }
    assert!(published(" \n").is_empty());
}

#[test]
fn every_difference_of_a_published_record_is_told() {
    let public = SigningKey::read(RSA).unwrap().public();
    let record = public.record();
    let p = record.split_once("p=").unwrap().1;
    let other = SigningKey::read(ED25519).unwrap().public();
    let other_type = |published: &str| Difference::KeyType { published: published.into(), ours: Algorithm::Rsa };
    let whole = Difference::OtherKey { is_whole: true };
    let table = [
        (format!("p={p}"), vec![]),
        (format!("v=DKIM1;k=rsa;s=*;h=sha1:sha256;t=s;n=note; p= {} {}", &p[..50], &p[50..]), vec![]),
        (other.record(), vec![other_type("ed25519"), whole.clone()]),
        (record.replace("MIIB", "MIIC"), vec![whole]),
        (record[..200].to_owned(), vec![Difference::OtherKey { is_whole: false }]),
        ("v=DKIM1; p=".into(), vec![Difference::Revoked]),
        ("v=spf1 -all".into(), vec![Difference::Version, Difference::NoKey]),
        (format!("k=rsa; p={p}; v=DKIM1"), vec![Difference::Version]),
        (
            format!("{record}; h=sha1; s=tlsrpt; t=y:s"),
            vec![Difference::Hash, Difference::Service, Difference::Testing],
        ),
    ];
    for (text, expected) in table {
        assert_eq!(public.differences(std::slice::from_ref(&text)), expected, "{text}");
    }
    assert_eq!(public.differences(&[]), [Difference::Missing]);
    assert_eq!(public.differences(&[record.clone(), record]), [Difference::Several(2)]);
}

#[test]
fn what_is_no_fit_key_is_refused_with_the_reason() {
    let elliptic = "-----BEGIN PRIVATE KEY-----\n\
                    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2\n\
                    OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r\n\
                    1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G\n\
                    -----END PRIVATE KEY-----\n";
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIC\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    let table: [(&[u8], KeyError); 7] = [
        (RSA_1024, KeyError::TooShort),
        (elliptic.as_bytes(), KeyError::OtherAlgorithm),
        (encrypted.as_bytes(), KeyError::Encrypted),
        (public.as_bytes(), KeyError::NoKey),
        (b"", KeyError::NoKey),
        (b"secret", KeyError::NoKey),
        (&RSA[..800], KeyError::NoKey),
    ];
    for (bytes, error) in table {
        let read = SigningKey::read(bytes).unwrap_err();
        assert_eq!(read, error, "{}", String::from_utf8_lossy(bytes));
        assert!(!read.to_string().contains("MII"), "{read}");
    }
}

#[test]
fn no_line_of_a_signature_is_long_however_much_it_covers() {
    let wire = format!("From: a@exemple.fr\r\n{}\r\nx\r\n", "To: b@x.example\r\n".repeat(300)).into_bytes();
    let signed = signed(&wire, &[RSA]);
    let signature = signed.strip_suffix(wire.as_slice()).unwrap();
    assert!(signature.split(|byte| *byte == b'\n').all(|line| line.len() <= 79));
    assert_eq!(verdicts(&unstuffed(&signed), &[("gate._domainkey.exemple.fr", RSA)]), [Verdict::Pass]);
}

#[test]
fn another_program_verifies_both_kinds_of_key_and_sees_every_change() {
    let wire = b"Received: from x\r\nFrom: Shop <news@exemple.fr>\r\nTo: anna@x.example\r\nSubject: Livres\r\n\r\n\
                 ..a\r\nb \r\n\r\n";
    for key in [RSA, ED25519] {
        let signed = unstuffed(&signed(wire, &[key]));
        let read = |text: &str| verdicts(text.as_bytes(), &[("gate._domainkey.exemple.fr", key)]);
        let text = String::from_utf8(signed).unwrap();
        assert_eq!(read(&text), [Verdict::Pass]);
        for (from, to) in [
            ("Livres", "Livre"),
            ("\r\n.a", "\r\na"),
            ("Subject", "Reply-To: eve@x.example\r\nSubject"),
            ("From: ", "From: eve@x.example\r\nFrom: "),
            ("b \r\n", "b\r\nc"),
        ] {
            assert_eq!(read(&text.replacen(from, to, 1)), [Verdict::Fail], "{from:?} to {to:?}");
        }
        assert_eq!(read(&text.replace("from x", "from y").replace("b \r\n", "b\t\r\n")), [Verdict::Pass]);
    }
}

/// Lines as mailers write them: dots, blanks, 8-bit, long, nothing. The last one is never blank alone: `mail-auth` takes
/// a line of blanks at the end of a body for text, against RFC 6376 section 3.4.4; tests/dkim.rs holds such bodies to
/// two other programs.
fn body_line() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b".".to_vec()),
        Just(b" ".to_vec()),
        Just(b"\t ".to_vec()),
        Just("é€".as_bytes().to_vec()),
        Just(b"=E9=".to_vec()),
        Just(vec![b'x'; 1500]),
        prop::collection::vec(0x21_u8..=0xff, 1..20),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

fn head_line() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "Subject: a  b",
        "Subject:",
        "To: a@x.example,\r\n\tb@x.example ",
        "CC : c@x.example",
        "X-Other: \t x",
        ".Reply-To: d@x.example",
        "List-Unsubscribe:\r\n <https://p.example/u/x>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "Content-Type: text/plain;\r\n\r\n".trim_end(),
        "References: <1@x>\r\n\t<2@x>\r\n  <3@x>",
        "Message-ID: <1@x>",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_signed_verifies_whatever_it_holds(
        head in prop::collection::vec(head_line(), 0..12),
        body in prop::collection::vec(body_line(), 0..12),
        has_end in any::<bool>(),
        piece in 1_usize..50,
    ) {
        let mut wire = b"From: news@exemple.fr\r\n".to_vec();
        head.iter().for_each(|line| wire.extend_from_slice(format!("{line}\r\n").as_bytes()));
        wire.extend_from_slice(b"\r\n");
        for line in &body {
            wire.extend_from_slice(if line.starts_with(b".") { b"." } else { b"" });
            wire.extend_from_slice(line);
            wire.extend_from_slice(b"\r\n");
        }
        if has_end {
            wire.extend_from_slice(b"-- \r\nend\r\n\r\n\r\n");
        } else {
            wire.extend_from_slice(b"end");
        }
        let at = locate(&wire).body_start();
        prop_assert_eq!(body_hash(&wire[at..], piece), body_hash(&wire[at..], wire.len()));
        let signed = signed(&wire, &[RSA, ED25519]);
        prop_assert!(signed.ends_with(&wire));
        let records = [("gate._domainkey.exemple.fr", RSA)];
        let read = verdicts(&unstuffed(&signed), &records);
        prop_assert!(read.contains(&Verdict::Pass), "{:?} {}", read, String::from_utf8_lossy(&signed));
        let records = [("gate._domainkey.exemple.fr", ED25519)];
        let read = verdicts(&unstuffed(&signed), &records);
        prop_assert!(read.contains(&Verdict::Pass), "{:?} {}", read, String::from_utf8_lossy(&signed));
    }
}
