//! The edited body, written while the message streams past.

use super::{BodyEdits, Change, Edit};
use crate::message::transfer::{Base64Reader, Base64Writer};

/// Carries out the edits of one copy on the pieces of a body.
pub struct BodyWriter<'e> {
    edits: std::slice::Iter<'e, Edit>,
    /// The edit that comes next, or that is under way.
    edit: Option<&'e Edit>,
    recoder: Option<Recoder<'e>>,
    begun: bool,
    /// Offset of the next byte.
    at: u64,
}

impl<'e> BodyWriter<'e> {
    /// `at` is the offset of the first byte that will come.
    pub fn new(edits: &'e BodyEdits, at: u64) -> BodyWriter<'e> {
        let mut edits = edits.0.iter();
        let edit = edits.next();
        BodyWriter { edits, edit, recoder: None, begun: false, at }
    }

    /// Takes the next bytes and appends what is to be sent for them.
    pub fn write(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut rest = piece;
        while let Some(edit) = self.edit {
            let before = self.up_to(edit.range.start, rest);
            out.extend_from_slice(&rest[..before]);
            rest = &rest[before..];
            if self.at < edit.range.start {
                return;
            }
            self.begin(edit, out);
            let covered = self.up_to(edit.range.end, rest);
            if let Some(recoder) = &mut self.recoder {
                recoder.write(&rest[..covered], out);
            }
            rest = &rest[covered..];
            if self.at < edit.range.end {
                return;
            }
            self.end(out);
        }
        out.extend_from_slice(rest);
        self.at += rest.len() as u64;
    }

    /// How many of these bytes lie before the offset; they are gone past.
    fn up_to(&mut self, offset: u64, rest: &[u8]) -> usize {
        let length = usize::try_from(offset.saturating_sub(self.at)).unwrap_or(usize::MAX).min(rest.len());
        self.at += length as u64;
        length
    }

    fn begin(&mut self, edit: &'e Edit, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        match &edit.change {
            Change::Write(bytes) => out.extend_from_slice(bytes),
            Change::Recode { splices, line_length, closes } => {
                self.recoder = Some(Recoder::new(splices, *line_length, *closes));
            }
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if let Some(recoder) = self.recoder.take() {
            recoder.finish(out);
        }
        self.begun = false;
        self.edit = self.edits.next();
    }

    /// The body is over: what is to be written at its end.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.write(b"", out);
    }
}

type Splice = (std::ops::Range<usize>, Vec<u8>);

/// Base64 in, other base64 out: the same bytes but for the splices.
struct Recoder<'e> {
    reader: Base64Reader,
    writer: Base64Writer,
    splices: std::slice::Iter<'e, Splice>,
    splice: Option<&'e Splice>,
    /// Number of the next decoded byte.
    at: usize,
    closes: bool,
}

impl<'e> Recoder<'e> {
    fn new(splices: &'e [Splice], line_length: usize, closes: bool) -> Recoder<'e> {
        let mut splices = splices.iter();
        let splice = splices.next();
        let (reader, writer) = (Base64Reader::default(), Base64Writer::new(line_length));
        Recoder { reader, writer, splices, splice, at: 0, closes }
    }

    fn write(&mut self, wire: &[u8], out: &mut Vec<u8>) {
        let mut reader = self.reader;
        reader.read(wire, |bytes| self.decoded(bytes, out));
        self.reader = reader;
    }

    fn decoded(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            self.insert(out);
            if self.splice.is_none_or(|(range, _)| self.at < range.start) {
                self.writer.write(&[*byte], out);
            }
            self.at += 1;
        }
    }

    /// Writes what goes in at this place, and passes over a splice that is behind us.
    fn insert(&mut self, out: &mut Vec<u8>) {
        while let Some((range, bytes)) = self.splice {
            if self.at == range.start {
                self.writer.write(bytes, out);
            }
            if self.at < range.end {
                return;
            }
            self.splice = self.splices.next();
        }
    }

    fn finish(mut self, out: &mut Vec<u8>) {
        let mut reader = self.reader;
        reader.finish(|bytes| self.decoded(bytes, out));
        self.insert(out);
        self.writer.finish(out);
        if self.closes {
            out.extend_from_slice(b"\r\n");
        }
    }
}
