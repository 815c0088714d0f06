//! The words of the pages and of the mail they send: Fluent messages, a file for each language.
//!
//! A language is whatever has a file. What one lacks is said in English, and a controller may say anything in its own
//! words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_LANGUAGE;
pub use fluent_bundle::FluentValue;
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentError, FluentResource};
use fluent_syntax::ast::Entry;
use unic_langid::{CharacterDirection, LanguageIdentifier};

use super::problem::Problem;
use crate::message::language::Language;
use crate::policy::rules::Controller;

/// What every message exists in.
const FALLBACK: &str = "en";

/// The languages that come with the program.
pub const SHIPPED: [(&str, &str); 2] =
    [("en.ftl", include_str!("../../locales/en.ftl")), ("fr.ftl", include_str!("../../locales/fr.ftl"))];

type Bundle = FluentBundle<Arc<FluentResource>>;

/// All languages, by lower-case tag.
pub struct Words(BTreeMap<String, Speech>);

/// One language.
struct Speech {
    /// As its file is called.
    tag: LanguageIdentifier,
    bundle: Bundle,
}

/// A message could not be said.
#[derive(Debug)]
pub enum Unsaid {
    NoMessage(String),
    Broken(String, Vec<FluentError>),
}

impl fmt::Display for Unsaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsaid::NoMessage(key) => write!(f, "no language has the message {key}; add it to a .ftl file"),
            Unsaid::Broken(key, errors) => {
                let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
                write!(f, "message {key}: {}; use what the shipped message uses", told.join(", "))
            }
        }
    }
}

impl std::error::Error for Unsaid {}

impl Words {
    pub fn shipped() -> Words {
        let (words, problems) = Words::read(&[]);
        debug_assert!(problems.is_empty(), "{problems:?}");
        words
    }

    /// The shipped languages with these files over them, each a path to name it by, and its text. What cannot be read of
    /// a file is told and left out.
    pub fn read(files: &[(String, String)]) -> (Words, Vec<Problem>) {
        let mut words = Words(BTreeMap::new());
        let mut problems = Vec::new();
        let shipped = SHIPPED.iter().map(|(name, text)| (format!("locales/{name}"), (*text).to_owned()));
        for (path, text) in shipped.chain(files.iter().cloned()) {
            words.add(&path, text, &mut problems);
        }
        (words, problems)
    }

    fn add(&mut self, path: &str, text: String, problems: &mut Vec<Problem>) {
        let stem = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".ftl");
        let Ok(tag) = stem.parse::<LanguageIdentifier>() else {
            let message = format!("{stem:?} is no language; call the file fr.ftl or pt-BR.ftl");
            return problems.push(Problem::at(path, 1, message));
        };
        let resource = FluentResource::try_new(text).unwrap_or_else(|(resource, errors)| {
            for error in errors {
                let line = line_of(resource.source(), error.pos.start);
                problems.push(Problem::at(path, line, format!("not Fluent: {}; see projectfluent.org", error.kind)));
            }
            resource
        });
        let speech = self.0.entry(tag.to_string().to_lowercase()).or_insert_with(|| Speech::new(tag));
        speech.bundle.add_resource_overriding(Arc::new(resource));
    }

    /// Tags as the files are called, in the order of the alphabet.
    pub fn tags(&self) -> Vec<String> {
        self.0.values().map(|speech| speech.tag.to_string()).collect()
    }

    pub fn has(&self, key: &str) -> bool {
        self.0.values().any(|speech| speech.bundle.has_message(key))
    }

    /// Whether there is a file for it.
    pub fn knows(&self, tag: &str) -> bool {
        self.find(tag).is_some()
    }

    /// Whether that very language has the message.
    pub fn says(&self, tag: &str, key: &str) -> bool {
        self.0.get(&tag.to_lowercase()).is_some_and(|speech| speech.bundle.has_message(key))
    }

    /// The language of this tag, or of its first part: `fr-CA` finds French.
    fn find(&self, tag: &str) -> Option<&str> {
        let tag = tag.trim().replace('_', "-").to_lowercase();
        let primary = tag.split('-').next().unwrap_or_default().to_owned();
        [tag, primary].iter().find_map(|tag| self.0.get_key_value(tag)).map(|(tag, _)| tag.as_str())
    }

    /// What the reader likes best (RFC 9110 section 12.5.4), else the first of the sender's languages there is.
    fn choose(&self, headers: &HeaderMap, wanted: &[String]) -> &str {
        let wishes = headers.get_all(ACCEPT_LANGUAGE).iter().filter_map(|value| value.to_str().ok());
        let wishes = wishes.flat_map(|value| value.split(',')).take(32).filter_map(|range| self.wish(range));
        let mut best = None;
        for (tag, weight) in wishes.filter(|(_, weight)| *weight > 0.0) {
            if best.is_none_or(|(_, most)| weight > most) {
                best = Some((tag, weight));
            }
        }
        let senders_own = || wanted.iter().find_map(|tag| self.find(tag));
        best.map(|(tag, _)| tag).or_else(senders_own).unwrap_or(FALLBACK)
    }

    fn wish(&self, range: &str) -> Option<(&str, f32)> {
        let mut parts = range.split(';');
        let tag = self.find(parts.next()?)?;
        let weight = parts.find_map(|part| part.trim().strip_prefix("q=")).map_or(Ok(1.0), str::parse);
        Some((tag, weight.unwrap_or(0.0)))
    }
}

