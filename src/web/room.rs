//! Where one person sees and changes what is between them and one controller: how they came in, and what every page of
//! theirs has in common.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use jiff::Timestamp;
use minijinja::{Value, context};
use serde_json::json;

use super::codes::{Errand, Proof};
use super::desk::{Desk, NoCode};
use super::fields::Fields;
use super::locale::Locale;
use super::me::{retry_after, with_retry};
use super::objection;
use super::page::{Sender, sole_controller, topic_label};
use super::public::RETRY_AFTER_SECONDS;
use super::site::View;
use crate::consent::scope;
use crate::consent::state::Consulted;
use crate::consent::token::UnsubscribeToken;
use crate::policy::rules::{Controller, Policy};
use crate::smtp::address::EmailAddress;
use crate::store::{LinkKey, StoreError};

/// How somebody came in, and as whom.
#[derive(Clone)]
pub enum Guest {
    /// With a link from a message. It may have been passed on, so it opens choices and nothing that is known beside. The
    /// address is that of the row it names, where there still is one.
    Link { token: UnsubscribeToken, address: Option<EmailAddress> },
    /// By a code that proved who reads the mail of this address.
    Reader { address: EmailAddress, request: String, code: String },
}

impl Guest {
    /// Nothing for a link whose person is forgotten, or never was known.
    pub fn address(&self) -> Option<&EmailAddress> {
        match self {
            Guest::Link { address, .. } => address.as_ref(),
            Guest::Reader { address, .. } => Some(address),
        }
    }

    /// The link through which what its message was about is left with these topics (none: everything), as the mailer
    /// behind it is to hear.
    pub fn leaves_through(&self, left: Option<&[String]>) -> Option<LinkKey> {
        let (Guest::Link { token, .. }, Some(left)) = (self, left) else { return None };
        let touches = |topic: &String| left.iter().any(|left| scope::reaches(left, topic));
        let concerns = left.is_empty() || token.topics.iter().any(touches);
        concerns.then(|| LinkKey::of(token))
    }

    pub fn source(&self) -> &'static str {
        match self {
            Guest::Link { .. } => "preferences:link",
            Guest::Reader { .. } => "preferences:code",
        }
    }

    pub fn evidence(&self) -> serde_json::Value {
        match self {
            Guest::Link { token, .. } => json!({ "link_issued_at": token.issued_at }),
            Guest::Reader { .. } => json!({ "proof": "code_by_mail" }),
        }
    }
}

/// One request, and what is needed to answer it.
pub struct Room<'a> {
    pub desk: &'a Desk,
    pub policy: Arc<Policy>,
    pub controller: String,
    pub locale: Locale,
    pub guest: Guest,
    /// The path of ours that this is: to be told to the person, and nobody else where a link led here.
    pub path: String,
}

/// What is wrong with what was entered; each has a message `own-problem-…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Problem {
    NoAddress,
    TooOften,
    NotSent,
    WrongCode,
    CodeIsOver,
    Pause,
    SameAddress,
}

/// A page that asks for a code says what is wrong, and with what status.
pub struct Refusal {
    pub status: StatusCode,
    pub problem: Problem,
    pub wait: Option<jiff::SignedDuration>,
}

impl Refusal {
    /// `None`: nothing can be done for now.
    pub fn of(no_code: NoCode) -> Option<Refusal> {
        let (status, problem, wait) = match no_code {
            NoCode::TooOften(wait) => (StatusCode::TOO_MANY_REQUESTS, Problem::TooOften, Some(wait)),
            NoCode::NotSent => (StatusCode::SERVICE_UNAVAILABLE, Problem::NotSent, None),
            NoCode::Unavailable => return None,
        };
        Some(Refusal { status, problem, wait })
    }

    pub fn on(&self, answer: Response<Body>) -> Response<Body> {
        match self.wait {
            Some(wait) => retry_after(answer, wait),
            None if self.status == StatusCode::SERVICE_UNAVAILABLE => with_retry(answer, RETRY_AFTER_SECONDS),
            None => answer,
        }
    }
}

/// A page that belongs to nobody yet, of one controller or of all.
pub fn plain_page(
    desk: &Desk,
    (policy, controller, locale): (&Policy, Option<&Controller>, &Locale),
    status: StatusCode,
    template: &str,
    context: Value,
) -> Response<Body> {
    let senders = controller.map_or_else(|| Sender::all(policy), |controller| vec![Sender::of(controller)]);
    let controller = controller.or_else(|| sole_controller(policy));
    desk.pages.site.answer(status, template, &View { locale: locale.clone(), controller, senders }, context)
}

