use super::*;

fn terms() -> Terms {
    let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
    Terms {
        controllers: names(&["shop"]),
        topics: names(&["offers/books", "offers/print", "offers/paper"]),
        defaults: BTreeMap::new(),
        digest: "d1".into(),
    }
}

fn defaults(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn told(lines: impl Iterator<Item = Line>) -> Vec<String> {
    let tell = |(number, read): Line| match read {
        Ok(taken) => {
            let events: Vec<String> = taken.iter().map(|taken| taken.event.to_canonical_json()).collect();
            format!("{number}: {}", events.join(" "))
        }
        Err(refused) => format!("{number}: {}", refused.error),
    };
    lines.map(tell).collect()
}

#[test]
fn each_bad_line_is_named_by_number_and_the_good_ones_are_read() {
    let file = "\u{feff}{\"address\":\"a@x.example\",\"controller\":\"shop\",\"type\":\"object\"}\r\n\
                \n\
                {\"address\":\"b@x.example\",\"controller\":\"shop\",\"type\":\"objekt\"}\n\
                {\"address\":\"c@x.example\",\"controller\":\"shop\",\"type\":\"erase\",\"id\":\"7\",\"actor\":\"person\"}";
    let lines = told(ndjson(file.as_bytes(), &terms()));
    assert_eq!(lines.len(), 3);
    assert_eq!(
        lines[0],
        r#"1: {"actor":"import","address":"a@x.example","channel":"email","controller":"shop","id":"import:d1:1","type":"object"}"#
    );
    assert!(lines[1].starts_with("3: `type`: write one of collected"), "{}", lines[1]);
    assert!(lines[2].starts_with(r#"4: {"actor":"person""#) && lines[2].contains(r#""id":"7""#), "{}", lines[2]);
}

#[test]
fn a_line_that_is_too_long_does_not_hide_the_next_one() {
    let file = format!(
        "{{\"note\":\"{}\"}}\n{{\"address\":\"a@x.example\",\"controller\":\"shop\",\"type\":\"erase\"}}\n",
        "x".repeat(200_000)
    );
    let lines = told(ndjson(io::BufReader::with_capacity(1000, file.as_bytes()), &terms()));
    assert!(lines[0].starts_with("1: ") && lines[0].contains("an event may have 65536 at most"), "{}", lines[0]);
    assert!(lines[1].starts_with("2: {"), "{}", lines[1]);
    assert_eq!(lines.len(), 2);
}

#[test]
fn permission_is_raised_only_with_proof_and_lowered_without() {
    let line = |further: &str| format!(r#"{{"address":"a@x.example","controller":"shop",{further}}}"#);
    let table = [
        (r#""type":"object""#, None),
        (r#""type":"withdraw","topics":["offers"]"#, None),
        (r#""type":"opt_in","topics":["offers/books"]"#, Some("`at`: missing; say when the person acted")),
        (r#""type":"purchase","state":"paid""#, Some("`at`: missing; say when the person acted")),
        (r#""type":"contact","kind":"click","at":"2026-01-01T00:00:00Z""#, None),
        (
            r#""type":"opt_in","topics":["offers/books"],"at":"2026-01-01T00:00:00Z""#,
            Some("`source`: missing; an import brings consent only with"),
        ),
        (
            r#""type":"opt_in","topics":["offers/books"],"at":"2026-01-01T00:00:00Z","source":"web:form""#,
            Some("`mechanism`: missing; an import"),
        ),
        (
            r#""type":"opt_in","topics":["offers/books"],"at":"2026-01-01T00:00:00Z","source":"web:form","mechanism":"written""#,
            Some("`text_version`: missing; an import"),
        ),
        (
            r#""type":"opt_in","topics":["offers/books"],"at":"2026-01-01T00:00:00Z","source":"web:form","mechanism":"written","text_version":"n-4""#,
            None,
        ),
    ];
    for (further, wrong) in table {
        let said = told(ndjson(line(further).as_bytes(), &terms())).remove(0);
        match wrong {
            Some(wrong) => assert!(said.starts_with(&format!("1: {wrong}")), "{further}: {said}"),
            None => assert!(said.starts_with("1: {"), "{further}: {said}"),
        }
    }
}

#[test]
fn controller_and_topics_are_those_of_the_policy() {
    let table = [
        ("shop", "offers/books", None),
        ("shop", "offers", None),
        ("shop", "offers/paper", None),
        ("shop", "*", None),
        ("shopp", "offers", Some("1: `controller`: the policy has no controller `shopp`; it has shop")),
        ("shop", "offers/book", Some("1: `topics`: the policy has no topic `offers/book`; it has offers/books, ")),
    ];
    for (controller, topic, wrong) in table {
        let line =
            format!(r#"{{"address":"a@x.example","controller":"{controller}","type":"object","topics":["{topic}"]}}"#);
        let said = told(ndjson(line.as_bytes(), &terms())).remove(0);
        assert!(said.starts_with(wrong.unwrap_or("1: {")), "{controller} {topic}: {said}");
    }
}

#[test]
fn columns_go_by_their_name_or_by_the_map() {
    let file = "\u{feff}Mail,type,topics,at,collected_in_sale,state,Shoe size\n\
                a@x.example,withdraw,offers/books; offers/print,,,,44\n\
                \"b@x.example\",purchase,,2026-01-01T00:00:00Z,yes,paid,\n\
                c@x.example,purchase,,,maybe,paid,\n\
                d@x.example,erase\n";
    let terms = Terms {
        defaults: defaults(&[("controller", "shop"), ("topics", "offers"), ("at", "2025-01-01T00:00:00Z")]),
        ..terms()
    };
    let map = defaults(&[("Mail", "address"), ("Shoe size", "")]);
    let lines = told(csv(file.as_bytes(), &map, &terms).unwrap());
    assert!(lines[0].contains(r#""topics":["offers/books","offers/print"]"#), "{}", lines[0]);
    assert!(lines[1].contains(r#""collected_in_sale":true"#) && !lines[1].contains("topics"), "{}", lines[1]);
    assert!(lines[2].starts_with("4: `collected_in_sale`: \"maybe\" is not right here"), "{}", lines[2]);
    assert_eq!(lines[3], "5: 2 cells, but 7 columns; quote a cell that holds a comma");
    assert_eq!(lines.len(), 4);
}

#[test]
fn a_file_of_bare_addresses_takes_the_rest_from_the_defaults() {
    let fill = &[("controller", "shop"), ("type", "object"), ("mechanism", "mailto"), ("purpose", "none")];
    let terms = Terms { defaults: defaults(fill), ..terms() };
    let lines = told(csv("address\na@x.example\n".as_bytes(), &BTreeMap::new(), &terms).unwrap());
    assert!(lines[0].contains(r#""mechanism":"mailto","type":"object""#), "{}", lines[0]);
}

#[test]
fn a_column_that_is_no_field_is_refused_before_the_first_line() {
    let refused = |header: &str, map: &[(&str, &str)]| {
        csv(header.as_bytes(), &defaults(map), &terms()).err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert!(
        refused("Topic,type", &[]).starts_with(
            "column `Topic` is no field of an event (perhaps `topics`); say which with --map 'Topic=FIELD'"
        )
    );
    assert_eq!(refused("m,type", &[("m", "mail")]), "`mail` is no field of an event");
    assert_eq!(
        refused("m,address", &[("m", "address")]),
        "two columns are `address`; leave one out with --map 'COLUMN='"
    );
    assert!(refused("address", &[("mail", "address")]).starts_with("the file has no column `mail`"));
    assert_eq!(
        Terms { defaults: defaults(&[("kinds", "x")]), ..terms() }.check().unwrap_err().to_string(),
        "`kinds` is no field of an event (perhaps `kind`)"
    );
}

const MAP: &str = r#"
    time_zone = "Europe/Paris"
    dates = ["%d/%m/%Y %H:%M", "%d/%m/%Y"]
    unproven = "collected"
    optional = ["Shoe size"]
    [also]
    Mail = ["E-mail"]
    [expect]
    Out = ["yes", ""]
    [every]
    address = { column = "Mail" }
    controller = "shop"
    source = "import:old"
    [[event]]
    when.Out = "yes"
    type = "object"
    channel = "*"
    at = { column = ["Left", "Joined"] }
    note = { text = "list {List}" }
    [[event]]
    unless.Out = "yes"
    unless.Joined = { present = true }
    type = "opt_in"
    id = { text = "old:{Mail}" }
    at = { column = "Joined" }
    topics = { column = "Likes", split = ",", translate = { Books = "offers/books", Prints = "offers/print" }, others = "drop" }
    mechanism = { column = "How", translate = { box = "unticked_box_ticked" } }
    evidence = { size = { column = "Shoe size" }, list = { column = "List" } }
"#;

fn by_map(map: &str, file: &str, set: &[(&str, &str)]) -> Vec<String> {
    let map = ImportMap::parse(map).unwrap_or_else(|e| panic!("{e}"));
    let terms = Terms { defaults: defaults(set), ..terms() };
    let zone = jiff::tz::TimeZone::UTC;
    told(mapped(file.as_bytes(), &map, &terms, &zone).unwrap_or_else(|e| panic!("{e}")))
}

#[test]
fn a_map_says_which_events_a_row_means() {
    let header = "E-MAIL;Out;Joined;Left;List;Likes;How\n";
    let row = |cells: &str, set: &[(&str, &str)]| by_map(MAP, &format!("{header}{cells}\n"), set).remove(0);
    let proof = [("text_version", "n-1")];

    let objection = row("a@x.example;Yes;01/02/2024;05/07/2024 10:00;7;;", &[]);
    let at = r#""at":"2024-07-05T08:00:00Z","channel":"*","controller":"shop","id":"import:d1:2:0""#;
    assert!(objection.contains(at) && objection.contains(r#""note":"list 7""#), "{objection}");
    assert_eq!(objection.matches("\"type\"").count(), 1, "{objection}");

    let consent = row("a@x.example;;01/02/2024;;7;\"Books\", Garden , prints;Box", &proof);
    for part in [
        r#""at":"2024-01-31T23:00:00Z""#,
        r#""evidence":{"list":"7"}"#,
        r#""id":"old:a@x.example""#,
        r#""mechanism":"unticked_box_ticked""#,
        r#""topics":["offers/books","offers/print"]"#,
        r#""source":"import:old""#,
        r#""type":"opt_in""#,
    ] {
        assert!(consent.contains(part), "{part} in {consent}");
    }
    // The command line goes before what the map says of every row, not before what it says of one.
    let set = [("text_version", "n-1"), ("source", "web:form"), ("mechanism", "written")];
    let said = row("a@x.example;;01/02/2024;;7;Books;box", &set);
    assert!(said.contains(r#""source":"web:form""#) && said.contains("unticked_box_ticked"), "{said}");

    let table = [
        ("a@x.example;no;;;;;", "2: column `Out`: \"no\" is not expected; the map knows \"yes\", \"\""),
        (
            "a@x.example;;30/02/2024;;;Books;box",
            "2: `at`: \"30/02/2024\" is no date that exists; the map reads %d/%m/%Y",
        ),
        ("a@x.example;;01/02/2024;;;Books;wink", "2: `mechanism`: \"wink\" is not among what the map translates: box"),
        ("a@x.example;;01/02/2024", "2: 3 cells, but 7 columns"),
    ];
    for (cells, refused) in table {
        let said = row(cells, &proof);
        assert!(said.starts_with(refused), "{cells}: {said}");
    }
}

#[test]
fn an_opt_in_without_proof_is_an_address_of_which_nothing_is_proven() {
    let header = "Mail;Out;Joined;Left;List;Likes;How\n";
    let table = [
        ("a@x.example;;01/02/2024;;;Books;box", "text_version", Some("text_version")),
        ("a@x.example;;01/02/2024;;;;box", "", Some("topics")),
        ("a@x.example;;01/02/2024;;;Books;", "", Some("mechanism")),
        ("a@x.example;;01/02/2024;;;Books;box", "", None),
    ];
    let map = ImportMap::parse(MAP).unwrap();
    for (cells, without, missing) in table {
        let set: &[(&str, &str)] = if without.is_empty() { &[("text_version", "n-1")] } else { &[] };
        let terms = Terms { defaults: defaults(set), ..terms() };
        let file = format!("{header}{cells}\n");
        let (_, read) = mapped(file.as_bytes(), &map, &terms, &jiff::tz::TimeZone::UTC).unwrap().next().unwrap();
        let taken = read.unwrap().remove(0);
        assert_eq!(taken.unproven, missing, "{cells}");
        if missing.is_some() {
            assert_eq!(taken.event.kind, EventType::Collected);
            assert_eq!(taken.event.provenance.as_deref(), Some("import_unproven"));
        }
    }
    let strict = MAP.replace("unproven = \"collected\"", "");
    let file = format!("{header}a@x.example;;01/02/2024;;;Books;box\n");
    assert!(by_map(&strict, &file, &[])[0].starts_with("2: `text_version`: missing"));
}

#[test]
fn a_map_that_cannot_be_meant_is_refused_with_its_place() {
    let event = "[every]\naddress = { column = \"A\" }\n[[event]]\ntype = \"object\"\n";
    let with = |line: &str| format!("{line}\n{event}");
    let table = [
        (with("time_zone = \"Europe/Pariss\""), "time_zone: no zone `Europe/Pariss`; write the name of a zone"),
        (with("dates = [\"day\"]"), "dates: \"day\" is no format"),
        (with("delimiter = \"ab\""), "delimiter: write one character"),
        (with("unproven = \"maybe\""), "unproven: write \"refuse\" or \"collected\""),
        (with("colour = 1"), "no key `colour` here; there are about, delimiter"),
        ("[every]\n".to_owned(), "event: write one [[event]] for each event"),
        ("[[event]]\ntype = \"objekt\"\n".to_owned(), "[[event]] 1: `type`: write one of collected"),
        (format!("{event}colour = \"red\"\n"), "[[event]] 1: `colour` is no field of an event; there are actor"),
        (format!("{event}note = 7\n"), "[[event]] 1, `note`: write a text, a list"),
        (format!("{event}note = {{ text = \"a {{B\" }}\n"), "[[event]] 1, `note`: a { is not closed"),
        (format!("{event}at = {{ column = \"B\", split = \"\" }}\n"), "[[event]] 1, `at`: `split`: write the"),
        (format!("{event}when.B = 7\n"), "[[event]] 1, `when`.\"B\": write a text or a list of texts"),
        ("a = [".to_owned(), "TOML parse error at line 1"),
    ];
    for (text, wrong) in table {
        let said = ImportMap::parse(&text).unwrap_err().to_string();
        assert!(said.starts_with(wrong), "{text}\n said {said}");
    }
}

#[test]
fn a_file_without_a_column_of_the_map_is_refused_unless_it_may_be_missing() {
    let map = ImportMap::parse(MAP).unwrap();
    let open = |header: &str| {
        let (terms, zone) = (terms(), jiff::tz::TimeZone::UTC);
        mapped(header.as_bytes(), &map, &terms, &zone).err().map(|e| e.to_string())
    };
    assert_eq!(open("mail,out,joined,left,list,likes,how,shoe size\n"), None);
    assert_eq!(open("mail,out,joined,left,list,likes,how\n"), None);
    assert!(open("mail,joined,left,list,likes,how\n").unwrap().starts_with("the file has no column `Out`"));
}
