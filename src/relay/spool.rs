//! Message bytes in wire form: in memory up to a size, then in an unlinked
//! temporary file, so that a 50 MB message needs no 50 MB of memory (R97).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::SpoolSettings;

/// Largest piece handed out at once.
const PIECE: usize = 64 * 1024;

/// The room all messages in flight share.
pub struct SpoolSpace {
    directory: PathBuf,
    memory: usize,
    max_total: u64,
    in_use: AtomicU64,
}

impl SpoolSpace {
    /// `head` is the longest header section any listener takes: it always stays in memory.
    pub fn new(settings: &SpoolSettings, head: usize) -> Arc<SpoolSpace> {
        Arc::new(SpoolSpace {
            directory: settings.directory.clone().unwrap_or_else(std::env::temp_dir),
            memory: settings.memory.max(head),
            max_total: settings.max_total,
            in_use: AtomicU64::new(0),
        })
    }

    /// Whether a message of this size has room now.
    pub fn has_room_for(&self, size: u64) -> bool {
        self.in_use.load(Ordering::Relaxed).saturating_add(size) <= self.max_total
    }
}

/// One message.
pub struct Spool {
    space: Arc<SpoolSpace>,
    memory: Vec<u8>,
    file: Option<File>,
    size: u64,
    /// What counts against the shared room.
    held: u64,
    limit: u64,
    fault: Option<io::Error>,
}

impl Spool {
    /// An empty spool that keeps at most `limit` bytes.
    pub fn new(space: &Arc<SpoolSpace>, limit: u64) -> Spool {
        Spool { space: space.clone(), memory: Vec::new(), file: None, size: 0, held: 0, limit, fault: None }
    }

    /// Takes more bytes. What lies above the limit or cannot be written is thrown
    /// away, so that reading can go on to the end of the data (R35, R97).
    pub fn append(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        if !self.space.has_room_for(bytes.len() as u64) {
            self.fault.get_or_insert_with(|| io::Error::from(io::ErrorKind::QuotaExceeded));
        }
        if self.is_too_big() || self.fault.is_some() {
            self.discard();
            return;
        }
        self.hold(bytes.len() as u64);
        let room = self.space.memory.saturating_sub(self.memory.len()).min(bytes.len());
        let (kept, rest) = bytes.split_at(if self.file.is_some() { 0 } else { room });
        self.memory.extend_from_slice(kept);
        if !rest.is_empty()
            && let Err(error) = self.append_to_file(rest)
        {
            self.fault = Some(error);
            self.discard();
        }
    }

    fn hold(&mut self, more: u64) {
        self.held += more;
        self.space.in_use.fetch_add(more, Ordering::Relaxed);
    }

    fn append_to_file(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.write_all(bytes),
            none => none.insert(tempfile::tempfile_in(&self.space.directory)?).write_all(bytes),
        }
    }

    fn discard(&mut self) {
        self.memory = Vec::new();
        self.file = None;
        self.space.in_use.fetch_sub(std::mem::take(&mut self.held), Ordering::Relaxed);
    }

    /// Octets taken so far, the discarded ones too.
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn is_too_big(&self) -> bool {
        self.size > self.limit
    }

    /// The disk, or the room all messages share, is full.
    pub fn fault(&self) -> Option<&io::Error> {
        self.fault.as_ref()
    }

    /// Whether [`Spool::memory`] holds all of the message.
    pub fn is_whole_in_memory(&self) -> bool {
        self.file.is_none()
    }

    /// The part in memory: the whole message, or its beginning.
    pub fn memory(&self) -> &[u8] {
        &self.memory
    }

    /// Reads the message from the offset on, which must lie in memory; every
    /// reader starts afresh, so each copy gets all of it.
    pub fn read_from(&mut self, offset: usize) -> io::Result<Pieces<'_>> {
        if let Some(file) = &mut self.file {
            file.seek(SeekFrom::Start(0))?;
        }
        Ok(Pieces { memory: &self.memory[offset..], file: self.file.as_mut(), buffer: Vec::new() })
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.discard();
    }
}

/// The message in order, a piece at a time.
pub struct Pieces<'s> {
    memory: &'s [u8],
    file: Option<&'s mut File>,
    buffer: Vec<u8>,
}

impl Pieces<'_> {
    /// The next piece; empty at the end.
    pub fn next_piece(&mut self) -> io::Result<&[u8]> {
        if !self.memory.is_empty() {
            let (piece, rest) = self.memory.split_at(self.memory.len().min(PIECE));
            self.memory = rest;
            return Ok(piece);
        }
        let Some(file) = self.file.as_mut() else {
            return Ok(&[]);
        };
        self.buffer.resize(PIECE, 0);
        let length = file.read(&mut self.buffer)?;
        Ok(&self.buffer[..length])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: usize = 256 * 1024;

    fn space(max_total: u64) -> Arc<SpoolSpace> {
        SpoolSpace::new(&SpoolSettings { directory: None, memory: MEMORY, max_total }, 0)
    }

    fn read_all(spool: &mut Spool, offset: usize) -> Vec<u8> {
        let mut all = Vec::new();
        let mut pieces = spool.read_from(offset).unwrap();
        loop {
            let piece = pieces.next_piece().unwrap();
            if piece.is_empty() {
                return all;
            }
            all.extend_from_slice(piece);
        }
    }

    #[test]
    fn every_reader_gets_all_bytes_in_order_whatever_the_size() {
        for size in [0, 1, MEMORY - 1, MEMORY, MEMORY + 1, 3 * MEMORY + 17] {
            let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            let mut spool = Spool::new(&space(u64::MAX), u64::MAX);
            bytes.chunks(1000).for_each(|chunk| spool.append(chunk));
            assert!(spool.memory().len() <= MEMORY);
            for offset in [0, size.min(10)] {
                assert_eq!(read_all(&mut spool, offset), bytes[offset..], "{size} from {offset}");
            }
        }
    }

    #[test]
    fn a_message_above_the_limit_is_counted_but_not_kept() {
        let mut spool = Spool::new(&space(u64::MAX), 10);
        spool.append(b"0123456789");
        assert!(!spool.is_too_big());
        spool.append(b"x");
        assert!(spool.is_too_big());
        assert!(spool.memory().is_empty());
        spool.append(&[0; 4096]);
        assert_eq!(spool.size(), 4107);
    }

    #[test]
    fn messages_share_a_room_and_give_it_back() {
        let space = space(100);
        let mut first = Spool::new(&space, 1000);
        first.append(&[0; 80]);
        let mut second = Spool::new(&space, 1000);
        second.append(&[0; 30]);
        assert!(first.fault().is_none() && second.fault().is_some());
        drop(first);
        assert!(space.has_room_for(100));
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_a_fault_not_a_loss() {
        let settings = SpoolSettings { directory: Some("/nonexistent".into()), memory: 4, max_total: u64::MAX };
        let mut spool = Spool::new(&SpoolSpace::new(&settings, 0), 1000);
        spool.append(b"0123");
        assert!(spool.fault().is_none());
        spool.append(b"4");
        assert!(spool.fault().is_some());
    }
}
