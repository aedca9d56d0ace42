//! Who still reads, and what was read. Every file handed out holds a [`Ticket`]; the late part of a
//! backup begins only when the last one came back, and a ticket that comes back without its file
//! having been read to the end fails the backup, whatever the reader's owner makes of that.

use super::pieces::{Pieces, Stretches, Summing, stretches};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Duration,
};

/// One file of the manifest.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// Relative to the data directory.
    pub path: String,
    pub size: u64,
    /// Seconds since 1970.
    pub modified: i64,
    pub sum: Sum,
    /// The checksums of its pieces, where a later backup may read it in part.
    pub pieces: Option<Pieces>,
}

/// A checksum as the list of files has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sum {
    /// As PostgreSQL calls it.
    pub algorithm: String,
    pub hex: String,
}

impl Sum {
    pub fn sha256(hash: Sha256) -> Sum {
        Sum { algorithm: "SHA256".into(), hex: hex::encode(hash.finalize()) }
    }
}

#[derive(Default)]
pub(super) struct Ledger {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    outstanding: usize,
    lines: Vec<Line>,
    failure: Option<String>,
    /// The earlier backup is to blame for the failure.
    differs: bool,
    /// Bytes that nobody reads.
    kept: u64,
}

impl Ledger {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub fn ticket(self: &Arc<Self>, what: &str) -> Ticket {
        self.state().outstanding += 1;
        Ticket { ledger: self.clone(), what: what.into(), done: false }
    }

    /// The first failure is the one that tells.
    pub fn fail(&self, why: &str) {
        self.state().failure.get_or_insert_with(|| why.to_string());
    }

    /// A file is not what it should be if it were unchanged.
    fn differs(&self, path: &str) {
        let mut state = self.state();
        if state.failure.is_none() {
            state.failure = Some(format!(
                "{path} is not what it was in the backup before, though neither its size nor its time changed: its disk or that backup is damaged"
            ));
            state.differs = true;
        }
    }

    pub fn is_of_the_earlier(&self) -> bool {
        self.state().differs
    }

    /// A file that is taken over as it was.
    pub fn kept(&self, line: Line) {
        let mut state = self.state();
        state.kept += line.size;
        state.lines.push(line);
    }

    /// Of a file that is read in part.
    pub fn spared(&self, bytes: u64) {
        self.state().kept += bytes;
    }

    pub fn kept_bytes(&self) -> u64 {
        self.state().kept
    }

    pub fn failure(&self) -> Option<String> {
        self.state().failure.clone()
    }

    /// Waits until nobody reads, or for `patience`; says whether nobody does.
    pub fn idle_within(&self, patience: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.state(), patience, |s| s.outstanding > 0);
        waited.unwrap_or_else(|e| e.into_inner()).0.outstanding == 0
    }

    pub fn take_lines(&self) -> Vec<Line> {
        std::mem::take(&mut self.state().lines)
    }
}

pub(super) struct Ticket {
    ledger: Arc<Ledger>,
    what: String,
    done: bool,
}

impl Ticket {
    /// The file was removed by the server, which the log will do again.
    pub fn vanished(mut self) {
        self.done = true;
    }

    fn complete(&mut self, line: Option<Line>) {
        self.done = true;
        self.ledger.state().lines.extend(line);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.ledger.state();
        state.outstanding -= 1;
        if !self.done {
            let what = &self.what;
            state.failure.get_or_insert_with(|| format!("{what} was not read to its end"));
        }
        drop(state);
        self.ledger.changed.notify_all();
    }
}

/// Reads exactly `size` bytes of a file that others write. What it gained since it was measured is
/// not needed, what it lost is filled with zeros: the log has both.
pub(super) struct Measured {
    file: File,
    left: u64,
    hash: Sha256,
    line: Line,
    fill: bool,
    ticket: Ticket,
    /// What its checksum must be.
    wanted: Option<Sum>,
    pieces: Option<Summing>,
}

impl Measured {
    /// `fill` says whether the file may have become shorter.
    pub fn new(file: File, path: &Path, size: u64, modified: i64, fill: bool, ticket: Ticket) -> Measured {
        let line = Line { path: path.to_string_lossy().into_owned(), size, modified, sum: Sum::default(), pieces: None };
        let mut reader = Measured { file, left: size, hash: Sha256::new(), line, fill, ticket, wanted: None, pieces: None };
        reader.finish_if_read();
        reader
    }

