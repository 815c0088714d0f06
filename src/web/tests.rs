use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::*;
use crate::consent::event::{ConsentEvent, EventType, RecordedEvent};
use crate::consent::state::Consulted;
use crate::consent::token::{HashKeys, LONGEST, SealingKeys, UnsubscribeToken};
use crate::message::own::Letter;
use crate::policy::look::{Image, Look};
use crate::policy::rules::*;
use crate::smtp::address::{EmailAddress, Width};
use crate::store::Store;

mod link;
mod me;
mod preferences;
mod rights;
mod sign_up;
mod way_back;

const ONE_CLICK: &str = "List-Unsubscribe=One-Click";
const URLENCODED: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

struct Site {
    address: SocketAddr,
    store: Store,
    policy: Arc<Mutex<Arc<Policy>>>,
    /// By how much the pages' clock is ahead.
    ahead: Arc<Mutex<SignedDuration>>,
    letters: Arc<Mutex<Vec<Letter>>>,
    /// Told of every letter.
    posted: Arc<Notify>,
    posting: Arc<Mutex<Posting>>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
    folder: TempDir,
}

fn sealing_keys() -> SealingKeys {
    SealingKeys::new(vec![[1; 32]]).unwrap()
}

fn hash_keys() -> HashKeys {
    HashKeys::new(vec![[2; 32]]).unwrap()
}

fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

fn policy() -> Policy {
    let controller = Controller {
        footer: BTreeMap::new(),
        id: "c".to_owned(),
        name: "Librairie <C>".to_owned(),
        domains: vec!["c.example".to_owned()],
        languages: vec!["fr".to_owned(), "en".to_owned()],
        privacy_url: "https://c.example/privacy".to_owned(),
        contact: "contact@c.example".to_owned(),
        unsubscribe_mailto: None,
        kind: ControllerKind::Company,
        optout_links: Vec::new(),
        look: Look::default(),
    };
    let label = [("fr", "Livres"), ("en", "Books")].map(|(tag, text)| (tag.to_owned(), text.to_owned()));
    let topic = Topic {
        path: "offers/books".to_owned(),
        controller: "c".to_owned(),
        label: BTreeMap::from(label),
        families: Vec::new(),
        list_id: None,
        own_consent: false,
        aliases: Vec::new(),
        frequency: None,
    };
    Policy {
        mode: Mode::Enforce,
        time_zone: TimeZone::UTC,
        unknown_class: Class::Promotional,
        class_conflict: Class::Promotional,
        service_without_store: ServiceWithoutStore::Pass,
        mixed_recipients: MixedRecipients::DeliverPermitted,
        notify_sender: NotifySender::Dsn,
        refusal: Refusal::Reject,
        existing_list_headers: ExistingListHeaders::Replace,
        on_signed: None,
        knobs: Knobs::default(),
        frequency: None,
        journal_retention: None,
        controllers: BTreeMap::from([("c".to_owned(), controller)]),
        topics: BTreeMap::from([("offers/books".to_owned(), topic)]),
        family_groups: BTreeMap::new(),
        forms: BTreeMap::new(),
        rules: Vec::new(),
        hash: String::new(),
        sources: Vec::new(),
    }
}

fn tells(ahead: &Arc<Mutex<SignedDuration>>) -> Clock {
    let ahead = Arc::clone(ahead);
    Arc::new(move || Timestamp::now() + *ahead.lock().unwrap())
}

/// Keeps what is posted, and says of it what it was told to.
fn takes(letters: &Arc<Mutex<Vec<Letter>>>, posting: &Arc<Mutex<Posting>>, posted: &Arc<Notify>) -> Post {
    let (letters, posting, posted) = (Arc::clone(letters), Arc::clone(posting), Arc::clone(posted));
    Arc::new(move |mailing| {
        let posting = *posting.lock().unwrap();
        if posting == Posting::OnItsWay {
            letters.lock().unwrap().push(mailing.letter);
            posted.notify_one();
        }
        Box::pin(async move { posting })
    })
}

impl Site {
    async fn start() -> Site {
        Site::start_with(sealing_keys(), hash_keys()).await
    }

