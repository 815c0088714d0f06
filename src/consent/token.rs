//! The tokens in unsubscribe links, and the hashes under which an objection outlives a person's data.
//!
//! A token is opaque and unforgeable and names its recipient only by a row number and a keyed hash, so a
//! link that leaks tells no address (RFC 8058 section 4).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;

use super::ledger::chain::ChainKeys;
use super::ledger::hex;
use super::scope::widening;

/// First byte of every token; a later format takes another one.
const VERSION: u8 = 1;
const NONCE: usize = aead::NONCE_LEN;
/// Longest token that is sealed and that is worth looking at.
pub const LONGEST: usize = 2048;

/// The keys that seal unsubscribe links: the first one seals, all open.
#[derive(Clone, PartialEq, Eq)]
pub struct SealingKeys(Vec<[u8; 32]>);

impl SealingKeys {
    /// Refuses an empty list: a gate without a key could give nobody a way out.
    pub fn new(keys: Vec<[u8; 32]>) -> Result<SealingKeys, KeyError> {
        if keys.is_empty() { Err(KeyError::None) } else { Ok(SealingKeys(keys)) }
    }
}

impl SealingKeys {
    /// What only a holder of these keys can say to a challenge, the sealing key's answer first. Whoever says it opens
    /// the links that are sealed here.
    pub fn answers(&self, challenge: &str) -> Vec<String> {
        let answer = |key: &[u8; 32]| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key);
            URL_SAFE_NO_PAD.encode(hmac::sign(&key, format!("who is there?\0{challenge}").as_bytes()))
        };
        self.0.iter().map(answer).collect()
    }
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SealingKeys({} redacted)", self.0.len())
    }
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    let key = UnboundKey::new(&aead::CHACHA20_POLY1305, key);
    LessSafeKey::new(key.expect("CHACHA20_POLY1305 takes keys of 32 bytes"))
}

/// What one unsubscribe link stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsubscribeToken {
    pub controller: String,
    /// Row of the recipient in the store; 0 when there was none.
    pub contact: i64,
    /// The recipient's `HashKeys::contact_hash` at the time of sealing.
    pub hash: [u8; 16],
    pub topics: Vec<String>,
    pub issued_at: Timestamp,
}

impl UnsubscribeToken {
    /// The token as it stands in a link, `[A-Za-z0-9_-]` only and no longer than `room`: with its topics, or with a
    /// wider scope where they are too many. `None`: there is no room for any. A nonce is used once per key.
    pub fn seal(&self, keys: &SealingKeys, nonce: [u8; NONCE], room: usize) -> Option<String> {
        let room = room.min(LONGEST);
        let mut plain = widening(&self.topics).into_iter().map(|topics| self.to_bytes(&topics));
        let plain = plain.find(|plain| sealed_length(plain.len()) <= room)?;
        Some(seal_plain(keys, VERSION, nonce, plain))
    }

    pub fn open(text: &str, keys: &SealingKeys) -> Result<UnsubscribeToken, TokenError> {
        let plain = open_sealed(text, keys, VERSION)?;
        UnsubscribeToken::from_bytes(&plain).ok_or(TokenError::Malformed)
    }

    /// Row, second of issue, hash, then controller and topics each behind its length.
    fn to_bytes(&self, topics: &[String]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(96);
        put_number(&mut bytes, self.contact.cast_unsigned());
        put_number(&mut bytes, self.issued_at.as_second().cast_unsigned());
        bytes.extend_from_slice(&self.hash);
        for text in std::iter::once(&self.controller).chain(topics) {
            put_number(&mut bytes, text.len() as u64);
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }

    fn from_bytes(mut bytes: &[u8]) -> Option<UnsubscribeToken> {
        let contact = take_number(&mut bytes)?.cast_signed();
        let issued_at = Timestamp::from_second(take_number(&mut bytes)?.cast_signed()).ok()?;
        let (hash, mut bytes) = bytes.split_first_chunk::<16>()?;
        let controller = take_text(&mut bytes)?;
        let mut topics = Vec::new();
        while !bytes.is_empty() {
            topics.push(take_text(&mut bytes)?);
        }
        Some(UnsubscribeToken { controller, contact, hash: *hash, topics, issued_at })
    }
}

/// Sealed for one purpose, whose byte stands in front and opens nothing else.
pub(super) fn seal_plain(keys: &SealingKeys, purpose: u8, nonce: [u8; NONCE], mut plain: Vec<u8>) -> String {
    cipher(&keys.0[0]) // `new` refuses an empty list
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from([purpose]), &mut plain)
        .expect("ring seals anything shorter than 256 GiB");
    URL_SAFE_NO_PAD.encode([&[purpose][..], &nonce, &plain].concat())
}

