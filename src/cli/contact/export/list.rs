//! A list for another use: only those who agreed to exactly that, recorded before anybody has it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use jiff::Timestamp;
use ring::digest::{Context, SHA256};
use serde_json::json;
use tempfile::NamedTempFile;

use super::{Args, Format};
use crate::cli::contact::the_controller;
use crate::cli::output::record;
use crate::cli::{CliError, Globals};
use crate::config::Settings;
use crate::consent::event::{EventType, Field, RecordedEvent, Shape};
use crate::consent::scope;
use crate::consent::state::Consulted;
use crate::policy::handover::{Agreed, Known, LeftOut, Use, agreed};
use crate::policy::rules::Policy;
use crate::policy::verdict::Reason;
use crate::store::{Contact, Handover, Reader, Store};

/// How many people are asked about at once.
const PAGE: usize = 500;

/// How many of those on a list are recorded in one transaction, so that a gate need not wait.
const RECORDED_AT_ONCE: usize = 2000;

struct Asked<'a> {
    policy: &'a Policy,
    controller: String,
    to: Use,
    topic: Option<&'a str>,
    format: Format,
    at: Timestamp,
}

/// What came of it.
#[derive(Default)]
struct Counted {
    people: Vec<i64>,
    left_out: BTreeMap<Reason, u64>,
}

pub(super) fn run(
    args: &Args,
    (settings, policy): (Settings, &Policy),
    globals: &Globals,
) -> Result<ExitCode, CliError> {
    let usage = |why: &str| CliError::Usage(why.into());
    let out = args.out.as_deref().ok_or_else(|| usage("a list needs a file: --out FILE"))?;
    let by = args.by.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let by = by.ok_or_else(|| usage("say who takes the list: --by NAME"))?;
    if out.exists() {
        return Err(CliError::Usage(format!("{} is there already; name a new file", out.display())));
    }
    let controller = the_controller(args.controller.as_deref(), policy)?;
    let to = purpose(args, &controller)?;
    let (topic, format) = (args.topic.as_deref(), args.format);
    let asked = Asked { policy, controller, to, topic, format, at: Timestamp::now() };

    let mut reader = Reader::open(&settings.store, settings.hash_keys.clone())?;
    let failed = |error: &dyn std::fmt::Display| CliError::Failed(format!("{}: {error}", out.display()));
    // Readable by its owner only, and gone if anything fails before it is recorded.
    let directory = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(directory).map_err(|e| failed(&e))?;
    let mut digest = Context::new(&SHA256);
    let counted = {
        let mut buffer = BufWriter::new(file.as_file_mut());
        let counted = asked.write(&mut reader, |bytes| {
            digest.update(bytes);
            buffer.write_all(bytes).map_err(|e| failed(&e))
        })?;
        buffer.flush().map_err(|e| failed(&e))?;
        counted
    };
    file.as_file().sync_all().map_err(|e| failed(&e))?;

    let digits: String = digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let handover = Handover {
        at: asked.at,
        by: by.to_owned(),
        controller: asked.controller.clone(),
        to: asked.to.clone(),
        topics: asked.topic.iter().map(|topic| (*topic).to_owned()).collect(),
        people: counted.people.len() as u64,
        left_out: counted.left_out.clone(),
        sha256: format!("sha256:{digits}"),
    };
    keep(&handover, &counted.people, settings)?;
    file.persist_noclobber(out).map_err(|e| failed(&e.error))?;
    tell(&handover, out, globals)?;
    Ok(ExitCode::SUCCESS)
}

fn purpose(args: &Args, controller: &str) -> Result<Use, CliError> {
    let known = match Field::find("channel", EventType::OptIn).map(|field| field.shape) {
        Some(Shape::OneOf(names)) => names,
        _ => &[],
    };
    match (&args.channel, &args.partner) {
        (Some(channel), _) if channel != "*" && known.contains(&channel.as_str()) => Ok(Use::Channel(channel.clone())),
        (Some(channel), _) => {
            let names: Vec<&str> = known.iter().copied().filter(|name| *name != "*").collect();
            Err(CliError::Usage(format!("--channel {channel}: write one of {}", names.join(", "))))
        }
        (None, Some(partner)) if partner == controller => {
            Err(CliError::Usage(format!("--partner {partner}: that is the controller itself; name another one")))
        }
        (None, partner) => Ok(Use::Partner(partner.clone().unwrap_or_default())),
    }
}

/// Somebody, what they agreed to, and what is known of them.
type Answer = (Contact, Result<Vec<Agreed>, LeftOut>, Consulted);

