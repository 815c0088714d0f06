//! Links on lines that are written as they are: none of them grows beyond 998 octets (RFC 5322 section 2.1.1).

use super::{Change, Edit, LinkSpot};

const LONGEST_LINE: usize = 998;

/// The edits that put the link in place of each address. Where the line would grow too long the link goes on a line of
/// its own, from blank to blank; an address with no blank near enough stays, for it leads somewhere too.
pub(super) fn replace(spots: &[LinkSpot], link: &[u8]) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for line in spots.chunk_by(|one, next| one.line_start() == next.line_start()) {
        let grown: usize = line.iter().map(|spot| link.len().saturating_sub(spot.length())).sum();
        let longest = line.first().map_or(0, |spot| spot.line.column + spot.length() + spot.line.tail);
        for (number, spot) in line.iter().enumerate() {
            if longest + grown <= LONGEST_LINE {
                edits.push(written(spot, link));
            } else {
                let alone = Alone { first: number == 0, last: number + 1 == line.len() };
                let breaks = alone.edits(spot, link).into_iter();
                edits.extend(breaks.filter(|edit| edits.last() != Some(edit)).collect::<Vec<_>>());
            }
        }
    }
    edits
}

/// An address that needs a line for itself: no other one stands before or behind it on the line it is on.
struct Alone {
    first: bool,
    last: bool,
}

impl Alone {
    fn edits(&self, spot: &LinkSpot, link: &[u8]) -> Vec<Edit> {
        let before = spot.line.blank_before.map(|blank| distance(blank + 1, spot.wire.start));
        let behind = spot.line.blank_behind.map(|blank| distance(spot.wire.end, blank));
        let before = before.or(self.first.then_some(spot.line.column));
        let behind = behind.or(self.last.then_some(spot.line.tail));
        match (before, behind) {
            (Some(before), Some(behind)) if before + link.len() + behind <= LONGEST_LINE => {
                let breaks = [spot.line.blank_before, spot.line.blank_behind].map(|blank| blank.map(line_break));
                let [start, end] = breaks;
                start.into_iter().chain([written(spot, link)]).chain(end).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn distance(from: u64, to: u64) -> usize {
    usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX)
}

fn written(spot: &LinkSpot, link: &[u8]) -> Edit {
    Edit { range: spot.wire.clone(), change: Change::Write(link.to_vec()) }
}

/// A line end in place of a blank.
fn line_break(blank: u64) -> Edit {
    Edit { range: blank..blank + 1, change: Change::Write(b"\r\n".to_vec()) }
}

impl LinkSpot {
    fn length(&self) -> usize {
        distance(self.wire.start, self.wire.end)
    }

    fn line_start(&self) -> u64 {
        self.wire.start - self.line.column as u64
    }
}