/// What was sealed for this purpose.
pub(super) fn open_sealed(text: &str, keys: &SealingKeys, purpose: u8) -> Result<Vec<u8>, TokenError> {
    if text.len() > LONGEST {
        return Err(TokenError::Malformed);
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Malformed)?;
    let (first, rest) = bytes.split_first().ok_or(TokenError::Malformed)?;
    if *first != purpose {
        return Err(TokenError::OtherVersion);
    }
    let (nonce, sealed) = rest.split_first_chunk::<NONCE>().ok_or(TokenError::Malformed)?;
    let opened = keys.0.iter().find_map(|key| {
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = cipher(key).open_in_place(nonce, Aad::from([purpose]), &mut sealed).ok()?.len();
        sealed.truncate(length);
        Some(sealed)
    });
    opened.ok_or(TokenError::NotOurs)
}

/// How many characters a token of that many bytes has: version, nonce and tag around it, six bits to a character.
fn sealed_length(plain: usize) -> usize {
    ((1 + NONCE + plain + aead::CHACHA20_POLY1305.tag_len()) * 4).div_ceil(3)
}

/// Seven bits a byte, the lowest first, the top bit says that more follow.
pub(super) fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

pub(super) fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

pub(super) fn take_text(bytes: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(take_number(bytes)?).ok()?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    String::from_utf8(text.to_vec()).ok()
}

/// Why a link opens nothing. Says nothing about any person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// Cut off or changed on its way.
    Malformed,
    OtherVersion,
    /// No key of ours opens it.
    NotOurs,
}

impl fmt::Display for TokenError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            TokenError::Malformed => "not a complete token",
            TokenError::OtherVersion => "a token of another version of this program",
            TokenError::NotOurs => "a token that no key of ours opens",
        })
    }
}

impl std::error::Error for TokenError {}

/// The keys that turn an address into the hash an objection is kept under once the address is gone.
#[derive(Clone, PartialEq, Eq)]
pub struct HashKeys(Vec<[u8; 32]>);

impl HashKeys {
    pub fn new(keys: Vec<[u8; 32]>) -> Result<HashKeys, KeyError> {
        if keys.is_empty() { Err(KeyError::None) } else { Ok(HashKeys(keys)) }
    }

    /// The hash new entries get, of an address' widest objection key.
    pub fn contact_hash(&self, controller: &str, key: &str) -> [u8; 16] {
        hash(&self.0[0], controller, key) // `new` refuses an empty list
    }

    /// The hashes older entries may stand under, the newest key's first.
    pub fn all_hashes(&self, controller: &str, key: &str) -> Vec<[u8; 16]> {
        self.0.iter().map(|hash_key| hash(hash_key, controller, key)).collect()
    }

    /// What stands for a person in the journal once the address is erased, of the address' consent key.
    pub fn pseudonym(&self, key: &str) -> String {
        pseudonym(&self.0[0], key) // `new` refuses an empty list
    }

    /// What may stand for a person, the newest key's first.
    pub fn all_pseudonyms(&self, key: &str) -> Vec<String> {
        self.0.iter().map(|hash_key| pseudonym(hash_key, key)).collect()
    }

    /// What a caller's own id is recognised by when it comes again, the newest key's first.
    pub fn id_hashes(&self, controller: &str, id: &str) -> Vec<[u8; 16]> {
        // No address holds a NUL.
        self.0.iter().map(|hash_key| hash(hash_key, controller, &format!("\0id\0{id}"))).collect()
    }

    /// The same keys, with the one at this place in use for what is new.
    pub fn led_by(mut self, place: usize) -> HashKeys {
        if place < self.0.len() {
            self.0[..=place].rotate_right(1);
        }
        self
    }

    /// The keys that chain the ledger.
    pub fn chain_keys(&self) -> ChainKeys {
        ChainKeys::new(&self.0)
    }
}

/// How a pseudonym begins; no address does, having no `@`.
pub const ERASED: &str = "erased:";

/// Of no controller: no controller has an empty name.
fn pseudonym(hash_key: &[u8; 32], key: &str) -> String {
    format!("{ERASED}{}", hex(&hash(hash_key, "", key)))
}

