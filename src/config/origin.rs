//! What the settings say about the place a message comes from.

use std::net::IpAddr;

use super::settings::{CredentialSettings, ListenerSettings, Settings};
use crate::policy::facts::Origin;
use crate::policy::rules::Class;
use crate::smtp::auth::same_user;

impl Settings {
    /// `user` is `None` for a client that has not logged in, and empty for one whose name could not be read in its
    /// AUTH exchange.
    pub fn origin(&self, listener: &ListenerSettings, user: Option<&str>, client: IpAddr) -> Origin {
        let credential = user.and_then(|user| self.credential_of(user));
        let mut may_send = listener.may_send.clone();
        // A credential lies below its listener's ceiling.
        if let Some(below) = credential.as_ref().and_then(|credential| credential.may_send.as_ref()) {
            may_send.retain(|class| below.contains(class));
        }
        Origin {
            listener: listener.name.clone(),
            credential: user.filter(|user| !user.is_empty()).map(str::to_owned),
            client,
            may_send,
            trust_headers: credential.and_then(|one| one.trust_headers).unwrap_or(listener.trust_headers),
            pin: listener.pin.clone(),
        }
    }

    fn credential_of(&self, user: &str) -> Option<CredentialSettings> {
        if user.is_empty() {
            return self.strictest_credential();
        }
        self.credentials.iter().find(|(name, _)| same_user(name, user)).map(|(_, credential)| credential.clone())
    }

    /// Somebody nameless may be anybody, so has only what everybody has.
    fn strictest_credential(&self) -> Option<CredentialSettings> {
        if self.credentials.is_empty() {
            return None;
        }
        let mut may_send = vec![Class::Service, Class::Promotional];
        for below in self.credentials.values().filter_map(|credential| credential.may_send.as_ref()) {
            may_send.retain(|class| below.contains(class));
        }
        Some(CredentialSettings { may_send: Some(may_send), trust_headers: Some(false) })
    }
}
