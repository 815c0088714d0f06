//! `/rights/{controller}`: an address to print. To object, to see what is known, to have it put right or erased, each
//! behind a code that shows who reads the mail of the address. What is asked for stands in the ledger, with its time.

mod moving;

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Response, StatusCode};
use ipnet::IpNet;
use minijinja::context;

use super::codes::Errand;
use super::desk::Desk;
use super::fields::{Broken, Fields};
use super::locale::Locale;
use super::page::{all_languages, text};
use super::room::{Guest, Problem, Refusal, Room, plain_page, prove};
use super::server::Peer;
use super::visitor::network_of;
use crate::consent::event::{Actor, ConsentEvent, EventType};
use crate::policy::rules::Policy;
use crate::rights::{Person, document, page};
use crate::smtp::address::EmailAddress;
use crate::store::StoreError;

type Shared = State<Arc<Desk>>;

/// What may be done here, and the form that asks for a code.
pub async fn show(State(desk): Shared, Path(controller): Path<String>, headers: HeaderMap) -> Response<Body> {
    let door = Door::of(&desk, controller, &headers);
    door.map_or_else(|answer| *answer, |door| door.ask_address(StatusCode::OK, None, ""))
}

/// The next step: which one, the form says.
pub async fn post(
    State(desk): Shared,
    Path(controller): Path<String>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response<Body> {
    let door = match Door::of(&desk, controller, &headers) {
        Ok(door) => door,
        Err(answer) => return *answer,
    };
    let network = network_of(peer, &headers, &desk.pages.trusted_proxies);
    let fields = match Fields::read(&headers, body) {
        Ok(fields) => fields,
        Err(broken) => return door.page(broken.0, "own_broken.html", context! {}),
    };
    match prove(&desk, &fields) {
        Some(Ok(guest)) => step(&door.room(guest), &fields, network).await,
        Some(Err((Problem::WrongCode, request, left))) => {
            let problem = Problem::WrongCode;
            let context = context! { problem, request, attempts_left => left, masked => () };
            door.page(StatusCode::BAD_REQUEST, "own_code.html", context)
        }
        Some(Err((problem, ..))) => door.ask_address(StatusCode::BAD_REQUEST, Some(problem), ""),
        None => match fields.one("address") {
            Some(address) => door.send_code(address, network).await,
            None => door.ask_address(StatusCode::BAD_REQUEST, None, ""),
        },
    }
}

/// One controller's, before anybody is known.
struct Door<'a> {
    desk: &'a Desk,
    policy: Arc<Policy>,
    controller: String,
    locale: Locale,
}

impl<'a> Door<'a> {
    fn of(desk: &'a Desk, controller: String, headers: &HeaderMap) -> Result<Door<'a>, Box<Response<Body>>> {
        let policy = (desk.pages.policy)();
        let Some(known) = policy.controllers.get(&controller) else {
            let locale = desk.pages.site.locale(headers, &all_languages(&policy));
            let about = (&*policy, None, &locale);
            return Err(Box::new(plain_page(desk, about, StatusCode::NOT_FOUND, "no_controller.html", context! {})));
        };
        let locale = desk.pages.site.locale(headers, &known.languages);
        Ok(Door { desk, policy, controller, locale })
    }

    fn page(&self, status: StatusCode, template: &str, context: minijinja::Value) -> Response<Body> {
        let about = (&*self.policy, self.policy.controllers.get(&self.controller), &self.locale);
        plain_page(self.desk, about, status, template, context)
    }

    fn path(&self) -> String {
        format!("/rights/{}", self.controller)
    }

    fn room(self, guest: Guest) -> Room<'a> {
        let path = self.path();
        Room { desk: self.desk, policy: self.policy, controller: self.controller, locale: self.locale, guest, path }
    }

    fn ask_address(&self, status: StatusCode, problem: Option<Problem>, address: &str) -> Response<Body> {
        let sender = self.policy.controllers.get(&self.controller).map(|controller| controller.name.as_str());
        self.page(status, "rights.html", context! { problem, address, sender })
    }

    /// The same for every address: nothing is looked up.
    async fn send_code(&self, text: &str, network: Option<IpNet>) -> Response<Body> {
        let Some(address) = EmailAddress::parse(text).ok().filter(|address| !address.hides_recipient()) else {
            return self.ask_address(StatusCode::BAD_REQUEST, Some(Problem::NoAddress), text);
        };
        let words = self.locale.clone().of(self.policy.controllers.get(&self.controller));
        match self.desk.send_code(&address, network, (&self.path(), Errand::Own), &words).await {
            Ok(request) => {
                let context = context! { problem => (), request, attempts_left => 0, masked => () };
                self.page(StatusCode::OK, "own_code.html", context)
            }
            Err(no_code) => match Refusal::of(no_code) {
                Some(refusal) => refusal.on(self.ask_address(refusal.status, Some(refusal.problem), text)),
                None => self.page(StatusCode::SERVICE_UNAVAILABLE, "unavailable.html", context! {}),
            },
        }
    }
}

