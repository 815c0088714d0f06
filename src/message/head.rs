//! Where the header section of a message ends and which fields stand in it.
//!
//! Offsets are into the wire form: CRLF lines, dot-stuffed. The dot a client put before a line is
//! skipped when a name or value is read and kept when bytes are copied. Nothing here fails on bad
//! UTF-8, and every pass over the bytes is linear.

use std::fmt;
use std::ops::Range;

use memchr::memchr;

use super::{address_list, encoded_word};
use crate::smtp::reply::Reply;

/// How much header one message may bring (R58).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    pub header: usize,
    pub field: usize,
    pub fields: usize,
}

impl Default for HeadLimits {
    fn default() -> HeadLimits {
        HeadLimits { header: 256 * 1024, field: 64 * 1024, fields: 1000 }
    }
}

/// A header section beyond the limits; the client's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    HeaderTooLong,
    FieldTooLong,
    TooManyFields,
}

impl HeadError {
    pub fn reply(&self) -> Reply {
        Reply::bad_message(&self.to_string())
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            HeadError::HeaderTooLong => "Message header section too long",
            HeadError::FieldTooLong => "Message header field too long",
            HeadError::TooManyFields => "Too many message header fields",
        })
    }
}

impl std::error::Error for HeadError {}

/// What is wrong with a header section that is taken all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anomalies {
    /// The first line is no field (R47).
    pub no_header: bool,
    /// The first line is the `From ` of an mbox file.
    pub mbox_from: bool,
    /// A line is neither field nor continuation (R46).
    pub odd_line: bool,
    /// A name holds 8-bit or control bytes and so matches nothing (R49).
    pub eight_bit_names: bool,
    /// Lower-case names of single-instance fields that stand there more than once (R48).
    pub repeated: Vec<&'static str>,
}

impl Anomalies {
    /// Whether `malformed_header = "reject"` refuses this message (R46 – R48).
    pub fn is_malformed(&self) -> bool {
        self.no_header || self.odd_line || self.repeated.contains(&"from")
    }

    /// Journal notes.
    pub fn notes(&self) -> Vec<String> {
        let flags = [
            (self.no_header, "no_header"),
            (self.mbox_from, "mbox_from"),
            (self.odd_line && !self.no_header, "bad_header"),
            (self.eight_bit_names, "eight_bit_name"),
        ];
        let flags = flags.iter().filter(|(set, _)| *set).map(|(_, note)| (*note).to_owned());
        flags.chain(self.repeated.iter().map(|name| format!("dup_{}", name.replace('-', "_")))).collect()
    }
}

/// Fields a message has at most one of (RFC 5322 section 3.6, RFC 2369 section 3.4, RFC 8058).
const SINGLE_INSTANCE: [&str; 10] = [
    "from",
    "subject",
    "date",
    "message-id",
    "to",
    "cc",
    "sender",
    "reply-to",
    "list-unsubscribe",
    "list-unsubscribe-post",
];

/// The header section of one message, found but not copied.
#[derive(Clone, Debug)]
pub struct MessageHead {
    entries: Vec<Entry>,
    body_start: usize,
    separator_missing: bool,
    anomalies: Anomalies,
}

#[derive(Clone, Debug)]
struct Entry {
    start: usize,
    end: usize,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Field {
        name: Range<usize>,
        value: usize,
    },
    /// The name stands alone on its line and the colon on the next: a field for some readers.
    FoldedName {
        name: Range<usize>,
        value: usize,
    },
    /// Neither field nor continuation; neighbouring odd lines are one entry.
    Odd {
        last_line: usize,
    },
}

impl MessageHead {
    /// Finds the header section. `wire` is the message, or at least its first `limits.header` + 64 KiB bytes.
    pub fn locate(wire: &[u8], limits: &HeadLimits) -> Result<MessageHead, HeadError> {
        let mut scan = Scan { wire, entries: Vec::new(), fields: 0, anomalies: Anomalies::default() };
        let header_end = scan.run(limits)?;
        let Scan { entries, mut anomalies, .. } = scan;
        let first_is_field = matches!(entries.first(), Some(Entry { kind: Kind::Field { .. }, .. }));
        // An empty first line is an empty header section with its separator in place.
        let separator_missing = !first_is_field && (wire.is_empty() || !entries.is_empty());
        anomalies.no_header = !first_is_field;
        let body_start = if separator_missing { 0 } else { header_end };
        let mut head = MessageHead { entries, body_start, separator_missing, anomalies };
        head.anomalies.repeated = head.repeated(wire);
        Ok(head)
    }

    /// Offset of the first body byte, behind the empty line. 0 when the first line is no field (R47).
    pub fn body_start(&self) -> usize {
        self.body_start
    }

