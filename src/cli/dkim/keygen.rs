//! `consentry dkim keygen`: a private key in a file that nobody else reads.
//!
//! ring makes no RSA keys, and the crate that does has an open advisory (RUSTSEC-2023-0071): openssl makes those.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, ExitCode, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;

use super::{KeygenArgs, Kind, record_name, tell};
use crate::cli::{CliError, Globals};
use crate::config::is_host;
use crate::message::dkim::SigningKey;
use crate::smtp::address::domain_key;

pub fn run(args: &KeygenArgs, globals: &Globals) -> Result<ExitCode, CliError> {
    let domain = domain_key(&args.domain);
    if !is_host(&domain) {
        return Err(CliError::Usage(format!("--domain {:?} is no domain; write exemple.fr", args.domain)));
    }
    if !is_host(&args.selector) {
        let message = format!("--selector {:?} is none; write letters, digits and hyphens, like gate", args.selector);
        return Err(CliError::Usage(message));
    }
    let taken =
        || CliError::Usage(format!("{} is there already; nothing was written, name another file", args.out.display()));
    if args.out.symlink_metadata().is_ok() {
        return Err(taken());
    }
    let pem = match args.kind {
        Kind::Rsa2048 => rsa()?,
        Kind::Ed25519 => ed25519()?,
    };
    let key = SigningKey::read(&pem).map_err(|error| CliError::Failed(format!("the new key: {error}")))?;
    let unwritable = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => taken(),
        _ => CliError::Failed(format!("{} cannot be written: {error}", args.out.display())),
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&args.out).map_err(unwritable)?;
    file.write_all(&pem).and_then(|()| file.sync_all()).map_err(unwritable)?;
    if !globals.json {
        globals.print(&format!(
            "{} holds the private key; its owner alone can read it. Publish this record, then name selector and file below \
             [dkim.{domain:?}] and restart the gate.\n\n",
            args.out.display()
        ))?;
    }
    tell(&record_name(&args.selector, &domain), &key.public(), &args.out, globals)?;
    Ok(ExitCode::SUCCESS)
}

fn rsa() -> Result<Vec<u8>, CliError> {
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
        .stdin(Stdio::null())
        .output();
    match made {
        Ok(made) if made.status.success() => Ok(made.stdout),
        Ok(made) => {
            let told = String::from_utf8_lossy(&made.stderr).trim().to_owned();
            Err(CliError::Failed(format!("openssl makes no key: {told}")))
        }
        Err(error) => Err(CliError::Failed(format!(
            "openssl, which makes RSA keys, cannot be run ({error}); install it, or write --type ed25519"
        ))),
    }
}

fn ed25519() -> Result<Vec<u8>, CliError> {
    let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
    let key = made.map_err(|_| CliError::Failed("the system gives no random bytes".into()))?;
    let text = STANDARD.encode(key.as_ref());
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|start| &text[start..text.len().min(start + 64)]).collect();
    let lines = lines.join("\n");
    Ok(format!("-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----\n").into_bytes())
}
