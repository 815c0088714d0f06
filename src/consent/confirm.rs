//! The token in a link that confirms a request. It opens nothing else, and nothing else confirms.

use jiff::Timestamp;

use super::token::{SealingKeys, TokenError, open_sealed, put_number, seal_plain, take_number, take_text};

/// First byte of every such token: an unsubscribe link begins with another one and is sealed under it.
const PURPOSE: u8 = 0x43;

/// What one confirmation link stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfirmToken {
    pub controller: String,
    /// The number of the event that asks to be confirmed.
    pub request: i64,
    /// The recipient's `HashKeys::contact_hash`: in another store the number may be somebody else's.
    pub hash: [u8; 16],
    pub issued_at: Timestamp,
}

impl ConfirmToken {
    /// The token as it stands in a link, `[A-Za-z0-9_-]` only. A nonce is used once per key.
    pub fn seal(&self, keys: &SealingKeys, nonce: [u8; 12]) -> String {
        let mut plain = Vec::with_capacity(64);
        put_number(&mut plain, self.request.cast_unsigned());
        put_number(&mut plain, self.issued_at.as_second().cast_unsigned());
        plain.extend_from_slice(&self.hash);
        put_number(&mut plain, self.controller.len() as u64);
        plain.extend_from_slice(self.controller.as_bytes());
        seal_plain(keys, PURPOSE, nonce, plain)
    }

    pub fn open(text: &str, keys: &SealingKeys) -> Result<ConfirmToken, TokenError> {
        let plain = open_sealed(text, keys, PURPOSE)?;
        ConfirmToken::from_bytes(&plain).ok_or(TokenError::Malformed)
    }

    fn from_bytes(mut bytes: &[u8]) -> Option<ConfirmToken> {
        let request = take_number(&mut bytes)?.cast_signed();
        let issued_at = Timestamp::from_second(take_number(&mut bytes)?.cast_signed()).ok()?;
        let (hash, mut bytes) = bytes.split_first_chunk::<16>()?;
        let controller = take_text(&mut bytes)?;
        bytes.is_empty().then_some(ConfirmToken { controller, request, hash: *hash, issued_at })
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::*;
    use crate::consent::token::{LONGEST, UnsubscribeToken};

    fn keys(seeds: &[u8]) -> SealingKeys {
        SealingKeys::new(seeds.iter().map(|seed| [*seed; 32]).collect()).unwrap()
    }

    fn token() -> ConfirmToken {
        let issued_at = "2026-05-15T08:00:00Z".parse().unwrap();
        ConfirmToken { controller: "exemple".into(), request: 8_123_456, hash: [7; 16], issued_at }
    }

    #[test]
    fn a_way_out_confirms_nothing_and_a_confirmation_is_no_way_out() {
        let out = UnsubscribeToken {
            controller: "exemple".into(),
            contact: 8_123_456,
            hash: [7; 16],
            topics: Vec::new(),
            issued_at: token().issued_at,
        };
        let (out, confirm) = (out.seal(&keys(&[1]), [9; 12], LONGEST).unwrap(), token().seal(&keys(&[1]), [9; 12]));
        assert_eq!(ConfirmToken::open(&confirm, &keys(&[2, 1])), Ok(token()));
        assert_eq!(ConfirmToken::open(&out, &keys(&[1])), Err(TokenError::OtherVersion));
        assert_eq!(UnsubscribeToken::open(&confirm, &keys(&[1])), Err(TokenError::OtherVersion));
        // Nor with the first byte exchanged: it is sealed along.
        for (text, purpose) in [(out, PURPOSE), (confirm, 1)] {
            let mut bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
            bytes[0] = purpose;
            let text = URL_SAFE_NO_PAD.encode(bytes);
            assert_eq!(ConfirmToken::open(&text, &keys(&[1])).ok(), None);
            assert_eq!(UnsubscribeToken::open(&text, &keys(&[1])).ok(), None);
        }
    }

    #[test]
    fn a_changed_or_cut_token_opens_nothing() {
        let text = token().seal(&keys(&[1]), [9; 12]);
        assert!(text.len() < 120, "{}", text.len());
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(ConfirmToken::open(&URL_SAFE_NO_PAD.encode(changed), &keys(&[1])).is_err(), "bit {bit}");
        }
        for length in 0..text.len() {
            assert!(ConfirmToken::open(&text[..length], &keys(&[1])).is_err(), "length {length}");
        }
    }

    proptest! {
        #[test]
        fn every_token_comes_back(controller in "\\PC{0,20}", request: i64, hash: [u8; 16], second in 0..250_000_000_000_i64) {
            let token = ConfirmToken { controller, request, hash, issued_at: Timestamp::from_second(second).unwrap() };
            let text = token.seal(&keys(&[1]), [3; 12]);
            prop_assert_eq!(ConfirmToken::open(&text, &keys(&[1])), Ok(token));
        }
    }
}
