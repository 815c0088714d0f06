//! `/u/me`: the fixed address that mailers put into their templates, where it was not replaced by a sealed link.
//!
//! It does not say who the visitor is, so a code goes to the address they name, whoever they are: what is known of an
//! address is looked at only after the code has shown who reads its mail. No cookie, and no address in a URL or a log.

mod offer;

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use axum::http::{Response, StatusCode};
use jiff::SignedDuration;
use minijinja::{Value, context};
use serde::Serialize;

use super::codes::{Errand, Proof};
use super::desk::{Desk, NoCode};
use super::form;
use super::locale::Locale;
use super::objection::{self, Mechanism, Objection, Who};
use super::page::{Sender, all_languages, sole_controller};
use super::public::RETRY_AFTER_SECONDS;
use super::server::Peer;
use super::site::View;
use super::visitor;
use crate::policy::rules::Policy;
use crate::smtp::address::EmailAddress;
use offer::Wish;

type Shared = State<Arc<Desk>>;

/// The page that asks for the address; changes nothing.
pub async fn show(State(desk): Shared, headers: HeaderMap) -> Response<Body> {
    let visit = Visit::of(&desk, &headers);
    visit.ask_address(StatusCode::OK, None, "")
}

/// The next step: which one, the form says.
pub async fn step(
    State(desk): Shared,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response<Body> {
    let visit = Visit::of(&desk, &headers);
    let Ok(body) = body else {
        return visit.ask_address(StatusCode::PAYLOAD_TOO_LARGE, None, "");
    };
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let fields = form::fields(content_type, &body);
    let value = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.trim());
    if let (Some(request), Some(code)) = (value("request"), value("code")) {
        let leave = fields.iter().filter(|(name, _)| name == "leave").map(|(_, value)| value.as_str()).collect();
        let chosen: Option<Vec<&str>> = (value("step") == Some("leave")).then_some(leave);
        return visit.take_code(request, code, chosen).await;
    }
    match value("address") {
        Some(address) => {
            let network = visitor::network_of(peer, &headers, &desk.pages.trusted_proxies);
            visit.send_code(address, network).await
        }
        None => visit.ask_address(StatusCode::BAD_REQUEST, None, ""),
    }
}

/// What is wrong with what was entered; each has a message `me-problem-…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Problem {
    NoAddress,
    TooOften,
    NotSent,
    WrongCode,
    CodeIsOver,
    NothingChosen,
}

/// One request, and what is needed to answer it.
struct Visit<'a> {
    desk: &'a Desk,
    policy: Arc<Policy>,
    locale: Locale,
}

