//! `consentry init`: settings, a policy in monitor mode, rule packs and fresh keys, and nothing overwritten.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::keys::new_key;
use super::{CliError, Globals};
use crate::config::{PACKS, is_host, is_loopback};
use crate::smtp::address::domain_key;

const SETTINGS: &str = include_str!("../../config/consentry.toml");
const POLICY: &str = include_str!("init/policy.toml");

/// Write settings, a policy in monitor mode and fresh keys
///
/// Nothing is overwritten: where one of the files is there already, it is named and none is written.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The domain that mail is sent from
    #[arg(long, value_name = "DOMAIN")]
    domain: String,
    /// Where mail goes: the relay that was used so far
    #[arg(long, value_name = "HOST:PORT")]
    upstream: String,
    /// Where the files go
    #[arg(long, value_name = "DIR", default_value = "/etc/consentry")]
    dir: PathBuf,
}

/// A file to be.
struct NewFile {
    path: PathBuf,
    text: String,
    mode: u32,
}

pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let files = files(args)?;
    let there: Vec<_> = files.iter().filter(|file| fs::symlink_metadata(&file.path).is_ok()).collect();
    if !there.is_empty() {
        let names: Vec<_> = there.iter().map(|file| format!("  {}", file.path.display())).collect();
        let message = format!("nothing was written, these are there already:\n{}", names.join("\n"));
        return Err(CliError::Usage(format!("{message}\nname another directory with --dir, or move them away")));
    }
    for file in &files {
        write(file).map_err(|error| CliError::Failed(format!("{}: {error}", file.path.display())))?;
    }
    tell(args, &files, globals)?;
    Ok(ExitCode::SUCCESS)
}

fn files(args: &Args) -> Result<Vec<NewFile>, CliError> {
    let domain = domain_key(&args.domain);
    if !is_host(&domain) || !domain.contains('.') {
        return Err(CliError::Usage(format!("--domain {:?} is no domain; write exemple.fr", args.domain)));
    }
    let file = |name: &str, text: String, mode| NewFile { path: args.dir.join(name), text, mode };
    let mut files = vec![
        file("consentry.toml", settings(args, &domain)?, 0o644),
        file("policy.toml", POLICY.replace("exemple.fr", &domain), 0o644),
        file("token.key", key_file("seals unsubscribe links")?, 0o600),
        file("ledger.key", key_file("chains the ledger and keys the hashes of people who objected")?, 0o600),
        file("signing.key", key_file("signs checkpoints of the ledger")?, 0o600),
    ];
    files.extend(PACKS.iter().map(|(name, text)| file(&format!("mailers/{name}"), (*text).to_owned(), 0o644)));
    Ok(files)
}

/// The shipped settings with what is known of this place.
fn settings(args: &Args, domain: &str) -> Result<String, CliError> {
    let (host, port) = split_upstream(&args.upstream)?;
    let tls = match port {
        _ if is_loopback(host) => "off",
        465 => "implicit",
        _ => "starttls",
    };
    // A trial elsewhere keeps its store and its control socket beside its settings.
    let (store, control) = if args.dir == Path::new("/etc/consentry") {
        ("/var/lib/consentry/consentry.db", "/run/consentry/control.sock")
    } else {
        ("consentry.db", "control.sock")
    };
    Ok(SETTINGS
        .replace("\"smtp.example.net:587\"", &format!("{:?}", args.upstream))
        .replace("\ntls = \"starttls\"", &format!("\ntls = {tls:?}"))
        .replace("https://preferences.example.fr", &format!("https://preferences.{domain}"))
        .replace("\n# control = \"/run/consentry/control.sock\"  ", &format!("\ncontrol = {control:?}"))
        .replace("/var/lib/consentry/consentry.db", store))
}

fn split_upstream(text: &str) -> Result<(&str, u16), CliError> {
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let bare = |host: &str| {
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).is_some_and(|host| host.contains(':'))
    };
    match parts {
        Some((host, port)) if port != 0 && (is_host(host) || bare(host)) => {
            Ok((host.trim_start_matches('[').trim_end_matches(']'), port))
        }
        _ => {
            Err(CliError::Usage(format!("--upstream {text:?} is no server with its port; write smtp.example.net:587")))
        }
    }
}

fn key_file(purpose: &str) -> Result<String, CliError> {
    let key = STANDARD.encode(new_key()?);
    Ok(format!(
        "# {purpose}; the first key is in use, older ones stay below it. Keep a copy: it cannot be made again.\n{key}\n"
    ))
}

fn write(file: &NewFile) -> std::io::Result<()> {
    if let Some(directory) = file.path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut handle = OpenOptions::new().write(true).create_new(true).mode(file.mode).open(&file.path)?;
    handle.write_all(file.text.as_bytes())?;
    handle.sync_all()
}

fn tell(args: &Args, files: &[NewFile], globals: &Globals) -> Result<(), CliError> {
    let settings = args.dir.join("consentry.toml");
    if globals.json {
        let written: Vec<_> = files.iter().map(|file| file.path.display().to_string()).collect();
        return globals.print_json(&json!({"written": written, "settings": settings.display().to_string()}));
    }
    let dir = args.dir.display();
    let option = if args.dir == Path::new("/etc/consentry") {
        String::new()
    } else {
        format!(" --config {}", settings.display())
    };
    globals.print(&format!(
        "Wrote settings, a policy in monitor mode, {} rule packs and three fresh keys to {dir}.\n\n\
         Next:\n\
         1. Read {dir}/policy.toml and {dir}/consentry.toml, then run: consentry check{option}\n\
         2. Start the gate: consentry serve{option} (or: systemctl enable --now consentry)\n\
         3. Point your mailer at 127.0.0.1:2525 instead of {}, send a message, and see what would have become of it:\n\
         \x20  consentry journal list{option}\n",
        PACKS.len(),
        args.upstream,
    ))
}
