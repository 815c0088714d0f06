use rusqlite::Connection;

use super::*;

const OPT_IN: &str =
    r#"{"address":"anna@x.example","controller":"c","type":"opt_in","topics":["offers"],"text_version":"n-4"}"#;

fn text(language: &str, body: &str, added_at: &str) -> KeptText {
    KeptText::new("n-4", language, body.into(), moment(added_at))
}

#[tokio::test]
async fn a_text_stays_as_it_was_stored() {
    let place = Place::new();
    let store = place.open();
    let french = text("fr", "Oui, \u{e9}crivez-moi.\n", "2026-01-01T00:00:00Z");
    assert_eq!(store.keep_text(french.clone()).await, Ok(true));
    assert_eq!(store.keep_text(text("fr", &french.body, "2026-02-01T00:00:00Z")).await, Ok(false));
    assert_eq!(store.keep_text(text("en", "Yes, write to me.\n", "2026-02-01T00:00:00Z")).await, Ok(true));
    let changed = store.keep_text(text("fr", "Oui.\n", "2026-02-01T00:00:00Z")).await;
    let stored = (&"n-4".to_owned(), &"fr".to_owned(), &french.sha256);
    assert!(
        matches!(&changed, Err(StoreError::TextDiffers { version, language, sha256 }) if (version, language, sha256) == stored)
    );

    let mut reader = store.reader().unwrap();
    let languages: Vec<String> = reader.text("n-4").unwrap().into_iter().map(|text| text.language).collect();
    assert_eq!(languages, ["en", "fr"]);
    assert_eq!(reader.texts().unwrap()[0], french);
    assert_eq!(french.sha256, "sha256:ece94f222f41035e6c7c3fa63f289d020a8f9b8a497128e908ed958eb8c8aaa1");
    store.shutdown();
    let db = Connection::open(place.path()).unwrap();
    for change in ["UPDATE text SET body = 'Oui.'", "DELETE FROM text"] {
        assert!(db.execute(change, []).unwrap_err().to_string().contains("stays as it is"));
    }
}

#[tokio::test]
async fn a_version_is_missing_until_its_text_is_stored_in_one_language() {
    let place = Place::new();
    let store = place.open();
    let anna = [address("anna@x.example")];
    let mut reader = store.reader().unwrap();
    store.record_event(event(OPT_IN)).await.unwrap();
    let mut missing = || reader.consult("c", &anna).unwrap().0.remove(0).missing_texts.into_iter().collect::<Vec<_>>();
    assert_eq!(missing(), ["n-4"]);
    store.keep_text(text("fr", "Oui.\n", "2026-03-01T00:00:00Z")).await.unwrap();
    assert!(missing().is_empty());
    assert!(missing().is_empty(), "what is there stays there");

    let everything = Seen { event_seq: i64::MAX, sent_seq: i64::MAX };
    let mut then = |at: &str| reader.consult_as_of("c", &anna[0], everything, moment(at)).unwrap().missing_texts.len();
    assert_eq!((then("2026-02-28T23:59:59Z"), then("2026-03-01T00:00:00Z")), (1, 0));
}
