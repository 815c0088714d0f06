//! Who may be written to: typed rules, classification, decision.

pub mod because;
mod bounce;
pub mod classify;
pub mod concern;
pub mod decide;
mod declared;
pub mod disposition;
pub mod facts;
mod frequency;
pub mod handover;
pub mod link;
mod matching;
mod objection;
mod opt_in;
mod period;
mod reason;
mod record;
pub mod rules;
mod ruling;
pub mod verdict;
pub mod word;
