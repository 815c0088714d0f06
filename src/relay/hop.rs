//! One client session's way to upstream: opened when first needed, kept for the
//! next message, replaced when it grew old.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::upstream::{Content, Handover, Upstream, UpstreamConnection, UpstreamError};
use crate::policy::verdict::Permit;
use crate::smtp::address::ReversePath;
use crate::smtp::capabilities::Capabilities;
use crate::smtp::command::{MailParameters, RcptParameters};
use crate::smtp::reply::Reply;
use crate::smtp::session::Recipient;

/// A client does not wait long for our EHLO reply because upstream cannot be reached: it is told less (R16).
const LEARN_PATIENCE: Duration = Duration::from_secs(3);

pub struct Hop {
    upstream: Arc<Upstream>,
    connection: Option<UpstreamConnection>,
    /// A client's own login is bound to this connection and cannot be repeated.
    authenticated: bool,
}

/// One transaction to hand over: who sends, and who may get it with which parameters.
pub struct Handing<'a> {
    pub from: &'a ReversePath,
    pub parameters: &'a MailParameters,
    pub recipients: Vec<(&'a Permit, &'a RcptParameters)>,
}

impl Hop {
    pub fn new(upstream: Arc<Upstream>) -> Hop {
        Hop { upstream, connection: None, authenticated: false }
    }

    /// What upstream offers; asks it when nobody has asked before (R14, R16).
    pub async fn learn(&mut self) -> Option<Capabilities> {
        if self.upstream.capabilities().is_none() {
            let _ = timeout(LEARN_PATIENCE, self.connect()).await;
        }
        self.upstream.capabilities()
    }

    async fn connect(&mut self) -> Result<&mut UpstreamConnection, UpstreamError> {
        if !self.connection.as_ref().is_some_and(UpstreamConnection::is_usable) {
            if self.authenticated {
                return Err(UpstreamError::Closed);
            }
            self.connection = None;
            match self.upstream.connect().await {
                Ok(connection) => self.connection = Some(connection),
                Err(error) => {
                    tracing::warn!(upstream = self.upstream.name(), "upstream cannot be used: {error}");
                    return Err(error);
                }
            }
        }
        self.connection.as_mut().ok_or(UpstreamError::Closed)
    }

    /// Asks MAIL. A connection kept from an earlier message may have been closed
    /// for idleness meanwhile; then a new one is asked.
    pub async fn mail(&mut self, from: &ReversePath, parameters: &MailParameters) -> Result<Reply, UpstreamError> {
        let connection = self.connect().await?;
        let was_used = connection.was_used();
        match connection.mail(from, parameters).await {
            Err(error) if error.is_departure() && was_used && !self.authenticated => {
                self.connect().await?.mail(from, parameters).await
            }
            outcome => outcome,
        }
    }

    pub async fn rcpt(&mut self, recipient: &Recipient) -> Result<Reply, UpstreamError> {
        let connection = self.connection.as_mut().ok_or(UpstreamError::Closed)?;
        connection.rcpt(&recipient.address, &recipient.parameters).await
    }

    /// Ends the open transaction; a connection that does not agree is dropped (R28).
    pub async fn reset(&mut self) {
        if let Some(connection) = &mut self.connection
            && (!connection.is_usable() || connection.reset().await.is_err())
        {
            self.connection = None;
        }
    }

    /// Passes one line of the client's AUTH exchange on (R84).
    pub async fn authenticate(&mut self, line: &str) -> Result<Reply, UpstreamError> {
        let reply = self.connect().await?.authenticate(line).await?;
        self.authenticated |= reply.code() == 235;
        Ok(reply)
    }

    /// Hands a message over. The transaction that MAIL and RCPT opened is used if
    /// it holds exactly these recipients, otherwise a new one is opened. If
    /// upstream went away before it saw any content, it is asked once more (R27).
    pub async fn hand_over(
        &mut self,
        handing: &Handing<'_>,
        mut content: Content<'_>,
        commit: &impl AsyncFn() -> Result<(), Reply>,
    ) -> Handover {
        let permits: Vec<&Permit> = handing.recipients.iter().map(|(permit, _)| *permit).collect();
        let was_open = self.is_open_for(&permits);
        if !was_open && let Err(ended) = self.open(handing).await {
            return ended;
        }
        match self.send(&permits, content.again(), commit).await {
            Handover::NotStarted(error) if error.is_departure() => match self.open(handing).await {
                Ok(()) => self.send(&permits, content, commit).await,
                // Only what was accepted before may be taken for accepted again; whatever stands in the way of
                // that, the client hears that the connection was lost.
                Err(_) => Handover::NotStarted(UpstreamError::Closed),
            },
            ended => ended,
        }
    }

    fn is_open_for(&self, permits: &[&Permit]) -> bool {
        self.connection.as_ref().is_some_and(|connection| {
            connection.is_usable() && connection.has_exactly(permits.iter().map(|permit| permit.recipient()))
        })
    }

    async fn open(&mut self, handing: &Handing<'_>) -> Result<(), Handover> {
        let refused = |reply: Reply| Err(Handover::Answered(reply));
        let reply = self.mail(handing.from, handing.parameters).await.map_err(Handover::NotStarted)?;
        if !reply.is_positive() {
            return refused(reply);
        }
        for (permit, parameters) in &handing.recipients {
            let connection = self.connection.as_mut().ok_or(Handover::NotStarted(UpstreamError::Closed))?;
            let reply = connection.rcpt(permit.recipient(), parameters).await.map_err(Handover::NotStarted)?;
            if !reply.is_positive() {
                self.reset().await;
                return refused(reply);
            }
        }
        Ok(())
    }

    async fn send(
        &mut self,
        permits: &[&Permit],
        content: Content<'_>,
        commit: &impl AsyncFn() -> Result<(), Reply>,
    ) -> Handover {
        match &mut self.connection {
            Some(connection) => connection.send(permits, content, commit).await,
            None => Handover::NotStarted(UpstreamError::Closed),
        }
    }

    /// Ends the session with upstream politely.
    pub async fn quit(self) {
        if let Some(connection) = self.connection {
            connection.quit().await;
        }
    }
}
