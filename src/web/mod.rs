//! The pages a recipient sees, and what a supervisor asks.
//!
//! `public` is for the outside world, `admin` never is. HTML is in `templates/` only, words in `locales/`.

mod admin;
mod form;
mod locale;
mod me;
pub mod objection;
mod page;
mod problem;
mod public;
mod samples;
mod server;
mod site;
#[cfg(test)]
mod tests;
mod way_back;

pub use admin::{Readiness, ReadinessReport, admin_router};
pub use locale::{FluentValue, Locale};
pub use problem::Problem;
pub use public::{Clock, PolicyInForce, Post, Posting, PublicPages, public_router};
pub use server::serve;
pub use site::{Site, View};
