//! One set of templates with one set of words, and how a page comes out of them.

use std::sync::Arc;

use fluent_bundle::{FluentArgs, FluentValue};
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value, context};

use super::load::{SHIPPED_STYLE, SHIPPED_TEMPLATES};
use super::{Problem, View, samples, told};
use crate::policy::rules::Controller;
use crate::web::locale::{Locale, Words};
use crate::web::page::Sender;

/// Templates, words and style.
pub struct Press {
    templates: Environment<'static>,
    pub words: Arc<Words>,
    style: String,
    /// Where a template's file is, for those that are not ours.
    directory: Option<String>,
    own: Vec<String>,
}

/// A page, and the style in it that browsers are told to take.
pub struct Rendered {
    pub html: String,
    pub style: String,
}

impl Press {
    pub fn shipped() -> Press {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.set_trim_blocks(true);
        templates.set_lstrip_blocks(true);
        let mut press = Press {
            templates,
            words: Arc::new(Words::shipped()),
            style: SHIPPED_STYLE.to_owned(),
            directory: None,
            own: Vec::new(),
        };
        for (name, text) in SHIPPED_TEMPLATES {
            let added = press.templates.add_template(name, text);
            debug_assert!(added.is_ok(), "{name}: {added:?}");
        }
        press
    }

    /// The same with other words and an operator's style, to be filled by [`Press::put`].
    pub fn of_directory(directory: String, words: Words, style: Option<String>) -> Press {
        let shipped = Press::shipped();
        let style = style.unwrap_or_else(|| shipped.style.clone());
        Press { words: Arc::new(words), style, directory: Some(directory), ..shipped }
    }

    /// Takes a template of the operator's.
    pub fn put(&mut self, name: &str, text: String) -> Result<(), Problem> {
        self.own.push(name.to_owned());
        let added = self.templates.add_template_owned(name.to_owned(), text);
        added.map_err(|error| {
            let problem = self.problem(&error);
            self.own.pop();
            problem
        })
    }

    pub fn render(&self, template: &str, view: &View<'_>, base: &str, page: Value) -> Result<Rendered, Error> {
        let locale = view.locale.clone().of(view.controller);
        self.print(template, &locale, view, base, page)
    }

    /// In our own words only.
    pub fn render_without_texts(
        &self,
        template: &str,
        view: &View<'_>,
        base: &str,
        page: Value,
    ) -> Result<Rendered, Error> {
        self.print(template, &view.locale.clone().of(None), view, base, page)
    }

    fn print(
        &self,
        template: &str,
        locale: &Locale,
        view: &View<'_>,
        base: &str,
        page: Value,
    ) -> Result<Rendered, Error> {
        let style = self.style_for(view.controller);
        let common = context! {
            t => Value::from_function(translate(locale.clone())),
            lang => locale.tag(),
            dir => locale.direction(),
            style => style,
            base => base,
            controller => view.controller.map(|controller| told(controller, base)),
            senders => Value::from_serialize(&view.senders),
        };
        let html = self.templates.get_template(template)?.render(context! { ..page, ..common })?;
        Ok(Rendered { html, style })
    }

    fn style_for(&self, controller: Option<&Controller>) -> String {
        let Some(accent) = controller.and_then(|controller| controller.look.accent) else { return self.style.clone() };
        format!(
            "{}:root {{ --accent: {}; }}\n@media (prefers-color-scheme: dark) {{ :root {{ --accent: {}; }} }}\n",
            self.style, accent.on_light, accent.on_dark
        )
    }

    /// What is wrong with any page in this language.
    pub fn try_all(&self, locale: &Locale, controller: Option<&Controller>, base: &str) -> Vec<Problem> {
        let senders = vec![Sender {
            name: "Librairie Exemple".to_owned(),
            contact: "contact@exemple.fr".to_owned(),
            contact_link: Some("mailto:contact@exemple.fr".to_owned()),
            privacy_link: Some("https://exemple.fr/privacy".to_owned()),
        }];
        let mut problems = Vec::new();
        for (template, page) in samples::pages() {
            let view = View { locale: locale.clone(), controller, senders: senders.clone() };
            if let Err(error) = self.render(template, &view, base, page) {
                let mut problem = self.problem(&error);
                let of = controller.map_or_else(String::new, |controller| format!(" for {}", controller.id));
                problem.message = format!("{} (shown in {}{of})", problem.message, locale.tag());
                problems.push(problem);
            }
        }
        for (key, args) in samples::said() {
            let args: FluentArgs<'_> = args.into_iter().collect();
            if let Err(error) = locale.try_say(key, &args) {
                let file = self.directory.as_deref().map_or("locales".to_owned(), |at| format!("{at}/locales"));
                problems.push(Problem::at(&format!("{file}/{}.ftl", locale.tag()), 1, error.to_string()));
            }
        }
        problems
    }

    /// The innermost place there is: of an error in an included file not the line that includes it.
    fn problem(&self, error: &Error) -> Problem {
        let mut innermost = error;
        while let Some(inner) = std::error::Error::source(innermost).and_then(|inner| inner.downcast_ref::<Error>()) {
            innermost = inner;
        }
        let name = innermost.name().or_else(|| error.name()).unwrap_or("a template");
        let line = innermost.line().or_else(|| error.line()).unwrap_or(1);
        let detail = innermost.detail().map_or_else(String::new, |detail| format!(": {detail}"));
        let directory = self.directory.as_deref().filter(|_| self.own.iter().any(|own| own == name));
        let cure = match innermost.kind() {
            ErrorKind::UndefinedError => "; write a name that this page of ours uses",
            _ => "",
        };
        let file = format!("{}/{name}", directory.unwrap_or("templates"));
        Problem::at(&file, line, format!("{}{detail}{cure}", innermost.kind()))
    }
}

/// `t("key", name=value)`.
fn translate(locale: Locale) -> impl Fn(&str, Kwargs) -> Result<String, Error> + Send + Sync + 'static {
    move |key: &str, kwargs: Kwargs| {
        let mut args = FluentArgs::new();
        for name in kwargs.args() {
            args.set(name.to_owned(), word(&kwargs.get::<Value>(name)?, name)?);
        }
        locale.try_say(key, &args).map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
    }
}

fn word(value: &Value, name: &str) -> Result<FluentValue<'static>, Error> {
    if value.is_undefined() || value.is_none() {
        return Err(Error::new(ErrorKind::UndefinedError, format!("{name} has no value")));
    }
    Ok(match i64::try_from(value.clone()) {
        Ok(number) if value.is_number() => FluentValue::from(number),
        _ => FluentValue::from(value.to_string()),
    })
}
