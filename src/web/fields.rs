//! A posted form, held to what our own pages send: half an understood wish is none.

use std::collections::HashSet;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderMap};

use super::form;

/// Fields that stand in a form once at most.
const SINGLE: [&str; 16] = [
    "step",
    "request",
    "code",
    "controller",
    "address",
    "count",
    "limit",
    "shown-limit",
    "pause",
    "shown-pause",
    "shown-channels",
    "new-request",
    "new-code",
    "keep-mark",
    "language",
    "page",
];
/// Boxes, and what was shown beside each.
const REPEATED: [&str; 4] = ["shown", "on", "channel", "agreed"];
/// A page of ours sends a few for each topic; each is looked for among all.
const MOST_FIELDS: usize = 1000;
/// Before the path of a topic.
pub const LIMIT_OF: &str = "limit/";

/// Names and values in order.
pub struct Fields(Vec<(String, String)>);

/// Too much of it, or something in it that no page of ours sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken(pub StatusCode);

impl Fields {
    pub fn read(headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<Fields, Broken> {
        let Ok(body) = body else { return Err(Broken(StatusCode::PAYLOAD_TOO_LARGE)) };
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Fields::of(form::fields(content_type, &body)).ok_or(Broken(StatusCode::BAD_REQUEST))
    }

    fn of(fields: Vec<(String, String)>) -> Option<Fields> {
        if fields.len() > MOST_FIELDS {
            return None;
        }
        let mut seen = HashSet::new();
        let mut fits = |(name, _): &(String, String)| {
            let once = SINGLE.contains(&name.as_str()) || name.starts_with(LIMIT_OF);
            (once && seen.insert(name.clone())) || REPEATED.contains(&name.as_str())
        };
        let all_fit = fields.iter().all(&mut fits);
        all_fit.then_some(Fields(fields))
    }

    pub fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.trim())
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(field, _)| field == name).map(|(_, value)| value.trim()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_fields_than_any_page_has_are_not_read() {
        let shown = |count: usize| vec![("shown".to_owned(), "a".to_owned()); count];
        assert!(Fields::of(shown(MOST_FIELDS)).is_some());
        assert!(Fields::of(shown(MOST_FIELDS + 1)).is_none());
    }

    #[test]
    fn a_form_that_no_page_of_ours_sends_is_none() {
        let table = [
            ("", true),
            ("step=save&shown=a&shown=b&on=a&on=b&limit/a=none&limit/b=none", true),
            ("step=save&step=off", false),
            ("limit/a=none&limit/a=weekly", false),
            ("step=save&colour=blue", false),
            ("On=a", false),
            ("List-Unsubscribe=One-Click", false),
        ];
        for (body, fits) in table {
            assert_eq!(Fields::of(form::fields("", body.as_bytes())).is_some(), fits, "{body}");
        }
        let fields = Fields::of(form::fields("", b"on=a&on=+b&step=+save")).unwrap();
        assert_eq!((fields.all("on"), fields.one("step"), fields.one("code")), (vec!["a", "b"], Some("save"), None));
    }
}
