//! `/p/{token}` and `/p/me`: what is chosen, by whom, and what is left alone.

use super::*;
use crate::policy::classify::Classification;
use crate::policy::decide::{Consultation, decide};

impl Site {
    /// A policy with three topics, one below another.
    pub fn more_topics(&self) {
        let mut policy = policy();
        let topic =
            |path: &str| Topic { path: path.into(), label: BTreeMap::new(), ..policy.topics["offers/books"].clone() };
        let more = ["offers", "letters"].map(|path| (path.to_owned(), topic(path)));
        policy.topics.extend(more);
        *self.policy.lock().unwrap() = Arc::new(policy);
    }

    pub async fn agreed(&self, text: &str, topics: &[&str]) -> i64 {
        let text_version = Some("n1".to_owned());
        let kept = crate::store::KeptText::new("n1", "fr", "Oui".into(), Timestamp::UNIX_EPOCH);
        self.store.keep_text(kept).await.unwrap();
        let event = ConsentEvent {
            at: Some("2026-02-01T10:00:00Z".parse().unwrap()),
            topics: Some(topics.iter().map(|topic| (*topic).to_owned()).collect()),
            actor: Some(crate::consent::event::Actor::Person),
            mechanism: Some("unticked_box_ticked".into()),
            source: Some("web:form".into()),
            text_version,
            ..ConsentEvent::new(address(text), "c", EventType::OptIn)
        };
        self.store.record_event(event).await.unwrap();
        self.store.reader().unwrap().contact(&address(text)).unwrap().unwrap().id
    }

    async fn choices(&self, token: &str) -> Answer {
        self.request("GET", &format!("/p/{token}"), "Accept-Language: en\r\n", "").await
    }

    async fn choose(&self, token: &str, body: &str) -> Answer {
        self.request("POST", &format!("/p/{token}"), &format!("{URLENCODED}Accept-Language: en\r\n"), body).await
    }

    /// What an ordinary message about this topic meets now.
    pub fn may(&self, text: &str, topic: &str) -> bool {
        let (policy, known) = (self.policy.lock().unwrap().clone(), self.consult(text));
        let message = Classification::of_advertising("c", vec![topic.into()], vec![]);
        let verdict = decide(&policy, &message, &address(text), Consultation::Known(&known), Timestamp::now());
        verdict.decision.as_str() == "allow"
    }

    pub fn history(&self, text: &str) -> Vec<RecordedEvent> {
        self.consult(text).exact.map(|state| state.events).unwrap_or_default()
    }
}

/// The form of a page as a browser sends it back, with these boxes ticked and all else as it was.
fn form(page: &Answer, on: &[&str]) -> String {
    let mut body = "step=save".to_owned();
    for (name, value) in inputs(&page.body) {
        match name.as_str() {
            "shown" => {
                let path = value.split(' ').next().unwrap().to_owned();
                let limit = value.rsplit(' ').next().unwrap().to_owned();
                body += &format!("&shown={}&limit%2F{}={}", encoded(&value), encoded(&path), encoded(&limit));
            }
            "shown-limit" => body += &format!("&shown-limit={0}&limit={0}", encoded(&value)),
            "shown-pause" => body += &format!("&shown-pause={0}&pause={0}", encoded(&value)),
            "shown-channels" | "count" | "request" | "code" | "controller" if !body.contains(&format!("&{name}=")) => {
                body += &format!("&{name}={}", encoded(&value));
            }
            _ => {}
        }
    }
    on.iter().for_each(|path| body += &format!("&on={}", encoded(path)));
    body
}

