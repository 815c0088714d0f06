//! The log: text for people, JSON for machines, on standard error.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;

use crate::config::LogFormat;

/// Starts the log. Colour only on a terminal that wants it; a second call changes nothing.
pub fn start(format: LogFormat) {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = fmt().with_max_level(LevelFilter::INFO).with_writer(std::io::stderr).with_target(false);
    let _ = match format {
        LogFormat::Text => tracing::subscriber::set_global_default(log.with_ansi(colour).finish()),
        LogFormat::Json => tracing::subscriber::set_global_default(log.json().flatten_event(true).finish()),
    };
}
