//! Everything that is known of one person, gathered.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::consent::event::RecordedEvent;
use crate::consent::state::{ContactState, Suppression};
use crate::policy::classify::Classification;
use crate::policy::decide::{Consultation, decide};
use crate::policy::rules::{Policy, Topic};
use crate::policy::verdict::Verdict;
use crate::smtp::address::EmailAddress;
use crate::store::{Contact, DecisionRow, Filter, Handover, KeptText, MessageRow, Reader, StoreError};

/// How many decisions are read at once.
const PAGE: usize = 500;

/// One person, as far as it is known here.
#[derive(Debug)]
pub struct Person {
    pub address: EmailAddress,
    pub contact: Option<Contact>,
    /// When it was asked.
    pub at: Timestamp,
    /// By controller: those of the policy, and any other that holds events.
    pub held: Vec<Held>,
    pub relatives: Vec<Relative>,
    /// The wordings that the events name, in every language.
    pub texts: Vec<KeptText>,
    /// Wordings that the events name and nobody has stored.
    pub missing_texts: Vec<String>,
    /// The newest first.
    pub decisions: Vec<(MessageRow, DecisionRow)>,
    /// Lists for others that the address stood on, the oldest first.
    pub handovers: Vec<Handover>,
}

/// What one controller holds.
#[derive(Debug)]
pub struct Held {
    pub controller: String,
    /// In the order in which they count.
    pub events: Vec<RecordedEvent>,
    /// An objection of which only a keyed hash is kept.
    pub suppressed: Option<Suppression>,
    /// What mail on each topic would meet now.
    pub mail_now: Vec<(Topic, Verdict)>,
}

/// Somebody whose objection counts for this address too: another spelling of the same mailbox.
#[derive(Debug)]
pub struct Relative {
    pub address: EmailAddress,
    pub objections: Vec<RecordedEvent>,
}

impl Person {
    /// `controller`: only what this one holds.
    pub fn gather(
        reader: &mut Reader,
        policy: &Policy,
        address: &EmailAddress,
        controller: Option<&str>,
        now: Timestamp,
    ) -> Result<Person, StoreError> {
        let asked = |id: &str| controller.is_none_or(|wanted| wanted == id);
        let contact = reader.contact(address)?;
        let mut states = contact.as_ref().map_or(Ok(Vec::new()), |contact| reader.states(contact.id))?;
        states.retain(|(id, _)| asked(id));
        let held = held(reader, policy, address, (states, &asked), now)?;
        let relatives = relatives(reader, address, &asked)?;
        let named: BTreeSet<&String> =
            held.iter().flat_map(|held| &held.events).filter_map(|known| known.event.text_version.as_ref()).collect();
        let (mut texts, mut missing_texts) = (Vec::new(), Vec::new());
        for version in named {
            let found = reader.text(version)?;
            if found.is_empty() {
                missing_texts.push(version.clone());
            }
            texts.extend(found);
        }
        let decisions = decisions(reader, address, controller)?;
        let handovers = contact.as_ref().map_or(Ok(Vec::new()), |contact| reader.handovers_of(contact.id))?;
        let handovers = handovers.into_iter().filter(|handover| asked(&handover.controller)).collect();
        let address = address.clone();
        Ok(Person { address, contact, at: now, held, relatives, texts, missing_texts, decisions, handovers })
    }

    /// Whether there is anything to tell.
    pub fn is_known(&self) -> bool {
        let held = |held: &Held| !held.events.is_empty() || held.suppressed.is_some();
        self.held.iter().any(held) || !self.decisions.is_empty() || !self.relatives.is_empty()
    }
}

/// By controller.
type States = Vec<(String, ContactState)>;

fn held(
    reader: &mut Reader,
    policy: &Policy,
    address: &EmailAddress,
    (mut states, asked): (States, &dyn Fn(&str) -> bool),
    now: Timestamp,
) -> Result<Vec<Held>, StoreError> {
    let known: BTreeSet<String> =
        states.iter().map(|(id, _)| id.clone()).chain(policy.controllers.keys().cloned()).collect();
    let mut held = Vec::new();
    for controller in known.into_iter().filter(|id| asked(id)) {
        let place = states.iter().position(|(id, _)| *id == controller);
        let events = place.map_or_else(Vec::new, |place| states.swap_remove(place).1.events);
        let suppressed = reader.suppression(&controller, address)?;
        let mail_now = mail_now(reader, policy, (&controller, address), now)?;
        held.push(Held { controller, events, suppressed, mail_now });
    }
    Ok(held)
}

fn mail_now(
    reader: &mut Reader,
    policy: &Policy,
    (controller, address): (&str, &EmailAddress),
    now: Timestamp,
) -> Result<Vec<(Topic, Verdict)>, StoreError> {
    if !policy.controllers.contains_key(controller) {
        return Ok(Vec::new());
    }
    let known = reader.consult(controller, std::slice::from_ref(address))?.0.pop().unwrap_or_default();
    let verdict = |topic: &Topic| {
        let message = Classification::of_advertising(controller, vec![topic.path.clone()], topic.families.clone());
        decide(policy, &message, address, Consultation::Known(&known), now)
    };
    let topics = policy.topics.values().filter(|topic| topic.controller == controller);
    Ok(topics.map(|topic| (topic.clone(), verdict(topic))).collect())
}

fn relatives(
    reader: &mut Reader,
    address: &EmailAddress,
    asked: &dyn Fn(&str) -> bool,
) -> Result<Vec<Relative>, StoreError> {
    let mut relatives = Vec::new();
    for relative in reader.relatives(address)? {
        let states = reader.states(relative.id)?.into_iter().filter(|(id, _)| asked(id));
        let events = states.flat_map(|(_, state)| state.events);
        let mut objections: Vec<RecordedEvent> = events.filter(|known| known.event.kind.is_objection()).collect();
        objections.sort_by_key(|known| known.seq);
        objections.dedup_by_key(|known| known.seq);
        if !objections.is_empty() {
            relatives.push(Relative { address: relative.address, objections });
        }
    }
    Ok(relatives)
}

fn decisions(
    reader: &mut Reader,
    address: &EmailAddress,
    controller: Option<&str>,
) -> Result<Vec<(MessageRow, DecisionRow)>, StoreError> {
    let recipient = Some(address.clone());
    let filter = Filter { recipient, controller: controller.map(str::to_owned), ..Filter::default() };
    let mut found: Vec<(MessageRow, DecisionRow)> = Vec::new();
    loop {
        let after = found.last().map(|(_, decision)| decision.position);
        let page = reader.decisions(&filter, after, PAGE)?;
        let last = page.len() < PAGE;
        found.extend(page);
        if last {
            return Ok(found);
        }
    }
}
