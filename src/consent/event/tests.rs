use super::*;

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn read(further: &str) -> Result<ConsentEvent, EventError> {
    ConsentEvent::from_json(&format!(r#"{{"address":"anna@x.example","controller":"c",{further}}}"#))
}

#[test]
fn every_field_of_the_table_survives_a_round_trip() {
    let lines = [
        r#""type":"collected","provenance":"sale","informed_at":"2026-01-01T00:00:00Z","refusal_offered":true,"text_version":"privacy-2","purpose":"orders","families":["book"]"#,
        r#""type":"profile","kind":"professional","functions":["it"]"#,
        r#""type":"opt_in","topics":["offers/books"],"mechanism":"written","text_version":"n-4","partners":["d"],"evidence":{"scan":"7"},"id":"x-1","note":"by hand","source":"web:form","actor":"person","channel":"email","at":"2026-01-01T00:00:00Z","recorded_at":"2026-01-02T00:00:00Z""#,
        r#""type":"opt_in_pending","topics":["offers"]"#,
        r#""type":"opt_in_confirmed","topics":["offers"]"#,
        r#""type":"no_answer","topics":["offers"]"#,
        r#""type":"refuse","topics":["*"]"#,
        r#""type":"withdraw""#,
        r#""type":"object","mechanism":"one_click","channel":"*""#,
        r#""type":"complaint","topics":["offers"]"#,
        r#""type":"purchase","families":["book"],"state":"paid","collected_in_sale":false"#,
        r#""type":"relation_end","what":"warranty""#,
        r#""type":"contact","kind":"click","automatic":true"#,
        r#""type":"frequency","limit":"2/week","topics":["offers"]"#,
        r#""type":"pause","until":"2026-06-01T00:00:00Z""#,
        r#""type":"channel_preference","channels":["email","sms"]"#,
        r#""type":"bounce","code":"5.1.1","hard":true"#,
        r#""type":"undo","mechanism":"link_page","evidence":{"undoes":"x-1"}"#,
        r#""type":"erase""#,
    ];
    let mut kinds = Vec::new();
    for line in lines {
        let event = read(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_eq!(ConsentEvent::from_json(&event.to_canonical_json()), Ok(event.clone()), "{line}");
        for name in serde_json::to_value(&event).unwrap().as_object().unwrap().keys() {
            assert!(Field::find(name, event.kind).is_some(), "{name}");
        }
        kinds.push(event.kind);
    }
    assert_eq!(kinds, EventType::ALL);
}

#[test]
fn a_bad_line_is_refused_with_the_field_and_the_cure() {
    let table = [
        ("", "not JSON: it ends too early; write one object on one line"),
        ("[1]", "not a JSON object; write {\"address\": …, \"controller\": …, \"type\": …}"),
        ("{\"a\" 1}", "not JSON: unexpected text at column 6; write one object on one line"),
        (r#"{"address":"a@x.example","controller":"c"}"#, "`type`: missing; write one of collected, "),
        (r#"{"address":"a@x.example","controller":"c","type":"optin"}"#, "`type`: write one of collected, "),
        (r#"{"controller":"c","type":"erase"}"#, "`address`: missing; write one address like"),
        (r#"{"address":"a@x.example","type":"erase"}"#, "`controller`: missing; write the id"),
        (r#"{"address":"a@@x","controller":"c","type":"erase"}"#, "`address`: not a valid address ("),
        (r#"{"address":"a@x.example","controller":"c","type":"erase","type":"erase"}"#, "`type`: stands there twice"),
        (r#"{"address":"a@x.example","controller":"c","type":"erase"} x"#, "not JSON: unexpected text at column "),
    ];
    for (line, message) in table {
        let said = ConsentEvent::from_json(line).unwrap_err().to_string();
        assert!(said.starts_with(message), "{line}\n said {said}");
        assert!(!said.contains("a@x") && !said.contains("a@@x"), "an address in {said}");
    }
}

#[test]
fn a_wrong_value_is_refused_with_the_cure() {
    let table = [
        (r#""type":"opt_in","topic":["offers"]"#, "`topic`: no such field; did you mean `topics`?"),
        (
            r#""type":"opt_in","Text-Version":"x","topics":["offers"]"#,
            "`Text-Version`: no such field; did you mean `text_version`?",
        ),
        (
            r#""type":"erase","colour":"red""#,
            "`colour`: no such field; an event of type erase has address, controller, type, at, ",
        ),
        (
            r#""type":"opt_in","topics":["o"],"families":["book"]"#,
            "`families`: an event of type opt_in has no such field, it belongs to collected, purchase",
        ),
        (r#""type":"opt_in""#, "`topics`: missing; write a list of topic paths"),
        (r#""type":"opt_in","topics":[]"#, "`topics`: an empty list is not right here; "),
        (r#""type":"opt_in","topics":"offers""#, "`topics`: \"offers\" is not right here; "),
        (
            r#""type":"opt_in","topics":["offers//books"]"#,
            "`topics`: a list with \"offers//books\" is not right here; ",
        ),
        (
            r#""type":"opt_in","topics":["o"],"at":"2026-01-01""#,
            "`at`: \"2026-01-01\" is not right here; write a time with its offset",
        ),
        (
            r#""type":"opt_in","topics":["o"],"channel":"*""#,
            "`channel`: only an objection may be about all channels (`*`)",
        ),
        (
            r#""type":"opt_in","topics":["o"],"mechanism":"magic""#,
            "`mechanism`: \"magic\" is not right here; write one of unticked_box_ticked",
        ),
        (r#""type":"opt_in","topics":["o"],"actor":null"#, "`actor`: null is not right here; write one of person"),
        (r#""type":"opt_in","topics":["o"],"note":"a\u001b[2J""#, "`note`: \"a[2J\" is not right here; write text"),
        (r#""type":"frequency","limit":"0/week""#, "`limit`: \"0/week\" is not right here; write none, weekly"),
        (r#""type":"frequency","limit":"+2/week""#, "`limit`: \"+2/week\" is not right here; write none, weekly"),
        (r#""type":"frequency""#, "`limit`: missing; write none, weekly"),
        (
            r#""type":"purchase","state":"paid","collected_in_sale":"yes""#,
            "`collected_in_sale`: \"yes\" is not right here; write true or false",
        ),
        (
            r#""type":"contact","kind":"professional""#,
            "`kind`: \"professional\" is not right here; write one of reply, ",
        ),
        (r#""type":"bounce","evidence":[1]"#, "`evidence`: a list with 1 is not right here; write an object"),
    ];
    for (further, message) in table {
        let said = read(further).unwrap_err().to_string();
        assert!(said.starts_with(message), "{further}\n said {said}\n not {message}");
    }
}

#[test]
fn a_line_beyond_the_limit_is_not_read() {
    let long = read(&format!(r#""type":"erase","evidence":{{"a":"{}"}}"#, "x".repeat(65_536)));
    assert!(matches!(long, Err(EventError::TooLong { .. })));
}

#[test]
fn a_moment_ahead_of_its_recording_is_brought_back() {
    let recorded = "2026-05-15T09:00:00Z";
    let table = [
        ("opt_in", "2026-05-15T09:05:00Z", "2026-05-15T09:05:00Z"),
        ("opt_in", "2026-05-15T09:05:00.000001Z", recorded),
        ("opt_in", "2030-01-01T00:00:00Z", recorded),
        ("opt_in_confirmed", "2030-01-01T00:00:00Z", recorded),
        ("opt_in", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ("object", "2026-05-15T09:05:00Z", recorded),
        ("object", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ("complaint", "2030-01-01T00:00:00Z", recorded),
        ("purchase", "2030-01-01T00:00:00Z", recorded),
        ("contact", "2030-01-01T00:00:00Z", recorded),
        ("relation_end", "2030-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
    ];
    for (kind, said, counts_from) in table {
        let anna = EmailAddress::parse("anna@x.example").unwrap();
        let mut event = ConsentEvent::new(anna, "c", EventType::parse(kind).unwrap());
        event.at = Some(moment(said));
        let recorded = RecordedEvent::new(1, event, moment(recorded));
        assert_eq!(recorded.at, moment(counts_from), "{kind} {said}");
    }
}

#[test]
fn an_event_without_a_moment_counts_from_its_recording() {
    let mut event = read(r#""type":"object""#).unwrap();
    assert_eq!(RecordedEvent::new(1, event.clone(), moment("2026-01-01T00:00:00Z")).at, moment("2026-01-01T00:00:00Z"));
    event.recorded_at = Some(moment("2025-01-01T00:00:00Z"));
    assert_eq!(RecordedEvent::new(1, event, moment("2026-01-01T00:00:00Z")).at, moment("2025-01-01T00:00:00Z"));
}

#[test]
fn nothing_was_recorded_later_than_now() {
    let now = moment("2026-01-01T00:00:00Z");
    let mut event = read(r#""type":"opt_in","topics":["o"],"at":"2030-01-01T00:00:00Z""#).unwrap();
    event.recorded_at = Some(moment("2030-01-01T00:00:00Z"));
    assert_eq!(RecordedEvent::new(1, event.learned_at(now), now).at, now);
}

#[test]
fn what_tells_of_the_person_or_their_machine_goes_with_the_person_and_the_rest_is_proof() {
    let table = [
        (r#"{"optin_ip":"192.0.2.4","optin_time":"2025-03-04"}"#, &["optin_ip"][..]),
        (r#"{"User-Agent":"Mozilla/5.0","method":"POST"}"#, &["User-Agent"]),
        (r#"{"reason":"normal","reason_other":"you wrote to me at the clinic"}"#, &["reason_other"]),
        (r#"{"from":"anna@x.example","scan":"2026-118"}"#, &["from"]),
        (r#"{"host":" 2001:db8::7 ","order":"o-7"}"#, &["host"]),
        (r#"{"request":{"via":["192.0.2.4"]},"clip":"a.wav"}"#, &["request"]),
        (r#"{"client":{"ip":17}}"#, &["client"]),
        (r#"{"scan":"7","link_issued_at":"2026-01-01T00:00:00Z","seconds_after_delivery":3,"trap":true}"#, &[]),
        ("{}", &[]),
    ];
    for (evidence, telling) in table {
        let event = read(&format!(r#""type":"object","evidence":{evidence}"#)).unwrap();
        let parts = event.to_parts();
        let [proof, personal] =
            [&parts.proof, &parts.personal].map(|part| serde_json::from_str::<Value>(part).unwrap());
        for name in event.evidence.as_ref().unwrap().as_object().unwrap().keys() {
            let is_telling = telling.contains(&name.as_str());
            assert_eq!(personal["evidence"].get(name).is_some(), is_telling, "{name}: {personal}");
            assert_eq!(proof["evidence"].get(name).is_some(), !is_telling, "{name}: {proof}");
        }
        assert_eq!(ConsentEvent::from_parts(&parts.proof, &parts.personal).unwrap(), event);
    }
}
