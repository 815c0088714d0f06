//! The regulator's file: `journal proof` and `contact proof` write it, `ledger verify --bundle` checks it.

mod archive;
mod page;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::json;

use super::{ANSWER_IS_NO, CliError, Globals};
use crate::config::{self, Settings};
use crate::consent::event::RecordedEvent;
use crate::consent::ledger::checkpoint::PublicKey;
use crate::consent::ledger::hex;
use crate::policy::bundle::{Bundle, Disclosed, Part, VERSION, Wording};
use crate::policy::rules::PolicySource;
use crate::smtp::address::EmailAddress;
use crate::store::{LedgerEntry, NewCheckpoint, Reader, Story, Subject};

pub use archive::read as read_bundle;

/// Where the file goes.
#[derive(Debug, clap::Args)]
pub struct OutArgs {
    /// The archive to write; one that is there already is left alone
    #[arg(long, value_name = "FILE.zip", default_value = "proof.zip")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
pub struct MessageArgs {
    /// The reference: in the mailer's reply, in the log, in `journal list`
    reference: String,
    /// Of which recipient: the file then tells nothing of the others
    #[arg(long, value_name = "ADDR", value_parser = EmailAddress::parse)]
    to: Option<EmailAddress>,
    #[command(flatten)]
    out: OutArgs,
}

#[derive(Debug, clap::Args)]
pub struct ContactArgs {
    #[arg(value_name = "ADDR", value_parser = EmailAddress::parse)]
    address: EmailAddress,
    #[command(flatten)]
    out: OutArgs,
}

/// What goes into the file, as it is found.
struct Gathering {
    reader: Reader,
    checkpoint: NewCheckpoint,
    public_key: PublicKey,
    entries: BTreeMap<i64, Disclosed>,
    texts: BTreeMap<(String, String), Wording>,
    policies: Vec<Vec<PolicySource>>,
    events: Vec<RecordedEvent>,
}

/// One decision, or all of one message.
pub fn of_message(args: &MessageArgs, globals: &Globals) -> Result<ExitCode, CliError> {
    let settings = config::load_settings(&globals.config)?;
    let mut found = Gathering::begin(&settings)?;
    let reference = args.reference.trim().to_ascii_uppercase();
    let Some(mut story) = found.reader.story(&reference)? else {
        globals.print("the journal has no such reference\n")?;
        return Ok(ANSWER_IS_NO.into());
    };
    keep_one(&mut story, args.to.as_ref())?;
    let shown: BTreeSet<i64> = story.decisions.iter().map(|decision| decision.id()).collect();
    for seq in found.reader.ledger_places(Subject::Message(&reference))? {
        found.take(seq, |opening| shown.contains(&opening))?;
    }
    let relied_on: BTreeSet<i64> = story.decisions.iter().flat_map(|decision| decision.events.clone()).collect();
    for event in relied_on {
        found.take_event(event)?;
    }
    found.take_policy(&story.message.policy)?;
    let page = page::of_message(&story, &found);
    found.write(&format!("message {reference}"), &page, &args.out, globals)
}

/// Nobody's decision is shown beside somebody else's unless it is asked for one by one.
fn keep_one(story: &mut Story, to: Option<&EmailAddress>) -> Result<(), CliError> {
    let named = |recipient: &str| {
        let key = EmailAddress::parse(recipient).map(|address| address.consent_key());
        to.is_some_and(|to| key.as_ref() == Ok(&to.consent_key()))
    };
    if story.decisions.len() > 1 || to.is_some() {
        let count = story.decisions.len();
        story.decisions.retain(|decision| named(&decision.recipient));
        if story.decisions.is_empty() {
            let of = if to.is_some() { "the address given is not among them" } else { "say which with --to" };
            return Err(CliError::Usage(format!("the message went to {count} recipients; {of}")));
        }
    }
    Ok(())
}

/// Everything that was recorded of a person.
pub fn of_contact(args: &ContactArgs, globals: &Globals) -> Result<ExitCode, CliError> {
    let settings = config::load_settings(&globals.config)?;
    let mut found = Gathering::begin(&settings)?;
    let Some(contact) = found.reader.contact(&args.address)? else {
        globals.print("nothing is known of this address\n")?;
        return Ok(ANSWER_IS_NO.into());
    };
    for recorded in found.reader.history(contact.id)? {
        found.take_event(recorded.seq)?;
    }
    let page = page::of_contact(&args.address, &found);
    found.write("what was recorded of one person", &page, &args.out, globals)
}

impl Gathering {
    /// The checkpoint comes first: what is recorded after it is not in the file.
    fn begin(settings: &Settings) -> Result<Gathering, CliError> {
        let signing = super::ledger::signing_keys(settings)?;
        let mut reader = Reader::open(&settings.store, settings.hash_keys.clone())?;
        let checkpoint = reader.sign_checkpoint(signing, &settings.ledger_origin(), Timestamp::now())?;
        let key = signing.public().first().copied().unwrap_or_default(); // a list of keys is never empty
        Ok(Gathering {
            reader,
            checkpoint,
            public_key: PublicKey { name: settings.ledger_origin(), key },
            entries: BTreeMap::new(),
            texts: BTreeMap::new(),
            policies: Vec::new(),
            events: Vec::new(),
        })
    }

