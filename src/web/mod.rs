//! The pages a recipient sees, and what a supervisor asks.
//!
//! `public` is for the outside world, `admin` never is. HTML is in `templates/` only.

mod admin;
mod form;
mod language;
mod me;
mod objection;
mod page;
mod public;
mod server;
#[cfg(test)]
mod tests;

pub use admin::{Readiness, ReadinessReport, admin_router};
pub use public::{Clock, PolicyInForce, Post, Posting, PublicPages, public_router};
pub use server::serve;
