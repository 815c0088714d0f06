//! Accept, limit, back off: one listening socket for each thread, on the same port.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::connection;
use super::drain::Drain;
use super::gate::{Door, Full, Worker};
use crate::smtp::reply::Reply;

/// Connections the kernel keeps for us while we are busy; the usual 128 overflow
/// when 200 clients arrive at once.
const BACKLOG: i32 = 4096;

/// A pause after an accept that failed, for want of descriptors most likely.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Binds an address so that every thread can have a socket of its own on it.
pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts until draining begins, then waits for the sessions that are running.
pub async fn run(worker: Rc<Worker>, door: Arc<Door>, listener: TcpListener, drain: Drain) {
    accept(&door.settings.name, listener, drain.clone(), |sessions, tcp, peer| {
        welcome(sessions, &worker, &door, tcp, peer, &drain);
    })
    .await;
}

/// Hands every client to `welcome`, which starts its session, until draining begins; then waits for those that run.
pub async fn accept(
    name: &str,
    listener: TcpListener,
    mut drain: Drain,
    mut welcome: impl FnMut(&mut JoinSet<()>, TcpStream, SocketAddr),
) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = drain.draining() => break,
            accepted = listener.accept() => match accepted {
                Ok((tcp, peer)) => welcome(&mut sessions, tcp, peer),
                Err(error) => {
                    tracing::warn!(listener = name, "a connection cannot be accepted: {error}");
                    tokio::time::sleep(BACK_OFF).await;
                }
            },
            Some(ended) = sessions.join_next(), if !sessions.is_empty() => report_panic(name, ended),
        }
    }
    drop(listener);
    while let Some(ended) = sessions.join_next().await {
        report_panic(name, ended);
    }
}

/// A panic ends one session, never the process (R99); upstream has seen no final dot, and the client no 250.
fn report_panic(name: &str, ended: Result<(), tokio::task::JoinError>) {
    if ended.is_err() {
        tracing::error!(listener = name, "a session ended by a fault of the gate");
    }
}

fn welcome(
    sessions: &mut JoinSet<()>,
    worker: &Rc<Worker>,
    door: &Arc<Door>,
    tcp: TcpStream,
    peer: SocketAddr,
    drain: &Drain,
) {
    let client = peer.ip().to_canonical();
    let refusal = if !door.admits(client) {
        Reply::client_not_allowed()
    } else {
        match door.enter(client) {
            Ok(place) => {
                let (worker, door, drain) = (worker.clone(), door.clone(), drain.clone());
                sessions.spawn_local(async move {
                    let _place = place;
                    connection::serve(&worker, &door, tcp, peer, drain).await;
                });
                return;
            }
            Err(Full::Everywhere) => Reply::too_many_connections(),
            Err(Full::ForThisClient) => Reply::too_many_connections_from_client(),
        }
    };
    sessions.spawn_local(turn_away(tcp, refusal));
}

/// R2: a reply, then close; a client that does not read it gets no second of ours.
pub async fn turn_away(mut tcp: TcpStream, reply: Reply) {
    let said = async {
        tcp.write_all(&reply.to_bytes(false)).await?;
        tcp.shutdown().await
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), said).await;
}
