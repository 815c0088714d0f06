//! A checkpoint: how many entries the ledger had and the root over them, signed, for keeping elsewhere.
//!
//! A C2SP tlog-checkpoint in a C2SP signed note: text that any tool can check with the public key alone.
//!
//! ```text
//! consentry/gate.example.net
//! 4
//! 0hDitWMnjaAs7F1z+rm98pPwH73Jjocs5IoNuHJAKw4=
//! time 2026-11-21T23:46:41.767515Z
//!
//! — consentry/gate.example.net MyVqTDKvhTOVMUywhaHG+J2hpUnxrT8/1HupIHjR82g5iyl9/7kkchr22OYS6P1sNq5CfKDBszLPxCNpl3KnH6nXFQU=
//! ```

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::{Digest, hex, sha256};
use crate::consent::token::KeyError;

/// How signed notes number Ed25519.
const ED25519_NOTE: u8 = 1;

/// What begins the line that says when.
const TIME: &str = "time ";

/// The keys that sign checkpoints: the first one signs, each vouches for what it signed.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKeys(Vec<[u8; 32]>);

impl SigningKeys {
    pub fn new(seeds: Vec<[u8; 32]>) -> Result<SigningKeys, KeyError> {
        if seeds.is_empty() { Err(KeyError::None) } else { Ok(SigningKeys(seeds)) }
    }

    /// The public halves, in the order of the file.
    pub fn public(&self) -> Vec<[u8; 32]> {
        self.0.iter().map(public_of).collect()
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SigningKeys({} redacted)", self.0.len())
    }
}

fn pair(seed: &[u8; 32]) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are a seed")
}

fn public_of(seed: &[u8; 32]) -> [u8; 32] {
    let mut public = [0; 32];
    public.copy_from_slice(pair(seed).public_key().as_ref());
    public
}

/// A public key with the name it signs under, as verifiers take it: `name+id+base64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    pub name: String,
    pub key: [u8; 32],
}

impl PublicKey {
    pub fn parse(text: &str) -> Result<PublicKey, CheckpointError> {
        let wrong = || CheckpointError::PublicKey;
        let (name, rest) = text.trim().split_once('+').ok_or_else(wrong)?;
        let (id, key) = rest.split_once('+').ok_or_else(wrong)?;
        let bytes = STANDARD.decode(key).map_err(|_| wrong())?;
        let (ED25519_NOTE, key) = bytes.split_first().map(|(kind, key)| (*kind, key)).ok_or_else(wrong)? else {
            return Err(wrong());
        };
        let key = PublicKey { name: name.to_owned(), key: key.try_into().map_err(|_| wrong())? };
        if is_name(name) && id == hex(&key_id(name, &key.key)) { Ok(key) } else { Err(wrong()) }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode([&[ED25519_NOTE][..], &self.key].concat());
        write!(out, "{}+{}+{key}", self.name, hex(&key_id(&self.name, &self.key)))
    }
}

fn key_id(name: &str, key: &[u8; 32]) -> [u8; 4] {
    let digest = sha256(&[name.as_bytes(), b"\n", &[ED25519_NOTE], key]);
    [digest[0], digest[1], digest[2], digest[3]]
}

/// Signed notes allow neither spaces nor a plus in a name.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('+') && !name.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// What a ledger was at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// `consentry/` and the gate's host name.
    pub origin: String,
    /// How many entries.
    pub size: u64,
    pub root: Digest,
    pub at: Timestamp,
}

impl Checkpoint {
    /// The text that is signed.
    fn text(&self) -> String {
        let Checkpoint { origin, size, root, at } = self;
        format!("{origin}\n{size}\n{}\n{TIME}{at}\n", STANDARD.encode(root))
    }

    /// The whole note.
    pub fn sign(&self, keys: &SigningKeys) -> String {
        let text = self.text();
        let seed = &keys.0[0]; // `new` refuses an empty list
        let signature = pair(seed).sign(text.as_bytes());
        let signature = STANDARD.encode([&key_id(&self.origin, &public_of(seed))[..], signature.as_ref()].concat());
        format!("{text}\n\u{2014} {} {signature}\n", self.origin)
    }

    /// Reads a note and holds it to its signature: one of `keys` has to have made it, under the note's own origin.
    pub fn open(note: &str, keys: &[[u8; 32]]) -> Result<Checkpoint, CheckpointError> {
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(CheckpointError::Malformed)?;
        let text = format!("{text}\n");
        let checkpoint = Checkpoint::read(&text)?;
        let lines = signatures.strip_suffix('\n').ok_or(CheckpointError::Malformed)?.split('\n').map(signature);
        let signatures: Vec<Signature<'_>> = lines.collect::<Option<_>>().ok_or(CheckpointError::Malformed)?;
        let signed = signatures.into_iter().any(|(name, id, signature)| {
            let made = |key: &&[u8; 32]| {
                id == key_id(name, key)
                    && UnparsedPublicKey::new(&ED25519, key).verify(text.as_bytes(), &signature).is_ok()
            };
            name == checkpoint.origin && keys.iter().any(|key| made(&key))
        });
        if signed { Ok(checkpoint) } else { Err(CheckpointError::NotSigned) }
    }

