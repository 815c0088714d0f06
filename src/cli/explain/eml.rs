//! A message file in the form it has on the wire.

/// CRLF line ends, a dot doubled at the start of a line, an end of line at the end (RFC 5321 section 4.5.2).
pub(super) fn to_wire(file: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(file.len() + file.len() / 32);
    for line in file.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.first() == Some(&b'.') {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
        wire.extend_from_slice(b"\r\n");
    }
    wire
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_either_line_end_is_the_same_message() {
        let expected = b"From: a@x.example\r\n\r\n..\r\n..dots\r\nend\r\n";
        assert_eq!(to_wire(b"From: a@x.example\n\n.\n.dots\nend"), expected);
        assert_eq!(to_wire(b"From: a@x.example\r\n\r\n.\r\n.dots\r\nend\r\n"), expected);
        assert_eq!(to_wire(b""), b"");
    }
}
