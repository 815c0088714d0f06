//! What all pages have in common: the headers every answer carries, and how to reach a sender.

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use serde::Serialize;

use super::locale::Locale;
use crate::policy::look::Image;
use crate::policy::rules::{Controller, Policy};

/// A link names a person, so no page is kept, indexed, framed or told to others. What an answer says itself stays.
pub fn protect(headers: &mut HeaderMap) {
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// How to reach a controller.
#[derive(Clone, Debug, Serialize)]
pub struct Sender {
    pub name: String,
    pub contact: String,
    pub contact_link: Option<String>,
    pub privacy_link: Option<String>,
}

impl Sender {
    pub fn of(controller: &Controller) -> Sender {
        Sender {
            name: controller.name.clone(),
            contact: controller.contact.clone(),
            contact_link: contact_link(&controller.contact),
            privacy_link: web_link(&controller.privacy_url),
        }
    }

    /// A broken link names no controller, so everybody this gate works for is named; a few are enough to read.
    pub fn all(policy: &Policy) -> Vec<Sender> {
        policy.controllers.values().take(10).map(Sender::of).collect()
    }
}

fn contact_link(contact: &str) -> Option<String> {
    let is_mailbox = contact.contains('@') && !contact.contains([' ', ':', '/']);
    if is_mailbox { Some(format!("mailto:{contact}")) } else { web_link(contact) }
}

fn web_link(url: &str) -> Option<String> {
    (url.starts_with("https://") || url.starts_with("http://")).then(|| url.to_owned())
}

/// Whose look a page has that belongs to no controller: that of the only one.
pub fn sole_controller(policy: &Policy) -> Option<&Controller> {
    let mut controllers = policy.controllers.values();
    controllers.next().filter(|_| controllers.next().is_none())
}

/// The languages of all controllers, in the order of the policy.
pub fn all_languages(policy: &Policy) -> Vec<String> {
    policy.controllers.values().flat_map(|controller| controller.languages.clone()).collect()
}

/// A topic as the reader's language names it.
pub fn topic_label<'a>(policy: &'a Policy, path: &'a str, locale: &Locale) -> &'a str {
    policy.topic(path).map_or(path, |topic| locale.pick(&topic.label).unwrap_or_else(|| policy.label_of(topic)))
}

/// A picture under an address made of its content: it never changes. An SVG is a document of its own when it is opened
/// by itself, so it may do nothing there.
pub fn picture(image: &Image) -> Response<Body> {
    let mut response = Response::new(Body::from(image.bytes().to_vec()));
    let fixed = [
        (header::CONTENT_TYPE, image.media_type()),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'",
        ),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
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
