//! The codes that prove who reads the mail of an address: in memory only, as keyed hashes, for a quarter of an hour.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use ring::error::Unspecified;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use crate::smtp::address::EmailAddress;

/// From being sent; and from being entered, so that nobody has to hurry through the page behind it.
const LIFETIME: SignedDuration = SignedDuration::from_mins(15);
/// However often it is used.
const LONGEST: SignedDuration = SignedDuration::from_hours(1);
/// Wrong codes before a request is over: the chance to guess one is 5 in a million.
const ATTEMPTS: u8 = 5;
const CODES: u32 = 1_000_000;

/// Names a request in the page's form; unguessable, so that only who made it can try codes.
type RequestId = [u8; 16];

/// What a code is asked for; for anything else it is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// To leave what comes by mail.
    Leave,
    /// To choose, and to see, move or erase what is known.
    Own,
}

/// A code on its way.
pub struct Issued {
    pub request: String,
    /// Six digits. Stands in the mail and nowhere else.
    pub code: String,
}

/// What a code that was entered is worth.
#[derive(Debug, PartialEq, Eq)]
pub enum Proof {
    /// By whoever reads the mail of this address.
    Given(EmailAddress),
    Wrong {
        attempts_left: u8,
    },
    /// Too late, too often wrong, or never asked for.
    Over,
}

struct Open {
    address: EmailAddress,
    errand: Errand,
    tag: hmac::Tag,
    attempts_left: u8,
    until: Timestamp,
    at_most_until: Timestamp,
}

/// All requests that are open.
pub struct Codes {
    key: hmac::Key,
    random: SystemRandom,
    open: HashMap<RequestId, Open>,
}

impl Codes {
    pub fn new() -> Result<Codes, Unspecified> {
        let random = SystemRandom::new();
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &random)?;
        Ok(Codes { key, random, open: HashMap::new() })
    }

    pub fn issue(&mut self, address: EmailAddress, errand: Errand, now: Timestamp) -> Result<Issued, Unspecified> {
        self.open.retain(|_, open| now < open.until);
        let mut id = RequestId::default();
        self.random.fill(&mut id)?;
        let code = self.digits()?;
        let open = Open {
            address,
            errand,
            tag: hmac::sign(&self.key, &said(&id, &code)),
            attempts_left: ATTEMPTS,
            until: now + LIFETIME,
            at_most_until: now + LONGEST,
        };
        self.open.insert(id, open);
        Ok(Issued { request: URL_SAFE_NO_PAD.encode(id), code })
    }

    /// Names a request that nobody made: a page that sent no code looks like one that did.
    pub fn nobodys(&self) -> Result<String, Unspecified> {
        let mut id = RequestId::default();
        self.random.fill(&mut id)?;
        Ok(URL_SAFE_NO_PAD.encode(id))
    }

    /// Evenly distributed: what lies in the incomplete last million is drawn again.
    fn digits(&self) -> Result<String, Unspecified> {
        loop {
            let mut bytes = [0; 4];
            self.random.fill(&mut bytes)?;
            let drawn = u32::from_be_bytes(bytes);
            if drawn < u32::MAX / CODES * CODES {
                return Ok(format!("{:06}", drawn % CODES));
            }
        }
    }

    /// The right code may be shown again, as a page is loaded again.
    pub fn prove(&mut self, request: &str, code: &str, errand: Errand, now: Timestamp) -> Proof {
        let Some(id) = read_id(request) else { return Proof::Over };
        let Some(open) = self.open.get_mut(&id).filter(|open| now < open.until) else {
            self.open.remove(&id);
            return Proof::Over;
        };
        if open.errand != errand {
            return Proof::Over;
        }
        let digits: String = code.chars().filter(|character| !character.is_whitespace()).collect();
        if hmac::verify(&self.key, &said(&id, &digits), open.tag.as_ref()).is_ok() {
            open.until = (now + LIFETIME).min(open.at_most_until);
            return Proof::Given(open.address.clone());
        }
        open.attempts_left -= 1;
        match open.attempts_left {
            0 => {
                self.open.remove(&id);
                Proof::Over
            }
            attempts_left => Proof::Wrong { attempts_left },
        }
    }

    /// For a code that was never sent.
    pub fn forget(&mut self, request: &str) {
        if let Some(id) = read_id(request) {
            self.open.remove(&id);
        }
    }
}

