//! `[listener.…]`: the doors for clients.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::{IpNet, Ipv4Net};

use super::document::{Item, Sole, Table};
use super::settings::*;
use super::settings_file::{Taken, read_ceiling, take_address};
use super::upstream_file::seconds;
use super::values::{Name, Size};
use crate::policy::rules::{Class, Pin, Policy};

pub(super) fn read_listener(
    name: &str,
    item: &Item<'_>,
    upstreams: &[&str],
    policy: Option<&Policy>,
    taken: &mut Taken,
) -> Option<ListenerSettings> {
    item.table(|table| {
        let listen = read_listen(table, &format!("listener.{name}"), taken);
        let upstream = match table.item("upstream") {
            Some(item) => item.one_of("upstream", upstreams.iter().copied()),
            None => table.refuse("`upstream` is missing; write the name of an [upstream.…] table"),
        };
        let security = read_security(table);
        let may_send = match table.item("may_send") {
            Some(item) => read_ceiling(&item),
            None => Some(vec![Class::Service, Class::Promotional]),
        };
        let pin = read_pin(table, may_send.as_deref(), policy);
        let clients = read_clients(table);
        refuse_later_features(table);
        let limits = read_limits(table);
        let (tls, certificate_file, key_file, require_tls) = security?;
        Some(ListenerSettings {
            name: name.to_owned(),
            listen: listen?,
            upstream: upstream?,
            tls,
            certificate_file,
            key_file,
            require_tls,
            clients: clients?,
            may_send: may_send?,
            pin: pin?,
            ..limits
        })
    })
}

pub(super) fn read_listen(table: &mut Table<'_>, owner: &str, taken: &mut Taken) -> Option<Vec<SocketAddr>> {
    let Some(item) = table.item("listen") else {
        return table.refuse("`listen` is missing; write listen = [\"127.0.0.1:2525\"]");
    };
    let addresses = item.each(|element| take_address(element, owner, taken))?;
    if addresses.is_empty() {
        return item.refuse("is empty; write [\"127.0.0.1:2525\"]");
    }
    Some(addresses)
}

pub(super) type Security = (TlsMode, Option<PathBuf>, Option<PathBuf>, bool);

pub(super) fn read_security(table: &mut Table<'_>) -> Option<Security> {
    let mode_item = table.item("tls");
    let mode = mode_item.as_ref().map_or(Some(TlsMode::Off), |item| item.word(&[]));
    let certificate_item = table.item("certificate_file");
    let key_item = table.item("key_file");
    let require_item = table.item("require_tls");
    let certificate = certificate_item.as_ref().map(Item::readable_file);
    let key = key_item.as_ref().map(|item| item.secret().map(|(path, _)| path));
    let require = require_item.as_ref().and_then(|item| item.read()).unwrap_or(false);
    match (mode?, &mode_item) {
        (TlsMode::Off, _) => {
            let idle = [certificate_item, key_item, require_item.filter(|_| require)];
            if let Some(item) = idle.into_iter().flatten().next() {
                return item.refuse_key(
                    "has no effect with tls = \"off\"; write tls = \"starttls\" or \"implicit\", or leave it out",
                );
            }
        }
        (mode, Some(item)) if certificate.is_none() || key.is_none() => {
            return item
                .refuse(&format!("{mode} needs a certificate; add certificate_file = \"…\" and key_file = \"…\""));
        }
        _ => {}
    }
    let (certificate, key) =
        (certificate.map_or(Some(None), |path| path.map(Some)), key.map_or(Some(None), |path| path.map(Some)));
    Some((mode?, certificate?, key?, require))
}

pub(super) fn read_clients(table: &mut Table<'_>) -> Option<Vec<IpNet>> {
    let Some(item) = table.item("clients") else {
        let loopback = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
        return Some(vec![loopback.into(), IpAddr::from(Ipv6Addr::LOCALHOST).into()]);
    };
    let clients: Vec<IpNet> = item.read()?;
    if clients.is_empty() {
        return item.refuse("is empty, so nobody could connect; write [\"127.0.0.0/8\", \"::1\"] or leave it out");
    }
    Some(clients)
}

