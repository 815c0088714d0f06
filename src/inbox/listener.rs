//! Who may come to an inbox, and how many at once: its sockets are all on one thread.

use std::rc::Rc;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::connection;
use crate::config::{InboxSettings, TlsMode};
use crate::relay::drain::Drain;
use crate::relay::gate::Gate;
use crate::relay::listener::{self, turn_away};
use crate::relay::tls::{self, TlsError};
use crate::smtp::reply::Reply;

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
    let name = format!("inbox.{}", inbox.settings.name);
    listener::accept(&name, listener, drain.clone(), |sessions, tcp, peer| {
        if !inbox.admits(peer.ip()) {
            sessions.spawn_local(turn_away(tcp, Reply::client_not_allowed()));
            return;
        }
        let Ok(place) = places.clone().try_acquire_owned() else {
            sessions.spawn_local(turn_away(tcp, Reply::too_many_connections()));
            return;
        };
        let (inbox, drain) = (inbox.clone(), drain.clone());
        sessions.spawn_local(async move {
            let _place = place;
            connection::serve(&inbox, tcp, drain).await;
        });
    })
    .await;
}
