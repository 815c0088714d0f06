//! What is remembered: consent, decisions, deliveries. All SQL lives here.
