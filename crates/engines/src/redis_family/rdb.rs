//! What must be known of a snapshot file without loading it: that it is whole, and what its first
//! lines say of the moment it was taken.

use std::collections::BTreeMap;

/// Jones' polynomial, reflected: the checksum at a snapshot's end.
const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;

/// Eight bytes a step: `TABLES[n][b]` is byte `b` with `n` zero bytes behind it.
static TABLES: [[u64; 256]; 8] = tables();

const fn tables() -> [[u64; 256]; 8] {
    let mut all = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        all[0][byte] = crc;
        byte += 1;
    }
    let mut n = 1;
    while n < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = all[n - 1][byte];
            all[n][byte] = all[0][(before & 0xff) as usize] ^ before >> 8;
            byte += 1;
        }
        n += 1;
    }
    all
}

pub(super) fn crc64(mut crc: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let mixed = (crc ^ u64::from_le_bytes(*word)).to_le_bytes();
        crc = mixed.iter().zip(TABLES.iter().rev()).fold(0, |sum, (byte, table)| sum ^ table[*byte as usize]);
    }
    rest.iter().fold(crc, |crc, byte| TABLES[0][((crc ^ u64::from(*byte)) & 0xff) as usize] ^ crc >> 8)
}

/// A judge of a whole file, fed in order.
#[derive(Default)]
pub(super) struct Judge {
    crc: u64,
    bytes: u64,
    head: Vec<u8>,
    tail: Vec<u8>,
}

/// Enough for the fields in front of the first key, unless somebody keeps many functions.
const HEAD: usize = 64 * 1024;
/// The end mark and the checksum.
const TAIL: usize = 9;
const END: u8 = 0xff;

impl Judge {
    pub fn feed(&mut self, bytes: &[u8]) {
        self.crc = crc64(self.crc, bytes);
        self.bytes += bytes.len() as u64;
        let room = HEAD - self.head.len();
        self.head.extend_from_slice(&bytes[..room.min(bytes.len())]);
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
    }

    /// The header of a file that is whole, or why it is not one.
    pub fn verdict(&self) -> Result<Header, &'static str> {
        if !is_magic(&self.head) {
            return Err("it does not begin as a snapshot does");
        }
        if self.tail.len() < TAIL || self.tail[0] != END {
            return Err("its end is missing");
        }
        if self.tail[1..] == [0; 8] {
            return Err("it carries no checksum");
        }
        // Over data and its own checksum together this checksum is 0.
        if self.crc != 0 { Err("its checksum does not fit its content") } else { Ok(Header::parse(&self.head)) }
    }
}

/// `REDIS0010` of Redis and of Valkey up to 8, `VALKEY080` later.
fn is_magic(head: &[u8]) -> bool {
    let digits = |rest: &[u8], n| rest.len() >= n && rest[..n].iter().all(u8::is_ascii_digit);
    head.strip_prefix(b"REDIS").is_some_and(|rest| digits(rest, 4)) || head.strip_prefix(b"VALKEY").is_some_and(|rest| digits(rest, 3))
}

/// What stands in front of the first key.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Header {
    pub fields: BTreeMap<String, String>,
    /// Number and keys of the first logical database that has any; 0 keys where none has.
    pub first: Option<(u32, u64)>,
}

impl Header {
    fn parse(head: &[u8]) -> Header {
        let mut header = Header::default();
        let mut reader = Reader(&head[9..]);
        // Where the bytes end or something unexpected stands, what was read so far is all there is.
        let _ = header.read(&mut reader);
        header
    }

    fn read(&mut self, reader: &mut Reader) -> Option<()> {
        let mut db = 0;
        loop {
            match reader.byte()? {
                0xfa => {
                    let name = reader.string()?;
                    self.fields.insert(name, reader.string()?);
                }
                // A function's text.
                0xf5 => drop(reader.string()?),
                0xfe => db = reader.length()?,
                // Sizes of one slot of a cluster.
                0xf4 => (0..3).try_for_each(|_| reader.length().map(drop))?,
                0xfb => {
                    self.first = Some((u32::try_from(db).ok()?, reader.length()?));
                    return Some(());
                }
                END => {
                    self.first = Some((0, 0));
                    return Some(());
                }
                _ => return None,
            }
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    fn length(&mut self) -> Option<u64> {
        let first = self.byte()?;
        match (first >> 6, first) {
            (0, _) => Some(u64::from(first)),
            (1, _) => Some(u64::from(first & 0x3f) << 8 | u64::from(self.byte()?)),
            (_, 0x80) => Some(u64::from(u32::from_be_bytes(self.take(4)?.try_into().ok()?))),
            (_, 0x81) => Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?)),
            _ => None,
        }
    }

