//! What goes wrong between the gate and upstream, and what the client is told about it.

use std::io;

use crate::smtp::reply::Reply;

/// What went wrong with upstream; none of it is the client's fault.
#[derive(Debug)]
pub enum UpstreamError {
    Unresolvable,
    Unreachable,
    /// Greeted or answered EHLO with a refusal.
    Unwelcome(Reply),
    /// No TLS, or a certificate that does not verify.
    Tls(String),
    /// Our own login was refused.
    Login(Reply),
    /// An answer that makes no sense (R19).
    Protocol(&'static str),
    /// It said 421, and what it said with it.
    Leaving(Reply),
    Closed,
    TimedOut,
    /// It no longer offers what the client was told (R15).
    LacksExtension,
}

impl UpstreamError {
    /// What the client is told. A fault between us and upstream is always 451.
    pub fn reply(&self) -> Reply {
        match self {
            UpstreamError::Unresolvable => Reply::upstream_unresolved(),
            UpstreamError::Unreachable | UpstreamError::Unwelcome(_) => Reply::upstream_unreachable(),
            UpstreamError::Tls(_) | UpstreamError::Login(_) => Reply::upstream_not_trusted(),
            UpstreamError::Protocol(_) => Reply::upstream_makes_no_sense(),
            UpstreamError::Leaving(reply) => reply.clone().without_hangup(),
            UpstreamError::Closed | UpstreamError::TimedOut => Reply::upstream_lost(),
            UpstreamError::LacksExtension => Reply::capability_gone(),
        }
    }

    /// Whether a fresh connection could do better: this one merely went away.
    pub fn is_departure(&self) -> bool {
        matches!(self, UpstreamError::Closed | UpstreamError::Leaving(_))
    }
}

impl std::fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            UpstreamError::Unresolvable => write!(f, "its name cannot be resolved"),
            UpstreamError::Unreachable => write!(f, "no address answers"),
            UpstreamError::Unwelcome(reply) => write!(f, "it refused the session: {} {}", reply.code(), reply.text()),
            UpstreamError::Tls(reason) => write!(f, "TLS: {reason}"),
            UpstreamError::Login(reply) => write!(f, "it refused our login: {} {}", reply.code(), reply.text()),
            UpstreamError::Protocol(what) => write!(f, "it does not speak SMTP: {what}"),
            UpstreamError::Leaving(reply) => write!(f, "it is leaving: {}", reply.text()),
            UpstreamError::Closed => write!(f, "it closed the connection"),
            UpstreamError::TimedOut => write!(f, "it did not answer in time"),
            UpstreamError::LacksExtension => write!(f, "it no longer offers what it did"),
        }
    }
}

impl From<io::Error> for UpstreamError {
    fn from(_: io::Error) -> UpstreamError {
        UpstreamError::Closed
    }
}
