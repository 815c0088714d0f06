//! The walk: lines in, leaf parts out. No recursion, no look behind, and memory only for one line and one header.

use std::collections::HashMap;

use super::part::{Kind, Multipart, PartHead};
use crate::message::head::{HeadLimits, MessageHead};

/// Multiparts inside each other; what lies deeper is not looked into.
const DEEPEST: usize = 50;
/// Parts of one message; what comes behind is not looked into.
const MOST_PARTS: usize = 1000;
/// RFC 2046 allows a boundary of 70 characters; some are longer.
const LONGEST_BOUNDARY: usize = 250;
/// A line longer than this is no delimiter.
const LONGEST_DELIMITER: usize = 2 + LONGEST_BOUNDARY + 64;
const PART_LIMITS: HeadLimits = HeadLimits { header: 64 * 1024, field: 64 * 1024, fields: 200 };

/// Where a leaf stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Inside something signed or encrypted.
    pub secured: bool,
    /// It, or something it is part of, is not shown.
    pub attachment: bool,
}

/// What makes the structure of a message unclear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anomaly {
    TooDeep,
    TooManyParts,
    /// A part's header section is beyond the limits.
    HeaderTooLong,
    /// A multipart without a boundary, or with one that is in use around it.
    Boundary,
}

/// Takes what is found, in order.
pub trait Leaves {
    /// A multipart begins.
    fn open(&mut self, kind: Multipart);
    /// It ends.
    fn close(&mut self);
    /// A leaf's content begins at this offset.
    fn begin(&mut self, head: PartHead, place: Place, at: u64);
    /// More of it, in wire form.
    fn content(&mut self, bytes: &[u8]);
    /// It is over. `line_end_follows`: the one that belongs to the delimiter behind it.
    fn end(&mut self, line_end_follows: bool);
    fn anomaly(&mut self, anomaly: Anomaly);
}

/// Walks through a body that is fed in pieces.
pub struct Walker<L> {
    pub leaves: L,
    /// Offset of the first byte that was not handled yet.
    at: u64,
    levels: Vec<Level>,
    /// Boundary → level.
    boundaries: HashMap<Vec<u8>, usize>,
    state: State,
    parts: usize,
    /// A line whose end has not come yet.
    line: Vec<u8>,
    /// The line at hand is no delimiter and too long to wait for its end.
    running: bool,
    /// A line end that belongs to the content, unless a delimiter follows.
    held: &'static [u8],
}

struct Level {
    kind: Multipart,
    boundary: Vec<u8>,
    place: Place,
}

enum State {
    /// Preamble, epilogue, or a part that is not looked into.
    Skip,
    Header(Vec<u8>),
    Leaf,
}

impl<L: Leaves> Walker<L> {
    /// `head` is the message's own; `at` the offset of the body.
    pub fn new(head: PartHead, at: u64, leaves: L) -> Walker<L> {
        let mut walker = Walker {
            leaves,
            at,
            levels: Vec::new(),
            boundaries: HashMap::new(),
            state: State::Skip,
            parts: 0,
            line: Vec::new(),
            running: false,
            held: b"",
        };
        walker.part(head);
        walker
    }

