//! Whether a rule's condition holds for a message, when the message may not be clear about itself.

use std::borrow::Cow;
use std::collections::HashMap;

use super::facts::{FieldFact, MessageFacts};
use super::rules::{Condition, TextTest};
use crate::message::{address_list, encoded_word};
use crate::smtp::address::{EmailAddress, ReversePath, domain_key};
use crate::smtp::auth::same_user;

/// Fields that a message has many of by design: a test of one means any of them. Every other field that is repeated
/// leaves open which instance a reader goes by (R48).
const MANY_BY_DESIGN: [&str; 10] = [
    "received",
    "dkim-signature",
    "arc-seal",
    "arc-message-signature",
    "arc-authentication-results",
    "authentication-results",
    "comments",
    "keywords",
    "x-loop",
    "delivered-to",
];

/// More authors than this are none that anybody could name: who wrote the message is then open.
const MOST_AUTHORS: usize = 1000;

/// Whether something holds for one choice among repeated fields, and whether it holds for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truth {
    pub possible: bool,
    pub certain: bool,
}

impl Truth {
    const NEVER: Truth = Truth { possible: false, certain: false };
    const OPEN: Truth = Truth { possible: true, certain: false };

    fn clear(holds: bool) -> Truth {
        Truth { possible: holds, certain: holds }
    }

    /// One instance counts, and nobody knows which.
    fn of_instances(holds: impl Iterator<Item = bool>) -> Truth {
        let (mut any, mut all, mut some) = (false, true, false);
        for one in holds {
            (any, all, some) = (any || one, all && one, true);
        }
        Truth { possible: any, certain: some && all }
    }

    fn and(self, other: Truth) -> Truth {
        Truth { possible: self.possible && other.possible, certain: self.certain && other.certain }
    }

    fn or(self, other: Truth) -> Truth {
        Truth { possible: self.possible || other.possible, certain: self.certain || other.certain }
    }

    fn not(self) -> Truth {
        Truth { possible: !self.certain, certain: !self.possible }
    }
}

/// A message as one reader sees it.
pub struct Reading<'a> {
    facts: &'a MessageFacts,
    fields: HashMap<&'a str, Vec<&'a str>>,
    /// Every address of every From field; `None`: too many to look at.
    authors: Option<Vec<Author>>,
}

/// An address of From, as what it is compared by.
struct Author {
    domain: String,
    /// `None`: no address a consent could be for.
    address: Option<String>,
}

impl Author {
    fn new(written: &str) -> Option<Author> {
        let (_, domain) = written.rsplit_once('@')?;
        Some(Author { domain: domain_key(domain), address: consent_key(written) })
    }
}

fn consent_key(written: &str) -> Option<String> {
    EmailAddress::parse(written).ok().map(|address| address.consent_key())
}

