//! How bytes from elsewhere are written so that they stay what they are.

/// The wire form of CRLF lines: one more dot before a line that starts with one (RFC 5321 section 4.5.2).
pub fn dot_stuffed(text: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::with_capacity(text.len() + 16);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    stuffed
}

/// The lines a wire form stands for, the last one closed.
pub fn unstuffed(wire: &[u8]) -> Vec<u8> {
    let lines = wire.split_inclusive(|byte| *byte == b'\n');
    let mut text: Vec<u8> = lines.flat_map(|line| line.strip_prefix(b".").unwrap_or(line)).copied().collect();
    if !text.is_empty() && !text.ends_with(b"\r\n") {
        text.extend_from_slice(b"\r\n");
    }
    text
}

/// Quoted-printable of CRLF lines (RFC 2045 section 6.7).
pub fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(text.len() * 2);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let content = line.strip_suffix(b"\r\n").unwrap_or(line);
        let mut column = 0;
        for (index, byte) in content.iter().enumerate() {
            let is_last = index + 1 == content.len();
            let plain = byte.is_ascii_graphic() && *byte != b'=' || matches!(byte, b' ' | b'\t') && !is_last;
            if column + if plain { 1 } else { 3 } > 75 {
                encoded.extend_from_slice(b"=\r\n");
                column = 0;
            }
            if plain {
                encoded.push(*byte);
                column += 1;
            } else {
                encoded.extend_from_slice(format!("={byte:02X}").as_bytes());
                column += 3;
            }
        }
        if content.len() < line.len() {
            encoded.extend_from_slice(b"\r\n");
        }
    }
    encoded
}

/// Undoes xtext (RFC 3461 section 4); what would not be printable ASCII becomes a blank.
pub fn xtext_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let pair = after.get(..2).filter(|_| *byte == b'+').and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    bytes.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { ' ' }).collect()
}

/// The `utf-8-addr-xtext` form of RFC 6533 section 3.
pub fn utf8_address_in_ascii(address: &str) -> String {
    let mut encoded = String::with_capacity(address.len() * 3);
    for character in address.chars() {
        if character.is_ascii_graphic() && !matches!(character, '\\' | '+' | '=') {
            encoded.push(character);
        } else {
            encoded.push_str(&format!("\\x{{{:02X}}}", u32::from(character)));
        }
    }
    encoded
}
