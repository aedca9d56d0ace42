//! A snapshot as a replica receives it. The server forks, writes the snapshot of that moment to us
//! as fast as we read, and goes on serving.
//!
//! The stream ends with a mark of 40 bytes that was announced at its beginning and is no part of
//! the file, or after an announced length. A connection that ends before that is an error, never
//! the end of the file.

use super::rdb::{Header, Judge};
use mainstay_drivers::progress::Progress;
use mainstay_model::Secret;
use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// While the server prepares, it sends a newline a second; a silence this long is the end.
const SILENCE: Duration = Duration::from_secs(30);
const MARK: usize = 40;
const ROOM: usize = 256 * 1024;
/// Nothing the server says before the snapshot is longer.
const LINE: usize = 1024;

/// Filled when the snapshot was read to its end and found whole.
pub(super) type Outcome = Arc<OnceLock<Header>>;

enum Framing {
    Mark([u8; MARK]),
    /// Bytes the server has still to send.
    Length(u64),
}

pub(super) struct SnapshotStream {
    link: UnixStream,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    framing: Framing,
    /// All of the file is in the buffer.
    complete: bool,
    judge: Judge,
    outcome: Outcome,
    progress: Progress,
}

impl SnapshotStream {
    /// Logged in; nothing was asked for yet.
    pub fn connect(socket: &Path, user: &str, password: &Secret, progress: Progress, outcome: Outcome) -> io::Result<SnapshotStream> {
        let link = UnixStream::connect(socket)?;
        link.set_read_timeout(Some(SILENCE))?;
        link.set_write_timeout(Some(SILENCE))?;
        let mut stream = SnapshotStream {
            link,
            buffer: vec![0; ROOM].into(),
            start: 0,
            end: 0,
            framing: Framing::Length(0),
            complete: false,
            judge: Judge::default(),
            outcome,
            progress,
        };
        stream.tell(&["AUTH", user, password.reveal()])?;
        stream.tell(&["REPLCONF", "capa", "eof"])?;
        stream.tell(&["REPLCONF", "rdb-only", "1"])?;
        Ok(stream)
    }

    /// Returns when the snapshot has begun: what is written from now on is not in it.
    pub fn begin(mut self) -> io::Result<SnapshotStream> {
        self.send(&["SYNC"])?;
        self.framing = self.announcement()?;
        self.take_early_bytes();
        Ok(self)
    }

    fn send(&mut self, words: &[&str]) -> io::Result<()> {
        let head = format!("*{}\r\n", words.len());
        let text = words.iter().fold(head, |all, word| format!("{all}${}\r\n{word}\r\n", word.len()));
        self.link.write_all(text.as_bytes())
    }

    fn tell(&mut self, words: &[&str]) -> io::Result<()> {
        self.send(words)?;
        let answer = self.line()?;
        if answer.starts_with('+') { Ok(()) } else { Err(refused(words[0], &answer)) }
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(n) = self.buffer[self.start..self.end].iter().position(|b| *b == b'\n') {
                let line = String::from_utf8_lossy(&self.buffer[self.start..self.start + n]).trim_end().to_string();
                self.start += n + 1;
                return Ok(line);
            }
            if self.end - self.start > LINE {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the server's answer has no end"));
            }
            self.fill(ROOM)?;
        }
    }

    fn announcement(&mut self) -> io::Result<Framing> {
        let line = loop {
            let line = self.line()?;
            if !line.is_empty() {
                break line;
            }
        };
        let framing = match line.strip_prefix("$EOF:") {
            Some(mark) => mark.as_bytes().try_into().ok().map(Framing::Mark),
            None => line.strip_prefix('$').and_then(|n| n.parse().ok()).map(Framing::Length),
        };
        framing.ok_or_else(|| refused("SYNC", &line))
    }

    /// What was read beyond the announcement is the file already, and may be all of it.
    fn take_early_bytes(&mut self) {
        let early = (self.end - self.start) as u64;
        if let Framing::Length(announced) = &mut self.framing {
            self.end -= early.saturating_sub(*announced) as usize;
            *announced = announced.saturating_sub(early);
            self.complete = *announced == 0;
        } else {
            self.look_for_mark();
        }
    }

    /// Reads more, at most `limit` bytes. An end of the connection is an error.
    fn fill(&mut self, limit: usize) -> io::Result<usize> {
        if self.progress.is_cancelled() {
            return Err(io::Error::other("the backup was cancelled"));
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let room = self.end..ROOM.min(self.end.saturating_add(limit));
        match self.link.read(&mut self.buffer[room]) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server ended the connection before the end of the snapshot")),
            Ok(n) => {
                self.end += n;
                Ok(n)
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                Err(io::Error::new(io::ErrorKind::TimedOut, format!("the server sent nothing for {SILENCE:?}")))
            }
            Err(e) => Err(e),
        }
    }

    /// Bytes that are certainly the file's: the last 40 may be the mark.
    fn ready(&self) -> usize {
        let held = match self.framing {
            Framing::Mark(_) if !self.complete => MARK,
            _ => 0,
        };
        (self.end - self.start).saturating_sub(held)
    }

    /// The mark is the last that is sent: it stands at the end of what came, or not yet.
    fn look_for_mark(&mut self) {
        if let Framing::Mark(mark) = &self.framing
            && self.buffer[self.start..self.end].ends_with(mark)
        {
            self.end -= MARK;
            self.complete = true;
        }
    }

    fn advance(&mut self) -> io::Result<()> {
        match self.framing {
            Framing::Mark(_) => {
                self.fill(ROOM)?;
                self.look_for_mark();
            }
            Framing::Length(left) => {
                let left = left - self.fill(usize::try_from(left).unwrap_or(ROOM))? as u64;
                self.framing = Framing::Length(left);
                self.complete = left == 0;
            }
        }
        Ok(())
    }

    fn close(&mut self) -> io::Result<usize> {
        let broken = |why| io::Error::new(io::ErrorKind::InvalidData, format!("the snapshot that the server sent is broken: {why}"));
        let header = self.judge.verdict().map_err(broken)?;
        // A second look at the end finds the same.
        let _ = self.outcome.set(header);
        Ok(0)
    }
}

