//! `/u/{token}`: the way out, with one click of the mail program (RFC 8058) or through a page.
//!
//! Only POST changes anything, since scanners follow links. No cookie, no login, no redirect, and the
//! same answer for known and unknown people and however often it is asked.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use axum::http::{Method, Response, StatusCode};
use axum::middleware::{self, Next};
use axum::routing::get;
use ipnet::IpNet;
use jiff::Timestamp;
use minijinja::context;
use ring::error::Unspecified;

use super::confirm;
use super::desk::Desk;
use super::form;
use super::locale::Locale;
use super::me;
use super::objection::{self, Holder, Mechanism, Objection, Recorded};
use super::page::{self, Sender, all_languages, sole_controller, topic_label};
use super::preferences;
use super::rights;
use super::site::{Site, View};
use super::subscribe::{self, Counter};
use super::way_back;
use crate::consent::token::{HashKeys, SealingKeys, UnsubscribeToken};
use crate::message::own::Letter;
use crate::policy::rules::{Controller, Policy, Scope};
use crate::store::{Store, StoreError};

/// One-click bodies have 26 bytes; with multipart dress a few hundred.
const LARGEST_BODY: usize = 8 * 1024;
/// A page of choices has a few hundred bytes for each topic.
const LARGEST_CHOICES: usize = 128 * 1024;
/// As the gate asks it; no more is signed for strangers.
const LONGEST_CHALLENGE: usize = 64;
/// For the whole request, body and store included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
pub(super) const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("120");

/// Gives the policy in force, also after a reload.
pub type PolicyInForce = Arc<dyn Fn() -> Arc<Policy> + Send + Sync>;

/// What the public pages work with.
#[derive(Clone)]
pub struct PublicPages {
    pub store: Store,
    /// Templates and languages.
    pub site: Arc<Site>,
    pub sealing_keys: SealingKeys,
    pub hash_keys: HashKeys,
    pub policy: PolicyInForce,
    pub clock: Clock,
    /// Sends codes, and questions to confirm.
    pub post: Post,
    /// How visitors reach these pages, without a slash at its end.
    pub base_url: String,
    /// Whose word on where a visitor comes from counts.
    pub trusted_proxies: Vec<IpNet>,
}

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A message of our own.
#[derive(Clone, Debug)]
pub struct Mailing {
    pub letter: Letter,
    /// A kind of service mail, as the policy knows it.
    pub kind: &'static str,
    /// In whose name; `None`: in that of whoever runs these pages.
    pub controller: Option<String>,
}

/// Sends a message of our own, and resolves when it is known whether it is on its way.
pub type Post = Arc<dyn Fn(Mailing) -> Pin<Box<dyn Future<Output = Posting> + Send>> + Send + Sync>;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posting {
    /// Or upstream says that there is no such mailbox, which is nothing to tell a visitor.
    OnItsWay,
    /// Nothing was sent; later it may be.
    NotNow,
    /// Nothing was sent, and by the policy nothing will be.
    Withheld,
}

/// The routes open to the outside world. Fails when the system gives no random bytes.
pub fn public_router(pages: PublicPages) -> Result<Router, Unspecified> {
    let desk = Arc::new(Desk::new(pages.clone())?);
    let form = || get(subscribe::show).post(subscribe::answer).options(subscribe::preflight);
    let counter = Arc::new(Counter::new(pages.clone()));
    let forms = Router::new().route("/subscribe/{controller}", form()).route("/subscribe/{controller}/{form}", form());
    let shared = Router::new().route("/u/me", get(me::show).post(me::step)).with_state(Arc::clone(&desk));
    let own = Router::new()
        .route("/p/me", get(preferences::show_me).post(preferences::step_me))
        .route("/p/{token}", get(preferences::show).post(preferences::step))
        .route("/rights/{controller}", get(rights::show).post(rights::post))
        .layer(DefaultBodyLimit::max(LARGEST_CHOICES))
        .with_state(desk);
    let router = Router::new()
        .route("/u/{token}", get(show).post(use_link))
        .route("/u/alive/{challenge}", get(alive))
        .route("/u/back/{token}", get(way_back::show).post(way_back::go_back))
        .route("/assets/{hash}", get(asset))
        .route("/confirm/{token}", get(confirm::show).post(confirm::confirm))
        .with_state(Arc::new(pages))
        .merge(shared)
        .merge(forms.with_state(counter))
        .merge(own)
        .fallback(no_page)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn(bounded));
    Ok(router)
}

pub(super) type Pages = State<Arc<PublicPages>>;

async fn bounded(request: Request, next: Next) -> Response<Body> {
    let answer = tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await;
    let mut answer = answer.unwrap_or_else(|_| {
        let mut late = page::plain(StatusCode::SERVICE_UNAVAILABLE, "Try again later.\n");
        late.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        late
    });
    page::protect(answer.headers_mut());
    answer
}

