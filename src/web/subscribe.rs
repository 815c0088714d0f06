//! `/subscribe/{controller}`: sign-up forms, as a page of the gate, from a web site that shows one, and as JSON.
//!
//! Anybody can write anybody's address into a form. So a yes is only asked about by mail, every address gets the same
//! answer, and what looks like a machine, or like somebody who fills a stranger's mailbox, changes nothing.

mod json;
mod record;
mod sender;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use axum::http::{Response, StatusCode};
use ipnet::IpNet;
use jiff::SignedDuration;
use minijinja::context;
use serde::Serialize;

use super::form;
use super::limits::{Full, Limits, SIGN_UPS};
use super::locale::Locale;
use super::page::{self, Sender};
use super::public::{PublicPages, RETRY_AFTER_SECONDS};
use super::server::Peer;
use super::site::View;
use super::visitor;
use super::wording::Wording;
use crate::consent::stamp;
use crate::policy::form::Form;
use crate::policy::rules::{Controller, Policy};
use crate::policy::sign_up::{ANSWER_PREFIX, Answer, REFUSE_FIELD, TOPIC_FIELD, Unanswered};
use crate::smtp::address::{EmailAddress, Width};
use record::Recorded;
use sender::Page;

/// Who reads and types takes longer than this.
const SHORTEST: SignedDuration = SignedDuration::from_secs(2);
/// A page that was left open goes on working for a day.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);
/// A field nobody sees: who fills it in is a machine.
const TRAP_FIELD: &str = "website";
pub(super) const STAMP_FIELD: &str = "stamp";
pub(super) const VERSION_FIELD: &str = "text_version";
pub(super) const LANGUAGE_FIELD: &str = "language";
pub(super) const ADDRESS_FIELD: &str = "address";

/// Where answers to forms are taken.
pub struct Counter {
    pages: PublicPages,
    limits: Mutex<Limits>,
}

impl Counter {
    pub fn new(pages: PublicPages) -> Counter {
        Counter { pages, limits: Mutex::new(Limits::new(SIGN_UPS)) }
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Shared = State<Arc<Counter>>;
type Named = Path<HashMap<String, String>>;

/// The form; changes nothing.
pub async fn show(State(counter): Shared, Path(named): Named, headers: HeaderMap) -> Response<Body> {
    let Some(visit) = Visit::of(&counter, &named, &headers, None) else { return no_form() };
    if wants_json(&headers) {
        return json::form(&visit, &headers);
    }
    visit.form(StatusCode::OK, None, &[])
}

/// Which web sites may ask for the form by script.
pub async fn preflight(State(counter): Shared, Path(named): Named, headers: HeaderMap) -> Response<Body> {
    match Visit::of(&counter, &named, &headers, None) {
        Some(visit) => json::preflight(&visit, &headers),
        None => no_form(),
    }
}

/// A form that was filled in.
pub async fn answer(
    State(counter): Shared,
    Path(named): Named,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response<Body> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_json = json::is_json(content_type);
    let read = body.as_ref().ok().map(|body| match is_json {
        true => json::fields(body),
        false => Some(form::fields(content_type, body)),
    });
    let fields = read.clone().flatten().unwrap_or_default();
    let language = value(&fields, LANGUAGE_FIELD).map(str::to_owned);
    let Some(visit) = Visit::of(&counter, &named, &headers, language) else { return no_form() };
    let done = match read {
        None => Err(Problem::TooLarge),
        Some(None) => Err(Problem::Unreadable),
        Some(Some(_)) => visit.take(&fields, &headers, peer).await,
    };
    if is_json {
        return json::answer(&visit, done, &headers);
    }
    match done {
        Ok(outcome) => visit.thank(outcome),
        Err(problem) => problem.dated(visit.form(problem.status(), Some(problem), &fields)),
    }
}

fn wants_json(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(json::is_json)
}

fn no_form() -> Response<Body> {
    page::plain(StatusCode::NOT_FOUND, "There is no form here.\n")
}

fn value<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.trim())
}

/// What came of an answer; each has messages `subscribed-…`. The same for every address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    /// A mail with the question is on its way.
    Mail,
    /// It could not be sent, and will be.
    MailLater,
    Recorded,
    /// Nothing was ticked.
    Blank,
}

/// Why an answer is not taken; each has a message `subscribe-problem-…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Problem {
    NoAddress,
    /// A question was left open.
    Open,
    /// Something the form does not ask.
    Foreign,
    /// Faster than anybody types, or from a page that was not ours.
    TooFast,
    /// The page is from yesterday.
    Stale,
    /// The form says something else now.
    Changed,
    TooOften {
        #[serde(skip)]
        wait: SignedDuration,
    },
    /// Sent in from a web site that may not.
    Elsewhere,
    TooLarge,
    Unreadable,
    NotRecorded,
}

