//! Where in the wire form of a text part certain places of its text stand.

use std::ops::Range;

use super::part::Decoded;
use crate::message::body_edit::{LineAround, LinkSpot};
use crate::message::charset::{Charset, Edge, Substitute};
use crate::message::transfer::{self, Transfer};

/// More addresses than this in one part are not replaced; they lead somewhere as they are.
const MOST_LINKS: usize = 1000;

impl Decoded<'_> {
    /// Every place where the address is written, whole words only.
    pub fn links(&self, charset: Charset, address: &str) -> Vec<LinkSpot> {
        let found =
            memchr::memmem::find_iter(self.text.as_bytes(), address).filter(|at| self.is_alone(*at, address.len()));
        let edges: Vec<(usize, Edge)> =
            found.take(MOST_LINKS).flat_map(|at| [(at, Edge::Start), (at + address.len(), Edge::End)]).collect();
        let places = charset.locate(self.bytes, &edges);
        let ranges = places.chunks_exact(2).filter_map(|pair| Some(pair[0]?..pair[1]?));
        // What stands there has to be the address and nothing else.
        let written = charset.encode(address, true, Substitute::Ascii);
        let decoded: Vec<Range<usize>> =
            ranges.filter(|range| self.bytes.get(range.clone()) == Some(&written[..])).collect();
        if self.transfer() == Transfer::Base64 {
            let spot = |decoded| LinkSpot { wire: 0..0, decoded, line: LineAround::default() };
            return decoded.into_iter().map(spot).collect();
        }
        let wire = transfer::locate(self.wire(), self.transfer(), &decoded);
        let lines = lines_around(self.wire(), &wire);
        let at = self.at();
        let spots = wire.into_iter().zip(decoded).zip(lines);
        spots
            .map(|((wire, decoded), line)| LinkSpot {
                wire: at + wire.start as u64..at + wire.end as u64,
                decoded,
                line: line.moved(at),
            })
            .collect()
    }

    /// Not part of a longer word, path or name. A query or a fragment may follow.
    fn is_alone(&self, at: usize, length: usize) -> bool {
        let before = self.text[..at].chars().next_back();
        let mut behind = self.text[at + length..].chars();
        if self.is_cut() && behind.as_str().is_empty() {
            return false;
        }
        let goes_on = |character: char| character.is_alphanumeric() || "_-%~".contains(character);
        let ends = match behind.next() {
            Some('.') => !behind.next().is_some_and(goes_on),
            Some('/') => false,
            next => !next.is_some_and(goes_on),
        };
        ends && !before.is_some_and(char::is_alphanumeric)
    }

    /// Where a place in the text stands: in the message, and among the decoded bytes.
    pub fn place(&self, charset: Charset, place: usize) -> Option<(u64, usize)> {
        let decoded = charset.locate(self.bytes, &[(place, Edge::Start)])[0]?;
        if self.transfer() == Transfer::Base64 {
            return Some((0, decoded));
        }
        let one = decoded..decoded + 1;
        let wire = transfer::locate(self.wire(), self.transfer(), &[one]).first()?.start;
        Some((self.at() + wire as u64, decoded))
    }
}

/// The lines these ascending ranges stand on. Every stretch between two of them is looked at once or twice.
fn lines_around(wire: &[u8], ranges: &[Range<usize>]) -> Vec<LineAround> {
    let (mut behind_last, mut line_start, mut line_end) = (0, usize::from(wire.first() == Some(&b'.')), 0);
    let mut around = Vec::with_capacity(ranges.len());
    for (number, range) in ranges.iter().enumerate() {
        if let Some(end) = memchr::memrchr(b'\n', &wire[behind_last..range.start]) {
            line_start = behind_last + end + 1;
            line_start += usize::from(wire[line_start] == b'.');
        }
        if line_end < range.end {
            line_end = memchr::memchr(b'\n', &wire[range.end..]).map_or(wire.len(), |end| range.end + end);
            line_end -= usize::from(line_end > range.end && wire[line_end - 1] == b'\r');
        }
        let next = ranges.get(number + 1).map_or(line_end, |next| next.start.min(line_end));
        let gap = line_start.max(behind_last)..range.start;
        around.push(LineAround {
            column: range.start - line_start,
            tail: line_end - range.end,
            dot_follows: wire.get(range.end) == Some(&b'.'),
            blank_before: memchr::memrchr(b' ', &wire[gap.clone()])
                .map(|at| gap.start + at)
                .and_then(|at| usable(wire, at)),
            blank_behind: memchr::memchr(b' ', &wire[range.end..next])
                .map(|at| range.end + at)
                .and_then(|at| usable(wire, at)),
        });
        behind_last = range.end;
    }
    around
}

/// A blank that may become a line end: what follows it must not begin a line as something else.
fn usable(wire: &[u8], blank: usize) -> Option<u64> {
    let special = wire.get(blank + 1).is_none_or(|next| b".-\r\n".contains(next));
    (!special).then_some(blank as u64)
}

impl LineAround {
    /// The same, told from the message's start.
    fn moved(self, by: u64) -> LineAround {
        let moved = |blank: Option<u64>| blank.map(|blank| blank + by);
        LineAround { blank_before: moved(self.blank_before), blank_behind: moved(self.blank_behind), ..self }
    }
}
