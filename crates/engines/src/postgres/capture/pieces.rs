//! A checksum of every piece of the larger relation files, kept in the snapshot beside the data. Of a
//! file that is read in part the checksum of the whole can be told from these: CRC-32C is the one of
//! PostgreSQL's own list of files that can be put together.

use super::ledger::{Line, Sum};
use crc32c::{crc32c_append, crc32c_combine};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    ops::Range,
    os::unix::fs::FileExt,
};

/// Where they lie in the snapshot: in none of the trees that are restored.
pub(in crate::postgres) const PIECES: &str = "pieces/crc32c";
const MAGIC: &[u8] = b"mainstay pieces 1\n";

/// The pieces of one file, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Pieces {
    pub size: u64,
    pub sums: Vec<u32>,
}

impl Pieces {
    /// The checksum of the whole file.
    pub fn sum(&self, piece: u64) -> Sum {
        let length = |number: usize| piece.min(self.size - number as u64 * piece) as usize;
        let whole = self.sums.iter().enumerate().fold(0, |all, (n, sum)| crc32c_combine(all, *sum, length(n)));
        Sum { algorithm: "CRC32C".into(), hex: hex::encode(whole.to_le_bytes()) }
    }
}

/// All files' pieces, as they are stored.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct AllPieces {
    pub piece: u64,
    pub files: BTreeMap<String, Pieces>,
}

impl AllPieces {
    pub fn of(piece: u64, lines: &[Line]) -> AllPieces {
        let files = lines.iter().filter_map(|line| Some((line.path.clone(), line.pieces.clone()?))).collect();
        AllPieces { piece, files }
    }

    pub fn render(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(self.piece.to_le_bytes());
        out.extend((self.files.len() as u64).to_le_bytes());
        for (path, pieces) in &self.files {
            out.extend((path.len() as u32).to_le_bytes());
            out.extend(path.as_bytes());
            out.extend(pieces.size.to_le_bytes());
            pieces.sums.iter().for_each(|sum| out.extend(sum.to_le_bytes()));
        }
        let hash = Sha256::digest(&out);
        out.extend(hash);
        out
    }

    /// `None` for anything but what [`AllPieces::render`] wrote.
    pub fn parse(bytes: &[u8]) -> Option<AllPieces> {
        let (body, hash) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
        if Sha256::digest(body).as_slice() != hash {
            return None;
        }
        let mut left = body.strip_prefix(MAGIC)?;
        let (piece, count) = (take_u64(&mut left)?, take_u64(&mut left)?);
        let mut files = BTreeMap::new();
        for _ in 0..count {
            let length = u32::from_le_bytes(take(&mut left, 4)?.try_into().ok()?) as usize;
            let path = std::str::from_utf8(take(&mut left, length)?).ok()?.to_string();
            let size = take_u64(&mut left)?;
            let sums = take(&mut left, usize::try_from(size.div_ceil(piece.max(1))).ok()?.checked_mul(4)?)?;
            let sums = sums.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            files.insert(path, Pieces { size, sums });
        }
        (piece > 0 && left.is_empty()).then_some(AllPieces { piece, files })
    }
}

fn take<'a>(left: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (head, tail) = left.split_at_checked(n)?;
    *left = tail;
    Some(head)
}

fn take_u64(left: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(take(left, 8)?.try_into().ok()?))
}

/// Sums up pieces while bytes go by.
pub(super) struct Summing {
    piece: u64,
    at: u64,
    sum: u32,
    pub sums: Vec<u32>,
}

impl Summing {
    pub fn new(piece: u64) -> Summing {
        Summing { piece, at: 0, sum: 0, sums: vec![] }
    }

    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = usize::try_from(self.piece - self.at).unwrap_or(usize::MAX).min(bytes.len());
            self.sum = crc32c_append(self.sum, &bytes[..room]);
            self.at += room as u64;
            bytes = &bytes[room..];
            if self.at == self.piece {
                self.end_piece();
            }
        }
    }

    fn end_piece(&mut self) {
        self.sums.push(std::mem::take(&mut self.sum));
        self.at = 0;
    }

    /// The last piece may be a short one.
    pub fn finish(mut self) -> Vec<u32> {
        if self.at > 0 {
            self.end_piece();
        }
        self.sums
    }
}

/// Reads stretches of a file, one after the other; what the file has lost since is zeros.
pub(super) struct Stretches {
    file: File,
    left: std::vec::IntoIter<Range<u64>>,
    now: Range<u64>,
}

impl Stretches {
    pub fn new(file: File, stretches: Vec<Range<u64>>) -> Stretches {
        Stretches { file, left: stretches.into_iter(), now: 0..0 }
    }
}

impl Read for Stretches {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.now.is_empty() {
            match self.left.next() {
                Some(next) => self.now = next,
                None => return Ok(0),
            }
        }
        let room = usize::try_from(self.now.end - self.now.start).unwrap_or(usize::MAX).min(buf.len());
        let mut n = self.file.read_at(&mut buf[..room], self.now.start)?;
        if n == 0 {
            buf[..room].fill(0);
            n = room;
        }
        self.now.start += n as u64;
        Ok(n)
    }
}

/// Numbers of pieces as stretches of bytes that lie apart from each other.
pub(super) fn stretches(pieces: impl IntoIterator<Item = u64>, piece: u64, size: u64) -> Vec<Range<u64>> {
    let mut out: Vec<Range<u64>> = vec![];
    for number in pieces {
        let range = number * piece..size.min((number + 1) * piece);
        match out.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => out.push(range),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_whole_is_told_from_its_pieces() {
        let bytes: Vec<u8> = (0..200_003u32).map(|n| (n * 7 % 253) as u8).collect();
        let mut summing = Summing::new(65_536);
        bytes.chunks(1000).for_each(|chunk| summing.update(chunk));
        let pieces = Pieces { size: bytes.len() as u64, sums: summing.finish() };
        assert_eq!(pieces.sums.len(), 4);
        assert_eq!(pieces.sum(65_536).hex, hex::encode(crc32c::crc32c(&bytes).to_le_bytes()));
        let all =
            AllPieces { piece: 65_536, files: [("base/1/2".to_string(), pieces), ("global/1".to_string(), Pieces::default())].into() };
        let stored = all.render();
        assert_eq!(AllPieces::parse(&stored), Some(all));
        let mut bad = stored.clone();
        bad[40] ^= 1;
        for bad in [&bad[..], &stored[..stored.len() - 1], b"", &[0; 31]] {
            assert_eq!(AllPieces::parse(bad), None);
        }
    }

    #[test]
    fn stretches_are_read_in_their_order() {
        assert_eq!(stretches([0, 1, 3], 10, 35), [0..20, 30..35]);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789abcdef").unwrap();
        let mut out = vec![];
        Stretches::new(file, vec![2..4, 10..12, 14..18]).read_to_end(&mut out).unwrap();
        assert_eq!(out, b"23abef\0\0");
    }
}
