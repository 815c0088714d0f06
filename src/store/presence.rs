//! Who writes to a store for longer than a moment: a shared lock on a file beside it. The system drops the lock with
//! the process, however that ends.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::StoreError;

/// Held by every writer that others should make room for.
#[derive(Debug)]
pub struct Presence {
    _locked: File,
}

impl Presence {
    /// Others see it from now on, until it is dropped.
    pub fn announce(store: &Path) -> Result<Presence, StoreError> {
        let file = open(store)?;
        file.lock_shared().map_err(|e| unreadable(store, &e))?;
        Ok(Presence { _locked: file })
    }
}

/// Looks for the presence of others without announcing itself.
#[derive(Debug)]
pub struct Lookout {
    file: File,
}

impl Lookout {
    pub fn open(store: &Path) -> Result<Lookout, StoreError> {
        Ok(Lookout { file: open(store)? })
    }

    /// Whether nobody else writes just now. When that cannot be said, somebody may.
    pub fn is_alone(&self) -> bool {
        self.file.try_lock().is_ok() && self.file.unlock().is_ok()
    }
}

fn open(store: &Path) -> Result<File, StoreError> {
    let mut name = store.as_os_str().to_owned();
    name.push("-writers");
    let path = PathBuf::from(name);
    OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(|e| unreadable(&path, &e))
}

fn unreadable(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unreadable(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_is_seen_while_it_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("consentry.db");
        let lookout = Lookout::open(&store).unwrap();
        assert!(lookout.is_alone());
        let (first, second) = (Presence::announce(&store).unwrap(), Presence::announce(&store).unwrap());
        assert!(!lookout.is_alone());
        drop(first);
        assert!(!lookout.is_alone());
        drop(second);
        assert!(lookout.is_alone() && Lookout::open(&store).unwrap().is_alone());
    }
}
