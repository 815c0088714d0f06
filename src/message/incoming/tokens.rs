//! Where a sealed token may stand in what people and machines send back.
//!
//! Only a key tells whether it is one; here are the strings that are worth trying.

use percent_encoding::percent_decode_str;

use crate::message::encoded_word;
use crate::message::head::MessageHead;

/// No token is shorter: version, nonce, tag, and a row with its hash.
const SHORTEST: usize = 64;
/// As long as any that is sealed.
const LONGEST: usize = crate::consent::token::LONGEST;
/// So many are tried, of each place.
const MOST: usize = 32;
/// Into so many pieces a token may have been broken by folding.
const MOST_PIECES: usize = 32;

/// Tokens in running text: a body, or a link.
pub fn in_text(text: &str) -> Vec<String> {
    let decoded = percent_decode_str(text).decode_utf8_lossy();
    let mut found = Vec::new();
    for run in decoded.split(|c: char| !is_token_character(c)) {
        keep(&mut found, run);
    }
    found
}

/// Tokens in a field that was folded: blanks may stand inside one.
pub fn in_field(value: &str) -> Vec<String> {
    let mut found = in_text(value);
    for stretch in value.split(|c: char| !is_token_character(c) && !c.is_whitespace()) {
        let words: Vec<&str> = stretch.split_whitespace().take(MOST_PIECES).collect();
        for first in 0..words.len() {
            for last in first + 2..=words.len() {
                keep(&mut found, &words[first..last].concat());
            }
        }
    }
    found
}

/// Tokens in the fields by which the gate lets people leave, of a message that came back.
pub fn in_list_fields(head: &MessageHead, wire: &[u8]) -> Vec<String> {
    let fields = head.fields(wire).filter(|field| field.is("List-Unsubscribe"));
    fields.flat_map(|field| in_field(&encoded_word::decode(&field.unfolded()))).take(MOST).collect()
}

fn is_token_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

fn keep(found: &mut Vec<String>, run: &str) {
    let fits = (SHORTEST..=LONGEST).contains(&run.len());
    if fits && found.len() < MOST && !found.iter().any(|known| known == run) {
        found.push(run.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As long as a real one, with every kind of character.
    pub(in crate::message::incoming) fn token() -> String {
        "AbC-d_9".repeat(12)
    }

    #[test]
    fn a_token_is_found_wherever_it_stands() {
        let token = token();
        let table = [
            format!("unsubscribe {token}"),
            format!("Re: unsubscribe {token} please"),
            format!("<https://p.example/u/{token}>"),
            format!("https://p.example/u/{token}?lang=fr"),
            format!("<mailto:out@c.example?subject=unsubscribe%20{token}>"),
            format!("\"{token}\""),
        ];
        for text in table {
            assert_eq!(in_text(&text), std::slice::from_ref(&token), "{text}");
        }
        let escaped = token.replace('-', "%2D").replace('_', "%5f");
        assert_eq!(in_text(&escaped), [token]);
    }

    #[test]
    fn a_token_that_was_folded_is_put_together() {
        let token = token();
        let (start, rest) = token.split_at(30);
        let (middle, end) = rest.split_at(40);
        assert!(in_field(&format!("Re: unsubscribe {start} {middle}\t{end}")).contains(&token));
        assert!(in_field(&format!("AW: {start}  {middle} {end} thank you")).contains(&token));
        assert!(!in_field(&format!("{start}, {middle} {end}")).contains(&token));
    }

    #[test]
    fn what_cannot_be_one_is_not_tried() {
        for text in ["", "unsubscribe", &"a".repeat(SHORTEST - 1), &"a".repeat(LONGEST + 1), &"é".repeat(80)] {
            assert!(in_text(text).is_empty(), "{text}");
        }
        let many: Vec<String> = (0..200).map(|n| format!("{n:080}")).collect();
        assert_eq!(in_text(&many.join(" ")).len(), MOST);
        assert_eq!(in_field(&many.join(" ")).len(), MOST);
    }
}
