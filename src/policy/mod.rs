//! Who may be written to: typed rules, classification, decision.

pub mod classify;
mod declared;
pub mod facts;
mod matching;
mod reason;
pub mod rules;
mod ruling;
pub mod word;
