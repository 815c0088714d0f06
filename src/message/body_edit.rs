//! Edits to a body by byte range: places found once for a message, written for each recipient, every other byte as it
//! came.

mod lines;
#[cfg(test)]
mod tests;
mod writer;

use std::ops::Range;

use super::charset::{Charset, Substitute};
use super::footer::Wording;
use super::transfer::{QuotedWriter, Transfer};

pub use writer::BodyWriter;

/// What may be written into one message's body, and where.
#[derive(Clone, Debug, Default)]
pub struct BodyPlan {
    pub parts: Vec<PartPlan>,
    /// The language the message is in, as it says itself.
    pub language: Option<String>,
}

/// The places in one text or HTML part.
#[derive(Clone, Debug)]
pub struct PartPlan {
    pub charset: Charset,
    pub transfer: Transfer,
    /// No other bytes than ASCII may be written.
    pub seven_bit: bool,
    pub base64: Base64Plan,
    /// Its line ends, as decoded.
    pub newline: &'static str,
    /// Where the address that stands for each recipient's link is written.
    pub links: Vec<LinkSpot>,
    pub footer: Option<FooterSpot>,
}

/// How a base64 part is written anew.
#[derive(Clone, Debug, Default)]
pub struct Base64Plan {
    /// From its first character to its last.
    pub range: Range<u64>,
    pub line_length: usize,
    /// No line end follows it.
    pub closes: bool,
}

/// One such address.
#[derive(Clone, Debug)]
pub struct LinkSpot {
    pub wire: Range<u64>,
    pub decoded: Range<usize>,
    pub line: LineAround,
}

/// The line an address stands on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineAround {
    /// How many bytes stand before it.
    pub column: usize,
    /// How many come behind it.
    pub tail: usize,
    /// The first of those is a dot.
    pub dot_follows: bool,
    /// The nearest blank before and behind it, on the same line and not beyond another address.
    pub blank_before: Option<u64>,
    pub blank_behind: Option<u64>,
}

/// Where a footer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FooterSpot {
    pub wire: u64,
    pub decoded: usize,
    pub form: Form,
    /// Line ends before it, so that it begins a line below an empty one.
    pub lead: usize,
    /// A line end behind it.
    pub closes: bool,
    /// It stands behind a blank, which at the end of a quoted-printable line would be lost.
    pub behind_blank: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text { flowed: bool },
    Html,
}

/// What one recipient's copy says in these places.
#[derive(Clone, Copy, Debug)]
pub struct Personal<'a> {
    pub link: &'a str,
    /// The footer's wording and the sender's name, when there is to be one.
    pub footer: Option<(&'a Wording, &'a str)>,
}

/// The edits of one copy, in order and apart from each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyEdits(pub(super) Vec<Edit>);

/// Wire bytes in a range make way for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub range: Range<u64>,
    pub change: Change,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Write(Vec<u8>),
    /// The range is base64; these decoded ranges are replaced.
    Recode {
        splices: Vec<(Range<usize>, Vec<u8>)>,
        line_length: usize,
        closes: bool,
    },
}

impl BodyPlan {
    /// Whether a copy differs from the message at all.
    pub fn changes(&self, with_footer: bool) -> bool {
        self.parts.iter().any(|part| !part.links.is_empty() || with_footer && part.footer.is_some())
    }

    pub fn edits(&self, personal: &Personal<'_>) -> BodyEdits {
        let mut edits: Vec<Edit> = self.parts.iter().flat_map(|part| part.edits(personal)).collect();
        edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
        BodyEdits(edits)
    }
}

