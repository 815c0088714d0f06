//! Decision cases as data: facts about a person, a message, a moment, and the verdict the rules give. A real message is
//! built for each and goes the live way: gather, classify, fold, decide.
//!
//! Our own cases stand in `tests/cases`; a folder of more cases in the same format may lie beside the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use consentry::config::parse_policy;
use consentry::consent::event::{ConsentEvent, RecordedEvent};
use consentry::consent::state::{Consulted, ContactState, Sent};
use consentry::message::body::BodyScan;
use consentry::message::head::{HeadLimits, MessageHead};
use consentry::message::language::Language;
use consentry::message::way_out::WaysOut;
use consentry::policy::because::written;
use consentry::policy::classify::{Classification, classify};
use consentry::policy::decide::{Consultation, DELETION_NOTICE, DOI_REQUEST, decide};
use consentry::policy::facts::{MessageFacts, Origin};
use consentry::policy::rules::{Class, Policy};
use consentry::policy::verdict::{Reason, Verdict};
use consentry::policy::word::Word;
use consentry::smtp::address::{EmailAddress, ReversePath, Width};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct CaseFile {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    id: String,
    title: String,
    now: Timestamp,
    to: OneOrMany<String>,
    #[serde(default)]
    policy: toml::Table,
    store: Option<String>,
    #[serde(default)]
    events: Vec<serde_json::Map<String, Value>>,
    #[serde(default)]
    sent: Vec<Earlier>,
    #[serde(default)]
    message: Message,
    expect: OneOrMany<Expected>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T: Clone> OneOrMany<T> {
    fn list(&self) -> Vec<T> {
        match self {
            OneOrMany::One(one) => vec![one.clone()],
            OneOrMany::Many(many) => many.clone(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Message {
    class: String,
    topics: Vec<String>,
    families: Vec<String>,
    functions: Vec<String>,
    kind: Option<String>,
    from: String,
    envelope_from: String,
    subject: String,
    body_optout: bool,
    list_unsubscribe: Option<String>,
    headers: BTreeMap<String, String>,
    body: Option<String>,
}

impl Default for Message {
    fn default() -> Message {
        Message {
            class: "promotional".into(),
            topics: vec!["offers/books".into()],
            families: vec!["book".into()],
            functions: Vec::new(),
            kind: None,
            from: "news@c.example".into(),
            envelope_from: "bounces@c.example".into(),
            subject: "What is new".into(),
            body_optout: true,
            list_unsubscribe: None,
            headers: BTreeMap::new(),
            body: None,
        }
    }
}

/// An earlier message to the recipient.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Earlier {
    at: Timestamp,
    class: Option<Class>,
    #[serde(default)]
    topics: Vec<String>,
    kind: Option<String>,
    accepted: Option<bool>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    to: Option<String>,
    decision: String,
    reason: String,
    basis: Option<String>,
    #[serde(default)]
    secondary: Vec<String>,
    #[serde(default)]
    flags: Vec<String>,
    last_day: Option<String>,
    #[serde(default)]
    alert: bool,
    #[serde(default)]
    footer: bool,
}

impl Case {
    /// Checks every recipient; an error says which and how.
    fn run(&self, base: &toml::Table) -> Result<(), String> {
        let policy = self.policy_from(base);
        let recipients = self.to.list();
        let classification = self.classify(&policy, recipients.len());
        let expected = self.expect.list();
        for (index, to) in recipients.iter().enumerate() {
            let expected = expected.iter().find(|one| one.to.as_ref() == Some(to)).unwrap_or(&expected[index]);
            let Ok(recipient) = EmailAddress::parse(to) else {
                // The session answers 501 before anything is decided.
                check("reason", "ADDR_MALFORMED", &expected.reason)?;
                continue;
            };
            let consulted = self.consulted(&recipient, to);
            let consultation = match self.store.as_deref() {
                Some("down") => Consultation::Unavailable,
                _ => Consultation::Known(&consulted),
            };
            let verdict = decide(&policy, &classification, &recipient, consultation, self.now);
            compare(&verdict, expected)
                .and_then(|()| explains_itself(&verdict))
                .map_err(|wrong| format!("{to}: {wrong} ({})", verdict.because))?;
            REACHED.lock().unwrap().insert(verdict.reason);
        }
        Ok(())
    }

    fn policy_from(&self, base: &toml::Table) -> Policy {
        let mut table = base.clone();
        table.extend(self.policy.clone());
        let text = toml::to_string(&table).unwrap();
        parse_policy("policy.toml", &text, &[]).unwrap_or_else(|errors| panic!("{}: {errors}", self.id))
    }

    fn classify(&self, policy: &Policy, recipients: usize) -> Classification {
        let wire = self.message.to_wire(policy);
        let head = MessageHead::locate(&wire, &HeadLimits::default()).unwrap();
        let origin = Origin {
            listener: "submission".into(),
            credential: None,
            client: "127.0.0.1".parse().unwrap(),
            may_send: vec![Class::Service, Class::Promotional],
            trust_headers: true,
            pin: None,
        };
        let envelope_from = ReversePath::parse(&self.message.envelope_from).unwrap();
        let mut facts = MessageFacts::gather(policy, origin, envelope_from, recipients, &head, &wire);
        let classification = classify(policy, &facts);
        if !classification.asks_about_the_recipient() {
            return classification;
        }
        let links = policy.optout_links(classification.controller.as_deref());
        let ways = WaysOut::new(Some("https://gate.example"), links);
        let mut scan = BodyScan::new(&head, &wire, &ways, false);
        scan.feed(&wire[head.body_start()..]);
        facts.body = Some(scan.finish().facts);
        classify(policy, &facts)
    }

    /// What the store would say: events in the order in which they were recorded, a repeated id ignored.
    fn consulted(&self, recipient: &EmailAddress, to: &str) -> Consulted {
        let mut seen = BTreeSet::new();
        let mut by_address: BTreeMap<String, (EmailAddress, Vec<RecordedEvent>)> = BTreeMap::new();
        for (index, event) in self.events.iter().enumerate() {
            let event = self.event(event, to);
            if event.id.as_ref().is_some_and(|id| !seen.insert(id.clone())) {
                continue;
            }
            let learned = event.recorded_at.or(event.at).unwrap_or(self.now);
            let address = event.address.clone();
            let recorded = RecordedEvent::new(index as i64 + 1, event, learned);
            by_address.entry(address.consent_key()).or_insert_with(|| (address, Vec::new())).1.push(recorded);
        }
        let mut consulted = Consulted { sent: self.sent(), ..Consulted::default() };
        for (key, (address, events)) in by_address {
            let same_person = address.objection_key(Width::WIDEST) == recipient.objection_key(Width::WIDEST);
            let state = ContactState::fold(address, events);
            if key == recipient.consent_key() {
                (consulted.exact, consulted.contact_id) = (Some(state), 1);
            } else if same_person {
                consulted.relatives.push(state);
            }
        }
        consulted
    }

    /// What the store remembers of it: advertising, and of service mail what counts by its kind.
    fn sent(&self) -> Vec<Sent> {
        let accepted = self.sent.iter().filter(|earlier| earlier.accepted != Some(false));
        let sent = accepted.map(|earlier| Sent {
            at: earlier.at,
            promotional: earlier.class != Some(Class::Service),
            topics: earlier.topics.clone(),
            kinds: earlier.kind.iter().flat_map(|kinds| kinds.split(", ")).map(str::to_owned).collect(),
            attempt: None,
        });
        let mut sent: Vec<Sent> = sent.collect();
        sent.retain(|sent| sent.promotional || sent.is_of_kind(DELETION_NOTICE) || sent.is_of_kind(DOI_REQUEST));
        sent.sort_by_key(|sent| sent.at);
        sent
    }

    fn event(&self, written: &serde_json::Map<String, Value>, to: &str) -> ConsentEvent {
        let mut event = written.clone();
        event.entry("address").or_insert_with(|| json!(to));
        event.entry("controller").or_insert_with(|| json!("c"));
        let line = Value::Object(event).to_string();
        ConsentEvent::from_json(&line).unwrap_or_else(|error| panic!("{}: {error}: {line}", self.id))
    }
}

impl Message {
    fn to_wire(&self, policy: &Policy) -> Vec<u8> {
        let mut fields = vec![
            ("From", self.from.clone()),
            ("To", "undisclosed-recipients:;".into()),
            ("Subject", self.subject.clone()),
        ];
        if self.class != "unknown" {
            fields.push(("X-Consentry-Class", self.class.clone()));
        }
        let lists = [
            ("X-Consentry-Topics", &self.topics),
            ("X-Consentry-Families", &self.families),
            ("X-Consentry-Functions", &self.functions),
        ];
        fields
            .extend(lists.into_iter().filter(|(_, list)| !list.is_empty()).map(|(name, list)| (name, list.join(", "))));
        fields.extend(self.kind.clone().map(|kind| ("X-Consentry-Kind", kind)));
        fields.extend(self.list_unsubscribe.clone().map(|value| ("List-Unsubscribe", value)));
        fields.extend(self.headers.iter().map(|(name, value)| (name.as_str(), value.clone())));
        if !self.headers.contains_key("Content-Type") {
            fields.push(("Content-Type", "text/plain; charset=utf-8".into()));
        }
        let links = policy.controllers.values().flat_map(|controller| &controller.optout_links);
        let optout: String = links.filter(|_| self.body_optout).map(|link| format!("{link}out\n")).collect();
        let body = self.body.clone().unwrap_or_else(|| format!("Good day.\n{optout}"));
        let head: String = fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        format!("{head}\n{body}").replace('\n', "\r\n").into_bytes()
    }
}

fn check(what: &str, found: &str, expected: &str) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what} is {found}, not {expected}")) }
}

fn compare(verdict: &Verdict, expected: &Expected) -> Result<(), String> {
    check("reason", verdict.reason.as_str(), &expected.reason)?;
    check("decision", verdict.decision.as_str(), &expected.decision)?;
    if let Some(basis) = &expected.basis {
        check("basis", verdict.basis.map_or("none", |basis| basis.as_str()), basis)?;
    }
    let secondary: Vec<&str> = verdict.secondary.iter().map(|reason| reason.as_str()).collect();
    if let Some(missing) = expected.secondary.iter().find(|reason| !secondary.contains(&reason.as_str())) {
        return Err(format!("{missing} is not among the secondary reasons {secondary:?}"));
    }
    let flags: Vec<&str> = verdict.flags.iter().map(|reason| reason.as_str()).collect();
    check("flags", &flags.join(" "), &expected.flags.join(" "))?;
    if let Some(last_day) = &expected.last_day {
        check("last day", &verdict.last_day.map_or_else(String::new, |day| day.to_string()), last_day)?;
    }
    check("alert", &verdict.alert.to_string(), &expected.alert.to_string())?;
    check("footer", &verdict.footer.to_string(), &expected.footer.to_string())
}

/// Every verdict says the facts it rests on in every language, and of each that is on record its day.
fn explains_itself(verdict: &Verdict) -> Result<(), String> {
    let said = Language::ALL.map(|language| (language, verdict.because.say(language)));
    if said.iter().any(|(_, text)| text.is_empty() || text.contains('?')) || said[0].1 == said[1].1 {
        return Err(format!("it does not say why: {said:?}"));
    }
    for fact in &verdict.because.0 {
        let Some(day) = fact.on.or(fact.until) else {
            if verdict.events.is_empty() {
                continue; // nothing of the person is on record that could have a day
            }
            return Err(format!("{} names no day", fact.sentence));
        };
        if !said.iter().all(|(language, text)| text.contains(&written(day, *language))) {
            return Err(format!("{day} is not named in {said:?}"));
        }
    }
    Ok(())
}

/// The reasons that our own cases have led to.
static REACHED: Mutex<BTreeSet<Reason>> = Mutex::new(BTreeSet::new());

/// Reasons that no case can lead to: what only stands beside a decision, what the watch of the link says, and what a
/// listener may send.
const BESIDE_THE_CASES: [Reason; 4] =
    [Reason::ClassUnknown, Reason::ClassConflict, Reason::EndpointDown, Reason::ClassCeiling];

/// Runs every case of a folder; returns how many there are.
fn run_folder(folder: &Path) -> usize {
    let base: toml::Table = fs::read_to_string(folder.join("policy.toml")).unwrap().parse().unwrap();
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("decisions-")));
    files.sort();
    let (mut run, mut wrong) = (0, Vec::new());
    for path in files {
        let file: CaseFile =
            toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for case in file.case {
            run += 1;
            wrong.extend(case.run(&base).err().map(|why| format!("{} ({}): {why}", case.id, case.title)));
        }
    }
    assert!(wrong.is_empty(), "{} of {run} cases are decided wrongly:\n{}", wrong.len(), wrong.join("\n"));
    run
}

#[test]
fn our_own_cases_are_decided_as_written() {
    let run = run_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases"));
    println!("{run} cases decided");
    assert!(run >= 200, "only {run} cases were found");
    let reached = REACHED.lock().unwrap();
    let beside = |reason: &Reason| BESIDE_THE_CASES.contains(reason);
    let missing =
        Reason::WORDS.iter().map(|(_, reason)| reason).filter(|reason| !reached.contains(reason) && !beside(reason));
    let missing: Vec<&str> = missing.map(|reason| reason.as_str()).collect();
    assert!(missing.is_empty(), "no case of ours leads to {missing:?}");
}

#[test]
fn the_cases_beside_the_repository_are_decided_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/cases");
    if !folder.join("policy.toml").exists() {
        println!("no cases beside the repository");
        return;
    }
    let run = run_folder(&folder);
    println!("{run} cases decided");
    assert!(run >= 90, "only {run} cases were decided");
}
