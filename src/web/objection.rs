//! An objection through a link, a page or a letter: whose it is, how far it reaches, and writing it down exactly once.

use jiff::Timestamp;
use serde_json::json;

use crate::consent::event::{Actor, ConsentEvent, EventType, RecordedEvent, stable_id};
use crate::consent::scope;
use crate::consent::state::ContactState;
use crate::consent::token::{HashKeys, UnsubscribeToken};
use crate::policy::correction::WRONG_ADDRESS;
use crate::policy::rules::Policy;
use crate::smtp::address::{EmailAddress, Width};
use crate::store::{Contact, LinkKey, Reader, Store, StoreError, Suppress};

/// How the person said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// The mail program's button (RFC 8058).
    OneClick,
    /// The button of our page.
    LinkPage,
    /// Mail to the address beside the link (RFC 2369).
    Mailto,
    /// What a mailbox provider passes on of its user (RFC 5965).
    Complaint,
}

impl Mechanism {
    pub fn as_str(self) -> &'static str {
        match self {
            Mechanism::OneClick => "one_click",
            Mechanism::LinkPage => "link_page",
            Mechanism::Mailto => "mailto",
            Mechanism::Complaint => "complaint",
        }
    }
}

/// Whose objection it is.
#[derive(Clone, Debug)]
pub enum Who {
    /// Whoever got this link.
    Link(UnsubscribeToken),
    /// Whoever proved to read the mail of this address.
    Reader(EmailAddress),
    /// Whoever got this link and sent it back by mail. `from_agrees`: who signs is whom it was sent to, as far as a
    /// sender says who it is.
    Letter { token: UnsubscribeToken, from_agrees: Option<bool> },
    /// Whoever the letter says it is from. Anybody can write that, and nothing but an objection comes of it.
    Sender(EmailAddress),
}

/// What one use of a link or a page asks for.
#[derive(Clone, Debug)]
pub struct Objection {
    pub who: Who,
    pub controller: String,
    /// Empty: everything of the controller.
    pub topics: Vec<String>,
    pub mechanism: Mechanism,
    /// Whoever reads this mail is not who gave the address.
    pub wrong_address: bool,
    pub at: Timestamp,
}

impl Objection {
    /// By the link itself.
    pub fn through(token: UnsubscribeToken, topics: Vec<String>, mechanism: Mechanism, at: Timestamp) -> Objection {
        let controller = token.controller.clone();
        Objection { controller, who: Who::Link(token), topics, mechanism, wrong_address: false, at }
    }

    /// No ground is left for an address that belongs to somebody else.
    pub fn not_mine(token: UnsubscribeToken, at: Timestamp) -> Objection {
        Objection { wrong_address: true, ..Objection::through(token, Vec::new(), Mechanism::LinkPage, at) }
    }

    fn source(&self) -> &'static str {
        match self.who {
            Who::Link(_) => "web:unsubscribe",
            Who::Reader(_) => "web:me",
            Who::Letter { .. } | Who::Sender(_) => "inbox:unsubscribe",
        }
    }
}

/// Resolves when the objection is durable.
///
/// Said again it is the same event, dated at the first time, unless the person opted in or took it back between: then
/// the later no is a new one and counts. Of somebody we know nothing of only a hash is kept.
pub async fn record(store: &Store, hash_keys: &HashKeys, objection: Objection) -> Result<Recorded, StoreError> {
    let link = match &objection.who {
        Who::Link(token) | Who::Letter { token, .. } => Some(LinkKey::of(token)),
        Who::Reader(_) | Who::Sender(_) => None,
    };
    match find(store, hash_keys, &objection.who, &objection.controller).await? {
        Some(known) => {
            let address = known.address.clone();
            let event = event(&objection, known);
            let seq = match link {
                Some(link) => store.record_objection(event, link).await?,
                None => store.record_event(event).await?,
            };
            Ok(Recorded::Event { seq, address })
        }
        None => {
            let mark = mark(&objection, hash_keys);
            match link {
                Some(link) => store.suppress_through(mark, link).await?,
                None => store.suppress(mark).await?,
            }
            Ok(Recorded::Mark)
        }
    }
}

