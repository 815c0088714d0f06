//! The pages: templates and words as they come with the program, and what an operator puts over them.
//!
//! A way out has to work whatever somebody did to a template: a page of theirs that fails is logged, and ours is shown.

mod load;
mod press;

use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::{Value, context};

use super::locale::{Locale, Words, keys_of};
use super::page::{self, Sender};
use super::problem::Problem;
use super::samples;
use crate::policy::rules::{Controller, Policy};
use press::{Press, Rendered};

/// What every page is told besides its own context.
pub struct View<'a> {
    pub locale: Locale,
    /// Whose page it is: its logo, colour and words. `None`: everybody's.
    pub controller: Option<&'a Controller>,
    /// Whom the reader may turn to.
    pub senders: Vec<Sender>,
}

/// All templates and all languages.
pub struct Site {
    shipped: Press,
    /// The operator's over ours.
    own: Option<Press>,
    /// The path of `base_url`, without a slash at its end.
    base: String,
    problems: Vec<Problem>,
}

impl Site {
    /// As it comes with the program; `base_url` is how visitors reach it.
    pub fn shipped(base_url: &str) -> Site {
        Site { shipped: Press::shipped(), own: None, base: path_of(base_url).to_owned(), problems: Vec::new() }
    }

    /// With the files of a directory over ours. What is wrong with them is told by [`Site::check`]; the file of ours
    /// then stands in its place.
    pub fn load(base_url: &str, directory: Option<&Path>) -> Site {
        let mut site = Site::shipped(base_url);
        if let Some(directory) = directory {
            let (own, problems) = load::read(directory);
            (site.own, site.problems) = (Some(own), problems);
        }
        site
    }

    /// The path that stands before every path of these pages, to be written into links: empty, or `/preferences`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The language for a visitor; `wanted` are the sender's own, the preferred one first.
    pub fn locale(&self, headers: &HeaderMap, wanted: &[String]) -> Locale {
        Locale::of_request(self.words(), headers, wanted)
    }

    /// The language for somebody whose wishes are known otherwise.
    pub fn locale_of<'a>(&self, tags: impl IntoIterator<Item = &'a String>) -> Locale {
        Locale::first_of(self.words(), tags)
    }

    fn words(&self) -> &Arc<Words> {
        &self.press().words
    }

    fn press(&self) -> &Press {
        self.own.as_ref().unwrap_or(&self.shipped)
    }

    /// A page as an answer. Beside `context` a template sees `lang`, `dir`, `style`, `base`, `controller`, `senders`
    /// and `t`.
    pub fn answer(&self, status: StatusCode, template: &str, view: &View<'_>, context: Value) -> Response<Body> {
        let rendered = self.render(template, view, context);
        let Rendered { html, style } = match rendered {
            Ok(rendered) => rendered,
            Err(error) => {
                tracing::error!(template, "a page of ours failed: {error:#}");
                return page::plain(StatusCode::INTERNAL_SERVER_ERROR, "page failed\n");
            }
        };
        let mut response = Response::new(Body::from(html));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Language"));
        if let Ok(policy) = HeaderValue::try_from(content_security_policy(&style)) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        if let Ok(language) = HeaderValue::try_from(view.locale.tag()) {
            headers.insert(header::CONTENT_LANGUAGE, language);
        }
        response
    }

    fn render(&self, template: &str, view: &View<'_>, context: Value) -> Result<Rendered, minijinja::Error> {
        if let Some(own) = &self.own {
            match own.render(template, view, &self.base, context.clone()) {
                Ok(rendered) => return Ok(rendered),
                Err(error) => tracing::error!(template, "a template of yours failed, ours is shown: {error:#}"),
            }
        }
        let locale = view.locale.from(&self.shipped.words);
        let plain = View { locale, controller: view.controller, senders: view.senders.clone() };
        let first = self.shipped.render(template, &plain, &self.base, context.clone());
        first.or_else(|error| {
            tracing::error!(template, "a text of a controller failed, ours is shown: {error:#}");
            self.shipped.render_without_texts(template, &plain, &self.base, context)
        })
    }

    /// Everything that is wrong with the operator's files and with the controllers' words, found by showing every page
    /// in every language.
    pub fn check(&self, policy: &Policy) -> Vec<Problem> {
        let mut problems = self.problems.clone();
        let press = self.press();
        let mut looks: Vec<Option<&Controller>> = vec![None];
        looks.extend(policy.controllers.values().filter(|controller| !controller.look.texts.is_empty()).map(Some));
        for controller in looks {
            for tag in press.words.tags() {
                let locale = Locale::first_of(&press.words, [&tag]).of(controller);
                problems.extend(press.try_all(&locale, controller, &self.base));
            }
            problems.extend(controller.into_iter().flat_map(|controller| self.unknown_texts(controller, policy)));
        }
        problems.sort();
        problems.dedup();
        problems
    }

    /// A text for a message that no page has is a slip of the pen.
    fn unknown_texts(&self, controller: &Controller, policy: &Policy) -> Vec<Problem> {
        let (file, text) =
            policy.sources.first().map_or(("policy", ""), |source| (source.name.as_str(), source.text.as_str()));
        // The policy keeps no places; where the word stands for the first time is near enough.
        let line = |word: &str| text.lines().position(|line| line.contains(word)).map_or(1, |at| at + 1);
        let place = |tag: &str| format!("controller {}, texts.{tag}", controller.id);
        let mut problems = Vec::new();
        for (tag, texts) in &controller.look.texts {
            let has_language = self.words().knows(tag);
            if !has_language {
                let at = line(&format!("texts.{tag}"));
                problems.push(Problem::at(file, at, format!("{}: there is no {tag}.ftl; add it", place(tag))));
            }
            for key in texts.keys().filter(|key| !self.words().has(key)) {
                problems.push(Problem::at(
                    file,
                    line(key),
                    format!("{}: no page says {key:?}; write one of the messages in locales/en.ftl", place(tag)),
                ));
            }
        }
        problems
    }

    /// What an added language leaves to English, a sentence for each.
    pub fn gaps(&self) -> Vec<String> {
        let (_, english) = super::locale::SHIPPED[0];
        let all = keys_of(english);
        let words = self.words();
        let gap = |tag: String| {
            let missing: Vec<&str> = all.iter().map(String::as_str).filter(|key| !words.says(&tag, key)).collect();
            (!missing.is_empty()).then(|| {
                let (count, of) = (missing.len(), all.len());
                format!("{tag}.ftl leaves {count} of {of} messages to English: {}", missing.join(", "))
            })
        };
        words.tags().into_iter().filter_map(gap).collect()
    }
}

/// No script, nothing from elsewhere, no frame around it; only our own style, by its hash, and our own pictures.
fn content_security_policy(style: &str) -> String {
    let hash = STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, style.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src 'self'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    )
}

fn path_of(base_url: &str) -> &str {
    let behind = base_url.split_once("://").map_or(base_url, |(_, behind)| behind);
    behind.find('/').map_or("", |at| behind[at..].trim_end_matches('/'))
}

/// What a template sees of a controller.
fn told(controller: &Controller, base: &str) -> Value {
    let logo = controller.look.logo.as_ref().map(|logo| format!("{base}/assets/{}", logo.hash()));
    context! { id => controller.id, name => controller.name, logo }
}

#[cfg(test)]
mod tests;
