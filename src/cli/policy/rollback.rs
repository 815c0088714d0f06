//! `policy rollback`: the texts of a former policy put back in place, all or none.

use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;
use tempfile::NamedTempFile;

use crate::cli::{CliError, Globals};
use crate::config::{load_policy, load_settings, parse_sources};
use crate::store::KeptPolicy;

pub(super) fn run(kept: &KeptPolicy, globals: &Globals) -> Result<ExitCode, CliError> {
    // It was in force once; the program may have become stricter since.
    parse_sources(&kept.sources)?;
    let policy_path = load_settings(&globals.config)?.policy_path;
    if load_policy(&policy_path).is_ok_and(|now| now.hash == kept.hash) {
        globals.print("the policy files say this already\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let like = fs::metadata(&policy_path).map_err(|e| CliError::Failed(format!("{}: {e}", policy_path.display())))?;
    let files = files(kept, &policy_path);
    let mut replaced = Vec::new();
    let written = files.iter().try_for_each(|(path, text)| {
        replaced.extend(replace(path, text, &stamp, &like)?);
        Ok(())
    });
    let written = written.and_then(|()| check(&policy_path, kept));
    if let Err(error) = written {
        let undone = replaced.iter().rev().try_for_each(undo);
        let state =
            if undone.is_ok() { "nothing was changed" } else { "some files could not be put back; see the .bak files" };
        return Err(CliError::Failed(format!("{error}; {state}")));
    }
    let mut text = String::new();
    for Replaced { path, backup } in &replaced {
        let copy =
            backup.as_ref().map(|backup| format!("; what was there is now {}", backup.display())).unwrap_or_default();
        text.push_str(&format!("wrote {}{copy}\n", path.display()));
    }
    text.push_str("run `consentry reload` (or send SIGHUP) so that a running gate takes it\n");
    globals.print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Where each text belongs: the policy's own where the settings look for it, packs beside it as they were.
fn files<'a>(kept: &'a KeptPolicy, policy_path: &Path) -> Vec<(PathBuf, &'a str)> {
    let Some((own, packs)) = kept.sources.split_first() else { return Vec::new() };
    let (then, now) = (Path::new(&own.name).with_file_name(""), policy_path.with_file_name(""));
    let place = |name: &str| match Path::new(name).strip_prefix(&then) {
        Ok(beside) => now.join(beside),
        Err(_) => PathBuf::from(name),
    };
    let packs = packs.iter().map(|pack| (place(&pack.name), pack.text.as_str()));
    std::iter::once((policy_path.to_owned(), own.text.as_str())).chain(packs).collect()
}

/// The files as they lie there now are the policy that was asked for: nothing else is included.
fn check(policy_path: &Path, kept: &KeptPolicy) -> Result<(), String> {
    let now = load_policy(policy_path).map_err(|e| e.to_string())?;
    if now.hash == kept.hash {
        return Ok(());
    }
    let other = now.sources.iter().skip(1).map(|source| source.name.as_str());
    let other: Vec<&str> = other.filter(|name| !kept.sources.iter().any(|pack| same_file(&pack.name, name))).collect();
    Err(format!("its include takes in more than it did then: move away {}", other.join(", ")))
}

fn same_file(one: &str, other: &str) -> bool {
    Path::new(one).file_name() == Path::new(other).file_name()
}

/// A file that was written, and the copy of what was there.
struct Replaced {
    path: PathBuf,
    backup: Option<PathBuf>,
}

/// Writes beside the file and moves it over: a reader sees the old text or the new one. A file that was not there
/// belongs to whom the policy file does.
fn replace(path: &Path, text: &str, stamp: &str, like: &Metadata) -> Result<Option<Replaced>, String> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(None);
    }
    let told = |e: io::Error| format!("{}: {e}", path.display());
    let there = fs::metadata(path).ok();
    let backup = there.is_some().then(|| free_name(&format!("{}.bak-{stamp}", path.display())));
    if let Some(backup) = &backup {
        fs::copy(path, backup).map_err(told)?;
    }
    write_over(path, text, there.as_ref().unwrap_or(like)).map_err(told)?;
    Ok(Some(Replaced { path: path.to_owned(), backup }))
}

/// A name nobody has yet: two rollbacks in one second keep both copies.
fn free_name(wanted: &str) -> PathBuf {
    let numbered = (2..).map(|n| PathBuf::from(format!("{wanted}-{n}")));
    let mut names = std::iter::once(PathBuf::from(wanted)).chain(numbered);
    // The numbers never end, and the files of a directory do.
    names.find(|name| !name.exists()).expect("an endless list of names")
}

fn write_over(path: &Path, text: &str, like: &Metadata) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = NamedTempFile::new_in(directory)?;
    new.write_all(text.as_bytes())?;
    new.as_file().set_permissions(like.permissions())?;
    if (like.uid(), like.gid()) != (new.as_file().metadata()?.uid(), new.as_file().metadata()?.gid()) {
        fchown(new.as_file(), Some(like.uid()), Some(like.gid()))?;
    }
    new.as_file().sync_all()?;
    new.persist(path)?;
    Ok(())
}

fn undo(Replaced { path, backup }: &Replaced) -> io::Result<()> {
    match backup {
        Some(backup) => fs::rename(backup, path),
        None => fs::remove_file(path),
    }
}
