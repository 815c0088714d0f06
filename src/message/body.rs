//! One look at a body while it streams past: does it offer a way out, and what may be written into it.

mod part;
mod spots;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::body_edit::BodyPlan;
use super::head::MessageHead;
use super::mime::{Anomaly, Kind, Leaves, Multipart, PartHead, Place, Walker};
use super::signature;
use super::transfer::Transfer;
use super::way_out::{WayOut, WaysOut};
use part::Leaf;

/// Text of a part beyond this (in wire form) is not looked at.
const LONGEST_TEXT: usize = 2 * 1024 * 1024;
/// Nor is what lies beyond this in all parts together.
const MOST_TEXT: usize = 4 * LONGEST_TEXT;

/// What a decision needs to know of a body, and the journal keeps of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyFacts {
    /// The way out its reader sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way_out: Option<WayOut>,
    /// Why none of ours can be added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<Obstacle>,
    /// It says for which function of a firm it is meant.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub names_a_function: bool,
}

impl BodyFacts {
    /// Whether a way out of ours may be added.
    pub fn editable(&self) -> bool {
        self.obstacle.is_none()
    }
}

/// What keeps a footer out of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// There are no pages of ours to lead to.
    NoLink,
    /// DKIM, ARC, S/MIME or OpenPGP speaks for the body, or hides it.
    Secured,
    /// A charset nobody knows, or one that cannot be written where it stands.
    Charset,
    /// Readers may disagree about the structure, or a footer would not be seen.
    Structure,
    /// The text is longer than what is looked at.
    TooLong,
    /// There is no text a reader sees.
    NoText,
}

/// What was found in one message.
#[derive(Clone, Debug)]
pub struct Looked {
    pub facts: BodyFacts,
    pub plan: BodyPlan,
}

/// A look at a body that is fed in pieces.
pub struct BodyScan<'w>(Walker<Reader<'w>>);

