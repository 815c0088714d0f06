//! What the settings say about signatures: whose key signs a message, and what becomes of one that is there.

use super::settings::{DkimDomain, Settings, UpstreamSettings};
use crate::message::dkim::author_domain;
use crate::message::head::MessageHead;
use crate::policy::rules::{OnSigned, Policy};

impl Settings {
    /// The keys that sign for the author of this message: those of the domain itself, else of the nearest one above it
    /// that signs for what is below. `None` also where readers differ about the author.
    pub fn signer_of(&self, head: &MessageHead, wire: &[u8]) -> Option<&DkimDomain> {
        self.dkim_of(&author_domain(head, wire)?)
    }

    /// The same for an author's domain, in the form that domains are compared in.
    pub fn dkim_of(&self, author: &str) -> Option<&DkimDomain> {
        self.dkim.get(author).or_else(|| {
            let above = author.match_indices('.').map(|(dot, _)| &author[dot + 1..]);
            above.filter_map(|domain| self.dkim.get(domain)).find(|domain| domain.subdomains)
        })
    }

    /// What is done about a signature that an edit of ours would break. Nothing is signed anew without a key for the
    /// author, or an upstream that signs: then it is left alone.
    pub fn on_signed(&self, policy: &Policy, upstream: &UpstreamSettings, head: &MessageHead, wire: &[u8]) -> OnSigned {
        let has_key = self.signer_of(head, wire).is_some();
        match policy.on_signed {
            Some(OnSigned::Resign) if !has_key && !upstream.signs => OnSigned::Leave,
            Some(chosen) => chosen,
            None if has_key => OnSigned::Resign,
            None => OnSigned::Leave,
        }
    }
}
