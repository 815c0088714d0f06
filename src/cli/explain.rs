//! `consentry explain`: the verdict per recipient and everything that led to it, by the code of the live path.

mod eml;
mod told;

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;

use super::moment::Moment;
use super::{ANSWER_IS_NO, CliError, Globals};
use crate::config::{self, ListenerSettings, Settings, load_policy, parse_sources};
use crate::consent::state::Consulted;
use crate::message::body::BodyScan;
use crate::message::head::{HeadLimits, MessageHead};
use crate::message::way_out::WaysOut;
use crate::policy::classify::{ALWAYS_READ, Classification, classify};
use crate::policy::decide::Consultation;
use crate::policy::facts::MessageFacts;
use crate::policy::link::{decide_with_link, decide_with_link_again};
use crate::policy::rules::{OnSigned, Policy};
use crate::policy::verdict::{Decision, Verdict};
use crate::smtp::address::{EmailAddress, ReversePath};
use crate::store::{DecisionRow, Reader, Seen, StoreError, Story};
use told::Explanation;

/// Tell who would get a message and why; changes nothing
///
/// Either a message file with its recipients, or the reference of a message that was decided: then what was kept of it
/// is judged again, by the policy that was in force, on the events that were known.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The message as a file (.eml), with CRLF or LF line ends
    #[arg(required_unless_present = "reference", conflicts_with = "reference", requires = "to")]
    message: Option<PathBuf>,
    /// Its recipients
    #[arg(long, value_name = "ADDR", num_args = 1.., value_parser = EmailAddress::parse, conflicts_with = "reference")]
    to: Vec<EmailAddress>,
    /// The envelope sender, `<>` for the null sender; else the first From address
    #[arg(long, value_name = "ADDR", conflicts_with = "reference")]
    from: Option<String>,
    /// The listener it comes in on; may be left out when there is one
    #[arg(long, value_name = "NAME", conflicts_with = "reference")]
    listener: Option<String>,
    /// The AUTH user that sends it; empty for one whose name cannot be read
    #[arg(long, value_name = "USER", conflicts_with = "reference")]
    credential: Option<String>,
    /// The client's IP address
    #[arg(long, value_name = "IP", default_value = "127.0.0.1", conflicts_with = "reference")]
    client: IpAddr,
    /// A reference from a reply, the log or the journal
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<String>,
    /// Another policy file than the one in force
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The moment of the decision; else now, or when it was decided
    #[arg(long, value_name = "TIME")]
    at: Option<Moment>,
}

pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let explanation = match (&args.reference, &args.message) {
        (Some(reference), _) => match recorded(args, globals, reference)? {
            Recorded::Judged(explanation) => *explanation,
            Recorded::Forgotten(story) => return forgotten(&story, globals),
            Recorded::Nowhere => {
                globals.print("the journal has no such reference\n")?;
                return Ok(ExitCode::from(ANSWER_IS_NO));
            }
        },
        (None, Some(path)) => fresh(args, globals, path)?,
        (None, None) => return Err(CliError::Usage("name a message file or a reference".into())),
    };
    if globals.json {
        globals.print_json(&explanation.to_json())?;
    } else {
        globals.print(&explanation.to_text(globals.coloured()))?;
    }
    let mut decisions = explanation.verdicts.iter().map(|verdict| verdict.decision.as_str());
    let mut erased = explanation.erased.iter().map(|decision| decision.decision.as_str());
    Ok(status(decisions.all(is_allowed) && erased.all(is_allowed)))
}

fn is_allowed(decision: &str) -> bool {
    decision == Decision::Allow.as_str()
}

fn status(all_allowed: bool) -> ExitCode {
    if all_allowed { ExitCode::SUCCESS } else { ExitCode::from(ANSWER_IS_NO) }
}

/// What the reference of a message comes to.
enum Recorded {
    Nowhere,
    Judged(Box<Explanation>),
    /// Everybody it went to was erased, and with them what could be judged again.
    Forgotten(Box<Story>),
}

fn forgotten(story: &Story, globals: &Globals) -> Result<ExitCode, CliError> {
    if globals.json {
        globals.print_json(&told::forgotten_json(story))?;
    } else {
        globals.print(&told::forgotten_text(story, globals.coloured()))?;
    }
    Ok(status(story.decisions.iter().all(|decision| is_allowed(&decision.decision))))
}

