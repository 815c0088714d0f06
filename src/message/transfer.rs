//! Content transfer encodings over wire form (RFC 2045 section 6): what bytes a part stands for, and where each of them
//! came from.

mod base64_stream;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub use base64_stream::{Base64Reader, Base64Writer};

/// The longest line of a quoted-printable part, without CRLF.
pub const QUOTED_LINE: usize = 76;

/// How a part's bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// 7bit, 8bit, binary.
    Identity,
    QuotedPrintable,
    Base64,
    /// RFC 2045 section 6.4: then nobody knows what the bytes are.
    Unknown,
}

impl Transfer {
    /// Names are read as readers take them, `8bits` and `8-bit` too.
    pub fn named(value: &str) -> Transfer {
        let letters = value.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| char::from(byte.to_ascii_lowercase()));
        match letters.collect::<String>().as_str() {
            "" | "7bit" | "7bits" | "8bit" | "8bits" | "binary" => Transfer::Identity,
            "quotedprintable" => Transfer::QuotedPrintable,
            "base64" => Transfer::Base64,
            _ => Transfer::Unknown,
        }
    }
}

/// The bytes a part stands for. `wire` begins at the start of a line.
pub fn decode(wire: &[u8], transfer: Transfer) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(wire.len());
    match transfer {
        Transfer::Base64 => {
            let mut reader = Base64Reader::default();
            reader.read(wire, |bytes| decoded.extend_from_slice(bytes));
            reader.finish(|bytes| decoded.extend_from_slice(bytes));
        }
        _ => each_byte(wire, transfer, |byte, _| decoded.push(byte)),
    }
    decoded
}

/// Where in the wire form these decoded bytes stand, from the first of them to the last; the ranges ascend and are not
/// empty. Not for base64, whose bytes share characters.
pub fn locate(wire: &[u8], transfer: Transfer, wanted: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::with_capacity(wanted.len());
    let (mut number, mut next) = (0, 0);
    each_byte(wire, transfer, |_, at| {
        if let Some(range) = wanted.get(next) {
            if number == range.start {
                found.push(at.clone());
            }
            if number + 1 == range.end {
                found[next].end = at.end;
                next += 1;
            }
        }
        number += 1;
    });
    found
}

/// Each decoded byte with the wire bytes that stand for it.
fn each_byte(wire: &[u8], transfer: Transfer, mut take: impl FnMut(u8, Range<usize>)) {
    let mut start = 0;
    while start < wire.len() {
        let end = memchr::memchr(b'\n', &wire[start..]).map_or(wire.len(), |at| start + at + 1);
        let text = start + usize::from(wire[start] == b'.');
        match transfer {
            Transfer::QuotedPrintable => quoted_line(wire, text, end, &mut take),
            _ => (text..end).for_each(|at| take(wire[at], at..at + 1)),
        }
        start = end;
    }
}

fn quoted_line(wire: &[u8], text: usize, end: usize, take: &mut impl FnMut(u8, Range<usize>)) {
    let line = wire[text..end].strip_suffix(b"\n").unwrap_or(&wire[text..end]);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line_end = text + line.len();
    // Blanks at a line's end were added on the way (RFC 2045 section 6.7, rule 3).
    let blanks = line.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let mut stop = line_end - blanks;
    let soft = stop > text && wire[stop - 1] == b'=';
    stop -= usize::from(soft);
    let mut at = text;
    while at < stop {
        let hex = if wire[at] == b'=' { wire[..stop].get(at + 1..at + 3) } else { None };
        match hex.and_then(from_hex) {
            Some(byte) => {
                take(byte, at..at + 3);
                at += 3;
            }
            None => {
                take(wire[at], at..at + 1);
                at += 1;
            }
        }
    }
    if !soft {
        (line_end..end).for_each(|at| take(wire[at], at..at + 1));
    }
}

fn from_hex(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(digits[0])? * 16 + digit(digits[1])?)
}

/// Quoted-printable lines as they are written, from a column on.
pub struct QuotedWriter {
    pub out: Vec<u8>,
    column: usize,
}

impl QuotedWriter {
    pub fn new(column: usize) -> QuotedWriter {
        QuotedWriter { out: Vec::new(), column }
    }

    /// Text that stands for these bytes; a CR LF among them is written as one when `hard_breaks`.
    pub fn write(&mut self, bytes: &[u8], hard_breaks: bool) {
        let mut at = 0;
        while at < bytes.len() {
            if hard_breaks && bytes[at..].starts_with(b"\r\n") {
                self.hard_break();
                at += 2;
                continue;
            }
            let at_line_end = at + 1 == bytes.len() || hard_breaks && bytes[at + 1..].starts_with(b"\r\n");
            self.byte(bytes[at], at_line_end);
            at += 1;
        }
    }

    pub fn hard_break(&mut self) {
        self.out.extend_from_slice(b"\r\n");
        self.column = 0;
    }

    pub fn soft_break(&mut self) {
        self.out.push(b'=');
        self.hard_break();
    }

    fn byte(&mut self, byte: u8, at_line_end: bool) {
        let plain = byte.is_ascii_graphic() && byte != b'=' || byte == b' ' && !at_line_end;
        let length = if plain { 1 } else { 3 };
        // One column is left for the `=` of a soft break.
        if self.column + length > QUOTED_LINE - 1 {
            self.soft_break();
        }
        self.column += length;
        if !plain {
            self.out.extend_from_slice(format!("={byte:02X}").as_bytes());
            return;
        }
        if byte == b'.' && self.column == 1 {
            self.out.push(b'.'); // stuffed (RFC 5321 section 4.5.2)
        }
        self.out.push(byte);
    }
}
