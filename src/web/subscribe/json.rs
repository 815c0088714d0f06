//! The same forms as JSON, for a web site or a shop that shows them itself: it asks for the wording, shows it, and sends
//! back the answer with the version that was shown.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, VARY};
use axum::http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::sender::{Page, page};
use super::{
    ADDRESS_FIELD, ALLOW_ORIGIN, LANGUAGE_FIELD, Outcome, Problem, STAMP_FIELD, TRAP_FIELD, VERSION_FIELD, Visit,
};
use crate::policy::sign_up::{ANSWER_PREFIX, REFUSE_FIELD, TOPIC_FIELD};

const ALLOW_METHODS: HeaderName = HeaderName::from_static("access-control-allow-methods");
const ALLOW_HEADERS: HeaderName = HeaderName::from_static("access-control-allow-headers");
const MAX_AGE: HeaderName = HeaderName::from_static("access-control-max-age");

/// Whether a content type, or the first that is accepted, is JSON.
pub fn is_json(media_type: &str) -> bool {
    let first = media_type.split([',', ';']).next().unwrap_or_default();
    first.trim().eq_ignore_ascii_case("application/json")
}

/// The fields as a browser would send them. `None`: not JSON, or something no form has.
pub fn fields(body: &[u8]) -> Option<Vec<(String, String)>> {
    let object: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let mut fields = Vec::new();
    let mut put = |name: &str, value: &str| fields.push((name.to_owned(), value.to_owned()));
    for (name, value) in &object {
        match (name.as_str(), value) {
            (ADDRESS_FIELD | STAMP_FIELD | VERSION_FIELD | LANGUAGE_FIELD | TRAP_FIELD, Value::String(text)) => {
                put(name, text);
            }
            ("topics", Value::Array(topics)) => {
                for topic in topics {
                    put(TOPIC_FIELD, topic.as_str()?);
                }
            }
            ("answers", Value::Object(answers)) => {
                for (topic, answer) in answers {
                    put(&format!("{ANSWER_PREFIX}{topic}"), if answer.as_bool()? { "yes" } else { "no" });
                }
            }
            (REFUSE_FIELD, Value::Bool(refused)) => {
                if *refused {
                    put(REFUSE_FIELD, "yes");
                }
            }
            _ => return None,
        }
    }
    Some(fields)
}

/// What is to be shown.
pub fn form(visit: &Visit<'_>, headers: &HeaderMap) -> Response<Body> {
    let wording = &visit.wording;
    let body = json!({
        "form": visit.form.id,
        "controller": visit.form.controller,
        "kind": visit.form.kind.as_str(),
        "text_version": wording.version,
        "language": wording.language,
        "question": wording.question,
        "topics": wording.items,
        "answers": wording.answers,
        "partners": wording.partners,
        "info": wording.info,
        "privacy": { "label": wording.privacy, "url": wording.privacy_url },
        "stamp": visit.stamp(),
    });
    respond(visit, headers, StatusCode::OK, &body)
}

pub fn answer(visit: &Visit<'_>, done: Result<Outcome, Problem>, headers: &HeaderMap) -> Response<Body> {
    match done {
        Ok(outcome) => {
            let text = visit.locale.say(&format!("subscribed-{}-text", name(outcome)), &[]);
            respond(visit, headers, StatusCode::ACCEPTED, &json!({ "state": name(outcome), "text": text }))
        }
        Err(problem) => {
            let text = visit.locale.say(&format!("subscribe-problem-{}", problem.name()), &[]);
            let body = json!({ "error": problem.name(), "text": text });
            problem.dated(respond(visit, headers, problem.status(), &body))
        }
    }
}

/// To the question of a browser whether a script may send a form in.
pub fn preflight(visit: &Visit<'_>, headers: &HeaderMap) -> Response<Body> {
    let status = match from(visit, headers) {
        Page::Listed(_) => StatusCode::NO_CONTENT,
        Page::Ours | Page::Foreign => StatusCode::FORBIDDEN,
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let allowed = [(ALLOW_METHODS, "GET, POST"), (ALLOW_HEADERS, "content-type"), (MAX_AGE, "600")];
    if status == StatusCode::NO_CONTENT {
        for (name, value) in allowed {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
    }
    allow(visit, headers, response)
}

pub fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Mail => "mail",
        Outcome::MailLater => "mail-later",
        Outcome::Recorded => "recorded",
        Outcome::Blank => "blank",
    }
}

fn from(visit: &Visit<'_>, headers: &HeaderMap) -> Page {
    page(headers, &visit.form.origins, &visit.counter.pages.base_url)
}

fn respond(visit: &Visit<'_>, headers: &HeaderMap, status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{body}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    allow(visit, headers, response)
}

fn allow(visit: &Visit<'_>, headers: &HeaderMap, mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(VARY, HeaderValue::from_static("Origin, Accept, Accept-Language"));
    if let Page::Listed(origin) = from(visit, headers)
        && let Ok(origin) = HeaderValue::try_from(origin)
    {
        response.headers_mut().insert(ALLOW_ORIGIN, origin);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_answer_says_what_a_form_would() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let read = |text: &str| {
            fields(text.as_bytes()).map(|mut fields| {
                fields.sort();
                fields
            })
        };
        let full = r#"{"address":"anna@x.example","topics":["offers","offers/books"],"text_version":"v","stamp":"s"}"#;
        let expected = [
            pair("address", "anna@x.example"),
            pair("stamp", "s"),
            pair("text_version", "v"),
            pair("topic", "offers"),
            pair("topic", "offers/books"),
        ];
        assert_eq!(read(full).unwrap(), expected);
        let answers = r#"{"answers":{"offers":true,"letters":false},"refuse":true}"#;
        let expected = [pair("answer.letters", "no"), pair("answer.offers", "yes"), pair("refuse", "yes")];
        assert_eq!(read(answers).unwrap(), expected);
        assert_eq!(read(r#"{"refuse":false}"#).unwrap(), []);
        let wrong =
            [r#"{"topics":"offers"}"#, r#"{"topics":[1]}"#, r#"{"answers":{"a":"yes"}}"#, r#"{"x":1}"#, "[]", "x"];
        for wrong in wrong {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        for (text, expected) in
            [("application/json; charset=utf-8", true), ("Application/JSON, */*", true), ("text/html", false)]
        {
            assert_eq!(is_json(text), expected, "{text}");
        }
    }
}