async fn no_page() -> Response<Body> {
    page::plain(StatusCode::NOT_FOUND, "There is no page here.\n")
}

async fn wrong_method(method: Method) -> Response<Body> {
    let mut answer = page::plain(StatusCode::METHOD_NOT_ALLOWED, "Use GET or POST.\n");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
    tracing::debug!(%method, "method not allowed");
    answer
}

/// Lets the gate see, through whatever stands before these pages, that its own links are answered here.
async fn alive(State(pages): Pages, Path(challenge): Path<String>) -> Response<Body> {
    if challenge.len() > LONGEST_CHALLENGE || !challenge.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return no_page().await;
    }
    let answer = pages.sealing_keys.answers(&challenge).into_iter().next().unwrap_or_default();
    page::text(StatusCode::OK, answer)
}

/// A controller's logo.
async fn asset(State(pages): Pages, Path(hash): Path<String>) -> Response<Body> {
    let policy = (pages.policy)();
    let mut logos = policy.controllers.values().filter_map(|controller| controller.look.logo.as_ref());
    match logos.find(|logo| logo.hash() == hash) {
        Some(logo) => page::picture(logo),
        None => no_page().await,
    }
}

/// A page with a button; changes nothing.
async fn show(State(pages): Pages, Path(token): Path<String>, headers: HeaderMap) -> Response<Body> {
    match Link::open(&pages, &token, &headers) {
        Ok(link) => {
            let holder = link.holder().await.unwrap_or_else(|error| {
                tracing::error!(%error, "who holds a link could not be looked up");
                Holder::default()
            });
            link.ask(StatusCode::OK, &holder)
        }
        Err(broken) => *broken,
    }
}

async fn use_link(
    State(pages): Pages,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response<Body> {
    let link = match Link::open(&pages, &token, &headers) {
        Ok(link) => link,
        Err(broken) => return *broken,
    };
    let Ok(body) = body else {
        return link.ask(StatusCode::PAYLOAD_TOO_LARGE, &Holder::default());
    };
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let fields = form::fields(content_type, &body);
    match Wish::read(&fields, link.policy.knobs.unsubscribe_scope) {
        Some(wish) => link.carry_out(wish).await,
        None => link.ask(StatusCode::BAD_REQUEST, &Holder::default()),
    }
}

/// Names no person: whether the link never was one or lost a letter on its way, nobody can tell.
pub(super) fn no_link(pages: &PublicPages, policy: &Policy, headers: &HeaderMap) -> Response<Body> {
    let locale = pages.site.locale(headers, &all_languages(policy));
    let view = View { locale, controller: sole_controller(policy), senders: Sender::all(policy) };
    pages.site.answer(StatusCode::NOT_FOUND, "no_link.html", &view, context! {})
}

/// What was asked for with POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// By the mail program's button: there is nobody to ask.
    OneClick(Scope),
    Page {
        ask: Ask,
        /// The second of the opt-in that the page told of.
        told_of: Option<i64>,
    },
}

/// The buttons of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Leave(Scope),
    NotMine,
}

impl Wish {
    /// `one_click_scope`: how far the mail program's button reaches.
    fn read(fields: &[(String, String)], one_click_scope: Scope) -> Option<Wish> {
        let value = |name: &str| fields.iter().find(|(field, _)| field.trim().eq_ignore_ascii_case(name));
        if let Some((_, scope)) = value("scope") {
            let ask = match scope.as_str() {
                "topics" => Ask::Leave(Scope::Topic),
                "everything" => Ask::Leave(Scope::Everything),
                "not-mine" => Ask::NotMine,
                _ => return None,
            };
            return Some(Wish::Page { ask, told_of: value("again").and_then(|(_, second)| second.parse().ok()) });
        }
        let (_, click) = value("List-Unsubscribe")?;
        click.trim().eq_ignore_ascii_case("One-Click").then_some(Wish::OneClick(one_click_scope))
    }
}

/// A link that opened, with what is needed to speak about it.
struct Link<'a> {
    pages: &'a PublicPages,
    /// As it stands in the link.
    text: &'a str,
    token: UnsubscribeToken,
    policy: Arc<Policy>,
    locale: Locale,
}

