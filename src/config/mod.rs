//! Settings and policy as files: read, check, refuse with the place and the cure.

mod origin;
pub mod settings;

pub use settings::Settings;