/// How an objection is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Of somebody the store knows, by the number of the event, be it new or said before.
    Event { seq: i64, address: EmailAddress },
    /// Of somebody else: the hash alone.
    Mark,
}

/// The person it is about, as the store knows them.
struct Known {
    contact: i64,
    address: EmailAddress,
    state: Option<ContactState>,
}

impl Known {
    /// Behind it a no is a new one.
    fn newest_yes(&self) -> Option<Timestamp> {
        let events = self.state.iter().flat_map(|state| &state.events);
        let yes = |kind: EventType| kind.is_opt_in() || kind == EventType::Undo;
        events.filter(|recorded| yes(recorded.event.kind)).map(RecordedEvent::happened_by).max()
    }
}

async fn find(store: &Store, hash_keys: &HashKeys, who: &Who, controller: &str) -> Result<Option<Known>, StoreError> {
    let (store, hash_keys) = (store.clone(), hash_keys.clone());
    let (who, controller) = (who.clone(), controller.to_owned());
    let reading = tokio::task::spawn_blocking(move || find_blocking(&store, &hash_keys, &who, &controller));
    reading.await.unwrap_or(Err(StoreError::Gone))
}

fn find_blocking(
    store: &Store,
    hash_keys: &HashKeys,
    who: &Who,
    controller: &str,
) -> Result<Option<Known>, StoreError> {
    let mut reader = store.reader()?;
    let contact = match who {
        Who::Link(token) | Who::Letter { token, .. } => of_token(&mut reader, hash_keys, token)?,
        Who::Reader(address) | Who::Sender(address) => reader.contact(address)?,
    };
    let Some(contact) = contact else { return Ok(None) };
    let (consulted, _) = reader.consult(controller, std::slice::from_ref(&contact.address))?;
    let state = consulted.into_iter().next().and_then(|consulted| consulted.exact);
    Ok(Some(Known { contact: contact.id, address: contact.address, state }))
}

/// What a page may say of the person a link was made for to whoever holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// `a…@exemple.fr`: enough to see that a forwarded message was somebody else's.
    pub masked: Option<String>,
    /// When the person agreed to what the link ends, if that was after it was made and no objection followed.
    pub signed_up_again: Option<Timestamp>,
}

/// Nothing of somebody the store has no row for.
pub async fn holder(
    store: &Store,
    hash_keys: &HashKeys,
    token: &UnsubscribeToken,
    policy: &Policy,
) -> Result<Holder, StoreError> {
    let known = find(store, hash_keys, &Who::Link(token.clone()), &token.controller).await?;
    Ok(known.map_or_else(Holder::default, |known| Holder {
        masked: Some(masked(&known.address)),
        signed_up_again: known.state.as_ref().and_then(|state| signed_up_again(state, token, policy)),
    }))
}

/// Enough to see whose an address is for who knows it.
pub fn masked(address: &EmailAddress) -> String {
    let first: String = address.local_part().chars().take(1).collect();
    format!("{first}…@{}", address.domain())
}

