//! The token in a link that takes one objection back. It opens nothing else, and nothing else takes one back.

use jiff::Timestamp;

use super::token::{SealingKeys, TokenError, open_sealed, put_number, seal_plain, take_number, take_text};

/// First byte of every such token; it is sealed along.
const PURPOSE: u8 = 0x42;

/// What one way back stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayBackToken {
    pub controller: String,
    /// The number of the objection.
    pub objection: i64,
    /// The recipient's `HashKeys::contact_hash`: in another store the number may be somebody else's.
    pub hash: [u8; 16],
    pub issued_at: Timestamp,
}

impl WayBackToken {
    /// The token as it stands in a link, `[A-Za-z0-9_-]` only. A nonce is used once per key.
    pub fn seal(&self, keys: &SealingKeys, nonce: [u8; 12]) -> String {
        let mut plain = Vec::with_capacity(64);
        put_number(&mut plain, self.objection.cast_unsigned());
        put_number(&mut plain, self.issued_at.as_second().cast_unsigned());
        plain.extend_from_slice(&self.hash);
        put_number(&mut plain, self.controller.len() as u64);
        plain.extend_from_slice(self.controller.as_bytes());
        seal_plain(keys, PURPOSE, nonce, plain)
    }

    pub fn open(text: &str, keys: &SealingKeys) -> Result<WayBackToken, TokenError> {
        let plain = open_sealed(text, keys, PURPOSE)?;
        WayBackToken::from_bytes(&plain).ok_or(TokenError::Malformed)
    }

    fn from_bytes(mut bytes: &[u8]) -> Option<WayBackToken> {
        let objection = take_number(&mut bytes)?.cast_signed();
        let issued_at = Timestamp::from_second(take_number(&mut bytes)?.cast_signed()).ok()?;
        let (hash, mut bytes) = bytes.split_first_chunk::<16>()?;
        let controller = take_text(&mut bytes)?;
        bytes.is_empty().then_some(WayBackToken { controller, objection, hash: *hash, issued_at })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::consent::confirm::ConfirmToken;
    use crate::consent::token::{LONGEST, UnsubscribeToken};

    fn keys(seed: u8) -> SealingKeys {
        SealingKeys::new(vec![[seed; 32]]).unwrap()
    }

    #[test]
    fn no_other_link_leads_back_and_this_one_leads_nowhere_else() {
        let (controller, hash) = ("exemple".to_owned(), [7; 16]);
        let issued_at = "2026-05-15T08:00:00Z".parse().unwrap();
        let back = WayBackToken { controller: controller.clone(), objection: 4711, hash, issued_at };
        let sealed = back.seal(&keys(1), [9; 12]);
        assert_eq!(WayBackToken::open(&sealed, &keys(1)), Ok(back));
        assert_eq!(WayBackToken::open(&sealed, &keys(2)), Err(TokenError::NotOurs));
        assert_eq!(UnsubscribeToken::open(&sealed, &keys(1)), Err(TokenError::OtherVersion));
        assert_eq!(ConfirmToken::open(&sealed, &keys(1)), Err(TokenError::OtherVersion));
        let out = UnsubscribeToken { controller, contact: 4711, hash, topics: Vec::new(), issued_at };
        let out = out.seal(&keys(1), [9; 12], LONGEST).unwrap();
        assert_eq!(WayBackToken::open(&out, &keys(1)), Err(TokenError::OtherVersion));
    }

    proptest! {
        #[test]
        fn every_token_comes_back(
            controller in "\\PC{0,20}",
            objection: i64,
            hash: [u8; 16],
            second in -60_000_000_000..250_000_000_000_i64,
        ) {
            let issued_at = Timestamp::from_second(second).unwrap();
            let token = WayBackToken { controller, objection, hash, issued_at };
            prop_assert_eq!(WayBackToken::open(&token.seal(&keys(1), [3; 12]), &keys(1)), Ok(token));
        }
    }
}
