//! The body of a message in the spool: looked at before the decision, and what one recipient's copy says differently.

use std::io;

use super::gate::Worker;
use super::transaction::{Mail, Transaction};
use crate::message::body::{BodyScan, Looked};
use crate::message::body_edit::{BodyEdits, Personal};
use crate::message::footer;
use crate::message::head::MessageHead;
use crate::message::way_out::WaysOut;
use crate::policy::classify::Classification;
use crate::policy::rules::OnSigned;
use crate::smtp::command::Body;

/// Looks for a way out, and for the places where one may be written.
pub fn look(
    worker: &Worker,
    mail: &mut Mail,
    head: &MessageHead,
    classification: &Classification,
    on_signed: OnSigned,
) -> io::Result<Looked> {
    let pages = worker.gate.settings.public_web.as_ref().map(|web| web.base_url.as_str());
    let ways = WaysOut::new(pages, mail.policy.optout_links(classification.controller.as_deref()));
    let eight_bit = mail.envelope.parameters.body == Some(Body::EightBitMime);
    let begin = if on_signed == OnSigned::Resign { BodyScan::of_resigned } else { BodyScan::new };
    let mut scan = begin(head, mail.spool.memory(), &ways, eight_bit);
    let mut pieces = mail.spool.read_from(head.body_start())?;
    loop {
        let piece = pieces.next_piece()?;
        if piece.is_empty() {
            return Ok(scan.finish());
        }
        scan.feed(piece);
    }
}

/// Whether the copy of the recipient at this position differs in its body.
pub fn is_personal(transaction: &Transaction<'_>, n: usize) -> bool {
    transaction.body.changes(transaction.verdicts[n].footer)
}

/// The edits of the copy of the recipient at this position, whose own link this is.
pub fn edits(transaction: &Transaction<'_>, n: usize, link: &str) -> BodyEdits {
    let plan = &transaction.body;
    let controller = transaction.classification.controller.as_ref();
    let controller = controller.and_then(|id| transaction.mail.policy.controllers.get(id));
    let footer = controller.filter(|_| transaction.verdicts[n].footer).map(|controller| {
        let wording = footer::wording(&controller.footer, plan.language.as_deref(), &controller.languages);
        (wording, controller.name.as_str())
    });
    plan.edits(&Personal { link, footer: footer.as_ref().map(|(wording, name)| (wording, *name)) })
}
