//! An objection through a link: whose it is, how far it reaches, and writing it down exactly once.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::json;

use crate::consent::event::{Actor, ConsentEvent, EventType, RecordedEvent};
use crate::consent::state::ContactState;
use crate::consent::token::{HashKeys, UnsubscribeToken};
use crate::smtp::address::{EmailAddress, Width};
use crate::store::{Store, StoreError, Suppress};

/// How the person said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// The mail program's button (RFC 8058).
    OneClick,
    /// The button of our page.
    LinkPage,
}

impl Mechanism {
    pub fn as_str(self) -> &'static str {
        match self {
            Mechanism::OneClick => "one_click",
            Mechanism::LinkPage => "link_page",
        }
    }
}

/// What one use of a link asks for.
#[derive(Clone, Debug)]
pub struct Objection {
    pub token: UnsubscribeToken,
    /// Empty: everything of the controller.
    pub topics: Vec<String>,
    pub mechanism: Mechanism,
    pub at: Timestamp,
}

/// Resolves when the objection is durable.
///
/// Said again it is the same event, dated at the first time, unless the person opted in between: then
/// the later no is a new one and counts.
pub async fn record(store: &Store, hash_keys: &HashKeys, objection: Objection) -> Result<(), StoreError> {
    let token = &objection.token;
    match find(store, hash_keys, token.clone()).await? {
        Some(known) => store.record_event(event(&objection, known)).await.map(drop),
        None => store.suppress(mark(&objection)).await,
    }
}

/// The person a link stands for, as the store knows them.
struct Known {
    contact: i64,
    address: EmailAddress,
    newest_opt_in: Option<Timestamp>,
}

async fn find(store: &Store, hash_keys: &HashKeys, token: UnsubscribeToken) -> Result<Option<Known>, StoreError> {
    if token.contact == 0 {
        return Ok(None);
    }
    let (store, hash_keys) = (store.clone(), hash_keys.clone());
    let reading = tokio::task::spawn_blocking(move || find_blocking(&store, &hash_keys, &token));
    reading.await.unwrap_or(Err(StoreError::Gone))
}

fn find_blocking(store: &Store, hash_keys: &HashKeys, token: &UnsubscribeToken) -> Result<Option<Known>, StoreError> {
    let mut reader = store.reader()?;
    let Some(contact) = reader.contact_by_id(token.contact)? else { return Ok(None) };
    let address = contact.address;
    // In a store other than the one that gave the row its number, the row may be somebody else's.
    let key = address.objection_key(Width::WIDEST);
    if !hash_keys.all_hashes(&token.controller, &key).contains(&token.hash) {
        tracing::warn!(contact = token.contact, "unsubscribe link of another store or of a ledger key no longer held");
        return Ok(None);
    }
    let (consulted, _) = reader.consult(&token.controller, std::slice::from_ref(&address))?;
    let state = consulted.into_iter().next().and_then(|consulted| consulted.exact);
    Ok(Some(Known { contact: token.contact, newest_opt_in: state.as_ref().and_then(newest_opt_in), address }))
}

fn newest_opt_in(state: &ContactState) -> Option<Timestamp> {
    state.events.iter().filter(|recorded| recorded.event.kind.is_opt_in()).map(RecordedEvent::happened_by).max()
}

fn event(objection: &Objection, known: Known) -> ConsentEvent {
    let token = &objection.token;
    ConsentEvent {
        at: Some(objection.at),
        recorded_at: Some(objection.at),
        actor: Some(Actor::Person),
        source: Some("web:unsubscribe".to_owned()),
        id: Some(event_id(objection, &known)),
        topics: (!objection.topics.is_empty()).then(|| objection.topics.clone()),
        mechanism: Some(objection.mechanism.as_str().to_owned()),
        evidence: Some(json!({ "link_issued_at": token.issued_at })),
        ..ConsentEvent::new(known.address, token.controller.as_str(), EventType::Object)
    }
}

/// The same for every link and click of this person to the same topics, until there is a newer opt-in. A click dated
/// before that opt-in does not answer it, so it is not the same as one after it.
fn event_id(objection: &Objection, known: &Known) -> String {
    let mut topics = objection.topics.clone();
    topics.sort();
    topics.dedup();
    let opt_in = known.newest_opt_in.map(|at| (at.as_microsecond(), at <= objection.at));
    let said = json!([known.contact, objection.token.controller, topics, opt_in]).to_string();
    let digest = ring::digest::digest(&ring::digest::SHA256, said.as_bytes());
    format!("unsubscribe-{}", URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16]))
}

fn mark(objection: &Objection) -> Suppress {
    Suppress {
        controller: objection.token.controller.clone(),
        hash: objection.token.hash,
        topics: objection.topics.clone(),
        at: objection.at,
        mechanism: objection.mechanism.as_str().to_owned(),
    }
}
