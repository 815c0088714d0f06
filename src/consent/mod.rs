//! What people said: events, their fold, and the tokens that let them say more.

pub mod confirm;
pub mod event;
pub mod import;
pub mod ledger;
pub mod limit;
pub mod scope;
pub mod stamp;
pub mod state;
pub mod token;
pub mod way_back;
