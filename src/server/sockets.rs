//! Where listening sockets come from: the settings, systemd, or whoever starts the gate.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;

use super::StartError;
use crate::relay::listener;

/// Names of the web sockets, as `FileDescriptorName` has them.
pub const WEB_PUBLIC: &str = "web.public";
pub const WEB_ADMIN: &str = "web.admin";

/// Sockets that are open already, by listener name. What is not among them is bound.
#[derive(Default)]
pub struct Sockets {
    given: HashMap<String, Vec<TcpListener>>,
}

/// One address, with a socket for each thread.
pub struct Shared {
    pub address: SocketAddr,
    pub sockets: Vec<TcpListener>,
}

impl Sockets {
    /// Sockets passed by systemd, so that a restart refuses nobody.
    pub fn from_systemd() -> Sockets {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<&str> = names.split(':').collect();
        let mut passed = ListenFd::from_env();
        let mut sockets = Sockets::default();
        for n in 0..passed.len() {
            let name = names.get(n).copied().unwrap_or_default();
            match passed.take_tcp_listener(n) {
                Ok(Some(socket)) => sockets.give(name, socket),
                _ => tracing::warn!("the socket {name:?} passed by systemd is not a TCP listener; it is not used"),
            }
        }
        sockets
    }

    /// Hands a bound socket over.
    pub fn give(&mut self, name: &str, socket: TcpListener) {
        self.given.entry(name.to_string()).or_default().push(socket);
    }

    /// The sockets of an SMTP listener, `threads` for each address. A given one is
    /// cloned, since only sockets of one user can share a port; others are bound.
    pub fn of_listener(
        &mut self,
        name: &str,
        addresses: &[SocketAddr],
        threads: usize,
    ) -> Result<Vec<Shared>, StartError> {
        match self.given.remove(name) {
            Some(given) => given.into_iter().map(|socket| clone_for(name, &socket, threads)).collect(),
            None => addresses.iter().map(|address| bind_for(name, *address, threads)).collect(),
        }
    }

    /// The one socket of a web listener.
    pub fn of_web(&mut self, name: &str, address: SocketAddr) -> Result<TcpListener, StartError> {
        let failed = |error| StartError::Listen { name: name.into(), address, error };
        let socket = match self.given.remove(name).and_then(|mut given| given.pop()) {
            Some(given) => given,
            None => TcpListener::bind(address).map_err(failed)?,
        };
        socket.set_nonblocking(true).map_err(failed)?;
        Ok(socket)
    }
}

fn clone_for(name: &str, socket: &TcpListener, threads: usize) -> Result<Shared, StartError> {
    let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
    let address = socket.local_addr().unwrap_or(unknown);
    let failed = |error| StartError::Listen { name: name.into(), address, error };
    socket.set_nonblocking(true).map_err(failed)?;
    let sockets = (0..threads).map(|_| socket.try_clone().map_err(failed)).collect::<Result<_, _>>()?;
    Ok(Shared { address, sockets })
}

/// Port 0 is settled by the first socket; the others join it there.
fn bind_for(name: &str, address: SocketAddr, threads: usize) -> Result<Shared, StartError> {
    let failed = |error| StartError::Listen { name: name.into(), address, error };
    let first = listener::bind(address).map_err(failed)?;
    let address = first.local_addr().map_err(failed)?;
    let mut sockets = vec![first];
    for _ in 1..threads {
        sockets.push(listener::bind(address).map_err(failed)?);
    }
    Ok(Shared { address, sockets })
}
