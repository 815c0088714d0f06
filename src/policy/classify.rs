//! Message → `Classification`: what it is, on whose behalf, about what, and the evidence that said so.

use std::collections::HashSet;

use super::declared::Declared;
use super::facts::{BodyFacts, MessageFacts};
use super::matching::{Reading, line};
use super::reason::Reason;
use super::rules::{Class, Controller, MixedAction, Policy, Rule};
use super::ruling::Ruling;
use crate::message::attention::names_a_function;
use crate::smtp::address::ReversePath;

/// The fields that are looked at whatever the rules say.
pub const ALWAYS_READ: [&str; 9] = [
    "from",
    "subject",
    "auto-submitted",
    "content-type",
    "x-consentry-class",
    "x-consentry-topics",
    "x-consentry-families",
    "x-consentry-functions",
    "x-consentry-kind",
];

/// A message that names more topics than this does not say what it is about: each would be looked up for every
/// recipient.
const MOST_TOPICS: usize = 100;

/// Kinds that are advertising whatever their sender calls them (consent-rules, section 4).
const ADVERTISING_KINDS: [&str; 6] =
    ["with_incentive", "editorial", "loyalty_enrolment", "cart_reminder", "reconfirm", "non_commercial"];

/// What a message is, as far as that does not depend on who gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classification {
    pub class: Class,
    /// The id of the rule that gave the class, or `pin`, `header`, `system`, `kind`, `ceiling`, `unknown_class`.
    pub rule: String,
    /// The fields that led there, each at most 200 characters.
    pub evidence: Vec<String>,
    pub controller: Option<String>,
    pub topics: Vec<String>,
    pub families: Vec<String>,
    pub functions: Vec<String>,
    pub kinds: Vec<String>,
    /// `CLASS_UNKNOWN`, `CLASS_CONFLICT`.
    pub flags: Vec<Reason>,
    /// Under which code service mail goes.
    pub service_reason: Reason,
    /// Set when it may not be advertising where it came from. A request to confirm and a notice of deletion turn out to
    /// be advertising only once it is known to whom they go.
    pub refused: Option<Reason>,
    /// Made by a mail system: a report or an automatic answer.
    pub system: bool,
    /// The subject says for which function of a firm it is meant.
    pub names_a_function: bool,
    /// Every From address is at a domain of the controller.
    pub author_is_the_controllers: bool,
    /// What was seen of the body, if it was looked at.
    pub body: Option<BodyFacts>,
}

impl Classification {
    /// A plain promotional message of a controller, as if it were about these topics.
    pub fn of_advertising(controller: &str, topics: Vec<String>, families: Vec<String>) -> Classification {
        Classification {
            controller: Some(controller.to_owned()),
            topics,
            families,
            author_is_the_controllers: true,
            ..Classification::new(Class::Promotional, "topic", Vec::new())
        }
    }
}

/// Tells the class, under every reading of the header section; the strictest wins (R46).
pub fn classify(policy: &Policy, facts: &MessageFacts) -> Classification {
    let unread = [Vec::new()];
    let readings = if facts.readings.is_empty() { &unread[..] } else { &facts.readings[..] };
    let mut each = readings.iter().map(|fields| classify_reading(policy, &Reading::new(facts, fields)));
    // `readings` is never empty, see above.
    let first = each.next().expect("at least one reading");
    let classification = each.fold(first, Classification::stricter).hold_to_few_topics();
    Classification { body: facts.body.clone(), ..classification }
}

fn classify_reading(policy: &Policy, reading: &Reading<'_>) -> Classification {
    let origin = &reading.facts().origin;
    let declared = if origin.trust_headers { Declared::read(reading) } else { Declared::default() };
    let ruling = Ruling::find(policy, reading);
    let mut draft = class_of(policy, reading, &declared, &ruling);
    draft.subject_matter(policy, reading, &declared, &ruling);
    draft.names_a_function = reading.subjects_all(names_a_function);
    draft.weigh_kinds(policy);
    draft.hold_to_ceiling(&origin.may_send);
    draft
}

/// The class by the first that speaks: pin, mail system, declaration and rules, `unknown_class`.
fn class_of(policy: &Policy, reading: &Reading<'_>, declared: &Declared, ruling: &Ruling<'_>) -> Classification {
    let rule_class = ruling.class(policy.class_conflict);
    if let Some(pin) = &reading.facts().origin.pin {
        let evidence = format!("listener {} is for {} mail", reading.facts().origin.listener, pin.class);
        return Classification::new(pin.class, "pin", vec![evidence]);
    }
    let marked = declared.class == Some(Class::Promotional) || rule_class == Some(Class::Promotional);
    if let (false, Some(evidence)) = (marked, system_evidence(reading)) {
        return Classification { system: true, ..Classification::new(Class::Service, "system", evidence) };
    }
    let evidence = || declared.evidence.iter().cloned().chain(ruling.evidence(reading)).collect();
    let mut found = match (declared.class, rule_class) {
        (Some(said), Some(class)) if said != class => {
            let mut found = Classification::new(policy.class_conflict, ruling.id(), evidence());
            found.flags.push(Reason::ClassConflict);
            found
        }
        (Some(said), _) => Classification::new(said, "header", evidence()),
        (None, Some(class)) => Classification::new(class, ruling.id(), evidence()),
        (None, None) => {
            let mut found = Classification::new(policy.unknown_class, "unknown_class", evidence());
            found.flags.push(Reason::ClassUnknown);
            found
        }
    };
    if ruling.contradicts_itself() && !found.flags.contains(&Reason::ClassConflict) {
        found.flags.push(Reason::ClassConflict);
    }
    found
}

