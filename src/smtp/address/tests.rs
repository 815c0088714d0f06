use proptest::prelude::*;

use super::*;

const WIDTHS: [Width; 4] = [
    Width::NARROWEST,
    Width { subaddress: true, provider_alias: false },
    Width { subaddress: false, provider_alias: true },
    Width::WIDEST,
];

fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_mailbox_is_kept_as_it_was_written() {
    let long_local = format!("{}@x.test", "a".repeat(64));
    for text in [
        "anna@exemple.fr",
        "Anna.B@EXEMPLE.fr.",
        "o'brien+tag=x@x-y.test",
        "\"two words\"@x.test",
        "\"j\\oe\"@x.test",
        "\"<a>@b\"@x.test",
        "\"\"@x.test",
        "user%host@x.test",
        "host!user@x.test",
        "éric@exemple.fr",
        "用户@例子.广告",
        "joe@[192.0.2.1]",
        "joe@[IPv6:2001:db8::1]",
        "joe@localhost",
        "PostMaster",
        "postmaster@x.test",
        &long_local,
    ] {
        assert_eq!(address(text).as_str(), text);
    }
}

#[test]
fn what_is_no_mailbox_is_refused() {
    let long_local = format!("{}@x.test", "a".repeat(65));
    let long_label = format!("a@{}.test", "b".repeat(64));
    let long_domain = format!("a@{}test", "b.".repeat(130));
    for (text, error) in [
        ("", AddressError::Empty),
        ("anna", AddressError::NoDomain),
        ("@x.test", AddressError::LocalPart),
        (".a@x.test", AddressError::LocalPart),
        ("a.@x.test", AddressError::LocalPart),
        ("a..b@x.test", AddressError::LocalPart),
        ("a b@x.test", AddressError::LocalPart),
        ("a\r\n@x.test", AddressError::LocalPart),
        ("a\u{85}b@x.test", AddressError::LocalPart),
        ("a\u{2028}b@x.test", AddressError::LocalPart),
        ("anna(comment)@x.test", AddressError::LocalPart),
        ("@relay.test:anna@x.test", AddressError::LocalPart),
        ("<anna@x.test", AddressError::LocalPart),
        ("\"anna@x.test", AddressError::LocalPart),
        ("\"anna\"b@x.test", AddressError::LocalPart),
        ("\"an\\\u{e9}\"@x.test", AddressError::LocalPart),
        ("anna@", AddressError::Domain),
        ("anna@x..test", AddressError::Domain),
        ("anna@x.test..", AddressError::Domain),
        ("anna@.test", AddressError::Domain),
        ("anna@-x.test", AddressError::Domain),
        ("anna@x-.test", AddressError::Domain),
        ("anna@x.test>", AddressError::Domain),
        ("anna@x.test (comment)", AddressError::Domain),
        ("anna@b@x.test", AddressError::Domain),
        ("anna@b\u{ff20}x.test", AddressError::Domain),
        ("anna@\u{ad}.test", AddressError::Domain),
        ("anna@x\0.test", AddressError::Domain),
        ("anna@[192.0.2]", AddressError::Domain),
        ("anna@[2001:db8::1]", AddressError::Domain),
        ("anna@[192.0.2.1", AddressError::Domain),
        ("anna@[192.0.2.1].", AddressError::Domain),
        (&long_local, AddressError::TooLong),
        (&long_label, AddressError::Domain),
        (&long_domain, AddressError::TooLong),
    ] {
        assert_eq!(EmailAddress::parse(text), Err(error), "{text:?}");
    }
}

#[test]
fn a_reverse_path_may_hold_a_whole_recipient_in_its_local_part() {
    let verp = format!("list-bounces+{}=exemple.fr@lists.test", "a".repeat(60));
    assert_eq!(ReversePath::parse(&verp).unwrap().as_str(), verp);
    assert_eq!(ReversePath::parse(&verp).unwrap().to_string(), format!("<{verp}>"));
    assert_eq!(ReversePath::parse("").unwrap(), ReversePath::Null);
    assert_eq!(ReversePath::Null.to_string(), "<>");
    assert!(ReversePath::parse(&format!("{}@x.test", "a".repeat(250))).is_err());
    assert_eq!(ReversePath::parse("postmaster"), Err(AddressError::NoDomain));
}

