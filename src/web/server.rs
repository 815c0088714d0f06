//! HTTP/1.1 on a listener, with limits on how long and how many.

use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// To send a request head, and to stay idle between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// Nobody needs one connection longer; this also ends readers that take no bytes.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(120);
const MOST_CONNECTIONS: usize = 512;
/// After shutdown, for requests in progress.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Out of descriptors or the like: trying again at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// Who is at the other end of a connection: a visitor, or the proxy in front of us.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Serves until `shutdown` resolves, then lets requests in progress finish.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()> + Send) {
    let (stop, stopped) = watch::channel(());
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let next = async { (Arc::clone(&places).acquire_owned().await, listener.accept().await) };
        let (place, accepted) = tokio::select! {
            () = &mut shutdown => break,
            next = next => next,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                let router = router.clone().layer(Extension(Peer(peer.ip())));
                let connection = connection(stream, router, stopped.clone());
                connections.spawn(async move {
                    let _place = place;
                    // An error here is the visitor's: gone, too slow or no HTTP.
                    _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "web: cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    drop(stop);
    let drained = async { while connections.join_next().await.is_some() {} };
    _ = tokio::time::timeout(DRAIN_TIMEOUT, drained).await;
}

async fn connection(stream: TcpStream, router: Router, mut stopped: watch::Receiver<()>) {
    let service = TowerToHyperService::new(router);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(16 * 1024);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = &mut connection => {}
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            _ = connection.await;
        }
    }
}
