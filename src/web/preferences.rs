//! `/p/{token}` and `/p/me`: what a person receives, how often, and by which ways.
//!
//! The link of a message opens it, or a code sent to the address. GET changes nothing. A link may have been passed on,
//! so it changes choices; to see or erase what is known takes a code. Somebody of whom nothing is on record, who was
//! forgotten or never known, sees what anybody sees who has chosen nothing.

mod form;
mod shown;
pub(super) mod wording;

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::header::HeaderMap;
use axum::http::{Response, StatusCode};
use minijinja::context;

use super::codes::Errand;
use super::desk::Desk;
use super::fields::{Broken, Fields};
use super::locale::Locale;
use super::objection;
use super::page::{all_languages, sole_controller};
use super::rights;
use super::room::{Guest, Problem, Refusal, Room, plain_page, prove};
use super::server::Peer;
use super::visitor::network_of;
use crate::consent::event::ConsentEvent;
use crate::consent::state::Consulted;
use crate::consent::token::UnsubscribeToken;
use crate::policy::preferences::{Answer, Said, Settled, Whom, everything_off, preferences};
use crate::policy::rules::{Controller, Policy};
use crate::smtp::address::EmailAddress;
use crate::store::{StoreError, Suppress};
use form::Unread;
use wording::Wording;

type Shared = State<Arc<Desk>>;

/// How often what was chosen is read against the record again: each time something else was recorded in between.
const TRIES: usize = 3;

/// For the choices of somebody of whom no address is known, which nothing is recorded of but a hash.
const NOBODY: &str = "nobody@invalid.example";

/// The page a link opens.
pub async fn show(State(desk): Shared, Path(token): Path<String>, headers: HeaderMap) -> Response<Body> {
    match by_link(&desk, &token, &headers).await {
        Ok(room) => room.choices(StatusCode::OK, None).await,
        Err(answer) => *answer,
    }
}