    fn read(text: &str) -> Result<Checkpoint, CheckpointError> {
        let malformed = || CheckpointError::Malformed;
        let mut lines = text.lines();
        let mut line = || lines.next().ok_or_else(malformed);
        let origin = line()?.to_owned();
        let size = line()?.parse().map_err(|_| malformed())?;
        let root = STANDARD.decode(line()?).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(malformed)?;
        let at = line()?.strip_prefix(TIME).and_then(|at| at.parse().ok()).ok_or_else(malformed)?;
        let checkpoint = Checkpoint { origin, size, root, at };
        // One way to write it: `+7` and `007` are no sizes.
        if is_name(&checkpoint.origin) && checkpoint.text() == text { Ok(checkpoint) } else { Err(malformed()) }
    }
}

/// Name, id of the key, and what it signed.
type Signature<'a> = (&'a str, [u8; 4], Vec<u8>);

/// `— name base64(id, signature)`.
fn signature(line: &str) -> Option<Signature<'_>> {
    let (name, signature) = line.strip_prefix("\u{2014} ")?.rsplit_once(' ')?;
    let bytes = STANDARD.decode(signature).ok()?;
    let (id, signature) = bytes.split_first_chunk::<4>()?;
    Some((name, *id, signature.to_vec()))
}

/// Why a text is no checkpoint of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointError {
    Malformed,
    /// Nobody whose key we hold signed it as it stands there.
    NotSigned,
    /// What was given as a public key is none.
    PublicKey,
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Malformed => "not a checkpoint as `ledger checkpoint` writes it: name the file it was kept in",
            Self::NotSigned => {
                "the signature does not fit: the checkpoint was changed, or made with a key that is not given here \
                 (older keys stay in signing_key_file, a stranger gives theirs with --public-key)"
            }
            Self::PublicKey => "no public key: write it as `consentry ledger public-key` prints it, name+id+base64",
        })
    }
}

impl std::error::Error for CheckpointError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(seeds: &[u8]) -> SigningKeys {
        SigningKeys::new(seeds.iter().map(|seed| [*seed; 32]).collect()).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            origin: "consentry/gate.example.net".into(),
            size: 4711,
            root: [7; 32],
            at: "2026-05-15T10:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_checkpoint_is_opened_with_the_public_key_alone() {
        let note = checkpoint().sign(&keys(&[1]));
        let lines: Vec<&str> = note.lines().collect();
        assert_eq!(lines[..2], ["consentry/gate.example.net", "4711"]);
        assert_eq!(lines[3..5], ["time 2026-05-15T10:00:00Z", ""]);
        assert!(lines[5].starts_with("\u{2014} consentry/gate.example.net "));
        assert_eq!(Checkpoint::open(&note, &keys(&[1]).public()), Ok(checkpoint()));
        assert_eq!(Checkpoint::open(&note, &keys(&[2, 1]).public()), Ok(checkpoint()), "an older key");
        assert_eq!(Checkpoint::open(&note, &keys(&[2]).public()), Err(CheckpointError::NotSigned));
    }

    #[test]
    fn no_changed_byte_passes() {
        let note = checkpoint().sign(&keys(&[1]));
        let public = keys(&[1]).public();
        for place in 0..note.len() {
            let mut changed = note.clone().into_bytes();
            changed[place] ^= 1;
            let Ok(changed) = String::from_utf8(changed) else { continue };
            let opened = Checkpoint::open(&changed, &public);
            // The last digit of base64 has bits that stand for nothing; a strict reader refuses them too.
            assert!(opened.is_err(), "byte {place}: {changed}");
        }
        for added in [format!("{note} "), format!("{note}\n"), format!("\n{note}"), note.replace('\n', "\r\n")] {
            assert!(Checkpoint::open(&added, &public).is_err(), "{added}");
        }
        for cut in ["", "consentry", "\n\n", &note[..note.len() / 2], &note.replace("4711", "04711")] {
            assert!(Checkpoint::open(cut, &public).is_err(), "{cut}");
        }
    }

    /// The keys of two logs that others run.
    #[test]
    fn a_public_key_is_written_as_other_programs_write_it() {
        for text in [
            "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        ] {
            assert_eq!(PublicKey::parse(text).unwrap().to_string(), text);
        }
        let own = PublicKey { name: "consentry/gate".into(), key: keys(&[1]).public()[0] };
        assert_eq!(PublicKey::parse(&own.to_string()), Ok(own.clone()));
        for wrong in ["", "a+b", "consentry/gate+00000000+AQ==", &own.to_string().replace("gate", "gaze")] {
            assert_eq!(PublicKey::parse(wrong), Err(CheckpointError::PublicKey), "{wrong}");
        }
    }

    /// The example above, with its key.
    #[test]
    fn the_note_in_the_documentation_is_one() {
        let documented = include_str!("../../../docs/evidence.md");
        let block = |start: &str| {
            let from = documented.find(start).unwrap();
            &documented[from..from + documented[from..].find("```").unwrap()]
        };
        let key = PublicKey::parse(block("consentry/gate.example.net+")).unwrap();
        let note = block("consentry/gate.example.net\n");
        assert_eq!(Checkpoint::open(note, &[key.key]).unwrap().size, 4);
    }

    #[test]
    fn no_seed_is_ever_shown() {
        assert_eq!(format!("{:?}", keys(&[65])), "SigningKeys(1 redacted)");
    }
}