impl Speech {
    fn new(tag: LanguageIdentifier) -> Speech {
        let mut bundle = Bundle::new_concurrent(vec![tag.clone()]);
        bundle.set_use_isolating(is_rtl(&tag));
        Speech { tag, bundle }
    }
}

fn is_rtl(tag: &LanguageIdentifier) -> bool {
    tag.character_direction() == CharacterDirection::RTL
}

/// Counted from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

/// The messages of a file.
pub fn keys_of(text: &str) -> BTreeSet<String> {
    let resource = FluentResource::try_new(text.to_owned()).unwrap_or_else(|(resource, _)| resource);
    let key = |entry: &Entry<&str>| match entry {
        Entry::Message(message) if message.value.is_some() => Some(message.id.name.to_owned()),
        _ => None,
    };
    resource.entries().filter_map(key).collect()
}

/// One language to speak to one person in, on behalf of one controller or of nobody.
#[derive(Clone)]
pub struct Locale {
    words: Arc<Words>,
    tag: String,
    /// The controller's own words in this language.
    texts: BTreeMap<String, String>,
}

impl Locale {
    /// The language for whoever sent these headers; `wanted` are the sender's languages, the preferred one first.
    pub fn of_request(words: &Arc<Words>, headers: &HeaderMap, wanted: &[String]) -> Locale {
        Locale::new(words, words.choose(headers, wanted))
    }

