//! The gate as a running whole: threads, sockets, pages, reload, orderly end.

mod asking;
pub mod checkpoints;
pub mod control;
mod hand_on;
mod http;
mod inbox;
mod link_watch;
mod pages;
pub mod sockets;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::runtime::Builder;
use tokio::task::{JoinSet, LocalSet};

use crate::config::{ConfigErrors, PublicWeb, Settings, load_policy};
use crate::consent::token::{HashKeys, KeyError, SealingKeys, parse_keys};
use crate::inbox::Inbox;
use crate::policy::rules::Policy;
use crate::relay::drain::{Drain, DrainSwitch};
use crate::relay::gate::{Door, Gate, Worker};
use crate::relay::listener;
use crate::relay::tls::TlsError;
use crate::store::{Store, StoreError};
use crate::web::{Questions, Readiness, ReadinessReport, admin_router};
use sockets::{Sockets, WEB_ADMIN, WEB_PUBLIC};

/// How long sessions that were told to give up may take to do so.
const LAST_CALL: Duration = Duration::from_secs(2);
/// How often rows past their retention are looked for.
const KEEP_HOUSE_EVERY: Duration = Duration::from_secs(3600);
/// How long an upstream is left alone after it could not be asked what it offers.
const PROBE_AGAIN: Duration = Duration::from_secs(15);

/// Why the gate does not start. Each says what to mend.
#[derive(Debug)]
pub enum StartError {
    Key { file: String, error: KeyError },
    KeyFile { file: String, error: std::io::Error },
    Store(StoreError),
    Tls(TlsError),
    Listen { name: String, address: SocketAddr, error: std::io::Error },
    Thread(std::io::Error),
    Random,
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StartError::Key { file, error } => write!(f, "{file}: {error}"),
            StartError::KeyFile { file, error } => write!(f, "{file}: {error}"),
            StartError::Store(error) => write!(f, "{error}"),
            StartError::Tls(error) => write!(f, "{error}"),
            StartError::Listen { name, address, error } => {
                write!(f, "listener {name}: {address} cannot be listened on: {error}; is another program using it?")
            }
            StartError::Thread(error) => write!(f, "a thread cannot be started: {error}"),
            StartError::Random => f.write_str("the system gives no random bytes; is /dev/urandom there?"),
        }
    }
}

impl std::error::Error for StartError {}

/// A running gate. Dropping it without [`Server::stop`] leaves its threads to the process.
pub struct Server {
    gate: Arc<Gate>,
    switch: DrainSwitch,
    threads: Vec<JoinHandle<()>>,
    /// Where it listens: name and address, SMTP and web.
    pub addresses: Vec<(String, SocketAddr)>,
}

