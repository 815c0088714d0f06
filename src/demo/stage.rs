//! The set: a directory of its own with settings, policy, packs and fresh keys, and everything that runs on it.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::DemoError;
use super::catcher::Catcher;
use super::samples;
use crate::config::{self, PACKS};
use crate::server::Server;
use crate::server::sockets::{Sockets, WEB_ADMIN, WEB_PUBLIC};
use crate::store::{Reader, Store};

const LISTENER: &str = "submission";

/// A running gate with its upstream and pages, all on loopback.
pub struct Stage {
    server: Server,
    pub catcher: Catcher,
    pub addresses: Addresses,
    /// Removed with everything in it when this is dropped.
    _directory: TempDir,
}

/// Where things listen.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    pub gate: SocketAddr,
    pub public_pages: SocketAddr,
    pub admin_pages: SocketAddr,
}

impl Stage {
    /// Writes the files, loads them as `consentry serve` would, and starts.
    pub fn set_up() -> Result<Stage, DemoError> {
        let directory = tempfile::Builder::new().prefix("consentry-demo-").tempdir();
        let directory = directory.map_err(DemoError::io("a directory for the demonstration"))?;
        let catcher = Catcher::start().map_err(DemoError::io("the catching upstream"))?;
        let (sockets, addresses) = open_sockets().map_err(DemoError::io("a port on the loopback address"))?;
        write_files(directory.path(), &settings(catcher.address(), &addresses))
            .map_err(DemoError::io("the files of the demonstration"))?;
        let (settings, policy) = config::load(&directory.path().join("consentry.toml")).map_err(DemoError::Config)?;
        let server = Server::start(settings, policy, sockets).map_err(DemoError::Start)?;
        Ok(Stage { server, catcher, addresses, _directory: directory })
    }

    /// Stores the wordings and records the sample contacts; says how many events and people there are.
    pub async fn record_contacts(&self, now: Timestamp) -> Result<(usize, usize), DemoError> {
        for text in samples::texts(now)? {
            self.store().keep_text(text).await?;
        }
        let events = samples::contacts(now)?;
        let people = events.iter().map(|event| event.address.consent_key()).collect::<std::collections::BTreeSet<_>>();
        let counts = (events.len(), people.len());
        let mut writing = JoinSet::new();
        for event in events {
            let store = self.store().clone();
            writing.spawn(async move { store.record_event(event).await });
        }
        while let Some(written) = writing.join_next().await {
            written.map_err(|error| DemoError::Io("the sample contacts", io::Error::other(error)))??;
        }
        Ok(counts)
    }

    /// A connection of one's own to what was recorded.
    pub fn reader(&self) -> Result<Reader, DemoError> {
        Ok(self.store().reader()?)
    }

    fn store(&self) -> &Store {
        &self.server.gate().store
    }

    /// Ends the gate in order; the files go with it.
    pub fn tear_down(self) {
        self.server.stop();
    }
}

/// Bound before the settings are written, because links have to carry the port.
fn open_sockets() -> io::Result<(Sockets, Addresses)> {
    let mut sockets = Sockets::default();
    let mut open = |name: &str| {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = socket.local_addr()?;
        sockets.give(name, socket);
        io::Result::Ok(address)
    };
    let addresses = Addresses { gate: open(LISTENER)?, public_pages: open(WEB_PUBLIC)?, admin_pages: open(WEB_ADMIN)? };
    Ok((sockets, addresses))
}

fn settings(upstream: SocketAddr, addresses: &Addresses) -> String {
    let Addresses { gate, public_pages, admin_pages } = addresses;
    format!(
        "policy = \"policy.toml\"\n\
         hostname = \"gate.example\"\n\
         drain_timeout = \"2 seconds\"\n\
         [store]\n\
         url = \"sqlite:consentry.db\"\n\
         [keys]\n\
         token_key_file = \"token.key\"\n\
         ledger_key_file = \"ledger.key\"\n\
         signing_key_file = \"signing.key\"\n\
         [journal]\n\
         service = \"before\"\n\
         [upstream.catcher]\n\
         address = [\"{upstream}\"]\n\
         tls = \"off\"\n\
         [listener.{LISTENER}]\n\
         listen = [\"{gate}\"]\n\
         upstream = \"catcher\"\n\
         [web.public]\n\
         listen = \"{public_pages}\"\n\
         base_url = \"http://{public_pages}\"\n\
         [web.admin]\n\
         listen = \"{admin_pages}\"\n"
    )
}

fn write_files(directory: &Path, settings: &str) -> io::Result<()> {
    write(&directory.join("consentry.toml"), settings)?;
    write(&directory.join("policy.toml"), samples::POLICY)?;
    write(&directory.join("token.key"), &fresh_key()?)?;
    write(&directory.join("ledger.key"), &fresh_key()?)?;
    write(&directory.join("signing.key"), &fresh_key()?)?;
    fs::create_dir(directory.join("mailers"))?;
    for (name, text) in PACKS {
        write(&directory.join("mailers").join(name), text)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())
}

fn fresh_key() -> io::Result<String> {
    let mut key = [0; 32];
    SystemRandom::new().fill(&mut key).map_err(|_| io::Error::other("the system gives no random bytes"))?;
    Ok(STANDARD.encode(key))
}
