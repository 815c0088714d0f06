//! `/u/back/{token}`: the mail that leads there, and what it brings back.

use super::super::way_back::{Used, is_first_of_the_day};
use super::*;
use crate::consent::way_back::WayBackToken;
use crate::policy::concern::concern;

impl Site {
    async fn start_with_notice() -> Site {
        let site = Site::start().await;
        let mut policy = policy();
        policy.knobs.unsubscribe_notice = true;
        *site.policy.lock().unwrap() = Arc::new(policy);
        site
    }

    /// The path in the newest letter, once there is one more.
    async fn way_back(&self) -> String {
        self.posted.notified().await;
        let letter = self.letters.lock().unwrap().last().unwrap().clone();
        let link = letter.text.lines().find_map(|line| line.trim().strip_prefix("https://c.example")).unwrap();
        link.to_owned()
    }

    /// Whether the books were left.
    fn left(&self, text: &str) -> Vec<(String, bool)> {
        let consulted = self.consult(text);
        concern(&policy(), "c", &address(text), &consulted, Timestamp::now()).topics
    }

    fn of_kind(&self, text: &str, kind: EventType) -> Vec<RecordedEvent> {
        let events = self.consult(text).exact.map(|state| state.events).unwrap_or_default();
        events.into_iter().filter(|recorded| recorded.event.kind == kind).collect()
    }
}

fn books(left: bool) -> Vec<(String, bool)> {
    vec![("offers/books".to_owned(), left)]
}

#[tokio::test]
async fn who_had_forwarded_the_message_finds_the_way_back() {
    let site = Site::start_with_notice().await;
    let contact = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let token = site.token("anna@x.example", contact);
    site.post(&token, ONE_CLICK).await;
    let path = site.way_back().await;
    let letter = site.letters.lock().unwrap()[0].clone();
    assert_eq!((letter.to, letter.language.as_str()), (address("anna@x.example"), "fr"));
    assert!(letter.subject.contains("Librairie <C>") && !path.contains("anna"));
    assert_eq!(site.left("anna@x.example"), books(true));

    let english = "Accept-Language: en\r\n";
    for method in ["GET", "HEAD"] {
        assert_eq!(site.request(method, &path, english, ONE_CLICK).await.status, 200);
    }
    let page = site.request("GET", &format!("{path}?back=yes"), english, "").await;
    assert!(page.body.contains("a…@x.example") && page.body.contains("<li>Books</li>"), "{}", page.body);
    for body in ["", "back=no", ONE_CLICK] {
        assert_eq!(site.request("POST", &path, URLENCODED, body).await.status, 400, "{body}");
    }
    assert_eq!(site.left("anna@x.example"), books(true), "looking is no act");

    for _ in 0..2 {
        let done = site.request("POST", &path, &format!("{URLENCODED}{english}"), "back=yes").await;
        assert!(done.status == 200 && done.body.contains("is taken back"), "{}", done.body);
    }
    assert_eq!(site.left("anna@x.example"), books(false));
    let undone = site.of_kind("anna@x.example", EventType::Undo);
    assert_eq!(undone.len(), 1, "said twice it is one");
    let objection = &site.objections("anna@x.example")[0].event;
    assert_eq!(undone[0].event.evidence.as_ref().unwrap()["undoes"], objection.id.clone().unwrap());

    // A later no is a new one, and the old way back does not lead behind it.
    site.post(&token, ONE_CLICK).await;
    assert_eq!(site.objections("anna@x.example").len(), 2);
    assert_eq!(site.request("POST", &path, URLENCODED, "back=yes").await.status, 200);
    assert_eq!(site.left("anna@x.example"), books(true));
}

