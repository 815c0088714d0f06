//! What is known of one recipient, as one controller's decision has to read it: erasure applied, topics under their
//! present names, confirmations matched to their requests, objections of every spelling of the address gathered.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::because::{Because, Fact, Sentence};
use super::life;
use super::objection::{Cause, Objection};
use super::period;
use super::rules::{Policy, Scope};
use super::undo;
use super::verdict::Reason;
use crate::consent::event::{Actor, EventType, RecordedEvent};
use crate::consent::scope;
use crate::consent::state::{Consulted, ContactState};
use crate::smtp::address::{EmailAddress, Width};

/// The mechanisms by which a person really says yes.
const WORTHY: [&str; 10] = [
    "unticked_box_ticked",
    "forced_choice_yes",
    "written",
    "tablet_by_person",
    "oral_delegated",
    "double_opt_in",
    "preference_centre",
    "one_click",
    "link_page",
    "reply",
];

/// How a request for confirmation fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    Open,
    Confirmed,
    /// Answered, but after the window.
    Late,
}

/// What an `opt_in_confirmed` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// The request with this number, in time.
    Answers(i64),
    /// The request with this number, after the window.
    Late(i64),
    /// Nothing: the request was made elsewhere and only its outcome is known.
    Alone,
    /// A request that was confirmed before; a link opened twice says nothing new.
    Repeated,
}

pub struct Record<'a> {
    pub policy: &'a Policy,
    pub controller: &'a str,
    /// By which means: consent to one is none to another, and an objection is to one or to all.
    pub channel: &'a str,
    pub now: Timestamp,
    /// Versions of wordings that nobody has stored yet.
    missing_texts: &'a BTreeSet<String>,
    /// Of the recipient, as a key.
    domain: String,
    /// Of exactly this address, to any controller, what was erased left out; in the order in which they count.
    events: Vec<&'a RecordedEvent>,
    /// Objections to this controller that concern the channel, under any spelling of the address.
    objections: Vec<Objection>,
    requests: BTreeMap<i64, Request>,
    confirmations: BTreeMap<i64, Confirmation>,
    /// Objections that the person has taken back, under any spelling of the address.
    undone: BTreeSet<i64>,
}