/// A report or an automatic answer: null reverse-path and a sign of its own (E1, RFC 3834, RFC 3464). The null
/// reverse-path alone says nothing (R26).
fn system_evidence(reading: &Reading<'_>) -> Option<Vec<String>> {
    if reading.facts().envelope_from != ReversePath::Null {
        return None;
    }
    let is_report = |value: &&&str| value.trim_start().to_ascii_lowercase().starts_with("multipart/report");
    let is_automatic = |value: &&&str| !first_word(value).eq_ignore_ascii_case("no");
    let is_postmaster = |value: &&&str| {
        let addresses = crate::message::address_list::addresses(value);
        let local = |address: &String| address.split('@').next().unwrap_or_default().to_ascii_lowercase();
        addresses.iter().any(|address| matches!(local(address).as_str(), "mailer-daemon" | "postmaster"))
    };
    let mut evidence = vec!["MAIL FROM:<>".to_owned()];
    evidence.extend(reading.values("content-type").iter().filter(is_report).map(|v| line("content-type", v)));
    evidence.extend(reading.values("auto-submitted").iter().filter(is_automatic).map(|v| line("auto-submitted", v)));
    let from = reading.author_domains().map_or(&[][..], |_| reading.values("from"));
    evidence.extend(from.iter().filter(is_postmaster).map(|v| line("from", v)));
    (evidence.len() > 1).then_some(evidence)
}

fn first_word(value: &str) -> &str {
    value.split([';', ' ', '\t', '(']).find(|word| !word.is_empty()).unwrap_or_default()
}

impl Classification {
    /// What the gate itself reports to a sender: system mail, whatever the rules say.
    pub fn own_report() -> Classification {
        let service_reason = Reason::SvcSystem;
        Classification { system: true, service_reason, ..Classification::new(Class::Service, "system", Vec::new()) }
    }

    fn new(class: Class, rule: &str, evidence: Vec<String>) -> Classification {
        Classification {
            class,
            rule: rule.to_owned(),
            evidence,
            controller: None,
            topics: Vec::new(),
            families: Vec::new(),
            functions: Vec::new(),
            kinds: Vec::new(),
            flags: Vec::new(),
            service_reason: Reason::SvcOk,
            refused: None,
            system: false,
            names_a_function: false,
            author_is_the_controllers: false,
            body: None,
        }
    }

    pub fn is_kind(&self, kind: &str) -> bool {
        self.kinds.iter().any(|known| known == kind)
    }

    /// Whether the decision needs to know the recipient: always for advertising, and for what is service mail only to
    /// some.
    pub fn asks_about_the_recipient(&self) -> bool {
        match self.class {
            Class::Promotional => self.refused.is_none(),
            Class::Service => self.may_turn_out_advertising(),
        }
    }

    /// A request to confirm is service mail only to somebody whose question is open, a notice of deletion only to
    /// somebody who had none before.
    fn may_turn_out_advertising(&self) -> bool {
        matches!(self.service_reason, Reason::SvcDoi | Reason::SvcRetention)
    }

    fn subject_matter(&mut self, policy: &Policy, reading: &Reading<'_>, declared: &Declared, ruling: &Ruling<'_>) {
        let pin = reading.facts().origin.pin.as_ref();
        let pinned_topics = pin.map(|pin| pin.topics.clone()).filter(|topics| !topics.is_empty());
        let topics = pinned_topics.or_else(|| declared.topics.clone()).unwrap_or_else(|| ruling.topics(reading));
        // One more than counts, to tell in the end that there are too many.
        let present = distinct(topics.into_iter()).map(|topic| policy.present_name(&topic));
        self.topics = distinct(present).take(MOST_TOPICS + 1).collect();
        let said = |declared: &Option<Vec<String>>, of_rule: fn(&Rule) -> &[String]| {
            declared.clone().unwrap_or_else(|| ruling.names(of_rule))
        };
        self.families = said(&declared.families, |rule| &rule.families);
        self.functions = said(&declared.functions, |rule| &rule.functions);
        self.kinds = said(&declared.kinds, |rule| &rule.kinds);
        if self.families.is_empty() && declared.families.is_none() {
            let known = self.topics.iter().filter_map(|path| policy.topics.get(path));
            self.families = distinct(known.flat_map(|topic| topic.families.iter().cloned())).collect();
        }
        let pinned = pin.and_then(|pin| pin.controller.clone());
        self.controller = pinned.or_else(|| ruling.controller()).or_else(|| sender(policy, reading));
        let controller = self.controller.as_ref().and_then(|id| policy.controllers.get(id));
        self.author_is_the_controllers = controller.is_some_and(|controller| writes_for(controller, reading));
    }