impl<'a> Visit<'a> {
    fn of(desk: &'a Desk, headers: &HeaderMap) -> Visit<'a> {
        let policy = (desk.pages.policy)();
        let locale = desk.pages.site.locale(headers, &all_languages(&policy));
        Visit { desk, locale, policy }
    }

    fn answer(&self, status: StatusCode, template: &str, context: Value) -> Response<Body> {
        let controller = sole_controller(&self.policy);
        let view = View { locale: self.locale.clone(), controller, senders: Sender::all(&self.policy) };
        self.desk.pages.site.answer(status, template, &view, context)
    }

    /// `address`: as it was entered.
    fn ask_address(&self, status: StatusCode, problem: Option<Problem>, address: &str) -> Response<Body> {
        self.answer(status, "me_address.html", context! { problem, address })
    }

    /// `attempts_left` is shown beside a problem.
    fn ask_code(
        &self,
        status: StatusCode,
        problem: Option<Problem>,
        request: &str,
        attempts_left: u8,
    ) -> Response<Body> {
        self.answer(status, "me_code.html", context! { problem, request, attempts_left })
    }

    /// The same for every address: nothing is looked up.
    async fn send_code(&self, text: &str, network: Option<ipnet::IpNet>) -> Response<Body> {
        let Some(address) = EmailAddress::parse(text).ok().filter(|address| !address.hides_recipient()) else {
            return self.ask_address(StatusCode::BAD_REQUEST, Some(Problem::NoAddress), text);
        };
        let locale = self.locale.clone().of(sole_controller(&self.policy));
        match self.desk.send_code(&address, network, ("/u/me", Errand::Leave), &locale).await {
            Ok(request) => self.ask_code(StatusCode::OK, None, &request, 0),
            Err(NoCode::TooOften(wait)) => {
                let answer = self.ask_address(StatusCode::TOO_MANY_REQUESTS, Some(Problem::TooOften), text);
                retry_after(answer, wait)
            }
            Err(NoCode::NotSent) => {
                let answer = self.ask_address(StatusCode::SERVICE_UNAVAILABLE, Some(Problem::NotSent), text);
                with_retry(answer, RETRY_AFTER_SECONDS)
            }
            Err(NoCode::Unavailable) => self.unavailable(),
        }
    }

    async fn take_code(&self, request: &str, code: &str, chosen: Option<Vec<&str>>) -> Response<Body> {
        match self.desk.prove(request, code, Errand::Leave) {
            Proof::Given(address) => match chosen {
                Some(chosen) => self.leave(address, &chosen, request, code).await,
                None => self.offer(address, None, request, code).await,
            },
            Proof::Wrong { attempts_left } => {
                self.ask_code(StatusCode::BAD_REQUEST, Some(Problem::WrongCode), request, attempts_left)
            }
            Proof::Over => self.ask_address(StatusCode::BAD_REQUEST, Some(Problem::CodeIsOver), ""),
        }
    }

    /// What the person could leave.
    async fn offer(
        &self,
        address: EmailAddress,
        problem: Option<Problem>,
        request: &str,
        code: &str,
    ) -> Response<Body> {
        let (store, policy) = (self.desk.pages.store.clone(), self.policy.clone());
        let (now, locale) = ((self.desk.pages.clock)(), self.locale.clone());
        let reading = tokio::task::spawn_blocking(move || offer::read(&store, &policy, &address, &locale, now));
        let Ok(Ok(offers)) = reading.await else {
            return self.unavailable();
        };
        let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        self.answer(status, "me_choice.html", context! { problem, request, code, offers })
    }

    /// Records an objection for each controller that is left, at least in part.
    async fn leave(&self, address: EmailAddress, chosen: &[&str], request: &str, code: &str) -> Response<Body> {
        let wishes = Wish::read(chosen, &self.policy);
        let Some(wishes) = wishes.filter(|wishes| !wishes.is_empty()) else {
            return self.offer(address, Some(Problem::NothingChosen), request, code).await;
        };
        let at = (self.desk.pages.clock)();
        for wish in &wishes {
            let objection = Objection {
                who: Who::Reader(address.clone()),
                controller: wish.controller.clone(),
                topics: wish.topics.clone(),
                mechanism: Mechanism::LinkPage,
                wrong_address: false,
                at,
            };
            let controller = wish.controller.as_str();
            if let Err(error) = objection::record(&self.desk.pages.store, &self.desk.pages.hash_keys, objection).await {
                tracing::error!(controller, %error, "unsubscribe through /u/me not recorded");
                return self.unavailable();
            }
            tracing::info!(controller, topics = wish.topics.join(","), "unsubscribed through /u/me");
        }
        let left: Vec<_> = wishes.iter().map(|wish| wish.told(&self.policy, &self.locale)).collect();
        self.answer(StatusCode::OK, "me_left.html", context! { left })
    }

    fn unavailable(&self) -> Response<Body> {
        with_retry(self.answer(StatusCode::SERVICE_UNAVAILABLE, "unavailable.html", context! {}), RETRY_AFTER_SECONDS)
    }
}

pub(super) fn retry_after(answer: Response<Body>, wait: SignedDuration) -> Response<Body> {
    with_retry(answer, HeaderValue::from(wait.as_secs().max(1)))
}

pub(super) fn with_retry(mut answer: Response<Body>, seconds: HeaderValue) -> Response<Body> {
    answer.headers_mut().insert(RETRY_AFTER, seconds);
    answer
}