    async fn start_with(sealing_keys: SealingKeys, hash_keys: HashKeys) -> Site {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("consentry.db"), hash_keys.clone()).unwrap();
        let policy = Arc::new(Mutex::new(Arc::new(policy())));
        let in_force = Arc::clone(&policy);
        let ahead = Arc::default();
        let (letters, posting) = (Arc::default(), Arc::new(Mutex::new(Posting::OnItsWay)));
        let posted = Arc::default();
        let pages = PublicPages {
            store: store.clone(),
            site: Arc::new(site::Site::shipped("https://c.example")),
            sealing_keys,
            hash_keys,
            policy: Arc::new(move || Arc::clone(&in_force.lock().unwrap())),
            clock: tells(&ahead),
            post: takes(&letters, &posting, &posted),
            base_url: "https://c.example".to_owned(),
            trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        };
        let (address, stop, server) = listen(public_router(pages).unwrap()).await;
        Site { address, store, policy, ahead, letters, posted, posting, stop, server, folder }
    }

    async fn opted_in(&self, text: &str, at: &str) -> i64 {
        let event = ConsentEvent {
            at: Some(at.parse().unwrap()),
            topics: Some(vec!["offers/books".to_owned()]),
            ..ConsentEvent::new(address(text), "c", EventType::OptIn)
        };
        self.store.record_event(event).await.unwrap();
        self.store.reader().unwrap().contact(&address(text)).unwrap().unwrap().id
    }

    fn token(&self, text: &str, contact: i64) -> String {
        let hash = hash_keys().contact_hash("c", &address(text).objection_key(Width::WIDEST));
        let topics = vec!["offers/books".to_owned()];
        let issued_at = "2026-03-01T00:00:00Z".parse().unwrap();
        UnsubscribeToken { controller: "c".to_owned(), contact, hash, topics, issued_at }
            .seal(&sealing_keys(), [7; 12], LONGEST)
            .unwrap()
    }

    fn consult(&self, text: &str) -> Consulted {
        let (mut consulted, _) = self.store.reader().unwrap().consult("c", &[address(text)]).unwrap();
        consulted.remove(0)
    }

    fn objections(&self, text: &str) -> Vec<RecordedEvent> {
        let events = self.consult(text).exact.map(|state| state.events).unwrap_or_default();
        events.into_iter().filter(|recorded| recorded.event.kind == EventType::Object).collect()
    }

    async fn request(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        request(self.address, method, path, headers, body).await
    }

    async fn post(&self, token: &str, body: &str) -> Answer {
        self.request("POST", &format!("/u/{token}"), URLENCODED, body).await
    }
}

async fn listen(router: axum::Router) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(serve(listener, router, async { _ = stopped.await }));
    (address, stop, server)
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