impl<'a> Link<'a> {
    /// Else the page that says that it is none.
    fn open(pages: &'a PublicPages, text: &'a str, headers: &HeaderMap) -> Result<Link<'a>, Box<Response<Body>>> {
        let policy = (pages.policy)();
        let token = UnsubscribeToken::open(text, &pages.sealing_keys).map_err(|error| {
            tracing::info!(%error, "unsubscribe link refused");
            Box::new(no_link(pages, &policy, headers))
        })?;
        let languages = policy.controllers.get(&token.controller).map(|controller| controller.languages.clone());
        let locale = pages.site.locale(headers, &languages.unwrap_or_default());
        Ok(Link { pages, text, token, policy, locale })
    }

    fn controller(&self) -> Option<&Controller> {
        self.policy.controllers.get(&self.token.controller)
    }

    fn answer(&self, status: StatusCode, template: &str, context: minijinja::Value) -> Response<Body> {
        let controller = self.controller();
        let senders = controller.map(Sender::of).into_iter().collect();
        let view = View { locale: self.locale.clone(), controller, senders };
        self.pages.site.answer(status, template, &view, context)
    }

    fn sender(&self) -> &str {
        self.controller().map_or(&self.token.controller, |controller| &controller.name)
    }

    fn labels<'b>(&'b self, topics: &'b [String]) -> Vec<&'b str> {
        topics.iter().map(|path| topic_label(&self.policy, path, &self.locale)).collect()
    }

    async fn holder(&self) -> Result<Holder, StoreError> {
        objection::holder(&self.pages.store, &self.pages.hash_keys, &self.token, &self.policy).await
    }

    fn ask(&self, status: StatusCode, holder: &Holder) -> Response<Body> {
        let (sender, topics) = (self.sender(), self.labels(&self.token.topics));
        let again = holder.signed_up_again.map(|at| {
            let day = at.to_zoned(self.policy.time_zone.clone()).date().to_string();
            context! { day, second => at.as_second() }
        });
        self.answer(status, "ask.html", context! { sender, topics, again })
    }

    async fn carry_out(&self, wish: Wish) -> Response<Body> {
        match wish {
            Wish::OneClick(scope) => self.record(self.leaving(scope, Mechanism::OneClick), &Holder::default()).await,
            Wish::Page { ask, told_of } => {
                let holder = match self.holder().await {
                    Ok(holder) => holder,
                    Err(error) => return self.unavailable(Mechanism::LinkPage, &error),
                };
                let agreed = holder.signed_up_again.map(Timestamp::as_second);
                match ask {
                    // Who signed up again after this message may have forgotten that; who is told of it has not.
                    Ask::Leave(_) if agreed.is_some() && agreed != told_of => self.ask(StatusCode::OK, &holder),
                    Ask::Leave(scope) => self.record(self.leaving(scope, Mechanism::LinkPage), &holder).await,
                    Ask::NotMine => {
                        let objection = Objection::not_mine(self.token.clone(), (self.pages.clock)());
                        self.record(objection, &holder).await
                    }
                }
            }
        }
    }

    fn leaving(&self, scope: Scope, mechanism: Mechanism) -> Objection {
        let topics = match scope {
            Scope::Topic => self.token.topics.clone(),
            Scope::Everything => Vec::new(),
        };
        Objection::through(self.token.clone(), topics, mechanism, (self.pages.clock)())
    }

    async fn record(&self, objection: Objection, holder: &Holder) -> Response<Body> {
        let (mechanism, wrong_address) = (objection.mechanism, objection.wrong_address);
        let (controller, topics) = (self.token.controller.as_str(), objection.topics.clone());
        let at = objection.at;
        let recorded = match objection::record(&self.pages.store, &self.pages.hash_keys, objection).await {
            Ok(recorded) => recorded,
            Err(error) => return self.unavailable(mechanism, &error),
        };
        if let Recorded::Event { seq, address } = recorded
            && self.policy.knobs.unsubscribe_notice
            && !wrong_address
        {
            way_back::tell(self.pages, self.controller(), &self.locale, way_back::Used { seq, address, at });
        }
        let everything = topics.is_empty();
        tracing::info!(controller, mechanism = mechanism.as_str(), everything, wrong_address, "unsubscribed");
        // Who presses a button reads on; a mail program does not.
        let reads_on = mechanism == Mechanism::LinkPage && !wrong_address;
        let preferences = reads_on.then(|| format!("{}/p/{}", self.pages.site.base(), self.text));
        let (sender, topics, masked) = (self.sender(), self.labels(&topics), &holder.masked);
        self.answer(StatusCode::OK, "done.html", context! { sender, topics, masked, wrong_address, preferences })
    }

    fn unavailable(&self, mechanism: Mechanism, error: &StoreError) -> Response<Body> {
        let controller = self.token.controller.as_str();
        tracing::error!(controller, mechanism = mechanism.as_str(), %error, "unsubscribe not recorded");
        let mut answer = self.answer(StatusCode::SERVICE_UNAVAILABLE, "unavailable.html", context! {});
        answer.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        answer
    }
}
