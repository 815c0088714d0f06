use super::*;

const PENDING: &str = r#"{"address":"anna@x.example","controller":"c","type":"opt_in_pending","topics":["offers"],
    "at":"2026-05-10T10:00:00Z"}"#;

fn one(request: i64, sent: u8, due: Option<&str>) -> Asking {
    Asking { request, language: "fr".into(), sent, due: due.map(moment) }
}

#[tokio::test]
async fn a_mail_leaves_once_whoever_comes_first_and_whatever_stops_in_between() {
    let place = Place::new();
    let store = place.open();
    let request = store.record_event(event(PENDING)).await.unwrap();
    assert_eq!(store.begin_asking(request, "fr").await, Ok(true));
    assert_eq!(store.begin_asking(request, "en").await, Ok(false), "once is enough");
    let due = |store: &Store, at: &str| store.reader().unwrap().asking_due(moment(at), 10).unwrap();
    let first = due(&store, "2100-01-01T00:00:00Z").remove(0);
    assert_eq!((first.request, first.sent, first.language.as_str()), (request, 0, "fr"));
    assert_eq!(store.take_asking(&first).await, Ok(true));
    assert_eq!(store.take_asking(&first).await, Ok(false));
    store.shutdown();

    let store = place.open();
    assert_eq!(due(&store, "2100-01-01T00:00:00Z"), []);
    assert_eq!(store.begin_asking(request, "fr").await, Ok(false), "nor after a restart");
    store.keep_asking(one(request, 1, Some("2026-05-12T10:00:00Z"))).await.unwrap();
    assert_eq!(due(&store, "2026-05-12T09:59:59Z"), []);
    let reminder = due(&store, "2026-05-12T10:00:00Z").remove(0);
    assert_eq!(store.take_asking(&reminder).await, Ok(true));
    assert_eq!(store.reader().unwrap().asking(request).unwrap(), Some(one(request, 2, None)));
}

#[tokio::test]
async fn who_asks_anew_is_not_reminded_of_the_earlier_request() {
    let store = Place::new();
    let store = store.open();
    let mut requests = Vec::new();
    for _ in 0..2 {
        requests.push(store.record_event(event(PENDING)).await.unwrap());
    }
    let elsewhere = store.record_event(event(&PENDING.replace("\"c\"", "\"d\""))).await.unwrap();
    store.keep_asking(one(elsewhere, 1, Some("2026-05-12T10:00:00Z"))).await.unwrap();
    for request in &requests {
        store.keep_asking(one(*request, 1, Some("2026-05-12T10:00:00Z"))).await.unwrap();
    }
    let due = store.reader().unwrap().asking_due(moment("2026-06-01T00:00:00Z"), 10).unwrap();
    assert_eq!(due.iter().map(|asking| asking.request).collect::<Vec<_>>(), [requests[1], elsewhere]);
    store.end_asking(requests[1]).await.unwrap();
    assert_eq!(store.reader().unwrap().asking(requests[1]).unwrap().unwrap().due, None);
}

#[tokio::test]
async fn an_erasure_forgets_whom_there_was_to_ask() {
    let place = Place::new();
    let store = place.open();
    let request = store.record_event(event(PENDING)).await.unwrap();
    store.begin_asking(request, "fr").await.unwrap();
    let erase = r#"{"address":"anna@x.example","controller":"c","type":"erase"}"#;
    store.record_event(event(erase)).await.unwrap();
    assert_eq!(store.reader().unwrap().asking(request).unwrap(), None);
    assert_eq!(store.begin_asking(request, "fr").await, Ok(false), "the event names nobody any more");
}
