//! Where the class comes from, and who may say so.

use std::net::IpAddr;

use super::*;
use crate::config::parse_policy;
use crate::policy::facts::{FieldFact, Origin};
use crate::policy::rules::Pin;

const POLICY: &str = r#"
    [controller.c]
    name = "C"
    domains = ["c.example"]
    languages = ["en"]
    privacy_url = "https://c.example/privacy"
    contact = "privacy@c.example"
    [controller.d]
    name = "D"
    domains = ["d.example"]
    languages = ["en"]
    privacy_url = "https://d.example/privacy"
    contact = "privacy@d.example"
    [topic."offers/books"]
    controller = "c"
    label = { en = "Books" }
    families = ["book"]
    aliases = ["books"]
    [topic."offers/music"]
    controller = "c"
    label = { en = "Music" }
    families = ["cd"]

    [[rule]]
    id = "receipts"
    when.header."X-Template" = { starts_with = "order-" }
    class = "service"
    [[rule]]
    id = "letters"
    when.header."X-Template" = { starts_with = "letter-" }
    class = "promotional"
    topics = ["offers/books"]
    [[rule]]
    id = "topics"
    when.header."X-Topic" = { present = true }
    topics_header = "X-Topic"
    topics_map = { b = "offers/books", m = "offers/music" }
    [[rule]]
    id = "accounts"
    when.from_address = "Billing@c.example"
    class = "service"
"#;

const PACK_ONE: &str = r#"
    [[rule]]
    id = "one-campaign"
    when.header."X-One" = { equals = "campaign" }
    class = "promotional"
    [[rule]]
    id = "one-notice"
    when.header."X-One" = { present = true }
    class = "service"
"#;

const PACK_TWO: &str = r#"
    [[rule]]
    id = "two-notice"
    when.header."X-Two" = { present = true }
    class = "service"
"#;

type Fields<'a> = &'a [(&'a str, &'a str)];

fn policy() -> Policy {
    parse_policy("policy.toml", POLICY, &[("one.toml", PACK_ONE), ("two.toml", PACK_TWO)])
        .unwrap_or_else(|errors| panic!("{errors}"))
}

fn reading(fields: &[(&str, &str)]) -> Vec<FieldFact> {
    fields.iter().map(|(name, value)| FieldFact { name: (*name).into(), value: (*value).into() }).collect()
}

fn facts(readings: &[&[(&str, &str)]]) -> MessageFacts {
    MessageFacts {
        origin: Origin {
            listener: "submission".into(),
            credential: None,
            client: IpAddr::from([127, 0, 0, 1]),
            may_send: vec![Class::Service, Class::Promotional],
            trust_headers: false,
            pin: None,
        },
        envelope_from: ReversePath::parse("bounces@c.example").unwrap(),
        recipients: 1,
        readings: readings.iter().map(|fields| reading(fields)).collect(),
        body: None,
        fields_kept: Vec::new(),
    }
}

fn classified(fields: &[(&str, &str)]) -> Classification {
    classify(&policy(), &facts(&[fields]))
}

