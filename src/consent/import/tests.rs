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
        Ok(event) => format!("{number}: {}", event.to_canonical_json()),
        Err(error) => format!("{number}: {error}"),
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
    assert_eq!(refused("address", &[("mail", "address")]), "the file has no column `mail`");
    assert_eq!(
        Terms { defaults: defaults(&[("kinds", "x")]), ..terms() }.check().unwrap_err().to_string(),
        "`kinds` is no field of an event (perhaps `kind`)"
    );
}