    /// Takes the next bytes of the body.
    pub fn feed(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).map(|at| at + 1);
            let (chunk, more) = rest.split_at(end.unwrap_or(rest.len()));
            rest = more;
            if self.running {
                self.take(chunk);
                self.running = end.is_none();
            } else if self.line.is_empty() && end.is_some() {
                self.whole_line(chunk);
            } else {
                self.line.extend_from_slice(chunk);
                if end.is_some() {
                    let line = std::mem::take(&mut self.line);
                    self.whole_line(&line);
                } else if self.line.len() > LONGEST_DELIMITER {
                    let line = std::mem::take(&mut self.line);
                    self.take(&line);
                    self.running = true;
                }
            }
        }
    }

    /// The body is over; what is open ends here.
    pub fn finish(mut self) -> L {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.whole_line(&line);
        }
        if matches!(self.state, State::Leaf) && !self.held.is_empty() {
            self.leaves.content(self.held);
            self.held = b"";
        }
        self.end_part();
        self.close_down_to(0);
        self.leaves
    }

    fn whole_line(&mut self, line: &[u8]) {
        match self.delimiter(line) {
            Some((level, closes)) => {
                self.end_part();
                self.held = b"";
                self.at += line.len() as u64;
                self.close_down_to(if closes { level } else { level + 1 });
                self.state = if closes { State::Skip } else { State::Header(Vec::new()) };
            }
            None => self.take(line),
        }
    }

    /// The level a delimiter line speaks of, and whether it is the last one there.
    fn delimiter(&self, line: &[u8]) -> Option<(usize, bool)> {
        let line = line.strip_prefix(b".").unwrap_or(line);
        let text = line.strip_prefix(b"--")?;
        if self.levels.is_empty() || text.len() > LONGEST_DELIMITER {
            return None;
        }
        let text = text.trim_ascii_end();
        let opens = self.boundaries.get(text).map(|level| (*level, false));
        opens.or_else(|| self.boundaries.get(text.strip_suffix(b"--")?).map(|level| (*level, true)))
    }

    /// Bytes of the line at hand, which is no delimiter.
    fn take(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Skip => self.at += bytes.len() as u64,
            State::Leaf => self.content(bytes),
            State::Header(header) => {
                self.at += bytes.len() as u64;
                if header.len() <= PART_LIMITS.header {
                    header.extend_from_slice(bytes);
                }
                if matches!(bytes, b"\r\n" | b"\n") && !self.running {
                    self.header_ends();
                }
            }
        }
    }

    fn content(&mut self, bytes: &[u8]) {
        if self.held == b"\r" && bytes == b"\n" {
            self.held = b"\r\n";
            self.at += 1;
            return;
        }
        if !self.held.is_empty() {
            self.leaves.content(self.held);
        }
        self.held = match bytes {
            [.., b'\r', b'\n'] => b"\r\n",
            [.., b'\n'] => b"\n",
            [.., b'\r'] => b"\r",
            _ => b"",
        };
        self.leaves.content(&bytes[..bytes.len() - self.held.len()]);
        self.at += bytes.len() as u64;
    }

    fn header_ends(&mut self) {
        let State::Header(header) = std::mem::replace(&mut self.state, State::Skip) else { return };
        let parent = self.levels.last().map(|level| level.kind);
        match MessageHead::locate(&header, &PART_LIMITS) {
            Ok(head) => self.part(PartHead::read(&head, &header, parent == Some(Multipart::Digest))),
            Err(_) => self.leaves.anomaly(Anomaly::HeaderTooLong),
        }
    }

    /// A part whose header section is over.
    fn part(&mut self, mut head: PartHead) {
        self.parts += 1;
        if self.parts > MOST_PARTS {
            if self.parts == MOST_PARTS + 1 {
                self.leaves.anomaly(Anomaly::TooManyParts);
            }
            return;
        }
        let around = self.levels.last();
        let mut place = around.map_or_else(Place::default, |level| level.place);
        place.attachment |= head.attachment;
        match head.kind {
            Kind::Multipart(kind) => {
                place.secured |= matches!(kind, Multipart::Signed | Multipart::Encrypted);
                let boundary = head.boundary.take().unwrap_or_default().into_bytes();
                self.open(Level { kind, boundary, place });
            }
            _ => {
                place.secured |= head.kind == Kind::Sealed;
                self.leaves.begin(head, place, self.at);
                self.state = State::Leaf;
            }
        }
    }

    fn open(&mut self, level: Level) {
        let length = level.boundary.len();
        if length == 0 || length > LONGEST_BOUNDARY || self.boundaries.contains_key(&level.boundary) {
            return self.leaves.anomaly(Anomaly::Boundary);
        }
        if self.levels.len() == DEEPEST {
            return self.leaves.anomaly(Anomaly::TooDeep);
        }
        self.leaves.open(level.kind);
        self.boundaries.insert(level.boundary.clone(), self.levels.len());
        self.levels.push(level);
    }

    /// Ends the leaf, or the part whose header section never ended.
    fn end_part(&mut self) {
        match std::mem::replace(&mut self.state, State::Skip) {
            State::Skip => {}
            State::Leaf => self.leaves.end(!self.held.is_empty()),
            // No empty line, no content: there is nothing to read, and no place to write.
            State::Header(_) => self.parts += 1,
        }
    }

    fn close_down_to(&mut self, depth: usize) {
        while self.levels.len() > depth {
            if let Some(level) = self.levels.pop() {
                self.boundaries.remove(&level.boundary);
                self.leaves.close();
            }
        }
    }
}