impl fmt::Debug for HashKeys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "HashKeys({} redacted)", self.0.len())
    }
}

/// HMAC-SHA-256 over controller, a 0 byte and key, cut to 16 bytes.
fn hash(hash_key: &[u8; 32], controller: &str, key: &str) -> [u8; 16] {
    let hash_key = hmac::Key::new(hmac::HMAC_SHA256, hash_key);
    let tag = hmac::sign(&hash_key, &[controller.as_bytes(), &[0], key.as_bytes()].concat());
    let mut short = [0; 16];
    short.copy_from_slice(&tag.as_ref()[..16]);
    short
}

/// Reads a key file: one key a line, 32 bytes in base64; blank lines and `#` comments are skipped.
pub fn parse_keys(text: &str) -> Result<Vec<[u8; 32]>, KeyError> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let numbered = (1..).zip(lines).filter(|(_, line)| !line.is_empty());
    let keys: Vec<_> = numbered.map(|(line, key)| parse_key(line, key)).collect::<Result<_, _>>()?;
    if keys.is_empty() { Err(KeyError::None) } else { Ok(keys) }
}

fn parse_key(line: usize, text: &str) -> Result<[u8; 32], KeyError> {
    let bytes = STANDARD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')));
    let bytes = bytes.map_err(|_| KeyError::NotBase64 { line })?;
    let key = <[u8; 32]>::try_from(bytes).map_err(|bytes| KeyError::Length { line, length: bytes.len() })?;
    // The all-zero key of a copied example seals nothing from anybody.
    if key == [0; 32] { Err(KeyError::Zero { line }) } else { Ok(key) }
}

/// What is wrong with a key file. Never holds a part of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    None,
    NotBase64 { line: usize },
    Length { line: usize, length: usize },
    Zero { line: usize },
}

impl fmt::Display for KeyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CURE: &str = "write 32 random bytes in base64, as `openssl rand -base64 32` prints them";
        match self {
            KeyError::None => write!(out, "no key in it; {CURE}"),
            KeyError::NotBase64 { line } => write!(out, "line {line} is not base64; {CURE}"),
            KeyError::Length { line, length } => write!(out, "the key on line {line} has {length} bytes; {CURE}"),
            KeyError::Zero { line } => write!(out, "the key on line {line} is all zero; {CURE}"),
        }
    }
}