    /// What section 4 says of a kind stands above a declared `service`, and above the signs of a mail system: E1 asks
    /// for the absence of any mark of a campaign.
    fn weigh_kinds(&mut self, policy: &Policy) {
        if self.class == Class::Promotional {
            return;
        }
        let advertising = |kind: &str| match kind {
            "mixed" => policy.knobs.mixed_action == MixedAction::Promotional,
            "review_request" => policy.knobs.review_request_class == Class::Promotional,
            other => ADVERTISING_KINDS.contains(&other),
        };
        if let Some(kind) = self.kinds.iter().find(|kind| advertising(kind)) {
            self.evidence.push(format!("kind {kind} is advertising"));
            (self.class, self.rule, self.system) = (Class::Promotional, "kind".to_owned(), false);
        } else if self.system {
            // A report or an automatic answer goes under a code of its own.
        } else if self.is_kind("doi_request") {
            self.service_reason = Reason::SvcDoi;
        } else if self.is_kind("deletion_notice") {
            self.service_reason = Reason::SvcRetention;
        } else if self.is_kind("rights_reply") || self.is_kind("breach_notice") {
            self.service_reason = Reason::SvcRights;
        }
    }

    fn hold_to_ceiling(&mut self, may_send: &[Class]) {
        if self.class == Class::Service && !may_send.contains(&Class::Service) {
            self.evidence.push("service mail may not be sent from here".to_owned());
            (self.class, self.rule, self.system) = (Class::Promotional, "ceiling".to_owned(), false);
        }
        let is_advertising = self.class == Class::Promotional || self.may_turn_out_advertising();
        if is_advertising && !may_send.contains(&Class::Promotional) {
            self.refused = Some(Reason::ClassCeiling);
        }
        if self.system {
            self.service_reason = Reason::SvcSystem;
        }
    }

    /// Without a topic no consent covers it and every objection stands.
    fn hold_to_few_topics(mut self) -> Classification {
        if self.topics.len() > MOST_TOPICS {
            self.evidence.push(format!("more than {MOST_TOPICS} topics say nothing of what it is about"));
            self.topics.clear();
        }
        self
    }

    /// Advertising before service mail, and of that first what is service mail only to some.
    fn strictness(&self) -> (bool, bool, bool) {
        (self.class == Class::Promotional, self.may_turn_out_advertising(), !self.system)
    }

    /// Two readings of one message: advertising under one of them is advertising, and it has to be permitted for
    /// everything that either is about.
    fn stricter(self, other: Classification) -> Classification {
        let differ = self.class != other.class;
        let stricter = other.strictness() > self.strictness();
        let (mut kept, lesser) = if stricter { (other, self) } else { (self, other) };
        kept.controller = match (kept.controller.take(), lesser.controller) {
            (Some(one), Some(other)) if one != other => None, // on whose behalf is then anybody's guess
            (one, other) => one.or(other),
        };
        for flag in lesser.flags.into_iter().chain(differ.then_some(Reason::ClassConflict)) {
            add(&mut kept.flags, flag);
        }
        if !differ {
            kept.topics = distinct(kept.topics.into_iter().chain(lesser.topics)).collect();
            kept.families = distinct(kept.families.into_iter().chain(lesser.families)).collect();
            kept.kinds = distinct(kept.kinds.into_iter().chain(lesser.kinds)).collect();
            let shared: HashSet<String> = lesser.functions.into_iter().collect();
            kept.functions.retain(|function| shared.contains(function));
        }
        kept.refused = kept.refused.or(lesser.refused);
        kept.names_a_function &= lesser.names_a_function;
        kept.author_is_the_controllers &= lesser.author_is_the_controllers;
        kept
    }
}

/// Each word once, at its first place. The lists are a mailer's and may be long.
fn distinct(words: impl Iterator<Item = String>) -> impl Iterator<Item = String> {
    let mut known = HashSet::new();
    words.filter(move |word| known.insert(word.clone()))
}

/// For lists that are short because the policy is.
fn add<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// Whether every author is at a domain of this controller, and there is one.
fn writes_for(controller: &Controller, reading: &Reading<'_>) -> bool {
    let is_theirs = |domain: &str| controller.domains.iter().any(|own| own == domain);
    reading.author_domains().is_some_and(|mut domains| {
        let first = domains.next().is_some_and(is_theirs);
        first && domains.all(is_theirs)
    })
}

/// The controller that owns a From domain, or if nobody does the one that owns the envelope domain. Two owners are
/// as good as none, and so are authors beyond counting.
fn sender(policy: &Policy, reading: &Reading<'_>) -> Option<String> {
    let mut owners: Vec<&str> = Vec::new();
    for domain in reading.author_domains()? {
        policy.controller_of_domain(domain).into_iter().for_each(|owner| add(&mut owners, &owner.id));
    }
    match owners.as_slice() {
        [] => policy.controller_of_domain(&reading.envelope_domain()?).map(|owner| owner.id.clone()),
        [owner] => Some((*owner).to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