    /// Whether anything put on top needs its own empty line below it (R47).
    pub fn separator_missing(&self) -> bool {
        self.separator_missing
    }

    pub fn anomalies(&self) -> &Anomalies {
        &self.anomalies
    }

    /// The fields of the header section, odd lines skipped; none when there is no header.
    pub fn fields<'a>(&'a self, wire: &'a [u8]) -> impl Iterator<Item = Field<'a>> {
        let entries = if self.separator_missing { &[] } else { self.entries.as_slice() };
        entries.iter().filter_map(move |entry| entry.field(wire))
    }

    /// Spans of all fields whose lower-case name is wanted, in order.
    pub fn spans(&self, wire: &[u8], wanted: impl Fn(&str) -> bool) -> Vec<Range<usize>> {
        let wanted = |field: &Field<'_>| wanted(&field.name().to_ascii_lowercase());
        self.fields(wire).filter(wanted).map(|field| field.span()).collect()
    }

    /// Every way a reader may understand the section (R46): one for a clean header, else the fields
    /// before the first odd line, all fields without the odd lines, and all fields with the odd lines
    /// as continuation of the field above.
    pub fn readings<'a>(&'a self, wire: &'a [u8]) -> Vec<Vec<Field<'a>>> {
        let skipping: Vec<_> = self.entries.iter().filter_map(|entry| entry.field(wire)).collect();
        let Some(odd) = self.entries.iter().position(|entry| !entry.is_plain()) else {
            return vec![skipping];
        };
        let before = self.entries[..odd].iter().filter_map(|entry| entry.field(wire)).collect();
        let mut readings = vec![before, skipping];
        if odd > 0 {
            readings.push(self.joining(wire));
        }
        readings
    }

    fn joining<'a>(&'a self, wire: &'a [u8]) -> Vec<Field<'a>> {
        let mut fields: Vec<Field<'a>> = Vec::new();
        for entry in &self.entries {
            match (fields.last_mut(), entry.is_plain()) {
                (Some(field), false) => field.end = entry.end,
                _ => fields.extend(entry.field(wire)),
            }
        }
        fields
    }

    fn repeated(&self, wire: &[u8]) -> Vec<&'static str> {
        let mut counts = [0_usize; SINGLE_INSTANCE.len()];
        for field in self.fields(wire) {
            if let Some(index) = SINGLE_INSTANCE.iter().position(|name| field.is(name)) {
                counts[index] += 1;
            }
        }
        SINGLE_INSTANCE.iter().zip(counts).filter(|(_, count)| *count > 1).map(|(name, _)| *name).collect()
    }
}

impl Entry {
    fn is_plain(&self) -> bool {
        matches!(self.kind, Kind::Field { .. })
    }

    fn field<'a>(&self, wire: &'a [u8]) -> Option<Field<'a>> {
        match &self.kind {
            Kind::Odd { .. } => None,
            Kind::Field { name, value } | Kind::FoldedName { name, value } => {
                Some(Field { wire, start: self.start, end: self.end, name: name.clone(), value: *value })
            }
        }
    }
}

/// One pass over the lines up to the first empty one.
struct Scan<'a> {
    wire: &'a [u8],
    entries: Vec<Entry>,
    fields: usize,
    anomalies: Anomalies,
}

