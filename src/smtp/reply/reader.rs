//! Upstream's bytes → replies, one at a time and in bounded memory (R19).

use std::fmt;

use super::Reply;

/// Longer than any honest reply line, line end not counted.
const LINE_LIMIT: usize = 2048;
const LINES_LIMIT: usize = 100;

/// Reads one reply after the other. What it was fed and has not returned yet is kept inside, so no byte is looked at
/// twice however small the pieces are.
#[derive(Debug, Default)]
pub struct ReplyReader {
    line: Vec<u8>,
    code: Option<u16>,
    lines: Vec<String>,
}

impl ReplyReader {
    pub fn new() -> ReplyReader {
        ReplyReader::default()
    }

    /// Whether part of a reply has arrived: such a connection has no future with another owner.
    pub fn is_in_reply(&self) -> bool {
        self.code.is_some() || !self.line.is_empty()
    }

    /// Takes bytes up to the end of one reply; says how many it took. After an error the connection is of no use.
    pub fn read(&mut self, input: &[u8]) -> Result<(usize, Option<Reply>), ReplyError> {
        let mut consumed = 0;
        while let Some(length) = memchr::memchr(b'\n', &input[consumed..]) {
            self.append(&input[consumed..consumed + length])?;
            consumed += length + 1;
            if let Some(reply) = self.end_line()? {
                return Ok((consumed, Some(reply)));
            }
        }
        self.append(&input[consumed..])?;
        Ok((input.len(), None))
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), ReplyError> {
        // One more for the CR that the line end may turn out to begin with.
        if self.line.len() + bytes.len() > LINE_LIMIT + 1 {
            return Err(ReplyError::LineTooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self) -> Result<Option<Reply>, ReplyError> {
        // A bare LF is tolerated here: a reply is never passed on as bytes.
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        if line.len() > LINE_LIMIT {
            return Err(ReplyError::LineTooLong);
        }
        let (code, last, text) = parse_line(line)?;
        self.line.clear();
        if *self.code.get_or_insert(code) != code {
            return Err(ReplyError::MixedCodes);
        }
        if self.lines.len() == LINES_LIMIT {
            return Err(ReplyError::TooManyLines);
        }
        self.lines.push(text);
        if !last {
            return Ok(None);
        }
        self.code = None;
        Ok(Some(Reply::multi(code, std::mem::take(&mut self.lines))))
    }
}

/// Code, whether it is the last line, text.
fn parse_line(line: &[u8]) -> Result<(u16, bool, String), ReplyError> {
    let (code, rest) = line.split_at_checked(3).ok_or(ReplyError::Malformed)?;
    if !matches!(code[0], b'2'..=b'5') || !code.iter().all(u8::is_ascii_digit) {
        return Err(ReplyError::Malformed);
    }
    let code = code.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
    let (last, text) = match rest {
        [] => (true, rest),
        [b' ', text @ ..] => (true, text),
        [b'-', text @ ..] => (false, text),
        _ => return Err(ReplyError::Malformed),
    };
    if memchr::memchr2(0, b'\r', text).is_some() {
        return Err(ReplyError::Malformed);
    }
    Ok((code, last, String::from_utf8_lossy(text).into_owned()))
}

/// What upstream wrote is no reply. All of these end its connection (R19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    Malformed,
    MixedCodes,
    LineTooLong,
    TooManyLines,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReplyError::Malformed => "a line that is no SMTP reply",
            ReplyError::MixedCodes => "different codes in one reply",
            ReplyError::LineTooLong => "a reply line that is too long",
            ReplyError::TooManyLines => "a reply of too many lines",
        })
    }
}

impl std::error::Error for ReplyError {}
