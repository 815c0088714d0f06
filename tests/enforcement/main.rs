//! What policy decides, carried out by the real program between a client and a scripted upstream.

#[path = "../support/mod.rs"]
mod support;

mod ceilings;
mod course;
mod fanout;
mod frequency;
mod ledger;
mod links;
mod list_fields;
mod pinned;
mod proof;
mod reload;
mod shop;
mod trust;
mod way_out;