impl Asked<'_> {
    /// Everybody the controller knows, page by page.
    fn write(
        &self,
        reader: &mut Reader,
        mut out: impl FnMut(&[u8]) -> Result<(), CliError>,
    ) -> Result<Counted, CliError> {
        let mut counted = Counted::default();
        if self.format == Format::Csv {
            out(&record(COLUMNS))?;
        }
        let mut last = 0;
        loop {
            let page = reader.contacts_of(&self.controller, last, PAGE)?;
            let Some(end) = page.last() else { return Ok(counted) };
            last = end.id;
            for (contact, answer, known) in self.answers(reader, page)? {
                match answer {
                    Ok(topics) => {
                        out(&self.lines(&contact, &topics, &known))?;
                        counted.people.push(contact.id);
                    }
                    Err(left_out) => *counted.left_out.entry(left_out.reason).or_default() += 1,
                }
            }
        }
    }

    fn answers(&self, reader: &mut Reader, page: Vec<Contact>) -> Result<Vec<Answer>, CliError> {
        let addresses: Vec<_> = page.iter().map(|contact| contact.address.clone()).collect();
        let (own, _) = reader.consult(&self.controller, &addresses)?;
        let partner = match &self.to {
            Use::Partner(partner) => reader.consult(partner, &addresses)?.0.into_iter().map(Some).collect(),
            Use::Channel(_) => vec![None; own.len()],
        };
        let answer = |((contact, own), partner): ((Contact, Consulted), Option<Consulted>)| {
            let known = Known { own: &own, partner: partner.as_ref() };
            let person = (&contact.address, known);
            let answer = agreed(self.policy, &self.controller, &self.to, person, self.at);
            let answer = answer.and_then(|topics| self.on_topic(topics));
            (contact, answer, own)
        };
        Ok(page.into_iter().zip(own).zip(partner).map(answer).collect())
    }

    fn on_topic(&self, mut topics: Vec<Agreed>) -> Result<Vec<Agreed>, LeftOut> {
        let because = topics.first().map(|agreed| agreed.because.clone()).unwrap_or_default();
        topics.retain(|agreed| self.topic.is_none_or(|wanted| scope::reaches(wanted, &agreed.topic)));
        if topics.is_empty() { Err(LeftOut { reason: Reason::ConsentTopic, because }) } else { Ok(topics) }
    }

    /// The address with the proof of each agreement: whoever gets the list has to be able to show it.
    fn lines(&self, contact: &Contact, topics: &[Agreed], known: &Consulted) -> Vec<u8> {
        let events = || known.exact.iter().flat_map(|state| &state.events);
        let proof = |agreed: &Agreed| -> Option<&RecordedEvent> {
            events().find(|recorded| agreed.events.contains(&recorded.seq) && recorded.event.kind.is_opt_in())
        };
        if self.format == Format::Csv {
            let row = |agreed: &Agreed| record(cells(contact, agreed, proof(agreed)));
            return topics.iter().flat_map(row).collect();
        }
        let told = |agreed: &Agreed| {
            let proof = proof(agreed);
            let event = proof.map(|recorded| &recorded.event);
            json!({
                "topic": agreed.topic,
                "agreed_at": proof.map(|recorded| recorded.at),
                "last_day": agreed.last_day.map(|day| day.to_string()),
                "mechanism": event.and_then(|event| event.mechanism.as_ref()),
                "source": event.and_then(|event| event.source.as_ref()),
                "text_version": event.and_then(|event| event.text_version.as_ref()),
                "event": proof.map(|recorded| recorded.seq),
            })
        };
        let mut line = json!({
            "address": contact.address, "controller": self.controller, "topics": topics.iter().map(told).collect::<Vec<_>>(),
        });
        let (name, value) = match &self.to {
            Use::Channel(channel) => ("channel", channel),
            Use::Partner(partner) => ("partner", partner),
        };
        line[name] = value.as_str().into();
        format!("{line}\n").into_bytes()
    }
}

const COLUMNS: [&str; 8] =
    ["address", "topic", "agreed_at", "last_day", "mechanism", "source", "text_version", "event"];

fn cells(contact: &Contact, agreed: &Agreed, proof: Option<&RecordedEvent>) -> [String; 8] {
    let event = proof.map(|recorded| &recorded.event);
    let text = |text: Option<&String>| text.cloned().unwrap_or_default();
    [
        contact.address.to_string(),
        agreed.topic.clone(),
        proof.map(|recorded| recorded.at.to_string()).unwrap_or_default(),
        agreed.last_day.map(|day| day.to_string()).unwrap_or_default(),
        text(event.and_then(|event| event.mechanism.as_ref())),
        text(event.and_then(|event| event.source.as_ref())),
        text(event.and_then(|event| event.text_version.as_ref())),
        proof.map(|recorded| recorded.seq.to_string()).unwrap_or_default(),
    ]
}

/// Durable before the file has its name.
fn keep(handover: &Handover, people: &[i64], settings: Settings) -> Result<(), CliError> {
    let store = Store::open(&settings.store, settings.hash_keys)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|e| CliError::Failed(format!("no runtime: {e}")))?;
    runtime.block_on(async {
        let number = store.record_handover(handover).await?;
        for some in people.chunks(RECORDED_AT_ONCE) {
            store.add_handed_over(number, some.to_vec()).await?;
        }
        Ok::<(), CliError>(())
    })?;
    store.shutdown();
    Ok(())
}

fn tell(handover: &Handover, out: &Path, globals: &Globals) -> Result<(), CliError> {
    if globals.json {
        let mut told = serde_json::to_value(handover).unwrap_or_default();
        told["file"] = out.display().to_string().into();
        return globals.print_json(&told);
    }
    let left_out: u64 = handover.left_out.values().sum();
    let mut text = format!(
        "{} people for {} in {}, taken by {}; {left_out} left out\n",
        handover.people,
        handover.to,
        out.display(),
        crate::cli::table::printable(&handover.by),
    );
    for (reason, count) in &handover.left_out {
        _ = writeln!(text, "  {count} {reason}");
    }
    globals.print(&text)
}
