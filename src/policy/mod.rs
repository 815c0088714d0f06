//! Who may be written to: typed rules, classification, decision.

pub mod rules;
pub mod word;
