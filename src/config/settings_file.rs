//! The settings file as it is written, and what makes it contradict itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::dkim_file::read_dkim;
use super::document::{Document, Item, Outside, Table};
use super::error::ConfigErrors;
use super::inbox_file::read_inbox;
use super::listener_file::read_listener;
use super::settings::*;
use super::upstream_file::read_upstream;
use super::values::{FilePath, Name, Size, is_host};
use super::web_file::read_web;
use crate::consent::ledger::checkpoint::SigningKeys;
use crate::consent::token::{HashKeys, KeyError, SealingKeys, parse_keys};
use crate::policy::rules::{Class, Policy};
use crate::smtp::auth::same_user;

/// Addresses that something already listens on, and what.
pub(super) type Taken = BTreeMap<SocketAddr, String>;

/// Reads the settings. With a `policy`, the names of it that they use are checked too.
pub fn parse_settings(
    file: &str,
    text: &str,
    outside: &dyn Outside,
    policy: Option<&Policy>,
) -> Result<Settings, ConfigErrors> {
    match Document::read(file, text, Some(outside), |root| read_root(root, outside, policy)) {
        (Some(settings), errors) if errors.is_empty() => Ok(settings),
        (_, errors) => Err(errors),
    }
}

/// Where the settings say the policy is, whatever else is wrong with them.
pub fn policy_path(file: &str, text: &str, outside: &dyn Outside) -> PathBuf {
    let read = Document::read(file, text, Some(outside), |root| root.get::<FilePath>("policy"));
    read.0.map_or_else(|| outside.resolve("policy.toml"), |FilePath(path)| path)
}

fn read_root(root: &mut Table<'_>, outside: &dyn Outside, policy: Option<&Policy>) -> Option<Settings> {
    let policy_path = root.or("policy", FilePath(outside.resolve("policy.toml"))).0;
    let hostname = read_hostname(root, outside);
    let control = root.get("control").map(|FilePath(path)| path);
    let drain_timeout = root.or("drain_timeout", Duration::from_secs(30));
    let store = root.section("store", read_store);
    let store_timeout = store.1;
    let keys = root.section("keys", read_keys);
    let signs = keys.as_ref().is_none_or(|keys| keys.signing.is_some());
    let ledger = root.section("ledger", |table| read_ledger(table, signs));
    let journal_service = root.section("journal", |table| table.word("service", JournalService::After, &[]));
    let spool = root.section("spool", read_spool);
    let log = root.section("log", read_log);
    let chain = root.section("chain", read_chain);

    let upstreams: BTreeMap<_, _> = root
        .named("upstream")
        .into_iter()
        .filter_map(|(name, item)| Some((name.into(), read_upstream(name, &item)?)))
        .collect();
    let upstream_names = root.names("upstream");
    let credentials = read_credentials(root);
    let dkim = read_dkim(root);

    let mut taken = Taken::new();
    let (public_web, admin_web) = root.section("web", |table| read_web(table, &upstream_names, &mut taken));
    let doors = root.named("listener");
    if doors.is_empty() {
        root.refuse::<()>("nobody could connect; add a [listener.submission] with `listen` and `upstream`");
    }
    let mut listeners = BTreeMap::new();
    for (name, item) in doors {
        let listener = read_listener(name, &item, &upstream_names, policy, &mut taken);
        refuse_without_a_way_out(&item, listener.as_ref(), public_web.is_some());
        listeners.extend(listener.map(|listener| (name.to_owned(), listener)));
    }

    let mut inboxes = BTreeMap::new();
    for (name, item) in root.named("inbox") {
        let inbox = read_inbox(name, &item, &mut taken);
        inboxes.extend(inbox.map(|inbox| (name.to_owned(), inbox)));
    }

    let public_web = public_web.flatten().map(|web| web.with_default_upstream(&upstreams, &listeners));
    let keys = keys?;
    Some(Settings {
        policy_path,
        hostname: hostname?,
        control,
        store: store.0?,
        store_timeout,
        token_keys: keys.token,
        hash_keys: keys.ledger,
        token_key_file: keys.token_file,
        ledger_key_file: keys.ledger_file,
        signing_keys: keys.signing,
        signing_key_file: keys.signing_file,
        ledger,
        journal_service,
        spool,
        upstreams,
        listeners,
        inboxes,
        chain,
        credentials,
        dkim,
        public_web,
        admin_web,
        log,
        drain_timeout,
    })
}

