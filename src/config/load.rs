//! Settings and policy read from the machine they are for.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::document::Outside;
use super::error::ConfigErrors;
use super::policy_file::{included, parse_policy_with};
use super::settings::Settings;
use super::settings_file::{parse_settings, policy_path};
use crate::policy::look::LARGEST_IMAGE;
use crate::policy::rules::Policy;

/// Reads the settings and the policy they name, each checked against the other; all errors of both.
pub fn load(path: &Path) -> Result<(Settings, Policy), ConfigErrors> {
    let (text, machine) = open(path)?;
    let file = path.display().to_string();
    match load_policy(&policy_path(&file, &text, &machine)) {
        Ok(policy) => Ok((parse_settings(&file, &text, &machine, Some(&policy))?, policy)),
        Err(errors) => {
            let mut all = parse_settings(&file, &text, &machine, None).err().unwrap_or_default();
            all.extend(errors);
            Err(all)
        }
    }
}

/// Reads the settings alone, for commands that decide nothing.
pub fn load_settings(path: &Path) -> Result<Settings, ConfigErrors> {
    let (text, machine) = open(path)?;
    parse_settings(&path.display().to_string(), &text, &machine, None)
}

/// Reads a policy and the packs it includes.
pub fn load_policy(path: &Path) -> Result<Policy, ConfigErrors> {
    let name = path.display().to_string();
    let text = read(path)?;
    let mut paths: Vec<PathBuf> = Vec::new();
    for pattern in included(&name, &text) {
        let found = matching(&path.with_file_name("").join(&pattern));
        paths.extend(found.into_iter().filter(|pack| !paths.contains(pack)).collect::<Vec<_>>());
    }
    let texts = paths.iter().map(|pack| Ok((pack.display().to_string(), read(pack)?)));
    let packs: Vec<(String, String)> = texts.collect::<Result<_, ConfigErrors>>()?;
    let packs: Vec<_> = packs.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let directory = path.with_file_name("");
    parse_policy_with(&name, &text, &packs, Some(&|file| read_picture(&directory.join(file))))
}

fn open(path: &Path) -> Result<(String, Machine), ConfigErrors> {
    Ok((read(path)?, Machine { directory: path.with_file_name("") }))
}

fn read(path: &Path) -> Result<String, ConfigErrors> {
    let told = |error| ConfigErrors::of_file(&path.display().to_string(), format!("cannot be read: {error}"));
    fs::read_to_string(path).map_err(told)
}

/// No more of it than shows that it is too large.
fn read_picture(path: &Path) -> Result<Vec<u8>, String> {
    let told = |error| format!("{} cannot be read: {error}; name a file that can", path.display());
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(told)?;
    file.take(LARGEST_IMAGE as u64 + 1).read_to_end(&mut bytes).map_err(told)?;
    Ok(bytes)
}

/// The files a pattern names, sorted; `*` stands for any part of a file's name, not for a directory.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let name = pattern.file_name().unwrap_or_default().to_string_lossy();
    let Some((start, end)) = name.split_once('*') else { return vec![pattern.to_owned()] };
    let directory = pattern.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let fits = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.len() >= start.len() + end.len()
            && name.starts_with(start)
            && name.ends_with(end)
            && !name.starts_with('.')
    };
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).filter(fits).collect();
    paths.sort();
    paths
}

/// This machine, seen from the directory a file is in.
struct Machine {
    directory: PathBuf,
}

impl Outside for Machine {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn resolve(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }

    /// systemd hands over a credential under its name in a directory only the unit can read.
    fn secret_path(&self, path: &str) -> PathBuf {
        let path = self.resolve(path);
        let credential = std::env::var_os("CREDENTIALS_DIRECTORY").zip(path.file_name());
        let handed_over = credential.map(|(directory, name)| Path::new(&directory).join(name));
        handed_over.filter(|path| path.is_file()).unwrap_or(path)
    }

    fn secret(&self, path: &Path) -> Result<Vec<u8>, String> {
        let told = |error| format!("{} cannot be read: {error}; name a file with the secret in it", path.display());
        let mode = fs::metadata(path).map_err(told)?.permissions().mode();
        if mode & 0o007 != 0 {
            return Err(format!("{0} is open to every user of this machine; run chmod o= {0}", path.display()));
        }
        fs::read(path).map_err(told)
    }

    fn readable(&self, path: &Path) -> Result<(), String> {
        let told = |error| format!("{} cannot be read: {error}; name a file that can", path.display());
        fs::File::open(path).and_then(|file| file.metadata()).map_err(told).and_then(|metadata| {
            if metadata.is_file() { Ok(()) } else { Err(format!("{} is no file; name a file", path.display())) }
        })
    }

    fn hostname(&self) -> String {
        gethostname::gethostname().to_string_lossy().into_owned()
    }
}