async fn request(to: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n");
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(format!("{head}{headers}\r\n{body}").as_bytes()).await.unwrap();
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.unwrap();
    let read = String::from_utf8(read).unwrap();
    let (head, body) = read.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

#[tokio::test]
async fn one_click_acts_at_once_and_a_repeat_is_the_same_objection() {
    let site = Site::start().await;
    let contact = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let token = site.token("anna@x.example", contact);
    let first = site.post(&token, ONE_CLICK).await;
    assert_eq!((first.status, first.header("Location"), first.header("Set-Cookie")), (200, None, None));
    let objected = site.objections("anna@x.example");
    assert_eq!(objected.len(), 1);
    let event = &objected[0].event;
    assert_eq!(event.topics.as_deref(), Some(&["offers/books".to_owned()][..]));
    assert_eq!(event.mechanism.as_deref(), Some("one_click"));
    assert_eq!((event.source.as_deref(), event.channel.as_str()), (Some("web:unsubscribe"), "email"));

    let multipart = "--Z\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--Z--\r\n";
    let path = format!("/u/{token}");
    let dressed = "Content-Type: multipart/form-data; boundary=Z\r\n";
    for (headers, body) in [(URLENCODED, ONE_CLICK), (dressed, multipart)] {
        let again = site.request("POST", &path, headers, body).await;
        assert_eq!((again.status, &again.body), (200, &first.body));
    }
    let by_page = site.post(&token, "scope=topics").await;
    assert_eq!((by_page.status, by_page.body), (200, site.post(&token, "scope=topics").await.body));
    assert_eq!(site.objections("anna@x.example"), objected);
}

#[tokio::test]
async fn a_click_after_a_newer_opt_in_counts_again_also_on_an_old_link() {
    let site = Site::start().await;
    let contact = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let token = site.token("anna@x.example", contact);
    site.post(&token, ONE_CLICK).await;
    site.opted_in("anna@x.example", &Timestamp::now().to_string()).await;
    assert_eq!(site.post(&token, ONE_CLICK).await.status, 200);
    let objected = site.objections("anna@x.example");
    assert_eq!(objected.len(), 2);
    let events = site.consult("anna@x.example").exact.unwrap().events;
    assert_eq!(events.last().unwrap().event.kind, EventType::Object);
    site.post(&token, ONE_CLICK).await;
    assert_eq!(site.objections("anna@x.example"), objected);
}

#[tokio::test]
async fn a_click_after_the_opt_in_is_not_the_same_as_one_dated_before_it() {
    let site = Site::start().await;
    let contact = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let token = UnsubscribeToken::open(&site.token("anna@x.example", contact), &sealing_keys()).unwrap();
    for (at, known) in [("2025-12-31T23:59:00Z", 1), ("2026-01-01T00:00:00Z", 2), ("2026-01-01T00:01:00Z", 2)] {
        let (token, at) = (token.clone(), at.parse().unwrap());
        let (topics, one_click) = (vec!["offers/books".to_owned()], objection::Mechanism::OneClick);
        let click = objection::Objection::through(token, topics, one_click, at);
        objection::record(&site.store, &hash_keys(), click).await.unwrap();
        assert_eq!(site.objections("anna@x.example").len(), known, "{at}");
    }
}

#[tokio::test]
async fn clicks_at_the_same_time_are_one_objection() {
    let site = Site::start().await;
    let contact = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let token = site.token("anna@x.example", contact);
    let clicks: Vec<_> = (0..8).map(|_| tokio::spawn(request_click(site.address, token.clone()))).collect();
    for click in clicks {
        assert_eq!(click.await.unwrap(), 200);
    }
    assert_eq!(site.objections("anna@x.example").len(), 1);
}

async fn request_click(to: SocketAddr, token: String) -> u16 {
    request(to, "POST", &format!("/u/{token}"), URLENCODED, ONE_CLICK).await.status
}

#[tokio::test]
async fn looking_at_a_link_changes_nothing() {
    let site = Site::start().await;
    let contact = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let path = format!("/u/{}", site.token("anna@x.example", contact));
    let before = site.consult("anna@x.example");
    for _ in 0..3 {
        let page = site.request("GET", &path, "", "").await;
        assert_eq!(page.status, 200);
        assert!(page.body.contains("<form method=\"post\">") && page.body.contains("<button"));
        let head = site.request("HEAD", &path, "", "").await;
        assert_eq!((head.status, head.body.as_str()), (200, ""));
    }
    for body in ["", "List-Unsubscribe=Two-Clicks", "scope=all", "x=y"] {
        let path = path.strip_prefix("/u/").unwrap();
        assert_eq!(site.post(path, body).await.status, 400, "{body}");
    }
    assert_eq!(site.request("PUT", &path, "", ONE_CLICK).await.status, 405);
    let large = format!("{ONE_CLICK}&x={}", "y".repeat(20_000));
    assert_eq!(site.post(path.strip_prefix("/u/").unwrap(), &large).await.status, 413);
    assert_eq!(site.consult("anna@x.example"), before);
}

#[tokio::test]
async fn the_page_offers_these_topics_or_everything() {
    let site = Site::start().await;
    let contact = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let token = site.token("anna@x.example", contact);
    assert_eq!(site.post(&token, "scope=topics").await.status, 200);
    assert_eq!(site.post(&token, "scope=everything").await.status, 200);
    let objected = site.objections("anna@x.example");
    let said: Vec<_> = objected.iter().map(|o| (o.event.topics.clone(), o.event.mechanism.as_deref())).collect();
    let topics = Some(vec!["offers/books".to_owned()]);
    assert_eq!(said, [(topics, Some("link_page")), (None, Some("link_page"))]);
}

#[tokio::test]
async fn one_click_reaches_as_far_as_the_policy_in_force_says() {
    let site = Site::start().await;
    let contact = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let mut wider = policy();
    wider.knobs.unsubscribe_scope = Scope::Everything;
    *site.policy.lock().unwrap() = Arc::new(wider);
    site.post(&site.token("anna@x.example", contact), ONE_CLICK).await;
    assert_eq!(site.objections("anna@x.example")[0].event.topics, None);
}

#[tokio::test]
async fn a_link_stands_for_its_own_recipient_only() {
    let site = Site::start().await;
    let anna = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let bob = site.opted_in("bob@y.example", "2026-01-01T00:00:00Z").await;
    site.post(&site.token("anna@x.example", anna), ONE_CLICK).await;
    assert_eq!((site.objections("anna@x.example").len(), site.objections("bob@y.example").len()), (1, 0));

    // Row numbers of another store: the row is bob's, the link is anna's, so only the mark is kept.
    let anna_before = site.objections("anna@x.example");
    assert_eq!(site.post(&site.token("anna@x.example", bob), ONE_CLICK).await.status, 200);
    assert!(site.objections("bob@y.example").is_empty());
    assert_eq!(site.objections("anna@x.example"), anna_before);
    assert!(site.consult("bob@y.example").suppressed.is_none());
    assert!(site.consult("anna@x.example").suppressed.is_some());
}

#[tokio::test]
async fn somebody_we_have_no_row_for_is_marked_and_reads_the_same_answer() {
    let site = Site::start().await;
    let known = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let answer = site.post(&site.token("anna@x.example", known), ONE_CLICK).await;
    for contact in [0, 999_999, -1] {
        let unknown = site.post(&site.token("zoe@x.example", contact), ONE_CLICK).await;
        assert_eq!((unknown.status, &unknown.body), (200, &answer.body));
    }
    let suppressed = site.consult("zoe@x.example").suppressed.unwrap();
    assert_eq!(suppressed.topics, ["offers/books"]);
}

#[tokio::test]
async fn a_broken_link_says_how_to_reach_the_sender_and_repeats_nothing() {
    let site = Site::start().await;
    let contact = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let token = site.token("anna@x.example", contact);
    let cut = &token[..token.len() - 3];
    for broken in [cut, "anna@x.example", "%00%ff", "..%2f..%2fetc", "<b>", "AAAA"] {
        for method in ["GET", "POST"] {
            let page = site.request(method, &format!("/u/{broken}"), URLENCODED, ONE_CLICK).await;
            assert!((400..=404).contains(&page.status), "{broken}");
            assert!(!page.body.contains("anna"));
        }
    }
    let page = site.request("GET", &format!("/u/{cut}"), "Accept-Language: en\r\n", "").await;
    assert!(page.body.contains("contact@c.example") && page.body.contains("nothing has changed"));
    assert!(site.objections("anna@x.example").is_empty());
    assert_eq!(site.request("GET", "/", "", "").await.status, 404);
}

#[tokio::test]
async fn pages_speak_the_readers_language_and_names_are_escaped() {
    let site = Site::start().await;
    let path = format!("/u/{}", site.token("anna@x.example", 0));
    let english = site.request("GET", &path, "Accept-Language: en\r\n", "").await.body;
    assert!(english.contains("lang=\"en\"") && english.contains("<li>Books</li>"), "{english}");
    let french = site.request("GET", &path, "", "").await.body;
    assert!(french.contains("lang=\"fr\"") && french.contains("<li>Livres</li>"));
    assert!(!french.contains("<C>") && french.contains("Librairie &lt;C&gt;"));
}

#[tokio::test]
async fn every_answer_is_kept_from_caches_frames_scripts_and_search() {
    let site = Site::start().await;
    let path = format!("/u/{}", site.token("anna@x.example", 0));
    for (method, path) in
        [("GET", path.as_str()), ("POST", &path), ("GET", "/u/me"), ("GET", "/nothing"), ("PUT", &path)]
    {
        let answer = site.request(method, path, "", "").await;
        let policy = answer.header("Content-Security-Policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
        assert_eq!(answer.header("Referrer-Policy"), Some("no-referrer"));
        assert_eq!(answer.header("X-Robots-Tag"), Some("noindex, nofollow"));
        assert!(!answer.body.contains("<script") && answer.header("Set-Cookie").is_none());
    }
}

#[tokio::test]
async fn a_controllers_logo_and_colour_are_shown_and_nothing_from_elsewhere() {
    let site = Site::start().await;
    let logo = Image::new(b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>".to_vec()).unwrap();
    let address = format!("/assets/{}", logo.hash());
    let mut dressed = policy();
    let look = &mut dressed.controllers.get_mut("c").unwrap().look;
    look.accent = crate::policy::look::Accent::new(crate::policy::look::Colour::parse("#8a1538").unwrap());
    look.texts = [("en".to_owned(), [("ask-heading".to_owned(), "Leaving <us>?".to_owned())].into())].into();
    look.logo = Some(logo.clone());
    let plain = site.request("GET", &address, "", "").await;
    assert_eq!(plain.status, 404, "as long as no controller has it");
    *site.policy.lock().unwrap() = Arc::new(dressed);

    let path = format!("/u/{}", site.token("anna@x.example", 0));
    let page = site.request("GET", &path, "Accept-Language: en\r\n", "").await;
    let tag = format!("<img class=\"logo\" src=\"{}\" alt=\"Librairie &lt;C&gt;\">", address.replace('/', "&#x2f;"));
    assert!(page.body.contains(&tag) && page.body.contains("Leaving &lt;us&gt;?"), "{}", page.body);
    let style = page.body.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    assert!(style.contains("--accent: #8a1538"), "{style}");
    let digest = ring::digest::digest(&ring::digest::SHA256, style.as_bytes());
    let hash = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest);
    let allowed = page.header("Content-Security-Policy").unwrap();
    assert!(
        allowed.contains(&format!("style-src 'sha256-{hash}'")) && allowed.contains("img-src 'self';"),
        "{allowed}"
    );

    let picture = site.request("GET", &address, "", "").await;
    assert_eq!((picture.status, picture.header("Content-Type")), (200, Some("image/svg+xml")));
    assert_eq!(picture.body.as_bytes(), logo.bytes());
    let allowed = picture.header("Content-Security-Policy").unwrap();
    assert!(allowed.contains("default-src 'none'") && allowed.contains("sandbox"), "{allowed}");
    assert_eq!(picture.header("X-Content-Type-Options"), Some("nosniff"));
    assert!(picture.header("Cache-Control").unwrap().contains("immutable"));
}

#[tokio::test]
async fn what_could_not_be_recorded_is_never_said_to_be_done() {
    let site = Site::start().await;
    let contact = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    site.store.clone().shutdown();
    for contact in [contact, 0] {
        let answer = site.post(&site.token("anna@x.example", contact), ONE_CLICK).await;
        assert_eq!((answer.status, answer.header("Retry-After")), (503, Some("120")));
        assert!(answer.body.contains("contact@c.example"));
    }
}

#[tokio::test]
async fn a_request_in_progress_outlives_shutdown() {
    let site = Site::start().await;
    let contact = site.opted_in("anna@x.example", "2026-01-01T00:00:00Z").await;
    let token = site.token("anna@x.example", contact);
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    let head = format!("POST /u/{token} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 26\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap(); // the handler is waiting for the body
    site.stop.send(()).unwrap();
    stream.write_all(ONE_CLICK.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    site.server.await.unwrap();
    assert!(site.folder.path().exists());
}

#[tokio::test]
async fn a_supervisor_reads_what_is_wrong() {
    let condition = Arc::new(Mutex::new(ReadinessReport::default()));
    let asked = Arc::clone(&condition);
    let (to, _stop, _server) = listen(admin_router(Arc::new(move || asked.lock().unwrap().clone()))).await;
    let ready = request(to, "GET", "/readyz", "", "").await;
    assert_eq!((ready.status, ready.body.trim()), (200, r#"{"problems":[],"ready":true,"warnings":[]}"#));
    condition.lock().unwrap().warnings.push("look at the link".to_owned());
    assert_eq!(request(to, "GET", "/readyz", "", "").await.status, 200, "mail is taken all the same");
    condition.lock().unwrap().problems.push("store: the disk is full".to_owned());
    let unready = request(to, "GET", "/readyz", "", "").await;
    let said = r#"{"problems":["store: the disk is full"],"ready":false,"warnings":["look at the link"]}"#;
    assert_eq!((unready.status, unready.body.trim()), (503, said));
    assert_eq!(request(to, "GET", "/healthz", "", "").await.status, 200);
}