/// What is chosen there; which step it is, the form says.
pub async fn step(
    State(desk): Shared,
    Path(token): Path<String>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response<Body> {
    let room = match by_link(&desk, &token, &headers).await {
        Ok(room) => room,
        Err(answer) => return *answer,
    };
    let fields = match Fields::read(&headers, body) {
        Ok(fields) => fields,
        Err(broken) => return room.broken(broken),
    };
    match prove(&desk, &fields) {
        Some(Ok(guest)) if is_same(&room.guest, &guest) => {
            rights::step(&Room { guest, ..room }, &fields, network_of(peer, &headers, &desk.pages.trusted_proxies))
                .await
        }
        Some(Err((Problem::WrongCode, request, left))) => {
            room.ask_code(StatusCode::BAD_REQUEST, Some(Problem::WrongCode), &request, left)
        }
        Some(_) => {
            room.answer(StatusCode::BAD_REQUEST, "own_problem.html", context! { problem => Problem::CodeIsOver })
        }
        None => match fields.one("step") {
            Some("ask-code") => room.send_code(network_of(peer, &headers, &desk.pages.trusted_proxies)).await,
            Some("save") => room.save(&fields).await,
            Some("off") => room.everything_off().await,
            _ => room.broken(Broken(StatusCode::BAD_REQUEST)),
        },
    }
}

/// `/p/me`: the page that asks for the address; changes nothing.
pub async fn show_me(State(desk): Shared, headers: HeaderMap) -> Response<Body> {
    Entrance::of(&desk, &headers).ask_address(StatusCode::OK, None, "")
}

/// `/p/me`: an address, a code, a controller, and then the choices.
pub async fn step_me(
    State(desk): Shared,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response<Body> {
    let entrance = Entrance::of(&desk, &headers);
    let network = network_of(peer, &headers, &desk.pages.trusted_proxies);
    let fields = match Fields::read(&headers, body) {
        Ok(fields) => fields,
        Err(broken) => return entrance.page(broken.0, "own_broken.html", context! {}),
    };
    match prove(&desk, &fields) {
        Some(Ok(guest)) => entrance.let_in(guest, &fields, network).await,
        Some(Err((Problem::WrongCode, request, left))) => {
            entrance.ask_code(StatusCode::BAD_REQUEST, Some(Problem::WrongCode), &request, left)
        }
        Some(Err((problem, ..))) => entrance.ask_address(StatusCode::BAD_REQUEST, Some(problem), ""),
        None => match fields.one("address") {
            Some(address) => entrance.send_code(address, network).await,
            None => entrance.ask_address(StatusCode::BAD_REQUEST, None, ""),
        },
    }
}

/// The door of `/p/me`, before anybody is known.
struct Entrance<'a> {
    desk: &'a Desk,
    policy: Arc<Policy>,
    locale: Locale,
}

impl<'a> Entrance<'a> {
    fn of(desk: &'a Desk, headers: &HeaderMap) -> Entrance<'a> {
        let policy = (desk.pages.policy)();
        let locale = desk.pages.site.locale(headers, &all_languages(&policy));
        Entrance { desk, policy, locale }
    }

    fn page(&self, status: StatusCode, template: &str, context: minijinja::Value) -> Response<Body> {
        plain_page(self.desk, (&*self.policy, None, &self.locale), status, template, context)
    }

    fn ask_address(&self, status: StatusCode, problem: Option<Problem>, address: &str) -> Response<Body> {
        self.page(status, "own_address.html", context! { problem, address })
    }

    fn ask_code(&self, status: StatusCode, problem: Option<Problem>, request: &str, left: u8) -> Response<Body> {
        let attempts_left = left;
        self.page(status, "own_code.html", context! { problem, request, attempts_left, masked => () })
    }

    /// The same for every address: nothing is looked up.
    async fn send_code(&self, text: &str, network: Option<ipnet::IpNet>) -> Response<Body> {
        let Some(address) = EmailAddress::parse(text).ok().filter(|address| !address.hides_recipient()) else {
            return self.ask_address(StatusCode::BAD_REQUEST, Some(Problem::NoAddress), text);
        };
        let words = self.locale.clone().of(sole_controller(&self.policy));
        match self.desk.send_code(&address, network, ("/p/me", Errand::Own), &words).await {
            Ok(request) => self.ask_code(StatusCode::OK, None, &request, 0),
            Err(no_code) => match Refusal::of(no_code) {
                Some(refusal) => refusal.on(self.ask_address(refusal.status, Some(refusal.problem), text)),
                None => self.page(StatusCode::SERVICE_UNAVAILABLE, "unavailable.html", context! {}),
            },
        }
    }

    /// Which controller, where there are several, the person says.
    async fn let_in(&self, guest: Guest, fields: &Fields, network: Option<ipnet::IpNet>) -> Response<Body> {
        let named = fields.one("controller").filter(|id| self.policy.controllers.contains_key(*id));
        let only = sole_controller(&self.policy).map(|controller| controller.id.as_str());
        let Some(controller) = named.or(only) else { return self.choose(fields) };
        let (policy, locale) = (Arc::clone(&self.policy), self.locale.clone());
        let (controller, path) = (controller.to_owned(), "/p/me".to_owned());
        rights::step(&Room { desk: self.desk, policy, controller, locale, guest, path }, fields, network).await
    }

    fn choose(&self, fields: &Fields) -> Response<Body> {
        let one = |controller: &Controller| (controller.id.clone(), controller.name.clone());
        let controllers: Vec<(String, String)> = self.policy.controllers.values().map(one).collect();
        let (request, code) = (fields.one("request"), fields.one("code"));
        self.page(StatusCode::OK, "own_senders.html", context! { request, code, controllers })
    }
}

/// The room a link opens; else the page that says that it opens none.
async fn by_link<'a>(desk: &'a Desk, text: &str, headers: &HeaderMap) -> Result<Room<'a>, Box<Response<Body>>> {
    let policy = (desk.pages.policy)();
    let everybodys = desk.pages.site.locale(headers, &all_languages(&policy));
    let no_link = || {
        let about = (&*policy, None, &everybodys);
        Box::new(plain_page(desk, about, StatusCode::NOT_FOUND, "no_link.html", context! {}))
    };
    let token = UnsubscribeToken::open(text, &desk.pages.sealing_keys).map_err(|error| {
        tracing::info!(%error, "link to preferences refused");
        no_link()
    })?;
    let Some(controller) = policy.controllers.get(&token.controller) else { return Err(no_link()) };
    let locale = desk.pages.site.locale(headers, &controller.languages);
    let (store, keys, asked) = (desk.pages.store.clone(), desk.pages.hash_keys.clone(), token.clone());
    let reading = tokio::task::spawn_blocking(move || objection::of_token(&mut store.reader()?, &keys, &asked));
    let contact = reading.await.unwrap_or(Err(StoreError::Gone)).map_err(|error| {
        tracing::error!(%error, "no preferences without the store");
        let about = (&*policy, Some(controller), &locale);
        Box::new(plain_page(desk, about, StatusCode::SERVICE_UNAVAILABLE, "unavailable.html", context! {}))
    })?;
    let (controller, address) = (token.controller.clone(), contact.map(|contact| contact.address));
    Ok(Room { desk, controller, locale, guest: Guest::Link { token, address }, path: format!("/p/{text}"), policy })
}

/// A code that was sent to somebody else opens nothing here.
fn is_same(link: &Guest, reader: &Guest) -> bool {
    let key = |guest: &Guest| guest.address().map(EmailAddress::consent_key);
    key(link).is_some() && key(link) == key(reader)
}