impl PartPlan {
    fn edits(&self, personal: &Personal<'_>) -> Vec<Edit> {
        let footer = self.footer.zip(personal.footer);
        let footer =
            footer.map(|(spot, (wording, name))| (spot, self.footer_text(&spot, wording, name, personal.link)));
        let write = |range: Range<u64>, bytes| Edit { range, change: Change::Write(bytes) };
        match self.transfer {
            Transfer::Base64 => self.recoded(personal.link, footer).into_iter().collect(),
            Transfer::QuotedPrintable => {
                let links =
                    self.links.iter().map(|spot| write(spot.wire.clone(), self.quoted_link(spot, personal.link)));
                let footer = footer.map(|(spot, text)| write(spot.wire..spot.wire, self.quoted_footer(&spot, &text)));
                links.chain(footer).collect()
            }
            Transfer::Identity | Transfer::Unknown => {
                let mut edits = lines::replace(&self.links, &self.encoded_link(personal.link));
                let footer = footer.map(|(spot, text)| (spot, stuffed(&self.in_charset(&text, &spot))));
                edits.extend(footer.map(|(spot, bytes)| write(spot.wire..spot.wire, bytes)));
                edits
            }
        }
    }

    fn encoded_link(&self, link: &str) -> Vec<u8> {
        self.charset.encode(link, true, Substitute::Ascii)
    }

    /// The footer's lines with the line ends around them.
    fn footer_text(&self, spot: &FooterSpot, wording: &Wording, name: &str, link: &str) -> String {
        let lines = match spot.form {
            Form::Text { flowed } => wording.in_text(name, link, flowed),
            Form::Html => wording.in_html(name, link),
        };
        let newline = if self.transfer == Transfer::Base64 { self.newline } else { "\r\n" };
        let closing = if spot.closes { newline } else { "" };
        newline.repeat(spot.lead) + &lines.join(newline) + closing
    }

    fn in_charset(&self, text: &str, spot: &FooterSpot) -> Vec<u8> {
        let substitute = if spot.form == Form::Html { Substitute::Html } else { Substitute::Ascii };
        self.charset.encode(text, self.seven_bit, substitute)
    }

    fn recoded(&self, link: &str, footer: Option<(FooterSpot, String)>) -> Option<Edit> {
        let link = self.encoded_link(link);
        let mut splices: Vec<_> = self.links.iter().map(|spot| (spot.decoded.clone(), link.clone())).collect();
        splices.extend(footer.map(|(spot, text)| (spot.decoded..spot.decoded, self.in_charset(&text, &spot))));
        splices.sort_by_key(|(range, _)| range.start);
        let changed = !splices.is_empty();
        let Base64Plan { range, line_length, closes } = self.base64.clone();
        changed.then_some(Edit { range, change: Change::Recode { splices, line_length, closes } })
    }

    /// The link on quoted-printable lines of its own, so that the bytes beside it stay as they are.
    fn quoted_link(&self, spot: &LinkSpot, link: &str) -> Vec<u8> {
        let mut quoted = QuotedWriter::new(spot.line.column);
        if spot.line.column > 0 {
            quoted.soft_break();
        }
        quoted.write(&self.encoded_link(link), false);
        if spot.line.tail > 0 {
            quoted.soft_break();
        }
        if spot.line.tail > 0 && spot.line.dot_follows {
            quoted.out.push(b'.');
        }
        quoted.out
    }

    fn quoted_footer(&self, spot: &FooterSpot, text: &str) -> Vec<u8> {
        let mut quoted = QuotedWriter::new(0);
        let bytes = self.in_charset(text, spot);
        if self.charset.is_wide() {
            // A line end of this charset is no CR LF: all is written out, on lines of its own.
            quoted.soft_break();
            quoted.write(&bytes, false);
            quoted.soft_break();
        } else {
            if spot.behind_blank {
                quoted.soft_break();
            }
            quoted.write(&bytes, true);
        }
        quoted.out
    }
}

/// A dot doubled at the start of a line (RFC 5321 section 4.5.2). The text begins in the middle of one, or with a line
/// end, or with no dot.
fn stuffed(bytes: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    wire
}

impl BodyEdits {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// By how much the content grows, or nearly.
    pub fn growth(&self) -> u64 {
        let grown = |edit: &Edit| match &edit.change {
            Change::Write(bytes) => (bytes.len() as u64).saturating_sub(edit.range.end - edit.range.start),
            // Four characters for three bytes, and line ends.
            Change::Recode { splices, .. } => splices.iter().map(|(_, bytes)| bytes.len() as u64 * 3 / 2 + 8).sum(),
        };
        self.0.iter().map(grown).sum()
    }
}
