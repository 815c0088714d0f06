//! `/subscribe/…` and `/confirm/…`: what is asked, recorded and answered, and what changes nothing.

use std::time::Duration;

use super::*;
use crate::config::parse_policy;
use crate::consent::confirm::ConfirmToken;
use crate::consent::event::Actor;
use crate::policy::classify::Classification;
use crate::policy::decide::{Consultation, decide};

const POLICY: &str = r#"
    [controller.c]
    name = "Librairie <C>"
    domains = ["c.example"]
    languages = ["fr", "en"]
    privacy_url = "https://c.example/privacy"
    contact = "contact@c.example"
    [topic."offers/books"]
    controller = "c"
    label = { fr = "Livres", en = "Books" }
    [topic.music]
    controller = "c"
    label = { fr = "Musique", en = "Music" }
    [topic.partners]
    controller = "c"
    label = { fr = "Voyages", en = "Trips" }
    own_consent = true
    [form.news]
    controller = "c"
    text = { fr = "Je veux bien recevoir :", en = "I would like:" }
    origins = ["https://shop.example"]
    return_url = "https://shop.example/merci"
    [form.plain]
    controller = "c"
    double_opt_in = false
    trace = "full"
    [form.question]
    controller = "c"
    kind = "yes_no"
    trace = "hash"
    [form.refusal]
    controller = "c"
    kind = "refusal_box"
    topics = ["offers/books"]
    [form.partner]
    controller = "c"
    kind = "partner_box"
    partners = { d = "D & Fils" }
"#;

const ANNA: &str = "anna@x.example";
const ENGLISH: &str = "Accept-Language: en\r\n";

async fn site() -> Site {
    let site = Site::start().await;
    site.policy_is(POLICY);
    site
}

impl Site {
    fn policy_is(&self, text: &str) {
        let policy = parse_policy("policy.toml", text, &[]).unwrap_or_else(|errors| panic!("{errors}"));
        *self.policy.lock().unwrap() = Arc::new(policy);
    }

    fn passes(&self, time: SignedDuration) {
        *self.ahead.lock().unwrap() += time;
    }

    /// The form as a visitor sees it, three seconds later.
    async fn fields_of(&self, form: &str) -> Vec<(String, String)> {
        let page = self.request("GET", &format!("/subscribe/c/{form}"), ENGLISH, "").await;
        assert_eq!(page.status, 200, "{}", page.body);
        self.passes(SignedDuration::from_secs(3));
        let hidden = page.body.split("<input type=\"hidden\" name=\"").skip(1);
        let field = |rest: &str| {
            let (name, rest) = rest.split_once("\" value=\"").unwrap();
            (name.to_owned(), rest.split('"').next().unwrap().to_owned())
        };
        hidden.map(field).collect()
    }

    /// Fills a form in and sends it.
    async fn signs_up(&self, form: &str, filled_in: &[(&str, &str)]) -> Answer {
        let mut fields = self.fields_of(form).await;
        fields.extend(filled_in.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.sends(
            &format!("/subscribe/c/{form}"),
            "Sec-Fetch-Site: same-origin\r\nOrigin: null\r\nX-Forwarded-For: 192.0.2.7\r\n",
            &fields,
        )
        .await
    }

    async fn sends(&self, path: &str, headers: &str, fields: &[(String, String)]) -> Answer {
        let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let pairs: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        read(self.request("POST", path, &format!("{URLENCODED}{headers}"), &pairs.join("&")).await)
    }

    fn recorded(&self, text: &str) -> Vec<RecordedEvent> {
        let mut events = self.consult(text).exact.map(|state| state.events).unwrap_or_default();
        events.sort_by_key(|recorded| recorded.seq);
        events
    }

    fn kinds(&self, text: &str) -> Vec<&'static str> {
        self.recorded(text).iter().map(|recorded| recorded.event.kind.as_str()).collect()
    }

    fn may_get(&self, text: &str, topic: &str) -> bool {
        let message = Classification::of_advertising("c", vec![topic.to_owned()], Vec::new());
        let (policy, known) = (self.policy.lock().unwrap().clone(), self.consult(text));
        let now = Timestamp::now() + *self.ahead.lock().unwrap();
        decide(&policy, &message, &address(text), Consultation::Known(&known), now).permit().is_some()
    }

