//! `[inbox.…]`: the doors for mail to the gate itself.

use std::time::Duration;

use super::document::Item;
use super::listener_file::{read_clients, read_listen, read_security};
use super::settings::{InboxProtocol, InboxSettings};
use super::settings_file::Taken;
use super::values::Size;

pub(super) fn read_inbox(name: &str, item: &Item<'_>, taken: &mut Taken) -> Option<InboxSettings> {
    item.table(|table| {
        let listen = read_listen(table, &format!("inbox.{name}"), taken);
        let security = read_security(table);
        let clients = read_clients(table);
        let addresses = table.item("addresses").map_or(Some(Vec::new()), |item| item.read());
        let protocol = table.word("protocol", InboxProtocol::Smtp, &[]);
        let max_message_size = table.or("max_message_size", Size(25 << 20)).0;
        let max_connections = table.number("max_connections", 50, 1..=1_000_000);
        let command_timeout = table.or("command_timeout", Duration::from_secs(300));
        let data_timeout = table.or("data_timeout", Duration::from_secs(600));
        let keep_days = table.number("keep_days", 30, 1..=366);
        let (tls, certificate_file, key_file, require_tls) = security?;
        Some(InboxSettings {
            name: name.to_owned(),
            listen: listen?,
            protocol,
            clients: clients?,
            tls,
            certificate_file,
            key_file,
            require_tls,
            addresses: addresses?,
            max_message_size,
            max_connections,
            command_timeout,
            data_timeout,
            keep_days,
        })
    })
}
