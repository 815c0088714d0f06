//! `/u/me`, on a clock of its own and with a postman who keeps the letters.

use super::*;

impl Site {
    async fn me(&self, body: &str) -> Answer {
        self.me_from("192.0.2.1", body).await
    }

    async fn me_from(&self, visitor: &str, body: &str) -> Answer {
        let headers = format!("{URLENCODED}X-Forwarded-For: {visitor}\r\nAccept-Language: en\r\n");
        self.request("POST", "/u/me", &headers, body).await
    }

    /// The form that a code goes with, as far as its request.
    async fn ask(&self, address: &str) -> String {
        let page = self.me(&format!("address={address}")).await;
        assert_eq!(page.status, 200, "{}", page.body);
        format!("request={}", hidden(&page, "request"))
    }

    pub fn last_code(&self) -> String {
        let text = self.letters.lock().unwrap().last().expect("a letter").text.clone();
        text.lines().map(str::trim).find(|line| line.len() == 6 && line.parse::<u32>().is_ok()).unwrap().to_owned()
    }

    fn later(&self, minutes: i64) {
        *self.ahead.lock().unwrap() += SignedDuration::from_mins(minutes);
    }
}

pub fn hidden(page: &Answer, name: &str) -> String {
    let after = page.body.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap_or_else(|| panic!("{}", page.body));
    after.split('"').next().unwrap().to_owned()
}

fn wrong(code: &str) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000)
}

const BOOKS: &str = "leave=%5B%22c%22%2C%22offers%2Fbooks%22%5D";