fn read_hostname(root: &mut Table<'_>, outside: &dyn Outside) -> Option<String> {
    let Some(item) = root.item("hostname") else {
        let machine = outside.hostname();
        return Some(if is_host(&machine) { machine } else { "localhost".to_owned() });
    };
    let name = item.read::<String>()?;
    if is_host(&name) {
        Some(name)
    } else {
        item.refuse(&format!("{name:?} is no host name; write \"gate.example.net\""))
    }
}

fn read_store(table: &mut Table<'_>) -> (Option<PathBuf>, Duration) {
    let timeout = table.or("timeout", Duration::from_secs(2));
    let Some(item) = table.item("url") else {
        return (table.refuse("`url` is missing; write url = \"sqlite:/var/lib/consentry/consentry.db\""), timeout);
    };
    (read_store_url(&item), timeout)
}

fn read_store_url(item: &Item<'_>) -> Option<PathBuf> {
    let Name(url) = item.read()?;
    let cure = "\"sqlite:/var/lib/consentry/consentry.db\"";
    match url.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => Some(item.outside()?.resolve(path)),
        Some(("postgres" | "postgresql", _)) => item.refuse_later("a store on PostgreSQL", cure),
        _ => item.refuse(&format!("{url:?} is no store; write {cure}")),
    }
}

struct Keys {
    token: SealingKeys,
    token_file: PathBuf,
    ledger: HashKeys,
    ledger_file: PathBuf,
    signing: Option<SigningKeys>,
    signing_file: Option<PathBuf>,
}

fn read_keys(table: &mut Table<'_>) -> Option<Keys> {
    let token = read_key(table, "token_key_file", "token.key", SealingKeys::new);
    let ledger = read_key(table, "ledger_key_file", "ledger.key", HashKeys::new);
    let signing = match table.item("signing_key_file") {
        Some(item) => Some(read_key_file(&item, SigningKeys::new)?),
        None => None,
    };
    let ((token_file, token), (ledger_file, ledger)) = (token?, ledger?);
    let (signing_file, signing) = signing.unzip();
    let own = |file: &PathBuf| signing_file.as_ref() != Some(file);
    if token_file == ledger_file || !own(&token_file) || !own(&ledger_file) {
        return table.refuse("both keys are read from one file; give each its own, so that one can be changed alone");
    }
    Some(Keys { token, token_file, ledger, ledger_file, signing, signing_file })
}

fn read_key<K>(
    table: &mut Table<'_>,
    key: &'static str,
    example: &str,
    make: impl Fn(Vec<[u8; 32]>) -> Result<K, KeyError>,
) -> Option<(PathBuf, K)> {
    let Some(item) = table.item(key) else {
        return table
            .refuse(&format!("`{key}` is missing; write {key} = \"{example}\" (`consentry init` makes the keys)"));
    };
    read_key_file(&item, make)
}

fn read_key_file<K>(item: &Item<'_>, make: impl Fn(Vec<[u8; 32]>) -> Result<K, KeyError>) -> Option<(PathBuf, K)> {
    let (path, text) = item.secret()?;
    match parse_keys(&text).and_then(make) {
        Ok(keys) => Some((path, keys)),
        Err(error) => item.refuse(&error.to_string()),
    }
}

/// A checkpoint that is signed on a timer has to go somewhere, and be signed.
fn read_ledger(table: &mut Table<'_>, signs: bool) -> LedgerSettings {
    let every = table.get("checkpoint_every");
    let directory = table.get("checkpoint_directory").map(|FilePath(path)| path);
    let command = table.item("checkpoint_command").and_then(|item| match item.read::<Vec<String>>()? {
        command if command.is_empty() => item.refuse("names no program; write [\"/usr/local/bin/keep-checkpoint\"]"),
        command => Some(command),
    });
    if directory.is_some() && command.is_some() {
        table.refuse::<()>("checkpoints go to checkpoint_directory or to checkpoint_command; leave one of them out");
    }
    let to = command.map(CheckpointTo::Command).or(directory.map(CheckpointTo::Directory));
    if every.is_some() && to.is_none() {
        table.refuse::<()>("nothing says where checkpoints go; add checkpoint_directory or checkpoint_command");
    }
    if every.is_some() && !signs {
        table.refuse::<()>(
            "nothing signs the checkpoints; add signing_key_file = \"signing.key\" to [keys], with a key as \
             `openssl rand -base64 32` prints it",
        );
    }
    LedgerSettings { every, to }
}

