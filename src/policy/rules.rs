//! The policy as checked values: who sends, about what, and the rules that tell one message from another.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Span, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::form::Form;
use super::look::Look;
use super::word::words;
use crate::consent::ledger::{hex, sha256};
use crate::consent::limit::Rate;

words! {
    /// What a message is to the law.
    pub enum Class { Service = "service", Promotional = "promotional" }
}
words! {
    /// Whether a withheld verdict is carried out or only recorded.
    pub enum Mode { Enforce = "enforce", Monitor = "monitor" }
}
words! {
    /// What becomes of service mail while the store gives no answer.
    pub enum ServiceWithoutStore { Pass = "pass", Defer = "defer" }
}
words! {
    /// What becomes of a message that only some of its recipients may get.
    pub enum MixedRecipients { DeliverPermitted = "deliver_permitted", RejectAll = "reject_all" }
}
words! {
    /// What the envelope sender learns of withheld recipients.
    pub enum NotifySender { Dsn = "dsn", None = "none" }
}
words! {
    /// How the client hears that nobody may get its message.
    pub enum Refusal { Reject = "reject", Discard = "discard" }
}
words! {
    /// What becomes of list header fields the mailer wrote itself.
    pub enum ExistingListHeaders { Replace = "replace", Keep = "keep", Chain = "chain" }
}
words! {
    /// What is done when a signature stands against an edit of ours.
    pub enum OnSigned { Leave = "leave", Resign = "resign", Reject = "reject" }
}
words! {
    /// How far an act through one message reaches.
    pub enum Scope { Topic = "topic", Everything = "*" }
}
words! {
    /// What an order mail with an offer in it counts as.
    pub enum MixedAction { Promotional = "promotional", PassAndAlert = "pass_and_alert" }
}
words! {
    /// What a professional address may be written to for without its owner's consent.
    pub enum B2bMode { InformAndRelevance = "inform_and_relevance", StrictConsent = "strict_consent" }
}
words! {
    /// Whether an address like `contact@` may be written to without consent.
    pub enum GenericMode { Allow = "allow", AttentionLine = "attention_line", Deny = "deny" }
}
words! {
    /// What becomes of a message that would go beyond a frequency cap.
    pub enum FreqAction { Block = "block", Delay = "delay" }
}
words! {
    /// What becomes of advertising whose body offers no way out.
    pub enum BodyOptout { Require = "require", Append = "append", Warn = "warn" }
}
words! {
    /// What kind of body a controller is.
    pub enum ControllerKind { Company = "company", Charity = "charity", Association = "association" }
}

/// Everything an operator lays down about who may be written to; one file and its rule packs, checked.
#[derive(Clone, Debug)]
pub struct Policy {
    pub mode: Mode,
    pub time_zone: TimeZone,
    pub unknown_class: Class,
    pub class_conflict: Class,
    pub service_without_store: ServiceWithoutStore,
    pub mixed_recipients: MixedRecipients,
    pub notify_sender: NotifySender,
    pub refusal: Refusal,
    pub existing_list_headers: ExistingListHeaders,
    /// `None`: signed anew where the author's domain has a key, else left.
    pub on_signed: Option<OnSigned>,
    pub knobs: Knobs,
    /// How much advertising each controller may send one person in all.
    pub frequency: Option<Rate>,
    /// How long journal rows are kept; `None` is without end.
    pub journal_retention: Option<Span>,
    pub controllers: BTreeMap<String, Controller>,
    /// By path.
    pub topics: BTreeMap<String, Topic>,
    pub family_groups: BTreeMap<String, Vec<String>>,
    /// Sign-up forms, by id.
    pub forms: BTreeMap<String, Form>,
    /// First match wins: the policy's own, then those of the packs.
    pub rules: Vec<Rule>,
    /// `sha256:…` over all source texts.
    pub hash: String,
    pub sources: Vec<PolicySource>,
}

