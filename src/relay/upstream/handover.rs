//! Handing a message over: the one way content leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::connection::write;
use super::{UpstreamConnection, UpstreamError};
use crate::message::body_edit::{BodyEdits, BodyWriter};
use crate::policy::verdict::Permit;
use crate::relay::spool::Spool;
use crate::smtp::data::WireCheck;
use crate::smtp::reply::Reply;

/// What is sent as message content: the edited head, then the rest of the spool with the edits of this copy.
pub struct Content<'a> {
    pub head: &'a [u8],
    pub spool: &'a mut Spool,
    pub body_start: usize,
    pub body: BodyEdits,
}

impl Content<'_> {
    /// The same content for another attempt.
    pub fn again(&mut self) -> Content<'_> {
        Content { head: self.head, spool: self.spool, body_start: self.body_start, body: self.body.clone() }
    }
}

/// How a hand-over ended.
#[derive(Debug)]
pub enum Handover {
    /// Upstream's final reply to the content, or its refusal of DATA.
    Answered(Reply),
    /// Upstream went away before it said 354: nothing of the message was written.
    NotStarted(UpstreamError),
    /// The content broke off before the final dot; upstream discards it.
    NotSent(UpstreamError),
    /// Our commit point said no; the connection was dropped before the final dot.
    Withdrawn(Reply),
    /// The final dot is out and no answer came: upstream may have the message (R74).
    Unknown(UpstreamError),
}

/// A message between its final dot and upstream's answer.
struct Unanswered(Arc<AtomicUsize>);

impl Unanswered {
    fn begin(count: &Arc<AtomicUsize>) -> Unanswered {
        count.fetch_add(1, Ordering::Relaxed);
        Unanswered(count.clone())
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl UpstreamConnection {
    /// Hands the message over for exactly the recipients that hold a permit.
    ///
    /// `commit` runs when everything but the end has been written: the last
    /// moment at which "nothing happened" is still true. If it refuses, the
    /// connection is dropped and upstream discards what it has.
    pub async fn send(
        &mut self,
        permits: &[&Permit],
        content: Content<'_>,
        commit: &impl AsyncFn() -> Result<(), Reply>,
    ) -> Handover {
        if !self.has_exactly(permits.iter().map(|permit| permit.recipient())) {
            self.unusable = true;
            return Handover::Withdrawn(Reply::session_failed());
        }
        match self.ask("DATA", self.patience.data).await {
            Ok(reply) if reply.code() == 354 => self.transaction = None,
            // The transaction stays open upstream until it is reset.
            Ok(reply) if reply.is_transient() || reply.is_permanent() => return Handover::Answered(reply),
            Ok(_) => return Handover::NotStarted(self.nonsense("an answer to DATA that is neither 354 nor a refusal")),
            Err(error) => return Handover::NotStarted(error),
        }
        if self.has_unasked_answer().await {
            return Handover::NotStarted(self.nonsense("an answer nobody asked for"));
        }
        self.unusable = true; // until the final reply: nothing but content may be written here
        let last = match self.write_content(content).await {
            Ok(last) => last,
            Err(error) => return Handover::NotSent(error),
        };
        if let Err(reply) = commit().await {
            return Handover::Withdrawn(reply);
        }
        self.finish(last).await
    }

    /// Writes all but the last piece, which is returned with the end mark behind it.
    async fn write_content(&mut self, content: Content<'_>) -> Result<Vec<u8>, UpstreamError> {
        let mut check = WireCheck::default();
        let mut pending = content.head.to_vec();
        let mut body = BodyWriter::new(&content.body, content.body_start as u64);
        let mut pieces = content.spool.read_from(content.body_start).map_err(|_| UpstreamError::Closed)?;
        loop {
            let piece = pieces.next_piece().map_err(|_| UpstreamError::Closed)?;
            if piece.is_empty() {
                break;
            }
            if !pending.is_empty() && pending.len() + piece.len() > 128 * 1024 {
                check.check(&pending).map_err(|_| UpstreamError::Protocol("content not in wire form"))?;
                write(&mut self.stream, &pending, self.patience.write).await?;
                pending.clear();
            }
            body.write(piece, &mut pending);
        }
        body.finish(&mut pending);
        check.check(&pending).map_err(|_| UpstreamError::Protocol("content not in wire form"))?;
        check.finish().map_err(|_| UpstreamError::Protocol("content not in wire form"))?;
        pending.extend_from_slice(b".\r\n");
        Ok(pending)
    }

    async fn finish(&mut self, last: Vec<u8>) -> Handover {
        if self.has_unasked_answer().await {
            return match self.read_reply(self.patience.last_reply).await {
                Ok(reply) if reply.is_transient() || reply.is_permanent() => Handover::Answered(reply),
                Err(UpstreamError::Leaving(reply)) => Handover::Answered(reply.without_hangup()),
                // A yes to a message that has not ended yet is none.
                _ => Handover::NotSent(self.nonsense("an answer before the final dot")),
            };
        }
        let _unanswered = Unanswered::begin(&self.unanswered);
        if let Err(error) = write(&mut self.stream, &last, self.patience.write).await {
            return Handover::Unknown(error); // part of the end mark may be out
        }
        match self.read_reply(self.patience.last_reply).await {
            Ok(reply) if reply.is_intermediate() => Handover::Unknown(self.nonsense("a 3xx as final reply")),
            Ok(reply) => {
                self.unusable = !self.input.is_empty();
                Handover::Answered(reply)
            }
            // 421 is a definite no: the message was not taken (section 2.L).
            Err(UpstreamError::Leaving(reply)) => Handover::Answered(reply.without_hangup()),
            Err(error) => Handover::Unknown(error),
        }
    }
}
