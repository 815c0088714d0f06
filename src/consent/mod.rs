//! What people said: events, their fold, and the tokens that let them say more.

pub mod event;
pub mod import;
pub mod limit;
pub mod ledger;
pub mod scope;
pub mod state;
pub mod token;
