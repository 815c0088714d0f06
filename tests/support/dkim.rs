//! Two programs that verify DKIM signatures and that nobody here wrote: OpenDKIM and dkimpy. Records come from a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use consentry::message::dkim::SigningKey;

use super::peers::{missing, program};

pub const RSA: &[u8] = include_bytes!("../keys/rsa2048.pem");
pub const ED25519: &[u8] = include_bytes!("../keys/ed25519.pem");

/// Debian's, where the packages of Debian are.
const PYTHON: &str = "/usr/bin/python3";

/// Prints the selector of each signature, and whether it verifies.
const DKIMPY: &str = "
import dkim, sys
records = dict(line.rstrip('\\n').split(' ', 1) for line in open(sys.argv[2]))
def txt(name, timeout=5):
    return records.get(name.decode().rstrip('.'), '').encode() or None
message = open(sys.argv[1], 'rb').read()
count = len([name for name, _ in dkim.DKIM(message).headers if name.lower() == b'dkim-signature'])
for index in range(count):
    signature = dkim.DKIM(message)
    try:
        passes = signature.verify(idx=index, dnsfunc=txt)
    except dkim.DKIMException as error:
        passes = False
    print(signature.signature_fields[b's'].decode(), 'pass' if passes else 'fail')
";

/// What each selector's signature is worth, by the verifiers that are installed.
pub struct Verifiers {
    directory: tempfile::TempDir,
    opendkim: PathBuf,
}

impl Verifiers {
    /// `None`: they are not here, and that was said. Each record is that of a private key.
    pub fn with(keys: &[(&str, &[u8])]) -> Option<Verifiers> {
        let opendkim = program("opendkim")?;
        let has_dkimpy = Command::new(PYTHON).args(["-c", "import dkim, nacl"]).stderr(Stdio::null()).status();
        if !has_dkimpy.is_ok_and(|status| status.success()) {
            missing("python3-dkim and python3-nacl are not installed");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let record = |key: &[u8]| SigningKey::read(key).unwrap().public().record();
        let records: String = keys.iter().map(|(name, key)| format!("{name} {}\n", record(key))).collect();
        std::fs::write(directory.path().join("records"), records).unwrap();
        let settings = format!("TestPublicKeys {}\nMode v\nSocket inet:1@127.0.0.1\n", at(&directory, "records"));
        std::fs::write(directory.path().join("opendkim.conf"), settings).unwrap();
        Some(Verifiers { directory, opendkim })
    }

    /// Both have to agree on each signature, given as `selector pass` or `selector fail`, in any order.
    #[track_caller]
    pub fn assert(&self, message: &[u8], expected: &[&str]) {
        self.assert_opendkim(message, expected);
        assert_eq!(self.ask_dkimpy(), sorted(expected), "dkimpy on\n{}", shown(message));
    }

    /// OpenDKIM alone.
    #[track_caller]
    pub fn assert_opendkim(&self, message: &[u8], expected: &[&str]) {
        std::fs::write(self.directory.path().join("message.eml"), message).unwrap();
        assert_eq!(self.ask_opendkim(), sorted(expected), "OpenDKIM on\n{}", shown(message));
    }

    fn ask_dkimpy(&self) -> Vec<String> {
        let files = [at(&self.directory, "message.eml"), at(&self.directory, "records")];
        let told = Command::new(PYTHON).args(["-c", DKIMPY]).args(files).output().unwrap();
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        let mut lines: Vec<String> = String::from_utf8_lossy(&told.stdout).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// It writes an Authentication-Results field (RFC 8601) with a clause for each signature.
    fn ask_opendkim(&self) -> Vec<String> {
        let files = [at(&self.directory, "opendkim.conf"), at(&self.directory, "message.eml")];
        let told = Command::new(&self.opendkim).args(["-v", "-v", "-x", &files[0], "-t", &files[1]]).output().unwrap();
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        let mut found = Vec::new();
        for clause in text.split("dkim=").skip(1) {
            let worth = if clause.starts_with("pass") { "pass" } else { "fail" };
            let selector = clause.split("header.s=").nth(1).map(|rest| rest.split([' ', ';', '\'']).next().unwrap());
            found.extend(selector.map(|selector| format!("{selector} {worth}")));
        }
        found.sort();
        found
    }
}

fn sorted(texts: &[&str]) -> Vec<String> {
    let mut sorted: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    sorted.sort();
    sorted
}

fn shown(message: &[u8]) -> String {
    String::from_utf8_lossy(&message[..message.len().min(20_000)]).into_owned()
}

fn at(directory: &tempfile::TempDir, name: &str) -> String {
    directory.path().join(name).display().to_string()
}

/// Puts a key where the gate reads it.
pub fn put_key(directory: &Path, name: &str, key: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(directory.join(name), key).unwrap();
    std::fs::set_permissions(directory.join(name), PermissionsExt::from_mode(0o600)).unwrap();
}

/// The tags of every DKIM-Signature, from the top.
pub fn signatures(values: &[String]) -> Vec<BTreeMap<String, String>> {
    let tag = |tag: &str| {
        let (name, value) = tag.split_once('=')?;
        Some((name.trim().to_owned(), value.split_whitespace().collect::<String>()))
    };
    values.iter().map(|value| value.split(';').filter_map(tag).collect()).collect()
}