fn read_spool(table: &mut Table<'_>) -> SpoolSettings {
    SpoolSettings {
        directory: table.get("directory").map(|FilePath(path)| path),
        memory: usize::try_from(table.or("memory", Size(256 << 10)).0).unwrap_or(usize::MAX),
        max_total: table.or("max_total", Size(1 << 30)).0,
    }
}

/// Whom an unsubscribe is passed on to.
fn read_chain(table: &mut Table<'_>) -> ChainSettings {
    let hosts = table.item("hosts").and_then(|item| {
        item.each(|element| {
            let Name(host) = element.read()?;
            let name = host.strip_prefix("*.").unwrap_or(&host);
            if is_host(name) || name.parse::<std::net::IpAddr>().is_ok() {
                Some(host.to_ascii_lowercase())
            } else {
                element.refuse(&format!("{host:?} is no host; write \"links.mailer.example\" or \"*.mailer.example\""))
            }
        })
    });
    ChainSettings {
        hosts: hosts.unwrap_or_default(),
        networks: table.get("networks").unwrap_or_default(),
        ca_file: table.item("ca_file").and_then(|item| item.readable_file()),
        give_up_days: table.number("give_up_days", 3, 1..=30),
    }
}

fn read_log(table: &mut Table<'_>) -> LogSettings {
    LogSettings { format: table.word("format", LogFormat::Text, &[]), addresses: table.or("addresses", false) }
}

fn read_credentials(root: &mut Table<'_>) -> BTreeMap<String, CredentialSettings> {
    let mut credentials: BTreeMap<String, CredentialSettings> = BTreeMap::new();
    for (name, item) in root.named("credential") {
        if name.is_empty() {
            item.refuse_key::<()>("is nobody; write the name that the user logs in with");
        }
        if let Some(other) = credentials.keys().find(|other| same_user(other, name)) {
            item.refuse_key::<()>(&format!("{other:?} is the same user, whatever the case; leave one of them"));
        }
        credentials.insert(name.to_owned(), read_credential(&item).unwrap_or_default());
    }
    credentials
}

fn read_credential(item: &Item<'_>) -> Option<CredentialSettings> {
    item.table(|table| {
        let may_send = table.item("may_send").and_then(|item| read_ceiling(&item));
        Some(CredentialSettings { may_send, trust_headers: table.get("trust_headers") })
    })
}

/// The classes somebody may send.
pub(super) fn read_ceiling(item: &Item<'_>) -> Option<Vec<Class>> {
    let mut classes: Vec<Class> = item.each(|element| element.word(&[]))?;
    if classes.is_empty() {
        return item.refuse("is empty, so nothing could be sent; write [\"service\"], [\"promotional\"] or both");
    }
    classes.sort();
    classes.dedup();
    Some(classes)
}

/// An address to listen on, unless something else does already. Port 0 is any free one.
pub(super) fn take_address(item: &Item<'_>, owner: &str, taken: &mut Taken) -> Option<SocketAddr> {
    let address: SocketAddr = item.read()?;
    if address.port() != 0
        && let Some(other) = taken.insert(address, owner.to_owned())
    {
        return item.refuse(&format!("{other} listens on {address} already; write another port"));
    }
    Some(address)
}

/// Promotional mail carries a link of ours (RFC 8058), so somebody has to answer it.
fn refuse_without_a_way_out(item: &Item<'_>, listener: Option<&ListenerSettings>, has_pages: bool) {
    let promotes = listener.is_some_and(|listener| listener.may_send.contains(&Class::Promotional));
    if promotes && !has_pages {
        item.refuse_key::<()>(
            "promotional mail may be sent here, but nothing would answer its unsubscribe links; add [web.public] with \
             `listen` and `base_url`, or write may_send = [\"service\"]",
        );
    }
}