impl<'w> BodyScan<'w> {
    /// `wire` holds the header section at least. `eight_bit`: the transaction is one for 8-bit content (RFC 6152).
    pub fn new(head: &MessageHead, wire: &[u8], ways: &'w WaysOut, eight_bit: bool) -> BodyScan<'w> {
        BodyScan::begin(head, wire, ways, eight_bit, signature::is_signed(head, wire))
    }

    /// The same for a message that is signed anew as it leaves: the signature it has stands against no edit.
    pub fn of_resigned(head: &MessageHead, wire: &[u8], ways: &'w WaysOut, eight_bit: bool) -> BodyScan<'w> {
        BodyScan::begin(head, wire, ways, eight_bit, false)
    }

    fn begin(head: &MessageHead, wire: &[u8], ways: &'w WaysOut, eight_bit: bool, is_signed: bool) -> BodyScan<'w> {
        let mut top = PartHead::read(head, wire, false);
        // Without an empty line there is no place for a body.
        let section = &wire[..head.body_start()];
        top.ambiguous |= head.separator_missing() || !(section == b"\r\n" || section.ends_with(b"\r\n\r\n"));
        let obstacle = if ways.fixed_address().is_none() {
            Some(Obstacle::NoLink)
        } else if is_signed {
            Some(Obstacle::Secured)
        } else {
            top.ambiguous.then_some(Obstacle::Structure)
        };
        let plan = BodyPlan { language: top.language.clone(), ..BodyPlan::default() };
        let reader = Reader { eight_bit, obstacle, plan, ..Reader::new(ways) };
        BodyScan(Walker::new(top, head.body_start() as u64, reader))
    }

    pub fn feed(&mut self, piece: &[u8]) {
        self.0.feed(piece);
    }

    pub fn finish(self) -> Looked {
        let mut reader = self.0.finish();
        let targets = [reader.text, reader.html].into_iter().flatten();
        let stands_against = targets.clone().find_map(Target::obstacle);
        let nothing = targets.count() == 0;
        let unseen = (!reader.shown.leads_out).then_some(Obstacle::Structure);
        let obstacle = reader.obstacle.or(stands_against).or(nothing.then_some(Obstacle::NoText)).or(unseen);
        reader.plan.language = reader.plan.language.or(reader.page_language).or(reader.part_language);
        let (way_out, names_a_function) = (reader.shown.way_out, reader.names_a_function);
        Looked { facts: BodyFacts { way_out, obstacle, names_a_function }, plan: reader.plan }
    }
}

/// What a reader sees of a part or of a multipart.
#[derive(Clone, Copy, Debug, Default)]
struct Shown {
    html: bool,
    text: bool,
    way_out: Option<WayOut>,
    /// There is a way out, or there would be with the footers.
    leads_out: bool,
}

impl Shown {
    /// Puts a part below a multipart. Of alternatives the last one with HTML is shown, else the last one with text:
    /// a link in the plain text does not help who is shown the HTML.
    fn add(&mut self, kind: Option<Multipart>, part: Shown) {
        if kind == Some(Multipart::Alternative) {
            if part.html || part.text && !self.html {
                *self = part;
            }
            return;
        }
        self.html |= part.html;
        self.text |= part.text;
        self.way_out = self.way_out.or(part.way_out);
        self.leads_out |= part.leads_out;
    }
}

/// The first visible part of its kind: a footer goes there.
#[derive(Clone, Copy, Debug)]
struct Target(Option<Obstacle>);

impl Target {
    fn obstacle(self) -> Option<Obstacle> {
        self.0
    }
}

struct Reader<'w> {
    ways: &'w WaysOut,
    eight_bit: bool,
    /// What stands against every edit.
    obstacle: Option<Obstacle>,
    plan: BodyPlan,
    /// The multiparts we are in, with what was seen of each so far.
    levels: Vec<(Multipart, Shown)>,
    shown: Shown,
    leaf: Option<Leaf>,
    /// How much more text is looked at.
    room: usize,
    text: Option<Target>,
    html: Option<Target>,
    page_language: Option<String>,
    part_language: Option<String>,
    names_a_function: bool,
}

impl<'w> Reader<'w> {
    fn new(ways: &'w WaysOut) -> Reader<'w> {
        Reader {
            ways,
            eight_bit: false,
            obstacle: None,
            plan: BodyPlan::default(),
            levels: Vec::new(),
            shown: Shown::default(),
            leaf: None,
            room: MOST_TEXT,
            text: None,
            html: None,
            page_language: None,
            part_language: None,
            names_a_function: false,
        }
    }

    fn add(&mut self, part: Shown) {
        match self.levels.last_mut() {
            Some((kind, shown)) => shown.add(Some(*kind), part),
            None => self.shown.add(None, part),
        }
    }

    /// A leaf that is text, whole or as much of it as is looked at.
    fn read(&mut self, leaf: Leaf, line_end_follows: bool) {
        let is_html = leaf.head.kind == Kind::Html;
        let is_first = if is_html { self.html.is_none() } else { self.text.is_none() };
        let read = leaf.read(self.ways, self.eight_bit, is_first && self.obstacle.is_none(), line_end_follows);
        let takes_footer = read.plan.as_ref().is_some_and(|plan| plan.footer.is_some());
        let leads_out = read.way_out.is_some() || takes_footer;
        self.names_a_function |= read.names_a_function;
        self.add(Shown { html: is_html, text: !is_html, way_out: read.way_out, leads_out });
        if is_first {
            let target = Some(Target(read.obstacle));
            *(if is_html { &mut self.html } else { &mut self.text }) = target;
            self.page_language = self.page_language.take().or(read.language);
            self.part_language = self.part_language.take().or(leaf.head.language);
        }
        if self.obstacle.is_none() {
            self.plan.parts.extend(read.plan);
        }
    }
}

impl Leaves for Reader<'_> {
    fn open(&mut self, kind: Multipart) {
        self.levels.push((kind, Shown::default()));
    }

    fn close(&mut self) {
        if let Some((_, shown)) = self.levels.pop() {
            self.add(shown);
        }
    }

    fn begin(&mut self, head: PartHead, place: Place, at: u64) {
        if head.kind == Kind::Sealed && !place.attachment {
            self.obstacle.get_or_insert(Obstacle::Secured);
        }
        let is_text = matches!(head.kind, Kind::Text | Kind::Html) && head.transfer != Transfer::Unknown;
        if is_text && !place.attachment {
            self.leaf = Some(Leaf::new(head, place, at, self.room.min(LONGEST_TEXT)));
        }
    }

    fn content(&mut self, bytes: &[u8]) {
        if let Some(leaf) = &mut self.leaf {
            leaf.take(bytes);
        }
    }

    fn end(&mut self, line_end_follows: bool) {
        if let Some(leaf) = self.leaf.take() {
            self.room -= leaf.looked_at();
            self.read(leaf, line_end_follows);
        }
    }

    /// What was not looked into may hold anything, a signature too.
    fn anomaly(&mut self, _: Anomaly) {
        self.obstacle.get_or_insert(Obstacle::Structure);
        self.plan.parts.clear();
    }
}
