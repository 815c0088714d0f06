//! The doors for mail to the gate itself: their thread, and the end of what nobody looked at.

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};

use crate::inbox::{Inbox, listener};
use crate::relay::drain::Drain;
use crate::relay::gate::Gate;

/// Serves every inbox until draining has ended.
pub fn run(opened: Vec<(Inbox, Vec<TcpListener>)>, drain: &Drain) {
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
        tracing::error!("the inbox thread has no runtime");
        return;
    };
    LocalSet::new().block_on(&runtime, async {
        let mut doors = JoinSet::new();
        for (inbox, sockets) in opened {
            let places = Arc::new(Semaphore::new(inbox.settings.max_connections));
            let inbox = Rc::new(inbox);
            for socket in sockets {
                match tokio::net::TcpListener::from_std(socket) {
                    Ok(socket) => {
                        _ = doors.spawn_local(listener::run(inbox.clone(), socket, places.clone(), drain.clone()));
                    }
                    Err(error) => {
                        tracing::error!(inbox = inbox.settings.name, "a socket cannot be served: {error}");
                    }
                }
            }
        }
        while doors.join_next().await.is_some() {}
    });
}

/// Drops what waited too long for a person to look at it: the longest of the times set counts.
pub async fn purge(gate: &Gate) {
    let Some(days) = gate.settings.inboxes.values().map(|inbox| i64::from(inbox.keep_days)).max() else { return };
    let horizon = Timestamp::now() - SignedDuration::from_hours(24 * days);
    match gate.store.purge_unclear_mail(horizon).await {
        Ok(0) => {}
        Ok(mails) => tracing::warn!(mails, "mail that nobody looked at was dropped"),
        Err(error) => tracing::warn!("unclear mail cannot be purged: {error}"),
    }
}
