//! `rights`: what a controller tells people of their rights.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::{CliError, Globals};
use crate::config;
use crate::policy::rules::Controller;
use crate::web::Site;

/// What to tell people of their rights
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Text(TextArgs),
}

/// A text for standard replies, with the address of the page of rights
///
/// The address stays: print it, link to it, answer with it whoever asks by post, on the telephone or on a social network.
#[derive(Debug, clap::Args)]
struct TextArgs {
    /// Only of this controller; else of each
    #[arg(long, value_name = "ID")]
    controller: Option<String>,
    /// The language; else the first of the controller's
    #[arg(long, value_name = "TAG")]
    lang: Option<String>,
}

pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let Command::Text(args) = &args.command;
    let (settings, policy) = config::load(&globals.config)?;
    let Some(public) = &settings.public_web else {
        return Err(CliError::Usage("there is no page of rights; write [web.public] into the settings".into()));
    };
    let asked = |controller: &&Controller| args.controller.as_ref().is_none_or(|id| *id == controller.id);
    let controllers: Vec<&Controller> = policy.controllers.values().filter(asked).collect();
    if let (Some(id), true) = (&args.controller, controllers.is_empty()) {
        let known: Vec<&str> = policy.controllers.keys().map(String::as_str).collect();
        return Err(CliError::Usage(format!("the policy has no controller `{id}`; it has {}", known.join(", "))));
    }
    let site = Site::load(&public.base_url, public.templates.as_deref());
    let text = |controller: &Controller| {
        let page = format!("{}/rights/{}", public.base_url, controller.id);
        let locale = site.locale_of(args.lang.iter().chain(&controller.languages)).of(Some(controller));
        let about = [("page", page.clone().into()), ("sender", controller.name.clone().into())];
        (page, locale.tag(), locale.say("rights-reply", &about))
    };
    for controller in controllers {
        let (page, language, text) = text(controller);
        if globals.json {
            let (id, name) = (&controller.id, &controller.name);
            globals.print_json(
                &json!({"controller": id, "name": name, "page": page, "language": language, "text": text}),
            )?;
        } else {
            globals.print(&format!("{text}\n\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
