use super::*;
use crate::config::parse_policy;
use crate::consent::event::ConsentEvent;
use crate::consent::state::Suppression;

const POLICY: &str = r#"
    [controller.c]
    name = "C"
    domains = ["c.example"]
    languages = ["en"]
    privacy_url = "https://c.example/privacy"
    contact = "privacy@c.example"
    [topic.offers]
    controller = "c"
    label = { en = "Offers" }
    [topic."offers/books"]
    controller = "c"
    label = { en = "Books" }
    [topic.partners]
    controller = "c"
    label = { en = "Partners" }
    own_consent = true
"#;

const NOW: &str = "2026-05-15T10:00:00+02:00";

fn event(json: &str) -> ConsentEvent {
    let proof = if json.contains("opt_in") {
        r#""mechanism":"unticked_box_ticked","source":"web:form","text_version":"n-1","actor":"person","#
    } else {
        ""
    };
    let own = if json.contains("\"controller\"") { "" } else { r#""controller":"c","# };
    let line =
        format!(r#"{{"address":"anna@x.example",{own}{}{json}}}"#, if json.contains("mechanism") { "" } else { proof });
    ConsentEvent::from_json(&line).unwrap_or_else(|e| panic!("{line}: {e}"))
}

fn known(events: &[&str]) -> Consulted {
    let recorded =
        |(index, json): (usize, &&str)| RecordedEvent::new(index as i64 + 1, event(json), NOW.parse().unwrap());
    let anna = EmailAddress::parse("anna@x.example").unwrap();
    let exact = ContactState::fold(anna, events.iter().enumerate().map(recorded).collect());
    Consulted { exact: Some(exact), contact_id: 1, ..Consulted::default() }
}

/// The topics agreed to, or the reason against it.
fn asked(usage: &Use, known: &Consulted) -> String {
    let policy = parse_policy("policy.toml", POLICY, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    let anna = EmailAddress::parse("anna@x.example").unwrap();
    let known = Known { own: known, partner: Some(known) };
    match agreed(&policy, "c", usage, (&anna, known), NOW.parse().unwrap()) {
        Ok(agreed) => agreed.iter().map(|one| one.topic.as_str()).collect::<Vec<_>>().join(" "),
        Err(left_out) => left_out.reason.to_string(),
    }
}

const SMS: &str = r#""type":"opt_in","topics":["offers"],"channel":"sms","at":"2026-01-10T12:00:00+01:00""#;
const MAIL: &str = r#""type":"opt_in","topics":["offers"],"at":"2026-01-10T12:00:00+01:00""#;
const NO_SMS: &str = r#""type":"object","channel":"sms","at":"2026-02-01T12:00:00+01:00""#;
const NO_MAIL: &str = r#""type":"object","at":"2026-02-01T12:00:00+01:00""#;
const NOTHING: &str = r#""type":"object","channel":"*","at":"2026-02-01T12:00:00+01:00""#;

#[test]
fn only_who_agreed_to_the_channel_and_has_not_left_it_is_on_its_list() {
    let again = SMS.replace("2026-01-10", "2026-03-10");
    let old = SMS.replace("2026-01-10", "2021-01-10");
    let ticked = format!(r#"{SMS},"mechanism":"preticked_box","source":"web:form","text_version":"n-1""#);
    let unproven = format!(r#"{SMS},"mechanism":"unticked_box_ticked","source":"web:form""#);
    let books_gone = r#""type":"withdraw","topics":["offers/books"],"channel":"sms","at":"2026-02-01T12:00:00+01:00""#;
    let two = SMS.replace(r#"["offers"]"#, r#"["offers/books","partners"]"#);
    let table: [(&[&str], &str); 14] = [
        (&[], "CONSENT_NONE"),
        (&[SMS], "offers"),
        (&[MAIL], "CONSENT_CHANNEL"),
        (&[MAIL, SMS], "offers"),
        (&[SMS, NO_SMS], "OBJ_GLOBAL"),
        (&[SMS, NOTHING], "OBJ_GLOBAL"),
        (&[SMS, NO_MAIL], "offers"),
        (&[SMS, NO_SMS, &again], "offers"),
        (&[NO_SMS], "OBJ_GLOBAL"),
        (&[&old], "CONSENT_EXPIRED"),
        (&[&ticked], "CONSENT_PRETICKED"),
        (&[&unproven], "CONSENT_NOT_INFORMED"),
        (&[&two, books_gone], "partners"),
        (&[&two], "offers/books partners"),
    ];
    for (events, expected) in table {
        assert_eq!(asked(&Use::Channel("sms".into()), &known(events)), expected, "{events:?}");
    }
}

#[test]
fn e_mail_is_a_channel_like_any_other() {
    for (events, expected) in [(&[MAIL][..], "offers"), (&[SMS], "CONSENT_CHANNEL"), (&[MAIL, NO_MAIL], "OBJ_GLOBAL")] {
        assert_eq!(asked(&Use::Channel("email".into()), &known(events)), expected, "{events:?}");
    }
}

#[test]
fn a_partner_gets_only_who_was_told_its_name_and_has_not_objected_to_either() {
    let named = r#""type":"opt_in","topics":["partners"],"partners":["d","e"],"at":"2026-01-10T12:00:00+01:00""#;
    let unnamed = r#""type":"opt_in","topics":["partners"],"at":"2026-01-10T12:00:00+01:00""#;
    let to_d = r#""type":"opt_in","controller":"d","topics":["partners"],"at":"2026-01-10T12:00:00+01:00""#;
    let later = named.replace("2026-01-10", "2026-03-10");
    let gone = r#""type":"withdraw","topics":["partners"],"at":"2026-02-01T12:00:00+01:00""#;
    let gone_from_d = r#""type":"object","controller":"d","at":"2026-02-01T12:00:00+01:00""#;
    let gone_from_e = r#""type":"object","controller":"e","at":"2026-02-01T12:00:00+01:00""#;
    let bought = r#""type":"collected","provenance":"bought","at":"2026-01-01T12:00:00+01:00""#;
    let by_import = format!(
        r#"{named},"actor":"import","mechanism":"written","source":"x","text_version":"n-1","evidence":{{"scan":"1"}}"#
    );
    let table: [(&[&str], &str); 13] = [
        (&[named], "partners"),
        (&[unnamed], "CONSENT_CONTROLLER"),
        (&[to_d], "CONSENT_CONTROLLER"),
        (&[named, gone], "OBJ_TOPIC"),
        (&[named, NO_MAIL], "OBJ_GLOBAL"),
        (&[named, gone_from_d], "OBJ_GLOBAL"),
        (&[named, gone_from_e], "partners"),
        (&[named, gone, &later], "partners"),
        (&[named, NO_SMS], "partners"),
        (&[bought, named], "partners"),
        (&[bought, &by_import], "PROV_THIRD_PARTY"),
        (&[&named.replace("2026-01-10", "2022-01-10")], "CONSENT_EXPIRED"),
        (&[], "CONSENT_NONE"),
    ];
    for (events, expected) in table {
        assert_eq!(asked(&Use::Partner("d".into()), &known(events)), expected, "{events:?}");
    }
}

#[test]
fn a_mark_of_somebody_erased_keeps_the_address_off_every_list() {
    let at = "2026-02-01T12:00:00+01:00".parse().unwrap();
    let marked = Consulted { suppressed: Some(Suppression { at, topics: Vec::new() }), ..known(&[SMS]) };
    assert_eq!(asked(&Use::Channel("sms".into()), &marked), "OBJ_HASH");
}
