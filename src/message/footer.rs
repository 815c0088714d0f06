//! The way out that the gate adds: its wording, as plain text and as HTML.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

/// Where lines are wrapped (RFC 5322 section 2.1.1, RFC 3676 section 4.2).
const WRAP_AT: usize = 76;

/// A wording longer than this is no footer.
const LONGEST: usize = 1000;

/// The text of a footer, with `{link}` once and `{name}` where the sender's name goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    text: String,
    /// What is clicked on in HTML; else the host of the link.
    anchor: Option<&'static str>,
    language: Option<String>,
}

/// Why a text is no wording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordingError {
    NoLink,
    TwoLinks,
    UnknownPlace,
    Control,
    TooLong,
}

impl fmt::Display for WordingError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WordingError::NoLink => out.write_str("has no {link}; write it where the address goes"),
            WordingError::TwoLinks => out.write_str("has {link} more than once; write it once"),
            WordingError::UnknownPlace => {
                out.write_str("has braces around something else; write {link} and {name} only")
            }
            WordingError::Control => out.write_str("holds a control character; write plain text, \\n for a new line"),
            WordingError::TooLong => write!(out, "is too long for a footer; write {LONGEST} characters at most"),
        }
    }
}

impl std::error::Error for WordingError {}

/// Checks what a controller wrote.
pub fn check(text: &str) -> Result<(), WordingError> {
    if text.chars().count() > LONGEST {
        return Err(WordingError::TooLong);
    }
    if text.chars().any(|character| character.is_control() && character != '\n') {
        return Err(WordingError::Control);
    }
    if text.replace("{link}", "").replace("{name}", "").contains(['{', '}']) {
        return Err(WordingError::UnknownPlace);
    }
    match text.matches("{link}").count() {
        0 => Err(WordingError::NoLink),
        1 => Ok(()),
        _ => Err(WordingError::TwoLinks),
    }
}

/// The wording for a message in a language: the controller's, else ours, else the same for the controller's languages
/// in their order.
pub fn wording(own: &BTreeMap<String, String>, message: Option<&str>, languages: &[String]) -> Wording {
    let wanted = message.into_iter().chain(languages.iter().map(String::as_str));
    wanted.filter_map(|tag| in_language(own, tag)).next().or_else(|| in_language(own, "en")).unwrap_or_default()
}

fn in_language(own: &BTreeMap<String, String>, tag: &str) -> Option<Wording> {
    let tag = tag.trim();
    let primary = tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
    let exact = own.iter().find(|(language, _)| language.eq_ignore_ascii_case(tag));
    let written = exact.or_else(|| own.iter().find(|(language, _)| language.split('-').next() == Some(&primary)));
    let (anchor, ours) = match primary.as_str() {
        "fr" => (Some("Se désinscrire"), Some("Pour ne plus recevoir ces messages de {name} : {link}")),
        "en" => (Some("Unsubscribe"), Some("To receive no more of these messages from {name}: {link}")),
        _ => (None, None),
    };
    let text = written.map(|(_, text)| text.as_str()).or(ours)?.to_owned();
    Some(Wording { text, anchor, language: Some(primary) })
}

impl Default for Wording {
    fn default() -> Wording {
        Wording { text: "{name}: {link}".to_owned(), anchor: None, language: None }
    }
}

impl Wording {
    /// Lines of plain text, none of them with a blank at its end. A flowed text stays one when they are put below it.
    pub fn in_text(&self, name: &str, link: &str, flowed: bool) -> Vec<String> {
        let filled = |word: &str| word.replace("{link}", link);
        let lines = self.lines(name).flat_map(|line| wrap(line.iter().map(|word| filled(word)))).collect::<Vec<_>>();
        let stuffed = |line: &String| flowed && (line.starts_with([' ', '>']) || line.starts_with("From "));
        lines.into_iter().map(|line| if stuffed(&line) { format!(" {line}") } else { line }).collect()
    }

    /// Lines of HTML: one paragraph.
    pub fn in_html(&self, name: &str, link: &str) -> Vec<String> {
        let host = link.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or(link);
        let anchor = self.anchor.unwrap_or(host);
        let filled = |word: &str| {
            let a = format!("<a\u{0}href=\"{}\">{}</a>", escaped(link), escaped(anchor));
            escaped(word).replace("{link}", &a)
        };
        let lang = self.language.as_ref().map_or_else(String::new, |tag| format!(" lang=\"{}\"", escaped(tag)));
        let mut words = vec![format!("<p{lang}>")];
        for (number, line) in self.lines(name).enumerate() {
            words.extend((number > 0).then(|| "<br>".to_owned()));
            // The element's own blank is a place to wrap at, those of its text are blanks.
            words.extend(
                line.iter().flat_map(|word| filled(word).split(['\u{0}', ' ']).map(str::to_owned).collect::<Vec<_>>()),
            );
        }
        words.push("</p>".to_owned());
        wrap(words.into_iter())
    }

    /// The words of each line, the name put in.
    fn lines<'w>(&'w self, name: &'w str) -> impl Iterator<Item = Vec<String>> + 'w {
        let name = name.replace(|character: char| character.is_control() || "{}".contains(character), " ");
        let words = move |line: &str| {
            let filled = line.replace("{name}", &name);
            filled.split_whitespace().flat_map(short_words).collect()
        };
        self.text.split('\n').map(words)
    }
}

/// A word nobody could put on one line is cut; languages without blanks are full of them.
fn short_words(word: &str) -> Vec<String> {
    const LONGEST_WORD: usize = 60;
    let cut = |word: &str| {
        let letters: Vec<char> = word.chars().collect();
        letters.chunks(LONGEST_WORD).map(|part| part.iter().collect()).collect::<Vec<String>>()
    };
    match word.split_once("{link}") {
        Some((before, after)) if before.len() + after.len() <= LONGEST_WORD => vec![word.to_owned()],
        Some((before, after)) => [cut(before), vec!["{link}".to_owned()], cut(after)].concat(),
        None => cut(word),
    }
}

fn wrap(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    let mut column = 0;
    for word in words {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WRAP_AT {
            lines.push(String::new());
            column = 0;
        }
        if let Some(line) = lines.last_mut() {
            if column > 0 {
                line.push(' ');
            }
            line.push_str(&word);
            column += length + 1;
        }
    }
    lines
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
