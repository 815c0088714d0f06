//! The message on the wire: where it ends, and that nothing in it can end it early (R29–R36, R43, R44).
//!
//! Reading and checking stand side by side, because a message is smuggled where two programs disagree on a line end.
//! The bytes stay in wire form, as the client dot-stuffed them; the final dot line is not part of it.

mod check;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::reply::Reply;

pub use check::{NotWireForm, WireCheck};

/// What a bare LF in a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BareNewline {
    /// A line end, written on as CR LF. It never helps to end the message (R44).
    Normalise,
    /// The end of the connection.
    Reject,
}

/// Where in a line the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    LineStart,
    Text,
    /// Behind a CR in text, not yet written: a bare one never is.
    Cr,
    /// Behind a dot at the line's start, not yet written: it may be the end mark.
    Dot,
    DotCr,
}

/// Reads one message from the bytes behind DATA. The outcome is the same however they are cut (R32).
#[derive(Debug)]
pub struct DataReader {
    bare_newline: BareNewline,
    max_line: usize,
    at: At,
    /// Whether the line before ended in the client's own CR LF; the one of the DATA command counts (R30).
    behind_crlf: bool,
    /// Length of the line so far, without its stuffed dot.
    line: usize,
    bare_newlines: bool,
    overlong: bool,
    outcome: Option<Result<(), FramingError>>,
}

/// How far a read came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub consumed: usize,
    pub ended: bool,
}

impl DataReader {
    /// `max_line` counts neither line end nor stuffed dot.
    pub fn new(bare_newline: BareNewline, max_line: usize) -> DataReader {
        DataReader {
            bare_newline,
            max_line,
            at: At::LineStart,
            behind_crlf: true,
            line: 0,
            bare_newlines: false,
            overlong: false,
            outcome: None,
        }
    }

