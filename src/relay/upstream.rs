//! The next hop: connect, secure, log in.
//!
//! MAIL and RCPT are questions anybody may ask. Content is another matter: it
//! leaves only through [`UpstreamConnection::send`], which takes a permit for
//! each recipient of the open transaction and refuses anything else.

mod connection;
mod error;
mod handover;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

pub use connection::UpstreamConnection;
pub use error::UpstreamError;
pub use handover::{Content, Handover};

use super::tls::{self, Stream, TlsError};
use crate::config::{TlsMode, UpstreamSettings};
use crate::smtp::capabilities::Capabilities;

/// A named upstream and what it is known to offer (R14).
pub struct Upstream {
    settings: UpstreamSettings,
    hostname: String,
    connector: Option<TlsConnector>,
    learned: Mutex<Option<Capabilities>>,
    /// Messages it has in full and has not answered yet.
    unanswered: Arc<AtomicUsize>,
}

impl Upstream {
    pub fn new(settings: UpstreamSettings, hostname: String) -> Result<Upstream, TlsError> {
        let connector = match settings.tls {
            TlsMode::Off => None,
            TlsMode::Starttls | TlsMode::Implicit => Some(tls::connector(settings.ca_file.as_deref())?),
        };
        Ok(Upstream { settings, hostname, connector, learned: Mutex::new(None), unanswered: Arc::default() })
    }

    pub fn name(&self) -> &str {
        &self.settings.name
    }

    pub fn settings(&self) -> &UpstreamSettings {
        &self.settings
    }

    /// What upstream offered on its last verified EHLO; none before the first.
    pub fn capabilities(&self) -> Option<Capabilities> {
        self.learned.lock().map_or(None, |learned| learned.clone())
    }

    /// Whether somebody waits for its answer behind a final dot: leaving now would send that message twice (R11).
    pub fn owes_an_answer(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) > 0
    }

    /// Whether a client's own AUTH is passed through: the gate has no login of its own.
    pub fn passes_auth(&self) -> bool {
        self.settings.login.is_none()
    }

    /// Whether secrets may be sent there (R85).
    pub fn may_carry_credentials(&self) -> bool {
        self.connector.is_some() || self.settings.insecure || self.is_on_loopback()
    }

    fn is_on_loopback(&self) -> bool {
        self.settings.address.iter().all(|(host, _)| {
            host == "localhost"
                || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        })
    }

    /// A session with upstream: connected, secured, greeted, logged in where
    /// settings say so. The first address that gives one.
    pub async fn connect(&self) -> Result<UpstreamConnection, UpstreamError> {
        let mut failure = UpstreamError::Unresolvable;
        for (host, port) in &self.settings.address {
            let target = (host.trim_matches(['[', ']']), *port);
            let Ok(Ok(found)) = timeout(self.settings.connect_timeout, tokio::net::lookup_host(target)).await else {
                continue;
            };
            for address in found {
                match self.open(host, address).await {
                    Ok(connection) => {
                        if let Ok(mut learned) = self.learned.lock() {
                            *learned = Some(connection.capabilities.clone());
                        }
                        return Ok(connection);
                    }
                    Err(error) => failure = error,
                }
            }
        }
        Err(failure)
    }

    async fn open(&self, host: &str, address: SocketAddr) -> Result<UpstreamConnection, UpstreamError> {
        let stream = match timeout(self.settings.connect_timeout, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => stream,
            _ => return Err(UpstreamError::Unreachable),
        };
        // The final dot must not wait for a delayed acknowledgement.
        stream.set_nodelay(true)?;
        self.settle_in(self.connection(Stream::Plain(stream)), host).await.map_err(|error| match error {
            UpstreamError::Closed | UpstreamError::TimedOut | UpstreamError::Leaving(_) => UpstreamError::Unreachable,
            other => other,
        })
    }

    async fn settle_in(
        &self,
        mut connection: UpstreamConnection,
        host: &str,
    ) -> Result<UpstreamConnection, UpstreamError> {
        if self.settings.tls == TlsMode::Implicit {
            connection = self.secure(connection, host).await?;
        }
        connection.greeting().await?;
        connection.hello(&self.hostname).await?;
        if self.settings.tls == TlsMode::Starttls {
            connection = self.start_tls(connection, host).await?;
            connection.hello(&self.hostname).await?; // what was said in clear is forgotten (R82)
        }
        if let Some(login) = &self.settings.login {
            connection.log_in(login).await?;
        }
        Ok(connection)
    }

    async fn start_tls(&self, mut plain: UpstreamConnection, host: &str) -> Result<UpstreamConnection, UpstreamError> {
        if !plain.capabilities.starttls {
            return Err(UpstreamError::Tls("upstream does not offer STARTTLS; nothing is sent in clear".into()));
        }
        let reply = plain.ask("STARTTLS", self.settings.ehlo_timeout).await?;
        if reply.code() != 220 {
            return Err(UpstreamError::Tls(format!("STARTTLS was answered {} {}", reply.code(), reply.text())));
        }
        if !plain.input.is_empty() {
            return Err(UpstreamError::Tls("bytes in clear behind the answer to STARTTLS".into())); // R82
        }
        self.secure(plain, host).await
    }

    fn connection(&self, stream: Stream) -> UpstreamConnection {
        UpstreamConnection::new(stream, &self.settings, self.unanswered.clone())
    }

    async fn secure(&self, plain: UpstreamConnection, host: &str) -> Result<UpstreamConnection, UpstreamError> {
        let name = tls::server_name(host.trim_matches(['[', ']']));
        let (Some(connector), Some(name), Stream::Plain(tcp)) = (&self.connector, name, plain.stream) else {
            return Err(UpstreamError::Tls("the upstream's name cannot stand in a certificate".into()));
        };
        match timeout(self.settings.ehlo_timeout, connector.connect(name, tcp)).await {
            Ok(Ok(tls)) => Ok(self.connection(Stream::Client(Box::new(tls)))),
            Ok(Err(error)) => Err(UpstreamError::Tls(error.to_string())),
            Err(_) => Err(UpstreamError::TimedOut),
        }
    }
}