#[tokio::test]
async fn one_mail_a_day_tells_a_person_and_only_where_the_policy_wants_it() {
    let site = Site::start_with_notice().await;
    let contact = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let token = site.token("anna@x.example", contact);
    let at = Timestamp::now() - SignedDuration::from_hours(48);
    let mut seqs = Vec::new();
    for (hours, topics) in [(0, vec!["offers/books".to_owned()]), (1, vec![]), (26, vec!["club".to_owned()])] {
        let token = UnsubscribeToken::open(&token, &sealing_keys()).unwrap();
        let at = at + SignedDuration::from_hours(hours);
        let click = objection::Objection::through(token, topics, objection::Mechanism::LinkPage, at);
        let recorded = objection::record(&site.store, &hash_keys(), click).await.unwrap();
        let objection::Recorded::Event { seq, address } = recorded else { panic!("{recorded:?}") };
        seqs.push(Used { seq, address, at });
    }
    let mut due = Vec::new();
    for used in &seqs {
        due.push(is_first_of_the_day(&site.store, used).await.unwrap());
    }
    assert_eq!(due, [true, false, true]);
    let repeated = Used { at: at + SignedDuration::from_mins(5), ..seqs[0].clone() };
    assert!(!is_first_of_the_day(&site.store, &repeated).await.unwrap(), "the same again is told once");

    let silent = Site::start().await;
    assert!(!silent.policy.lock().unwrap().knobs.unsubscribe_notice, "leaving is told nobody by mail unless asked for");
}

#[tokio::test]
async fn no_mail_goes_to_an_address_that_is_not_theirs_or_not_known() {
    let site = Site::start_with_notice().await;
    let contact = site.opted_in("eve@x.example", "2026-01-01T00:00:00Z").await;
    site.post(&site.token("eve@x.example", contact), "scope=not-mine").await;
    site.post(&site.token("zoe@x.example", 0), ONE_CLICK).await;
    let contact = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    site.post(&site.token("anna@x.example", contact), ONE_CLICK).await;
    site.way_back().await;
    let to: Vec<_> = site.letters.lock().unwrap().iter().map(|letter| letter.to.clone()).collect();
    assert_eq!(to, [address("anna@x.example")]);
}

#[tokio::test]
async fn a_way_back_that_is_broken_over_or_somebody_elses_leads_nowhere() {
    let site = Site::start_with_notice().await;
    let contact = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let out = site.token("anna@x.example", contact);
    site.post(&out, ONE_CLICK).await;
    let path = site.way_back().await;
    let sealed = path.strip_prefix("/u/back/").unwrap().to_owned();
    let token = WayBackToken::open(&sealed, &sealing_keys()).unwrap();
    let seal = |token: WayBackToken| token.seal(&sealing_keys(), [1; 12]);
    let opt_in = site.of_kind("anna@x.example", EventType::OptIn)[0].seq;
    let wrong = [
        ("cut", sealed[..sealed.len() - 2].to_owned()),
        ("a way out", out),
        ("another key", token.seal(&SealingKeys::new(vec![[9; 32]]).unwrap(), [1; 12])),
        ("another person", seal(WayBackToken { hash: [0; 16], ..token.clone() })),
        ("another controller", seal(WayBackToken { controller: "d".to_owned(), ..token.clone() })),
        ("no such event", seal(WayBackToken { objection: 999, ..token.clone() })),
        ("no objection", seal(WayBackToken { objection: opt_in, ..token.clone() })),
        (
            "31 days old",
            seal(WayBackToken { issued_at: token.issued_at - SignedDuration::from_hours(31 * 24), ..token }),
        ),
    ];
    let mut answers = Vec::new();
    for (what, sealed) in wrong {
        let answer = site.request("POST", &format!("/u/back/{sealed}"), URLENCODED, "back=yes").await;
        assert_eq!(answer.status, 404, "{what}");
        answers.push(answer.body);
    }
    assert!(answers.iter().all(|body| *body == answers[0]), "one answer for all of them");
    site.store.record_event(ConsentEvent::new(address("anna@x.example"), "c", EventType::Erase)).await.unwrap();
    assert_eq!(site.request("POST", &path, URLENCODED, "back=yes").await.status, 404, "erased");
    assert!(site.consult("anna@x.example").suppressed.is_some());
}