impl Server {
    /// Opens everything and starts serving. No greeting is given before settings,
    /// certificates and store are there (R1); upstream need not be reachable.
    pub fn start(settings: Settings, policy: Policy, mut sockets: Sockets) -> Result<Server, StartError> {
        let sealing = read_keys(&settings.token_key_file, SealingKeys::new)?;
        let hashing = read_keys(&settings.ledger_key_file, HashKeys::new)?;
        let store = Store::open(&settings.store, hashing.clone()).map_err(StartError::Store)?;
        keep(&store, &policy).map_err(StartError::Store)?;
        for warning in forgotten_topics(&store, &policy) {
            tracing::warn!("{warning}");
        }
        let gate = Arc::new(Gate::new(settings, policy, store, sealing, hashing).map_err(StartError::Tls)?);
        link_watch::remember(&gate);
        let (switch, drain) = DrainSwitch::new();
        let mut server = Server { gate, switch, threads: Vec::new(), addresses: Vec::new() };
        server.start_web(&mut sockets, &drain)?;
        server.start_inboxes(&mut sockets, &drain)?;
        server.start_workers(&mut sockets, &drain)?;
        Ok(server)
    }

    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// One thread for each core, each with its own socket on every address.
    fn start_workers(&mut self, sockets: &mut Sockets, drain: &Drain) -> Result<(), StartError> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut shares: Vec<Vec<(Arc<Door>, TcpListener)>> = (0..threads).map(|_| Vec::new()).collect();
        for (name, door) in &self.gate.doors {
            for group in sockets.of_listener(name, &door.settings.listen, threads)? {
                let address = group.address;
                self.addresses.push((name.clone(), address));
                for (share, socket) in shares.iter_mut().zip(group.sockets) {
                    share.push((door.clone(), socket));
                }
            }
        }
        for share in shares {
            let worker = Worker::new(self.gate.clone()).map_err(StartError::Store)?;
            let drain = drain.clone();
            self.spawn("worker", move || run_worker(worker, share, drain))?;
        }
        Ok(())
    }

    fn start_web(&mut self, sockets: &mut Sockets, drain: &Drain) -> Result<(), StartError> {
        let settings = &self.gate.settings;
        let site = settings.public_web.as_ref().map(|web| (web, pages::site(web, &self.gate.policy())));
        let questions = site.clone().map(|(web, site)| (web.clone(), pages::questions(&self.gate, web, site)));
        let public = site.map(|(web, site)| {
            let router = pages::public(&self.gate, web, site).map_err(|_| StartError::Random)?;
            Ok((WEB_PUBLIC, web.listen, router))
        });
        let public = public.transpose()?;
        let admin = settings.admin_web.as_ref().map(|web| (WEB_ADMIN, web.listen, admin_router(self.readiness())));
        let mut served = Vec::new();
        for (name, address, router) in public.into_iter().chain(admin) {
            let socket = sockets.of_web(name, address)?;
            let bound = socket.local_addr().unwrap_or(address);
            self.addresses.push((name.to_string(), bound));
            served.push((socket, router));
        }
        let (gate, drain) = (self.gate.clone(), drain.clone());
        self.spawn("web", move || run_web(&gate, served, questions, &drain))
    }

    /// One thread for all of them: this is little mail.
    fn start_inboxes(&mut self, sockets: &mut Sockets, drain: &Drain) -> Result<(), StartError> {
        let mut opened = Vec::new();
        for settings in self.gate.settings.inboxes.values() {
            let inbox = Inbox::open(&self.gate, settings).map_err(StartError::Tls)?;
            let name = format!("inbox.{}", settings.name);
            let groups = sockets.of_listener(&name, &settings.listen, 1)?;
            self.addresses.extend(groups.iter().map(|group| (name.clone(), group.address)));
            opened.push((inbox, groups.into_iter().flat_map(|group| group.sockets).collect()));
        }
        if opened.is_empty() {
            return Ok(());
        }
        let drain = drain.clone();
        self.spawn("inbox", move || inbox::run(opened, &drain))
    }

    /// What stands in the way of taking mail.
    fn readiness(&self) -> Readiness {
        let gate = self.gate.clone();
        Arc::new(move || {
            let mut problems: Vec<String> = gate
                .upstreams
                .values()
                .filter(|upstream| upstream.capabilities().is_none())
                .map(|upstream| format!("upstream {} has not been reached yet", upstream.name()))
                .collect();
            if let Err(error) = gate.store.reader() {
                problems.push(error.to_string());
            }
            ReadinessReport { problems, warnings: link_watch::warning(&gate).into_iter().collect() }
        })
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), StartError> {
        let thread = std::thread::Builder::new().name(name.into()).spawn(work).map_err(StartError::Thread)?;
        self.threads.push(thread);
        Ok(())
    }

    /// Loads, checks and swaps the policy; what is wrong with it leaves everything as it was.
    pub fn reload(&self) -> Result<Reloaded, ReloadError> {
        reload(&self.gate)
    }

    /// Drains: no new sessions, running ones finish within the time set, and who waits for upstream's answer to a
    /// message it has in full waits on (R11).
    pub fn stop(self) {
        let settings = &self.gate.settings;
        self.switch.drain();
        wait_for(&self.threads, settings.drain_timeout, || false);
        self.switch.end();
        wait_for(&self.threads, LAST_CALL, || self.gate.upstreams.values().any(|upstream| upstream.owes_an_answer()));
        self.gate.store.clone().shutdown();
    }
}

/// Until all have ended, or patience is over; it does not begin to run out while there is a reason to stay.
fn wait_for(threads: &[JoinHandle<()>], patience: Duration, must_stay: impl Fn() -> bool) {
    let mut give_up = Instant::now() + patience;
    while threads.iter().any(|thread| !thread.is_finished()) && Instant::now() < give_up {
        if must_stay() {
            give_up = Instant::now() + patience;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Why a policy was not taken over.
#[derive(Debug)]
pub enum ReloadError {
    Config(ConfigErrors),
    /// The settings name what the policy does not have.
    Pins(Vec<String>),
    Store(StoreError),
}

impl std::fmt::Display for ReloadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ReloadError::Config(errors) => write!(f, "{errors}"),
            ReloadError::Pins(missing) => write!(f, "{}", missing.join("\n")),
            ReloadError::Store(error) => write!(f, "{error}"),
        }
    }
}

/// A policy that has come into force, and what its operator should know about it.
pub struct Reloaded {
    pub policy: Arc<Policy>,
    pub warnings: Vec<String>,
}

/// Loads the policy again. It is kept in the store before it decides anything.
pub fn reload(gate: &Gate) -> Result<Reloaded, ReloadError> {
    let policy = load_policy(&gate.settings.policy_path).map_err(ReloadError::Config)?;
    let missing = missing_pins(gate, &policy);
    if !missing.is_empty() {
        return Err(ReloadError::Pins(missing));
    }
    keep(&gate.store, &policy).map_err(ReloadError::Store)?;
    let warnings = forgotten_topics(&gate.store, &policy);
    gate.replace_policy(policy);
    let policy = gate.policy();
    tracing::info!(policy = policy.hash, rules = policy.rules.len(), mode = policy.mode.as_str(), "policy in force");
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    Ok(Reloaded { policy, warnings })
}