    pub fn wanting(self, sum: Option<Sum>) -> Measured {
        Measured { wanted: sum, ..self }
    }

    /// Sums up its pieces too.
    pub fn in_pieces(self, piece: Option<u64>) -> Measured {
        Measured { pieces: piece.map(Summing::new), ..self }
    }

    fn finish_if_read(&mut self) {
        if self.left == 0 && !self.ticket.done {
            self.line.sum = Sum::sha256(std::mem::take(&mut self.hash));
            if self.wanted.as_ref().is_some_and(|wanted| wanted.algorithm == self.line.sum.algorithm && *wanted != self.line.sum) {
                self.ticket.ledger.differs(&self.line.path);
            }
            self.line.pieces = self.pieces.take().map(|summing| Pieces { size: self.line.size, sums: summing.finish() });
            self.ticket.complete(Some(self.line.clone()));
        }
    }
}

impl Read for Measured {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        if room == 0 {
            return Ok(0);
        }
        let mut n = self.file.read(&mut buf[..room])?;
        if n == 0 && !self.fill {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{} became shorter while it was read", self.line.path)));
        }
        if n == 0 {
            buf[..room].fill(0);
            n = room;
        }
        self.hash.update(&buf[..n]);
        self.pieces.iter_mut().for_each(|summing| summing.update(&buf[..n]));
        self.left -= n as u64;
        self.finish_if_read();
        Ok(n)
    }
}

/// Reads the pieces of a file that changed. Its checksum is that of the new pieces and of the old ones
/// together.
pub(super) struct Patched {
    changed: Stretches,
    numbers: std::vec::IntoIter<u64>,
    piece: u64,
    summing: Summing,
    left: u64,
    line: Line,
    pieces: Pieces,
    ticket: Ticket,
}

impl Patched {
    /// `line` has the file's old pieces, as many as it has pieces now; those named by `numbers` are read.
    pub fn new(file: File, line: Line, mut pieces: Pieces, piece: u64, numbers: Vec<u64>, ticket: Ticket) -> Patched {
        let stretches = stretches(numbers.iter().copied(), piece, line.size);
        let left = stretches.iter().map(|r| r.end - r.start).sum();
        pieces.size = line.size;
        pieces.sums.resize(usize::try_from(line.size.div_ceil(piece)).unwrap_or_default(), 0);
        let (changed, numbers) = (Stretches::new(file, stretches), numbers.into_iter());
        let mut reader = Patched { changed, numbers, piece, summing: Summing::new(piece), left, line, pieces, ticket };
        reader.finish_if_read();
        reader
    }

    fn finish_if_read(&mut self) {
        if self.left > 0 || self.ticket.done {
            return;
        }
        let summing = std::mem::replace(&mut self.summing, Summing::new(self.piece));
        for (number, sum) in self.numbers.by_ref().zip(summing.finish()) {
            if let Some(place) = self.pieces.sums.get_mut(number as usize) {
                *place = sum;
            }
        }
        self.line.sum = self.pieces.sum(self.piece);
        self.line.pieces = Some(std::mem::take(&mut self.pieces));
        self.ticket.complete(Some(self.line.clone()));
    }
}

impl Read for Patched {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.changed.read(buf)?;
        self.summing.update(&buf[..n]);
        self.left -= n as u64;
        if n > 0 {
            self.finish_if_read();
        }
        Ok(n)
    }
}

/// One log segment: its bytes up to `valid`, then zeros, so that recovery ends exactly where the
/// backup does and not at whatever the server wrote there next.
pub(super) struct Segment {
    log: io::Take<File>,
    zeros: u64,
    ticket: Ticket,
}

impl Segment {
    pub fn new(file: File, valid: u64, size: u64, ticket: Ticket) -> Segment {
        Segment { log: file.take(valid), zeros: size - valid, ticket }
    }
}