impl Room<'_> {
    pub(super) fn broken(&self, broken: Broken) -> Response<Body> {
        self.answer(broken.0, "own_broken.html", context! {})
    }

    /// The page of choices.
    pub(super) async fn choices(&self, status: StatusCode, problem: Option<Problem>) -> Response<Body> {
        let nobody = EmailAddress::parse(NOBODY).ok();
        let (Some(address), Ok((known, _))) = (self.guest.address().or(nobody.as_ref()), self.known().await) else {
            return self.unavailable();
        };
        let now = preferences(&self.whom(address, &known));
        let page = shown::context(self, &now, &Wording::of(self));
        self.answer(status, "preferences.html", context! { problem, ..page })
    }

    async fn known(&self) -> Result<(Consulted, i64), StoreError> {
        match self.guest.address() {
            Some(address) => self.consult(address).await,
            None => Ok((Consulted::default(), 0)),
        }
    }

    pub(super) fn whom<'b>(&'b self, address: &'b EmailAddress, consulted: &'b Consulted) -> Whom<'b> {
        Whom { policy: &self.policy, controller: &self.controller, address, consulted, now: self.now() }
    }

    /// What was chosen on the page.
    pub(super) async fn save(&self, fields: &Fields) -> Response<Body> {
        let answer = match form::answer(fields, &self.policy, self.now()) {
            Ok(answer) => answer,
            Err(Unread::Broken) => return self.broken(Broken(StatusCode::BAD_REQUEST)),
            Err(Unread::Pause) => return self.choices(StatusCode::BAD_REQUEST, Some(Problem::Pause)).await,
        };
        match self.record(&answer).await {
            Ok(settled) => self.saved(&settled),
            Err(error) => self.not_recorded(&error),
        }
    }

    /// Nothing more by mail, whatever it is about.
    pub(super) async fn everything_off(&self) -> Response<Body> {
        let wording = Wording::of(self);
        let everything = |whom: &Whom<'_>, said: &Said<'_>| (everything_off(whom, said), Vec::new());
        match self.settle(&wording, everything, |_: &Vec<String>| Some(Vec::new())).await {
            Ok(_) => self.answer(StatusCode::OK, "own_done.html", context! { done => "off" }),
            Err(error) => self.not_recorded(&error),
        }
    }

    pub(super) fn not_recorded(&self, error: &StoreError) -> Response<Body> {
        tracing::error!(controller = self.controller, %error, "choices not recorded");
        self.unavailable()
    }

    async fn record(&self, answer: &Answer) -> Result<Settled, StoreError> {
        let wording = Wording::of(self);
        let settle = |whom: &Whom<'_>, said: &Said<'_>| {
            let mut settled = answer.settle(whom, said);
            (std::mem::take(&mut settled.events), settled)
        };
        let left = |settled: &Settled| Some(settled.switched_off.clone()).filter(|topics| !topics.is_empty());
        self.settle(&wording, settle, left).await
    }

    /// Reads, settles and records, anew where something else was recorded in between. Of somebody of whom no address is
    /// known only a no can be kept, under a hash; `left` says to what.
    async fn settle<T>(
        &self,
        wording: &Wording,
        settle: impl Fn(&Whom<'_>, &Said<'_>) -> (Vec<ConsentEvent>, T),
        left: impl Fn(&T) -> Option<Vec<String>>,
    ) -> Result<T, StoreError> {
        let version = wording.version();
        let said = Said {
            source: self.guest.source(),
            text_version: &version,
            evidence: self.guest.evidence(),
            proven: matches!(self.guest, Guest::Reader { .. }),
        };
        let store = &self.desk.pages.store;
        let mut tries = 0..TRIES;
        loop {
            let (known, seen) = self.known().await?;
            let Some(address) = self.guest.address() else {
                let nobody = EmailAddress::parse(NOBODY).map_err(|error| StoreError::Failed(error.to_string()))?;
                let (_, settled) = settle(&self.whom(&nobody, &known), &said);
                if let (Some(topics), Guest::Link { token, .. }) = (left(&settled), &self.guest) {
                    match self.guest.leaves_through(Some(&topics)) {
                        Some(link) => store.suppress_through(self.mark(token, topics), link).await?,
                        None => store.suppress(self.mark(token, topics)).await?,
                    }
                }
                return Ok(settled);
            };
            let (events, settled) = settle(&self.whom(address, &known), &said);
            if events.is_empty() {
                return Ok(settled);
            }
            store.keep_text(wording.kept(self.now())).await?;
            let count = events.len();
            match store.record_events(events, seen, self.guest.leaves_through(left(&settled).as_deref())).await {
                Err(StoreError::Overtaken) if tries.next().is_some() => {}
                Err(error) => return Err(error),
                Ok(_) => {
                    tracing::info!(controller = self.controller, events = count, by = said.source, "choices recorded");
                    return Ok(settled);
                }
            }
        }
    }

    fn mark(&self, token: &UnsubscribeToken, topics: Vec<String>) -> Suppress {
        Suppress {
            controller: self.controller.clone(),
            hash: token.hash,
            topics,
            at: self.now(),
            mechanism: "preference_centre".to_owned(),
        }
    }

    fn saved(&self, settled: &Settled) -> Response<Body> {
        let told = context! {
            unchanged => settled.is_unchanged(),
            on => self.labels(&settled.switched_on),
            off => self.labels(&settled.switched_off),
            off_with_another => self.labels(&settled.off_with_another),
            overtaken => self.labels(&settled.overtaken),
            unproven => self.labels(&settled.unproven),
            not_yet => self.labels(&settled.not_yet),
            wishes_changed => settled.wishes_changed,
            wishes_overtaken => settled.wishes_overtaken,
        };
        self.answer(StatusCode::OK, "preferences_saved.html", told)
    }
}
