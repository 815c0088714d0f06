//! The last look before bytes reach upstream (R33): independent of how they were read, edited or made.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    LineStart,
    Text,
    Cr,
    Dot,
    DotCr,
}

/// Checks that bytes are a message in wire form, piece by piece: every line ends in CR LF, no other CR, no other LF,
/// no NUL, and no line is a lone dot.
#[derive(Debug)]
pub struct WireCheck {
    at: At,
}

impl WireCheck {
    pub fn new() -> WireCheck {
        WireCheck { at: At::LineStart }
    }

    /// Checks the next bytes. Those of a piece that fails must not be written.
    pub fn check(&mut self, bytes: &[u8]) -> Result<(), NotWireForm> {
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            let (at, taken) = match (self.at, byte) {
                (At::LineStart, b'.') => (At::Dot, 1),
                (At::Dot, b'\r') => (At::DotCr, 1),
                (At::Cr, b'\n') => (At::LineStart, 1),
                (At::DotCr, b'\n') => return Err(NotWireForm::LoneDot),
                (At::Cr | At::DotCr, _) => return Err(NotWireForm::BareCr),
                (At::LineStart | At::Text | At::Dot, _) => line_end(rest)?,
            };
            self.at = at;
            rest = &rest[taken..];
        }
        Ok(())
    }

    /// Checks that the message is complete. An empty one is.
    pub fn finish(&self) -> Result<(), NotWireForm> {
        if self.at == At::LineStart { Ok(()) } else { Err(NotWireForm::OpenLine) }
    }
}

impl Default for WireCheck {
    fn default() -> Self {
        WireCheck::new()
    }
}

/// What follows the line's text, and how many bytes it takes to get there.
fn line_end(bytes: &[u8]) -> Result<(At, usize), NotWireForm> {
    let Some(end) = memchr::memchr3(b'\r', b'\n', 0, bytes) else { return Ok((At::Text, bytes.len())) };
    match (bytes[end], bytes.get(end + 1)) {
        (b'\r', Some(b'\n')) => Ok((At::LineStart, end + 2)),
        (b'\r', None) => Ok((At::Cr, end + 1)),
        (b'\r', Some(_)) => Err(NotWireForm::BareCr),
        (b'\n', _) => Err(NotWireForm::BareLf),
        _ => Err(NotWireForm::Nul),
    }
}

/// Bytes that another server could read as something else than one message. Our own fault, whatever the client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotWireForm {
    BareCr,
    BareLf,
    Nul,
    LoneDot,
    OpenLine,
}

impl fmt::Display for NotWireForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotWireForm::BareCr => "the message to be written holds a bare CR",
            NotWireForm::BareLf => "the message to be written holds a bare LF",
            NotWireForm::Nul => "the message to be written holds a NUL",
            NotWireForm::LoneDot => "the message to be written holds a line of one dot",
            NotWireForm::OpenLine => "the message to be written does not end in CR LF",
        })
    }
}

impl std::error::Error for NotWireForm {}
