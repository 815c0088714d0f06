//! The public pages, with what they need of the gate: its store, its policy, its way to send mail.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ring::error::Unspecified;
use tokio::time::timeout;

use crate::config::PublicWeb;
use crate::message::own::Letter;
use crate::policy::rules::Policy;
use crate::relay::gate::Gate;
use crate::relay::own_mail::{self, OwnMail, Sent};
use crate::smtp::address::EmailAddress;
use crate::web::{Post, Posting, PublicPages, Site, public_router};

/// How long a visitor waits for upstream. Who is slower than this usually takes the mail all the same.
const PATIENCE: Duration = Duration::from_secs(10);
/// How the journal calls the place this mail comes from.
const ORIGIN: &str = "web.public";

pub fn public(gate: &Arc<Gate>, web: &PublicWeb) -> Result<axum::Router, Unspecified> {
    let policy = gate.clone();
    public_router(PublicPages {
        store: gate.store.clone(),
        site: Arc::new(site(web, &gate.policy())),
        sealing_keys: gate.sealing.clone(),
        hash_keys: gate.hashing.clone(),
        policy: Arc::new(move || policy.policy()),
        clock: Arc::new(Timestamp::now),
        post: post(gate, web),
        base_url: web.base_url.clone(),
        trusted_proxies: web.trusted_proxies.clone(),
    })
}

/// Ours stands in for what is broken, since links in sent mail have to work; `check` would have said it.
fn site(web: &PublicWeb, policy: &Policy) -> Site {
    let site = Site::load(&web.base_url, web.templates.as_deref());
    for problem in site.check(policy) {
        tracing::error!("page: {problem}");
    }
    site
}

fn post(gate: &Arc<Gate>, web: &PublicWeb) -> Post {
    let (gate, web) = (gate.clone(), web.clone());
    Arc::new(move |letter| {
        // A task of its own: what was begun is finished, and journalled, also when the visitor goes away.
        let sending = tokio::spawn(send(gate.clone(), web.clone(), letter));
        Box::pin(async move {
            match timeout(PATIENCE, sending).await {
                Ok(Ok(posting)) => posting,
                Ok(Err(_)) => Posting::NotNow,
                Err(_) => Posting::OnItsWay,
            }
        })
    })
}

async fn send(gate: Arc<Gate>, web: PublicWeb, letter: Letter) -> Posting {
    let policy = gate.policy();
    let Some(from) = sender(&policy, &web, &gate.settings.hostname) else {
        tracing::error!("no address to send codes from; set web.public.mail_from");
        return Posting::NotNow;
    };
    let Some(upstream) = gate.upstreams.get(&web.mail_upstream).cloned() else {
        tracing::error!("no upstream to send codes by; set web.public.mail_upstream");
        return Posting::NotNow;
    };
    let mail = OwnMail { letter, from, from_name: name(&policy), kind: "rights_reply", origin: ORIGIN };
    match own_mail::send(&gate, upstream, mail).await {
        Ok(Sent::Taken | Sent::Refused | Sent::Unknown) => Posting::OnItsWay,
        Err(error) => {
            tracing::error!("a code for /u/me could not be sent: {error}");
            Posting::NotNow
        }
    }
}

fn sender(policy: &Policy, web: &PublicWeb, hostname: &str) -> Option<EmailAddress> {
    let contact = || policy.controllers.values().next().and_then(|first| EmailAddress::parse(&first.contact).ok());
    let postmaster = || EmailAddress::parse(&format!("postmaster@{hostname}")).ok();
    web.mail_from.clone().or_else(contact).or_else(postmaster)
}

/// Of several controllers none speaks for the others.
fn name(policy: &Policy) -> String {
    let mut names = policy.controllers.values().map(|controller| controller.name.clone());
    match (names.next(), names.next()) {
        (Some(only), None) => only,
        _ => String::new(),
    }
}
