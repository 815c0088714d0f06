//! `[upstream.…]`: the next hops.

use std::time::Duration;

use super::document::{Item, Table};
use super::settings::{Login, TlsMode, UpstreamSettings};
use super::values::{HostPort, Name, is_loopback};

pub(super) fn read_upstream(name: &str, item: &Item<'_>) -> Option<UpstreamSettings> {
    item.table(|table| {
        let address = read_addresses(table);
        let tls_item = table.item("tls");
        let tls = tls_item.as_ref().map_or(Some(TlsMode::Starttls), |item| item.word(&[]));
        let insecure = table.or("insecure", false);
        let has_ca = table.has("ca_file");
        let ca_file = table.item("ca_file").map_or(Some(None), |item| item.readable_file().map(Some));
        let login = read_login(table);
        let signs = table.or("upstream_signs", false);

        // Section 2.M; the last one is a client's ten minutes less a margin, because giving up earlier doubles mail (R95).
        let connect_timeout = seconds(table, "connect_timeout", 10);
        let greeting_timeout = seconds(table, "greeting_timeout", 60);
        let ehlo_timeout = seconds(table, "ehlo_timeout", 60);
        let mail_timeout = seconds(table, "mail_timeout", 240);
        let data_timeout = seconds(table, "data_timeout", 120);
        let write_timeout = seconds(table, "write_timeout", 180);
        let final_timeout = seconds(table, "final_timeout", 570);

        if let (Some(TlsMode::Off), Some(item)) = (tls, tls_item) {
            refuse_in_clear(&item, address.as_deref().unwrap_or_default(), insecure, &login);
            if has_ca {
                item.refuse::<()>("\"off\" has no use for ca_file; leave one of them out");
            }
        }
        Some(UpstreamSettings {
            name: name.to_owned(),
            address: address?,
            tls: tls?,
            ca_file: ca_file?,
            login: login?,
            signs,
            insecure,
            connect_timeout,
            greeting_timeout,
            ehlo_timeout,
            mail_timeout,
            data_timeout,
            write_timeout,
            final_timeout,
        })
    })
}

/// R83, R85: clear text only to this machine, or where somebody wrote that it is meant.
fn refuse_in_clear(item: &Item<'_>, address: &[(String, u16)], insecure: bool, login: &Option<Option<Login>>) {
    let Some((host, _)) = address.iter().find(|(host, _)| !is_loopback(host)).filter(|_| !insecure) else { return };
    let what = if matches!(login, Some(Some(_))) { "mail and password" } else { "mail" };
    let cure = "write \"starttls\" or \"implicit\", or insecure = true if that is meant";
    item.refuse::<()>(&format!("{what} would go to {host} in clear; {cure}"));
}

pub(super) fn seconds(table: &mut Table<'_>, key: &'static str, default: u64) -> Duration {
    table.or(key, Duration::from_secs(default))
}

fn read_addresses(table: &mut Table<'_>) -> Option<Vec<(String, u16)>> {
    let Some(item) = table.item("address") else {
        return table.refuse("`address` is missing; write address = [\"smtp.example.net:587\"]");
    };
    let addresses: Vec<HostPort> = item.read()?;
    if addresses.is_empty() {
        return item.refuse("is empty; write [\"smtp.example.net:587\"]");
    }
    Some(addresses.into_iter().map(|HostPort(host, port)| (host, port)).collect())
}

/// The outer `None` says that what is set is wrong.
fn read_login(table: &mut Table<'_>) -> Option<Option<Login>> {
    let (username, password_file) = (table.item("username"), table.item("password_file"));
    match (username, password_file) {
        (None, None) => Some(None),
        (Some(item), None) => item.refuse_key("has no password; add password_file = \"…\", or leave both out"),
        (None, Some(item)) => item.refuse_key("has no user; add username = \"…\", or leave both out"),
        (Some(username), Some(password_file)) => {
            let username = username.read::<Name>();
            let (_, password) = password_file.secret()?;
            if password.is_empty() {
                return password_file.refuse("the file is empty; put the password on its first line");
            }
            Some(Some(Login { username: username?.0, password }))
        }
    }
}
