//! `[web.public]` and `[web.admin]`: the pages.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};

use super::document::{Item, Table};
use super::settings::{AdminWeb, ListenerSettings, PublicWeb, UpstreamSettings};
use super::settings_file::{Taken, take_address};
use super::values::{FilePath, HostPort, Name, is_host, is_loopback};

/// Leaves room for a token behind it on the one line that List-Unsubscribe is (R54).
const LONGEST_BASE_URL: usize = 300;

/// The outer `None` says that the section is missing, the inner one that it is wrong.
pub(super) fn read_web(
    table: &mut Table<'_>,
    upstreams: &[&str],
    taken: &mut Taken,
) -> (Option<Option<PublicWeb>>, Option<AdminWeb>) {
    let public = table.item("public").map(|item| item.table(|table| read_public(table, upstreams, taken)));
    let admin = table.item("admin").and_then(|item| {
        item.table(|table| {
            let Some(item) = table.item("listen") else {
                return table.refuse("`listen` is missing; write listen = \"127.0.0.1:8025\"");
            };
            Some(AdminWeb { listen: take_address(&item, "web.admin", taken)? })
        })
    });
    (public, admin)
}

fn read_public(table: &mut Table<'_>, upstreams: &[&str], taken: &mut Taken) -> Option<PublicWeb> {
    let listen = match table.item("listen") {
        Some(item) => take_address(&item, "web.public", taken),
        None => table.refuse("`listen` is missing; write listen = \"127.0.0.1:8080\""),
    };
    let base_url = match table.item("base_url") {
        Some(item) => read_base_url(&item),
        None => table.refuse("`base_url` is missing; write the https address that mail readers reach this by"),
    };
    let mail_upstream = match table.item("mail_upstream") {
        Some(item) => item.one_of("upstream", upstreams.iter().copied())?,
        None => String::new(), // settled once the listeners are known
    };
    let loopback = || {
        let ipv4 = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
        vec![IpNet::from(ipv4), IpNet::from(IpAddr::from(Ipv6Addr::LOCALHOST))]
    };
    Some(PublicWeb {
        trusted_proxies: table.get("trusted_proxies").unwrap_or_else(loopback),
        mail_from: table.get("mail_from"),
        mail_upstream,
        check_every: table.or("check_every", Duration::from_secs(300)),
        check_via: table.get("check_via").map(|HostPort(host, port)| (host, port)),
        check_ca_file: table.item("check_ca_file").and_then(|item| item.readable_file()),
        templates: table.get("templates").map(|FilePath(path)| path),
        listen: listen?,
        base_url: base_url?,
    })
}

impl PublicWeb {
    /// Mail of our own leaves where the first listener's does, unless it was said where.
    pub(super) fn with_default_upstream(
        mut self,
        upstreams: &BTreeMap<String, UpstreamSettings>,
        listeners: &BTreeMap<String, ListenerSettings>,
    ) -> PublicWeb {
        if self.mail_upstream.is_empty() {
            let of_listener = listeners.values().map(|listener| &listener.upstream).next();
            let first = of_listener.or_else(|| upstreams.keys().next());
            self.mail_upstream = first.cloned().unwrap_or_default();
        }
        self
    }
}

/// Links in mail have to be https (RFC 8058), save on loopback, where a demo runs.
fn read_base_url(item: &Item<'_>) -> Option<String> {
    let Name(url) = item.read()?;
    let cure = "write something like \"https://preferences.example.fr\"";
    let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| matches!(*scheme, "https" | "http")) else {
        return item.refuse(&format!("{url:?} is no https address; {cure}"));
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => authority,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:[]%".contains(&byte);
    if !(is_host(host) || is_loopback(host) || host.contains(':')) || !rest.bytes().all(plain) {
        return item.refuse(&format!("{url:?} is no plain address; {cure}, without user, query or fragment"));
    }
    if scheme == "http" && !is_loopback(host) {
        return item.refuse(&format!("links in mail have to be https beyond loopback; write \"https://{rest}\""));
    }
    if url.len() > LONGEST_BASE_URL {
        return item.refuse(&format!(
            "is too long for a link that fits a line of mail; write {LONGEST_BASE_URL} characters at most"
        ));
    }
    Some(url.trim_end_matches('/').to_owned())
}