/// The outer `None` says that what is set is wrong.
fn read_pin(table: &mut Table<'_>, may_send: Option<&[Class]>, policy: Option<&Policy>) -> Option<Option<Pin>> {
    let (class_item, controller_item, topics_item) =
        (table.item("class"), table.item("controller"), table.item("topics"));
    let Some(class_item) = class_item else {
        return match controller_item.or(topics_item) {
            Some(item) => item.refuse_key("pins nothing without a class; add class = \"promotional\", or leave it out"),
            None => Some(None),
        };
    };
    let class: Option<Class> = class_item.word(&[]);
    if let (Some(class), Some(ceiling)) = (class, may_send)
        && !ceiling.contains(&class)
    {
        return class_item
            .refuse(&format!("{class} is pinned, but may_send does not allow it; add \"{class}\" to may_send"));
    }
    let controller = controller_item.map(|item| match policy {
        Some(policy) => item.one_of("controller of the policy", policy.controllers.keys().map(String::as_str)),
        None => item.read::<Name>().map(|Name(name)| name),
    });
    let topics =
        topics_item.map(|item| read_pinned_topics(&item, controller.as_ref().and_then(Option::as_deref), policy));
    Some(Some(Pin {
        class: class?,
        controller: controller.map_or(Some(None), |name| name.map(Some))?,
        topics: topics.unwrap_or(Some(Vec::new()))?,
    }))
}

fn read_pinned_topics(item: &Item<'_>, controller: Option<&str>, policy: Option<&Policy>) -> Option<Vec<String>> {
    let Some(policy) = policy else { return item.read() };
    item.each(|element| {
        let name = element.one_of("topic of the policy", policy.topics.keys().map(String::as_str))?;
        match (controller, policy.topics.get(&name)) {
            (Some(controller), Some(topic)) if topic.controller != controller => {
                element.refuse(&format!("{name} is a topic of {}; write a topic of {controller}", topic.controller))
            }
            _ => Some(name),
        }
    })
}

fn refuse_later_features(table: &mut Table<'_>) {
    table.only("protocol", Sole::Text("smtp"), "another protocol than SMTP");
    table.only("proxy_protocol", Sole::Flag(false), "the PROXY protocol");
    if let Some(item) = table.item("trusted_proxies") {
        item.refuse_key::<()>(
            "the PROXY protocol comes with a later release and this one would not carry it out; leave it out",
        );
    }
}

/// Everything of a listener that needs no other key to be judged.
fn read_limits(table: &mut Table<'_>) -> ListenerSettings {
    const MANY: u64 = 1_000_000;
    let max_recipients = table.number("max_recipients", 1000, 100..=MANY);
    let max_header_size = bytes(table, "max_header_size", 256 << 10);
    ListenerSettings {
        name: String::new(),
        listen: Vec::new(),
        upstream: String::new(),
        tls: TlsMode::Off,
        certificate_file: None,
        key_file: None,
        require_tls: false,
        clients: Vec::new(),
        may_send: Vec::new(),
        pin: None,
        auth_without_tls: table.or("auth_without_tls", false),
        trust_headers: table.or("trust_headers", false),
        bare_newline: table.word("bare_newline", BareNewline::Normalise, &[]),
        malformed_header: table.word("malformed_header", MalformedHeader::Tolerant, &[]),
        early_talk: table.word("early_talk", EarlyTalk::Reject, &[]),
        ledger: table.word("ledger", Ledger::Fanout, &[]),
        max_message_size: table.or("max_message_size", Size(50 << 20)).0,
        max_connections: table.number("max_connections", 2000, 1..=MANY),
        max_connections_per_client: table.number("max_connections_per_client", 100, 1..=MANY),
        max_recipients,
        max_copies: table.number("max_copies", max_recipients, 1..=MANY),
        max_command_line: table.number("max_command_line", 2048, 512..=65_536),
        max_header_size,
        max_field_size: bytes(table, "max_field_size", (64 << 10).min(max_header_size)),
        max_fields: table.number("max_fields", 1000, 10..=MANY),
        max_line_length: bytes(table, "max_line_length", 64 << 10),
        max_errors: table.number("max_errors", 20, 1..=MANY),
        max_idle_commands: table.number("max_idle_commands", 100, 1..=MANY),
        command_timeout: seconds(table, "command_timeout", 300),
        data_timeout: seconds(table, "data_timeout", 180),
        min_data_rate: table.number("min_data_rate", 500, 0..=u64::MAX),
        upload_timeout: seconds(table, "upload_timeout", 3600),
        reply_timeout: seconds(table, "reply_timeout", 60),
        tls_timeout: seconds(table, "tls_timeout", 30),
        fanout_budget: seconds(table, "fanout_budget", 40),
    }
}

/// A size that is held in memory.
fn bytes(table: &mut Table<'_>, key: &'static str, default: usize) -> usize {
    table.get(key).map_or(default, |Size(size)| usize::try_from(size).unwrap_or(usize::MAX))
}