impl Problem {
    /// As in a message's key.
    fn name(self) -> &'static str {
        match self {
            Problem::NoAddress => "no-address",
            Problem::Open => "open",
            Problem::Foreign => "foreign",
            Problem::TooFast => "too-fast",
            Problem::Stale => "stale",
            Problem::Changed => "changed",
            Problem::TooOften { .. } => "too-often",
            Problem::Elsewhere => "elsewhere",
            Problem::TooLarge | Problem::Unreadable => "unreadable",
            Problem::NotRecorded => "not-recorded",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Problem::Elsewhere => StatusCode::FORBIDDEN,
            Problem::Changed | Problem::Stale => StatusCode::CONFLICT,
            Problem::TooOften { .. } => StatusCode::TOO_MANY_REQUESTS,
            Problem::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Problem::NotRecorded => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// When to come again, where that is known.
    fn dated(self, mut answer: Response<Body>) -> Response<Body> {
        let seconds = match self {
            Problem::TooOften { wait } => Some(HeaderValue::from(wait.as_secs().max(1))),
            Problem::NotRecorded => Some(RETRY_AFTER_SECONDS),
            _ => None,
        };
        seconds.into_iter().for_each(|seconds| _ = answer.headers_mut().insert(RETRY_AFTER, seconds));
        answer
    }
}

/// One request for one form.
struct Visit<'a> {
    counter: &'a Counter,
    policy: Arc<Policy>,
    form: Form,
    wording: Wording,
    locale: Locale,
}

