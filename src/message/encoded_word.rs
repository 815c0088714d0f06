//! Encoded words in header values (RFC 2047), read and written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_parser::parsers::MessageStream;

/// Longest encoded word that is looked for. RFC 2047 section 2 allows 75; senders write longer ones.
const LONGEST_WORD: usize = 1024;

/// Decodes the encoded words of an unfolded value. What cannot be decoded stays as it is.
pub fn decode(value: &str) -> String {
    let mut decoded = String::with_capacity(value.len());
    let mut rest = value;
    let mut after_word = false;
    while let Some(at) = rest.find("=?") {
        let (plain, word_on) = rest.split_at(at);
        let Some((word, length)) = first_word(word_on) else {
            decoded.push_str(plain);
            decoded.push_str("=?");
            rest = &word_on[2..];
            after_word = false;
            continue;
        };
        // Blanks between two encoded words are not text (RFC 2047 section 6.2).
        if !(after_word && plain.trim().is_empty()) {
            decoded.push_str(plain);
        }
        decoded.push_str(&word);
        rest = &word_on[length..];
        after_word = true;
    }
    decoded.push_str(rest);
    decoded
}

/// The decoded text and the length of the encoded word that `text` starts with.
fn first_word(text: &str) -> Option<(String, usize)> {
    let window = &text.as_bytes()[..text.len().min(LONGEST_WORD)];
    let mut marks = memchr::memchr_iter(b'?', window).skip(1);
    let (_, encoding_end) = (marks.next()?, marks.next()?);
    let end = encoding_end + 1 + memchr::memmem::find(&window[encoding_end + 1..], b"?=")? + 2;
    // Looked at alone, so a chain of broken words costs no second look at what follows them.
    let word = MessageStream::new(&window[1..end]).decode_rfc2047()?;
    Some((word, end))
}

/// Encodes text for an unstructured place or a phrase; plain ASCII that needs no encoding stays as it is.
pub fn encode(text: &str) -> String {
    let plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    if text.bytes().all(plain) && !text.contains("=?") {
        return text.to_owned();
    }
    let mut words = Vec::new();
    let mut chunk = String::new();
    for character in text.chars().map(|character| if character.is_control() { ' ' } else { character }) {
        // 39 bytes are 52 in base64, 64 with the frame: with a short field name before it a line keeps to the 76 of RFC
        // 2047 section 2.
        if chunk.len() + character.len_utf8() > 39 {
            words.push(std::mem::take(&mut chunk));
        }
        chunk.push(character);
    }
    words.push(chunk);
    let words: Vec<_> = words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word))).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn encoded_words_are_decoded_and_the_rest_stays() {
        let table = [
            ("plain", "plain"),
            ("=?utf-8?Q?d=C3=A9j=C3=A0_vu?= now", "déjà vu now"),
            ("=?iso-8859-1?q?caf=E9?= =?utf-8?B?IQ==?=", "café!"),
            ("a =?utf-8?Q?b?= c =?utf-8?Q?d?=", "a b c d"),
            ("=?utf-8?Q?open", "=?utf-8?Q?open"),
            ("=?utf-8?X?no?= =?", "=?utf-8?X?no?= =?"),
            ("50% =?= off", "50% =?= off"),
            ("é=?é?é?é?=é", "é=?é?é?é?=é"),
        ];
        for (value, expected) in table {
            assert_eq!(decode(value), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_ascii_and_decodes_to_the_same(text in "[^\\p{C}]{0,120}") {
            let encoded = encode(&text);
            prop_assert!(encoded.is_ascii());
            prop_assert_eq!(decode(&encoded), text);
        }

        #[test]
        fn decoding_takes_any_text(text in "([=?a-zBQ8_ é-]{0,9}|=\\?utf-8\\?Q\\?)*") {
            decode(&text);
        }
    }
}
