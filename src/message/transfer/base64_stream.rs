//! Base64 a piece at a time, with lines as long as they were.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Reads base64, whatever stands between its characters (RFC 2045 section 6.8).
#[derive(Clone, Copy, Debug, Default)]
pub struct Base64Reader {
    bits: u32,
    /// How many characters are in `bits`.
    count: u8,
    padded: bool,
    runs_on: bool,
}

impl Base64Reader {
    /// Hands over what the next characters stand for. All of a part is read by one reader.
    pub fn read(&mut self, wire: &[u8], mut take: impl FnMut(&[u8])) {
        for &byte in wire {
            if byte == b'=' {
                self.end_group(&mut take);
                self.padded = true;
            } else if let Some(value) = value(byte) {
                self.runs_on |= self.padded;
                self.bits = self.bits << 6 | u32::from(value);
                self.count += 1;
                if self.count == 4 {
                    self.end_group(&mut take);
                }
            }
        }
    }

    /// What is left when the part ends without padding.
    pub fn finish(&mut self, mut take: impl FnMut(&[u8])) {
        self.end_group(&mut take);
    }

    /// Whether more came behind padding: some readers stop there.
    pub fn runs_on_behind_padding(&self) -> bool {
        self.runs_on
    }

    fn end_group(&mut self, take: &mut impl FnMut(&[u8])) {
        let whole = (self.bits << (6 * (4 - u32::from(self.count)))).to_be_bytes();
        let bytes = usize::from(self.count.saturating_sub(1));
        if bytes > 0 {
            take(&whole[1..=bytes]);
        }
        (self.bits, self.count) = (0, 0);
    }
}

fn value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// Writes base64 in lines of one length. The last line has no end.
#[derive(Debug)]
pub struct Base64Writer {
    line: usize,
    column: usize,
    rest: Vec<u8>,
}

impl Base64Writer {
    /// `line` is a multiple of 4.
    pub fn new(line: usize) -> Base64Writer {
        Base64Writer { line, column: 0, rest: Vec::new() }
    }

    pub fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.rest.extend_from_slice(bytes);
        let whole = self.rest.len() - self.rest.len() % 3;
        if whole >= 3 * 256 {
            self.put(whole, out);
        }
    }

    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.put(self.rest.len(), out);
    }

    fn put(&mut self, length: usize, out: &mut Vec<u8>) {
        let text = STANDARD.encode(&self.rest[..length]);
        self.rest.drain(..length);
        let mut text = text.as_bytes();
        while !text.is_empty() {
            if self.column == self.line {
                out.extend_from_slice(b"\r\n");
                self.column = 0;
            }
            let (now, later) = text.split_at(text.len().min(self.line - self.column));
            out.extend_from_slice(now);
            self.column += now.len();
            text = later;
        }
    }
}