    /// The first of these tags there is a file for, else English.
    pub fn first_of<'a>(words: &Arc<Words>, tags: impl IntoIterator<Item = &'a String>) -> Locale {
        let tag = tags.into_iter().find_map(|tag| words.find(tag)).unwrap_or(FALLBACK);
        Locale::new(words, tag)
    }

    fn new(words: &Arc<Words>, tag: &str) -> Locale {
        Locale { words: Arc::clone(words), tag: tag.to_owned(), texts: BTreeMap::new() }
    }

    /// The same language out of other files.
    pub(super) fn from(&self, words: &Arc<Words>) -> Locale {
        Locale::first_of(words, [&self.tag])
    }

    /// Speaking for this controller, in its words where it has some.
    #[must_use]
    pub fn of(mut self, controller: Option<&Controller>) -> Locale {
        let texts = controller.map(|controller| &controller.look.texts);
        let own = texts.into_iter().flatten().filter(|(tag, _)| self.words.find(tag) == Some(self.tag.as_str()));
        self.texts = own.flat_map(|(_, texts)| texts.clone()).collect();
        self
    }

    /// As in `lang`.
    pub fn tag(&self) -> String {
        self.words.0.get(&self.tag).map_or_else(|| self.tag.clone(), |speech| speech.tag.to_string())
    }

    /// As in `dir`.
    pub fn direction(&self) -> &'static str {
        let is_rtl = self.words.0.get(&self.tag).is_some_and(|speech| is_rtl(&speech.tag));
        if is_rtl { "rtl" } else { "ltr" }
    }

    /// The language for sentences that are written in the program.
    pub fn language(&self) -> Language {
        Language::from_tag(&self.tag).unwrap_or_default()
    }

    /// What a policy says in several languages, by tag: in this one, if it does.
    pub fn pick<'a>(&self, texts: &'a BTreeMap<String, String>) -> Option<&'a str> {
        let primary = self.tag.split('-').next().unwrap_or_default();
        let exact = texts.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(&self.tag));
        let exact = exact.or_else(|| texts.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(primary)));
        exact.map(|(_, text)| text.as_str())
    }

    /// A message for words that are needed in code. What is broken in it is logged and shown as it stands, since a mail
    /// with a rough edge is better than none.
    pub fn say(&self, key: &str, args: &[(&str, FluentValue<'_>)]) -> String {
        let args: FluentArgs<'_> = args.iter().map(|(name, value)| (*name, value.clone())).collect();
        let shipped = || self.from(&Arc::new(Words::shipped())).try_say(key, &args);
        match self.try_say(key, &args) {
            Ok(said) => said,
            Err(error) => {
                tracing::error!(language = self.tag, "{error}");
                shipped().unwrap_or_else(|_| key.to_owned())
            }
        }
    }

    pub(super) fn try_say(&self, key: &str, args: &FluentArgs<'_>) -> Result<String, Unsaid> {
        if let Some(text) = self.texts.get(key) {
            return self.own(key, text, args);
        }
        let of = |tag: &str| self.words.0.get(tag).filter(|speech| speech.bundle.has_message(key));
        let speech = of(&self.tag).or_else(|| of(FALLBACK)).or_else(|| {
            self.words.0.values().find(|speech| speech.bundle.has_message(key)) // a template of another language's own
        });
        let speech = speech.ok_or_else(|| Unsaid::NoMessage(key.to_owned()))?;
        format(&speech.bundle, key, args)
    }

    fn own(&self, key: &str, text: &str, args: &FluentArgs<'_>) -> Result<String, Unsaid> {
        let broken = |errors: Vec<FluentError>| Unsaid::Broken(key.to_owned(), errors);
        let text = text.trim().replace('\n', "\n    ");
        let resource = FluentResource::try_new(format!("{key} = {text}\n"));
        let resource =
            resource.map_err(|(_, errors)| broken(errors.into_iter().map(FluentError::ParserError).collect()))?;
        let tag = self.words.0.get(&self.tag).map(|speech| speech.tag.clone()).unwrap_or_default();
        let mut speech = Speech::new(tag);
        speech.bundle.add_resource_overriding(Arc::new(resource));
        format(&speech.bundle, key, args)
    }
}

fn format(bundle: &Bundle, key: &str, args: &FluentArgs<'_>) -> Result<String, Unsaid> {
    let pattern = bundle.get_message(key).and_then(|message| message.value());
    let pattern = pattern.ok_or_else(|| Unsaid::NoMessage(key.to_owned()))?;
    let mut errors = Vec::new();
    let said = bundle.format_pattern(pattern, Some(args), &mut errors).into_owned();
    if errors.is_empty() { Ok(said) } else { Err(Unsaid::Broken(key.to_owned(), errors)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(files: &[(&str, &str)]) -> Arc<Words> {
        let files: Vec<_> = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        let (words, problems) = Words::read(&files);
        assert!(problems.is_empty(), "{problems:?}");
        Arc::new(words)
    }

    #[test]
    fn the_readers_wish_wins_and_the_senders_language_is_the_rest() {
        let words = words(&[("x/pt-BR.ftl", "done-title = Pronto\n")]);
        let table = [
            ("fr", "fr"),
            ("en-GB,en;q=0.9,fr;q=0.8", "en"),
            ("de, fr-CA;q=0.5, en;q=0.4", "fr"),
            ("fr;q=0, en;q=0.1", "en"),
            ("pt-br, fr;q=0.9", "pt-BR"),
            ("pt, en;q=0.2", "en"),
            ("de", "fr"),
            ("*", "fr"),
            ("", "fr"),
            ("en;q=lots", "fr"),
        ];
        for (accept, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, accept.parse().unwrap());
            let locale = Locale::of_request(&words, &headers, &["de".to_owned(), "fr-FR".to_owned()]);
            assert_eq!(locale.tag(), expected, "{accept}");
        }
        assert_eq!(Locale::of_request(&words, &HeaderMap::new(), &[]).tag(), "en");
    }

    #[test]
    fn a_language_is_added_by_its_file_and_what_it_lacks_is_english() {
        let words = words(&[("x/ar.ftl", "ask-heading = مرحبا { $name }\n"), ("x/fr.ftl", "ask-heading = À nous\n")]);
        let arabic = Locale::first_of(&words, [&"ar".to_owned()]);
        assert_eq!((arabic.direction(), arabic.tag().as_str()), ("rtl", "ar"));
        assert_eq!(arabic.say("ask-heading", &[("name", "Zoé".into())]), "مرحبا \u{2068}Zoé\u{2069}");
        let english = Locale::first_of(&words, []);
        assert_eq!(arabic.say("done-heading", &[]), english.say("done-heading", &[]));
        let french = Locale::first_of(&words, [&"fr".to_owned()]);
        assert_eq!((french.say("ask-heading", &[]).as_str(), french.direction()), ("À nous", "ltr"));
        assert_ne!(french.say("done-heading", &[]), english.say("done-heading", &[]), "the rest stays as shipped");
    }

    #[test]
    fn a_broken_file_is_told_with_its_line_and_the_rest_of_it_counts() {
        let files = [
            ("x/fr.ftl".to_owned(), "ask-heading = Bien\n\ndone-heading = { $\n".to_owned()),
            ("x/notes.of.mine.ftl".to_owned(), String::new()),
        ];
        let (words, problems) = Words::read(&files);
        let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert!(told[0].starts_with("x/fr.ftl:3: not Fluent"), "{told:?}");
        assert!(told[1].starts_with("x/notes.of.mine.ftl:1: ") && told[1].contains("is no language"), "{told:?}");
        assert_eq!(Locale::first_of(&Arc::new(words), [&"fr".to_owned()]).say("ask-heading", &[]), "Bien");
    }
}