impl<'a> Record<'a> {
    /// About e-mail.
    pub fn read(
        policy: &'a Policy,
        controller: &'a str,
        recipient: &EmailAddress,
        consulted: &'a Consulted,
        now: Timestamp,
    ) -> Record<'a> {
        Record::on_channel(policy, (controller, "email"), recipient, consulted, now)
    }

    pub fn on_channel(
        policy: &'a Policy,
        (controller, channel): (&'a str, &'a str),
        recipient: &EmailAddress,
        consulted: &'a Consulted,
        now: Timestamp,
    ) -> Record<'a> {
        let known = consulted.exact.iter().flat_map(kept);
        let mut record = Record {
            policy,
            controller,
            channel,
            now,
            missing_texts: &consulted.missing_texts,
            domain: recipient.domain_key(),
            events: known.collect(),
            objections: Vec::new(),
            requests: BTreeMap::new(),
            confirmations: BTreeMap::new(),
            undone: consulted.exact.iter().chain(&consulted.relatives).flat_map(undo::undone).collect(),
        };
        record.match_confirmations();
        let width = Width {
            subaddress: policy.knobs.objection_subaddress,
            provider_alias: policy.knobs.objection_provider_alias,
        };
        let key = recipient.objection_key(width);
        let relatives = consulted.relatives.iter().filter(|state| state.address.objection_key(width) == key);
        let mut objections: Vec<Objection> =
            consulted.exact.iter().chain(relatives).flat_map(|state| record.objections_in(state, controller)).collect();
        objections.extend(consulted.suppressed.iter().flat_map(|mark| record.marks(mark.at, &mark.topics)));
        record.objections = objections;
        record
    }

    /// The recipient's domain as a key.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// This controller's events.
    pub fn own(&self) -> impl Iterator<Item = &'a RecordedEvent> + '_ {
        self.events.iter().copied().filter(|recorded| recorded.event.controller == self.controller)
    }

    /// Everything that claims to be a consent or the beginning of one, to whichever controller.
    pub fn opt_ins(&self) -> impl Iterator<Item = &'a RecordedEvent> + '_ {
        let repeated = |seq: &i64| self.confirmations.get(seq) == Some(&Confirmation::Repeated);
        let begun =
            |recorded: &RecordedEvent| recorded.event.kind.is_opt_in() && !period::is_ahead(recorded.at, self.now);
        self.events.iter().copied().filter(move |recorded| begun(recorded) && !repeated(&recorded.seq))
    }

    /// Of exactly this address, to any controller.
    pub fn events(&self) -> impl Iterator<Item = &'a RecordedEvent> + '_ {
        self.events.iter().copied()
    }

    /// Acts of the person that show the relation is alive (section 6). Never an open, a robot or an import.
    pub fn contacts(&self) -> impl Iterator<Item = &'a RecordedEvent> + '_ {
        self.own().filter(|recorded| life::is_contact(self.policy, recorded) && self.has_happened(recorded))
    }

    /// How this controller came by the address, and what the person was told then.
    pub fn collections(&self) -> impl Iterator<Item = &'a RecordedEvent> + '_ {
        let collected = |recorded: &&RecordedEvent| recorded.event.kind == EventType::Collected;
        self.own().filter(collected).filter(|recorded| self.has_happened(recorded))
    }

    /// The same, without what a form was sent that nobody confirmed: alone it is no ground.
    pub fn sure_collections(&self) -> impl Iterator<Item = &'a RecordedEvent> + '_ {
        let unconfirmed = |collected: &RecordedEvent| {
            let told = collected.event.evidence.as_ref().and_then(|evidence| evidence.get("unconfirmed"));
            told.and_then(|told| told.as_bool()) == Some(true)
        };
        self.collections().filter(move |collected| !unconfirmed(collected))
    }

    /// Not one that a clock ahead of ours dates into the future.
    pub fn has_happened(&self, recorded: &RecordedEvent) -> bool {
        !period::is_ahead(recorded.at, self.now)
    }

    /// Why the address may only be used with the person's own consent: the latest collection says where it is from.
    pub fn barred_provenance(&self) -> Option<(Reason, Because, Vec<i64>)> {
        let collected = self.collections().last()?;
        let provenance = collected.event.provenance.as_deref()?;
        let reason = match provenance {
            "harvested" => Reason::ProvHarvested,
            "bought" | "rented" | "exchanged" | "partner" => Reason::ProvThirdParty,
            "recruitment" | "support" => Reason::ProvPurpose,
            "inbound_reply" => Reason::ProvReply,
            "import_unproven" => Reason::ProvUnknown,
            _ => return None,
        };
        let because = self.fact(Sentence::CollectedAs, collected).word(provenance);
        Some((reason, because.into(), vec![collected.seq]))
    }

    /// What a sentence says of an event: its day and its number.
    pub fn fact(&self, sentence: Sentence, recorded: &RecordedEvent) -> Fact {
        Fact::new(sentence).on(period::day(self.policy, recorded.at)).event(recorded.seq)
    }

    pub fn objections(&self) -> &[Objection] {
        &self.objections
    }

    /// Whether the person said no to `topic`, to the controller this event was told, since the event.
    pub fn is_revoked(&self, recorded: &RecordedEvent, topic: &str) -> bool {
        let said_no = |objection: &Objection| objection.at >= recorded.happened_by() && objection.concerns(topic);
        if recorded.event.controller == self.controller {
            return self.objections.iter().any(said_no);
        }
        let elsewhere = self.events.iter().flat_map(|other| self.objections_of(other, &recorded.event.controller));
        elsewhere.into_iter().any(|objection| said_no(&objection))
    }

    /// The wording a consent was given to, its own or that of the request it confirms.
    pub fn text_of(&self, recorded: &'a RecordedEvent) -> Option<&'a str> {
        let request = match self.confirmation(recorded) {
            Some(Confirmation::Answers(seq) | Confirmation::Late(seq)) => self.event(seq),
            _ => None,
        };
        recorded.event.text_version.as_deref().or_else(|| request?.event.text_version.as_deref())
    }

    /// Whether nobody can say what this version read, for it is not stored.
    pub fn awaits_text(&self, version: &str) -> bool {
        self.missing_texts.contains(version)
    }

    pub fn request(&self, recorded: &RecordedEvent) -> Option<Request> {
        self.requests.get(&recorded.seq).copied()
    }

    pub fn confirmation(&self, recorded: &RecordedEvent) -> Option<Confirmation> {
        self.confirmations.get(&recorded.seq).copied()
    }

    pub fn event(&self, seq: i64) -> Option<&'a RecordedEvent> {
        self.events.iter().copied().find(|recorded| recorded.seq == seq)
    }

    /// The topics an event names, under the names they have today. `*` names none.
    pub fn topics_of(&self, recorded: &RecordedEvent) -> Vec<String> {
        let named = recorded.event.topics.iter().flatten().filter(|name| *name != "*");
        named.map(|name| self.policy.present_name(name)).collect()
    }

    /// Whether a question for consent is still open: asked within the window and not answered, not even with a no.
    pub fn open_request(&self) -> Option<&'a RecordedEvent> {
        let open = |recorded: &&RecordedEvent| {
            self.request(recorded) == Some(Request::Open)
                && period::within_window(self.policy, recorded.at, self.now)
                && !self.topics_of(recorded).iter().any(|topic| self.is_revoked(recorded, topic))
        };
        self.own().filter(|recorded| self.has_happened(recorded)).filter(open).last()
    }

    /// An act that counts only once it is confirmed.
    fn needs_confirmation(&self, recorded: &RecordedEvent) -> bool {
        let event = &recorded.event;
        let word = event.source.as_deref().map(|source| source.split(':').next().unwrap_or(source));
        let named = |name: &str| self.policy.knobs.doi_sources.iter().any(|source| source == name);
        match event.kind {
            EventType::OptInPending => true,
            EventType::OptIn => event.mechanism.as_deref().is_some_and(named) || word.is_some_and(named),
            _ => false,
        }
    }

    /// A confirmation answers the latest open request for its topics.
    fn match_confirmations(&mut self) {
        let by_it: Vec<&RecordedEvent> =
            self.events.iter().copied().filter(|recorded| recorded.event.channel == self.channel).collect();
        let asked = by_it.iter().filter(|recorded| self.needs_confirmation(recorded));
        self.requests = asked.map(|recorded| (recorded.seq, Request::Open)).collect();
        for recorded in by_it.into_iter().filter(|recorded| recorded.event.kind == EventType::OptInConfirmed) {
            let confirmation = self.answered_by(recorded);
            match confirmation {
                Confirmation::Answers(seq) => _ = self.requests.insert(seq, Request::Confirmed),
                Confirmation::Late(seq) => _ = self.requests.insert(seq, Request::Late),
                Confirmation::Alone | Confirmation::Repeated => {}
            }
            self.confirmations.insert(recorded.seq, confirmation);
        }
    }

    fn answered_by(&self, confirmation: &RecordedEvent) -> Confirmation {
        let shares = |request: &RecordedEvent| {
            let (asked, answered) = (self.topics_of(request), self.topics_of(confirmation));
            let touch = |one: &String, other: &String| scope::reaches(one, other) || scope::reaches(other, one);
            asked.iter().any(|one| answered.iter().any(|other| touch(one, other)))
        };
        let asked_before = |request: &&&RecordedEvent| {
            request.event.controller == confirmation.event.controller
                && request.at <= confirmation.at
                && self.requests.contains_key(&request.seq)
                && shares(request)
        };
        let mut earlier = self.events.iter().filter(asked_before).rev().peekable();
        if earlier.peek().is_none() {
            return Confirmation::Alone;
        }
        let open = earlier.find(|request| self.requests.get(&request.seq) != Some(&Request::Confirmed));
        match open {
            None => Confirmation::Repeated,
            Some(request) if period::within_window(self.policy, request.at, confirmation.at) => {
                Confirmation::Answers(request.seq)
            }
            Some(request) => Confirmation::Late(request.seq),
        }
    }

    fn objections_in(&self, state: &'a ContactState, controller: &str) -> Vec<Objection> {
        let erased = erased(state);
        let mut found = Vec::new();
        for recorded in &state.events {
            let said = self.objections_of(recorded, controller);
            if erased.contains(&recorded.seq) && !said.is_empty() {
                found.extend(self.marks(recorded.at, &[]));
            } else {
                found.extend(said);
            }
        }
        found
    }

    /// One for each topic it names, or one for everything.
    fn objections_of(&self, recorded: &RecordedEvent, controller: &str) -> Vec<Objection> {
        let event = &recorded.event;
        let concerned = event.channel == self.channel || event.channel == "*";
        let counts = event.kind.is_objection() && !self.undone.contains(&recorded.seq);
        if !counts || event.controller != controller || !concerned {
            return Vec::new();
        }
        let complaint = event.kind == EventType::Complaint;
        let cause = if complaint { Cause::Complaint } else { Cause::Said };
        let objection = |topic| Objection { cause, topic, at: recorded.at, seq: Some(recorded.seq) };
        let named = event.topics.as_deref().unwrap_or_default();
        let widened = complaint && self.policy.knobs.complaint_scope == Scope::Everything;
        if widened || named.is_empty() || named.iter().any(|topic| topic == "*") {
            return vec![objection(None)];
        }
        named.iter().map(|topic| objection(Some(self.policy.present_name(topic)))).collect()
    }

    fn marks(&self, at: Timestamp, topics: &[String]) -> Vec<Objection> {
        let mark = |topic| Objection { cause: Cause::Mark, topic, at, seq: None };
        if topics.is_empty() || topics.iter().any(|topic| topic == "*") {
            return vec![mark(None)];
        }
        topics.iter().map(|topic| mark(Some(self.policy.present_name(topic)))).collect()
    }
}