fn refused(command: &str, answer: &str) -> io::Error {
    io::Error::other(format!("the server refused {command}: {}", mainstay_model::error::shown(answer)))
}

impl Read for SnapshotStream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.ready() == 0 {
            if self.complete {
                return self.close();
            }
            self.advance()?;
        }
        let n = self.ready().min(out.len());
        let chunk = &self.buffer[self.start..self.start + n];
        out[..n].copy_from_slice(chunk);
        self.judge.feed(chunk);
        self.start += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::rdb::crc64, *};
    use std::{os::unix::net::UnixListener, thread};

    fn file() -> Vec<u8> {
        let mut file = b"REDIS0010\xfe\x00\xfb\x02\x00".to_vec();
        file.extend((0..600_000u32).map(|n| (n % 251) as u8));
        file.push(0xff);
        let crc = crc64(0, &file);
        file.extend(crc.to_le_bytes());
        file
    }

    /// Answers a login and two settings, then sends `bytes` in pieces and hangs up.
    fn read_from_server_that_sends(bytes: Vec<u8>, piece: usize) -> (io::Result<Vec<u8>>, Outcome) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            let (mut link, _) = listener.accept().unwrap();
            for _ in 0..3 {
                assert!(link.read(&mut [0; 512]).unwrap() > 0);
                link.write_all(b"+OK\r\n").unwrap();
            }
            assert!(link.read(&mut [0; 512]).unwrap() > 0);
            for chunk in bytes.chunks(piece) {
                let _ = link.write_all(chunk);
            }
        });
        let outcome = Outcome::default();
        let stream = SnapshotStream::connect(&path, "u", &Secret::new("p"), Progress::default(), outcome.clone());
        let stream = stream.and_then(SnapshotStream::begin);
        let read = stream.and_then(|mut stream| {
            let mut all = vec![];
            stream.read_to_end(&mut all).map(|_| all)
        });
        server.join().unwrap();
        (read, outcome)
    }

    const NAME: &[u8] = b"0123456789abcdef0123456789abcdef01234567";

    fn marked(file: &[u8]) -> Vec<u8> {
        [b"\n\n$EOF:", NAME, b"\r\n", file, NAME].concat()
    }

    #[test]
    fn the_mark_is_no_part_of_the_file() {
        for piece in [1 << 20, 65_536, 4_099] {
            let (read, outcome) = read_from_server_that_sends(marked(&file()), piece);
            assert!(read.unwrap() == file(), "{piece}");
            assert_eq!(outcome.get().unwrap().first, Some((0, 2)));
        }
        let (read, _) = read_from_server_that_sends(marked(&file()[600_000..]), 7);
        let why = read.unwrap_err().to_string();
        assert!(why.contains("does not begin"), "{why}");
    }

    #[test]
    fn a_length_ends_the_file_too() {
        let sent = [format!("${}\r\n", file().len()).as_bytes(), &file(), b"*1\r\n$4\r\nPING\r\n"].concat();
        let (read, outcome) = read_from_server_that_sends(sent, 10_000);
        assert!(read.unwrap() == file());
        assert!(outcome.get().is_some());
    }

    #[test]
    fn a_connection_that_ends_early_is_no_end_of_the_file() {
        let whole = marked(&file());
        for cut in [3, 47, 60, 1000, whole.len() / 2, whole.len() - MARK, whole.len() - 1] {
            let (read, outcome) = read_from_server_that_sends(whole[..cut].to_vec(), 1 << 20);
            assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{cut}");
            assert!(outcome.get().is_none());
        }
    }

    #[test]
    fn a_flipped_bit_and_a_refusal_are_told() {
        let mut flipped = file();
        flipped[300_000] ^= 1;
        let (read, outcome) = read_from_server_that_sends(marked(&flipped), 1 << 20);
        assert!(read.unwrap_err().to_string().contains("checksum") && outcome.get().is_none());
        let (read, _) = read_from_server_that_sends(b"-NOMASTERLINK Can't SYNC while not connected with my master\r\n".to_vec(), 100);
        assert!(read.unwrap_err().to_string().contains("NOMASTERLINK"));
    }
}
