//! The language a page is shown in.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_LANGUAGE;

pub use crate::message::language::Language;

/// The language the reader likes best (RFC 9110 section 12.5.4), else the sender's.
pub fn of_request(headers: &HeaderMap, otherwise: Language) -> Language {
    let wishes = headers.get_all(ACCEPT_LANGUAGE).iter().filter_map(|value| value.to_str().ok());
    let wishes = wishes.flat_map(|value| value.split(',')).take(32).filter_map(wish);
    let mut best = None;
    for (language, weight) in wishes.filter(|(_, weight)| *weight > 0.0) {
        if best.is_none_or(|(_, most)| weight > most) {
            best = Some((language, weight));
        }
    }
    best.map_or(otherwise, |(language, _)| language)
}

fn wish(range: &str) -> Option<(Language, f32)> {
    let mut parts = range.split(';');
    let language = Language::from_tag(parts.next()?)?;
    let weight = parts.find_map(|part| part.trim().strip_prefix("q=")).map_or(Ok(1.0), str::parse);
    Some((language, weight.unwrap_or(0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readers_wish_wins_and_the_senders_language_is_the_rest() {
        let table = [
            ("fr", Language::French),
            ("en-GB,en;q=0.9,fr;q=0.8", Language::English),
            ("de, fr-CA;q=0.5, en;q=0.4", Language::French),
            ("fr;q=0, en;q=0.1", Language::English),
            ("de", Language::French),
            ("*", Language::French),
            ("", Language::French),
            ("en;q=lots", Language::French),
        ];
        for (accept, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, accept.parse().unwrap());
            assert_eq!(of_request(&headers, Language::French), expected, "{accept}");
        }
        let tags = ["de".to_owned(), "fr-FR".to_owned()];
        assert_eq!(Language::first_of(&tags), Language::French);
        assert_eq!(Language::first_of([]), Language::English);
    }
}
