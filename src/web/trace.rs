//! What is kept of who answered a form: nothing, keyed hashes, or network address and browser as they are. It stands in
//! the remark of the event, which an erasure drops.

use std::net::IpAddr;

use crate::consent::ledger::hex;
use crate::consent::token::HashKeys;
use crate::policy::form::Trace;

/// Of the browser's name; what is longer is no browser's.
const LONGEST: usize = 300;

pub fn trace(kept: Trace, keys: &HashKeys, address: Option<IpAddr>, agent: Option<&str>) -> Option<String> {
    let address = address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
    let agent: String =
        agent.unwrap_or("unknown").chars().filter(|letter| !letter.is_control()).take(LONGEST).collect();
    let hashed = |what: &str, value: &str| hex(&keys.contact_hash("", &format!("\0trace\0{what}\0{value}")));
    match kept {
        Trace::None => None,
        Trace::Hash => {
            Some(format!("network address {}, browser {}", hashed("address", &address), hashed("browser", &agent)))
        }
        Trace::Full => Some(format!("network address {address}, browser {agent}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_was_laid_down() {
        let keys = HashKeys::new(vec![[2; 32]]).unwrap();
        let of = |kept, address: &str| trace(kept, &keys, address.parse().ok(), Some("Firefox\r\n/150"));
        assert_eq!(of(Trace::None, "192.0.2.7"), None);
        assert_eq!(of(Trace::Full, "192.0.2.7").unwrap(), "network address 192.0.2.7, browser Firefox/150");
        let hashed = of(Trace::Hash, "192.0.2.7").unwrap();
        assert!(!hashed.contains("192.0.2") && !hashed.contains("Firefox"), "{hashed}");
        assert_eq!(of(Trace::Hash, "192.0.2.7").unwrap(), hashed);
        assert_ne!(of(Trace::Hash, "192.0.2.8").unwrap(), hashed);
        assert_eq!(trace(Trace::Full, &keys, None, None).unwrap(), "network address unknown, browser unknown");
        assert!(trace(Trace::Full, &keys, None, Some(&"x".repeat(5000))).unwrap().len() < 400);
    }
}
