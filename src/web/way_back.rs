//! `/u/back/{token}`: who was unsubscribed through a message they had forwarded finds the way back.
//!
//! The mail that carries it goes to the address itself, so its reader is the person. It takes one objection back and
//! agrees to nothing.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use axum::http::{Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use minijinja::context;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;

use super::form;
use super::locale::Locale;
use super::objection::masked;
use super::page::{Sender, topic_label};
use super::public::{Mailing, Pages, Posting, PublicPages, RETRY_AFTER_SECONDS, no_link};
use super::site::View;
use crate::consent::event::{Actor, ConsentEvent, EventType, RecordedEvent};
use crate::consent::token::HashKeys;
use crate::consent::way_back::WayBackToken;
use crate::message::own::Letter;
use crate::policy::rules::{Controller, Policy};
use crate::policy::undo;
use crate::smtp::address::{EmailAddress, Width};
use crate::store::{Store, StoreError};

/// After that the person signs up again.
const LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);
/// One mail in so long, however often links of a person are used.
const ONE_NOTICE_IN: SignedDuration = SignedDuration::from_hours(24);
/// Where our links' objections say that they come from.
const SOURCE: &str = "web:unsubscribe";

/// A link that was used just now.
#[derive(Clone)]
pub struct Used {
    pub seq: i64,
    pub address: EmailAddress,
    pub at: Timestamp,
}

/// Mails the way back, on a task of its own: whoever used the link is not kept waiting, nor told whether it goes.
pub fn tell(pages: &PublicPages, controller: Option<&Controller>, locale: &Locale, used: Used) {
    let Some(controller) = controller else { return };
    let (pages, controller) = (pages.clone(), controller.clone());
    // In the sender's own language: who used the link may read another one than who gets the mail.
    let locale = pages.site.locale_of(controller.languages.iter().chain([&locale.tag()])).of(Some(&controller));
    tokio::spawn(async move {
        match is_first_of_the_day(&pages.store, &used).await {
            Ok(true) => send(&pages, &controller, &locale, used).await,
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "whether a way back is due could not be looked up"),
        }
    });
}

/// The store knows it, so that a restart mails nothing twice.
pub(super) async fn is_first_of_the_day(store: &Store, used: &Used) -> Result<bool, StoreError> {
    let (store, seq, address, at) = (store.clone(), used.seq, used.address.clone(), used.at);
    let reading = tokio::task::spawn_blocking(move || {
        let mut reader = store.reader()?;
        let Some(contact) = reader.contact(&address)? else { return Ok(false) };
        let is_click = |recorded: &&RecordedEvent| {
            let event = &recorded.event;
            event.kind == EventType::Object && event.source.as_deref() == Some(SOURCE)
        };
        let history = reader.history(contact.id)?;
        let today = |recorded: &&RecordedEvent| recorded.at > at - ONE_NOTICE_IN && recorded.at <= at;
        let first = history.iter().filter(is_click).find(today);
        // Said before, it is dated at the first time.
        Ok(first.is_some_and(|first| first.seq == seq && first.happened_by() == at))
    });
    reading.await.unwrap_or(Err(StoreError::Gone))
}

async fn send(pages: &PublicPages, controller: &Controller, locale: &Locale, used: Used) {
    let mut nonce = [0; 12];
    if SystemRandom::new().fill(&mut nonce).is_err() {
        return tracing::error!("the system gives no random bytes: no way back is mailed");
    }
    let hash = pages.hash_keys.contact_hash(&controller.id, &used.address.objection_key(Width::WIDEST));
    let token = WayBackToken { controller: controller.id.clone(), objection: used.seq, hash, issued_at: used.at };
    let link = format!("{}/u/back/{}", pages.base_url, token.seal(&pages.sealing_keys, nonce));
    let sender = || controller.name.clone();
    let text = locale.say("back-mail-text", &[("sender", sender().into()), ("link", link.into())]);
    let letter = Letter {
        to: used.address,
        language: locale.tag(),
        subject: locale.say("back-mail-subject", &[("sender", sender().into())]),
        text: format!("{text}\n"),
    };
    let mailing = Mailing { letter, kind: "rights_reply", controller: Some(controller.id.clone()) };
    if (pages.post)(mailing).await != Posting::OnItsWay {
        tracing::warn!(controller = controller.id, "a way back could not be mailed");
    }
}

/// A page with a button; changes nothing.
pub async fn show(State(pages): Pages, Path(token): Path<String>, headers: HeaderMap) -> Response<Body> {
    match WayBack::open(&pages, &token, &headers).await {
        Ok(way) => way.answer(StatusCode::OK, "ask"),
        Err(answer) => *answer,
    }
}

