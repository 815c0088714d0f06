//! One text part: read, and the places in it.

use super::Obstacle;
use crate::message::attention::names_a_function;
use crate::message::body_edit::{Base64Plan, FooterSpot, Form, PartPlan};
use crate::message::charset::Charset;
use crate::message::html::{self, Page};
use crate::message::mime::{Kind, PartHead, Place};
use crate::message::transfer::{self, Base64Reader, Transfer};
use crate::message::way_out::{WayOut, WaysOut};

/// The longest base64 line (RFC 2045 section 6.8).
const BASE64_LINE: usize = 76;

/// A text part while it comes in.
pub(super) struct Leaf {
    pub head: PartHead,
    place: Place,
    /// Offset of its content.
    at: u64,
    wire: Vec<u8>,
    /// How much of it is looked at.
    limit: usize,
    too_long: bool,
}

/// What a text part is good for.
pub(super) struct ReadPart {
    pub way_out: Option<WayOut>,
    /// It says for which function of a firm it is meant.
    pub names_a_function: bool,
    pub language: Option<String>,
    /// Why no footer goes into it.
    pub obstacle: Option<Obstacle>,
    pub plan: Option<PartPlan>,
}

impl Leaf {
    pub fn new(head: PartHead, place: Place, at: u64, limit: usize) -> Leaf {
        Leaf { head, place, at, wire: Vec::new(), limit, too_long: false }
    }

    pub fn looked_at(&self) -> usize {
        self.wire.len()
    }

    pub fn take(&mut self, bytes: &[u8]) {
        let room = self.limit - self.wire.len();
        self.too_long |= bytes.len() > room;
        self.wire.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Reads it. `takes_footer`: it is the first of its kind.
    pub fn read(&self, ways: &WaysOut, eight_bit: bool, takes_footer: bool, line_end_follows: bool) -> ReadPart {
        let decoded = transfer::decode(&self.wire, self.head.transfer);
        let charset = Charset::of(self.head.charset.as_deref(), &decoded);
        let text = charset.map_or_else(|| String::from_utf8_lossy(&decoded), |charset| charset.decode(&decoded));
        let page = self.look(&text, ways);
        let part = Decoded { leaf: self, bytes: &decoded, text: &text, page: &page, line_end_follows };
        let (plan, obstacle) = match (charset, part.obstacle(charset)) {
            (Some(charset), None) => part.plan(charset, ways, eight_bit, takes_footer),
            (_, obstacle) => (None, obstacle),
        };
        let names_a_function = names_a_function(&page.opening);
        ReadPart { way_out: page.way_out, names_a_function, language: page.language, obstacle, plan }
    }

    fn look(&self, text: &str, ways: &WaysOut) -> Page {
        match self.head.kind {
            Kind::Html => html::look(text, |address| ways.of(address)),
            _ => Page { way_out: ways.in_text(text), opening: html::opening(text).to_owned(), ..Page::default() },
        }
    }
}

/// A text part and what its bytes say.
pub(super) struct Decoded<'a> {
    leaf: &'a Leaf,
    pub bytes: &'a [u8],
    pub text: &'a str,
    page: &'a Page,
    line_end_follows: bool,
}