#[test]
fn the_first_rule_that_matches_gives_the_class_and_names_itself() {
    let table: [(Fields<'_>, Class, &str); 8] = [
        (&[("x-template", "order-paid")], Class::Service, "receipts"),
        (&[("x-template", "Letter-7")], Class::Promotional, "letters"),
        (&[("x-template", "other")], Class::Promotional, "unknown_class"),
        (&[("from", "Accounts <billing@C.example>")], Class::Service, "accounts"),
        (&[("x-one", "campaign")], Class::Promotional, "one-campaign"),
        (&[("x-one", "notice")], Class::Service, "one-notice"),
        (&[("x-two", "1")], Class::Service, "two-notice"),
        (&[("x-template", "order-paid"), ("x-one", "campaign")], Class::Service, "receipts"),
    ];
    for (fields, class, rule) in table {
        let found = classified(fields);
        assert_eq!((found.class, found.rule.as_str()), (class, rule), "{fields:?}");
        assert_eq!(found.flags.is_empty(), rule != "unknown_class", "{fields:?}");
    }
}

#[test]
fn a_rule_means_its_user_under_every_spelling() {
    let policy = "[[rule]]\nid = \"shop\"\nwhen.credential = \"shop@c.example\"\nclass = \"service\"";
    let policy = parse_policy("policy.toml", policy, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    let table = [
        (Some("shop@c.example"), "shop"),
        (Some("Shop@C.EXAMPLE"), "shop"),
        (Some("shop2@c.example"), "unknown_class"),
        (None, "unknown_class"),
    ];
    for (user, rule) in table {
        let mut facts = facts(&[&[]]);
        facts.origin.credential = user.map(str::to_owned);
        assert_eq!(classify(&policy, &facts).rule, rule, "{user:?}");
    }
}

#[test]
fn two_packs_that_disagree_are_a_conflict() {
    let both = [("x-one", "campaign"), ("x-two", "1")];
    let found = classified(&both);
    assert_eq!((found.class, found.flags), (Class::Promotional, vec![Reason::ClassConflict]));
    let lenient = Policy { class_conflict: Class::Service, ..policy() };
    let found = classify(&lenient, &facts(&[&both]));
    assert_eq!((found.class, found.flags), (Class::Service, vec![Reason::ClassConflict]));
    let agreed = classified(&[("x-one", "notice"), ("x-two", "1")]);
    assert_eq!((agreed.class, agreed.flags), (Class::Service, Vec::new()));
}

#[test]
fn a_rule_without_a_class_says_what_it_says_and_leaves_the_class_to_others() {
    let found = classified(&[("x-topic", "m, b"), ("x-one", "campaign")]);
    assert_eq!((found.class, found.rule.as_str()), (Class::Promotional, "one-campaign"));
    assert_eq!(found.topics, ["offers/music", "offers/books"]);
    assert_eq!(found.families, ["cd", "book"]);
}

#[test]
fn a_repeated_field_is_read_by_its_strictest_instance() {
    for fields in [
        [("x-template", "order-paid"), ("x-template", "letter-7")],
        [("x-template", "letter-7"), ("x-template", "order-paid")],
    ] {
        let found = classified(&fields);
        assert_eq!((found.class, found.rule.as_str()), (Class::Promotional, "letters"), "{fields:?}");
    }
    let twice_the_same = classified(&[("x-template", "order-paid"), ("x-template", "order-sent")]);
    assert_eq!(twice_the_same.class, Class::Service);
    let half_known = classified(&[("x-template", "order-paid"), ("x-template", "other")]);
    assert_eq!((half_known.class, half_known.flags), (Class::Promotional, vec![Reason::ClassUnknown]));
}

#[test]
fn of_two_readings_the_stricter_counts() {
    let (service, letter) = ([("x-template", "order-paid")], [("x-template", "letter-7")]);
    for readings in [[&service[..], &letter[..]], [&letter[..], &service[..]]] {
        let found = classify(&policy(), &facts(&readings));
        assert_eq!((found.class, found.rule.as_str()), (Class::Promotional, "letters"));
        assert_eq!(found.flags, [Reason::ClassConflict]);
        assert_eq!(found.topics, ["offers/books"]);
    }
}

#[test]
fn a_declaration_counts_only_where_it_is_believed() {
    let declared = [("x-consentry-class", "service"), ("x-consentry-topics", "books, offers/music")];
    let stranger = classified(&declared);
    assert_eq!((stranger.rule.as_str(), stranger.topics.len()), ("unknown_class", 0));
    let mut trusted = facts(&[&declared]);
    trusted.origin.trust_headers = true;
    let found = classify(&policy(), &trusted);
    assert_eq!((found.class, found.rule.as_str()), (Class::Service, "header"));
    assert_eq!(found.topics, ["offers/books", "offers/music"]);
}

#[test]
fn a_declaration_made_twice_is_read_as_the_stricter() {
    let mut trusted = facts(&[&[("x-consentry-class", "service"), ("x-consentry-class", "Promotional")]]);
    trusted.origin.trust_headers = true;
    assert_eq!(classify(&policy(), &trusted).class, Class::Promotional);
    let mut nonsense = facts(&[&[("x-consentry-class", "service"), ("x-consentry-class", "maybe")]]);
    nonsense.origin.trust_headers = true;
    assert_eq!(classify(&policy(), &nonsense).flags, [Reason::ClassUnknown]);
}

#[test]
fn nobody_sends_above_the_ceiling() {
    let mut receipts = facts(&[&[("x-template", "order-paid")]]);
    receipts.origin.may_send = vec![Class::Promotional];
    let found = classify(&policy(), &receipts);
    assert_eq!((found.class, found.rule.as_str(), found.refused), (Class::Promotional, "ceiling", None));
    let mut letters = facts(&[&[("x-template", "letter-7")]]);
    letters.origin.may_send = vec![Class::Service];
    assert_eq!(classify(&policy(), &letters).refused, Some(Reason::ClassCeiling));
    let mut report = facts(&[&[("auto-submitted", "auto-replied")]]);
    report.envelope_from = ReversePath::Null;
    report.origin.may_send = vec![Class::Promotional];
    let found = classify(&policy(), &report);
    assert_eq!((found.class, found.system), (Class::Promotional, false));
}

#[test]
fn a_pin_stands_above_headers_and_rules() {
    let mut pinned = facts(&[&[("x-template", "order-paid"), ("x-consentry-class", "service")]]);
    pinned.origin.trust_headers = true;
    pinned.origin.pin =
        Some(Pin { class: Class::Promotional, controller: Some("d".into()), topics: vec!["offers/music".into()] });
    let found = classify(&policy(), &pinned);
    assert_eq!((found.class, found.rule.as_str(), found.flags.len()), (Class::Promotional, "pin", 0));
    assert_eq!((found.controller.as_deref(), found.topics), (Some("d"), vec!["offers/music".to_owned()]));
}

#[test]
fn mail_systems_are_known_by_more_than_the_null_reverse_path() {
    let table: [(Fields<'_>, bool); 7] = [
        (&[], false),
        (&[("content-type", "Multipart/Report; report-type=delivery-status")], true),
        (&[("content-type", "text/plain")], false),
        (&[("auto-submitted", "auto-generated (by rule)")], true),
        (&[("auto-submitted", "no; really")], false),
        (&[("from", "Mail Delivery <MAILER-DAEMON@mx.c.example>")], true),
        (&[("auto-submitted", "auto-replied"), ("x-one", "campaign")], false),
    ];
    for (fields, system) in table {
        let mut message = facts(&[fields]);
        assert!(!classify(&policy(), &message).system, "{fields:?} with a sender");
        message.envelope_from = ReversePath::Null;
        assert_eq!(classify(&policy(), &message).system, system, "{fields:?}");
    }
}

#[test]
fn a_mail_system_makes_no_advertising() {
    let automatic = ("auto-submitted", "auto-generated");
    let found = |kind: &str| {
        let mut message = facts(&[&[automatic, ("x-consentry-kind", kind)]]);
        (message.envelope_from, message.origin.trust_headers) = (ReversePath::Null, true);
        classify(&policy(), &message)
    };
    for kind in ADVERTISING_KINDS.into_iter().chain(["mixed", "rights_reply, editorial"]) {
        let found = found(kind);
        assert_eq!((found.class, found.rule.as_str(), found.system), (Class::Promotional, "kind", false), "{kind}");
        assert_eq!(found.service_reason, Reason::SvcOk, "{kind}");
    }
    for kind in ["review_request", "rights_reply", "something"] {
        assert_eq!((found(kind).service_reason, found(kind).system), (Reason::SvcSystem, true), "{kind}");
    }
    let text = format!(
        "{POLICY}\n[[rule]]\nid = \"blog\"\nwhen.header.\"X-Blog\" = {{ present = true }}\nkind = [\"editorial\"]"
    );
    let policy = parse_policy("policy.toml", &text, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    let mut message = facts(&[&[automatic, ("x-blog", "7")]]);
    message.envelope_from = ReversePath::Null;
    let found = classify(&policy, &message);
    assert_eq!((found.class, found.system), (Class::Promotional, false));
}

#[test]
fn the_sender_is_who_owns_from_else_who_owns_the_envelope() {
    let table: [(Fields<'_>, Option<&str>); 6] = [
        (&[("from", "d@D.example")], Some("d")),
        (&[("from", "x@elsewhere.example")], Some("c")),
        (&[("from", "\"x@d.example\" <c@c.example>")], Some("c")),
        (&[("from", "x@elsewhere.example, d@d.example")], Some("d")),
        (&[("from", "c@c.example"), ("from", "d@d.example")], None),
        (&[("from", "c@sub.c.example")], Some("c")),
    ];
    for (fields, expected) in table {
        assert_eq!(classified(fields).controller.as_deref(), expected, "{fields:?}");
    }
}

#[test]
fn authors_beyond_counting_leave_open_who_wrote() {
    let listed = |count: usize| {
        let others = (1..count).map(|n| format!("a{n}@c.example")).collect::<Vec<_>>();
        format!("Billing@c.example, {}", others.join(", "))
    };
    let (many, too_many) = (listed(1000), listed(1001));
    assert_eq!(classified(&[("from", &many)]).controller.as_deref(), Some("c"));
    assert_eq!(classified(&[("from", &too_many)]).controller, None);
    let halves = [("from", &many[..]), ("from", &many[..])];
    assert_eq!(classified(&halves).controller, None);

    let only = |field: &str, value: &str| {
        let text = format!("{POLICY}\n[[rule]]\nid = \"by\"\nwhen.{field} = \"{value}\"\nclass = \"promotional\"");
        let policy = parse_policy("policy.toml", &text, &[]).unwrap_or_else(|errors| panic!("{errors}"));
        let lenient = Policy { unknown_class: Class::Service, ..policy };
        classify(&lenient, &facts(&[&[("from", &too_many)]])).class
    };
    // Open either way: they may be whom a rule holds for advertisers, and are not whom one trusts.
    assert_eq!(only("from_domain", "d.example"), Class::Promotional);
    assert_eq!(only("from_address", "x@d.example"), Class::Promotional);
    let billing = vec!["Billing@c.example"; 1001].join(", ");
    assert_eq!(classified(&[("from", &billing)]).rule, "unknown_class");

    let postmasters = vec!["postmaster@c.example"; 1001].join(", ");
    let mut report = facts(&[&[("from", &postmasters)]]);
    report.envelope_from = ReversePath::Null;
    assert!(!classify(&policy(), &report).system);
}

#[test]
fn topics_beyond_counting_are_none() {
    let named = |from: usize, to: usize| (from..to).map(|n| format!("t{n}")).collect::<Vec<_>>().join(", ");
    let topics = |lists: &[&str], field: &str| {
        let readings: Vec<_> = lists.iter().map(|list| reading(&[(field, list)])).collect();
        let mut message = MessageFacts { readings, ..facts(&[]) };
        message.origin.trust_headers = true;
        let found = classify(&policy(), &message);
        assert_eq!(found.evidence.iter().any(|line| line.contains("100 topics")), found.topics.is_empty());
        found.topics.len()
    };
    for field in ["x-consentry-topics", "x-topic"] {
        assert_eq!(topics(&[&named(0, 100)], field), 100);
        assert_eq!(topics(&[&format!("{0}, {0}", named(0, 100))], field), 100);
        assert_eq!(topics(&[&named(0, 101)], field), 0);
        assert_eq!(topics(&[&named(0, 60), &named(30, 90)], field), 90);
        assert_eq!(topics(&[&named(0, 60), &named(60, 120)], field), 0);
        assert_eq!(topics(&[&named(0, 1), &named(0, 500)], field), 0);
    }
}

#[test]
fn of_two_readings_only_the_functions_of_both_count_and_the_families_of_either() {
    let one = [("x-consentry-families", "a, b"), ("x-consentry-functions", "f, g")];
    let other = [("x-consentry-families", "b, c"), ("x-consentry-functions", "g, h")];
    let mut message = facts(&[&one, &other]);
    message.origin.trust_headers = true;
    let found = classify(&policy(), &message);
    assert_eq!((found.families.join(" "), found.functions.join(" ")), ("a b c".to_owned(), "g".to_owned()));
}

#[test]
fn evidence_shows_the_field_and_never_more_than_200_characters() {
    let long = format!("letter-{}", "é".repeat(400));
    let found = classified(&[("x-template", &long)]);
    assert_eq!(found.evidence.len(), 1);
    assert!(found.evidence[0].starts_with("X-Template: letter-é"));
    assert_eq!(found.evidence[0].chars().count(), 200);
}
