//! What the settings say about the place a message comes from.

use std::net::IpAddr;

use super::settings::{ListenerSettings, Settings};
use crate::policy::facts::Origin;

impl Settings {
    /// A credential lies below its listener's ceiling.
    pub fn origin(&self, listener: &ListenerSettings, user: Option<&str>, client: IpAddr) -> Origin {
        let user = user.filter(|user| !user.is_empty());
        let credential = user.and_then(|user| self.credentials.get(user));
        let mut may_send = listener.may_send.clone();
        if let Some(below) = credential.and_then(|credential| credential.may_send.as_ref()) {
            may_send.retain(|class| below.contains(class));
        }
        Origin {
            listener: listener.name.clone(),
            credential: user.map(str::to_owned),
            client,
            may_send,
            trust_headers: credential.and_then(|one| one.trust_headers).unwrap_or(listener.trust_headers),
            pin: listener.pin.clone(),
        }
    }
}
