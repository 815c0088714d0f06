//! Groups of fields in the machine-readable parts of reports (RFC 3464 section 2.1).

use crate::message::head::{HeadLimits, MessageHead};
use crate::smtp::address::EmailAddress;

const LIMITS: HeadLimits = HeadLimits { header: 64 * 1024, field: 8 * 1024, fields: 200 };
/// So many groups are read.
const MOST_GROUPS: usize = 200;

/// Names and unfolded values of one group.
pub(super) struct Group(Vec<(String, String)>);

impl Group {
    pub fn first(&self, name: &str) -> Option<&str> {
        let field = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.as_str())
    }

    pub fn all(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// The groups that stand apart by blank lines. What cannot be read is passed over.
pub(super) fn groups(content: &[u8]) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut rest = content;
    while !rest.is_empty() && groups.len() < MOST_GROUPS {
        let end = end_of_group(rest);
        groups.extend(group(&rest[..end]));
        rest = &rest[end..];
    }
    groups
}

/// Behind the blank line; leading blank lines are a group without a field.
fn end_of_group(content: &[u8]) -> usize {
    let mut start = 0;
    while start < content.len() {
        let end = memchr::memchr(b'\n', &content[start..]).map_or(content.len(), |at| start + at + 1);
        if content[start..end].trim_ascii().is_empty() {
            return end;
        }
        start = end;
    }
    start
}

fn group(bytes: &[u8]) -> Option<Group> {
    let head = MessageHead::locate(bytes, &LIMITS).ok()?;
    let fields: Vec<_> = head.fields(bytes).map(|field| (field.name().to_owned(), field.decoded())).collect();
    (!fields.is_empty()).then_some(Group(fields))
}

/// `rfc822; anna@x.example`: an address behind its type, which some leave out.
pub(super) fn typed_address(value: &str) -> Option<EmailAddress> {
    let address = match value.split_once(';') {
        Some((kind, rest)) if !kind.contains(['@', '<']) => rest,
        _ => value,
    };
    bare_address(address)
}

/// An address with or without angle brackets.
pub(super) fn bare_address(text: &str) -> Option<EmailAddress> {
    let text = text.trim();
    let inner = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text);
    EmailAddress::parse(inner.trim()).ok()
}