/// A message as if it arrived now: gather, classify, consult, decide.
fn fresh(args: &Args, globals: &Globals, path: &PathBuf) -> Result<Explanation, CliError> {
    let (settings, in_force) = config::load(&globals.config)?;
    let policy = args.policy.as_deref().map(load_policy).transpose()?.unwrap_or(in_force);
    let listener = listener(&settings, args.listener.as_deref())?;
    let raw = fs::read(path).map_err(|e| CliError::Usage(format!("{}: {e}", path.display())))?;
    let wire = eml::to_wire(&raw);
    let limits =
        HeadLimits { header: listener.max_header_size, field: listener.max_field_size, fields: listener.max_fields };
    let head = MessageHead::locate(&wire, &limits).map_err(|e| CliError::Usage(format!("{}: {e}", path.display())))?;
    let from = envelope_from(args.from.as_deref(), &head, &wire)?;
    let origin = settings.origin(listener, args.credential.as_deref(), args.client);
    let facts = MessageFacts::gather(&policy, origin, from, args.to.len(), &head, &wire);
    let mut classification = classify(&policy, &facts);
    if classification.asks_about_the_recipient() {
        // The settings are checked: a listener names an upstream that is there.
        let on_signed = settings.on_signed(&policy, &settings.upstreams[&listener.upstream], &head, &wire);
        let begin = if on_signed == OnSigned::Resign { BodyScan::of_resigned } else { BodyScan::new };
        let pages = settings.public_web.as_ref().map(|web| web.base_url.as_str());
        let ways = WaysOut::new(pages, policy.optout_links(classification.controller.as_deref()));
        let mut scan = begin(&head, &wire, &ways, false);
        scan.feed(&wire[head.body_start()..]);
        classification.body = Some(scan.finish().facts);
    }

    let mut notes = head.anomalies().notes();
    let consulted = consult(&settings, &classification, &args.to);
    if let Err(error) = &consulted {
        notes.push(format!("store: {error}"));
    }
    let failing = consulted.as_ref().ok().and_then(|(_, failing)| *failing);
    notes.extend(failing.map(|since| {
        let since = since.to_zoned(policy.time_zone.clone());
        format!("the unsubscribe address has been failing since {}", since.strftime("%Y-%m-%d %H:%M %Z"))
    }));
    let at = args.at.map_or_else(Timestamp::now, |at| at.resolve(Timestamp::now()));
    let verdicts = args.to.iter().enumerate().map(|(n, recipient)| {
        let consultation =
            consulted.as_ref().map_or(Consultation::Unavailable, |(known, _)| Consultation::Known(&known[n]));
        decide_with_link(&policy, &classification, recipient, consultation, failing, at)
    });
    let verdicts = verdicts.collect();
    let (recorded, erased) = (Vec::new(), Vec::new());
    Ok(Explanation { reference: None, at, policy, classification, verdicts, recorded, erased, notes })
}

/// As the live path: mail whose verdict depends on nobody's consent asks nothing. With since when our link is failing.
fn consult(
    settings: &Settings,
    classification: &Classification,
    recipients: &[EmailAddress],
) -> Result<(Vec<Consulted>, Option<Timestamp>), StoreError> {
    match &classification.controller {
        Some(controller) if classification.asks_about_the_recipient() => {
            let mut reader = Reader::open(&settings.store, settings.hash_keys.clone())?;
            Ok((reader.consult(controller, recipients)?.0, reader.link_failing_since()?))
        }
        _ => Ok((vec![Consulted::default(); recipients.len()], None)),
    }
}

fn listener<'a>(settings: &'a Settings, name: Option<&str>) -> Result<&'a ListenerSettings, CliError> {
    let known = || settings.listeners.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    match name {
        Some(name) => settings
            .listeners
            .get(name)
            .ok_or_else(|| CliError::Usage(format!("no listener `{name}`; there is {}", known()))),
        None if settings.listeners.len() > 1 => Err(CliError::Usage(format!("say which --listener: {}", known()))),
        None => {
            settings.listeners.values().next().ok_or_else(|| CliError::Usage("the settings have no listener".into()))
        }
    }
}