impl Decoded<'_> {
    pub fn wire(&self) -> &[u8] {
        &self.leaf.wire
    }

    pub fn transfer(&self) -> Transfer {
        self.leaf.head.transfer
    }

    /// Whether there is more of it than was looked at.
    pub fn is_cut(&self) -> bool {
        self.leaf.too_long
    }

    /// Offset of its content in the message.
    pub fn at(&self) -> u64 {
        self.leaf.at
    }

    /// What stands against any edit of it.
    fn obstacle(&self, charset: Option<Charset>) -> Option<Obstacle> {
        let wide_as_it_is = charset.is_some_and(Charset::is_wide) && self.transfer() == Transfer::Identity;
        if self.leaf.place.secured || self.is_pgp() {
            Some(Obstacle::Secured)
        } else if self.leaf.head.ambiguous || self.transfer() == Transfer::Base64 && self.runs_on_behind_padding() {
            Some(Obstacle::Structure)
        } else if charset.is_none() || wide_as_it_is {
            Some(Obstacle::Charset)
        } else {
            // It would be written anew to an end nobody looked at.
            (self.is_cut() && self.transfer() == Transfer::Base64).then_some(Obstacle::TooLong)
        }
    }

    /// Signed or encrypted within the text (RFC 9580 section 6.2).
    fn is_pgp(&self) -> bool {
        self.text.contains("-----BEGIN PGP ")
    }

    fn runs_on_behind_padding(&self) -> bool {
        let mut reader = Base64Reader::default();
        reader.read(self.wire(), |_| {});
        reader.runs_on_behind_padding()
    }

    fn plan(
        &self,
        charset: Charset,
        ways: &WaysOut,
        eight_bit: bool,
        takes_footer: bool,
    ) -> (Option<PartPlan>, Option<Obstacle>) {
        // A part that leads out needs none.
        let footer = match (takes_footer && self.page.way_out.is_none(), self.is_cut()) {
            (false, _) => Ok(None),
            (true, true) => Err(Obstacle::TooLong),
            (true, false) => self.footer(charset).ok_or(Obstacle::Structure).map(Some),
        };
        let is_eight_bit = !self.bytes.is_ascii() || eight_bit && self.leaf.head.eight_bit;
        let plan = PartPlan {
            charset,
            transfer: self.transfer(),
            seven_bit: self.transfer() == Transfer::Identity && !is_eight_bit,
            base64: self.base64(),
            newline: if self.text.contains('\n') && !self.text.contains("\r\n") { "\n" } else { "\r\n" },
            links: ways.fixed_address().map_or_else(Vec::new, |address| self.links(charset, address)),
            footer: footer.ok().flatten(),
        };
        (Some(plan), footer.err())
    }

    /// At the end of a text; in HTML before the last `</body>`, if there is one.
    fn footer(&self, charset: Charset) -> Option<FooterSpot> {
        let is_html = self.leaf.head.kind == Kind::Html;
        let form = if is_html { Form::Html } else { Form::Text { flowed: self.leaf.head.flowed } };
        if let Some(place) = self.page.body_end {
            let (wire, decoded) = self.place(charset, place)?;
            let behind_blank = self.text[..place].ends_with([' ', '\t']);
            let spot = FooterSpot { wire, decoded, form, lead: 1, closes: true, behind_blank };
            return html::would_be_seen(self.text, place).then_some(spot);
        }
        if is_html && !html::would_be_seen(self.text, self.text.len()) {
            return None;
        }
        let lead = match self.text {
            "" => 0,
            _ if is_html => 1,
            text if text.ends_with('\n') => 1,
            _ => 2,
        };
        let closes = !self.line_end_follows || self.transfer() == Transfer::Base64;
        let wire = self.leaf.at + self.wire().len() as u64;
        Some(FooterSpot { wire, decoded: self.bytes.len(), form, lead, closes, behind_blank: false })
    }

    fn base64(&self) -> Base64Plan {
        let wire = self.wire();
        let is_data = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
        let start = wire.iter().position(is_data).unwrap_or(0);
        let end = wire.iter().rposition(is_data).map_or(start, |last| last + 1);
        let first_line = wire[start..end].iter().take_while(|byte| is_data(byte)).count();
        let usual = first_line < end - start && first_line % 4 == 0 && (4..=BASE64_LINE).contains(&first_line);
        Base64Plan {
            range: self.leaf.at + start as u64..self.leaf.at + end as u64,
            line_length: if usual { first_line } else { BASE64_LINE },
            closes: wire.is_empty() && !self.line_end_follows,
        }
    }
}