impl Room<'_> {
    pub fn controller(&self) -> Option<&Controller> {
        self.policy.controllers.get(&self.controller)
    }

    pub fn sender(&self) -> &str {
        self.controller().map_or(&self.controller, |controller| &controller.name)
    }

    pub fn now(&self) -> Timestamp {
        (self.desk.pages.clock)()
    }

    pub fn label(&self, path: &str) -> String {
        topic_label(&self.policy, path, &self.locale).to_owned()
    }

    pub fn labels(&self, paths: &[String]) -> Vec<String> {
        paths.iter().map(|path| self.label(path)).collect()
    }

    /// Every page knows the sender, and what its forms have to send back.
    pub fn answer(&self, status: StatusCode, template: &str, context: Value) -> Response<Body> {
        let hidden: Vec<(&str, &str)> = match &self.guest {
            Guest::Link { .. } => Vec::new(),
            Guest::Reader { request, code, .. } => {
                vec![("request", request), ("code", code), ("controller", &self.controller)]
            }
        };
        let is_proven = matches!(self.guest, Guest::Reader { .. });
        let address = self.guest.address().map(objection::masked);
        // The page that ends what was sent to the wrong person is that of the same link.
        let link = self.path.strip_prefix("/p/").filter(|_| matches!(self.guest, Guest::Link { .. }));
        let common = context! { link, sender => self.sender(), hidden, is_proven, masked => address };
        let about = (&*self.policy, self.controller(), &self.locale);
        plain_page(self.desk, about, status, template, context! { ..context, ..common })
    }

    pub fn unavailable(&self) -> Response<Body> {
        with_retry(self.answer(StatusCode::SERVICE_UNAVAILABLE, "unavailable.html", context! {}), RETRY_AFTER_SECONDS)
    }

    /// What is known of an address, and the number of the last event that could be seen.
    pub async fn consult(&self, address: &EmailAddress) -> Result<(Consulted, i64), StoreError> {
        let (store, controller, address) = (self.desk.pages.store.clone(), self.controller.clone(), address.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let (known, seen) = store.reader()?.consult(&controller, std::slice::from_ref(&address))?;
            Ok((known.into_iter().next().unwrap_or_default(), seen))
        });
        reading.await.unwrap_or(Err(StoreError::Gone))
    }

    /// A code to the address on record. Of nobody known none is sent, and the page is the same.
    pub async fn send_code(&self, network: Option<ipnet::IpNet>) -> Response<Body> {
        let errand = (self.path.as_str(), Errand::Own);
        let sent = match self.guest.address() {
            Some(address) => self.desk.send_code(address, network, errand, &self.own_words()).await,
            None => self.desk.send_nothing(),
        };
        match sent {
            Ok(request) => self.ask_code(StatusCode::OK, None, &request, 0),
            Err(no_code) => match Refusal::of(no_code) {
                Some(refusal) => {
                    let problem = Some(refusal.problem);
                    refusal.on(self.answer(refusal.status, "own_problem.html", context! { problem }))
                }
                None => self.unavailable(),
            },
        }
    }

    pub fn own_words(&self) -> Locale {
        self.locale.clone().of(self.controller())
    }

    /// `attempts_left` is shown beside a problem.
    pub fn ask_code(&self, status: StatusCode, problem: Option<Problem>, request: &str, left: u8) -> Response<Body> {
        self.answer(status, "own_code.html", context! { problem, request, attempts_left => left })
    }
}

/// Who a form with a code comes from; else what is to be said, and how many attempts are left.
pub fn prove(desk: &Desk, fields: &Fields) -> Option<Result<Guest, (Problem, String, u8)>> {
    let (request, code) = (fields.one("request")?.to_owned(), fields.one("code")?.to_owned());
    Some(match desk.prove(&request, &code, Errand::Own) {
        Proof::Given(address) => Ok(Guest::Reader { address, request, code }),
        Proof::Wrong { attempts_left } => Err((Problem::WrongCode, request, attempts_left)),
        Proof::Over => Err((Problem::CodeIsOver, String::new(), 0)),
    })
}
