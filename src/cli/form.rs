//! `consentry form`: the sign-up forms of the policy, and how they get onto a web site.

use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::json;

use super::table::{self, list};
use super::{CliError, Globals};
use crate::config::{self, Settings};
use crate::policy::form::Form;
use crate::policy::rules::Policy;
use crate::store::Store;
use crate::web::{Locale, Site, Wording, snippet};

/// Sign-up forms: which there are, what they say, how they get onto a web site
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// The forms of the policy, and those that controllers without one have
    List,
    /// What a form says, with everything below it, as it is kept when somebody answers
    Show(Named),
    /// The form as plain HTML for a web site, without script
    ///
    /// The wording is kept in the store, so that it counts for as long as the web site shows it. The policy has to name
    /// the web site in the form's `origins`.
    Snippet(Named),
}

#[derive(Debug, clap::Args)]
struct Named {
    /// The form's name in the policy; of a controller without forms, the controller's
    #[arg(value_name = "ID")]
    id: String,
    /// In which language; else the controller's first
    #[arg(long, value_name = "LANGUAGE")]
    lang: Option<String>,
}

pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let (settings, policy) = config::load(&globals.config)?;
    match &args.command {
        Command::List => print_list(&settings, &policy, globals),
        Command::Show(named) => {
            let shown = Shown::find(named, &settings, &policy)?;
            shown.print(globals)
        }
        Command::Snippet(named) => {
            let shown = Shown::find(named, &settings, &policy)?;
            shown.print_snippet(settings, globals)
        }
    }
}

fn all(policy: &Policy) -> Vec<Form> {
    let without = policy.controllers.keys().filter(|id| policy.forms_of(id).next().is_none());
    let defaults = without.filter_map(|id| policy.default_form(id)).map(std::borrow::Cow::into_owned);
    policy.forms.values().cloned().chain(defaults).collect()
}

fn address_of(form: &Form, settings: &Settings) -> Option<String> {
    let web = settings.public_web.as_ref()?;
    Some(format!("{}/subscribe/{}/{}", web.base_url, form.controller, form.id))
}

fn print_list(settings: &Settings, policy: &Policy, globals: &Globals) -> Result<ExitCode, CliError> {
    let forms = all(policy);
    if globals.json {
        for form in &forms {
            globals.print_json(&json!({
                "id": form.id,
                "controller": form.controller,
                "kind": form.kind.as_str(),
                "topics": form.topics,
                "partners": form.partners,
                "double_opt_in": form.asks_to_confirm(policy),
                "trace": form.trace.as_str(),
                "origins": form.origins,
                "url": address_of(form, settings),
            }))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let columns = ["form", "controller", "kind", "topics", "a yes counts", "web sites", "page"];
    let mut table = table::table(&columns, globals.coloured());
    for form in &forms {
        let counts = if form.asks_to_confirm(policy) { "once confirmed" } else { "at once" };
        let page = address_of(form, settings).unwrap_or_else(|| "- (no [web.public])".to_owned());
        table.add_row([
            form.id.clone(),
            form.controller.clone(),
            form.kind.as_str().to_owned(),
            list(&form.topics),
            counts.to_owned(),
            list(&form.origins),
            page,
        ]);
    }
    globals.print(&format!("{table}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// A form in one language.
struct Shown {
    form: Form,
    wording: Wording,
    locale: Locale,
    base_url: Option<String>,
}

impl Shown {
    fn find(named: &Named, settings: &Settings, policy: &Policy) -> Result<Shown, CliError> {
        let forms = all(policy);
        let form = forms.iter().find(|form| form.id == named.id).cloned().ok_or_else(|| {
            let known: Vec<&str> = forms.iter().map(|form| form.id.as_str()).collect();
            CliError::Usage(format!("no form is called {:?}; there are: {}", named.id, known.join(", ")))
        })?;
        let web = settings.public_web.as_ref();
        let base_url = web.map(|web| web.base_url.clone());
        let site = Site::load(base_url.as_deref().unwrap_or_default(), web.and_then(|web| web.templates.as_deref()));
        let languages = policy.controllers.get(&form.controller).map(|controller| controller.languages.clone());
        let locale = site.locale_of(named.lang.iter().chain(languages.iter().flatten()));
        if let Some(lang) = named.lang.as_ref().filter(|lang| !locale.tag().eq_ignore_ascii_case(lang)) {
            return Err(CliError::Usage(format!(
                "there is no language {lang:?}; add locales/{lang}.ftl, see the settings"
            )));
        }
        let locale = locale.of(policy.controllers.get(&form.controller));
        let wording = Wording::of_form(&form, policy, &locale);
        let wording = wording.ok_or_else(|| CliError::Usage(format!("form {} has no controller", form.id)))?;
        Ok(Shown { form, wording, locale, base_url })
    }

    fn print(&self, globals: &Globals) -> Result<ExitCode, CliError> {
        let Shown { form, wording, .. } = self;
        if globals.json {
            let text = wording.text();
            globals.print_json(&json!({
                "id": form.id, "controller": form.controller, "kind": form.kind.as_str(),
                "text_version": wording.version, "language": wording.language, "text": text,
            }))?;
        } else {
            globals.print(&format!("{} ({})\n\n{}", wording.version, wording.language, wording.text()))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn print_snippet(&self, settings: Settings, globals: &Globals) -> Result<ExitCode, CliError> {
        let Shown { form, wording, locale, base_url } = self;
        let Some(base_url) = base_url else {
            return Err(CliError::Usage("there are no public pages that could take it; add [web.public]".into()));
        };
        let failed = |error: minijinja::Error| CliError::Failed(format!("the snippet cannot be made: {error:#}"));
        let html = snippet(form, wording, locale, base_url).map_err(failed)?;
        keep(settings, wording)?;
        if globals.json {
            globals.print_json(&json!({
                "id": form.id, "text_version": wording.version, "language": wording.language, "html": html,
            }))?;
        } else {
            globals.print(&html)?;
        }
        if form.origins.is_empty() {
            let id = &form.id;
            eprintln!("warning: form {id} names no web site, so it is taken from none; add origins = [\"https://…\"]");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What a web site shows is kept before it does.
fn keep(settings: Settings, wording: &Wording) -> Result<(), CliError> {
    let store = Store::open(&settings.store, settings.hash_keys)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|error| CliError::Failed(format!("no runtime: {error}")))?;
    runtime.block_on(store.keep_text(wording.kept(Timestamp::now())))?;
    store.shutdown();
    Ok(())
}
