//! How the gate runs, as checked values; everyone else receives these.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::consent::ledger::checkpoint::SigningKeys;
use crate::consent::token::{HashKeys, SealingKeys};
use crate::message::dkim::SigningKey;
use crate::policy::rules::{Class, Pin};
use crate::policy::word::{Word, words};
use crate::smtp::address::EmailAddress;
pub use crate::smtp::data::BareNewline;

impl Word for BareNewline {
    const WORDS: &'static [(&'static str, Self)] =
        &[("normalise", BareNewline::Normalise), ("reject", BareNewline::Reject)];
}

words! {
    /// When a service row is durable: with the next group commit, or before the client hears the reply.
    pub enum JournalService { After = "after", Before = "before" }
}
words! {
    /// How a leg is encrypted.
    pub enum TlsMode { Off = "off", Starttls = "starttls", Implicit = "implicit" }
}
words! {
    /// What becomes of a header section no standard allows.
    pub enum MalformedHeader { Tolerant = "tolerant", Reject = "reject" }
}
words! {
    /// What becomes of a client that speaks before it was greeted.
    pub enum EarlyTalk { Reject = "reject", Allow = "allow" }
}
words! {
    /// Which messages a retry must not repeat.
    pub enum Ledger { Fanout = "fanout", All = "all" }
}
words! {
    /// How the log is written.
    pub enum LogFormat { Text = "text", Json = "json" }
}

/// The settings file, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    pub policy_path: PathBuf,
    /// What the gate calls itself: greeting, Received, EHLO upstream.
    pub hostname: String,
    pub control: Option<PathBuf>,
    /// The SQLite file.
    pub store: PathBuf,
    pub store_timeout: Duration,
    /// Seal unsubscribe links.
    pub token_keys: SealingKeys,
    /// Key the suppression hashes.
    pub hash_keys: HashKeys,
    pub token_key_file: PathBuf,
    pub ledger_key_file: PathBuf,
    /// Sign checkpoints of the ledger.
    pub signing_keys: Option<SigningKeys>,
    pub signing_key_file: Option<PathBuf>,
    pub ledger: LedgerSettings,
    pub journal_service: JournalService,
    pub spool: SpoolSettings,
    pub upstreams: BTreeMap<String, UpstreamSettings>,
    pub listeners: BTreeMap<String, ListenerSettings>,
    pub credentials: BTreeMap<String, CredentialSettings>,
    pub inboxes: BTreeMap<String, InboxSettings>,
    /// Who signs what leaves, by domain.
    pub dkim: BTreeMap<String, DkimDomain>,
    pub chain: ChainSettings,
    pub public_web: Option<PublicWeb>,
    pub admin_web: Option<AdminWeb>,
    pub log: LogSettings,
    /// How long running sessions may finish after SIGTERM.
    pub drain_timeout: Duration,
}

impl Settings {
    /// The name that checkpoints of this gate's ledger carry.
    pub fn ledger_origin(&self) -> String {
        format!("consentry/{}", self.hostname)
    }
}

/// Checkpoints of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerSettings {
    /// How often one is signed while the gate runs; `None`: only by hand.
    pub every: Option<Duration>,
    pub to: Option<CheckpointTo>,
}

/// Where checkpoints go, to be kept out of reach of whoever can change the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointTo {
    Directory(PathBuf),
    /// A program and its arguments; the checkpoint is its standard input.
    Command(Vec<String>),
}

/// Where message bytes wait (R97).
#[derive(Clone, Debug)]
pub struct SpoolSettings {
    /// Where the unlinked temporary files are made; `None` is the system's place for them.
    pub directory: Option<PathBuf>,
    /// What of one message stays in memory.
    pub memory: usize,
    /// What all messages together may take; over it 452.
    pub max_total: u64,
}

/// The keys of one domain; each of them signs.
#[derive(Clone, Debug)]
pub struct DkimDomain {
    /// `d=`, as domains are compared.
    pub domain: String,
    /// Whether they sign for authors below the domain too.
    pub subdomains: bool,
    pub keys: Vec<DkimKey>,
}

/// One key that signs.
#[derive(Clone, Debug)]
pub struct DkimKey {
    /// `s=`.
    pub selector: String,
    pub file: PathBuf,
    pub key: Arc<SigningKey>,
}

/// One next hop.
#[derive(Clone, Debug)]
pub struct UpstreamSettings {
    pub name: String,
    /// Host and port, tried in order.
    pub address: Vec<(String, u16)>,
    pub tls: TlsMode,
    pub ca_file: Option<PathBuf>,
    pub login: Option<Login>,
    /// It signs with DKIM itself, so we do not.
    pub signs: bool,
    /// Clear text, and credentials over it, also beyond loopback.
    pub insecure: bool,
    pub connect_timeout: Duration,
    pub greeting_timeout: Duration,
    pub ehlo_timeout: Duration,
    pub mail_timeout: Duration,
    pub data_timeout: Duration,
    pub write_timeout: Duration,
    pub final_timeout: Duration,
}

