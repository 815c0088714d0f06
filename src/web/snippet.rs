//! A form for a web site to paste: plain HTML that posts to the gate, without script and without style.

use minijinja::{Environment, Error, UndefinedBehavior, Value, context};

use super::locale::Locale;
use super::wording::Wording;
use crate::policy::form::Form;

const TEMPLATE: &str = include_str!("../../templates/snippet.html");

/// `base_url` is how visitors reach the public pages.
pub fn snippet(form: &Form, wording: &Wording, locale: &Locale, base_url: &str) -> Result<String, Error> {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.set_trim_blocks(true);
    templates.set_lstrip_blocks(true);
    templates.add_template("snippet.html", TEMPLATE)?;
    let locale = locale.clone();
    let context = context! {
        form => form.id,
        kind => form.kind.as_str(),
        action => format!("{base_url}/subscribe/{}/{}", form.controller, form.id),
        wording,
        t => Value::from_function(move |key: &str| locale.say(key, &[])),
    };
    let html = templates.get_template("snippet.html")?.render(context)?;
    // A slash ends nothing, and people read this.
    Ok(html.replace("&#x2f;", "/") + "\n")
}