    /// Appends wire-form bytes to `out` and stops right behind the end mark. After the end nothing more is consumed,
    /// and a framing error stays one.
    ///
    /// From the first overlong line on nothing is appended, while framing still holds: the message will be refused.
    pub fn read(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Progress, FramingError> {
        if let Some(outcome) = self.outcome {
            return outcome.map(|()| Progress { consumed: 0, ended: true });
        }
        let mut pass = Pass { input, at: 0, unwritten: 0, out };
        while pass.at < input.len() && self.outcome.is_none() {
            self.step(&mut pass).inspect_err(|&error| self.outcome = Some(Err(error)))?;
        }
        let consumed = pass.at;
        self.write_up_to(&mut pass, consumed);
        Ok(Progress { consumed, ended: self.outcome.is_some() })
    }

    /// Whether a bare LF was made a line end.
    pub fn saw_bare_newline(&self) -> bool {
        self.bare_newlines
    }

    pub fn saw_overlong_line(&self) -> bool {
        self.overlong
    }

    fn step(&mut self, pass: &mut Pass) -> Result<(), FramingError> {
        match self.at {
            At::LineStart if pass.byte() == b'.' => {
                self.hold(pass);
                self.at = At::Dot;
            }
            At::LineStart | At::Text => self.text(pass)?,
            At::Cr if pass.byte() == b'\n' => {
                self.put(pass, b"\r\n");
                self.start_line(true);
            }
            At::Cr => return Err(FramingError::BareCr),
            At::Dot => self.behind_dot(pass)?,
            At::DotCr if pass.byte() != b'\n' => return Err(FramingError::BareCr),
            At::DotCr if self.behind_crlf => {
                pass.skip();
                self.outcome = Some(Ok(()));
            }
            At::DotCr => {
                self.put(pass, b"..\r\n");
                self.start_line(true);
            }
        }
        Ok(())
    }

    /// The common path: searches for the line's end and leaves the bytes to be written in one piece.
    fn text(&mut self, pass: &mut Pass) -> Result<(), FramingError> {
        self.at = At::Text;
        let rest = &pass.input[pass.at..];
        let end = memchr::memchr3(b'\r', b'\n', 0, rest);
        self.lengthen(pass, end.unwrap_or(rest.len()));
        let Some(end) = end else { return Ok(()) };
        match (rest[end], rest.get(end + 1)) {
            (b'\r', Some(b'\n')) => {
                pass.at += 2;
                self.start_line(true);
            }
            (b'\r', Some(_)) => return Err(FramingError::BareCr),
            (b'\r', None) => {
                self.hold(pass);
                self.at = At::Cr;
            }
            (b'\n', _) => {
                self.repair()?;
                self.put(pass, b"\r\n");
            }
            _ => return Err(FramingError::Nul),
        }
        Ok(())
    }

    fn behind_dot(&mut self, pass: &mut Pass) -> Result<(), FramingError> {
        match pass.byte() {
            b'\r' => {
                pass.skip();
                self.at = At::DotCr;
            }
            b'\n' => {
                self.repair()?;
                self.put(pass, b"..\r\n");
            }
            _ => {
                // Not skipped: the byte behind the dot is text like any other.
                self.write(pass.out, b".");
                self.at = At::Text;
            }
        }
        Ok(())
    }

    /// Makes the bare LF at hand a line end, if that is allowed.
    fn repair(&mut self) -> Result<(), FramingError> {
        if self.bare_newline == BareNewline::Reject {
            return Err(FramingError::BareLf);
        }
        self.bare_newlines = true;
        self.start_line(false);
        Ok(())
    }

    fn start_line(&mut self, behind_crlf: bool) {
        self.at = At::LineStart;
        self.behind_crlf = behind_crlf;
        self.line = 0;
    }

    /// Takes `length` bytes of text; of an overlong line only what fits is written.
    fn lengthen(&mut self, pass: &mut Pass, length: usize) {
        if !self.overlong && length > self.max_line - self.line {
            let fitting = pass.at + self.max_line - self.line;
            self.write_up_to(pass, fitting);
            self.overlong = true;
        }
        self.line = self.max_line.min(self.line.saturating_add(length));
        pass.at += length;
    }

    /// Writes what came before the byte at hand and keeps that byte back.
    fn hold(&self, pass: &mut Pass) {
        let end = pass.at;
        self.write_up_to(pass, end);
        pass.skip();
    }

    /// Writes what came before the byte at hand, and `bytes` in its place.
    fn put(&self, pass: &mut Pass, bytes: &[u8]) {
        self.hold(pass);
        self.write(pass.out, bytes);
    }

    fn write_up_to(&self, pass: &mut Pass, end: usize) {
        self.write(pass.out, &pass.input[pass.unwritten..end]);
        pass.unwritten = end;
    }

    fn write(&self, out: &mut Vec<u8>, bytes: &[u8]) {
        if !self.overlong {
            out.extend_from_slice(bytes);
        }
    }
}

/// One call's way through its input: `unwritten..at` is read and goes on as it is.
struct Pass<'a> {
    input: &'a [u8],
    at: usize,
    unwritten: usize,
    out: &'a mut Vec<u8>,
}

impl Pass<'_> {
    fn byte(&self) -> u8 {
        self.input[self.at]
    }

    /// Passes over a byte that is not written as it is; everything before it has been.
    fn skip(&mut self) {
        debug_assert_eq!(self.unwritten, self.at);
        self.at += 1;
        self.unwritten = self.at;
    }
}

/// Gate and client do not agree where lines end. The transaction and the connection end (R34).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingError {
    BareLf,
    BareCr,
    Nul,
}

impl FramingError {
    pub fn reply(&self) -> Reply {
        match self {
            FramingError::BareLf | FramingError::BareCr => Reply::bare_line_end(),
            FramingError::Nul => Reply::nul_in_message(),
        }
    }

    /// The word for logs and journal.
    pub fn note(&self) -> &'static str {
        match self {
            FramingError::BareLf => "bare_lf",
            FramingError::BareCr => "bare_cr",
            FramingError::Nul => "nul",
        }
    }
}

impl fmt::Display for FramingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FramingError::BareLf => "a bare LF in the message",
            FramingError::BareCr => "a bare CR in the message",
            FramingError::Nul => "a NUL in the message",
        })
    }
}

impl std::error::Error for FramingError {}
