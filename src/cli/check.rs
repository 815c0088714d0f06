//! `consentry check`: load settings and policy, print what would be enforced, fail on doubt.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::process::ExitCode;

use jiff::Span;
use jiff::fmt::friendly::{Designator, Spacing, SpanPrinter};
use serde_json::{Value, json};

use super::{CliError, Globals};
use crate::config::{self, DkimDomain, DkimKey, InboxSettings, ListenerSettings, Settings, UpstreamSettings};
use crate::policy::rules::Policy;
use crate::smtp::address::EmailAddress;
use crate::web::Site;

/// Load settings and policy and print what would be enforced
///
/// Everything that is wrong is told with its place and the cure; then the exit status is 2. Every public page is
/// made once in every language, with your templates and words over ours.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let (settings, policy) = config::load(&globals.config)?;
    let mut warnings = config::warnings(&settings, &policy);
    if let Some(web) = &settings.public_web {
        let site = Site::load(&web.base_url, web.templates.as_deref());
        let problems = site.check(&policy);
        if !problems.is_empty() {
            return Err(CliError::Pages(problems));
        }
        warnings.extend(site.gaps());
    }
    if globals.json {
        globals.print_json(&as_json(&settings, &policy, &warnings))?;
    } else {
        globals.print(&as_text(&settings, &policy, &warnings, globals.coloured()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn as_text(settings: &Settings, policy: &Policy, warnings: &[String], coloured: bool) -> String {
    let mut rows: Vec<(&str, &str, String)> = Vec::new();
    rows.push(("mode", policy.mode.as_str(), format!("policy {}", short_hash(policy))));
    rows.push(("hostname", &settings.hostname, format!("store {}", settings.store.display())));
    rows.extend(
        settings.listeners.values().map(|listener| ("listener", listener.name.as_str(), told_listener(listener))),
    );
    rows.extend(
        settings.upstreams.values().map(|upstream| ("upstream", upstream.name.as_str(), told_upstream(upstream))),
    );
    rows.extend(settings.inboxes.values().map(|inbox| ("inbox", inbox.name.as_str(), told_inbox(inbox, policy))));
    rows.extend(settings.dkim.values().map(|domain| ("dkim", domain.domain.as_str(), told_keys(domain))));
    if let Some(web) = &settings.public_web {
        rows.push(("web", "public", format!("{} as {}", web.listen, web.base_url)));
    }
    if let Some(web) = &settings.admin_web {
        rows.push(("web", "admin", web.listen.to_string()));
    }
    rows.extend(policy.controllers.values().map(|controller| {
        (
            "controller",
            controller.id.as_str(),
            format!("{}, sends from {}", controller.name, controller.domains.join(", ")),
        )
    }));
    rows.extend(policy.topics.values().map(|topic| {
        let own = if topic.own_consent { ", own consent" } else { "" };
        let often = topic.frequency.map_or_else(String::new, |rate| format!(", {rate} at most"));
        let list_id = policy.list_id_of(topic);
        (
            "topic",
            topic.path.as_str(),
            format!("{}, of {}, List-Id {list_id}{own}{often}", policy.label_of(topic), topic.controller),
        )
    }));
    rows.extend(rules_by_source(policy).into_iter().map(|(source, count)| ("rules", source, count.to_string())));
    let knobs = knobs(policy);
    rows.extend(knobs.iter().map(|(name, value)| ("knob", *name, value.clone())));

    let width = |column: fn(&(&str, &str, String)) -> usize| rows.iter().map(column).max().unwrap_or(0);
    let (first, second) = (width(|row| row.0.chars().count()), width(|row| row.1.chars().count()));
    let mut text = String::new();
    for (kind, name, told) in &rows {
        _ = writeln!(text, "{kind:first$}  {name:second$}  {told}");
    }
    let (bold, plain) = if coloured { ("\x1b[1;33m", "\x1b[0m") } else { ("", "") };
    for warning in warnings {
        _ = writeln!(text, "{bold}warning{plain}: {warning}");
    }
    text
}

fn short_hash(policy: &Policy) -> String {
    policy.hash.chars().take("sha256:".len() + 12).collect()
}

fn told_listener(listener: &ListenerSettings) -> String {
    let pin = listener.pin.as_ref().map_or(String::new(), |pin| {
        let of = pin.controller.iter().map(|controller| format!(" of {controller}"));
        let about = (!pin.topics.is_empty()).then(|| format!(" about {}", list(&pin.topics)));
        format!(", pinned to {}{}", pin.class, of.chain(about).collect::<String>())
    });
    let trust = if listener.trust_headers { ", X-Consentry-* believed" } else { "" };
    format!(
        "{} to {}, tls {}, clients {}, may send {}{pin}{trust}",
        list(&listener.listen),
        listener.upstream,
        listener.tls,
        list(&listener.clients),
        list(&listener.may_send),
    )
}

fn told_inbox(inbox: &InboxSettings, policy: &Policy) -> String {
    let mailboxes = policy.controllers.values().filter_map(|controller| controller.unsubscribe_mailto.as_deref());
    let addresses: Vec<&str> = mailboxes.chain(inbox.addresses.iter().map(EmailAddress::as_str)).collect();
    format!(
        "{} by {}, tls {}, clients {}, takes mail to {}",
        list(&inbox.listen),
        inbox.protocol,
        inbox.tls,
        list(&inbox.clients),
        list(&addresses),
    )
}

fn told_upstream(upstream: &UpstreamSettings) -> String {
    let addresses: Vec<_> = upstream.address.iter().map(|(host, port)| told_address(host, *port)).collect();
    let login = if upstream.login.is_some() { ", with a login of ours" } else { ", client's AUTH passed through" };
    let signs = if upstream.signs { ", signs with DKIM" } else { "" };
    format!("{}, tls {}{login}{signs}", list(&addresses), upstream.tls)
}

fn told_keys(domain: &DkimDomain) -> String {
    let told = |key: &DkimKey| format!("{} ({}, {} bits)", key.selector, key.key.algorithm(), key.key.bits());
    let below = if domain.subdomains { ", for subdomains too" } else { "" };
    format!("selector {}{below}", list(&domain.keys.iter().map(told).collect::<Vec<_>>()))
}

fn told_address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn list(items: &[impl Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// In the order they are asked.
fn rules_by_source(policy: &Policy) -> Vec<(&str, usize)> {
    let count = |name: &str| policy.rules.iter().filter(|rule| rule.source == name).count();
    policy.sources.iter().map(|source| (source.name.as_str(), count(&source.name))).collect()
}

/// "7 days", as it is written in the file.
fn told_span(span: &Span) -> String {
    let printer = SpanPrinter::new().spacing(Spacing::BetweenUnitsAndDesignators).designator(Designator::Verbose);
    printer.span_to_string(span)
}

fn told_retention(span: Option<&Span>) -> String {
    span.map_or_else(|| "unlimited".to_owned(), told_span)
}

fn knobs(policy: &Policy) -> Vec<(&'static str, String)> {
    let knobs = &policy.knobs;
    vec![
        ("unknown_class", policy.unknown_class.to_string()),
        ("class_conflict", policy.class_conflict.to_string()),
        ("service_without_store", policy.service_without_store.to_string()),
        ("mixed_recipients", policy.mixed_recipients.to_string()),
        ("notify_sender", policy.notify_sender.to_string()),
        ("refusal", policy.refusal.to_string()),
        ("existing_list_headers", policy.existing_list_headers.to_string()),
        (
            "on_signed",
            policy.on_signed.map_or_else(|| "resign with a DKIM key, else leave".to_owned(), |word| word.to_string()),
        ),
        ("time_zone", policy.time_zone.iana_name().unwrap_or("UTC").to_owned()),
        ("retention_years", knobs.retention_years.to_string()),
        ("expiry_margin_days", knobs.expiry_margin_days.to_string()),
        ("doi_sources", list(&knobs.doi_sources)),
        ("doi_window", told_span(&knobs.doi_window)),
        ("doi_reminder", knobs.doi_reminder.as_ref().map_or_else(|| "off".to_owned(), told_span)),
        ("objection_subaddress", knobs.objection_subaddress.to_string()),
        ("objection_provider_alias", knobs.objection_provider_alias.to_string()),
        ("complaint_scope", knobs.complaint_scope.to_string()),
        ("unsubscribe_scope", knobs.unsubscribe_scope.to_string()),
        ("unsubscribe_notice", knobs.unsubscribe_notice.to_string()),
        ("review_request_class", knobs.review_request_class.to_string()),
        ("mixed_action", knobs.mixed_action.to_string()),
        ("b2b_mode", knobs.b2b_mode.to_string()),
        ("generic_mode", knobs.generic_mode.to_string()),
        ("free_account_counts_as_sale", knobs.free_account_counts_as_sale.to_string()),
        ("non_commercial", knobs.non_commercial.to_string()),
        ("frequency", policy.frequency.map_or_else(|| "none".to_owned(), |rate| rate.to_string())),
        ("freq_action", knobs.freq_action.to_string()),
        ("body_optout", knobs.body_optout.to_string()),
        ("human_click", knobs.human_click.to_string()),
        ("cart_requires_same_family", knobs.cart_requires_same_family.to_string()),
        ("quote_counts_as_sale", knobs.quote_counts_as_sale.to_string()),
        ("refunded_counts", knobs.refunded_counts.to_string()),
        ("endpoint_grace", told_span(&knobs.endpoint_grace)),
        ("evidence_retention", told_retention(knobs.evidence_retention.as_ref())),
        ("suppression_retention", told_retention(knobs.suppression_retention.as_ref())),
        ("retention_notice", told_span(&knobs.retention_notice)),
        ("journal_retention", told_retention(policy.journal_retention.as_ref())),
    ]
}

fn as_json(settings: &Settings, policy: &Policy, warnings: &[String]) -> Value {
    let listener = |listener: &ListenerSettings| {
        json!({
            "name": listener.name, "listen": listener.listen, "upstream": listener.upstream, "tls": listener.tls,
            "clients": listener.clients, "may_send": listener.may_send, "trust_headers": listener.trust_headers,
            "pin": listener.pin,
        })
    };
    let upstream = |upstream: &UpstreamSettings| {
        let address: Vec<_> = upstream.address.iter().map(|(host, port)| told_address(host, *port)).collect();
        json!({"name": upstream.name, "address": address, "tls": upstream.tls, "login": upstream.login.is_some(), "upstream_signs": upstream.signs})
    };
    let dkim = |domain: &DkimDomain| {
        let key = |key: &DkimKey| json!({"selector": key.selector, "type": key.key.algorithm().key_type(), "bits": key.key.bits()});
        json!({"domain": domain.domain, "subdomains": domain.subdomains, "keys": domain.keys.iter().map(key).collect::<Vec<_>>()})
    };
    let topics = policy.topics.values().map(|topic| {
        json!({
            "path": topic.path, "controller": topic.controller, "label": topic.label, "list_id": policy.list_id_of(topic),
            "own_consent": topic.own_consent, "aliases": topic.aliases, "families": topic.families, "frequency": topic.frequency.map(|rate| rate.to_string()),
        })
    });
    let controllers = policy.controllers.values();
    json!({
        "policy": policy.hash,
        "mode": policy.mode,
        "hostname": settings.hostname,
        "store": settings.store.display().to_string(),
        "listeners": settings.listeners.values().map(listener).collect::<Vec<_>>(),
        "inboxes": settings.inboxes.values().map(|inbox| json!({
            "name": inbox.name, "listen": inbox.listen, "protocol": inbox.protocol, "tls": inbox.tls,
            "clients": inbox.clients, "addresses": inbox.addresses,
        })).collect::<Vec<_>>(),
        "upstreams": settings.upstreams.values().map(upstream).collect::<Vec<_>>(),
        "dkim": settings.dkim.values().map(dkim).collect::<Vec<_>>(),
        "web": {
            "public": settings.public_web.as_ref().map(|web| json!({"listen": web.listen, "base_url": web.base_url})),
            "admin": settings.admin_web.as_ref().map(|web| json!({"listen": web.listen})),
        },
        "controllers": controllers.map(|c| json!({"id": c.id, "name": c.name, "domains": c.domains})).collect::<Vec<_>>(),
        "topics": topics.collect::<Vec<_>>(),
        "rules": rules_by_source(policy).into_iter().collect::<BTreeMap<_, _>>(),
        "knobs": knobs(policy).into_iter().collect::<BTreeMap<_, _>>(),
        "warnings": warnings,
    })
}