fn signed_up_again(state: &ContactState, token: &UnsubscribeToken, policy: &Policy) -> Option<Timestamp> {
    let left: Vec<String> = token.topics.iter().map(|topic| policy.present_name(topic)).collect();
    let touches = |topics: Option<&Vec<String>>| {
        let named: Vec<String> = topics.into_iter().flatten().map(|topic| policy.present_name(topic)).collect();
        let touch = |one: &String, other: &String| scope::reaches(one, other) || scope::reaches(other, one);
        let everything = named.is_empty() || left.is_empty() || named.iter().any(|topic| topic == "*");
        everything || named.iter().any(|one| left.iter().any(|other| touch(one, other)))
    };
    let events = state.events.iter().filter(|recorded| recorded.event.controller == token.controller);
    let about = events.filter(|recorded| touches(recorded.event.topics.as_ref()));
    // The last word counts: behind an objection there is nothing to ask.
    let last = about.filter(|recorded| {
        recorded.event.kind.is_objection()
            || matches!(recorded.event.kind, EventType::OptIn | EventType::OptInConfirmed)
    });
    let last = last.max_by_key(|recorded| (recorded.happened_by(), recorded.event.kind.is_objection()))?;
    let at = last.happened_by();
    (!last.event.kind.is_objection() && at > token.issued_at).then_some(at)
}

/// Whose link it is, as far as the person is still known.
pub fn of_token(
    reader: &mut Reader,
    hash_keys: &HashKeys,
    token: &UnsubscribeToken,
) -> Result<Option<Contact>, StoreError> {
    if token.contact == 0 {
        return Ok(None);
    }
    Ok(reader.contact_by_id(token.contact)?.filter(|contact| is_its(token, contact, hash_keys)))
}

/// In a store other than the one that gave the row its number, the row may be somebody else's.
fn is_its(token: &UnsubscribeToken, contact: &Contact, hash_keys: &HashKeys) -> bool {
    let key = contact.address.objection_key(Width::WIDEST);
    let is_its = hash_keys.all_hashes(&token.controller, &key).contains(&token.hash);
    if !is_its {
        tracing::warn!(contact = token.contact, "unsubscribe link of another store or of a ledger key no longer held");
    }
    is_its
}

fn event(objection: &Objection, known: Known) -> ConsentEvent {
    let mut evidence = match &objection.who {
        Who::Link(token) => json!({ "link_issued_at": token.issued_at }),
        Who::Reader(_) => json!({ "proof": "code_by_mail" }),
        Who::Letter { token, from_agrees } => {
            json!({ "link_issued_at": token.issued_at, "proof": "token_by_mail", "from_agrees": from_agrees })
        }
        Who::Sender(_) => json!({ "proof": "from_field" }),
    };
    if objection.wrong_address {
        evidence[WRONG_ADDRESS] = true.into();
    }
    ConsentEvent {
        at: Some(objection.at),
        recorded_at: Some(objection.at),
        actor: Some(Actor::Person),
        source: Some(objection.source().to_owned()),
        id: Some(event_id(objection, &known)),
        topics: (!objection.topics.is_empty()).then(|| objection.topics.clone()),
        mechanism: Some(objection.mechanism.as_str().to_owned()),
        evidence: Some(evidence),
        ..ConsentEvent::new(known.address, objection.controller.as_str(), EventType::Object)
    }
}

/// The same for every link and click of this person to the same topics, until there is a newer opt-in. A click dated
/// before that opt-in does not answer it, so it is not the same as one after it.
fn event_id(objection: &Objection, known: &Known) -> String {
    let mut topics = objection.topics.clone();
    topics.sort();
    topics.dedup();
    let yes = known.newest_yes().map(|at| (at.as_microsecond(), at <= objection.at));
    let mut said = json!([known.contact, objection.controller, topics, yes]);
    if objection.wrong_address {
        said = json!([said, WRONG_ADDRESS]);
    }
    stable_id("unsubscribe", &said)
}

fn mark(objection: &Objection, hash_keys: &HashKeys) -> Suppress {
    let hash = match &objection.who {
        Who::Link(token) | Who::Letter { token, .. } => token.hash,
        Who::Reader(address) | Who::Sender(address) => {
            hash_keys.contact_hash(&objection.controller, &address.objection_key(Width::WIDEST))
        }
    };
    Suppress {
        controller: objection.controller.clone(),
        hash,
        topics: objection.topics.clone(),
        at: objection.at,
        mechanism: objection.mechanism.as_str().to_owned(),
    }
}
