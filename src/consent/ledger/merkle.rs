//! The Merkle tree over the entries (RFC 6962 section 2.1): a short proof that one entry is among those a checkpoint
//! stands for. Places count from 0; the ledger's entries from 1.

use std::ops::Range;

use super::{Digest, sha256};

/// The root of a tree that only grows, in as many hashes as its size has binary ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// The roots of the full trees it is made of, the largest first.
    full: Vec<Digest>,
}

impl Frontier {
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds the hash of a leaf.
    pub fn push(&mut self, leaf: Digest) {
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            let left = self.full.pop().expect("one full tree for each binary one of the size");
            node = parent(&left, &node);
        }
        self.full.push(node);
        self.size += 1;
    }

    /// The hash of the whole tree; of the empty one that of nothing.
    pub fn root(&self) -> Digest {
        let mut smaller_first = self.full.iter().rev();
        let Some(smallest) = smaller_first.next() else { return sha256(&[]) };
        smaller_first.fold(*smallest, |right, left| parent(left, &right))
    }

    /// As bytes, to go on from later.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.full.concat()
    }

    pub fn from_bytes(size: u64, bytes: &[u8]) -> Option<Frontier> {
        let (full, rest) = bytes.as_chunks::<32>();
        let fits = rest.is_empty() && full.len() == size.count_ones() as usize;
        fits.then(|| Frontier { size, full: full.to_vec() })
    }
}

fn parent(left: &Digest, right: &Digest) -> Digest {
    sha256(&[&[1], left, right])
}

/// The parts of a tree whose hashes prove the leaf at a place to be in it, the nearest first (RFC 6962 section 2.1.1).
pub fn siblings(place: u64, size: u64) -> Vec<Range<u64>> {
    let (mut tree, mut away) = (0..size, Vec::new());
    while tree.contains(&place) && tree.end - tree.start > 1 {
        let middle = tree.start + split(tree.end - tree.start);
        if place < middle {
            away.push(middle..tree.end);
            tree.end = middle;
        } else {
            away.push(tree.start..middle);
            tree.start = middle;
        }
    }
    away.reverse();
    away
}

/// The largest power of two below the size of a tree, which is 2 at least.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The root that follows from a leaf and its proof (RFC 9162 section 2.1.3.2); `None` when the proof does not fit.
pub fn root_of(leaf: Digest, place: u64, size: u64, proof: &[Digest]) -> Option<Digest> {
    if place >= size {
        return None;
    }
    let (mut place, mut last, mut node) = (place, size - 1, leaf);
    for sibling in proof {
        if last == 0 {
            return None;
        }
        if place % 2 == 1 || place == last {
            node = parent(sibling, &node);
            while place % 2 == 0 && place != 0 {
                (place, last) = (place / 2, last / 2);
            }
        } else {
            node = parent(&node, sibling);
        }
        (place, last) = (place / 2, last / 2);
    }
    (last == 0).then_some(node)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::consent::ledger::hex;

    /// The leaves of the reference implementation of RFC 6962, and the roots of the trees of the first ones.
    const KNOWN: [(&[u8], &str); 8] = [
        (b"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (b"\x00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (b"\x10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (b"\x20\x21", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
        (b"\x30\x31", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
        (b"\x40\x41\x42\x43", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
        (b"\x50\x51\x52\x53\x54\x55\x56\x57", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
        (
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ),
    ];

    /// RFC 6962 section 2.1, word for word.
    fn tree_hash(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => sha256(&[]),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(usize::try_from(split(leaves.len() as u64)).unwrap());
                parent(&tree_hash(left), &tree_hash(right))
            }
        }
    }

    fn leaves(count: u64) -> Vec<Digest> {
        (0..count).map(|number| sha256(&[&[0], &number.to_be_bytes()])).collect()
    }

    fn proof(leaves: &[Digest], place: u64) -> Vec<Digest> {
        let part = |part: Range<u64>| &leaves[part.start as usize..part.end as usize];
        siblings(place, leaves.len() as u64).into_iter().map(|range| tree_hash(part(range))).collect()
    }

    #[test]
    fn the_roots_are_those_of_the_reference() {
        let mut tree = Frontier::default();
        assert_eq!(hex(&tree.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for (leaf, root) in KNOWN {
            tree.push(sha256(&[&[0], leaf]));
            assert_eq!(hex(&tree.root()), root, "size {}", tree.size());
        }
    }

    #[test]
    fn a_proof_of_the_reference_is_taken_and_no_other() {
        let leaves: Vec<Digest> = KNOWN.iter().map(|(leaf, _)| sha256(&[&[0], leaf])).collect();
        let path = proof(&leaves, 5);
        let expected = [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ];
        assert_eq!(path.iter().map(|node| hex(node)).collect::<Vec<_>>(), expected);
        assert_eq!(root_of(leaves[5], 8, 8, &path), None);
        assert_eq!(root_of(leaves[5], 5, 8, &path[1..]), None);
        assert_eq!(root_of(leaves[5], 5, 8, &[path.clone(), path].concat()), None);
    }

    proptest! {
        #[test]
        fn growing_and_reading_back_come_to_the_same_root(count in 0u64..70, cut in 0u64..70) {
            let all = leaves(count);
            let mut tree = Frontier::default();
            for leaf in &all {
                if tree.size() == cut {
                    tree = Frontier::from_bytes(cut, &tree.to_bytes()).unwrap();
                }
                tree.push(*leaf);
            }
            prop_assert_eq!(tree.root(), tree_hash(&all));
            prop_assert_eq!(Frontier::from_bytes(count + 1, &[tree.to_bytes(), vec![0]].concat()), None);
        }

        #[test]
        fn every_leaf_is_proved_at_its_place_only(count in 1u64..40, place: prop::sample::Index, other: prop::sample::Index) {
            let all = leaves(count);
            let (place, other) = (place.index(all.len()) as u64, other.index(all.len()) as u64);
            let (path, root) = (proof(&all, place), tree_hash(&all));
            prop_assert_eq!(root_of(all[place as usize], place, count, &path), Some(root));
            if other != place {
                prop_assert_ne!(root_of(all[place as usize], other, count, &path), Some(root));
                prop_assert_ne!(root_of(all[other as usize], place, count, &path), Some(root));
            }
        }
    }
}
