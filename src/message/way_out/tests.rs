use super::*;

fn ways() -> WaysOut {
    let links = [
        "https://exemple.fr/desinscription/",
        "https://c.example/out.php",
        "https://d.example/?page=out",
        "https://whole.example",
    ];
    WaysOut::new(Some("https://p.example"), &links.map(str::to_owned))
}

#[test]
fn a_way_out_is_ours_or_below_a_registered_address() {
    let table = [
        ("https://p.example/u/me", Some(WayOut::Own)),
        ("https://p.example/u/AbC-_9", None),
        ("https://p.example/u/me/", None),
        ("https://p.example/u/mexico", None),
        ("https://p.example/p/me#channels", Some(WayOut::Own)),
        ("HTTPS://P.EXAMPLE/u/me?x=1", Some(WayOut::Own)),
        ("https://p.example:443/u/me", Some(WayOut::Own)),
        ("https://p.example/p/abc", None),
        ("https://p.example/u/", None),
        ("https://p.example/", None),
        ("https://p.example/uu/me", None),
        ("http://p.example/u/me", None),
        ("https://p.example.evil/u/me", None),
        ("https://p.example@evil.example/u/me", None),
        ("https://evil.example/https://p.example/u/me", None),
        ("https://exemple.fr/desinscription/7?x", Some(WayOut::Registered)),
        ("https://EXEMPLE.fr/desinscription", Some(WayOut::Registered)),
        ("https://exemple.fr/desinscription?u=1", Some(WayOut::Registered)),
        ("https://exemple.fr\\desinscription\\7", Some(WayOut::Registered)),
        ("https://exemple.fr/a/../desinscription/7", Some(WayOut::Registered)),
        ("https://exemple.fr/desinscription/../soldes", None),
        ("https://exemple.fr/desinscription/%2e%2e/soldes", None),
        ("https://exemple.fr/desinscriptions", None),
        ("https://exemple.fr/Desinscription/", None),
        ("https://exemple.fr.evil/desinscription/", None),
        ("https://exemple.fr:8443/desinscription/", None),
        ("https://user:x@exemple.fr/desinscription/", None),
        ("https://c.example/out.php?id=3", Some(WayOut::Registered)),
        ("https://c.example/out.php/3", Some(WayOut::Registered)),
        ("https://c.example/out.phpx", None),
        ("https://d.example/?page=out&id=3", Some(WayOut::Registered)),
        ("https://d.example/?page=outlet", None),
        ("https://whole.example/anything", Some(WayOut::Registered)),
        ("https://whole.example.evil/", None),
        ("/desinscription/", None),
        ("", None),
    ];
    for (address, expected) in table {
        assert_eq!(ways().of(address), expected, "{address}");
    }
}

#[test]
fn an_address_in_a_text_ends_where_a_reader_would_end_it() {
    let table = [
        ("Leave: https://c.example/out.php.", true),
        ("(see https://c.example/out.php)", true),
        ("<https://c.example/out.php?id=1>", true),
        ("xhttps://c.example/out.php", true),
        ("ftp://x https://c.example/out.php", true),
        ("https://click.example/?to=https://c.example/out.php", false),
        ("c.example/out.php", false),
        ("://c.example/out.php", false),
        ("https://c.example/ out.php", false),
    ];
    for (text, expected) in table {
        assert_eq!(ways().in_text(text).is_some(), expected, "{text}");
    }
}

#[test]
fn a_text_full_of_beginnings_is_read_in_no_time() {
    for beginning in ["://", "http://", "https://a", "https://c.example/out.ph "] {
        let text = beginning.repeat(100_000);
        assert_eq!(ways().in_text(&text), None);
    }
}

#[test]
fn without_pages_there_is_no_way_out_of_ours() {
    let ways = WaysOut::new(None, &[]);
    assert_eq!((ways.of("https://p.example/u/me"), ways.fixed_address()), (None, None));
}
