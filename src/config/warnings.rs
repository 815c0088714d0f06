//! What is allowed, but should be meant: told by `check` and when the gate starts.

use super::settings::{Settings, TlsMode};
use super::values::is_loopback;
use crate::policy::rules::{Class, Condition, Mode, Policy};

/// Everything about these settings and this policy that an operator should know of, a sentence each.
pub fn warnings(settings: &Settings, policy: &Policy) -> Vec<String> {
    let mut told = Vec::new();
    warn_of_policy(policy, &mut told);
    warn_of_unknown_listeners(settings, policy, &mut told);
    warn_of_clear_text(settings, &mut told);
    warn_of_open_doors(settings, &mut told);
    told
}

fn warn_of_policy(policy: &Policy, told: &mut Vec<String>) {
    if policy.mode == Mode::Monitor {
        told.push(
            "mode is monitor: everything is forwarded, and what would have been withheld is only recorded".into(),
        );
    }
    if policy.unknown_class == Class::Service {
        told.push("unknown_class is service: advertising that no rule knows reaches everybody".into());
    }
    if policy.class_conflict == Class::Service {
        told.push("class_conflict is service: advertising whose marks contradict each other reaches everybody".into());
    }
    if policy.controllers.is_empty() {
        told.push("the policy has no controller: all promotional mail is withheld".into());
    }
    for controller in policy.controllers.values() {
        if !policy.topics.values().any(|topic| topic.controller == controller.id) {
            told.push(format!("controller {} has no topic: nobody can consent to anything it sends", controller.id));
        }
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