/// What somebody asks for who has shown that they read the mail of the address.
pub(super) async fn step(room: &Room<'_>, fields: &Fields, network: Option<IpNet>) -> Response<Body> {
    let at_choices = room.path == "/p/me";
    match fields.one("step") {
        None if at_choices && !matches!(fields.one("page"), Some("data")) => room.choices(StatusCode::OK, None).await,
        Some("choices") => room.choices(StatusCode::OK, None).await,
        None | Some("data") => room.answer(StatusCode::OK, "own_data.html", context! { problem => () }),
        Some("save") => room.save(fields).await,
        Some("off") => room.everything_off().await,
        Some("page") => room.told(Form::Page).await,
        Some("json") => room.told(Form::Json).await,
        Some("erase") => room.answer(StatusCode::OK, "own_erase.html", context! {}),
        Some("erase-now") => room.erase(fields.one("keep-mark").is_some()).await,
        Some("move") => room.send_code_to_new(fields, network).await,
        Some("move-now") => room.move_to_new(fields).await,
        Some(_) => room.broken(Broken(StatusCode::BAD_REQUEST)),
    }
}

/// How what is known is written.
#[derive(Clone, Copy)]
enum Form {
    Page,
    Json,
}

impl Room<'_> {
    /// Everything this controller holds of the person, as a file. That it was given is an act of the ledger.
    async fn told(&self, form: Form) -> Response<Body> {
        let Some(address) = self.guest.address().cloned() else { return self.unavailable() };
        let (store, policy, now) = (self.desk.pages.store.clone(), Arc::clone(&self.policy), self.now());
        let (controller, language) = (self.controller.clone(), self.locale.language());
        let gathering = tokio::task::spawn_blocking(move || {
            let person = Person::gather(&mut store.reader()?, &policy, &address, Some(&controller), now)?;
            let contact = person.contact.as_ref().map(|contact| contact.id);
            let written = match form {
                Form::Page => page(&person, &policy, language).map_err(|e| StoreError::Failed(e.to_string()))?,
                Form::Json => format!("{:#}\n", document(&person, &policy)),
            };
            Ok((written, contact))
        });
        let recorded = match gathering.await.unwrap_or(Err(StoreError::Gone)) {
            Ok((written, contact)) => {
                self.desk.pages.store.record_access(&self.controller, contact).await.map(|_| written)
            }
            Err(error) => Err(error),
        };
        match recorded {
            Ok(written) => file(form, written),
            Err(error) => {
                tracing::error!(controller = self.controller, %error, "what is known was not given");
                self.unavailable()
            }
        }
    }

    /// `keep_mark`: with a no to all advertising, of which a keyed hash outlives the rest.
    async fn erase(&self, keep_mark: bool) -> Response<Body> {
        let Some(address) = self.guest.address() else { return self.unavailable() };
        let event = |kind| ConsentEvent {
            at: Some(self.now()),
            recorded_at: Some(self.now()),
            actor: Some(Actor::Person),
            source: Some("rights:code".to_owned()),
            evidence: Some(self.guest.evidence()),
            ..ConsentEvent::new(address.clone(), self.controller.clone(), kind)
        };
        let objection = ConsentEvent { mechanism: Some("preference_centre".to_owned()), ..event(EventType::Object) };
        let events = keep_mark.then_some(objection).into_iter().chain([event(EventType::Erase)]).collect();
        match self.desk.pages.store.record_events(events, i64::MAX, None).await {
            Ok(_) => {
                tracing::info!(controller = self.controller, "erased at the person's request");
                self.answer(StatusCode::OK, "own_done.html", context! { done => "erased" })
            }
            Err(error) => self.not_recorded(&error),
        }
    }
}

fn file(form: Form, written: String) -> Response<Body> {
    let (media_type, disposition) = match form {
        Form::Page => ("text/html; charset=utf-8", "attachment; filename=\"my-data.html\""),
        Form::Json => ("application/json", "attachment; filename=\"my-data.json\""),
    };
    let mut answer = text(StatusCode::OK, written);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
    answer
}
