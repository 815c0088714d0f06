//! The chain: each entry's keyed hash covers its predecessor's, and a sealed head says which one is the last.
//!
//! Whoever does not hold the key, which lies outside the store, can neither change an entry nor leave out the last ones
//! without breaking it.

use ring::hmac;

use super::Digest;

/// What stands before the first entry.
pub const GENESIS: Head = Head { seq: 0, mac: [0; 32] };

/// How far the chain reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the last entry; entries count from 1 without gaps.
    pub seq: i64,
    pub mac: Digest,
}

/// One entry as the chain sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub seq: i64,
    pub leaf: Digest,
    pub mac: Digest,
}

/// The keys of the chain: the first one makes new links, any of them may have made an old one.
#[derive(Clone)]
pub struct ChainKeys(Vec<Key>);

#[derive(Clone)]
struct Key {
    link: hmac::Key,
    head: hmac::Key,
}

impl std::fmt::Debug for ChainKeys {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "ChainKeys({} redacted)", self.0.len())
    }
}

impl ChainKeys {
    /// Keys of their own are drawn from the secrets, so that nothing else made with a secret is ever a link.
    pub(in crate::consent) fn new(secrets: &[[u8; 32]]) -> ChainKeys {
        let draw = |secret: &[u8; 32], purpose: &[u8]| {
            let drawn = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), purpose);
            hmac::Key::new(hmac::HMAC_SHA256, drawn.as_ref())
        };
        let key =
            |secret| Key { link: draw(secret, b"consentry ledger link"), head: draw(secret, b"consentry ledger head") };
        ChainKeys(secrets.iter().map(key).collect())
    }

    /// The hash that joins an entry to the one before it.
    pub fn link(&self, previous: &Digest, leaf: &Digest) -> Digest {
        tag(&self.0[0].link, &linked(previous, leaf)) // made from `HashKeys`, of which there is one at least
    }

    pub fn is_link(&self, previous: &Digest, leaf: &Digest, mac: &Digest) -> bool {
        self.0.iter().any(|key| hmac::verify(&key.link, &linked(previous, leaf), mac).is_ok())
    }

    /// What shows that this is the last entry.
    pub fn seal(&self, head: &Head) -> Digest {
        tag(&self.0[0].head, &sealed(head))
    }

    pub fn is_seal(&self, head: &Head, seal: &[u8]) -> bool {
        self.sealed_by(head, seal).is_some()
    }

    /// The place of the key that a head was sealed with.
    pub fn sealed_by(&self, head: &Head, seal: &[u8]) -> Option<usize> {
        self.0.iter().position(|key| hmac::verify(&key.head, &sealed(head), seal).is_ok())
    }
}

fn linked(previous: &Digest, leaf: &Digest) -> [u8; 64] {
    let mut both = [0; 64];
    both[..32].copy_from_slice(previous);
    both[32..].copy_from_slice(leaf);
    both
}

fn sealed(head: &Head) -> [u8; 40] {
    let mut both = [0; 40];
    both[..8].copy_from_slice(&head.seq.to_be_bytes());
    both[8..].copy_from_slice(&head.mac);
    both
}

fn tag(key: &hmac::Key, message: &[u8]) -> Digest {
    let mut digest = [0; 32];
    digest.copy_from_slice(hmac::sign(key, message).as_ref());
    digest
}

/// Where the chain breaks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// There is no entry of this number, though there are later ones.
    Removed { seq: i64 },
    /// The entry of this number does not follow from those before it.
    Changed { seq: i64 },
    /// Another entry stands in its place; what belongs here stands at `found`.
    OutOfOrder { seq: i64, found: i64 },
    /// The chain ends before this entry, though there was one.
    Truncated { seq: i64 },
    /// There are entries behind the one that is sealed as the last.
    BehindTheHead { seq: i64 },
    /// The head is missing or was not sealed with a key of ours.
    Head,
}

/// Follows a chain from its first entry to its head.
#[derive(Clone, Debug)]
pub struct ChainCheck<'k> {
    keys: &'k ChainKeys,
    head: Head,
}