    /// An entry with those parts that are about a decision that may be shown, or about none.
    fn take(&mut self, seq: i64, may_show: impl Fn(i64) -> bool) -> Result<(), CliError> {
        let size = self.checkpoint.checkpoint.size;
        let Some(path) = self.reader.inclusion_proof(seq, size)? else { return Ok(()) };
        let Some(entry) = self.reader.ledger_entry(seq)? else { return Ok(()) };
        let parts = parts(&entry, may_show);
        let path = path.iter().map(|digest| hex(digest)).collect();
        let place = seq.unsigned_abs(); // entries count from 1
        self.entries.insert(seq, Disclosed { seq: place, entry: entry.canonical, path, parts });
        Ok(())
    }

    /// An event that is relied on, and the wording it names.
    fn take_event(&mut self, event: i64) -> Result<(), CliError> {
        for seq in self.reader.ledger_places(Subject::Event(event))? {
            self.take(seq, |_| true)?;
        }
        let Some(recorded) = self.reader.event(event)? else { return Ok(()) };
        if let Some(version) = &recorded.event.text_version {
            for seq in self.reader.ledger_places(Subject::Text(version))? {
                self.take(seq, |_| true)?;
            }
            for text in self.reader.text(version)? {
                let wording =
                    Wording { version: text.version.clone(), language: text.language.clone(), body: text.body };
                self.texts.insert((text.version, text.language), wording);
            }
        }
        self.events.push(recorded);
        Ok(())
    }

    fn take_policy(&mut self, hash: &str) -> Result<(), CliError> {
        for seq in self.reader.ledger_places(Subject::Policy(hash))? {
            self.take(seq, |_| true)?;
        }
        self.policies.extend(self.reader.policy(hash)?.map(|kept| kept.sources));
        Ok(())
    }

    /// What was written holds by the same check a stranger makes, or it is not handed out.
    fn write(self, about: &str, page: &str, out: &OutArgs, globals: &Globals) -> Result<ExitCode, CliError> {
        let bundle = Bundle {
            version: VERSION,
            about: about.to_owned(),
            checkpoint: self.checkpoint.note,
            entries: self.entries.into_values().collect(),
            texts: self.texts.into_values().collect(),
            policies: self.policies,
        };
        let verified = bundle.verify(&[self.public_key.key]);
        let verified = verified.map_err(|error| {
            CliError::Failed(format!("the record does not hold, so there is no proof: {error}; see `ledger verify`"))
        })?;
        archive::write(&out.out, &bundle, page, &self.public_key)?;
        if globals.json {
            globals
                .print_json(&json!({"file": out.out, "public_key": self.public_key.to_string(), "holds": verified}))?;
        } else {
            globals.print(&format!(
                "{}: {} entries of the ledger up to entry {}, {} events, {} wordings, {} policies.\n\
                 Whoever gets it checks it with your public key, which they have from you and not from the file:\n\n  \
                 consentry ledger verify --bundle {} --public-key '{}'\n",
                out.out.display(),
                verified.entries,
                verified.size,
                verified.events,
                verified.texts,
                verified.policies,
                out.out.display(),
                self.public_key
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The parts that are still there; those of a decision only if it may be shown.
fn parts(entry: &LedgerEntry, may_show: impl Fn(i64) -> bool) -> Vec<Part> {
    let several = entry.kind == "message";
    let shown = entry.openings.iter().filter(|opening| opening.decision.is_none_or(&may_show));
    let part = |opening: &crate::store::Opening| {
        let field = match (opening.name, opening.decision) {
            ("decision", Some(row)) if several => format!("decisions.{row}"),
            (name, _) => name.to_owned(),
        };
        Some(Part { field, salt: opening.salt.clone()?, text: opening.part.clone()? })
    };
    shown.filter_map(part).collect()
}
