//! The body hash: `relaxed` (RFC 6376 section 3.4.4) over the wire form without its stuffed dots.

use memchr::memchr3;
use ring::digest::{Context, SHA256};

use super::BodyHash;

/// What is collected before it is hashed.
const BATCH: usize = 16 * 1024;

/// Hashes a body that comes in pieces, in constant memory.
///
/// A bare CR or LF would be hashed as one reader or another sees it; neither ever leaves.
pub struct BodyHasher {
    digest: Context,
    batch: Vec<u8>,
    at_line_start: bool,
    /// White space that counts only if something follows it on its line.
    blank: bool,
    /// Line ends that count only if something follows them.
    line_ends: u64,
    is_empty: bool,
}

impl Default for BodyHasher {
    fn default() -> BodyHasher {
        let (digest, batch) = (Context::new(&SHA256), Vec::with_capacity(2 * BATCH));
        BodyHasher { digest, batch, at_line_start: true, blank: false, line_ends: 0, is_empty: true }
    }
}

impl BodyHasher {
    /// Takes the next bytes of the body, in wire form.
    pub fn feed(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while let Some((first, behind)) = rest.split_first() {
            let stuffed = std::mem::replace(&mut self.at_line_start, false) && *first == b'.';
            match first {
                _ if stuffed => rest = behind,
                b'\n' => {
                    (self.at_line_start, self.blank) = (true, false);
                    self.line_ends += 1;
                    rest = behind;
                }
                b'\r' => rest = behind,
                b' ' | b'\t' => {
                    self.blank = true;
                    rest = behind;
                }
                _ => {
                    let end = memchr3(b' ', b'\t', b'\r', rest).unwrap_or(rest.len());
                    self.text(&rest[..end]);
                    rest = &rest[end..];
                }
            }
        }
    }

    fn text(&mut self, text: &[u8]) {
        for _ in 0..std::mem::take(&mut self.line_ends) {
            self.write(b"\r\n");
        }
        if std::mem::take(&mut self.blank) {
            self.write(b" ");
        }
        self.write(text);
        self.is_empty = false;
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.batch.len() + bytes.len() > BATCH {
            self.digest.update(&self.batch);
            self.batch.clear();
        }
        if bytes.len() > BATCH {
            self.digest.update(bytes);
        } else {
            self.batch.extend_from_slice(bytes);
        }
    }

    /// Empty lines at the end do not count; what is left ends with one line end, unless it is nothing.
    pub fn finish(mut self) -> BodyHash {
        if !self.is_empty {
            self.write(b"\r\n");
        }
        self.digest.update(&self.batch);
        let mut hash = [0; 32];
        hash.copy_from_slice(self.digest.finish().as_ref());
        hash
    }
}