#[test]
fn parts_are_found_behind_quotes() {
    let odd = address("\"a@b\"@X.test");
    assert_eq!((odd.local_part(), odd.domain()), ("\"a@b\"", "X.test"));
    assert_eq!((address("Postmaster").local_part(), address("Postmaster").domain()), ("Postmaster", ""));
}

#[test]
fn every_spelling_of_one_mailbox_reaches_one_key() {
    for (key, spellings) in [
        ("joe@x.test", &["Joe@X.test", "\"joe\"@x.test", "\"j\\oe\"@x.test", "joe@X.TEST.", "\"JOE\"@x.test."][..]),
        ("joe@xn--bcher-kva.test", &["joe@bücher.test", "joe@XN--BCHER-KVA.test", "joe@BU\u{308}CHER.test"]),
        ("joe@xn--fsqu00a.xn--0zwm56d", &["joe@例子.测试", "joe@例子。测试"]),
        ("éric@exemple.fr", &["éric@exemple.fr", "e\u{301}ric@exemple.fr", "É\u{72}ic@EXEMPLE.fr"]),
        ("\u{1e96}a@x.test", &["H\u{331}a@x.test", "h\u{331}a@x.test", "\u{1e96}a@x.test"]),
        ("\"two words\"@x.test", &["\"Two Words\"@x.test", "\"two\\ words\"@x.test"]),
        ("\"a\\\"b\"@x.test", &["\"a\\\"b\"@x.test", "\"A\\\"\\b\"@X.test"]),
        ("joe@[ipv6:2001:db8::1]", &["joe@[IPv6:2001:DB8:0::1]", "joe@[ipv6:2001:db8::1]"]),
        ("postmaster", &["postmaster", "POSTMASTER"]),
    ] {
        for spelling in spellings {
            assert_eq!(address(spelling).consent_key(), key, "{spelling}");
        }
    }
}

#[test]
fn letters_that_only_look_alike_are_other_addresses() {
    for (one, other) in [("anna@x.fr", "аnna@x.fr"), ("anna@x.fr", "anna@х.fr"), ("anna@x.fr", "ánna@x.fr")] {
        assert_ne!(address(one).consent_key(), address(other).consent_key());
        assert_ne!(address(one).objection_key(Width::WIDEST), address(other).objection_key(Width::WIDEST));
    }
}

#[test]
fn an_objection_reaches_exactly_as_far_as_its_width() {
    let [narrow, subaddress, provider, widest] = WIDTHS;
    for (one, other, joined) in [
        ("anna@x.fr", "anna+shop@x.fr", &[subaddress, widest][..]),
        ("anna+a@x.fr", "\"anna+b\"@x.fr", &[subaddress, widest]),
        ("an.na@gmail.com", "anna@googlemail.com", &[provider, widest]),
        ("an.na+x@gmail.com", "anna@googlemail.com", &[widest]),
        ("an.na@x.fr", "anna@x.fr", &[]),
        ("anna@me.com", "anna@icloud.com", &[provider, widest]),
        ("anna@pm.me", "an-na@protonmail.com", &[provider, widest]),
        ("strauß@x.de", "strauss@x.de", &WIDTHS),
        ("\u{ff41}nna@x.fr", "anna@x.fr", &WIDTHS),
        ("an\u{200b}na@x.fr", "anna@x.fr", &WIDTHS),
        ("οδος@x.gr", "οδοσ@x.gr", &WIDTHS),
        ("+a@x.fr", "+b@x.fr", &[]),
        ("anna@x.fr", "bert@x.fr", &[]),
        ("anna@x.fr", "anna@y.fr", &[]),
    ] {
        assert_ne!(address(one).consent_key(), address(other).consent_key(), "{one} {other}");
        for width in [narrow, subaddress, provider, widest] {
            let same = address(one).objection_key(width) == address(other).objection_key(width);
            assert_eq!(same, joined.contains(&width), "{one} {other} {width:?}");
        }
    }
}