/// The knobs of the consent rules (section 11) under their names there.
#[derive(Clone, Debug)]
pub struct Knobs {
    /// Ways of collecting that count only once confirmed.
    pub doi_sources: Vec<String>,
    pub doi_window: Span,
    /// After how long a request for confirmation is repeated, once; `None`: it is not.
    pub doi_reminder: Option<Span>,
    /// Calendar years, 1 to 3.
    pub retention_years: u8,
    pub expiry_margin_days: u16,
    pub objection_subaddress: bool,
    pub objection_provider_alias: bool,
    pub complaint_scope: Scope,
    pub unsubscribe_scope: Scope,
    /// Whether a mail tells the person that a link of theirs was used, with a way back.
    pub unsubscribe_notice: bool,
    pub review_request_class: Class,
    pub mixed_action: MixedAction,
    pub b2b_mode: B2bMode,
    pub generic_mode: GenericMode,
    pub free_account_counts_as_sale: bool,
    /// Whether a charity may appeal to people who were informed and did not object.
    pub non_commercial: bool,
    pub freq_action: FreqAction,
    pub body_optout: BodyOptout,
    /// Whether a click that looks like a machine's is no sign of life.
    pub human_click: bool,
    pub cart_requires_same_family: bool,
    pub quote_counts_as_sale: bool,
    pub refunded_counts: bool,
    /// How long our unsubscribe link may be out of order before advertising waits for it.
    pub endpoint_grace: Span,
    /// How long the proof of what was said is kept after its last use; `None` is without end.
    pub evidence_retention: Option<Span>,
    /// How long the mark of an objection is kept, at least three years; `None` is without end.
    pub suppression_retention: Option<Span>,
    /// How long before the last day, and after the one notice, a person is left to answer it.
    pub retention_notice: Span,
}

/// On whose behalf mail is sent: consent is given to a controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    pub id: String,
    pub name: String,
    /// From: domains, lower-case A-labels; the first one names its lists.
    pub domains: Vec<String>,
    /// Languages of its texts, the preferred one first.
    pub languages: Vec<String>,
    pub privacy_url: String,
    pub contact: String,
    pub unsubscribe_mailto: Option<String>,
    pub kind: ControllerKind,
    /// Ways out accepted in a body beside our own.
    pub optout_links: Vec<String>,
    /// Its wording of the way out that is added to a body, by language.
    pub footer: BTreeMap<String, String>,
    /// Of its pages.
    pub look: Look,
}

/// What mail is about: the purpose that consent is given for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub path: String,
    pub controller: String,
    /// By language.
    pub label: BTreeMap<String, String>,
    pub families: Vec<String>,
    pub list_id: Option<String>,
    /// Consent for an ancestor does not cover it.
    pub own_consent: bool,
    /// Its former names: old events still carry them.
    pub aliases: Vec<String>,
    /// How much of it, and of what lies below it, one person may get.
    pub frequency: Option<Rate>,
}

/// One rule: what it looks for, and what it says of the message.
#[derive(Clone, Debug)]
pub struct Rule {
    pub id: String,
    /// The file it stands in.
    pub source: String,
    pub condition: Condition,
    pub class: Option<Class>,
    pub controller: Option<String>,
    pub topics: Vec<String>,
    pub topics_header: Option<TopicsHeader>,
    pub families: Vec<String>,
    pub functions: Vec<String>,
    pub kinds: Vec<String>,
}

/// A field whose values name the topics, and the mailer's words for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicsHeader {
    /// Lower case.
    pub header: String,
    /// The mailer's word → topic path; a word that is not in it is taken for a path.
    pub map: BTreeMap<String, String>,
}

/// What a rule looks for.
#[derive(Clone, Debug)]
pub enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Header {
        /// Lower case.
        name: String,
        test: TextTest,
    },
    FromDomain(String),
    FromAddress(String),
    EnvelopeDomain(String),
    Subject(TextTest),
    Listener(String),
    Credential(String),
    Client(ipnet::IpNet),
    RecipientsOver(usize),
}

/// How a text is looked at.
#[derive(Clone, Debug)]
pub enum TextTest {
    Present(bool),
    Equals(String),
    Contains(String),
    StartsWith(String),
    EndsWith(String),
    Matches(regex::Regex),
}

/// What a listener settles about every message that arrives on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    pub class: Class,
    pub controller: Option<String>,
    pub topics: Vec<String>,
}

/// One of the texts a policy was made of, as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySource {
    pub name: String,
    pub text: String,
}

/// `sha256:…` over the lengths and texts, the lengths as eight bytes: what a policy says, not where it lies.
pub fn hash_of(sources: &[PolicySource]) -> String {
    let lengths: Vec<[u8; 8]> = sources.iter().map(|source| (source.text.len() as u64).to_be_bytes()).collect();
    let parts = lengths.iter().zip(sources).flat_map(|(length, source)| [&length[..], source.text.as_bytes()]);
    format!("sha256:{}", hex(&sha256(&parts.collect::<Vec<_>>())))
}

