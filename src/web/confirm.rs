//! `/confirm/{token}`: the answer to the question that was sent by mail. Looking at it changes nothing; the button does.
//!
//! Who asked on a form has ticked already and presses a button. What somebody else noted, in a shop or on the telephone,
//! stands here as boxes that are not ticked: only the person's own tick confirms.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER, USER_AGENT};
use axum::http::{Response, StatusCode};
use minijinja::{Value, context};

use super::locale::Locale;
use super::page::{Sender, all_languages, sole_controller, topic_label};
use super::public::{PublicPages, RETRY_AFTER_SECONDS};
use super::server::Peer;
use super::site::View;
use super::subscribe::{LANGUAGE_FIELD, VERSION_FIELD};
use super::wording::Wording;
use super::{form, trace, visitor};
use crate::consent::confirm::ConfirmToken;
use crate::consent::event::RecordedEvent;
use crate::policy::form::{Trace, id_in_source};
use crate::policy::rules::{Controller, Policy};
use crate::policy::sign_up::{Confirmed, Standpoint, TOPIC_FIELD, needs_a_tick, standpoint};
use crate::smtp::address::Width;
use crate::store::StoreError;

type Pages = State<Arc<PublicPages>>;

/// The question; changes nothing.
pub async fn show(State(pages): Pages, Path(token): Path<String>, headers: HeaderMap) -> Response<Body> {
    let visit = Visit::of(&pages, &token, &headers, None);
    match visit.find().await {
        Ok(found) => visit.tell(found, None),
        Err(error) => visit.unavailable(&error),
    }
}

/// The answer.
pub async fn confirm(
    State(pages): Pages,
    Path(token): Path<String>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response<Body> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let fields = body.map(|body| form::fields(content_type, &body)).unwrap_or_default();
    let value = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.trim());
    let visit = Visit::of(&pages, &token, &headers, value(LANGUAGE_FIELD).map(str::to_owned));
    let found = match visit.find().await {
        Ok(found) => found,
        Err(error) => return visit.unavailable(&error),
    };
    let Some((request, Standpoint::Open(open))) = found else { return visit.tell(found, None) };
    let asked = |problem| visit.tell(Some((request.clone(), Standpoint::Open(open.clone()))), problem);
    if value("confirm") != Some("yes") {
        return asked(Some("unreadable"));
    }
    let answer = if needs_a_tick(&request) {
        let ticked: Vec<String> =
            fields.iter().filter(|(name, _)| name == TOPIC_FIELD).map(|(_, topic)| topic.trim().to_owned()).collect();
        let Some(wording) = visit.wording(&open).filter(|wording| value(VERSION_FIELD) == Some(&wording.version))
        else {
            return asked(Some("changed"));
        };
        if ticked.is_empty() || !ticked.iter().all(|topic| open.contains(topic)) {
            return asked(Some("nothing-ticked"));
        }
        (ticked, Some(wording))
    } else {
        (open.clone(), None)
    };
    visit.record(&request, answer, &headers, peer).await
}

/// What a link leads to; nothing: it is none of ours, or of somebody who was forgotten since.
type Found = Option<(RecordedEvent, Standpoint)>;

/// One look at a link.
struct Visit<'a> {
    pages: &'a Arc<PublicPages>,
    policy: Arc<Policy>,
    token: Option<ConfirmToken>,
    locale: Locale,
}

