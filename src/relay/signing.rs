//! Our DKIM signature on what leaves.

use std::fmt;
use std::io;

use jiff::Timestamp;
use ring::rand::SystemRandom;

use super::gate::Gate;
use super::spool::Spool;
use super::upstream::Upstream;
use crate::config::DkimDomain;
use crate::message::body_edit::{BodyEdits, BodyWriter};
use crate::message::dkim::{BodyHash, BodyHasher, SignedFields, Signer, SigningError};
use crate::message::edit::InsertedField;
use crate::message::head::{HeadLimits, MessageHead};

/// What leaves was within its limits when it came, and has grown by what we add.
const NO_LIMITS: HeadLimits = HeadLimits { header: usize::MAX, field: usize::MAX, fields: usize::MAX };

/// So many pieces are hashed before others get their turn.
const PIECES_AT_ONCE: usize = 8;

/// Why a message that was to be signed was not.
#[derive(Debug)]
pub enum Unsigned {
    Spool(io::Error),
    Key(SigningError),
}

impl fmt::Display for Unsigned {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsigned::Spool(error) => {
                write!(out, "the message cannot be read back: {error}; see [spool] in the settings")
            }
            Unsigned::Key(error) => error.fmt(out),
        }
    }
}

impl std::error::Error for Unsigned {}

/// Whose keys sign a message with this header section on its way to that upstream; it may sign itself.
pub fn signer<'g>(gate: &'g Gate, upstream: &Upstream, head: &MessageHead, wire: &[u8]) -> Option<&'g DkimDomain> {
    gate.settings.signer_of(head, wire).filter(|_| !upstream.settings().signs)
}

/// Hashes the body in the spool as a copy with these edits says it.
pub async fn body_hash(spool: &mut Spool, body_start: usize, edits: &BodyEdits) -> Result<BodyHash, Unsigned> {
    let mut hasher = BodyHasher::default();
    let mut writer = BodyWriter::new(edits, body_start as u64);
    let mut edited = Vec::new();
    let mut pieces = spool.read_from(body_start).map_err(Unsigned::Spool)?;
    for count in 1_usize.. {
        let piece = pieces.next_piece().map_err(Unsigned::Spool)?;
        if piece.is_empty() {
            break;
        }
        writer.write(piece, &mut edited);
        hasher.feed(&edited);
        edited.clear();
        if count.is_multiple_of(PIECES_AT_ONCE) {
            tokio::task::yield_now().await;
        }
    }
    writer.finish(&mut edited);
    hasher.feed(&edited);
    Ok(hasher.finish())
}

/// A signature of each key over this header section and body. None where nobody could check one.
pub fn signatures(domain: &DkimDomain, head: &[u8], body: &BodyHash) -> Result<Vec<InsertedField>, Unsigned> {
    let located = MessageHead::locate(head, &NO_LIMITS).ok();
    let Some(fields) = located.and_then(|located| SignedFields::of(&located, head)) else {
        return Ok(Vec::new());
    };
    let (at, random) = (Timestamp::now().as_second(), SystemRandom::new());
    let sign = |(selector, key)| Signer { domain: &domain.domain, selector, key }.sign(&fields, body, at, &random);
    let keys = domain.keys.iter().map(|key| (key.selector.as_str(), &*key.key));
    keys.map(sign).collect::<Result<_, _>>().map_err(Unsigned::Key)
}

/// What goes on top of a message the gate wrote itself. One that cannot be signed goes without, and the log says so.
pub fn on_own_mail(gate: &Gate, upstream: &Upstream, wire: &[u8]) -> Vec<u8> {
    let Ok(head) = MessageHead::locate(wire, &NO_LIMITS) else { return Vec::new() };
    let Some(domain) = signer(gate, upstream, &head, wire) else { return Vec::new() };
    let (head, body) = wire.split_at(head.body_start());
    let mut hasher = BodyHasher::default();
    hasher.feed(body);
    match signatures(domain, head, &hasher.finish()) {
        Ok(fields) => fields.iter().flat_map(|field| field.to_wire().into_bytes()).collect(),
        Err(error) => {
            tracing::error!("mail of the gate's own goes unsigned: {error}");
            Vec::new()
        }
    }
}