/// Whether the mechanism is one by which a person really says yes.
pub fn is_worthy(recorded: &RecordedEvent) -> bool {
    recorded.event.mechanism.as_deref().is_some_and(|mechanism| WORTHY.contains(&mechanism))
}

/// An act of the person on its own behalf.
pub fn by_the_person(recorded: &RecordedEvent) -> bool {
    recorded.event.actor == Some(Actor::Person)
}

/// Told by an import or an operator, not by the person or somebody the person sent.
pub fn is_said_by_another(recorded: &RecordedEvent) -> bool {
    matches!(recorded.event.actor, Some(Actor::Operator | Actor::Import))
}

fn kept(state: &ContactState) -> impl Iterator<Item = &RecordedEvent> {
    let gone = erased(state);
    state.events.iter().filter(move |recorded| !gone.contains(&recorded.seq))
}

/// What an erasure dropped: everything its controller had recorded before it.
fn erased(state: &ContactState) -> BTreeSet<i64> {
    let erasures = state.events.iter().filter(|recorded| recorded.event.kind == EventType::Erase);
    let last: BTreeMap<&str, i64> = erasures.fold(BTreeMap::new(), |mut last, erasure| {
        let seq = last.entry(erasure.event.controller.as_str()).or_insert(erasure.seq);
        *seq = erasure.seq.max(*seq);
        last
    });
    let dropped = |recorded: &&RecordedEvent| {
        last.get(recorded.event.controller.as_str()).is_some_and(|erasure| recorded.seq < *erasure)
    };
    state.events.iter().filter(dropped).map(|recorded| recorded.seq).collect()
}