fn read_id(request: &str) -> Option<RequestId> {
    URL_SAFE_NO_PAD.decode(request).ok()?.try_into().ok()
}

fn said(id: &RequestId, code: &str) -> Vec<u8> {
    [&id[..], code.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anna() -> EmailAddress {
        EmailAddress::parse("anna@x.example").unwrap()
    }

    fn moment(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minutes * 60).unwrap()
    }

    fn wrong(code: &str) -> String {
        format!("{:06}", (code.parse::<u32>().unwrap() + 1) % CODES)
    }

    #[test]
    fn the_code_proves_the_address_and_nothing_else_does() {
        let mut codes = Codes::new().unwrap();
        let issued = codes.issue(anna(), Errand::Leave, moment(0)).unwrap();
        assert!(issued.code.len() == 6 && issued.code.bytes().all(|byte| byte.is_ascii_digit()));
        let other = codes.issue(EmailAddress::parse("eve@x.example").unwrap(), Errand::Leave, moment(0)).unwrap();
        let spaced = format!(" {} {} ", &issued.code[..3], &issued.code[3..]);
        for code in [issued.code.clone(), spaced] {
            assert_eq!(codes.prove(&issued.request, &code, Errand::Leave, moment(1)), Proof::Given(anna()));
        }
        for request in ["", "AAAA", "anna@x.example", &other.request[1..]] {
            assert_eq!(codes.prove(request, &issued.code, Errand::Leave, moment(1)), Proof::Over);
        }
        assert_eq!(codes.prove(&issued.request, &issued.code, Errand::Own, moment(1)), Proof::Over, "asked to leave");
        assert_eq!(codes.prove(&codes.nobodys().unwrap(), &issued.code, Errand::Leave, moment(1)), Proof::Over);
        assert_eq!(codes.prove(&issued.request, "", Errand::Leave, moment(1)), Proof::Wrong { attempts_left: 4 });
    }

    #[test]
    fn after_five_wrong_codes_the_right_one_is_too_late() {
        let mut codes = Codes::new().unwrap();
        let issued = codes.issue(anna(), Errand::Leave, moment(0)).unwrap();
        for attempts_left in (1..ATTEMPTS).rev() {
            let proof = codes.prove(&issued.request, &wrong(&issued.code), Errand::Leave, moment(0));
            assert_eq!(proof, Proof::Wrong { attempts_left });
        }
        assert_eq!(codes.prove(&issued.request, &wrong(&issued.code), Errand::Leave, moment(0)), Proof::Over);
        assert_eq!(codes.prove(&issued.request, &issued.code, Errand::Leave, moment(0)), Proof::Over);
    }

    #[test]
    fn a_code_lives_fifteen_minutes_and_its_page_as_long_again() {
        let mut codes = Codes::new().unwrap();
        let late = codes.issue(anna(), Errand::Leave, moment(0)).unwrap();
        assert_eq!(codes.prove(&late.request, &late.code, Errand::Leave, moment(15)), Proof::Over);
        let used = codes.issue(anna(), Errand::Leave, moment(0)).unwrap();
        for minute in [14, 28, 42, 56] {
            assert_eq!(
                codes.prove(&used.request, &used.code, Errand::Leave, moment(minute)),
                Proof::Given(anna()),
                "{minute}"
            );
        }
        assert_eq!(codes.prove(&used.request, &used.code, Errand::Leave, moment(60)), Proof::Over);
    }

    #[test]
    fn what_is_over_takes_no_room() {
        let mut codes = Codes::new().unwrap();
        for _ in 0..100 {
            codes.issue(anna(), Errand::Leave, moment(0)).unwrap();
        }
        let last = codes.issue(anna(), Errand::Leave, moment(15)).unwrap();
        assert_eq!(codes.open.len(), 1);
        codes.forget(&last.request);
        assert_eq!(codes.open.len(), 0);
    }
}