/// Takes the objection back.
pub async fn go_back(
    State(pages): Pages,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response<Body> {
    let way = match WayBack::open(&pages, &token, &headers).await {
        Ok(way) => way,
        Err(answer) => return *answer,
    };
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let fields = body.map(|body| form::fields(content_type, &body)).unwrap_or_default();
    if !fields.iter().any(|(name, value)| name == "back" && value == "yes") {
        return way.answer(StatusCode::BAD_REQUEST, "ask");
    }
    match pages.store.record_event(way.event((pages.clock)())).await {
        Ok(_) => {
            tracing::info!(controller = way.token.controller, "an unsubscription was taken back");
            way.answer(StatusCode::OK, "done")
        }
        Err(error) => {
            tracing::error!(controller = way.token.controller, %error, "a way back was not recorded");
            way.unavailable()
        }
    }
}

/// A way back that leads somewhere.
struct WayBack<'a> {
    pages: &'a PublicPages,
    policy: Arc<Policy>,
    locale: Locale,
    token: WayBackToken,
    objection: RecordedEvent,
}

impl<'a> WayBack<'a> {
    /// Else the answer that says why not: broken, over, and somebody else's or erased are one.
    async fn open(pages: &'a PublicPages, text: &str, headers: &HeaderMap) -> Result<WayBack<'a>, Box<Response<Body>>> {
        let policy = (pages.policy)();
        let token = WayBackToken::open(text, &pages.sealing_keys).ok();
        let token = token.filter(|token| (pages.clock)() < token.issued_at + LIFETIME);
        let Some(token) = token else { return Err(Box::new(no_link(pages, &policy, headers))) };
        let languages = policy.controllers.get(&token.controller).map(|controller| controller.languages.clone());
        let locale = pages.site.locale(headers, &languages.unwrap_or_default());
        match find(&pages.store, &pages.hash_keys, &token).await {
            Ok(Some(objection)) => Ok(WayBack { pages, policy, locale, token, objection }),
            Ok(None) => Err(Box::new(no_link(pages, &policy, headers))),
            Err(error) => {
                tracing::error!(%error, "a way back could not be looked up");
                Err(Box::new(unavailable(pages, &policy, &locale, &token.controller)))
            }
        }
    }

    fn answer(&self, status: StatusCode, step: &str) -> Response<Body> {
        let controller = self.policy.controllers.get(&self.token.controller);
        let senders = controller.map(Sender::of).into_iter().collect();
        let view = View { locale: self.locale.clone(), controller, senders };
        let named = self.objection.event.topics.iter().flatten();
        let topics: Vec<&str> = named.map(|path| topic_label(&self.policy, path, &self.locale)).collect();
        let sender = controller.map_or(&self.token.controller, |controller| &controller.name);
        let day = self.objection.at.to_zoned(self.policy.time_zone.clone()).date().to_string();
        let masked = masked(&self.objection.event.address);
        self.pages.site.answer(status, "back.html", &view, context! { step, sender, topics, day, masked })
    }

    fn unavailable(&self) -> Response<Body> {
        unavailable(self.pages, &self.policy, &self.locale, &self.token.controller)
    }

    /// Said again it is the same event.
    fn event(&self, at: Timestamp) -> ConsentEvent {
        let said = &self.objection.event;
        let id = said.id.as_deref().unwrap_or_default();
        ConsentEvent {
            at: Some(at),
            recorded_at: Some(at),
            actor: Some(Actor::Person),
            source: Some("web:way_back".to_owned()),
            channel: said.channel.clone(),
            id: Some(format!("undo-{id}")),
            mechanism: Some(undo::MECHANISM.to_owned()),
            evidence: Some(json!({ undo::UNDOES: id, "link_issued_at": self.token.issued_at })),
            ..ConsentEvent::new(said.address.clone(), self.token.controller.as_str(), EventType::Undo)
        }
    }
}

fn unavailable(pages: &PublicPages, policy: &Policy, locale: &Locale, controller: &str) -> Response<Body> {
    let controller = policy.controllers.get(controller);
    let senders = controller.map(Sender::of).into_iter().collect();
    let view = View { locale: locale.clone(), controller, senders };
    let mut answer = pages.site.answer(StatusCode::SERVICE_UNAVAILABLE, "unavailable.html", &view, context! {});
    answer.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    answer
}

/// The objection, if it is that of the person the link was mailed to.
async fn find(store: &Store, keys: &HashKeys, token: &WayBackToken) -> Result<Option<RecordedEvent>, StoreError> {
    let (store, keys, token) = (store.clone(), keys.clone(), token.clone());
    let reading = tokio::task::spawn_blocking(move || {
        let objection = store.reader()?.event(token.objection)?;
        Ok(objection.filter(|recorded| {
            let event = &recorded.event;
            let key = event.address.objection_key(Width::WIDEST);
            event.kind == EventType::Object
                && event.controller == token.controller
                && event.id.is_some()
                && keys.all_hashes(&token.controller, &key).contains(&token.hash)
        }))
    });
    reading.await.unwrap_or(Err(StoreError::Gone))
}