impl Default for Knobs {
    fn default() -> Knobs {
        Knobs {
            doi_sources: vec!["oral_delegated".into(), "phone".into()],
            doi_window: Span::new().days(7),
            doi_reminder: None,
            retention_years: 3,
            expiry_margin_days: 0,
            objection_subaddress: true,
            objection_provider_alias: true,
            complaint_scope: Scope::Everything,
            unsubscribe_scope: Scope::Topic,
            unsubscribe_notice: false,
            review_request_class: Class::Service,
            mixed_action: MixedAction::Promotional,
            b2b_mode: B2bMode::InformAndRelevance,
            generic_mode: GenericMode::Allow,
            free_account_counts_as_sale: false,
            non_commercial: false,
            freq_action: FreqAction::Block,
            body_optout: BodyOptout::Require,
            human_click: true,
            cart_requires_same_family: true,
            quote_counts_as_sale: false,
            refunded_counts: false,
            endpoint_grace: Span::new().hours(24),
            evidence_retention: Some(Span::new().years(5)),
            suppression_retention: None,
            retention_notice: Span::new().days(30),
        }
    }
}

impl Policy {
    /// The controller that sends from this domain, given as a lower-case A-label.
    pub fn controller_of_domain(&self, domain_key: &str) -> Option<&Controller> {
        self.controllers.values().find(|controller| controller.domains.iter().any(|domain| domain == domain_key))
    }

    /// The ways out of a controller that are accepted in a body.
    pub fn optout_links(&self, controller: Option<&str>) -> &[String] {
        controller.and_then(|id| self.controllers.get(id)).map_or(&[], |controller| &controller.optout_links)
    }

    /// The topic of this path, or the one that was once called so.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        let renamed = || self.topics.values().find(|topic| topic.aliases.iter().any(|alias| alias == name));
        self.topics.get(name).or_else(renamed)
    }

    /// The path a topic has today. A renamed topic takes what lies below it along.
    pub fn present_name(&self, name: &str) -> String {
        let ends = name.rmatch_indices('/').map(|(end, _)| end);
        let renamed = std::iter::once(name.len()).chain(ends).find_map(|end| {
            let topic = self.topic(&name[..end])?;
            Some(format!("{}{}", topic.path, &name[end..]))
        });
        renamed.unwrap_or_else(|| name.to_owned())
    }

    /// The List-Id of a topic (RFC 2919): the one set, else the path from its end, then the controller's first domain.
    pub fn list_id_of(&self, topic: &Topic) -> String {
        if let Some(list_id) = &topic.list_id {
            return list_id.clone();
        }
        let domain = self.controllers.get(&topic.controller).and_then(|controller| controller.domains.first());
        topic.path.rsplit('/').chain(domain.map(String::as_str)).collect::<Vec<_>>().join(".")
    }

    /// What people call a topic, in the first of its controller's languages that has a label; else its path.
    pub fn label_of<'a>(&'a self, topic: &'a Topic) -> &'a str {
        let languages = self.controllers.get(&topic.controller).map_or(&[][..], |controller| &controller.languages);
        let preferred = languages.iter().find_map(|language| topic.label.get(language));
        preferred.or_else(|| topic.label.values().next()).unwrap_or(&topic.path)
    }

    /// The lower-case names of all header fields that a rule reads.
    pub fn fields_read(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for rule in &self.rules {
            rule.condition.collect_fields(&mut names);
            names.extend(rule.topics_header.iter().map(|topics| topics.header.clone()));
        }
        names
    }
}

impl Condition {
    fn collect_fields(&self, names: &mut BTreeSet<String>) {
        match self {
            Condition::All(parts) | Condition::Any(parts) => {
                for part in parts {
                    part.collect_fields(names);
                }
            }
            Condition::Not(inner) => inner.collect_fields(names),
            Condition::Header { name, .. } => _ = names.insert(name.clone()),
            Condition::FromDomain(_) | Condition::FromAddress(_) => _ = names.insert("from".into()),
            Condition::Subject(_) => _ = names.insert("subject".into()),
            Condition::EnvelopeDomain(_)
            | Condition::Listener(_)
            | Condition::Credential(_)
            | Condition::Client(_)
            | Condition::RecipientsOver(_) => {}
        }
    }
}
