//! What all sessions share: settings, the policy in force, the store, the upstreams.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use tokio_rustls::TlsAcceptor;

use super::in_flight::InFlight;
use super::link::LinkState;
use super::spool::SpoolSpace;
use super::tls::{self, TlsError};
use super::upstream::Upstream;
use crate::config::{ListenerSettings, Settings, TlsMode};
use crate::consent::state::Consulted;
use crate::consent::token::{HashKeys, SealingKeys};
use crate::policy::rules::Policy;
use crate::smtp::address::EmailAddress;
use crate::store::{Reader, Store, StoreError};

/// CRLF and a stuffed dot.
const LINE_END: usize = 3;

/// The running gate.
pub struct Gate {
    pub settings: Settings,
    policy: RwLock<Arc<Policy>>,
    pub store: Store,
    pub sealing: SealingKeys,
    pub hashing: HashKeys,
    pub upstreams: BTreeMap<String, Arc<Upstream>>,
    pub doors: BTreeMap<String, Arc<Door>>,
    pub spool: Arc<SpoolSpace>,
    pub in_flight: InFlight,
    pub link: LinkState,
}

/// One listener as its sessions see it.
pub struct Door {
    pub settings: ListenerSettings,
    pub upstream: Arc<Upstream>,
    pub acceptor: Option<TlsAcceptor>,
    guests: Mutex<Guests>,
}

#[derive(Default)]
struct Guests {
    total: usize,
    by_client: HashMap<IpAddr, usize>,
}

/// Why a connection is not taken (R2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    Everywhere,
    ForThisClient,
}

/// A connection's place; leaving gives it back.
pub struct Place {
    door: Arc<Door>,
    client: IpAddr,
}

impl Gate {
    pub fn new(
        settings: Settings,
        policy: Policy,
        store: Store,
        sealing: SealingKeys,
        hashing: HashKeys,
    ) -> Result<Gate, TlsError> {
        let mut upstreams = BTreeMap::new();
        for (name, upstream) in &settings.upstreams {
            upstreams.insert(name.clone(), Arc::new(Upstream::new(upstream.clone(), settings.hostname.clone())?));
        }
        let mut doors = BTreeMap::new();
        for (name, listener) in &settings.listeners {
            doors.insert(name.clone(), Arc::new(Door::open(listener, &upstreams)?));
        }
        // The line that crosses the limit of a header section must be in memory too, or nobody would see that it does.
        let head = settings.listeners.values().map(|door| door.max_header_size + door.max_line_length + LINE_END);
        let head = head.max().unwrap_or(0);
        let spool = SpoolSpace::new(&settings.spool, head);
        Ok(Gate {
            settings,
            policy: RwLock::new(Arc::new(policy)),
            store,
            sealing,
            hashing,
            upstreams,
            doors,
            spool,
            in_flight: InFlight::default(),
            link: LinkState::default(),
        })
    }

    /// The policy in force now; a message keeps the one it began with.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub fn replace_policy(&self, policy: Policy) {
        *self.policy.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(policy);
    }
}

impl Door {
    fn open(listener: &ListenerSettings, upstreams: &BTreeMap<String, Arc<Upstream>>) -> Result<Door, TlsError> {
        let acceptor = match (&listener.certificate_file, &listener.key_file) {
            (Some(certificate), Some(key)) if listener.tls != TlsMode::Off => Some(tls::acceptor(certificate, key)?),
            _ => None,
        };
        // The settings are checked: a listener names an upstream that is there.
        let upstream = upstreams[&listener.upstream].clone();
        Ok(Door { settings: listener.clone(), upstream, acceptor, guests: Mutex::default() })
    }

    pub fn admits(&self, client: IpAddr) -> bool {
        self.settings.clients.iter().any(|network| network.contains(&client.to_canonical()))
    }

    /// A place for one more connection, within the limits of R2.
    pub fn enter(self: &Arc<Door>, client: IpAddr) -> Result<Place, Full> {
        let mut guests = self.guests.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if guests.total >= self.settings.max_connections {
            return Err(Full::Everywhere);
        }
        let here = guests.by_client.entry(client).or_default();
        if *here >= self.settings.max_connections_per_client {
            return Err(Full::ForThisClient);
        }
        *here += 1;
        guests.total += 1;
        Ok(Place { door: self.clone(), client })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut guests = self.door.guests.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        guests.total -= 1;
        if let Some(here) = guests.by_client.get_mut(&self.client) {
            *here -= 1;
            if *here == 0 {
                guests.by_client.remove(&self.client);
            }
        }
    }
}

/// One thread's view: the shared gate and a read connection of its own, because
/// a hand-over to another thread costs more than the look-up.
pub struct Worker {
    pub gate: Arc<Gate>,
    reader: RefCell<Reader>,
}

impl Worker {
    pub fn new(gate: Arc<Gate>) -> Result<Worker, StoreError> {
        let reader = RefCell::new(gate.store.reader()?);
        Ok(Worker { gate, reader })
    }

    /// What is known about all recipients of a message, in one read; a store that
    /// is busy is asked again until the time for a read is over (R61).
    pub async fn consult(
        &self,
        controller: &str,
        recipients: &[EmailAddress],
    ) -> Result<(Vec<Consulted>, i64), StoreError> {
        self.read(|reader| reader.consult(controller, recipients)).await
    }

    /// Runs a read, again while the store is busy. The borrow ends before each wait.
    pub async fn read<T>(&self, mut read: impl FnMut(&mut Reader) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let give_up = Instant::now() + self.gate.settings.store_timeout;
        loop {
            match read(&mut self.reader.borrow_mut()) {
                Err(StoreError::Busy) if Instant::now() < give_up => {}
                outcome => return outcome,
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