impl<'a> Reading<'a> {
    pub fn new(facts: &'a MessageFacts, fields: &'a [FieldFact]) -> Reading<'a> {
        let mut by_name: HashMap<&str, Vec<&str>> = HashMap::new();
        for field in fields {
            by_name.entry(&field.name).or_default().push(&field.value);
        }
        let from = by_name.get("from").map_or(&[][..], Vec::as_slice);
        let written = from.iter().flat_map(|value| address_list::addresses(value)).take(MOST_AUTHORS + 1);
        let written: Vec<String> = written.collect();
        let few = written.len() <= MOST_AUTHORS;
        let authors = few.then(|| written.iter().filter_map(|address| Author::new(address)).collect());
        Reading { facts, fields: by_name, authors }
    }

    pub fn facts(&self) -> &'a MessageFacts {
        self.facts
    }

    /// All values of a field, lower-case name.
    pub fn values(&self, name: &str) -> &[&'a str] {
        self.fields.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether there is a subject, and every one that a reader may go by is so.
    pub fn subjects_all(&self, holds: impl Fn(&str) -> bool) -> bool {
        let subjects = self.values("subject");
        !subjects.is_empty() && subjects.iter().all(|subject| holds(&encoded_word::decode(subject)))
    }

    /// The domains of the From addresses as keys; `None`: there are too many authors to say.
    pub fn author_domains(&self) -> Option<impl Iterator<Item = &str>> {
        Some(self.authors.as_ref()?.iter().map(|author| author.domain.as_str()))
    }

    /// Whether it holds for the author, of whom there may be several.
    fn author(&self, is: impl Fn(&Author) -> bool) -> Truth {
        self.authors.as_ref().map_or(Truth::OPEN, |authors| Truth::of_instances(authors.iter().map(is)))
    }

    pub fn envelope_domain(&self) -> Option<String> {
        match &self.facts.envelope_from {
            ReversePath::Null => None,
            ReversePath::Mailbox(address) => Some(address.domain_key()),
        }
    }

    pub fn truth(&self, condition: &Condition) -> Truth {
        let origin = &self.facts.origin;
        match condition {
            Condition::All(parts) => parts.iter().fold(Truth::clear(true), |truth, part| truth.and(self.truth(part))),
            Condition::Any(parts) => parts.iter().fold(Truth::NEVER, |truth, part| truth.or(self.truth(part))),
            Condition::Not(inner) => self.truth(inner).not(),
            Condition::Header { name, test } => self.field(name, test),
            Condition::Subject(test) => self.field("subject", test),
            Condition::FromDomain(domain) => self.author(|author| author.domain == *domain),
            Condition::FromAddress(address) => {
                let wanted = consent_key(address);
                self.author(|author| wanted.is_some() && author.address == wanted)
            }
            Condition::EnvelopeDomain(domain) => Truth::clear(self.envelope_domain().is_some_and(|key| key == *domain)),
            Condition::Listener(name) => Truth::clear(origin.listener == *name),
            Condition::Credential(user) => {
                Truth::clear(origin.credential.as_ref().is_some_and(|known| same_user(known, user)))
            }
            Condition::Client(network) => Truth::clear(network.contains(&origin.client)),
            Condition::RecipientsOver(limit) => Truth::clear(self.facts.recipients > *limit),
        }
    }

    fn field(&self, name: &str, test: &TextTest) -> Truth {
        let values = self.values(name);
        if let TextTest::Present(wanted) = test {
            return Truth::clear(values.is_empty() != *wanted);
        }
        if MANY_BY_DESIGN.contains(&name) {
            return Truth::clear(values.iter().any(|value| passes(test, value)));
        }
        Truth::of_instances(values.iter().map(|value| passes(test, value)))
    }

    /// The fields that made a condition hold, as `Name: value`.
    pub fn evidence(&self, condition: &Condition) -> Vec<String> {
        let mut found = Vec::new();
        self.collect_evidence(condition, &mut found);
        found
    }

    fn collect_evidence(&self, condition: &Condition, found: &mut Vec<String>) {
        if !self.truth(condition).possible {
            return;
        }
        match condition {
            Condition::All(parts) | Condition::Any(parts) => {
                for part in parts {
                    self.collect_evidence(part, found);
                }
            }
            Condition::Header { name, test } => self.fields_passing(name, test, found),
            Condition::Subject(test) => self.fields_passing("subject", test, found),
            Condition::FromDomain(_) | Condition::FromAddress(_) => {
                found.extend(self.values("from").iter().map(|value| line("from", value)));
            }
            Condition::EnvelopeDomain(domain) => found.push(format!("envelope domain {domain}")),
            Condition::Listener(name) => found.push(format!("listener {name}")),
            Condition::Credential(user) => found.push(format!("credential {user}")),
            Condition::Client(network) => found.push(format!("client {} in {network}", self.facts.origin.client)),
            Condition::RecipientsOver(limit) => {
                found.push(format!("{} recipients, more than {limit}", self.facts.recipients));
            }
            Condition::Not(_) => {} // what is absent leaves no bytes to show
        }
    }

    fn fields_passing(&self, name: &str, test: &TextTest, found: &mut Vec<String>) {
        let passing = |value: &&&str| matches!(test, TextTest::Present(true)) || passes(test, value);
        found.extend(self.values(name).iter().filter(passing).map(|value| line(name, value)));
    }
}

/// A field as it stands in the evidence.
pub fn line(name: &str, value: &str) -> String {
    const LONGEST: usize = 200;
    let written: Vec<String> = name.split('-').map(capitalised).collect();
    let full = format!("{}: {value}", written.join("-"));
    if full.chars().count() <= LONGEST { full } else { full.chars().take(LONGEST - 1).chain(['…']).collect() }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// Tested as it stands and with its encoded words decoded (RFC 2047): a mailer may write either.
fn passes(test: &TextTest, value: &str) -> bool {
    let decoded = if value.contains("=?") { Cow::Owned(encoded_word::decode(value)) } else { Cow::Borrowed(value) };
    passes_text(test, value) || (decoded != value && passes_text(test, &decoded))
}

/// Case matters to a regular expression only: field values are words in any case (`Bulk`, `bulk`).
fn passes_text(test: &TextTest, value: &str) -> bool {
    match test {
        TextTest::Present(wanted) => *wanted,
        TextTest::Equals(text) => value.to_lowercase() == text.to_lowercase(),
        TextTest::Contains(text) => value.to_lowercase().contains(&text.to_lowercase()),
        TextTest::StartsWith(text) => value.to_lowercase().starts_with(&text.to_lowercase()),
        TextTest::EndsWith(text) => value.to_lowercase().ends_with(&text.to_lowercase()),
        TextTest::Matches(pattern) => pattern.is_match(value),
    }
}
