//! Whatever is done to a store behind the gate's back, `ledger verify` finds it and names the first place.

#[path = "ledger/commands.rs"]
mod commands;
#[path = "ledger/crash.rs"]
mod crash;
#[path = "ledger/store.rs"]
mod store;
#[path = "ledger/tampering.rs"]
mod tampering;