impl Read for Segment {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.log.read(buf)?;
        if n > 0 || buf.is_empty() {
            return Ok(n);
        }
        if self.log.limit() > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{} is too short", self.ticket.what)));
        }
        let n = usize::try_from(self.zeros).unwrap_or(usize::MAX).min(buf.len());
        buf[..n].fill(0);
        self.zeros -= n as u64;
        if self.zeros == 0 {
            self.ticket.complete(None);
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(content: &[u8]) -> File {
        let mut f = tempfile::tempfile().unwrap();
        f.write_all(content).unwrap();
        io::Seek::rewind(&mut f).unwrap();
        f
    }

    #[test]
    fn a_file_is_as_long_as_it_was_measured() {
        let ledger = Arc::new(Ledger::default());
        for (content, fill, wanted) in [(&b"abcdef"[..], true, &b"abcd"[..]), (b"ab", true, b"ab\0\0")] {
            let mut out = vec![];
            Measured::new(file(content), Path::new("f"), 4, 0, fill, ledger.ticket("f")).read_to_end(&mut out).unwrap();
            assert_eq!(out, wanted);
        }
        assert!(ledger.idle_within(Duration::ZERO) && ledger.failure().is_none());
        assert_eq!(ledger.take_lines()[0].sum.hex, hex::encode(Sha256::digest(b"abcd")));
        assert!(Measured::new(file(b"ab"), Path::new("f"), 4, 0, false, ledger.ticket("f")).read_to_end(&mut vec![]).is_err());
        assert!(ledger.failure().is_some());
    }

    #[test]
    fn a_file_given_up_half_way_fails_the_backup() {
        let ledger = Arc::new(Ledger::default());
        let mut reader = Measured::new(file(b"abcd"), Path::new("base/1/2"), 4, 0, true, ledger.ticket("base/1/2"));
        reader.read_exact(&mut [0; 2]).unwrap();
        assert!(!ledger.idle_within(Duration::ZERO));
        drop(reader);
        assert!(ledger.idle_within(Duration::ZERO));
        assert_eq!(ledger.failure().as_deref(), Some("base/1/2 was not read to its end"));
    }

    #[test]
    fn a_file_that_should_be_the_same_and_is_not_is_told_of() {
        let ledger = Arc::new(Ledger::default());
        let read = |wanted: &[u8]| {
            let sum = Sum { algorithm: "SHA256".into(), hex: hex::encode(Sha256::digest(wanted)) };
            let reader = Measured::new(file(b"abcd"), Path::new("base/1/2"), 4, 0, true, ledger.ticket("base/1/2"));
            reader.wanting(Some(sum)).read_to_end(&mut vec![]).unwrap();
        };
        read(b"abcd");
        assert!(ledger.failure().is_none());
        read(b"abcX");
        assert!(ledger.is_of_the_earlier() && ledger.failure().unwrap().contains("base/1/2"));
    }

    #[test]
    fn a_file_read_in_part_has_the_checksum_of_the_whole() {
        let ledger = Arc::new(Ledger::default());
        let (old, new) = (b"aaaabbbbccccdd".as_slice(), b"aaaaBBBBccccDDDDE".as_slice());
        let mut whole = vec![];
        Measured::new(file(old), Path::new("f"), 14, 0, true, ledger.ticket("f")).in_pieces(Some(4)).read_to_end(&mut whole).unwrap();
        let earlier = ledger.take_lines().remove(0);
        let line = Line { path: "f".into(), size: new.len() as u64, modified: 1, sum: Sum::default(), pieces: None };
        let pieces = earlier.pieces.clone().unwrap();
        let mut fresh = vec![];
        Patched::new(file(new), line.clone(), pieces.clone(), 4, vec![1, 3, 4], ledger.ticket("f")).read_to_end(&mut fresh).unwrap();
        assert_eq!(fresh, b"BBBBDDDDE");
        let now = ledger.take_lines().remove(0);
        assert_eq!(now.sum.hex, hex::encode(crc32c::crc32c(new).to_le_bytes()));
        // Nothing of it changed, and it is not even looked at.
        drop(Patched::new(file(b""), Line { size: 14, ..line }, pieces, 4, vec![], ledger.ticket("f")));
        assert_eq!(ledger.take_lines()[0].sum.hex, hex::encode(crc32c::crc32c(old).to_le_bytes()));
        assert!(ledger.idle_within(Duration::ZERO) && ledger.failure().is_none());
    }

    #[test]
    fn a_segment_ends_in_zeros() {
        let ledger = Arc::new(Ledger::default());
        let mut out = vec![];
        Segment::new(file(b"logNEXT."), 3, 8, ledger.ticket("s")).read_to_end(&mut out).unwrap();
        assert_eq!(out, b"log\0\0\0\0\0");
        Segment::new(file(b"log"), 3, 3, ledger.ticket("s")).read_to_end(&mut out).unwrap();
        assert!(ledger.failure().is_none());
        assert!(Segment::new(file(b"lo"), 3, 8, ledger.ticket("s")).read_to_end(&mut out).is_err());
    }
}
