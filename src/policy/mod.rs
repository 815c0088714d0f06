//! Who may be written to: typed rules, classification, decision.
