//! What a reader of an HTML part sees: its links, its language, and where more may be said.

mod hidden;
#[cfg(test)]
mod tests;

use html5gum::{DefaultEmitter, HtmlString, StartTag, Token, Tokenizer};

use super::way_out::WayOut;
use hidden::{Hidden, Reach};

/// Elements that show something without any text.
const PICTURES: [&[u8]; 7] = [b"img", b"svg", b"picture", b"input", b"button", b"object", b"video"];

/// How much of what is read is kept: whom a text is for, it says at its beginning.
const OPENING: usize = 4096;

/// An HTML text, looked at once; up to the way out, if there is one, but never less than its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub way_out: Option<WayOut>,
    /// Where the last `</body>` begins.
    pub body_end: Option<usize>,
    /// `lang` of the document.
    pub language: Option<String>,
    /// The beginning of what a reader reads.
    pub opening: String,
}

/// Looks for a way out that a reader sees: in `href` of an `a` that has content, or of an `area`; not in a comment, a
/// script, a style, the head, or an element that is hidden.
pub fn look(html: &str, way_out: impl Fn(&str) -> Option<WayOut>) -> Page {
    let mut emitter = DefaultEmitter::<usize>::new_with_span();
    emitter.naively_switch_states(true); // scripts, styles and titles hold no tags
    let mut reading = Reading { way_out, page: Page::default(), in_head: false, hidden: None, link: None };
    for token in Tokenizer::new_with_emitter(html, emitter) {
        match token {
            Ok(Token::StartTag(tag)) => reading.start(&tag),
            Ok(Token::EndTag(tag)) => reading.end(&tag.name, tag.span.start),
            Ok(Token::String(text)) => reading.text(&text),
            Ok(_) | Err(_) => {}
        }
        if reading.page.way_out.is_some() && reading.page.opening.len() >= OPENING {
            break;
        }
    }
    reading.page
}

/// As much of a text as may say whom it is for.
pub fn opening(text: &str) -> &str {
    &text[..text.floor_char_boundary(OPENING)]
}

/// Whether a link put at this place would be seen.
pub fn would_be_seen(html: &str, at: usize) -> bool {
    const PROBE: &str = "https://probe.invalid/";
    let link = format!("<p><a href=\"{PROBE}\">x</a></p>");
    let with_link = [&html[..at], &link, &html[at..]].concat();
    look(&with_link, |address| (address == PROBE).then_some(WayOut::Own)).way_out.is_some()
}

struct Reading<F> {
    way_out: F,
    page: Page,
    in_head: bool,
    /// The hidden element we are in.
    hidden: Option<Hidden>,
    /// A link that leads out, as soon as it has something to click on.
    link: Option<WayOut>,
}

impl<F: Fn(&str) -> Option<WayOut>> Reading<F> {
    fn start(&mut self, tag: &StartTag<usize>) {
        let name: &[u8] = &tag.name;
        match name {
            b"html" if self.page.language.is_none() => self.page.language = attribute(tag, b"lang").map(str::to_owned),
            b"head" => self.in_head = true,
            b"body" => self.in_head = false,
            _ => {}
        }
        if let Some(hidden) = &mut self.hidden {
            if hidden.start(name, tag.self_closing) == Reach::Inside {
                return;
            }
            self.hidden = None;
        }
        if is_hidden(tag) {
            self.hidden = Hidden::begin(name);
            if self.hidden.is_some() {
                return;
            }
        }
        let leads_out = || attribute(tag, b"href").and_then(&self.way_out).filter(|_| !self.in_head && !is_hidden(tag));
        match name {
            b"a" => self.link = leads_out(),
            b"area" => self.page.way_out = self.page.way_out.or(leads_out()),
            _ if PICTURES.contains(&name) => self.content(),
            _ => {}
        }
    }

    fn end(&mut self, name: &HtmlString, at: usize) {
        if self.hidden.as_mut().is_some_and(|hidden| hidden.end(name) != Reach::Inside) {
            self.hidden = None;
        }
        match &***name {
            b"head" => self.in_head = false,
            b"a" => self.link = None,
            b"body" => self.page.body_end = Some(at),
            _ => {}
        }
    }

    fn text(&mut self, text: &[u8]) {
        let blank =
            |character: char| character.is_whitespace() || matches!(character, '\u{200b}'..='\u{200d}' | '\u{feff}');
        let text = String::from_utf8_lossy(text);
        if self.hidden.is_some() || text.chars().all(blank) {
            return;
        }
        self.content();
        if !self.in_head && self.page.opening.len() < OPENING {
            self.page.opening.push_str(opening(&text));
            self.page.opening.push(' '); // what stands in two elements is not one word
        }
    }

    fn content(&mut self) {
        self.page.way_out = self.page.way_out.or(self.link);
    }
}

fn attribute<'t>(tag: &'t StartTag<usize>, name: &[u8]) -> Option<&'t str> {
    std::str::from_utf8(tag.attributes.get(name)?).ok()
}

fn is_hidden(tag: &StartTag<usize>) -> bool {
    let style = attribute(tag, b"style").unwrap_or_default();
    let style: String =
        style.chars().filter(|character| !character.is_whitespace()).collect::<String>().to_ascii_lowercase();
    *tag.name == *b"template"
        || tag.attributes.contains_key(&b"hidden"[..])
        || style.contains("display:none")
        || style.contains("visibility:hidden")
}
