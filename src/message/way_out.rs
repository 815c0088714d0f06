//! Whether a text offers its reader a way out: a link of ours, or one below an address the controller registered.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use url::Url;

/// The link that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WayOut {
    /// `{base_url}/u/me` or `{base_url}/p/me`: the pages that ask who the reader is. A sealed link in a body that comes in
    /// is somebody's, but nobody can tell that it is this reader's.
    Own,
    /// Below one of the controller's `optout_links`.
    Registered,
}

/// A longer text is no address.
const LONGEST: usize = 4096;

/// The addresses that are ways out.
#[derive(Clone, Debug, Default)]
pub struct WaysOut {
    own: Vec<Url>,
    registered: Vec<Url>,
    fixed: Option<String>,
}

impl WaysOut {
    /// `base_url` is that of our pages, without a slash at its end, if there are any.
    pub fn new(base_url: Option<&str>, optout_links: &[String]) -> WaysOut {
        let own = base_url.into_iter().flat_map(|base| ["u", "p"].map(|room| format!("{base}/{room}/me")));
        WaysOut {
            own: own.filter_map(|address| Url::parse(&address).ok()).collect(),
            registered: optout_links.iter().filter_map(|link| Url::parse(link).ok()).collect(),
            fixed: base_url.map(|base| format!("{base}/u/me")),
        }
    }

    /// The address in a mailer's template that stands for each recipient's own link.
    pub fn fixed_address(&self) -> Option<&str> {
        self.fixed.as_deref()
    }

    /// What kind of way out this address is.
    pub fn of(&self, address: &str) -> Option<WayOut> {
        if address.len() > LONGEST {
            return None;
        }
        // As browsers read it: scheme and host in any case, no `..`, no default port, `\` is a slash.
        let url = Url::parse(address.trim()).ok()?;
        if !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        let below = |place: &Url| rest_below(place.as_str(), url.as_str());
        let is_page = |rest: &str| rest.is_empty() || rest.starts_with(['?', '#']);
        if self.own.iter().any(|place| below(place).is_some_and(is_page)) {
            return Some(WayOut::Own);
        }
        self.registered.iter().any(|place| below(place).is_some()).then_some(WayOut::Registered)
    }

    /// The first way out among the addresses written in a plain text.
    pub fn in_text(&self, text: &str) -> Option<WayOut> {
        let mut rest = text;
        while let Some(colon) = memchr::memmem::find(rest.as_bytes(), b"://") {
            let scheme = ["https", "http"].into_iter().find(|scheme| ends_with(&rest[..colon], scheme));
            let address = &rest[colon - scheme.map_or(0, str::len)..];
            let length = length_of_address(address);
            let written =
                address[..length].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '}', '\'', '*', '_']);
            if let Some(way_out) = scheme.and_then(|_| self.of(written)) {
                return Some(way_out);
            }
            rest = &address[length..];
        }
        None
    }
}

fn ends_with(text: &str, scheme: &str) -> bool {
    let start = text.len().checked_sub(scheme.len());
    start.and_then(|start| text.as_bytes().get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(scheme.as_bytes()))
}

/// Up to the first character that ends an address in a text, or to where it is too long for one.
fn length_of_address(text: &str) -> usize {
    let ends = |(at, end): (usize, char)| {
        (at > LONGEST || end.is_whitespace() || end.is_control() || "<>\"".contains(end)).then_some(at)
    };
    text.char_indices().find_map(ends).unwrap_or(text.len())
}

/// What an address adds to the place it lies below: whole words of a path, so that `/out` is not above `/outlet`.
fn rest_below<'a>(place: &str, address: &'a str) -> Option<&'a str> {
    let closed = place.ends_with(['/', '?', '=', '&', '#']);
    let Some(rest) = address.strip_prefix(place) else {
        // The place itself, without the slash at its end.
        let place = place.strip_suffix('/')?;
        let rest = address.strip_prefix(place)?;
        return (rest.is_empty() || rest.starts_with(['?', '#'])).then_some(rest);
    };
    (closed || rest.is_empty() || rest.starts_with(['/', '?', '#', '&', ';'])).then_some(rest)
}