fn envelope_from(said: Option<&str>, head: &MessageHead, wire: &[u8]) -> Result<ReversePath, CliError> {
    let bare = |text: &str| text.trim().trim_start_matches('<').trim_end_matches('>').to_owned();
    match said {
        Some(text) => ReversePath::parse(&bare(text)).map_err(|e| CliError::Usage(format!("--from: {e}"))),
        None => {
            let from =
                head.fields(wire).find(|field| field.is("From")).and_then(|field| field.addresses().into_iter().next());
            let parsed = from.and_then(|address| ReversePath::parse(&address).ok());
            parsed.ok_or_else(|| CliError::Usage("the message has no usable From address; say --from".into()))
        }
    }
}

/// A decision told again from what the journal kept.
fn recorded(args: &Args, globals: &Globals, reference: &str) -> Result<Recorded, CliError> {
    let settings = config::load_settings(&globals.config)?;
    let mut reader = Reader::open(&settings.store, settings.hash_keys)?;
    let Some(mut story) = reader.story(&reference.trim().to_ascii_uppercase())? else { return Ok(Recorded::Nowhere) };
    let Some(facts) = story.facts.take() else { return Ok(Recorded::Forgotten(Box::new(story))) };
    let policy = match &args.policy {
        Some(path) => load_policy(path)?,
        None => kept_policy(&mut reader, &story.message.policy)?,
    };
    let at = args.at.map_or(story.message.at, |at| at.resolve(Timestamp::now()));
    let classification = classify(&policy, &facts);
    let mut notes = unkept_fields(&policy, &facts);
    if facts.body.is_none() && args.policy.is_some() && classification.asks_about_the_recipient() {
        notes.push("the body was not looked at then: whether it offers a way out is not judged".into());
    }
    let mut verdicts = Vec::new();
    let (erased, recorded): (Vec<_>, Vec<_>) = story.decisions.drain(..).partition(|decision| decision.erased);
    for decision in &recorded {
        let verdict = decide_again(&mut reader, &policy, &classification, &story, decision, at)?;
        notes.extend(difference(decision, &verdict, args));
        verdicts.push(verdict);
    }
    let reference = Some(story.message.reference);
    let explanation = Explanation { reference, at, policy, classification, verdicts, recorded, erased, notes };
    Ok(Recorded::Judged(Box::new(explanation)))
}

fn kept_policy(reader: &mut Reader, hash: &str) -> Result<Policy, CliError> {
    let kept = reader.policy(hash)?;
    let kept =
        kept.ok_or_else(|| CliError::Failed(format!("the store has not kept the policy {hash}; say --policy")))?;
    Ok(parse_sources(&kept.sources)?)
}

/// What a policy reads that was not looked for when the message was there: it may have been there or not.
fn unkept_fields(policy: &Policy, facts: &MessageFacts) -> Vec<String> {
    let mut wanted = policy.fields_read();
    wanted.extend(ALWAYS_READ.map(str::to_owned));
    let unkept = wanted.into_iter().filter(|name| !facts.fields_kept.contains(name));
    unkept.map(|name| format!("the policy reads the field {name}, which was not kept: it is taken as absent")).collect()
}

fn decide_again(
    reader: &mut Reader,
    policy: &Policy,
    classification: &Classification,
    story: &Story,
    decision: &DecisionRow,
    at: Timestamp,
) -> Result<Verdict, CliError> {
    let recipient = EmailAddress::parse(&decision.recipient)
        .map_err(|e| CliError::Failed(format!("the journal holds an address that is none: {e}")))?;
    // 0: nobody was asked about then; a policy that asks now sees what was recorded at that time.
    let mut known = match &classification.controller {
        None => Consulted::default(),
        Some(controller) => {
            let seen = match (decision.event_seq, decision.sent_seq) {
                (0, 0) => reader.seen_at(story.message.at)?,
                (event_seq, sent_seq) => Seen { event_seq, sent_seq },
            };
            reader.consult_as_of(controller, &recipient, seen, story.message.at)?
        }
    };
    if let Some(attempt) = &story.message.attempt {
        known.forget_attempt(attempt);
    }
    Ok(decide_with_link_again(policy, classification, &recipient, &known, &decision.because, at))
}

/// With nothing changed the verdict is the recorded one; where it is not, something else was different then.
fn difference(decision: &DecisionRow, verdict: &Verdict, args: &Args) -> Option<String> {
    let same = decision.reason == verdict.reason.as_str() && decision.decision == verdict.decision.as_str();
    let asked_for = args.policy.is_some() || args.at.is_some();
    (!same && !asked_for).then(|| {
        format!(
            "recorded as {} {}: what decided then is not kept as a fact (the store may have given no answer)",
            decision.decision, decision.reason
        )
    })
}
