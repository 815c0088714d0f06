//! Whether a text says for which function of a firm it is meant: "for the attention of the head of general services"
//! (R42).

use unicode_normalization::UnicodeNormalization;

/// What stands before the function, in lower case and without accents.
const OPENINGS: [&str; 12] = [
    "for the attention of",
    "to the attention of",
    "attention of the",
    "attention:",
    "attention :",
    "attn",
    "fao",
    "a l'attention d",
    "a l attention d",
    "a l'intention d",
    "zu handen",
    "z. hd.",
];

/// Whether one of the openings stands there as words of its own, with something behind it.
pub fn names_a_function(text: &str) -> bool {
    let text = plain(text);
    OPENINGS.iter().any(|opening| text.match_indices(opening).any(|(at, _)| stands(&text, at, opening)))
}

fn stands(text: &str, at: usize, opening: &str) -> bool {
    let begins = !text[..at].ends_with(char::is_alphanumeric);
    let rest = &text[at + opening.len()..];
    // `a l'attention d` goes on with its own word: de, du, des, d'.
    let ends = opening.ends_with(" d") || !rest.starts_with(char::is_alphanumeric);
    let behind = if opening.ends_with(" d") { rest.trim_start_matches(char::is_alphanumeric) } else { rest };
    begins && ends && behind.chars().take(20).any(char::is_alphanumeric)
}

/// Lower case without accents, with plain apostrophes and single spaces.
fn plain(text: &str) -> String {
    let letters = text.nfkd().filter(|letter| !unicode_normalization::char::is_combining_mark(*letter));
    let folded: String = letters
        .flat_map(char::to_lowercase)
        .map(|letter| match letter {
            '\u{2019}' | '\u{2018}' | '\u{02BC}' | '`' | '\u{B4}' => '\'',
            other => other,
        })
        .collect();
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opening_with_a_function_behind_it_names_one_and_other_words_do_not() {
        let names = [
            "For the attention of the head of general services: cleaning of offices",
            "À l'attention du responsable des services généraux",
            "A L\u{2019}ATTENTION DE LA DIRECTION",
            "Nettoyage de bureaux, a\u{300}\u{a0}l\u{2019}attention d'un responsable des achats",
            "Attn: purchasing department",
            "ATTN purchasing",
            "Offer (FAO facility manager)",
            "attention: head of IT",
            "zu Händen der Einkaufsleitung",
        ];
        let silent = [
            "Cleaning services for offices",
            "Attention, plus que deux jours !",
            "Pay attention of course",
            "A l'attention de",
            "Attn:",
            "Fabric for the sofao",
            "Faogen and attnx",
            "",
        ];
        for text in names {
            assert!(names_a_function(text), "{text}");
        }
        for text in silent {
            assert!(!names_a_function(text), "{text}");
        }
    }
}
