//! One message: read, judged, written down. It is answered with 250 only when that is durable.

use jiff::Timestamp;

use super::judge::{Deed, Judge, Judgement, Keep};
use super::listener::Inbox;
use crate::message::incoming;
use crate::smtp::address::EmailAddress;
use crate::store::{StoreError, UnclearMail};
use crate::web::objection;

/// So much of a message that a person has to look at is kept.
const KEPT: usize = 64 * 1024;

/// One message as it was taken.
pub struct Mail<'a> {
    pub session: &'a str,
    pub null_sender: bool,
    /// The mailboxes it was sent to, ours all of them.
    pub to: Vec<EmailAddress>,
    /// Wire form, the beginning of it.
    pub wire: &'a [u8],
    pub at: Timestamp,
}

impl Mail<'_> {
    pub fn digest(&self) -> [u8; 32] {
        let digest = ring::digest::digest(&ring::digest::SHA256, self.wire);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref()); // SHA-256 has 32
        bytes
    }
}

/// Whether mail to this address is for the gate.
pub fn is_a_mailbox(inbox: &Inbox, address: &EmailAddress) -> bool {
    let policy = inbox.gate.policy();
    let mailtos = policy.controllers.values().filter_map(|controller| controller.unsubscribe_mailto.as_deref());
    let ours = mailtos.filter_map(|mailbox| EmailAddress::parse(mailbox).ok());
    ours.chain(inbox.settings.addresses.iter().cloned()).any(|known| known.consent_key() == address.consent_key())
}

/// Resolves when everything that follows from the message is durable. Done again it comes to the same.
pub async fn take(inbox: &Inbox, mail: &Mail<'_>) -> Result<(), StoreError> {
    let gate = &inbox.gate;
    let policy = gate.policy();
    let incoming = incoming::read(mail.wire, mail.null_sender);
    let Judgement { told, deeds } = {
        let mut reader = gate.store.reader()?;
        let (sealing, hashing) = (&gate.sealing, &gate.hashing);
        Judge { reader: &mut reader, policy: &policy, sealing, hashing, mail }.judge(&incoming)?
    };
    for deed in deeds {
        carry_out(inbox, mail, deed).await?;
    }
    tracing::info!(inbox = inbox.settings.name, session = mail.session, outcome = told, "mail to the gate");
    Ok(())
}

async fn carry_out(inbox: &Inbox, mail: &Mail<'_>, deed: Deed) -> Result<(), StoreError> {
    let store = &inbox.gate.store;
    match deed {
        Deed::Object(objection) => objection::record(store, &inbox.gate.hashing, objection).await.map(drop),
        Deed::Event(event) => store.record_event(*event).await.map(drop),
        Deed::Suppress(suppress) => store.suppress(suppress).await,
        Deed::Keep(keep) => {
            let id = store.keep_unclear_mail(unclear(mail, &keep)).await?;
            tracing::warn!(mail = id, why = keep.why, "somebody has to look at this: `consentry inbox show {id}`");
            Ok(())
        }
    }
}

fn unclear(mail: &Mail<'_>, keep: &Keep) -> UnclearMail {
    let mut named = incoming::people(mail.wire);
    named.extend(keep.address.clone());
    let mut people: Vec<String> = named.iter().map(EmailAddress::consent_key).collect();
    people.sort();
    people.dedup();
    UnclearMail {
        at: mail.at,
        why: keep.why.to_owned(),
        controller: keep.controller.clone(),
        address: keep.address.as_ref().map(|address| address.as_str().to_owned()),
        digest: mail.digest(),
        message: mail.wire[..mail.wire.len().min(KEPT)].to_vec(),
        people,
    }
}
