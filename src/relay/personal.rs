//! What a promotional copy carries for its recipient alone: the way out (R54–R56).

use jiff::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};

use super::body;
use super::transaction::Transaction;
use crate::config::chain::Target;
use crate::consent::token::UnsubscribeToken;
use crate::message::body_edit::BodyEdits;
use crate::message::edit::HeaderEdits;
use crate::message::list::{self, ListFields};
use crate::message::signature::signature_covers;
use crate::policy::rules::{ExistingListHeaders, OnSigned};
use crate::smtp::address::Width;
use crate::store::{LinkKey, MailerLink};

/// What is done about list fields on the copies of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListPlan {
    /// Ours go in; the mailer's, if any, go out.
    Replace,
    /// The same, and the mailer's one-click address is kept, for an unsubscribe to be passed on to.
    Chain,
    /// The mailer's own stay as they are.
    Keep,
    /// A signature covers them: nothing is touched.
    Leave,
    /// A signature covers them, and the policy would rather not send.
    Refuse,
    /// Nobody is there to answer a link.
    NoLink,
}

impl ListPlan {
    pub fn of(transaction: &Transaction<'_>) -> ListPlan {
        let policy = &transaction.mail.policy;
        let has_own = !list::existing_list_fields(&transaction.head, transaction.mail.spool.memory()).is_empty();
        if transaction.worker.gate.settings.public_web.is_none() {
            return ListPlan::NoLink;
        }
        if transaction.list_fields_are_signed() {
            match transaction.on_signed() {
                OnSigned::Leave => return ListPlan::Leave,
                OnSigned::Reject => return ListPlan::Refuse,
                OnSigned::Resign => {}
            }
        }
        match policy.existing_list_headers {
            ExistingListHeaders::Keep if has_own => ListPlan::Keep,
            ExistingListHeaders::Chain if mailers_link(transaction).is_some() => ListPlan::Chain,
            _ => ListPlan::Replace,
        }
    }

    /// Whether our fields go in.
    fn writes_ours(self) -> bool {
        matches!(self, ListPlan::Replace | ListPlan::Chain)
    }

    /// The journal's word for it.
    pub fn note(self, has_own: bool) -> Option<&'static str> {
        match self {
            ListPlan::Replace if has_own => Some("unsub_replaced"),
            ListPlan::Chain => Some("unsub_chained"),
            ListPlan::Keep => Some("unsub_kept"),
            ListPlan::NoLink => Some("unsub_no_link"),
            _ => None,
        }
    }
}

/// What one recipient's copy says differently.
#[derive(Default)]
pub struct PersonalEdits {
    pub head: HeaderEdits,
    pub body: BodyEdits,
    /// To be durable before the copy goes.
    pub mailer_link: Option<MailerLink>,
}

/// The edits of the copy of the recipient at this position. `None`: it is to carry a link and none can be sealed.
pub fn edits(transaction: &Transaction<'_>, n: usize, plan: &ListPlan) -> Option<PersonalEdits> {
    let mut edits = PersonalEdits::default();
    let in_body = body::is_personal(transaction, n);
    if !plan.writes_ours() && !in_body {
        return Some(edits);
    }
    let Some((link, token)) = one_click_link(transaction, n) else {
        return (!transaction.verdicts[n].footer).then_some(edits);
    };
    if plan.writes_ours() {
        add_fields(transaction, &link, &mut edits.head);
    }
    if *plan == ListPlan::Chain {
        let (key, reference) = (LinkKey::of(&token), transaction.mail.reference.clone());
        edits.mailer_link = mailers_link(transaction).map(|url| MailerLink { key, reference, url });
    }
    if in_body {
        edits.body = body::edits(transaction, n, &link);
    }
    Some(edits)
}

/// Adds the list fields with this link.
fn add_fields(transaction: &Transaction<'_>, link: &str, edits: &mut HeaderEdits) {
    let policy = &transaction.mail.policy;
    let wire = transaction.mail.spool.memory();
    let controller = transaction.classification.controller.as_ref().and_then(|id| policy.controllers.get(id));
    let topic = transaction.classification.topics.first().and_then(|path| policy.topic(path));
    let list_id = topic.map(|topic| policy.list_id_of(topic));
    edits.insert.extend(list::list_fields(&ListFields {
        one_click: link,
        mailto: controller.and_then(|controller| controller.unsubscribe_mailto.as_deref()),
        list_id: list_id.as_deref().filter(|_| may_have_list_id(transaction)),
        list_label: topic.map_or("", |topic| policy.label_of(topic)),
    }));
    edits.remove.extend(list::existing_list_fields(&transaction.head, wire));
}

/// A List-Id can be done without: none is added below a signature that says there is none.
fn may_have_list_id(transaction: &Transaction<'_>) -> bool {
    let (head, wire) = (&transaction.head, transaction.mail.spool.memory());
    let breaks = signature_covers(head, wire, |name| name == "list-id") && transaction.on_signed() != OnSigned::Resign;
    !breaks && !list::has_list_id(head, wire)
}

/// The mailer's one-click address, where an unsubscribe may be passed on to it: a mailer we know, and a message to one
/// person, since of several nobody can tell whose it is.
fn mailers_link(transaction: &Transaction<'_>) -> Option<String> {
    let wire = transaction.mail.spool.memory();
    let url = list::mailers_one_click(&transaction.head, wire)?;
    let allowed = Target::read(&url, &transaction.worker.gate.settings.chain).is_ok();
    (allowed && transaction.mail.envelope.recipients.len() == 1).then_some(url)
}

/// The address of this recipient's page, sealed: it names nobody in clear.
fn one_click_link(transaction: &Transaction<'_>, n: usize) -> Option<(String, UnsubscribeToken)> {
    let gate = &transaction.worker.gate;
    let controller = transaction.classification.controller.clone()?;
    let base = &gate.settings.public_web.as_ref()?.base_url;
    let key = transaction.verdicts[n].recipient.objection_key(Width::WIDEST);
    let token = UnsubscribeToken {
        hash: gate.hashing.contact_hash(&controller, &key),
        controller,
        contact: transaction.contacts[n],
        topics: transaction.classification.topics.clone(),
        issued_at: Timestamp::now(),
    };
    let mut nonce = [0; 12];
    SystemRandom::new().fill(&mut nonce).ok()?;
    let start = format!("{base}/u/");
    let room = list::LONGEST_URI.checked_sub(start.len())?;
    let link = start + &token.seal(&gate.sealing, nonce, room)?;
    Some((link, token))
}
