//! The parts of a message that came in, as far as they are looked at: bounded, whatever is sent.

use crate::message::charset::Charset;
use crate::message::head::MessageHead;
use crate::message::mime::{Anomaly, Kind, Leaves, Multipart, PartHead, Place, Walker};
use crate::message::transfer;

/// So much of each part is looked at.
const MOST_OF_A_PART: usize = 64 * 1024;
/// So much text is looked at in all.
const MOST_TEXT: usize = 64 * 1024;

/// What the parts say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// Of `message/delivery-status` (RFC 3464), transfer encoding undone.
    pub delivery_status: Option<Vec<u8>>,
    /// Of `message/feedback-report` (RFC 5965).
    pub feedback: Option<Vec<u8>>,
    /// Of `message/disposition-notification` (RFC 8098): somebody read something.
    pub disposition: bool,
    /// The message that came back, or its header section.
    pub returned: Option<Vec<u8>>,
    /// What people read.
    pub text: String,
}

/// What a part is to us.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    DeliveryStatus,
    Feedback,
    Disposition,
    Returned,
    Text,
}

impl Role {
    fn of(head: &PartHead) -> Option<Role> {
        match head.media_type.as_str() {
            // RFC 6533 has the same for addresses beyond ASCII.
            "message/delivery-status" | "message/global-delivery-status" => Some(Role::DeliveryStatus),
            "message/feedback-report" => Some(Role::Feedback),
            "message/disposition-notification" | "message/global-disposition-notification" => Some(Role::Disposition),
            "message/rfc822" | "message/global" | "text/rfc822-headers" | "message/global-headers" => {
                Some(Role::Returned)
            }
            _ => matches!(head.kind, Kind::Text | Kind::Html).then_some(Role::Text),
        }
    }
}

pub(super) fn read(head: &MessageHead, wire: &[u8]) -> Parts {
    let top = PartHead::read(head, wire, false);
    let start = head.body_start();
    let mut walker = Walker::new(top, start as u64, Collector::default());
    walker.feed(&wire[start..]);
    walker.finish().parts
}

#[derive(Default)]
struct Collector {
    parts: Parts,
    leaf: Option<(Role, PartHead, Vec<u8>)>,
}

impl Collector {
    fn is_wanted(&self, role: Role) -> bool {
        match role {
            Role::DeliveryStatus => self.parts.delivery_status.is_none(),
            Role::Feedback => self.parts.feedback.is_none(),
            Role::Disposition => !self.parts.disposition,
            Role::Returned => self.parts.returned.is_none(),
            Role::Text => self.parts.text.len() < MOST_TEXT,
        }
    }

    fn read_text(&mut self, head: &PartHead, bytes: &[u8]) {
        let charset = Charset::of(head.charset.as_deref(), bytes);
        let text = charset.map_or_else(|| String::from_utf8_lossy(bytes), |charset| charset.decode(bytes));
        let room = MOST_TEXT.saturating_sub(self.parts.text.len());
        let end = (0..=room.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        self.parts.text.push_str(&text[..end]);
        self.parts.text.push('\n');
    }
}

impl Leaves for Collector {
    fn open(&mut self, _: Multipart) {}

    fn close(&mut self) {}

    fn begin(&mut self, head: PartHead, _: Place, _: u64) {
        let role = Role::of(&head).filter(|role| self.is_wanted(*role));
        self.leaf = role.map(|role| (role, head, Vec::new()));
    }

    fn content(&mut self, bytes: &[u8]) {
        if let Some((_, _, wire)) = &mut self.leaf {
            let room = MOST_OF_A_PART - wire.len();
            wire.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    fn end(&mut self, _: bool) {
        let Some((role, head, wire)) = self.leaf.take() else { return };
        let bytes = transfer::decode(&wire, head.transfer);
        match role {
            Role::DeliveryStatus => self.parts.delivery_status = Some(bytes),
            Role::Feedback => self.parts.feedback = Some(bytes),
            Role::Disposition => self.parts.disposition = true,
            Role::Returned => self.parts.returned = Some(bytes),
            Role::Text => self.read_text(&head, &bytes),
        }
    }

    /// What is not looked into says nothing.
    fn anomaly(&mut self, _: Anomaly) {}
}