impl<'k> ChainCheck<'k> {
    pub fn new(keys: &'k ChainKeys) -> ChainCheck<'k> {
        ChainCheck { keys, head: GENESIS }
    }

    /// From a place up to which the chain is known to hold.
    pub fn resume(keys: &'k ChainKeys, head: Head) -> ChainCheck<'k> {
        ChainCheck { keys, head }
    }

    /// How far the chain has held.
    pub fn head(&self) -> Head {
        self.head
    }

    /// The next entry in the order of their numbers.
    pub fn follow(&mut self, link: &Link) -> Result<(), Break> {
        let seq = self.head.seq + 1;
        if link.seq != seq {
            return Err(Break::Removed { seq });
        }
        if !self.keys.is_link(&self.head.mac, &link.leaf, &link.mac) {
            return Err(Break::Changed { seq });
        }
        self.head = Head { seq, mac: link.mac };
        Ok(())
    }

    /// Where `stranger` breaks the chain, whether a later entry is the one that belongs there.
    pub fn belongs_here(&self, later: &Link, stranger: &Link) -> bool {
        [later.mac, stranger.mac].iter().any(|mac| self.keys.is_link(&self.head.mac, &later.leaf, mac))
    }

    /// After the last entry: whether it is the one that was sealed.
    pub fn end(&self, sealed: Option<(Head, &[u8])>) -> Result<(), Break> {
        let Some((head, seal)) = sealed else {
            return if self.head == GENESIS { Ok(()) } else { Err(Break::Head) };
        };
        if !self.keys.is_seal(&head, seal) {
            return Err(Break::Head);
        }
        match head.seq.cmp(&self.head.seq) {
            std::cmp::Ordering::Greater => Err(Break::Truncated { seq: self.head.seq + 1 }),
            std::cmp::Ordering::Less => Err(Break::BehindTheHead { seq: head.seq + 1 }),
            std::cmp::Ordering::Equal if head.mac != self.head.mac => Err(Break::Head),
            std::cmp::Ordering::Equal => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::consent::ledger::entry::leaf;

    fn keys(bytes: &[u8]) -> ChainKeys {
        ChainKeys::new(&bytes.iter().map(|byte| [*byte; 32]).collect::<Vec<_>>())
    }

    fn chain(keys: &ChainKeys, length: i64) -> (Vec<Link>, Head) {
        let mut head = GENESIS;
        let mut links = Vec::new();
        for seq in 1..=length {
            let leaf = leaf(&seq.to_string());
            let mac = keys.link(&head.mac, &leaf);
            head = Head { seq, mac };
            links.push(Link { seq, leaf, mac });
        }
        (links, head)
    }

    fn check(keys: &ChainKeys, links: &[Link], head: Head) -> Result<(), Break> {
        let mut check = ChainCheck::new(keys);
        for (place, link) in links.iter().enumerate() {
            check.follow(link).map_err(|broken| {
                let belongs = |later: &&Link| check.belongs_here(later, link);
                match (broken, links[place + 1..].iter().find(belongs)) {
                    (Break::Changed { seq }, Some(found)) => Break::OutOfOrder { seq, found: found.seq },
                    (broken, _) => broken,
                }
            })?;
        }
        check.end(Some((head, &keys.seal(&head))))
    }

    #[test]
    fn a_key_of_former_times_still_holds_its_links() {
        let (links, head) = chain(&keys(&[1]), 3);
        let rotated = keys(&[2, 1]);
        assert_eq!(check(&rotated, &links, head), Ok(()));
        let mut check = ChainCheck::new(&rotated);
        links.iter().for_each(|link| check.follow(link).unwrap());
        let next = leaf("next");
        assert_eq!(check.follow(&Link { seq: 4, leaf: next, mac: rotated.link(&head.mac, &next) }), Ok(()));
        assert_eq!(check.end(Some((head, &keys(&[3]).seal(&head)))), Err(Break::Head));
        assert_eq!(ChainCheck::new(&keys(&[3])).follow(&links[0]), Err(Break::Changed { seq: 1 }));
    }

    #[test]
    fn a_head_that_is_gone_is_missed_unless_there_never_was_an_entry() {
        let keys = keys(&[1]);
        assert_eq!(ChainCheck::new(&keys).end(None), Ok(()));
        let mut check = ChainCheck::new(&keys);
        chain(&keys, 1).0.iter().for_each(|link| check.follow(link).unwrap());
        assert_eq!(check.end(None), Err(Break::Head));
    }

    proptest! {
        #[test]
        fn any_change_is_found_and_the_first_one_named(length in 2i64..20, place: prop::sample::Index, bit in 0usize..512) {
            let keys = keys(&[1]);
            let (mut links, head) = chain(&keys, length);
            let place = place.index(links.len());
            let half = if bit < 256 { &mut links[place].leaf } else { &mut links[place].mac };
            half[(bit % 256) / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(check(&keys, &links, head), Err(Break::Changed { seq: place as i64 + 1 }));
        }

        #[test]
        fn any_removal_is_found(length in 1i64..20, place: prop::sample::Index) {
            let keys = keys(&[1]);
            let (mut links, head) = chain(&keys, length);
            let place = place.index(links.len());
            links.remove(place);
            let seq = place as i64 + 1;
            let expected = if seq == length { Break::Truncated { seq } } else { Break::Removed { seq } };
            prop_assert_eq!(check(&keys, &links, head), Err(expected));
            // Numbering the rest anew does not hide it.
            links.iter_mut().zip(1..).for_each(|(link, seq)| link.seq = seq);
            prop_assert!(check(&keys, &links, head).is_err());
        }

        #[test]
        fn two_that_changed_places_are_found(length in 2i64..20, one: prop::sample::Index, other: prop::sample::Index, whole: bool) {
            let keys = keys(&[1]);
            let (mut links, head) = chain(&keys, length);
            let (one, other) = (one.index(links.len()), other.index(links.len()));
            prop_assume!(one < other);
            links.swap(one, other);
            let (first, second) = (links[one].mac, links[other].mac);
            (links[one].seq, links[other].seq) = (one as i64 + 1, other as i64 + 1);
            if !whole {
                (links[one].mac, links[other].mac) = (second, first);
            }
            let expected = Break::OutOfOrder { seq: one as i64 + 1, found: other as i64 + 1 };
            prop_assert_eq!(check(&keys, &links, head), Err(expected));
        }

        #[test]
        fn a_cut_tail_is_found_though_the_head_was_set_back(length in 1i64..20, cut: prop::sample::Index) {
            let keys = keys(&[1]);
            let (mut links, head) = chain(&keys, length);
            let seal = keys.seal(&head);
            links.truncate(cut.index(links.len()));
            let seq = links.len() as i64 + 1;
            prop_assert_eq!(check(&keys, &links, head), Err(Break::Truncated { seq }));
            let mut followed = ChainCheck::new(&keys);
            links.iter().for_each(|link| followed.follow(link).unwrap());
            prop_assert_eq!(followed.end(Some((followed.head(), &seal))), Err(Break::Head));
        }
    }
}