impl std::error::Error for KeyError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(seeds: &[u8]) -> SealingKeys {
        SealingKeys::new(seeds.iter().map(|seed| [*seed; 32]).collect()).unwrap()
    }

    fn token() -> UnsubscribeToken {
        UnsubscribeToken {
            controller: "exemple".to_owned(),
            contact: 8_123_456,
            hash: HashKeys::new(vec![[7; 32]]).unwrap().contact_hash("exemple", "anna@exemple.fr"),
            topics: vec!["offers/books".to_owned(), "offers/music".to_owned()],
            issued_at: "2026-03-02T08:05:07Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_token_opens_with_any_key_we_still_hold() {
        let text = token().seal(&keys(&[1]), [9; 12], LONGEST).unwrap();
        assert_eq!(UnsubscribeToken::open(&text, &keys(&[1])), Ok(token()));
        assert_eq!(UnsubscribeToken::open(&text, &keys(&[3, 2, 1])), Ok(token()));
        assert_eq!(UnsubscribeToken::open(&text, &keys(&[3, 2])), Err(TokenError::NotOurs));
    }

    #[test]
    fn a_token_is_short_fit_for_a_link_and_tells_nothing() {
        let text = token().seal(&keys(&[1]), [9; 12], LONGEST).unwrap();
        assert!(text.len() <= 200, "{}", text.len());
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        for known in [&b"offers"[..], b"exemple", &token().hash] {
            assert!(memchr::memmem::find(&bytes, known).is_none());
        }
        assert_ne!(text, token().seal(&keys(&[1]), [8; 12], LONGEST).unwrap());
    }

    #[test]
    fn a_token_with_too_many_topics_has_a_wider_scope_and_opens() {
        let below = |top: &str, count| (0..count).map(|n| format!("{top}/{n:040}")).collect::<Vec<_>>();
        let tops = |count| (0..count).map(|n| format!("{n:040}")).collect::<Vec<_>>();
        let table = [
            // Topics, room, what the link then reaches.
            (below("offers", 5), 700, Some(below("offers", 5))),
            (below("offers", 20), 700, Some(vec!["offers".to_owned()])),
            (below("offers", 100), usize::MAX, Some(vec!["offers".to_owned()])),
            (tops(40), 700, Some(Vec::new())),
            (tops(40), 40, None),
        ];
        for (topics, room, expected) in table {
            let text = UnsubscribeToken { topics, ..token() }.seal(&keys(&[1]), [9; 12], room);
            assert!(text.as_ref().is_none_or(|text| text.len() <= room.min(LONGEST)));
            let opened = text.map(|text| UnsubscribeToken::open(&text, &keys(&[1])).unwrap().topics);
            assert_eq!(opened, expected);
        }
        let exact = token().seal(&keys(&[1]), [9; 12], LONGEST).unwrap();
        assert_eq!(token().seal(&keys(&[1]), [9; 12], exact.len()), Some(exact), "room is used to the last character");
    }

    #[test]
    fn a_changed_or_cut_token_opens_nothing() {
        let text = token().seal(&keys(&[1]), [9; 12], LONGEST).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let opened = UnsubscribeToken::open(&URL_SAFE_NO_PAD.encode(changed), &keys(&[1]));
            assert!(opened.is_err(), "bit {bit}");
        }
        for length in 0..text.len() {
            assert!(UnsubscribeToken::open(&text[..length], &keys(&[1])).is_err(), "length {length}");
        }
        let garbage = ["", "me", "é", "AAAA", "====", &"A".repeat(5000), &format!("{text} "), &format!("{text}=")];
        for text in garbage {
            assert!(UnsubscribeToken::open(text, &keys(&[1])).is_err(), "{text:.20}");
        }
    }

    #[test]
    fn hashes_depend_on_key_controller_and_person() {
        let both = HashKeys::new(vec![[2; 32], [1; 32]]).unwrap();
        let old = HashKeys::new(vec![[1; 32]]).unwrap();
        let hash = both.contact_hash("c", "anna@x.example");
        assert_eq!(both.all_hashes("c", "anna@x.example"), [hash, old.contact_hash("c", "anna@x.example")]);
        assert_ne!(hash, both.contact_hash("c", "bob@x.example"));
        assert_ne!(both.contact_hash("ab", "c"), both.contact_hash("a", "bc"));
        let led = both.clone().led_by(1);
        assert_eq!(led.contact_hash("c", "anna@x.example"), old.contact_hash("c", "anna@x.example"));
        assert_eq!(led.all_hashes("c", "anna@x.example").len(), 2);
    }

    #[test]
    fn keys_are_never_shown() {
        let shown = format!("{:?} {:?}", keys(&[65, 66]), HashKeys::new(vec![[65; 32]]).unwrap());
        assert_eq!(shown, "SealingKeys(2 redacted) HashKeys(1 redacted)");
    }

    #[test]
    fn a_key_file_is_read_or_its_line_is_named() {
        let good = STANDARD.encode([5; 32]);
        let zero = STANDARD.encode([0; 32]);
        let table = [
            (format!("# newest first\n\n{good} # 2026\r\n {good}\n"), Ok(2)),
            (URL_SAFE_NO_PAD.encode([255; 32]), Ok(1)),
            (String::new(), Err(KeyError::None)),
            ("# only this\n".to_owned(), Err(KeyError::None)),
            (format!("{good}\nnot base64!\n"), Err(KeyError::NotBase64 { line: 2 })),
            ("AAAA".to_owned(), Err(KeyError::Length { line: 1, length: 3 })),
            (zero, Err(KeyError::Zero { line: 1 })),
        ];
        for (text, expected) in table {
            assert_eq!(parse_keys(&text).map(|keys| keys.len()), expected, "{text}");
        }
        assert_eq!(SealingKeys::new(Vec::new()), Err(KeyError::None));
    }

    proptest! {
        #[test]
        fn every_token_comes_back(
            controller in "\\PC{0,20}",
            contact: i64,
            hash: [u8; 16],
            topics in prop::collection::vec("[a-zé/]{0,20}", 0..5),
            second in -60_000_000_000..250_000_000_000_i64,
        ) {
            let issued_at = Timestamp::from_second(second).unwrap();
            let token = UnsubscribeToken { controller, contact, hash, topics, issued_at };
            let text = token.seal(&keys(&[1]), [3; 12], LONGEST).unwrap();
            prop_assert_eq!(UnsubscribeToken::open(&text, &keys(&[1])), Ok(token));
        }
    }
}
