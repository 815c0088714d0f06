//! Messages on their way out, by their name in the delivery ledger.
//!
//! A client that gives up waiting sends again while its first attempt is still
//! under way. The ledger knows copies only once upstream has answered for them;
//! so the second attempt waits for the first to end and then reads what came of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

type Key = [u8; 32];

#[derive(Default)]
pub struct InFlight {
    messages: Mutex<HashMap<Key, Arc<Notify>>>,
}

/// The right to send one message; dropping it lets the next attempt go on.
pub struct Claim<'a> {
    all: &'a InFlight,
    key: Key,
}

impl InFlight {
    /// Waits until nobody else is sending this message; none when that takes too long.
    pub async fn claim(&self, key: Key, patience: Duration) -> Option<Claim<'_>> {
        let deadline = Instant::now() + patience;
        loop {
            let other = {
                let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
                match messages.get(&key) {
                    Some(other) => other.clone().notified_owned(),
                    None => {
                        messages.insert(key, Arc::default());
                        return Some(Claim { all: self, key });
                    }
                }
            };
            timeout_at(deadline, other).await.ok()?;
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut messages = self.all.messages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = messages.remove(&self.key) {
            waiting.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_attempt_waits_for_the_first_and_no_longer_than_it_may() {
        let in_flight = InFlight::default();
        let first = in_flight.claim([1; 32], Duration::ZERO).await.unwrap();
        assert!(in_flight.claim([2; 32], Duration::ZERO).await.is_some(), "another message");
        assert!(in_flight.claim([1; 32], Duration::from_millis(1)).await.is_none());
        let second = in_flight.claim([1; 32], Duration::from_secs(60));
        let (second, ()) = tokio::join!(second, async { drop(first) });
        assert!(second.is_some());
        drop(second);
        assert!(in_flight.messages.lock().unwrap().is_empty());
    }
}