    fn letters(&self) -> Vec<Letter> {
        self.letters.lock().unwrap().clone()
    }

    /// Where the question in the last letter leads.
    fn link(&self) -> String {
        let letters = self.letters();
        let text = &letters.last().unwrap().text;
        let link = text.split_whitespace().find_map(|word| word.strip_prefix("https://c.example"));
        link.unwrap_or_else(|| panic!("{text}")).to_owned()
    }

    async fn opens(&self, link: &str) -> Answer {
        read(self.request("GET", link, ENGLISH, "").await)
    }

    async fn confirms(&self, link: &str) -> Answer {
        read(self.request("POST", link, &format!("{URLENCODED}{ENGLISH}"), "confirm=yes").await)
    }
}

/// With slashes as a browser shows them.
fn read(answer: Answer) -> Answer {
    Answer { body: answer.body.replace("&#x2f;", "/"), ..answer }
}

#[tokio::test]
async fn from_the_form_to_the_consent_that_counts() {
    let site = site().await;
    let page = site.opens("/subscribe/c").await;
    for part in
        ["I would like:", "Books", "Music", "contact@c.example", "https://c.example/privacy", "Librairie &lt;C&gt;"]
    {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    assert!(!page.body.contains("checked") && !page.body.contains("Trips"), "{}", page.body);
    assert!(site.recorded(ANNA).is_empty());

    let told = site.signs_up("news", &[("address", ANNA), ("topic", "offers/books")]).await;
    assert_eq!(told.status, 200, "{}", told.body);
    assert!(told.body.contains("Look into your mailbox") && told.body.contains("https://shop.example/merci"));
    assert_eq!(site.kinds(ANNA), ["no_answer", "opt_in_pending"]);
    assert!(!site.may_get(ANNA, "offers/books"));
    let letters = site.letters();
    assert_eq!(
        (letters.len(), letters[0].to.as_str(), letters[0].subject.as_str()),
        (1, ANNA, "Librairie <C>: please confirm")
    );
    assert!(letters[0].text.contains("- Books") && !letters[0].text.contains("Music"), "{}", letters[0].text);

    let link = site.link();
    for _ in 0..2 {
        let question = site.opens(&link).await;
        assert!(question.status == 200 && question.body.contains("Books"), "{}", question.body);
    }
    assert_eq!(site.request("HEAD", &link, "", "").await.status, 200);
    assert_eq!(site.request("POST", &link, URLENCODED, ONE_CLICK).await.status, 400, "no other click confirms");
    assert_eq!(site.kinds(ANNA), ["no_answer", "opt_in_pending"]);

    let thanks = site.confirms(&link).await;
    assert!(thanks.status == 200 && thanks.body.contains("Books") && !thanks.body.contains("Music"), "{}", thanks.body);
    let again = site.confirms(&link).await;
    assert_eq!((again.status, &again.body), (200, &thanks.body));
    assert_eq!(site.opens(&link).await.body, thanks.body);
    assert_eq!(site.kinds(ANNA), ["no_answer", "opt_in_pending", "collected", "opt_in_confirmed"]);
    assert!(site.may_get(ANNA, "offers/books") && !site.may_get(ANNA, "music"));

    let events = site.recorded(ANNA);
    let (pending, collected, confirmed) = (&events[1], &events[2].event, &events[3].event);
    assert_eq!(confirmed.evidence.as_ref().unwrap()["request"], pending.seq);
    assert_eq!((confirmed.actor, confirmed.mechanism.as_deref()), (Some(Actor::Person), Some("double_opt_in")));
    assert_eq!((collected.informed_at, collected.refusal_offered), (pending.event.at, Some(true)));
    let version = pending.event.text_version.clone().unwrap();
    assert!(version.starts_with("form-news-") && confirmed.text_version.as_ref() == Some(&version), "{version}");
    let kept = site.store.reader().unwrap().text(&version).unwrap().remove(0);
    assert_eq!(kept.language, "en");
    for part in ["I would like:", "- Books", "- Music", "contact@c.example", "https://c.example/privacy"] {
        assert!(kept.body.contains(part), "{part}: {}", kept.body);
    }
}

#[tokio::test]
async fn everybody_gets_the_same_answer() {
    let site = site().await;
    let opt_in = |kind| ConsentEvent {
        topics: Some(vec!["offers/books".to_owned()]),
        mechanism: Some("unticked_box_ticked".to_owned()),
        actor: Some(Actor::Person),
        ..ConsentEvent::new(address("known@x.example"), "c", kind)
    };
    site.store.record_event(opt_in(EventType::OptIn)).await.unwrap();
    site.store.record_event(ConsentEvent { topics: None, ..opt_in(EventType::Object) }).await.unwrap();
    for form in ["news", "plain"] {
        let ticked = ("topic", "offers/books");
        let unknown = site.signs_up(form, &[("address", "unknown@x.example"), ticked]).await;
        let known = site.signs_up(form, &[("address", "known@x.example"), ticked]).await;
        let trapped = site.signs_up(form, &[("address", "robot@x.example"), ticked, ("website", "x")]).await;
        assert_eq!(unknown.status, 200);
        assert_eq!((&unknown.body, &unknown.body), (&known.body, &trapped.body), "{form}");
    }
    assert!(site.recorded("robot@x.example").is_empty());
    // Whoever fills in a form that asks for no confirmation does not lift somebody's objection by it.
    assert_eq!(site.kinds("known@x.example").last(), Some(&"opt_in_pending"));
    assert!(!site.may_get("known@x.example", "offers/books"));
    assert!(site.may_get("unknown@x.example", "offers/books"), "the form asks for no confirmation");
    let question = site.letters().into_iter().rfind(|letter| letter.to.as_str() == "known@x.example");
    assert!(question.is_some());
    site.confirms(&site.link()).await;
    assert!(site.may_get("known@x.example", "offers/books"), "the confirmation is the newer act of the person");
}

#[tokio::test]
async fn what_is_not_a_persons_answer_changes_nothing() {
    let site = site().await;
    let good = [("address", ANNA), ("topic", "offers/books")];
    type Fields<'a> = &'a [(&'a str, &'a str)];
    let table: [(Fields<'_>, u16, &str); 5] = [
        (&[("address", "anna"), ("topic", "offers/books")], 400, "no address"),
        (&[("address", "a%b@x.example"), ("topic", "offers/books")], 400, "no address"),
        (&[("topic", "offers/books")], 400, "no address"),
        (&[("address", ANNA), ("topic", "partners")], 400, "not understood"),
        (&[("address", ANNA), ("topic", "*")], 400, "not understood"),
    ];
    for (fields, status, told) in table {
        let answer = site.signs_up("news", fields).await;
        assert!(answer.status == status && answer.body.contains(told), "{fields:?}: {}", answer.body);
    }
    let own = |fields: &[(String, String)], without: &str| -> Vec<(String, String)> {
        let kept = fields.iter().filter(|(name, _)| name != without).cloned();
        kept.chain(good.map(|(name, value)| (name.to_owned(), value.to_owned()))).collect()
    };
    let fields = site.fields_of("news").await;
    let path = "/subscribe/c/news";
    assert_eq!(site.sends(path, "", &own(&fields, "stamp")).await.status, 400);
    assert_eq!(site.sends(path, "", &own(&fields, "text_version")).await.status, 409);
    assert_eq!(site.sends("/subscribe/c/plain", "", &own(&fields, "")).await.status, 400, "a stamp is for one form");
    for from in ["https://evil.example", "null"] {
        let headers = format!("Origin: {from}\r\nSec-Fetch-Site: cross-site\r\n");
        let refused = site.sends(path, &headers, &own(&fields, "")).await;
        assert!(refused.status == 403 && refused.header("Access-Control-Allow-Origin").is_none(), "{from}");
    }
    site.passes(-SignedDuration::from_secs(2));
    let hasty = site.sends(path, "", &own(&fields, "")).await;
    assert!(hasty.status == 400 && hasty.body.contains("once more") && hasty.body.contains(ANNA), "{}", hasty.body);
    site.passes(SignedDuration::from_hours(25));
    assert_eq!(site.sends(path, "", &own(&fields, "")).await.status, 409);
    let large = [("address".to_owned(), "x".repeat(20_000))];
    assert_eq!(site.sends(path, "", &large).await.status, 413);
    for path in ["/subscribe/nobody", "/subscribe/c/nothing", "/subscribe/c/news/x"] {
        assert_eq!(site.request("GET", path, "", "").await.status, 404, "{path}");
        assert_eq!(site.request("POST", path, URLENCODED, "address=anna@x.example").await.status, 404, "{path}");
    }
    assert!(site.recorded(ANNA).is_empty() && site.letters().is_empty());
    assert!(site.store.reader().unwrap().texts().unwrap().is_empty());
}

#[tokio::test]
async fn nobodys_mailbox_is_filled_whichever_forms_name_it() {
    let site = site().await;
    let mut bodies = Vec::new();
    for form in ["news", "partner", "news", "news", "partner"] {
        let topic = if form == "news" { "offers/books" } else { "partners" };
        let told = site.signs_up(form, &[("address", "Anna@X.example"), ("topic", topic)]).await;
        bodies.push((form, told.status, told.body));
    }
    assert_eq!(bodies[0], bodies[3], "the same answer when no mail goes any more");
    assert_eq!(bodies[1], bodies[4]);
    assert_eq!(
        (site.letters().len(), site.kinds(ANNA).iter().filter(|kind| **kind == "opt_in_pending").count()),
        (3, 3)
    );
    let (no, yes) = (("answer.offers/books", "no"), ("answer.music", "yes"));
    site.signs_up("question", &[("address", ANNA), no, yes]).await;
    assert_eq!((site.letters().len(), site.kinds(ANNA).last()), (3, Some(&"refuse")), "a no is never lost");
    // What goes to no mailbox any more still counts for its network.
    for n in 6..20 {
        site.signs_up("news", &[("address", &format!("a{n}@x.example")), ("topic", "music")]).await;
    }
    let more = site.signs_up("news", &[("address", "b@x.example"), ("topic", "music")]).await;
    assert!(more.status == 429 && more.header("Retry-After").is_some(), "{}", more.body);
    assert!(site.recorded("b@x.example").is_empty());
}

#[tokio::test]
async fn a_no_that_is_newer_than_the_question_is_not_lifted_by_its_link() {
    let site = site().await;
    site.signs_up("news", &[("address", ANNA), ("topic", "offers/books"), ("topic", "music")]).await;
    let link = site.link();
    site.passes(SignedDuration::from_mins(1));
    let at = Some(Timestamp::now() + *site.ahead.lock().unwrap());
    let no = |topics: Option<&str>| ConsentEvent {
        at,
        recorded_at: at,
        topics: topics.map(|topic| vec![topic.to_owned()]),
        ..ConsentEvent::new(address(ANNA), "c", EventType::Object)
    };
    site.store.record_event(no(Some("music"))).await.unwrap();
    site.passes(SignedDuration::from_mins(1));
    let question = site.opens(&link).await;
    assert!(question.body.contains("Books") && !question.body.contains("Music"), "{}", question.body);
    site.store.record_event(no(None)).await.unwrap();
    let withdrawn = site.confirms(&link).await;
    assert!(withdrawn.status == 409 && withdrawn.body.contains("/subscribe/c/news"), "{}", withdrawn.body);
    assert_eq!(site.kinds(ANNA).last(), Some(&"object"));
    assert!(!site.may_get(ANNA, "offers/books"));

    site.signs_up("news", &[("address", ANNA), ("topic", "offers/books")]).await;
    assert_eq!(site.confirms(&site.link()).await.status, 200);
    assert!(site.may_get(ANNA, "offers/books"), "who changes their mind says so anew");
}

#[tokio::test]
async fn a_question_that_is_too_old_says_so_and_offers_to_ask_again() {
    let site = site().await;
    site.signs_up("news", &[("address", ANNA), ("topic", "offers/books")]).await;
    let link = site.link();
    site.passes(SignedDuration::from_hours(7 * 24 + 1));
    for late in [site.opens(&link).await, site.confirms(&link).await] {
        assert!(
            late.status == 410 && late.body.contains("too old") && late.body.contains("/subscribe/c/news"),
            "{}",
            late.body
        );
    }
    assert_eq!(site.kinds(ANNA), ["no_answer", "opt_in_pending"]);
}

#[tokio::test]
async fn no_other_link_confirms_and_a_confirmation_link_is_no_way_out() {
    let site = site().await;
    site.signs_up("news", &[("address", ANNA), ("topic", "offers/books")]).await;
    let (link, contact) = (site.link(), site.store.reader().unwrap().contact(&address(ANNA)).unwrap().unwrap().id);
    let token = link.strip_prefix("/confirm/").unwrap();
    let way_out = site.token(ANNA, contact);
    assert_eq!(site.confirms(&format!("/confirm/{way_out}")).await.status, 404);
    assert_eq!(site.post(token, ONE_CLICK).await.status, 404);
    let opened = ConfirmToken::open(token, &sealing_keys()).unwrap();
    let request = site.recorded(ANNA)[1].seq;
    assert_eq!(opened.request, request);
    // A number of another store, another controller, an event that asks nothing: all alike.
    let others = [
        ConfirmToken { hash: [0; 16], ..opened.clone() },
        ConfirmToken { controller: "d".into(), ..opened.clone() },
        ConfirmToken { request: request - 1, ..opened.clone() },
        ConfirmToken { request: 999, ..opened },
    ];
    for other in others {
        let answer = site.confirms(&format!("/confirm/{}", other.seal(&sealing_keys(), [7; 12]))).await;
        assert!(answer.status == 404 && answer.body.contains("does not work"), "{}", answer.body);
    }
    assert_eq!(site.kinds(ANNA), ["no_answer", "opt_in_pending"]);
}

#[tokio::test]
async fn while_upstream_is_down_nothing_is_lost() {
    let site = site().await;
    *site.posting.lock().unwrap() = Posting::NotNow;
    let told = site.signs_up("news", &[("address", ANNA), ("topic", "offers/books")]).await;
    assert!(told.status == 200 && told.body.contains("nothing for you to do"), "{}", told.body);
    let request = site.recorded(ANNA)[1].seq;
    let asking = site.store.reader().unwrap().asking(request).unwrap().unwrap();
    assert_eq!((asking.sent, asking.language.as_str(), asking.due.is_some()), (0, "en", true));
}

#[tokio::test]
async fn each_form_of_the_law_records_its_own_answer() {
    let site = site().await;
    let both = [("address", ANNA), ("answer.offers/books", "no"), ("answer.music", "yes")];
    assert_eq!(site.signs_up("question", &both[..2]).await.status, 400, "each question wants an answer");
    assert_eq!(site.signs_up("question", &both).await.status, 200);
    let said: Vec<_> =
        site.recorded(ANNA).iter().map(|known| (known.event.kind, known.event.mechanism.clone().unwrap())).collect();
    assert_eq!(
        said,
        [(EventType::Refuse, "forced_choice_no".into()), (EventType::OptInPending, "forced_choice_yes".into())]
    );
    let trace = site.recorded(ANNA)[0].event.note.clone().unwrap();
    assert!(trace.starts_with("network address ") && !trace.contains("127.0.0.1"), "{trace}");

    let page = site.request("GET", "/subscribe/c/partner", ENGLISH, "").await;
    assert!(page.body.contains("D &amp; Fils"), "{}", page.body);
    site.signs_up("partner", &[("address", "bob@x.example"), ("topic", "partners")]).await;
    assert!(site.letters().last().unwrap().text.contains("D & Fils"));
    site.confirms(&site.link()).await;
    let confirmed = site.recorded("bob@x.example").pop().unwrap().event;
    assert_eq!((confirmed.kind, confirmed.partners), (EventType::OptInConfirmed, Some(vec!["d".to_owned()])));

    site.signs_up("refusal", &[("address", "carl@x.example")]).await;
    site.signs_up("refusal", &[("address", "dora@x.example"), ("refuse", "yes")]).await;
    assert_eq!(
        (site.kinds("carl@x.example"), site.kinds("dora@x.example")),
        (vec!["collected"], vec!["collected", "refuse"])
    );
    let blank = site.signs_up("news", &[("address", "eve@x.example")]).await;
    assert!(blank.body.contains("You ticked nothing"), "{}", blank.body);
    assert_eq!(site.kinds("eve@x.example"), ["no_answer"]);
    site.signs_up("plain", &[("address", "fay@x.example"), ("topic", "music")]).await;
    let note = site.recorded("fay@x.example")[0].event.note.clone().unwrap();
    assert_eq!(note, "network address 192.0.2.7, browser unknown", "as the proxy in front says");
}

#[tokio::test]
async fn a_listed_web_site_may_show_the_form_and_its_older_wording_counts() {
    let site = site().await;
    let first: Vec<(String, String)> =
        site.fields_of("news").await.into_iter().filter(|(name, _)| name != "stamp").collect();
    let from_the_shop = "Origin: https://shop.example\r\nSec-Fetch-Site: cross-site\r\n";
    let filled_in = |fields: &[(String, String)], who: &str| -> Vec<(String, String)> {
        let more = [("address", who), ("topic", "music")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        fields.iter().cloned().chain(more).collect()
    };
    assert_eq!(site.sends("/subscribe/c/news", from_the_shop, &filled_in(&first, ANNA)).await.status, 200);
    site.policy_is(&POLICY.replace("I would like:", "I want:"));
    let older = site.sends("/subscribe/c/news", from_the_shop, &filled_in(&first, "bob@x.example")).await;
    assert_eq!(older.status, 200, "that wording was kept: {}", older.body);
    let versions = |who: &str| site.recorded(who).pop().unwrap().event.text_version;
    assert_eq!(versions("bob@x.example"), versions(ANNA));
    let invented: Vec<_> = first
        .iter()
        .map(|(name, value)| match name.as_str() {
            "text_version" => (name.clone(), "form-news-000000000000".to_owned()),
            _ => (name.clone(), value.clone()),
        })
        .collect();
    let changed = site.sends("/subscribe/c/news", from_the_shop, &filled_in(&invented, "eve@x.example")).await;
    assert!(changed.status == 409 && changed.body.contains("I want:"), "{}", changed.body);
    assert!(site.recorded("eve@x.example").is_empty());
}

#[tokio::test]
async fn a_shop_asks_for_the_wording_and_sends_the_answer_as_json() {
    let site = site().await;
    let shop = "Origin: https://shop.example\r\n";
    let json = "Content-Type: application/json\r\nAccept-Language: en\r\n";
    let asked =
        site.request("GET", "/subscribe/c/news", &format!("Accept: application/json\r\n{ENGLISH}{shop}"), "").await;
    assert_eq!(asked.header("Access-Control-Allow-Origin"), Some("https://shop.example"));
    let form: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!((&form["question"], &form["topics"][1]["label"]), (&"I would like:".into(), &"Books".into()));
    site.passes(SignedDuration::from_secs(3));
    let answer = |more: serde_json::Value| {
        let mut body = serde_json::json!({"address": ANNA, "text_version": form["text_version"], "stamp": form["stamp"], "language": "en"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body.to_string()
    };
    let yes = serde_json::json!({"topics": ["offers/books"]});
    let evil = site
        .request("POST", "/subscribe/c/news", &format!("{json}Origin: https://evil.example\r\n"), &answer(yes.clone()))
        .await;
    assert!(evil.status == 403 && evil.header("Access-Control-Allow-Origin").is_none(), "{}", evil.body);
    let wrong = site
        .request("POST", "/subscribe/c/news", &format!("{json}{shop}"), &answer(serde_json::json!({"topics": "x"})))
        .await;
    let told: serde_json::Value = serde_json::from_str(&wrong.body).unwrap();
    assert_eq!((wrong.status, &told["error"]), (400, &"unreadable".into()));
    assert!(site.recorded(ANNA).is_empty());
    let taken = site.request("POST", "/subscribe/c/news", &format!("{json}{shop}"), &answer(yes)).await;
    let told: serde_json::Value = serde_json::from_str(&taken.body).unwrap();
    assert_eq!((taken.status, &told["state"]), (202, &"mail".into()));
    assert_eq!(taken.header("Access-Control-Allow-Origin"), Some("https://shop.example"));
    assert_eq!(site.kinds(ANNA), ["no_answer", "opt_in_pending"]);

    let preflight = site.request("OPTIONS", "/subscribe/c/news", shop, "").await;
    assert_eq!((preflight.status, preflight.header("Access-Control-Allow-Headers")), (204, Some("content-type")));
    let preflight = site.request("OPTIONS", "/subscribe/c/news", "Origin: https://evil.example\r\n", "").await;
    assert_eq!((preflight.status, preflight.header("Access-Control-Allow-Origin")), (403, None));
}

#[tokio::test]
async fn what_a_clerk_noted_is_confirmed_by_the_persons_own_tick() {
    let site = site().await;
    let at = Timestamp::now();
    let noted = ConsentEvent {
        at: Some(at),
        topics: Some(vec!["offers/books".to_owned(), "music".to_owned()]),
        mechanism: Some("oral_delegated".to_owned()),
        actor: Some(Actor::Delegate),
        source: Some("in_store:lyon".to_owned()),
        ..ConsentEvent::new(address(ANNA), "c", EventType::OptIn)
    };
    let seq = site.store.record_event(noted.clone()).await.unwrap();
    let request = RecordedEvent::new(seq, noted, at);
    let questions = Questions {
        site: Arc::new(crate::web::Site::shipped("https://c.example")),
        sealing_keys: sealing_keys(),
        hash_keys: hash_keys(),
        base_url: "https://c.example".to_owned(),
    };
    let policy = site.policy.lock().unwrap().clone();
    let mailing = questions.mailing(&policy, &request, "en", false, at).unwrap();
    assert_eq!((mailing.kind, mailing.controller.as_deref()), ("doi_request", Some("c")));
    site.letters.lock().unwrap().push(mailing.letter);
    let link = site.link();
    let page = site.opens(&link).await;
    assert!(page.body.contains("type=\"checkbox\"") && !page.body.contains("checked"), "{}", page.body);
    let version =
        page.body.split("name=\"text_version\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let form = format!("confirm=yes&language=en&text_version={version}");
    for nothing in [form.clone(), "confirm=yes&topic=music".to_owned(), format!("{form}&topic=partners")] {
        assert_eq!(site.request("POST", &link, URLENCODED, &nothing).await.status, 400, "{nothing}");
    }
    assert_eq!(site.kinds(ANNA), ["opt_in"]);
    let ticked = site.request("POST", &link, URLENCODED, &format!("{form}&topic=music")).await;
    assert_eq!(ticked.status, 200, "{}", ticked.body);
    let confirmed = site.recorded(ANNA).pop().unwrap().event;
    assert_eq!((confirmed.topics, confirmed.text_version), (Some(vec!["music".to_owned()]), Some(version)));
    assert!(site.may_get(ANNA, "music") && !site.may_get(ANNA, "offers/books"), "only what was ticked counts");
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_told_and_the_link_stays_good() {
    let site = site().await;
    site.signs_up("news", &[("address", ANNA), ("topic", "offers/books")]).await;
    let (link, fields) = (site.link(), site.fields_of("news").await);
    site.store.clone().shutdown();
    let unavailable = site.confirms(&link).await;
    assert!(unavailable.status == 503 && unavailable.header("Retry-After").is_some());
    let filled_in =
        [("address", "bob@x.example"), ("topic", "music")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let fields: Vec<_> = fields.into_iter().chain(filled_in).collect();
    let unavailable = site.sends("/subscribe/c/news", "", &fields).await;
    assert!(unavailable.status == 503 && unavailable.body.contains("unavailable"), "{}", unavailable.body);
    tokio::time::timeout(Duration::from_secs(5), async { site.stop.send(()).ok() }).await.unwrap();
}
