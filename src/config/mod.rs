//! Settings and policy as files: read, check, refuse with the place and the cure.

mod condition_file;
mod document;
mod error;
mod form_file;
mod inbox_file;
mod knobs_file;
mod listener_file;
mod load;
mod look_file;
mod maps;
mod origin;
mod packs;
mod pitfalls;
mod policy_file;
mod reference;
mod rules_file;
mod sender_file;
pub mod settings;
mod settings_file;
mod upstream_file;
mod values;
mod warnings;
mod web_file;

pub use document::Outside;
pub use error::{ConfigError, ConfigErrors};
pub use load::{load, load_policy, load_settings};
pub use maps::MAPS;
pub use packs::PACKS;
pub use policy_file::{parse_policy, parse_sources};
pub use reference::policy_reference;
pub use rules_file::KINDS;
pub use settings::*;
pub use settings_file::parse_settings;
pub use values::{is_host, is_loopback};
pub use warnings::warnings;