impl<'a> Visit<'a> {
    fn of(pages: &'a Arc<PublicPages>, text: &str, headers: &HeaderMap, language: Option<String>) -> Visit<'a> {
        let policy = (pages.policy)();
        let token = ConfirmToken::open(text, &pages.sealing_keys);
        let token = token.inspect_err(|error| tracing::info!(%error, "confirmation link refused")).ok();
        let controller = token.as_ref().and_then(|token| policy.controllers.get(&token.controller));
        let languages = controller.map_or_else(|| all_languages(&policy), |controller| controller.languages.clone());
        let locale = match &language {
            Some(language) => pages.site.locale_of([language]),
            None => pages.site.locale(headers, &languages),
        };
        Visit { pages, policy, token, locale }
    }

    fn controller(&self) -> Option<&Controller> {
        self.policy.controllers.get(&self.token.as_ref()?.controller)
    }

    async fn find(&self) -> Result<Found, StoreError> {
        let Some(token) = self.token.clone() else { return Ok(None) };
        let (pages, policy, now) = (self.pages.clone(), self.policy.clone(), (self.pages.clock)());
        let reading = tokio::task::spawn_blocking(move || {
            let mut reader = pages.store.reader()?;
            let Some(request) = reader.event(token.request)? else { return Ok(None) };
            let (address, controller) = (request.event.address.clone(), &request.event.controller);
            let hashes = pages.hash_keys.all_hashes(controller, &address.objection_key(Width::WIDEST));
            if *controller != token.controller || !request.event.kind.is_opt_in() || !hashes.contains(&token.hash) {
                tracing::warn!("confirmation link of another store or of a ledger key no longer held");
                return Ok(None);
            }
            let (known, _) = reader.consult(controller, std::slice::from_ref(&address))?;
            let known = known.into_iter().next().unwrap_or_default();
            let standpoint = standpoint(&policy, &request, &address, &known, now);
            Ok(Some((request, standpoint)))
        });
        reading.await.unwrap_or(Err(StoreError::Gone))
    }

    fn tell(&self, found: Found, problem: Option<&str>) -> Response<Body> {
        let Some((request, standpoint)) = found else {
            return self.over(StatusCode::NOT_FOUND, "unknown", None);
        };
        match standpoint {
            Standpoint::Open(topics) => self.ask(&request, &topics, problem),
            Standpoint::Confirmed(topics) => self.thank(&topics),
            Standpoint::Late => self.over(StatusCode::GONE, "late", Some(&request)),
            Standpoint::Withdrawn => self.over(StatusCode::CONFLICT, "withdrawn", Some(&request)),
        }
    }

    fn ask(&self, request: &RecordedEvent, topics: &[String], problem: Option<&str>) -> Response<Body> {
        let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        let wording = needs_a_tick(request).then(|| self.wording(topics)).flatten();
        let context = context! { sender => self.sender(), topics => self.labels(topics), wording, problem };
        self.page(status, "confirm.html", context)
    }

    fn thank(&self, topics: &[String]) -> Response<Body> {
        let context = context! { sender => self.sender(), topics => self.labels(topics) };
        self.page(StatusCode::OK, "confirmed.html", context)
    }

    /// `why`: as in the messages `confirm-over-…`. Who still wants it asks anew.
    fn over(&self, status: StatusCode, why: &str, request: Option<&RecordedEvent>) -> Response<Body> {
        let again = request.and_then(|request| {
            let controller = &request.event.controller;
            let form = request.event.source.as_deref().and_then(id_in_source);
            let known = form.filter(|id| self.policy.form(controller, id).is_some());
            match known {
                Some(id) => Some(format!("{}/subscribe/{controller}/{id}", self.pages.site.base())),
                None => self
                    .policy
                    .default_form(controller)
                    .map(|_| format!("{}/subscribe/{controller}", self.pages.site.base())),
            }
        });
        self.page(status, "confirm_over.html", context! { why, again, sender => self.sender() })
    }

    fn unavailable(&self, error: &StoreError) -> Response<Body> {
        tracing::error!(%error, "confirmation: the store does not answer");
        let mut answer = self.page(StatusCode::SERVICE_UNAVAILABLE, "unavailable.html", context! {});
        answer.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        answer
    }

    fn page(&self, status: StatusCode, template: &str, context: Value) -> Response<Body> {
        let controller = self.controller();
        let senders = controller.map_or_else(|| Sender::all(&self.policy), |controller| vec![Sender::of(controller)]);
        let controller = controller.or_else(|| sole_controller(&self.policy));
        let view = View { locale: self.locale.clone(), controller, senders };
        self.pages.site.answer(status, template, &view, context)
    }

    fn sender(&self) -> &str {
        self.controller().map_or("", |controller| &controller.name)
    }

    fn labels<'b>(&'b self, topics: &'b [String]) -> Vec<&'b str> {
        topics.iter().map(|path| topic_label(&self.policy, path, &self.locale)).collect()
    }

    /// What is read beside the boxes of a request that somebody else noted.
    fn wording(&self, topics: &[String]) -> Option<Wording> {
        let controller = self.controller()?;
        Some(Wording::of_question(controller, topics, &self.policy, &self.locale))
    }

    async fn record(
        &self,
        request: &RecordedEvent,
        (topics, wording): (Vec<String>, Option<Wording>),
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Response<Body> {
        let at = (self.pages.clock)();
        let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
        let from = visitor::address_of(peer, headers, &self.pages.trusted_proxies);
        let trace = trace::trace(self.kept(request), &self.pages.hash_keys, from, agent);
        let shown = wording.as_ref().map(|wording| wording.version.clone());
        let text_version = shown.or_else(|| request.event.text_version.clone());
        let confirmed = Confirmed { request, topics: topics.clone(), text_version, trace, at };
        match self.write(wording, &confirmed).await {
            Ok(()) => {
                tracing::info!(controller = request.event.controller, topics = topics.join(","), "opt-in confirmed");
                self.thank(&topics)
            }
            Err(error) => self.unavailable(&error),
        }
    }

    /// As the form says on which it was asked for.
    fn kept(&self, request: &RecordedEvent) -> Trace {
        let id = request.event.source.as_deref().and_then(id_in_source);
        let form = id.and_then(|id| self.policy.form(&request.event.controller, id));
        form.map_or(Trace::None, |form| form.trace)
    }

    async fn write(&self, wording: Option<Wording>, confirmed: &Confirmed<'_>) -> Result<(), StoreError> {
        let store = &self.pages.store;
        if let Some(wording) = wording {
            store.keep_text(wording.kept(confirmed.at)).await?;
        }
        for event in confirmed.events() {
            store.record_event(event).await?;
        }
        // It is confirmed already: that its reminder is struck is a courtesy, and the reminder looks itself.
        if let Err(error) = store.end_asking(confirmed.request.seq).await {
            tracing::warn!(%error, "confirmed, but still listed to be reminded");
        }
        Ok(())
    }
}
