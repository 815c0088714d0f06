//! Since when our own unsubscribe address has been failing, as all sessions see it.

use std::sync::{PoisonError, RwLock};

use jiff::Timestamp;

/// Set by whoever watches the address; nothing while it answers.
#[derive(Debug, Default)]
pub struct LinkState(RwLock<Option<Timestamp>>);

impl LinkState {
    pub fn failing_since(&self) -> Option<Timestamp> {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set(&self, failing_since: Option<Timestamp>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = failing_since;
    }
}
