//! The archive: `bundle.json` is what is checked; the rest is the same for people.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::cli::CliError;
use crate::consent::ledger::checkpoint::PublicKey;
use crate::policy::bundle::{Bundle, BundleError};

const BUNDLE: &str = "bundle.json";

/// Larger than any file we write, smaller than what would fill a machine's memory.
const LARGEST: u64 = 256 * 1024 * 1024;

/// Writes a new file, readable by its owner: it names a person.
pub fn write(path: &Path, bundle: &Bundle, page: &str, key: &PublicKey) -> Result<(), CliError> {
    let told = |e: io::Error| match e.kind() {
        io::ErrorKind::AlreadyExists => {
            CliError::Usage(format!("{} is there already; say --out with another name", path.display()))
        }
        _ => CliError::Failed(format!("{}: {e}", path.display())),
    };
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(told)?;
    let written = fill(ZipWriter::new(file), bundle, page, key);
    if written.is_err() {
        // Half an archive proves nothing. If it cannot be removed either, the error below names it.
        _ = std::fs::remove_file(path);
    }
    written.map_err(|e| CliError::Failed(format!("{}: {e}", path.display())))
}

fn fill(mut archive: ZipWriter<std::fs::File>, bundle: &Bundle, page: &str, key: &PublicKey) -> io::Result<()> {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut put = |name: &str, text: &str| {
        archive.start_file(name, options)?;
        archive.write_all(text.as_bytes())
    };
    put("README.txt", &read_me(key))?;
    put("proof.html", page)?;
    put(BUNDLE, &serde_json::to_string(bundle)?)?;
    put("checkpoint.txt", &bundle.checkpoint)?;
    for text in &bundle.texts {
        put(&format!("wording/{}.{}.txt", plain(&text.version), plain(&text.language)), &text.body)?;
    }
    for (number, sources) in bundle.policies.iter().enumerate() {
        for (place, source) in sources.iter().enumerate() {
            let name = source.name.rsplit('/').next().unwrap_or_default();
            put(&format!("policy/{}-{place}-{}", number + 1, plain(name)), &source.text)?;
        }
    }
    archive.finish()?.sync_all()
}

/// A name that stays inside the archive.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}

fn read_me(key: &PublicKey) -> String {
    format!(
        "proof.html     what happened, to be read\n\
         bundle.json    the same as recorded, with its place in the ledger: this is what is checked\n\
         checkpoint.txt what the ledger was when this was written, signed\n\
         wording/       the texts people were shown\n\
         policy/        the rules in force at the time\n\n\
         To check it, without any other file and without a network:\n\n  \
         consentry ledger verify --bundle FILE.zip --public-key KEY\n\n\
         The key has to come from the organisation itself; a key that came with this file proves nothing. For\n\
         comparison, it was written with\n\n  {key}\n\n\
         By hand: each entry of bundle.json is hashed as sha256(00 entry), its path leads to the root in checkpoint.txt\n\
         (RFC 6962), each part is found in its entry as sha256(salt part), and checkpoint.txt is a C2SP signed note.\n"
    )
}

/// The bundle of an archive.
pub fn read(path: &Path) -> Result<Bundle, CliError> {
    let told = |why: &dyn std::fmt::Display| CliError::Usage(format!("{}: {why}", path.display()));
    let file = std::fs::File::open(path).map_err(|e| told(&e))?;
    let mut archive = ZipArchive::new(file).map_err(|e| told(&e))?;
    let bundle = archive.by_name(BUNDLE).map_err(|e| told(&e))?;
    let mut text = String::new();
    bundle.take(LARGEST).read_to_string(&mut text).map_err(|e| told(&e))?;
    Bundle::parse(&text).map_err(|error: BundleError| told(&error))
}