impl Scan<'_> {
    /// Returns the offset behind the header section.
    fn run(&mut self, limits: &HeadLimits) -> Result<usize, HeadError> {
        let mut start = 0;
        while start < self.wire.len() {
            let end = memchr(b'\n', &self.wire[start..]).map_or(self.wire.len(), |at| start + at + 1);
            if matches!(&self.wire[start..end], b"\r\n" | b"\n") {
                return Ok(end);
            }
            if end > limits.header {
                return Err(HeadError::HeaderTooLong);
            }
            self.line(start, end);
            if self.fields > limits.fields {
                return Err(HeadError::TooManyFields);
            }
            if self.entries.last().is_some_and(|entry| entry.is_plain() && entry.end - entry.start > limits.field) {
                return Err(HeadError::FieldTooLong);
            }
            start = end;
        }
        Ok(start)
    }

    fn line(&mut self, start: usize, end: usize) {
        let text = start + usize::from(self.wire[start] == b'.');
        let continues = matches!(self.wire.get(text), Some(b' ' | b'\t'));
        if continues && !self.entries.is_empty() {
            self.continuation(text, end);
        } else if let Some((name, value)) = field_name(self.wire, text, end) {
            self.anomalies.eight_bit_names |= name.is_empty();
            self.fields += 1;
            self.entries.push(Entry { start, end, kind: Kind::Field { name, value } });
        } else {
            self.odd_line(start, text, end);
        }
    }

    fn odd_line(&mut self, start: usize, text: usize, end: usize) {
        let line = &self.wire[text..end];
        let mbox = line.starts_with(b"From ") || line.starts_with(b">From ");
        self.anomalies.mbox_from |= self.entries.is_empty() && mbox;
        self.anomalies.odd_line = true;
        match self.entries.last_mut() {
            Some(Entry { end: entry_end, kind: Kind::Odd { last_line }, .. }) => {
                *entry_end = end;
                *last_line = start;
            }
            _ => self.entries.push(Entry { start, end, kind: Kind::Odd { last_line: start } }),
        }
    }

    fn continuation(&mut self, text: usize, end: usize) {
        let wire = self.wire;
        let Some(entry) = self.entries.last_mut() else { return };
        let start_of_line = entry.end;
        entry.end = end;
        let Kind::Odd { last_line } = entry.kind else { return };
        let Some((name, value)) = folded_name(wire, last_line, start_of_line, text, end) else { return };
        // The line above was a name all along: it leaves the odd entry and becomes a field.
        if entry.start == last_line {
            self.entries.pop();
        } else {
            entry.end = last_line;
        }
        self.fields += 1;
        self.entries.push(Entry { start: last_line, end, kind: Kind::FoldedName { name, value } });
    }
}

/// The name and the offset behind the colon, when the line is a field. An unmatchable name is an empty range.
fn field_name(wire: &[u8], text: usize, end: usize) -> Option<(Range<usize>, usize)> {
    let colon = text + memchr(b':', &wire[text..end])?;
    let name = wire[text..colon].trim_ascii_end(); // RFC 5322 section 4.5.3 allows blanks before the colon
    if name.is_empty() || name.iter().any(|byte| matches!(byte, b' ' | b'\t')) {
        return None;
    }
    let length = if name.iter().all(u8::is_ascii_graphic) { name.len() } else { 0 };
    Some((text..text + length, colon + 1))
}

/// The same for a name alone on the line at `name_line` with the colon first on the line at `text`.
fn folded_name(
    wire: &[u8],
    name_line: usize,
    name_line_end: usize,
    text: usize,
    end: usize,
) -> Option<(Range<usize>, usize)> {
    let start = name_line + usize::from(wire[name_line] == b'.');
    let name = wire[start..name_line_end].trim_ascii_end();
    let blanks = wire[text..end].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    (is_name && wire.get(text + blanks) == Some(&b':')).then(|| (start..start + name.len(), text + blanks + 1))
}

/// One header field where it stands.
#[derive(Clone, Debug)]
pub struct Field<'a> {
    wire: &'a [u8],
    start: usize,
    end: usize,
    name: Range<usize>,
    value: usize,
}

impl<'a> Field<'a> {
    /// All its bytes, with continuation lines and the last CRLF.
    pub fn span(&self) -> Range<usize> {
        self.start..self.end
    }

    /// As written; "" for a name that can match nothing (R49).
    pub fn name(&self) -> &'a str {
        std::str::from_utf8(&self.wire[self.name.clone()]).unwrap_or("")
    }

    pub fn is(&self, name: &str) -> bool {
        !self.name.is_empty() && self.name().eq_ignore_ascii_case(name)
    }

    /// Blanks stand before its colon, the obsolete form (RFC 5322 section 4.5): not all readers take it for a field.
    pub fn is_obsolete(&self) -> bool {
        self.name.end + 1 < self.value
    }

    /// The bytes behind the colon, folding, stuffed dots and last CRLF included.
    pub fn raw_value(&self) -> &'a [u8] {
        &self.wire[self.value..self.end]
    }

    /// The value on one line, trimmed; bad UTF-8 replaced.
    pub fn unfolded(&self) -> String {
        let raw = self.raw_value();
        let mut value = Vec::with_capacity(raw.len());
        for (index, line) in raw.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let line = if index > 0 { line.strip_prefix(b".").unwrap_or(line) } else { line };
            if index > 0 && !matches!(line.first(), Some(b' ' | b'\t')) {
                value.push(b' '); // an odd line read as continuation
            }
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            value.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        }
        String::from_utf8_lossy(value.trim_ascii()).into_owned()
    }

    /// The unfolded value with its encoded words (RFC 2047) decoded.
    pub fn decoded(&self) -> String {
        encoded_word::decode(&self.unfolded())
    }

    /// Every address of an address field, as written, without display names, comments and routes.
    pub fn addresses(&self) -> Vec<String> {
        address_list::addresses(&self.unfolded())
    }
}

#[cfg(test)]
mod tests;
