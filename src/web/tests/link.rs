//! `/u/{token}` to the letter: what changes nothing, whom it tells nothing of, and what time does to a link.

use super::*;
use crate::policy::concern::concern;

/// What tells one answer from another.
fn told(answer: &Answer) -> (u16, String, String) {
    let head = answer.head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date:"));
    (answer.status, head.collect::<Vec<_>>().join("\n"), answer.body.clone())
}

impl Site {
    async fn get(&self, token: &str) -> Answer {
        self.request("GET", &format!("/u/{token}"), "Accept-Language: en\r\n", "").await
    }

    async fn erase(&self, text: &str) {
        self.store.record_event(ConsentEvent::new(address(text), "c", EventType::Erase)).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_but_a_post_that_says_so_changes_anything() {
    let site = Site::start().await;
    let contact = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let path = format!("/u/{}", site.token("anna@x.example", contact));
    let before = site.consult("anna@x.example");
    let queried = format!("{path}?List-Unsubscribe=One-Click&scope=everything");
    let table = [
        ("GET", &path, "Purpose: prefetch\r\n", "", 200),
        ("GET", &path, "Sec-Purpose: prefetch;prerender\r\n", "", 200),
        ("GET", &path, "X-Moz: prefetch\r\n", "", 200),
        ("HEAD", &path, "Sec-Purpose: prefetch\r\n", "", 200),
        ("GET", &path, URLENCODED, ONE_CLICK, 200),
        ("GET", &path, URLENCODED, "scope=everything", 200),
        ("GET", &path, "X-HTTP-Method-Override: POST\r\n", ONE_CLICK, 200),
        ("GET", &queried, "", "", 200),
        ("HEAD", &queried, "", "", 200),
        ("POST", &queried, URLENCODED, "", 400),
        ("POST", &path, "Content-Type: application/json\r\n", "{\"List-Unsubscribe\":\"One-Click\"}", 400),
        ("PUT", &path, URLENCODED, ONE_CLICK, 405),
        ("PATCH", &path, URLENCODED, ONE_CLICK, 405),
        ("DELETE", &path, URLENCODED, ONE_CLICK, 405),
        ("OPTIONS", &path, URLENCODED, ONE_CLICK, 405),
    ];
    for (method, path, headers, body, status) in table {
        let answer = site.request(method, path, headers, body).await;
        assert_eq!(answer.status, status, "{method} {headers} {body}");
        assert!(answer.header("Access-Control-Allow-Origin").is_none());
    }
    assert_eq!(site.consult("anna@x.example"), before);
}

#[tokio::test]
async fn the_known_the_unknown_and_the_erased_read_the_same() {
    let site = Site::start().await;
    let known = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let erased = site.opted_in("eve@x.example", "2026-01-01T00:00:00Z").await;
    site.erase("eve@x.example").await;
    let tokens = [("anna@x.example", known), ("zoe@x.example", 0), ("zoe@x.example", 4711), ("eve@x.example", erased)];
    let mut answers = Vec::new();
    for (person, contact) in tokens {
        let token = site.token(person, contact);
        let page = told(&site.get(&token).await);
        let click = told(&site.post(&token, ONE_CLICK).await);
        let again = told(&site.post(&token, ONE_CLICK).await);
        assert_eq!((click.0, &click), (200, &again), "{person}");
        answers.push((page, click));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert!(site.consult("eve@x.example").suppressed.is_some());
}

#[tokio::test]
async fn a_link_works_after_its_keys_were_replaced() {
    let old_and_new = |old: u8, new: u8| vec![[new; 32], [old; 32]];
    let sealing = SealingKeys::new(old_and_new(1, 3)).unwrap();
    let site = Site::start_with(sealing, HashKeys::new(old_and_new(2, 4)).unwrap()).await;
    let anna = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let eve = site.opted_in("eve@x.example", "2026-01-01T00:00:00Z").await;
    site.erase("eve@x.example").await;
    for (person, contact) in [("anna@x.example", anna), ("eve@x.example", eve), ("zoe@x.example", 0)] {
        let answer = site.post(&site.token(person, contact), ONE_CLICK).await;
        assert_eq!(answer.status, 200, "{person}");
        let known = site.consult(person);
        let objected = site.objections(person).len() == 1 || known.suppressed.is_some();
        assert!(objected, "{person}: {known:?}");
    }
    // A key that is no longer held opens nothing, and the page says whom to write to.
    let later = Site::start_with(SealingKeys::new(vec![[3; 32]]).unwrap(), hash_keys()).await;
    let answer = later.post(&later.token("anna@x.example", anna), ONE_CLICK).await;
    assert!(answer.status == 404 && answer.body.contains("contact@c.example"));
}

#[tokio::test]
async fn a_link_works_after_the_policy_has_changed() {
    let renamed = {
        let mut policy = policy();
        let mut topic = policy.topics.remove("offers/books").unwrap();
        (topic.path, topic.aliases) = ("deals/books".to_owned(), vec!["offers/books".to_owned()]);
        policy.topics.insert(topic.path.clone(), topic);
        policy
    };
    let without_topic = Policy { topics: BTreeMap::new(), ..policy() };
    let without_controller = Policy { controllers: BTreeMap::new(), topics: BTreeMap::new(), ..policy() };
    for (what, changed, shown) in [
        ("topic renamed", renamed.clone(), "Books"),
        ("topic gone", without_topic, "offers&#x2f;books"),
        ("controller gone", without_controller, "from c about"),
    ] {
        let site = Site::start().await;
        let contact = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
        let token = site.token("anna@x.example", contact);
        *site.policy.lock().unwrap() = Arc::new(changed);
        assert_eq!(site.get(&token).await.status, 200, "{what}");
        let headers = format!("{URLENCODED}Accept-Language: en\r\n");
        let answer = site.request("POST", &format!("/u/{token}"), &headers, ONE_CLICK).await;
        assert!(answer.status == 200 && answer.body.contains(shown), "{what}: {}", answer.body);
        assert_eq!(site.objections("anna@x.example").len(), 1, "{what}");
        let now = Timestamp::now();
        let consulted = site.consult("anna@x.example");
        let found = concern(&renamed, "c", &address("anna@x.example"), &consulted, now);
        assert_eq!(found.topics, [("deals/books".to_owned(), true)], "{what}");
    }
}

#[tokio::test]
async fn who_signed_up_again_is_told_so_and_asked_but_a_mail_program_is_not() {
    let site = Site::start().await;
    let contact = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let token = site.token("anna@x.example", contact);
    assert!(!site.get(&token).await.body.contains("signed up again"), "the message came after that");
    site.opted_in("anna@x.example", "2026-04-05T10:00:00Z").await;

    let page = site.get(&token).await;
    assert!(page.body.contains("You signed up again on 2026-04-05"), "{}", page.body);
    let second = page.body.split("name=\"again\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    for body in ["scope=topics", "scope=everything", "scope=topics&again=", "scope=topics&again=1"] {
        let asked = site.post(&token, body).await;
        assert!(asked.status == 200 && asked.body.contains("name=\"again\""), "{body}");
        assert!(site.objections("anna@x.example").is_empty(), "{body}");
    }
    let done = site.post(&token, &format!("scope=topics&again={second}")).await;
    assert!(done.status == 200 && !done.body.contains("name=\"again\""));
    assert_eq!(site.objections("anna@x.example").len(), 1);
    assert!(!site.get(&token).await.body.contains("signed up again"), "that is settled");

    site.opted_in("anna@x.example", &Timestamp::now().to_string()).await;
    assert!(site.get(&token).await.body.contains("signed up again"));
    assert_eq!(site.post(&token, ONE_CLICK).await.status, 200);
    assert_eq!(site.objections("anna@x.example").len(), 2, "RFC 8058: nobody is there to ask");
}

#[tokio::test]
async fn a_newer_yes_to_something_else_is_no_reason_to_ask() {
    let site = Site::start().await;
    let contact = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    for (kind, controller, topic) in [
        (EventType::OptIn, "c", "club"),
        (EventType::OptIn, "d", "offers/books"),
        (EventType::OptInPending, "c", "offers"),
    ] {
        let event = ConsentEvent {
            at: Some("2026-04-05T10:00:00Z".parse().unwrap()),
            topics: Some(vec![topic.to_owned()]),
            ..ConsentEvent::new(address("anna@x.example"), controller, kind)
        };
        site.store.record_event(event).await.unwrap();
        let token = site.token("anna@x.example", contact);
        assert!(!site.get(&token).await.body.contains("signed up again"), "{controller} {topic}");
    }
}

#[tokio::test]
async fn the_page_shows_whose_address_it_was_and_no_more_of_it() {
    let site = Site::start().await;
    let contact = site.opted_in("anna.lemaire@x.example", "2026-01-01T00:00:00Z").await;
    let token = site.token("anna.lemaire@x.example", contact);
    let by_mail_program = site.post(&token, ONE_CLICK).await;
    assert!(!by_mail_program.body.contains("x.example"), "nobody reads that answer");
    let by_page = site.post(&token, "scope=everything").await;
    assert!(by_page.body.contains("a…@x.example") && !by_page.body.contains("nna"), "{}", by_page.body);
    assert!(!site.get(&token).await.body.contains("x.example"));
    let unknown = site.post(&site.token("zoe@y.example", 0), "scope=everything").await;
    assert!(unknown.status == 200 && !unknown.body.contains("y.example"));
}

#[tokio::test]
async fn an_address_that_is_not_theirs_gets_no_advertising_and_is_to_be_corrected() {
    let site = Site::start().await;
    let contact = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let token = site.token("anna@x.example", contact);
    assert!(site.get(&token).await.body.contains("This is not my address"));
    for _ in 0..2 {
        let done = site.post(&token, "scope=not-mine").await;
        assert_eq!(done.status, 200);
    }
    let objected = site.objections("anna@x.example");
    assert_eq!(objected.len(), 1);
    let event = &objected[0].event;
    assert_eq!((event.topics.as_ref(), event.mechanism.as_deref()), (None, Some("link_page")));
    assert_eq!(event.evidence.as_ref().unwrap()["wrong_address"], true);
    let mut reader = site.store.reader().unwrap();
    assert_eq!(reader.said_against().unwrap(), [(address("anna@x.example"), "c".to_owned())]);

    let unknown = site.post(&site.token("zoe@x.example", 0), "scope=not-mine").await;
    assert_eq!(unknown.status, 200);
    assert!(site.consult("zoe@x.example").suppressed.is_some_and(|mark| mark.topics.is_empty()));
    site.erase("anna@x.example").await;
    assert!(reader.said_against().unwrap().is_empty(), "of the erased nothing is told");
}

#[tokio::test]
async fn behind_a_button_the_page_leads_on_to_the_preferences_by_the_same_token() {
    let site = Site::start().await;
    let contact = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let token = site.token("anna@x.example", contact);
    let link = format!("href=\"&#x2f;p&#x2f;{token}\"");
    assert!(!site.post(&token, ONE_CLICK).await.body.contains(&link), "nobody reads that answer");
    assert!(site.post(&token, "scope=everything").await.body.contains(&link));
    assert_eq!(site.request("GET", &format!("/p/{token}"), "", "").await.status, 200);
    assert!(!site.post(&token, "scope=not-mine").await.body.contains(&link), "these are somebody else's");
}