    /// Strings may be numbers in disguise, or compressed; the latter are of no interest here.
    fn string(&mut self) -> Option<String> {
        match *self.0.first()? {
            0xc0 => self.take(2).map(|b| i8::from_le_bytes([b[1]]).to_string()),
            0xc1 => self.take(3).map(|b| i16::from_le_bytes([b[1], b[2]]).to_string()),
            0xc2 => self.take(5).map(|b| i32::from_le_bytes([b[1], b[2], b[3], b[4]]).to_string()),
            0xc3 => {
                self.byte()?;
                let (compressed, _) = (self.length()?, self.length()?);
                self.take(usize::try_from(compressed).ok()?)?;
                Some(String::new())
            }
            _ => {
                let n = usize::try_from(self.length()?).ok()?;
                Some(String::from_utf8_lossy(self.take(n)?).into_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A snapshot of two keys in database 3, one of a hundred left out: nobody here reads that far.
    fn snapshot() -> Vec<u8> {
        let mut file = b"REDIS0010\xfa\x09redis-ver\x067.0.15\xfa\x0aredis-bits\xc0\x40\xfa\x0brepl-offset\xc2\x15\xcd\x5b\x07".to_vec();
        file.extend(b"\xf5\xc3\x03\x05abc\xfe\x03\xfb\x40\x64\x00\x00\x01a\x01b\xff");
        let crc = crc64(0, &file);
        file.extend(crc.to_le_bytes());
        file
    }

    fn judged(file: &[u8], step: usize) -> Result<Header, &'static str> {
        let mut judge = Judge::default();
        file.chunks(step).for_each(|chunk| judge.feed(chunk));
        judge.verdict()
    }

    #[test]
    fn the_checksum_is_the_servers_own() {
        assert_eq!(crc64(0, b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        let long: Vec<u8> = (0..1000u32).map(|n| (n * 7 % 251) as u8).collect();
        let bytewise = long.iter().fold(0, |crc, byte| crc64(crc, &[*byte]));
        assert_eq!(crc64(0, &long), bytewise);
    }

    #[test]
    fn a_whole_file_tells_its_moment_however_it_is_cut() {
        for step in [1, 2, 7, 8, 9, 1000] {
            let header = judged(&snapshot(), step).unwrap();
            assert_eq!(header.first, Some((3, 100)));
            assert_eq!(header.fields["redis-ver"], "7.0.15");
            assert_eq!((header.fields["redis-bits"].as_str(), header.fields["repl-offset"].as_str()), ("64", "123456789"));
        }
    }

    #[test]
    fn an_empty_file_has_no_keys() {
        let mut file = b"REDIS0011\xff".to_vec();
        file.extend(crc64(0, &file).to_le_bytes());
        assert_eq!(judged(&file, 5).unwrap().first, Some((0, 0)));
    }

    #[test]
    fn what_is_cut_or_changed_is_found() {
        let good = snapshot();
        for cut in [0, 5, 9, 17, good.len() - 9, good.len() - 1] {
            assert!(judged(&good[..cut], 4).is_err(), "{cut}");
        }
        for at in 9..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 4;
            assert!(judged(&bad, 16).is_err(), "{at}");
        }
        // The mark that ends the stream is no part of the file.
        assert!(judged(&[&good[..], &[b'm'; 40]].concat(), 16).is_err());
        let mut unsummed = good.clone();
        let n = unsummed.len();
        unsummed[n - 8..].fill(0);
        assert_eq!(judged(&unsummed, 16), Err("it carries no checksum"));
    }
}
