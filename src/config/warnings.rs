//! What is allowed, but should be meant: told by `check` and when the gate starts.

use std::cmp::Ordering;

use jiff::{Span, SpanRelativeTo};

use super::pitfalls::pitfalls;
use super::settings::{Settings, TlsMode};
use super::values::is_loopback;
use crate::policy::rules::{BodyOptout, Condition, ExistingListHeaders, OnSigned, Policy};

/// Everything about these settings and this policy that an operator should know of, a sentence each.
pub fn warnings(settings: &Settings, policy: &Policy) -> Vec<String> {
    let mut told = pitfalls(policy);
    if policy.knobs.body_optout == BodyOptout::Append && settings.public_web.is_none() {
        told.push(
            "body_optout is append, but without [web.public] there is no link to add: such mail is withheld".into(),
        );
    }
    warn_of_unread_mail(settings, policy, &mut told);
    if policy.existing_list_headers == ExistingListHeaders::Chain && settings.chain.hosts.is_empty() {
        told.push(
            "existing_list_headers is chain, and chain.hosts names no mailer: nothing is passed on; name their hosts"
                .into(),
        );
    }
    warn_of_forms(settings, policy, &mut told);
    warn_of_unknown_listeners(settings, policy, &mut told);
    warn_of_signatures(settings, policy, &mut told);
    warn_of_clear_text(settings, &mut told);
    warn_of_open_doors(settings, &mut told);
    told
}

/// Mail to the unsubscribe address has to be read by somebody (RFC 2369 section 3.2).
fn warn_of_unread_mail(settings: &Settings, policy: &Policy, told: &mut Vec<String>) {
    for controller in policy.controllers.values().filter(|_| settings.inboxes.is_empty()) {
        if let Some(mailbox) = &controller.unsubscribe_mailto {
            told.push(format!(
                "controller {} offers {mailbox} to whoever wants to leave, and no inbox of this gate takes that mail: \
                 add an [inbox.…], or record what arrives there by hand",
                controller.id
            ));
        }
    }
    for inbox in settings.inboxes.values().filter(|inbox| inbox.addresses.is_empty()) {
        if policy.controllers.values().all(|controller| controller.unsubscribe_mailto.is_none()) {
            told.push(format!(
                "inbox {} takes no mail: set addresses, or unsubscribe_mailto of a controller",
                inbox.name
            ));
        }
    }
}

fn warn_of_forms(settings: &Settings, policy: &Policy, told: &mut Vec<String>) {
    for form in policy.forms.values() {
        let languages = policy.controllers.get(&form.controller).map_or(&[][..], |controller| &controller.languages);
        let missing: Vec<&str> =
            languages.iter().filter(|language| !form.text.contains_key(*language)).map(String::as_str).collect();
        if !form.text.is_empty() && !missing.is_empty() {
            told.push(format!(
                "form {} has no text in {}: people who read that see another language; write it",
                form.id,
                missing.join(", ")
            ));
        }
    }
    if !policy.forms.is_empty() && settings.public_web.is_none() {
        told.push("the policy has forms, but without [web.public] nobody sees them".into());
    }
    let knobs = &policy.knobs;
    let longer = |reminder: &Span| {
        let order = reminder.compare((knobs.doi_window, SpanRelativeTo::days_are_24_hours()));
        order.is_ok_and(|order| order != Ordering::Less)
    };
    if knobs.doi_reminder.as_ref().is_some_and(longer) {
        told.push("doi_reminder is not shorter than doi_window: nobody is ever reminded".into());
    }
}

fn warn_of_unknown_listeners(settings: &Settings, policy: &Policy, told: &mut Vec<String>) {
    for rule in &policy.rules {
        for name in listeners_of(&rule.condition) {
            if !settings.listeners.contains_key(name) {
                told.push(format!("rule {} asks for listener {name}, which the settings do not have", rule.id));
            }
        }
    }
}

fn listeners_of(condition: &Condition) -> Vec<&str> {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().flat_map(listeners_of).collect(),
        Condition::Not(inner) => listeners_of(inner),
        Condition::Listener(name) => vec![name],
        _ => Vec::new(),
    }
}

fn warn_of_signatures(settings: &Settings, policy: &Policy, told: &mut Vec<String>) {
    let all_sign = settings.upstreams.values().all(|upstream| upstream.signs);
    let none_signs = settings.upstreams.values().all(|upstream| !upstream.signs);
    if all_sign {
        let idle = settings.dkim.keys().map(|domain| {
            format!(
                "dkim.{domain:?} signs nothing: every upstream signs itself (upstream_signs); leave one of them out"
            )
        });
        told.extend(idle);
    }
    if policy.on_signed == Some(OnSigned::Resign) && settings.dkim.is_empty() && none_signs {
        told.push("on_signed is resign, but nothing signs: signed mail is left as it is; add [dkim.…]".into());
    }
    if settings.dkim.is_empty() || all_sign {
        return;
    }
    let domains = policy.controllers.values().flat_map(|one| one.domains.iter().map(move |domain| (&one.id, domain)));
    for (controller, domain) in domains.filter(|(_, domain)| settings.dkim_of(domain).is_none()) {
        told.push(format!(
            "controller {controller} writes from {domain}, which no DKIM key signs for: mail programs show no one-click button there"
        ));
    }
}

fn warn_of_clear_text(settings: &Settings, told: &mut Vec<String>) {
    for upstream in settings.upstreams.values() {
        let beyond = upstream.address.iter().any(|(host, _)| !is_loopback(host));
        if upstream.tls == TlsMode::Off && beyond {
            told.push(format!("upstream {} is insecure: mail and credentials travel in clear", upstream.name));
        }
    }
}

fn warn_of_open_doors(settings: &Settings, told: &mut Vec<String>) {
    for listener in settings.listeners.values() {
        if listener.clients.iter().any(|network| network.prefix_len() == 0) {
            told.push(format!(
                "listener {} takes mail from everybody: it relays for whoever reaches it",
                listener.name
            ));
        }
        let beyond = listener.clients.iter().any(|network| !network.network().is_loopback());
        if listener.auth_without_tls && beyond {
            told.push(format!("listener {} takes passwords in clear from beyond this machine", listener.name));
        }
        if listener.trust_headers && beyond {
            told.push(format!(
                "listener {} believes what clients beyond this machine say of their mail",
                listener.name
            ));
        }
    }
    if let Some(web) = &settings.admin_web
        && !web.listen.ip().is_loopback()
    {
        told.push(format!("web.admin listens on {}: keep it from the outside world", web.listen));
    }
}
