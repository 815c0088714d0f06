//! Input bytes → command lines, under a length limit (R12, R44, R58).

use std::fmt;

use super::Reply;

/// RFC 4954 §4.5: AUTH exchanges need longer lines than other commands.
pub const AUTH_LINE_LIMIT: usize = 12_288;

/// Takes one line at a time out of a buffer that the connection owns; what follows stays in the buffer.
///
/// Between two calls bytes may only be added at the buffer's end, until a line has been returned. No byte is searched
/// twice, however small the pieces in which they arrive.
#[derive(Debug)]
pub struct LineReader {
    normalise: bool,
    /// Bytes at the front of the buffer known to hold no line end.
    searched: usize,
    /// The rest of a line that was too long is thrown away as it comes.
    discarding: bool,
    auth: bool,
    saw_bare_newline: bool,
}

impl LineReader {
    /// `normalise`: a bare LF ends a line too.
    pub fn new(normalise: bool) -> LineReader {
        LineReader { normalise, searched: 0, discarding: false, auth: false, saw_bare_newline: false }
    }

    /// Whether any line so far ended in a bare LF.
    pub fn saw_bare_newline(&self) -> bool {
        self.saw_bare_newline
    }

    /// Takes one command line, without its line end. `limit` counts the line end; an AUTH command has its own limit.
    pub fn next_command(&mut self, input: &mut Vec<u8>, limit: usize) -> Result<Option<Vec<u8>>, LineError> {
        if !self.discarding {
            self.auth = input.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"AUTH "));
        }
        if !self.auth {
            return self.next_line(input, limit);
        }
        match self.next_line(input, limit.max(AUTH_LINE_LIMIT)) {
            Err(LineError::TooLong) => Err(LineError::AuthTooLong),
            taken => taken,
        }
    }

    /// Takes one line, without its line end, or nothing while it is not complete. `limit` counts the line end.
    ///
    /// A line over the limit is reported when it ends, so that replies keep their order; until then it takes no room.
    /// After any other error the connection must end.
    pub fn next_line(&mut self, input: &mut Vec<u8>, limit: usize) -> Result<Option<Vec<u8>>, LineError> {
        let Some(end) = self.find_end(input)? else {
            if self.discarding || input.len() >= limit {
                self.discarding = true;
                // A CR at the very end is kept: the next byte decides about it.
                input.drain(..self.searched);
                self.searched = 0;
            }
            return Ok(None);
        };
        self.searched = 0;
        let too_long = std::mem::take(&mut self.discarding) || end > limit;
        let mut line: Vec<u8> = input.drain(..end).collect();
        if too_long {
            return Err(LineError::TooLong);
        }
        line.truncate(line.len() - if line.ends_with(b"\r\n") { 2 } else { 1 });
        Ok(Some(line))
    }

    /// Index right behind the line end.
    fn find_end(&mut self, input: &[u8]) -> Result<Option<usize>, LineError> {
        let Some(offset) = memchr::memchr3(b'\r', b'\n', 0, &input[self.searched..]) else {
            self.searched = input.len();
            return Ok(None);
        };
        let at = self.searched + offset;
        match (input[at], input.get(at + 1)) {
            (b'\r', Some(b'\n')) => Ok(Some(at + 2)),
            (b'\r', None) => {
                self.searched = at;
                Ok(None)
            }
            (b'\r', Some(_)) => Err(LineError::BareCr),
            (b'\n', _) if self.normalise => {
                self.saw_bare_newline = true;
                Ok(Some(at + 1))
            }
            (b'\n', _) => Err(LineError::BareLf),
            _ => Err(LineError::Nul),
        }
    }
}

/// A line that cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineError {
    TooLong,
    AuthTooLong,
    BareCr,
    BareLf,
    Nul,
}

impl LineError {
    pub fn reply(&self) -> Reply {
        match self {
            LineError::TooLong => Reply::line_too_long(),
            LineError::AuthTooLong => Reply::auth_line_too_long(),
            LineError::BareCr | LineError::BareLf | LineError::Nul => Reply::line_framing_error(),
        }
    }

    /// Whether the connection ends after the reply.
    pub fn closes(&self) -> bool {
        matches!(self, LineError::BareCr | LineError::BareLf | LineError::Nul)
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LineError::TooLong => "a command line over its limit",
            LineError::AuthTooLong => "an authentication line over its limit",
            LineError::BareCr => "a bare CR in a command line",
            LineError::BareLf => "a bare LF in a command line",
            LineError::Nul => "a NUL in a command line",
        })
    }
}

impl std::error::Error for LineError {}