/// How the gate authenticates itself upstream.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub username: String,
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

/// One door for clients, with the limits of R21, R58 and section 2.M.
#[derive(Clone, Debug)]
pub struct ListenerSettings {
    pub name: String,
    pub listen: Vec<SocketAddr>,
    pub upstream: String,
    pub tls: TlsMode,
    pub certificate_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub require_tls: bool,
    pub auth_without_tls: bool,
    /// Who may connect.
    pub clients: Vec<IpNet>,
    /// The ceiling.
    pub may_send: Vec<Class>,
    /// Whether X-Consentry-* fields are believed.
    pub trust_headers: bool,
    pub pin: Option<Pin>,
    pub bare_newline: BareNewline,
    pub malformed_header: MalformedHeader,
    pub early_talk: EarlyTalk,
    pub ledger: Ledger,
    pub max_message_size: u64,
    pub max_connections: usize,
    pub max_connections_per_client: usize,
    pub max_recipients: usize,
    pub max_copies: usize,
    pub max_command_line: usize,
    pub max_header_size: usize,
    pub max_field_size: usize,
    pub max_fields: usize,
    pub max_line_length: usize,
    pub max_errors: usize,
    pub max_idle_commands: usize,
    pub command_timeout: Duration,
    pub data_timeout: Duration,
    /// Bytes per second on average, below which an upload ends.
    pub min_data_rate: u64,
    pub upload_timeout: Duration,
    pub reply_timeout: Duration,
    pub tls_timeout: Duration,
    pub fanout_budget: Duration,
}

/// Where an unsubscribe may be passed on to, with `existing_list_headers = "chain"`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainSettings {
    /// Hosts of mailers, in lower case; `*.mailer.example` is every name below.
    pub hosts: Vec<String>,
    /// Addresses that may be connected to though they are not of the public internet.
    pub networks: Vec<IpNet>,
    /// Who may have signed their certificates, instead of the system's roots.
    pub ca_file: Option<PathBuf>,
    /// After so many days without an answer it is given up.
    pub give_up_days: u16,
}

impl ChainSettings {
    pub fn allows(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.hosts.iter().any(|known| match known.strip_prefix("*.") {
            Some(parent) => host.strip_suffix(parent).is_some_and(|below| below.len() > 1 && below.ends_with('.')),
            None => *known == host,
        })
    }
}

words! {
    /// How mail to the gate comes in.
    pub enum InboxProtocol { Smtp = "smtp", Lmtp = "lmtp" }
}

/// One door for mail to the gate itself: requests to leave, bounces, complaints.
#[derive(Clone, Debug)]
pub struct InboxSettings {
    pub name: String,
    pub listen: Vec<SocketAddr>,
    pub protocol: InboxProtocol,
    /// Who may connect.
    pub clients: Vec<IpNet>,
    pub tls: TlsMode,
    pub certificate_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub require_tls: bool,
    /// What takes reports, beside every controller's `unsubscribe_mailto`.
    pub addresses: Vec<EmailAddress>,
    pub max_message_size: u64,
    pub max_connections: usize,
    pub command_timeout: Duration,
    /// For a whole message.
    pub data_timeout: Duration,
    /// How long what a person has to look at waits for one.
    pub keep_days: u16,
}

/// What one AUTH user may do below its listener's ceiling; what is not set is as the listener has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialSettings {
    pub may_send: Option<Vec<Class>>,
    pub trust_headers: Option<bool>,
}

/// Unsubscribe pages: the outside world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicWeb {
    pub listen: SocketAddr,
    /// Without a slash at its end.
    pub base_url: String,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Who writes the mail that these pages send; without it the first controller's contact.
    pub mail_from: Option<EmailAddress>,
    /// By which upstream it leaves.
    pub mail_upstream: String,
    /// How often the gate looks whether `base_url` leads to it.
    pub check_every: Duration,
    /// Where to connect for that, when the name does not lead there from here.
    pub check_via: Option<(String, u16)>,
    /// Who may have signed its certificate, instead of the system's roots.
    pub check_ca_file: Option<PathBuf>,
    /// A directory of templates, a style and languages that go before those that come with the program.
    pub templates: Option<PathBuf>,
}

/// Health: never the outside world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminWeb {
    pub listen: SocketAddr,
}

/// Where a decision is told while it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    pub format: LogFormat,
    /// Whether addresses may stand in the log.
    pub addresses: bool,
}