#[test]
fn a_local_part_with_a_route_inside_hides_its_recipient() {
    for (text, hides) in [
        ("a%b@x.test", true),
        ("b!a@x.test", true),
        ("\"a\\%b\"@x.test", true),
        ("\"a@b\"@x.test", true),
        ("a+b=c@x.test", false),
        ("postmaster", false),
    ] {
        assert_eq!(address(text).hides_recipient(), hides, "{text}");
    }
}

#[test]
fn any_domain_text_folds_like_the_domain_of_an_address() {
    assert_eq!(domain_key("Bücher.Example."), "xn--bcher-kva.example");
    assert_eq!(domain_key("exemple.fr"), "exemple.fr");
    assert_eq!(domain_key("xn--broken-.fr"), "xn--broken-.fr");
    assert_eq!(domain_key(""), "");
}

#[test]
fn addresses_are_strings_in_json() {
    let json = serde_json::to_string(&address("Anna@x.test")).unwrap();
    assert_eq!(json, "\"Anna@x.test\"");
    assert_eq!(serde_json::from_str::<EmailAddress>(&json).unwrap(), address("Anna@x.test"));
    assert!(serde_json::from_str::<EmailAddress>("\"a b@x.test\"").is_err());
    assert_eq!(serde_json::from_str::<ReversePath>("\"\"").unwrap(), ReversePath::Null);
    assert_eq!(serde_json::to_string(&ReversePath::Null).unwrap(), "\"\"");
}

/// Local parts from an alphabet small enough that two of them often fold together.
fn mailbox() -> impl Strategy<Value = EmailAddress> {
    let letter = prop::sample::select(vec![
        "a", "A", ".", "+", "b", "é", "e\u{301}", "É", "\u{ff41}", "ß", "ss", "\u{ff0b}", "\u{2024}", " ", "\u{200b}",
        "İ", "\\a", "\\+", "\u{130}", "\u{345}",
    ]);
    let domain = prop::sample::select(vec!["gmail.com", "GoogleMail.com.", "x.test", "X.TEST", "pm.me", "proton.me"]);
    (prop::collection::vec(letter, 0..5), any::<bool>(), domain).prop_filter_map(
        "no mailbox",
        |(letters, quote, domain)| {
            let local = letters.concat();
            let local = if quote { format!("\"{local}\"") } else { local };
            EmailAddress::parse(&format!("{local}@{domain}")).ok()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn what_consent_joins_an_objection_joins_and_wider_joins_more((one, other) in (mailbox(), mailbox())) {
        let same = |width| one.objection_key(width) == other.objection_key(width);
        if one.consent_key() == other.consent_key() {
            prop_assert!(WIDTHS.into_iter().all(same));
        }
        for narrow in WIDTHS.into_iter().filter(|&width| same(width)) {
            for wide in WIDTHS {
                let wider = wide.subaddress >= narrow.subaddress && wide.provider_alias >= narrow.provider_alias;
                prop_assert!(!wider || same(wide), "{:?} joins {} and {}, {:?} does not", narrow, one, other, wide);
            }
        }
    }

    #[test]
    fn a_key_is_a_mailbox_whose_key_is_itself(address in mailbox()) {
        let key = address.consent_key();
        prop_assert_eq!(EmailAddress::parse(&key).unwrap().consent_key(), key);
    }

    #[test]
    fn parsing_never_panics_and_changes_no_byte(text in ".{0,40}") {
        if let Ok(address) = EmailAddress::parse(&text) {
            prop_assert_eq!(address.as_str(), &text);
        }
    }
}
