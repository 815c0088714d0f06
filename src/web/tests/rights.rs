//! `/rights/{controller}`: each right behind a code, each in the ledger.

use super::*;

impl Site {
    async fn ask_rights(&self, body: &str) -> Answer {
        let headers = format!("{URLENCODED}Accept-Language: en\r\n");
        self.request("POST", "/rights/c", &headers, body).await
    }

    /// The fields that show who reads the mail of this address.
    async fn proven(&self, text: &str) -> String {
        let page = self.ask_rights(&format!("address={}", text.replace('@', "%40"))).await;
        assert_eq!(page.status, 200, "{}", page.body);
        format!("request={}&code={}", me::hidden(&page, "request"), self.last_code())
    }
}

#[tokio::test]
async fn the_address_to_print_says_what_may_be_asked_and_knows_no_other_controller() {
    let site = Site::start().await;
    let page = site.request("GET", "/rights/c", "Accept-Language: en\r\n", "").await;
    assert!(page.status == 200 && page.body.contains("Your rights with Librairie &lt;C&gt;"), "{}", page.body);
    assert_eq!(site.request("GET", "/rights/nobody", "", "").await.status, 404);
    assert_eq!(site.request("POST", "/rights/nobody", URLENCODED, "address=a%40x.example").await.status, 404);
    for body in ["", "step=erase-now", "step=json", "request=AAAA&code=123456&step=erase-now", "address="] {
        assert_eq!(site.ask_rights(body).await.status, 400, "{body}");
    }
    assert!(site.letters.lock().unwrap().is_empty());
}

#[tokio::test]
async fn who_is_known_and_who_is_not_get_the_same_answer_until_a_code_shows_them() {
    let site = Site::start().await;
    site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let pages = [site.ask_rights("address=anna%40x.example").await, site.ask_rights("address=eve%40x.example").await];
    let without = |page: &Answer| page.body.replace(&me::hidden(page, "request"), "");
    assert_eq!(without(&pages[0]), without(&pages[1]));
    let letters = site.letters.lock().unwrap().clone();
    assert!(letters.iter().all(|letter| letter.text.contains("https://c.example/rights/c")), "one page, no address");
}

#[tokio::test]
async fn a_right_is_carried_out_once_a_code_was_shown_and_stands_in_the_ledger() {
    let site = Site::start().await;
    site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let proof = site.proven("anna@x.example").await;
    let acts = || {
        let mut reader = site.store.reader().unwrap();
        let entries = (1..).map_while(|seq| reader.ledger_entry(seq).unwrap()).map(|entry| format!("{entry:?}"));
        entries.filter(|entry| entry.contains("access")).count()
    };
    assert_eq!(acts(), 0);
    let told = site.ask_rights(&format!("{proof}&step=json")).await;
    assert!(told.status == 200 && told.body.contains("anna@x.example"));
    assert_eq!(acts(), 1, "that it was given is an act");
    let objected = site.ask_rights(&format!("{proof}&step=off")).await;
    assert_eq!((objected.status, site.objections("anna@x.example").len()), (200, 1));
    assert_eq!(site.ask_rights(&format!("{proof}&step=erase-now")).await.status, 200);
    let known = site.consult("anna@x.example");
    assert!(known.exact.is_none() && known.suppressed.is_some(), "the objection outlives the rest as a hash");
}

#[tokio::test]
async fn a_new_address_takes_both_mailboxes_and_takes_every_no_along() {
    let site = Site::start().await;
    site.agreed("anna@x.example", &["offers", "letters"]).await;
    let no = ConsentEvent {
        topics: Some(vec!["letters".into()]),
        ..ConsentEvent::new(address("anna@x.example"), "c", EventType::Object)
    };
    site.more_topics();
    site.store.record_event(no).await.unwrap();
    let proof = site.proven("anna@x.example").await;
    for (new, status) in [("nobody", 400), ("Anna%40X.example", 400), ("new%40x.example", 200)] {
        assert_eq!(site.ask_rights(&format!("{proof}&step=move&address={new}")).await.status, status, "{new}");
    }
    let page = site.ask_rights(&format!("{proof}&step=move&address=new%40x.example")).await;
    assert!(
        page.body.contains("value=\"offers&#x2f;books\">") && !page.body.contains("value=\"letters\">"),
        "{}",
        page.body
    );
    let second = format!("new-request={}&new-code={}", me::hidden(&page, "new-request"), site.last_code());
    let wrong = second.replace("new-code=", "new-code=1");
    let refused = site.ask_rights(&format!("{proof}&step=move-now&{wrong}&agreed=offers")).await;
    assert!(refused.status == 400 && refused.body.contains("value=\"offers\" checked"), "{}", refused.body);
    assert!(site.history("new@x.example").is_empty() && site.may("anna@x.example", "offers"));

    let moved = site.ask_rights(&format!("{proof}&step=move-now&{second}&agreed=offers%2Fbooks&agreed=letters")).await;
    assert_eq!(moved.status, 200, "{}", moved.body);
    let may = |name: &str| ["offers", "offers/books", "letters"].map(|topic| site.may(name, topic));
    assert_eq!(may("new@x.example"), [false, true, false]);
    assert_eq!(may("anna@x.example"), [false; 3]);
    assert_eq!(site.objections("new@x.example")[0].event.topics.as_deref(), Some(&["letters".to_owned()][..]));
    assert!(!format!("{:?}", site.history("new@x.example")).contains("anna"), "the two are not tied to each other");
}