/// Hidden fields, in order.
fn inputs(html: &str) -> Vec<(String, String)> {
    let parts = html.split("<input type=\"hidden\" name=\"").skip(1);
    let value = |part: &str| {
        let (name, rest) = part.split_once("\" value=\"")?;
        Some((name.to_owned(), rest.split('"').next()?.replace("&#x2f;", "/")))
    };
    parts.filter_map(value).collect()
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[tokio::test]
async fn the_link_of_a_message_shows_choices_and_looking_changes_nothing() {
    let site = Site::start().await;
    site.more_topics();
    let contact = site.agreed("anna@x.example", &["offers"]).await;
    let token = site.token("anna@x.example", contact);
    for method in ["GET", "HEAD"] {
        assert_eq!(site.request(method, &format!("/p/{token}"), "", "").await.status, 200);
    }
    let page = site.choices(&token).await;
    assert!(page.body.contains("a…@x.example") && !page.body.contains("anna"), "{}", page.body);
    let checked = |path: &str| page.body.contains(&format!("name=\"on\" value=\"{path}\" checked"));
    assert_eq!((checked("offers"), checked("offers&#x2f;books"), checked("letters")), (true, true, false));
    assert_eq!(site.history("anna@x.example").len(), 1);
    let unchanged = site.choose(&token, &form(&page, &["offers", "offers/books"])).await;
    assert!(unchanged.status == 200 && unchanged.body.contains("You changed nothing"), "{}", unchanged.body);
    assert_eq!(site.history("anna@x.example").len(), 1);
}

#[tokio::test]
async fn what_is_chosen_counts_for_the_next_message_with_the_wording_that_was_shown() {
    let site = Site::start().await;
    site.more_topics();
    let contact = site.agreed("anna@x.example", &["offers"]).await;
    let token = site.token("anna@x.example", contact);
    let page = site.choices(&token).await;
    let body = form(&page, &["offers", "letters"]);
    let body = body.replace("&limit=none", "&limit=1%2Fweek").replace("shown-channels=", "channel=sms&shown-channels=");
    let saved = site.choose(&token, &body).await;
    assert_eq!(saved.status, 200, "{}", saved.body);
    assert!(saved.body.contains("letters") && saved.body.contains("Books"), "{}", saved.body);
    let may = |topic: &str| site.may("anna@x.example", topic);
    assert_eq!((may("offers"), may("offers/books"), may("letters")), (true, false, true));

    let events = site.history("anna@x.example").split_off(1);
    let kinds: Vec<&str> = events.iter().map(|recorded| recorded.event.kind.as_str()).collect();
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    let version = events[0].event.text_version.clone().unwrap();
    assert!(
        version.starts_with("preferences-")
            && events.iter().all(|known| known.event.text_version.as_ref() == Some(&version))
    );
    let kept = site.store.reader().unwrap().text(&version).unwrap();
    assert!(kept[0].language == "en" && kept[0].body.contains("Librairie <C>") && kept[0].body.contains("- Books"));
    let again = site.choose(&token, &body).await;
    assert_eq!(again.status, 200);
    assert_eq!(site.history("anna@x.example").len(), 5, "sent twice it counts once");
}

#[tokio::test]
async fn an_objection_after_the_page_was_opened_is_not_overwritten() {
    let site = Site::start().await;
    site.more_topics();
    let contact = site.agreed("anna@x.example", &["offers"]).await;
    let token = site.token("anna@x.example", contact);
    let page = site.choices(&token).await;
    site.post(&token, "scope=everything").await;
    let saved = site.choose(&token, &form(&page, &["offers", "offers/books", "letters"])).await;
    assert!(saved.body.contains("These stay as they are"), "{}", saved.body);
    assert!(["offers", "offers/books", "letters"].iter().all(|topic| !site.may("anna@x.example", topic)));
    assert!(site.choices(&token).await.body.contains("You receive no advertising"));
}

#[tokio::test]
async fn everything_off_is_one_act_and_only_who_reads_the_mailbox_takes_it_back() {
    let site = Site::start().await;
    let contact = site.agreed("anna@x.example", &["offers"]).await;
    let token = site.token("anna@x.example", contact);
    for _ in 0..2 {
        let off = site.choose(&token, "step=off").await;
        assert!(off.status == 200 && off.body.contains("no more advertising"), "{}", off.body);
    }
    let objected = site.objections("anna@x.example");
    assert_eq!((objected.len(), objected[0].event.topics.as_ref()), (1, None));
    assert!(!site.may("anna@x.example", "offers/books"));
    let page = site.choices(&token).await;
    let saved = site.choose(&token, &form(&page, &["offers/books"])).await;
    assert!(saved.body.contains("so they stay off"), "{}", saved.body);
    assert!(!site.may("anna@x.example", "offers/books"), "the link may have been passed on");
    let asked = site.choose(&token, "step=ask-code").await;
    let proof = format!("request={}&code={}", me::hidden(&asked, "request"), site.last_code());
    let page = site.choose(&token, &format!("{proof}&step=choices")).await;
    let saved = site.choose(&token, &form(&page, &["offers/books"])).await;
    assert!(site.may("anna@x.example", "offers/books"), "{} {:?}", saved.body, site.history("anna@x.example"));
}

#[tokio::test]
async fn a_form_that_is_not_whole_or_not_ours_changes_nothing() {
    let site = Site::start().await;
    let contact = site.agreed("anna@x.example", &["offers"]).await;
    let token = site.token("anna@x.example", contact);
    let page = site.choices(&token).await;
    let whole = form(&page, &["offers/books"]);
    let off = form(&page, &[]);
    let huge = format!("{off}&on={}", "x".repeat(200_000));
    let table = [
        (String::new(), 400),
        (ONE_CLICK.to_owned(), 400),
        ("step=save".to_owned(), 400),
        (off.replace("&count=1", ""), 400),
        (off.replace("&count=1", "&count=2"), 400),
        (off.replace("&shown-pause=", "&shown-pauses="), 400),
        (format!("{off}&step=off"), 400),
        (format!("{off}&colour=blue"), 400),
        (format!("{off}&on=elsewhere"), 400),
        (off.replace("limit=none", "limit=sometimes"), 400),
        (off.replace("&pause=", "&pause=2001-01-01"), 400),
        (off.replace("&pause=", "&pause=9999-01-01"), 400),
        (off.replace("&pause=", "&pause=tomorrow"), 400),
        (format!("{off}&channel=pigeon"), 400),
        (off.replace("step=save", "step=erase-now"), 400),
        (off.replace("step=save", "step=json"), 400),
        (huge, 413),
    ];
    for (body, status) in table {
        let answer = site.choose(&token, &body).await;
        assert_eq!(answer.status, status, "{}", &body[..body.len().min(200)]);
        assert!(answer.body.contains("othing was"), "{}", answer.body);
        assert_eq!(site.history("anna@x.example").len(), 1, "{}", &body[..body.len().min(200)]);
    }
    assert_eq!(site.choose("no-link-of-ours", &off).await.status, 404);
    assert_eq!(site.choose(&token, &whole).await.status, 200);
}

#[tokio::test]
async fn nobody_known_and_nobody_any_more_look_alike_and_a_no_is_kept_as_a_hash() {
    let site = Site::start().await;
    let contact = site.agreed("anna@x.example", &["offers"]).await;
    let erase = ConsentEvent::new(address("anna@x.example"), "c", EventType::Erase);
    site.store.record_event(erase).await.unwrap();
    let (erased, never) = (site.token("anna@x.example", contact), site.token("eve@x.example", 0));
    let pages = [site.choices(&erased).await, site.choices(&never).await];
    assert_eq!(pages[0].body.replace(&erased, ""), pages[1].body.replace(&never, ""));
    assert!(!pages[0].body.contains("…@") && !pages[0].body.contains(" checked"));
    for (token, name) in [(erased, "anna@x.example"), (never, "eve@x.example")] {
        let ticked = site.choose(&token, &form(&pages[0], &["offers/books"])).await;
        assert!(ticked.status == 200 && ticked.body.contains("Books") && ticked.body.contains("sign up anew"));
        let asked = site.choose(&token, "step=ask-code").await;
        assert!(asked.status == 200 && asked.body.contains("name=\"code\""), "{}", asked.body);
        assert!(!site.may(name, "offers/books") && site.history(name).is_empty());
        assert_eq!(site.choose(&token, "step=off").await.status, 200);
        assert!(site.consult(name).suppressed.is_some_and(|mark| mark.topics.is_empty()), "{name}");
    }
    assert!(site.letters.lock().unwrap().is_empty());
}

#[tokio::test]
async fn to_see_or_erase_what_is_known_takes_more_than_the_link() {
    let site = Site::start().await;
    let contact = site.agreed("anna@x.example", &["offers"]).await;
    let token = site.token("anna@x.example", contact);
    let asked = site.choose(&token, "step=ask-code").await;
    assert!(asked.body.contains("a…@x.example"), "{}", asked.body);
    assert_eq!(site.letters.lock().unwrap().last().unwrap().to, address("anna@x.example"));
    let proof = format!("request={}&code={}", me::hidden(&asked, "request"), site.last_code());
    let others = site.choose(&site.token("eve@x.example", 0), &format!("{proof}&step=json")).await;
    assert_eq!(others.status, 400, "the code is not theirs");

    let data = site.choose(&token, &proof).await;
    assert!(data.status == 200 && data.body.contains("value=\"erase\""), "{}", data.body);
    let json = site.choose(&token, &format!("{proof}&controller=c&step=json")).await;
    assert_eq!(json.header("Content-Disposition"), Some("attachment; filename=\"my-data.json\""));
    let document: serde_json::Value = serde_json::from_str(&json.body).unwrap();
    assert_eq!(document["address"], "anna@x.example");
    let page = site.choose(&token, &format!("{proof}&step=page")).await;
    assert!(page.status == 200 && page.body.contains("anna@x.example"));
    let asked = site.choose(&token, &format!("{proof}&step=erase")).await;
    assert!(asked.body.contains("cannot be undone") && !site.history("anna@x.example").is_empty());
    let erased = site.choose(&token, &format!("{proof}&step=erase-now&keep-mark=1")).await;
    assert_eq!(erased.status, 200, "{}", erased.body);
    assert!(site.history("anna@x.example").is_empty() && site.consult("anna@x.example").suppressed.is_some());
}

#[tokio::test]
async fn a_code_opens_the_choices_of_a_stranger_and_of_somebody_known_alike() {
    let site = Site::start().await;
    site.agreed("anna@x.example", &["offers"]).await;
    let post = |body: String| {
        let site = &site;
        async move { site.request("POST", "/p/me", &format!("{URLENCODED}Accept-Language: en\r\n"), &body).await }
    };
    let page = site.request("GET", "/p/me?address=anna@x.example", "", "").await;
    assert!(page.status == 200 && !page.body.contains("anna"));
    assert_eq!(post("address=nobody".into()).await.status, 400);
    let known = post("address=anna%40x.example".into()).await;
    let proof = format!("request={}&code={}", me::hidden(&known, "request"), site.last_code());
    let strange = post("address=eve%40x.example".into()).await;
    let without = |page: &Answer| page.body.replace(&me::hidden(page, "request"), "");
    assert_eq!(without(&known), without(&strange));
    let eves = format!("request={}&code={}", me::hidden(&strange, "request"), site.last_code());

    let choices = post(proof.clone()).await;
    assert!(choices.body.contains("value=\"offers&#x2f;books\" checked"), "{}", choices.body);
    let saved = post(form(&choices, &[])).await;
    assert!(saved.status == 200 && !site.may("anna@x.example", "offers/books"), "{}", saved.body);
    let choices = post(eves).await;
    post(form(&choices, &["offers/books"])).await;
    assert!(site.may("eve@x.example", "offers/books"), "who reads the mail of an address may agree to some");
    assert_eq!(post(proof.replace("code=", "code=1")).await.status, 400);
}

#[tokio::test]
async fn codes_are_counted_together_wherever_they_are_asked_for() {
    let site = Site::start().await;
    for path in ["/p/me", "/u/me", "/rights/c"] {
        assert_eq!(site.request("POST", path, URLENCODED, "address=anna%40x.example").await.status, 200, "{path}");
    }
    for path in ["/p/me", "/u/me", "/rights/c"] {
        let answer = site.request("POST", path, URLENCODED, "address=anna%40x.example").await;
        assert_eq!(answer.status, 429, "{path}");
        assert!(answer.header("Retry-After").is_some());
    }
    *site.posting.lock().unwrap() = Posting::NotNow;
    assert_eq!(site.request("POST", "/p/me", URLENCODED, "address=eve%40x.example").await.status, 503);
}
