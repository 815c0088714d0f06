//! What a part's bytes say in its charset, where each character stands, and text written back into it.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use encoding_rs::{CoderResult, EncoderResult, Encoding, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use unicode_normalization::UnicodeNormalization;

/// A charset a part was declared to be in.
///
/// encoding_rs knows charsets by what browsers make of their names: `us-ascii` and `iso-8859-1` are read as
/// windows-1252. That is right for reading; what is written stays within what was declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset {
    encoding: &'static Encoding,
    room: Room,
}

/// Which bytes may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Ascii,
    /// ISO 8859: none from 0x80 to 0x9F.
    Iso8859,
    All,
}

/// Which end of a character is meant: escape sequences before it are not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    Start,
    End,
}

/// What becomes of characters a charset cannot say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Substitute {
    /// Letters without their marks, plain signs.
    Ascii,
    /// Numeric character references.
    Html,
}

impl Charset {
    /// The charset of this name and these bytes; without a name it is US-ASCII (RFC 2045 section 5.2). `None`: nobody
    /// knows it.
    pub fn of(name: Option<&str>, bytes: &[u8]) -> Option<Charset> {
        let name = name.map(|name| name.trim().to_ascii_lowercase()).unwrap_or_default();
        if matches!(name.as_str(), "" | "us-ascii" | "ascii" | "ansi_x3.4-1968") {
            // Bytes that should not be there are what they are most often.
            let encoding = if std::str::from_utf8(bytes).is_ok() { UTF_8 } else { WINDOWS_1252 };
            return Some(Charset { encoding, room: Room::Ascii });
        }
        let encoding = Encoding::for_label_no_replacement(name.as_bytes())?;
        let is_iso = name.contains("8859") || name.starts_with("latin") || name.starts_with("l1");
        let room = if is_iso { Room::Iso8859 } else { Room::All };
        let encoding = if encoding == UTF_16LE || encoding == UTF_16BE { utf_16(&name, bytes) } else { encoding };
        Some(Charset { encoding, room })
    }

    /// Whether ASCII characters are written as other bytes than in ASCII, line ends too.
    pub fn is_wide(self) -> bool {
        self.encoding == UTF_16BE || self.encoding == UTF_16LE
    }

    pub fn decode(self, bytes: &[u8]) -> Cow<'_, str> {
        self.encoding.decode_without_bom_handling(bytes).0
    }

    /// Where these places of the decoded text stand in the bytes; they ascend. `None`: somewhere the bytes are not
    /// what they claim to be, and nobody can tell.
    pub fn locate(self, bytes: &[u8], wanted: &[(usize, Edge)]) -> Vec<Option<usize>> {
        if self.encoding == UTF_8 && std::str::from_utf8(bytes).is_ok() {
            return wanted.iter().map(|(place, _)| Some(*place)).collect();
        }
        let mut course = Course {
            charset: self,
            bytes,
            decoder: self.encoding.new_decoder_without_bom_handling(),
            read: 0,
            written: 0,
        };
        wanted.iter().map(|(place, edge)| course.reach(*place, *edge)).collect()
    }

    /// The text in this charset, as 7-bit bytes where nothing else may stand.
    pub fn encode(self, text: &str, seven_bit: bool, substitute: Substitute) -> Vec<u8> {
        let says = |character: char| self.says(character, seven_bit);
        let mut fitting = String::with_capacity(text.len());
        for character in text.chars() {
            if says(character) {
                fitting.push(character);
                continue;
            }
            match substitute {
                Substitute::Html => fitting.push_str(&format!("&#{};", u32::from(character))),
                Substitute::Ascii => fold(character, &mut fitting),
            }
        }
        match self.encoding {
            encoding if encoding == UTF_16LE => fitting.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            encoding if encoding == UTF_16BE => fitting.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            encoding => encoding.encode(&fitting).0.into_owned(),
        }
    }

    fn says(self, character: char, seven_bit: bool) -> bool {
        if character.is_ascii() {
            return true;
        }
        if self.room == Room::Ascii || seven_bit && self.encoding != ISO_2022_JP && !self.is_wide() {
            return false;
        }
        if self.is_wide() {
            return true;
        }
        let mut bytes = [0; 16];
        let mut utf_8 = [0; 4];
        let text = character.encode_utf8(&mut utf_8);
        let (result, _, written) =
            self.encoding.new_encoder().encode_from_utf8_without_replacement(text, &mut bytes, true);
        let is_control = |byte: &u8| (0x80..0xa0).contains(byte);
        matches!(result, EncoderResult::InputEmpty)
            && !(self.room == Room::Iso8859 && bytes[..written].iter().any(is_control))
    }
}

/// Its byte order mark tells; else its name, else where the NULs of Western text stand.
fn utf_16(name: &str, bytes: &[u8]) -> &'static Encoding {
    match (bytes, name) {
        ([0xff, 0xfe, ..], _) => UTF_16LE,
        ([0xfe, 0xff, ..], _) => UTF_16BE,
        (_, "utf-16be") => UTF_16BE,
        (_, "utf-16") if bytes.first() == Some(&0) => UTF_16BE,
        _ => UTF_16LE,
    }
}

/// A way through the bytes of a text.
struct Course<'a> {
    charset: Charset,
    bytes: &'a [u8],
    decoder: encoding_rs::Decoder,
    read: usize,
    written: usize,
}

impl Course<'_> {
    fn reach(&mut self, place: usize, edge: Edge) -> Option<usize> {
        // The decoder stops early where room gets short; the last characters are gone through one byte at a time.
        const CLOSE: usize = 64;
        let mut text = [0; 4096];
        while place.saturating_sub(self.written) > CLOSE {
            let room = (place - self.written - CLOSE / 2).min(text.len());
            let (_, read, written, _) = self.decoder.decode_to_utf8(&self.bytes[self.read..], &mut text[..room], false);
            self.read += read;
            self.written += written;
            if read == 0 && written == 0 {
                break;
            }
        }
        while self.written < place && self.read < self.bytes.len() {
            self.step(&mut text);
        }
        while edge == Edge::Start
            && self.charset.encoding == ISO_2022_JP
            && self.bytes[self.read..].first() == Some(&0x1b)
        {
            let behind = self.bytes.len().min(self.read + 3);
            while self.read < behind {
                self.step(&mut text);
            }
        }
        (self.written == place).then_some(self.read)
    }

    fn step(&mut self, text: &mut [u8]) {
        let (result, read, written, _) = self.decoder.decode_to_utf8(&self.bytes[self.read..=self.read], text, false);
        debug_assert!(result == CoderResult::InputEmpty && read == 1);
        self.read += 1;
        self.written += written;
    }
}

/// A character in ASCII, as near as it gets.
fn fold(character: char, out: &mut String) {
    let known = match character {
        'œ' => "oe",
        'Œ' => "OE",
        'æ' => "ae",
        'Æ' => "AE",
        'ß' => "ss",
        'ø' => "o",
        'Ø' => "O",
        'ł' => "l",
        'Ł' => "L",
        'đ' | 'ð' => "d",
        '‘' | '’' | '‚' | 'ʼ' => "'",
        '“' | '”' | '„' | '«' | '»' => "\"",
        '–' | '—' | '‐' | '‑' | '−' => "-",
        '…' => "...",
        '€' => "EUR",
        '•' | '·' => "*",
        '→' => "->",
        _ => "",
    };
    if !known.is_empty() {
        return out.push_str(known);
    }
    let before = out.len();
    out.extend(std::iter::once(character).nfkd().filter(char::is_ascii));
    if out.len() == before && !unicode_normalization::char::is_combining_mark(character) {
        out.push('?');
    }
}