#[tokio::test]
async fn looking_at_the_shared_address_changes_nothing_and_asks_for_an_address() {
    let site = Site::start().await;
    for method in ["GET", "HEAD"] {
        assert_eq!(site.request(method, "/u/me", "Accept-Language: en\r\n", "").await.status, 200);
    }
    let page = site.request("GET", "/u/me?address=anna@x.example&request=1&code=2", "", "").await;
    assert!(page.body.contains("name=\"address\"") && page.body.contains("lang=\"fr\""));
    assert!(!page.body.contains("anna") && page.body.contains("mailto:contact@c.example"));
    for body in ["", ONE_CLICK, "scope=everything", "leave=*", "step=leave&leave=*"] {
        assert_eq!(site.me(body).await.status, 400, "{body}");
    }
    assert!(site.letters.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_code_shows_who_reads_the_mail_and_lets_them_leave() {
    let site = Site::start().await;
    site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let form = site.ask("anna%40x.example").await;
    let letter = site.letters.lock().unwrap()[0].clone();
    assert_eq!(letter.to, address("anna@x.example"));
    assert!(letter.text.contains("https://c.example/u/me") && !letter.subject.contains(&site.last_code()));
    let form = format!("{form}&code={}", site.last_code());

    let choice = site.me(&form).await;
    assert_eq!(choice.status, 200);
    assert!(choice.body.contains("Books") && choice.body.contains("All advertising from Librairie &lt;C&gt;"));
    assert!(choice.body.contains("[&quot;c&quot;,&quot;offers&#x2f;books&quot;]"), "{}", choice.body);
    assert!(site.objections("anna@x.example").is_empty(), "looking at the choice is none");
    assert_eq!(site.me(&format!("{form}&step=leave")).await.status, 400);
    assert_eq!(site.me(&format!("{form}&step=leave&leave=x")).await.status, 400);
    assert!(site.objections("anna@x.example").is_empty(), "no choice is none");

    let left = site.me(&format!("{form}&step=leave&{BOOKS}")).await;
    assert_eq!(left.status, 200);
    assert!(left.body.contains("Books"), "{}", left.body);
    let objected = site.objections("anna@x.example");
    let event = &objected[0].event;
    assert_eq!(event.topics, Some(vec!["offers/books".to_owned()]));
    assert_eq!((event.mechanism.as_deref(), event.source.as_deref()), (Some("link_page"), Some("web:me")));
    assert_eq!(event.actor, Some(crate::consent::event::Actor::Person));

    assert!(site.me(&form).await.body.contains("Books (already left)"));
    site.me(&format!("{form}&step=leave&{BOOKS}")).await;
    assert_eq!(site.objections("anna@x.example"), objected, "said twice it is one");
    site.me(&format!("{form}&step=leave&leave=*")).await;
    assert_eq!(site.objections("anna@x.example")[1].event.topics, None);
}

#[tokio::test]
async fn a_link_and_this_page_record_one_objection_between_them() {
    let site = Site::start().await;
    let contact = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    site.post(&site.token("anna@x.example", contact), "scope=topics").await;
    let form = site.ask("anna%40x.example").await;
    site.me(&format!("{form}&code={}&step=leave&{BOOKS}", site.last_code())).await;
    assert_eq!(site.objections("anna@x.example").len(), 1);
}

#[tokio::test]
async fn strangers_and_people_on_record_read_the_same_until_the_code() {
    let site = Site::start().await;
    site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let mut pages = Vec::new();
    for address in ["anna%40x.example", "zoe%40x.example"] {
        let page = site.me(&format!("address={address}")).await;
        let request = hidden(&page, "request");
        let refused = site.me(&format!("request={request}&code={}", wrong(&site.last_code()))).await;
        let told = |answer: &Answer| (answer.status, answer.body.replace(&request, "REQUEST"));
        pages.push((told(&page), told(&refused)));
    }
    assert_eq!(pages[0], pages[1]);
    assert_eq!(site.letters.lock().unwrap().len(), 2, "both get a code");

    // The stranger may leave as well, and only the mark of it is kept.
    let form = site.ask("zoe%40x.example").await;
    let form = format!("{form}&code={}", site.last_code());
    let choice = site.me(&form).await;
    assert!(choice.status == 200 && !choice.body.contains("Books"));
    assert_eq!(site.me(&format!("{form}&step=leave&leave=*")).await.status, 200);
    let known = site.consult("zoe@x.example");
    assert!(known.exact.is_none() && known.suppressed.is_some_and(|mark| mark.topics.is_empty()));
}

#[tokio::test]
async fn wrong_codes_end_a_request_and_change_nothing() {
    let site = Site::start().await;
    site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let form = site.ask("anna%40x.example").await;
    let code = site.last_code();
    for left in (1..5).rev() {
        let page = site.me(&format!("{form}&code={}&step=leave&leave=*", wrong(&code))).await;
        assert_eq!(page.status, 400);
        assert!(page.body.contains(&format!("Attempts left: {left}")), "{}", page.body);
    }
    for entered in [wrong(&code), code] {
        let page = site.me(&format!("{form}&code={entered}&step=leave&leave=*")).await;
        assert_eq!(page.status, 400);
        assert!(page.body.contains("no longer valid"), "{}", page.body);
    }
    assert!(site.objections("anna@x.example").is_empty());
}

#[tokio::test]
async fn a_code_of_another_request_or_from_yesterday_proves_nothing() {
    let site = Site::start().await;
    let annas = site.ask("anna%40x.example").await;
    let code = site.last_code();
    let eves = site.ask("eve%40x.example").await;
    if site.last_code() != code {
        assert_eq!(site.me(&format!("{eves}&code={code}")).await.status, 400);
    }
    site.later(15);
    let late = site.me(&format!("{annas}&code={code}")).await;
    assert_eq!(late.status, 400);
    assert!(late.body.contains("Ask for a new one"));
}

#[tokio::test]
async fn what_is_no_address_gets_no_code() {
    let site = Site::start().await;
    for entered in ["", "anna", "anna%40", "a%40b%40c", "a%25b%40x.example", "%3Cb%3E", "a%0d%0ab%40x.example"] {
        let page = site.me(&format!("address={entered}")).await;
        assert_eq!(page.status, 400, "{entered}");
        assert!(page.body.contains("This is no address") && !page.body.contains("<b>"));
    }
    assert!(site.letters.lock().unwrap().is_empty());
}

#[tokio::test]
async fn mailboxes_and_networks_are_spared() {
    let site = Site::start().await;
    for spelling in ["anna", "Anna", "anna%2Bshop"] {
        assert_eq!(site.me(&format!("address={spelling}%40x.example")).await.status, 200);
    }
    let refused = site.me("address=anna%2B4%40x.example").await;
    assert_eq!(refused.status, 429);
    let wait: u32 = refused.header("Retry-After").unwrap().parse().unwrap();
    assert!((800..=900).contains(&wait), "{wait}");
    assert!(refused.body.contains("Too many codes"));
    site.later(15);
    site.ask("anna%40x.example").await;
    for n in 0..16 {
        site.ask(&format!("p{n}%40x.example")).await;
    }
    assert_eq!(site.me("address=p99%40x.example").await.status, 429, "20 in an hour from one network");
    assert_eq!(site.me_from("198.51.100.1", "address=p99%40x.example").await.status, 200);
    site.later(60);
    site.ask("p99%40x.example").await;
}

#[tokio::test]
async fn a_code_that_could_not_be_sent_is_said_and_not_counted() {
    let site = Site::start().await;
    *site.posting.lock().unwrap() = Posting::NotNow;
    for _ in 0..5 {
        let page = site.me("address=anna%40x.example").await;
        assert_eq!((page.status, page.header("Retry-After")), (503, Some("120")));
        assert!(page.body.contains("could not be sent") && page.body.contains("value=\"anna@x.example\""));
    }
    *site.posting.lock().unwrap() = Posting::OnItsWay;
    site.ask("anna%40x.example").await;
}

#[tokio::test]
async fn a_store_that_is_down_is_never_said_to_have_recorded_it() {
    let site = Site::start().await;
    site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let form = site.ask("anna%40x.example").await;
    let form = format!("{form}&code={}", site.last_code());
    site.store.clone().shutdown();
    let answer = site.me(&format!("{form}&step=leave&leave=*")).await;
    assert_eq!((answer.status, answer.header("Retry-After")), (503, Some("120")));
    assert!(answer.body.contains("not been recorded yet"));
}

#[tokio::test]
async fn every_step_works_by_keyboard_without_script_and_is_protected() {
    let site = Site::start().await;
    let address = site.request("GET", "/u/me", "", "").await;
    let code = site.me("address=anna%40x.example").await;
    let form = format!("request={}&code={}", hidden(&code, "request"), site.last_code());
    let choice = site.me(&form).await;
    let left = site.me(&format!("{form}&step=leave&leave=*")).await;
    for (page, field) in [(&address, "address"), (&code, "code")] {
        assert!(page.body.contains(&format!("<label for=\"{field}\">")), "{field} has no label");
    }
    for page in [&address, &code, &choice, &left] {
        assert!(page.body.contains("width=device-width") && !page.body.contains("<script"));
        assert!(!page.body.contains("onclick") && !page.body.contains("style=") && !page.body.contains("tabindex"));
        assert_eq!(page.header("Cache-Control"), Some("no-store"));
        assert!(page.header("Content-Security-Policy").unwrap().contains("form-action 'self'"));
        assert!(page.header("Set-Cookie").is_none() && page.header("Location").is_none());
    }
}