impl<'a> Visit<'a> {
    /// `language`: as the form that was shown says, else as the browser asks.
    fn of(
        counter: &'a Counter,
        named: &HashMap<String, String>,
        headers: &HeaderMap,
        language: Option<String>,
    ) -> Option<Visit<'a>> {
        let (policy, controller) = ((counter.pages.policy)(), named.get("controller")?);
        let form = match named.get("form") {
            Some(id) => policy.form(controller, id)?.into_owned(),
            None => policy.default_form(controller)?.into_owned(),
        };
        let languages = &policy.controllers.get(controller)?.languages;
        let site = &counter.pages.site;
        let locale = match &language {
            Some(language) => site.locale_of([language]),
            None => site.locale(headers, languages),
        };
        let wording = Wording::of_form(&form, &policy, &locale)?;
        Some(Visit { counter, policy, form, wording, locale })
    }

    fn controller(&self) -> Option<&Controller> {
        self.policy.controllers.get(&self.form.controller)
    }

    /// The stamp a form gets that is shown now.
    fn stamp(&self) -> String {
        stamp::stamp(&self.counter.pages.sealing_keys, &self.form.id, (self.counter.pages.clock)())
    }

    fn page(&self, status: StatusCode, template: &str, context: minijinja::Value) -> Response<Body> {
        let controller = self.controller();
        let senders = controller.map(Sender::of).into_iter().collect();
        let view = View { locale: self.locale.clone(), controller, senders };
        self.counter.pages.site.answer(status, template, &view, context)
    }

    /// The form, as far as it was filled in.
    fn form(&self, status: StatusCode, problem: Option<Problem>, fields: &[(String, String)]) -> Response<Body> {
        let ticked: Vec<&str> =
            fields.iter().filter(|(name, _)| name == TOPIC_FIELD).map(|(_, value)| value.as_str()).collect();
        let answered: Vec<String> = fields
            .iter()
            .filter_map(|(name, value)| Some(format!("{}={value}", name.strip_prefix(ANSWER_PREFIX)?)))
            .collect();
        let context = context! {
            sender => self.controller().map(|controller| controller.name.as_str()),
            kind => self.form.kind.as_str(),
            wording => self.wording,
            problem => problem.map(Problem::name),
            address => value(fields, ADDRESS_FIELD).unwrap_or_default(),
            ticked, answered,
            refused => value(fields, REFUSE_FIELD).is_some(),
            stamp => self.stamp(),
        };
        self.page(status, "subscribe.html", context)
    }

    fn thank(&self, outcome: Outcome) -> Response<Body> {
        let sender = self.controller().map(|controller| controller.name.as_str());
        let context = context! { outcome, sender, return_url => self.form.return_url };
        self.page(StatusCode::OK, "subscribed.html", context)
    }

    /// The checks in the order in which they tell least.
    async fn take(&self, fields: &[(String, String)], headers: &HeaderMap, peer: IpAddr) -> Result<Outcome, Problem> {
        let from = sender::page(headers, &self.form.origins, &self.counter.pages.base_url);
        if from == Page::Foreign {
            return Err(Problem::Elsewhere);
        }
        let text = value(fields, ADDRESS_FIELD).unwrap_or_default();
        let address = EmailAddress::parse(text).ok().filter(|address| !address.hides_recipient());
        let address = address.ok_or(Problem::NoAddress)?;
        let answer = Answer::read(&self.form, fields).map_err(|unanswered| match unanswered {
            Unanswered::Open => Problem::Open,
            Unanswered::Foreign => Problem::Foreign,
        })?;
        if value(fields, TRAP_FIELD).is_some_and(|trapped| !trapped.is_empty()) {
            tracing::info!(form = self.form.id, "sign-up: a field that nobody sees was filled in");
            return Ok(self.outcome(&answer));
        }
        self.check_stamp(value(fields, STAMP_FIELD), &from)?;
        let wording = self.wording_shown(fields).await?;
        let (mark, network) = self.counted(&address, headers, peer);
        let now = (self.counter.pages.clock)();
        let counted = self.counter.limits().take(mark, network, now);
        match counted {
            Ok(()) => {
                let done = self.record(&address, &answer, &wording, headers, peer).await;
                if done.is_err() {
                    self.counter.limits().give_back(&mark, network, now);
                }
                done
            }
            // Its mailbox has the question already, as everybody's would; a no is taken however often.
            Err(Full { of_this_address: true, .. }) if self.form.asks_to_confirm(&self.policy) || !answer.agrees() => {
                tracing::warn!(form = self.form.id, "sign-up: one address stands in more forms than it is asked about");
                self.counter.limits().count(network, now);
                if let Some(no) = answer.without_yes() {
                    self.record(&address, &no, &wording, headers, peer).await?;
                }
                Ok(self.outcome(&answer))
            }
            Err(Full { wait, .. }) => {
                tracing::warn!(form = self.form.id, minutes = wait.as_mins(), "sign-up: more forms than are taken");
                Err(Problem::TooOften { wait })
            }
        }
    }

    /// What everybody who gives this answer is told.
    fn outcome(&self, answer: &Answer) -> Outcome {
        match answer {
            _ if answer.is_blank() => Outcome::Blank,
            _ if answer.agrees() && self.form.asks_to_confirm(&self.policy) => Outcome::Mail,
            _ => Outcome::Recorded,
        }
    }

    /// A form on a web site has no stamp, since it is there before its reader is.
    fn check_stamp(&self, stamp: Option<&str>, from: &Page) -> Result<(), Problem> {
        if matches!(from, Page::Listed(_)) && stamp.is_none() {
            return Ok(());
        }
        let shown = stamp.and_then(|stamp| stamp::shown_at(&self.counter.pages.sealing_keys, &self.form.id, stamp));
        // To the second, as the stamp is.
        let open = shown.map(|shown| (self.counter.pages.clock)().as_second() - shown.as_second());
        match open {
            None => Err(Problem::TooFast),
            Some(seconds) if seconds < SHORTEST.as_secs() => Err(Problem::TooFast),
            Some(seconds) if seconds > LONGEST.as_secs() => Err(Problem::Stale),
            Some(_) => Ok(()),
        }
    }

    /// Spellings that one mailbox answers to have one measure together.
    fn counted(&self, address: &EmailAddress, headers: &HeaderMap, peer: IpAddr) -> ([u8; 16], Option<IpNet>) {
        let pages = &self.counter.pages;
        let mark = pages.hash_keys.contact_hash("", &address.objection_key(Width::WIDEST));
        (mark, visitor::network_of(peer, headers, &pages.trusted_proxies))
    }

    async fn record(
        &self,
        address: &EmailAddress,
        answer: &Answer,
        wording: &record::Shown,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Result<Outcome, Problem> {
        let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
        let from = visitor::address_of(peer, headers, &self.counter.pages.trusted_proxies);
        let trace = super::trace::trace(self.form.trace, &self.counter.pages.hash_keys, from, agent);
        match record::record(self, address, answer, wording, trace).await {
            Ok(Recorded::Asked | Recorded::Said) => Ok(self.outcome(answer)),
            Ok(Recorded::AskedLater) if self.outcome(answer) == Outcome::Mail => Ok(Outcome::MailLater),
            Ok(Recorded::AskedLater) => Ok(self.outcome(answer)),
            Err(error) => {
                tracing::error!(form = self.form.id, %error, "sign-up not recorded");
                Err(Problem::NotRecorded)
            }
        }
    }

    /// The wording that was in front of who answered: the present one, or an earlier one that is kept.
    async fn wording_shown(&self, fields: &[(String, String)]) -> Result<record::Shown, Problem> {
        let version = value(fields, VERSION_FIELD).ok_or(Problem::Changed)?;
        let present = record::Shown { version: self.wording.version.clone(), language: self.wording.language.clone() };
        if version == present.version {
            return Ok(present);
        }
        let of_this_form =
            version.strip_prefix(&format!("form-{}-", self.form.id)).is_some_and(|sum| !sum.contains('-'));
        if !of_this_form {
            return Err(Problem::Changed);
        }
        let shown = record::Shown { version: version.to_owned(), language: present.language };
        match record::is_kept(&self.counter.pages.store, &shown).await {
            Ok(true) => Ok(shown),
            Ok(false) => Err(Problem::Changed),
            Err(error) => {
                tracing::error!(form = self.form.id, %error, "sign-up: wordings cannot be read");
                Err(Problem::NotRecorded)
            }
        }
    }
}

/// Lets a page elsewhere read the answer.
const ALLOW_ORIGIN: HeaderName = HeaderName::from_static("access-control-allow-origin");
