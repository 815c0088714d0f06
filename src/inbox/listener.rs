//! Accept, limit, back off: the sockets of one inbox, all on one thread.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::connection;
use crate::config::{InboxSettings, TlsMode};
use crate::relay::drain::Drain;
use crate::relay::gate::Gate;
use crate::relay::tls::{self, TlsError};
use crate::smtp::reply::Reply;

/// A pause after an accept that failed, for want of descriptors most likely.
const BACK_OFF: Duration = Duration::from_millis(100);

/// One inbox as its sessions see it.
pub struct Inbox {
    pub gate: Arc<Gate>,
    pub settings: InboxSettings,
    pub acceptor: Option<TlsAcceptor>,
}

impl Inbox {
    pub fn open(gate: &Arc<Gate>, settings: &InboxSettings) -> Result<Inbox, TlsError> {
        let acceptor = match (&settings.certificate_file, &settings.key_file) {
            (Some(certificate), Some(key)) if settings.tls != TlsMode::Off => Some(tls::acceptor(certificate, key)?),
            _ => None,
        };
        Ok(Inbox { gate: gate.clone(), settings: settings.clone(), acceptor })
    }

    fn admits(&self, client: std::net::IpAddr) -> bool {
        self.settings.clients.iter().any(|network| network.contains(&client.to_canonical()))
    }
}

/// Accepts until draining begins, then waits for the sessions that are running.
pub async fn run(inbox: Rc<Inbox>, listener: TcpListener, places: Arc<Semaphore>, drain: Drain) {
    let mut sessions = JoinSet::new();
    let mut leaving = drain.clone();
    loop {
        tokio::select! {
            biased;
            () = leaving.draining() => break,
            accepted = listener.accept() => match accepted {
                Ok((tcp, peer)) => {
                    let place = places.clone().try_acquire_owned();
                    let (inbox, drain) = (inbox.clone(), drain.clone());
                    match place {
                        _ if !inbox.admits(peer.ip()) => {
                            sessions.spawn_local(turn_away(tcp, Reply::client_not_allowed()));
                        }
                        Ok(place) => {
                            sessions.spawn_local(async move {
                                let _place = place;
                                connection::serve(&inbox, tcp, drain).await;
                            });
                        }
                        Err(_) => {
                            sessions.spawn_local(turn_away(tcp, Reply::too_many_connections()));
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(inbox = inbox.settings.name, "a connection cannot be accepted: {error}");
                    tokio::time::sleep(BACK_OFF).await;
                }
            },
            Some(ended) = sessions.join_next(), if !sessions.is_empty() => report_panic(&inbox, ended),
        }
    }
    drop(listener);
    while let Some(ended) = sessions.join_next().await {
        report_panic(&inbox, ended);
    }
}

/// A panic ends one session, never the process (R99): who sent the message has no 250 and keeps it.
fn report_panic(inbox: &Inbox, ended: Result<(), tokio::task::JoinError>) {
    if ended.is_err() {
        tracing::error!(inbox = inbox.settings.name, "a session ended by a fault of the gate");
    }
}

/// A reply, then close; a client that does not read it gets no second of ours.
async fn turn_away(mut tcp: TcpStream, reply: Reply) {
    let said = async {
        tcp.write_all(&reply.to_bytes(false)).await?;
        tcp.shutdown().await
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), said).await;
}
