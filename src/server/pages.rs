//! The public pages, with what they need of the gate: its store, its policy, its way to send mail.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ring::error::Unspecified;
use tokio::time::timeout;

use crate::config::PublicWeb;
use crate::policy::rules::{Controller, Policy};
use crate::relay::gate::Gate;
use crate::relay::own_mail::{self, NotSent, OwnMail, Sent};
use crate::smtp::address::EmailAddress;
use crate::web::{Mailing, Post, Posting, PublicPages, Questions, Site, public_router};

/// How long a visitor waits for upstream. Who is slower than this usually takes the mail all the same.
const PATIENCE: Duration = Duration::from_secs(10);
/// How the journal calls the place this mail comes from.
const ORIGIN: &str = "web.public";

pub fn public(gate: &Arc<Gate>, web: &PublicWeb, site: Arc<Site>) -> Result<axum::Router, Unspecified> {
    let policy = gate.clone();
    public_router(PublicPages {
        store: gate.store.clone(),
        site,
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
pub fn site(web: &PublicWeb, policy: &Policy) -> Arc<Site> {
    let site = Site::load(&web.base_url, web.templates.as_deref());
    for problem in site.check(policy) {
        tracing::error!("page: {problem}");
    }
    Arc::new(site)
}

/// What it takes to ask somebody by mail.
pub fn questions(gate: &Gate, web: &PublicWeb, site: Arc<Site>) -> Questions {
    let (sealing_keys, hash_keys) = (gate.sealing.clone(), gate.hashing.clone());
    Questions { site, sealing_keys, hash_keys, base_url: web.base_url.clone() }
}

fn post(gate: &Arc<Gate>, web: &PublicWeb) -> Post {
    let (gate, web) = (gate.clone(), web.clone());
    Arc::new(move |mailing| {
        // A task of its own: what was begun is finished, and journalled, also when the visitor goes away.
        let sending = tokio::spawn(send(gate.clone(), web.clone(), mailing));
        Box::pin(async move {
            match timeout(PATIENCE, sending).await {
                Ok(Ok(posting)) => posting,
                Ok(Err(_)) => Posting::NotNow,
                Err(_) => Posting::OnItsWay,
            }
        })
    })
}

/// Hands a message of ours to upstream, in the name of its controller.
pub async fn send(gate: Arc<Gate>, web: PublicWeb, mailing: Mailing) -> Posting {
    let Mailing { letter, kind, controller } = mailing;
    let policy = gate.policy();
    let owner = controller.as_ref().and_then(|id| policy.controllers.get(id));
    let Some(from) = sender(&policy, owner, &web, &gate.settings.hostname) else {
        tracing::error!(kind, "no address to send our own mail from; set web.public.mail_from");
        return Posting::NotNow;
    };
    let Some(upstream) = gate.upstreams.get(&web.mail_upstream).cloned() else {
        tracing::error!(kind, "no upstream to send our own mail by; set web.public.mail_upstream");
        return Posting::NotNow;
    };
    let from_name = owner.map_or_else(|| name(&policy), |owner| owner.name.clone());
    let mail = OwnMail { letter, from, from_name, kind, controller, origin: ORIGIN };
    match own_mail::send(&gate, upstream, mail).await {
        Ok(Sent::Taken | Sent::Refused | Sent::Unknown) => Posting::OnItsWay,
        Err(NotSent::Withheld) => {
            tracing::warn!(kind, "a message of our own is withheld by the policy, see the journal");
            Posting::Withheld
        }
        Err(error) => {
            tracing::error!(kind, "a message of our own could not be sent: {error}");
            Posting::NotNow
        }
    }
}

/// What goes in a controller's name comes from an address of its own: `mail_from` where that is one, else its contact.
fn sender(policy: &Policy, owner: Option<&Controller>, web: &PublicWeb, hostname: &str) -> Option<EmailAddress> {
    let contact_of = |controller: &Controller| EmailAddress::parse(&controller.contact).ok();
    if let Some(owner) = owner {
        let is_its = |from: &&EmailAddress| owner.domains.contains(&from.domain_key());
        return web.mail_from.as_ref().filter(is_its).cloned().or_else(|| contact_of(owner));
    }
    let contact = || policy.controllers.values().next().and_then(contact_of);
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