/// What the settings pin a listener to and the new policy no longer has.
fn missing_pins(gate: &Gate, policy: &Policy) -> Vec<String> {
    let pinned = gate.settings.listeners.values().filter_map(|listener| Some((&listener.name, listener.pin.as_ref()?)));
    let mut missing = Vec::new();
    for (listener, pin) in pinned {
        let controller = pin.controller.iter().filter(|id| !policy.controllers.contains_key(*id));
        missing.extend(
            controller.map(|id| format!("listener {listener} pins the controller {id}, which the policy lacks")),
        );
        let topics = pin.topics.iter().filter(|topic| policy.topic(topic).is_none());
        missing
            .extend(topics.map(|topic| format!("listener {listener} pins the topic {topic}, which the policy lacks")));
    }
    missing
}

/// Topics that stored consent names and the policy does not: such consent permits nothing.
fn forgotten_topics(store: &Store, policy: &Policy) -> Vec<String> {
    let named = store.reader().and_then(|mut reader| reader.topics_named()).unwrap_or_default();
    let forgotten = named.into_iter().filter(|(_, topic)| policy.topic(topic).is_none());
    forgotten
        .map(|(controller, topic)| {
            format!(
                "stored consent given to {controller} names the topic {topic}, which the policy does not know: \
                 if it was renamed, add {topic:?} to the aliases of its new name"
            )
        })
        .collect()
}

fn keep(store: &Store, policy: &Policy) -> Result<(), StoreError> {
    let runtime = Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|error| StoreError::Unreadable(error.to_string()))?;
    runtime.block_on(store.keep_policy(policy, Timestamp::now()))
}

fn read_keys<K>(file: &Path, make: fn(Vec<[u8; 32]>) -> Result<K, KeyError>) -> Result<K, StartError> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| StartError::KeyFile { file: name.clone(), error })?;
    parse_keys(&text).and_then(make).map_err(|error| StartError::Key { file: name, error })
}

/// One single-threaded runtime with the sessions of its sockets.
fn run_worker(worker: Worker, sockets: Vec<(Arc<Door>, TcpListener)>, drain: Drain) {
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
        tracing::error!("a worker thread has no runtime");
        return;
    };
    LocalSet::new().block_on(&runtime, async move {
        let worker = Rc::new(worker);
        let mut doors = JoinSet::new();
        for (door, socket) in sockets {
            match tokio::net::TcpListener::from_std(socket) {
                Ok(listener) => _ = doors.spawn_local(listener::run(worker.clone(), door, listener, drain.clone())),
                Err(error) => tracing::error!(listener = door.settings.name, "a socket cannot be served: {error}"),
            }
        }
        while doors.join_next().await.is_some() {}
    });
}

/// The pages, and the questions to upstreams that no session has asked yet.
fn run_web(
    gate: &Arc<Gate>,
    served: Vec<(TcpListener, axum::Router)>,
    questions: Option<(PublicWeb, Questions)>,
    drain: &Drain,
) {
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
        tracing::error!("the web thread has no runtime");
        return;
    };
    runtime.block_on(async {
        let mut pages = JoinSet::new();
        for (socket, router) in served {
            let mut drain = drain.clone();
            match tokio::net::TcpListener::from_std(socket) {
                Ok(listener) => {
                    _ = pages.spawn(async move {
                        crate::web::serve(listener, router, async move { drain.draining().await }).await;
                    });
                }
                Err(error) => tracing::error!("a web socket cannot be served: {error}"),
            }
        }
        let mut leaving = drain.clone();
        tokio::select! {
            _ = async { tokio::join!(probe_upstreams(gate), keep_house(gate), link_watch::watch(gate), checkpoints::keep(gate), hand_on::run(gate), asking::keep(gate, questions)) } => {}
            () = leaving.draining() => {}
        }
        while pages.join_next().await.is_some() {}
    });
}

/// Drops journal rows that are older than the policy in force keeps them.
async fn keep_house(gate: &Gate) {
    loop {
        let policy = gate.policy();
        if let Some(kept) = policy.journal_retention {
            let now = Timestamp::now().to_zoned(policy.time_zone.clone());
            if let Ok(horizon) = now.checked_sub(kept) {
                purge_journal(&gate.store, horizon.timestamp()).await;
            }
        }
        inbox::purge(gate).await;
        tokio::time::sleep(KEEP_HOUSE_EVERY).await;
    }
}

/// In slices, each a group commit, so that mail never waits for it.
async fn purge_journal(store: &Store, horizon: Timestamp) {
    loop {
        match store.purge_journal(horizon).await {
            Ok(0) => return,
            Ok(rows) => tracing::info!(rows, "journal rows past their retention dropped"),
            Err(error) => return tracing::warn!("the journal cannot be purged: {error}"),
        }
    }
}

/// Learns what each upstream offers, so that the first client is not told less (R14).
async fn probe_upstreams(gate: &Gate) {
    loop {
        let mut unknown = false;
        for upstream in gate.upstreams.values().filter(|upstream| upstream.capabilities().is_none()) {
            match upstream.connect().await {
                Ok(connection) => connection.quit().await,
                Err(error) => {
                    tracing::warn!(upstream = upstream.name(), "upstream cannot be used: {error}");
                    unknown = true;
                }
            }
        }
        if !unknown {
            return;
        }
        tokio::time::sleep(PROBE_AGAIN).await;
    }
}
