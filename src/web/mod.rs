//! The pages a recipient sees, and what a supervisor asks.
//!
//! `public` is for the outside world, `admin` never is. HTML is in `templates/` only, words in `locales/`.

mod admin;
mod codes;
mod confirm;
mod desk;
mod fields;
mod form;
mod letter;
mod limits;
mod locale;
mod me;
pub mod objection;
mod page;
mod preferences;
mod problem;
mod public;
mod question;
mod rights;
mod room;
mod samples;
mod server;
mod site;
mod snippet;
mod subscribe;
#[cfg(test)]
mod tests;
mod trace;
mod visitor;
mod way_back;
mod wording;

pub use admin::{Readiness, ReadinessReport, admin_router};
pub use locale::{FluentValue, Locale};
pub use problem::Problem;
pub use public::{Clock, Mailing, PolicyInForce, Post, Posting, PublicPages, public_router};
pub use question::Questions;
pub use server::serve;
pub use site::{Site, View};
pub use snippet::snippet;
pub use wording::Wording;
