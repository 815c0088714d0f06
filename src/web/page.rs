//! The pages, and the headers every answer carries.

use std::sync::LazyLock;

use askama::Template;
use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::language::Language;
use super::me::Problem;
use super::me::offer::{Left, Offer};
use crate::policy::rules::{Controller, Policy};

const STYLE: &str = include_str!("../../templates/style.css");

/// No script, nothing from elsewhere, no frame around it; only our own style, by its hash.
static CONTENT_SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("base64 and the text above are ASCII")
});

/// A link names a person, so no page is kept, indexed, framed or told to others.
pub fn protect(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY.clone());
    let fixed = [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// What all pages have in common.
pub struct Page {
    pub language: &'static str,
    pub style: &'static str,
    pub senders: Vec<Sender>,
}

impl Page {
    /// `senders`: whom the reader may turn to.
    pub fn new(language: Language, senders: Vec<Sender>) -> Page {
        Page { language: language.tag(), style: STYLE, senders }
    }

    fn french(&self) -> bool {
        self.language == Language::French.tag()
    }
}

/// How to reach a controller.
pub struct Sender {
    pub name: String,
    pub contact: String,
    pub privacy_url: String,
}

impl Sender {
    pub fn of(controller: &Controller) -> Sender {
        Sender {
            name: controller.name.clone(),
            contact: controller.contact.clone(),
            privacy_url: controller.privacy_url.clone(),
        }
    }

    /// A broken link names no controller, so everybody this gate works for is named; a few are enough to read.
    pub fn all(policy: &Policy) -> Vec<Sender> {
        policy.controllers.values().take(10).map(Sender::of).collect()
    }

    fn contact_link(&self) -> Option<String> {
        let is_mailbox = self.contact.contains('@') && !self.contact.contains([' ', ':', '/']);
        if is_mailbox { Some(format!("mailto:{}", self.contact)) } else { web_link(&self.contact) }
    }

    fn privacy_link(&self) -> Option<String> {
        web_link(&self.privacy_url)
    }
}

/// A topic as the reader's language names it.
pub fn topic_label<'a>(policy: &'a Policy, path: &'a str, language: Language) -> &'a str {
    policy.topic(path).map_or(path, |topic| match topic.label.get(language.tag()) {
        Some(label) => label,
        None => policy.label_of(topic),
    })
}

fn web_link(url: &str) -> Option<String> {
    (url.starts_with("https://") || url.starts_with("http://")).then(|| url.to_owned())
}

#[derive(Template)]
#[template(path = "ask.html")]
pub struct Ask {
    pub page: Page,
    pub sender: String,
    pub topics: Vec<String>,
}

#[derive(Template)]
#[template(path = "done.html")]
pub struct Done {
    pub page: Page,
    pub sender: String,
    /// Empty: everything.
    pub topics: Vec<String>,
}

#[derive(Template)]
#[template(path = "no_link.html")]
pub struct NoLink {
    pub page: Page,
}

/// `/u/me`: who are you?
#[derive(Template)]
#[template(path = "me_address.html")]
pub struct MeAddress {
    pub page: Page,
    pub problem: Option<Problem>,
    /// As it was entered.
    pub address: String,
}

/// `/u/me`: what does the mail say?
#[derive(Template)]
#[template(path = "me_code.html")]
pub struct MeCode {
    pub page: Page,
    pub problem: Option<Problem>,
    pub request: String,
    /// Shown beside a problem.
    pub attempts_left: u8,
}

/// `/u/me`: what do you leave?
#[derive(Template)]
#[template(path = "me_choice.html")]
pub struct MeChoice {
    pub page: Page,
    pub problem: Option<Problem>,
    pub request: String,
    pub code: String,
    pub offers: Vec<Offer>,
}

/// `/u/me`: what was left.
#[derive(Template)]
#[template(path = "me_left.html")]
pub struct MeLeft {
    pub page: Page,
    pub left: Vec<Left>,
}

#[derive(Template)]
#[template(path = "unavailable.html")]
pub struct Unavailable {
    pub page: Page,
}

/// The page as an answer.
pub fn answer(status: StatusCode, template: &impl Template) -> Response<Body> {
    let Ok(html) = template.render() else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "page failed\n");
    };
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept-Language"));
    response
}

pub fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    self::text(status, text)
}

pub fn text(status: StatusCode, text: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
