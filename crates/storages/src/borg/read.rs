//! Reading archives, always as one stream out of `borg export-tar`: data in order, checked by Borg's
//! authentication and by our own hashes, which also see an archive that was "repaired" with zeroes.

use super::{
    Repo,
    pipe::{Line, Over, Reader},
    trouble::broken,
};
use crate::{
    pace::{PIECE, Pace},
    pool::Lane,
    record::{self, Listed, Record},
    source::cancelled,
};
use mainstay_drivers::{
    progress::Progress,
    storage::{Depth, FileSink, Sink, SnapshotEntry, SnapshotEntryKind},
};
use mainstay_model::{Error, Result};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    vec,
};

/// What a snapshot says of itself.
pub struct Contents {
    pub record: Record,
    /// In path order, without our own files.
    pub files: Vec<Listed>,
    own: Vec<Listed>,
}

/// A conversation nobody stops before its end, other than by going away.
pub fn to_its_end() -> (Over, Gone) {
    let gone = Arc::new(AtomicBool::new(false));
    let flag = gone.clone();
    (Arc::new(move || flag.load(Ordering::Acquire)), Gone(gone))
}

/// Says so when it is dropped.
pub struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn until_cancelled(progress: &Progress) -> (Over, Gone) {
    let (gone, guard) = to_its_end();
    let progress = progress.clone();
    (Arc::new(move || progress.is_cancelled() || gone()), guard)
}

/// Gives every file of the archive (or those of `names`) to `each`, in the archive's order.
async fn export<T: Send + 'static>(
    repo: &Repo,
    archive: &str,
    names: &[&str],
    (lane, over): (Lane, Over),
    mut state: T,
    each: impl Fn(&mut T, &Path, &mut dyn Read) -> Result<()> + Send + 'static,
) -> Result<T> {
    let room = repo.room().await?;
    let pipe = room.pipe("out")?;
    let mut args = vec!["export-tar".to_owned(), repo.archive(archive), "../out".into()];
    args.extend(names.iter().map(|&name| name.to_owned()));
    let pace = repo.pace.clone();
    let work = move |line: &Line| {
        let inner = Reader::open(&pipe, line).map_err(broken)?;
        let mut tar = tar::Archive::new(Paced { inner, pace });
        for file in tar.entries().map_err(broken)? {
            let mut file = file.map_err(|e| torn(e, line))?;
            if !file.header().entry_type().is_file() {
                continue;
            }
            let path = file.path().map_err(|e| torn(e, line))?.into_owned();
            let left = file.size();
            each(&mut state, &path, &mut Whole { inner: &mut file, left })?;
        }
        // What fills up the last block: Borg must be able to write it.
        io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(|e| torn(e, line))?;
        Ok(state)
    };
    repo.beside(&room, args, (lane, over), work).await
}

/// Borg knows no limit for what it reads from a repository; what comes out of it is held to ours.
struct Paced {
    inner: Reader,
    pace: Arc<Pace>,
}

impl Read for Paced {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = buf.len().min(PIECE);
        let read = self.inner.read(&mut buf[..most])?;
        self.pace.pass_blocking(read);
        Ok(read)
    }
}

/// A file of the stream. One that ends before its size is a stream that was cut off, which the
/// archive reader calls an end.
struct Whole<'a> {
    inner: &'a mut dyn Read,
    left: u64,
}

impl Read for Whole<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        self.left -= (read as u64).min(self.left);
        match read == 0 && self.left > 0 && !buf.is_empty() {
            true => Err(io::ErrorKind::BrokenPipe.into()),
            false => Ok(read),
        }
    }
}

/// A stream that ends early is the echo of what Borg has to say, or of our own going away.
fn torn(e: io::Error, line: &Line) -> Error {
    match line.is_over() {
        true => cancelled(),
        false => broken(io::Error::new(io::ErrorKind::BrokenPipe, e)),
    }
}

fn read_error(e: io::Error) -> Error {
    broken(io::Error::new(io::ErrorKind::BrokenPipe, e))
}

pub async fn contents(repo: &Repo, snapshot: &str) -> Result<Contents> {
    repo.published(snapshot).await?;
    let names = [record::LIST, record::NAME];
    let (over, _guard) = to_its_end();
    let found = export(repo, snapshot, &names, (Lane::Ask, over), HashMap::<PathBuf, Vec<u8>>::new(), |found, path, file| {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(read_error)?;
        found.insert(path.to_owned(), bytes);
        Ok(())
    })
    .await?;
    let part = |name: &str| {
        let none = || Error::integrity(format!("snapshot {snapshot} holds no {name}: Mainstay did not make it, or it is damaged"));
        found.get(Path::new(name)).ok_or_else(none)
    };
    let record = Record::from_json(part(record::NAME)?)?;
    if record.label.backup.as_str() != snapshot {
        return Err(Error::integrity(format!("archive {snapshot} holds the record of backup {}", record.label.backup)));
    }
    let files = record::from_lines(part(record::LIST)?, snapshot)?;
    let own = found.iter().map(|(path, bytes)| own(path, bytes, &record)).collect();
    Ok(Contents { record, files, own })
}

fn own(path: &Path, bytes: &[u8], record: &Record) -> Listed {
    let kind = SnapshotEntryKind::File { size: bytes.len() as u64 };
    let entry = SnapshotEntry { path: path.to_owned(), mode: 0o600, mtime: record.label.created_at, kind };
    Listed { entry, sha256: Some(hex::encode(Sha256::digest(bytes))) }
}

/// Reads a file to its end, into `to`; its size and hash.
fn drain(file: &mut dyn Read, mut to: impl FnMut(&[u8]) -> Result<()>) -> Result<(u64, String)> {
    let (mut size, mut hash, mut block) = (0, Sha256::new(), vec![0; 256 << 10]);
    loop {
        let read = match file.read(&mut block) {
            Ok(0) => return Ok((size, hex::encode(hash.finalize()))),
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(read_error(e)),
        };
        hash.update(&block[..read]);
        to(&block[..read])?;
        size += read as u64;
    }
}

fn size_of(listed: &Listed) -> u64 {
    if let SnapshotEntryKind::File { size } = listed.entry.kind { size } else { 0 }
}

fn differs(archive: &str, path: &Path, why: &str) -> Error {
    Error::integrity(format!("{} in archive {archive} {why}", path.display()))
}

fn same(archive: &str, listed: &Listed, (size, sha256): (u64, String)) -> Result<()> {
    match listed.entry.kind == (SnapshotEntryKind::File { size }) && listed.sha256.as_ref() == Some(&sha256) {
        true => Ok(()),
        false => {
            Err(differs(archive, &listed.entry.path, &format!("is not what was backed up: {size} bytes with SHA-256 {sha256} came out")))
        }
    }
}

/// Reads the whole archive and holds every file against `files`: how many, and how many bytes.
pub async fn compare(repo: &Repo, archive: &str, files: Vec<Listed>, progress: &Progress, on: (Lane, Over)) -> Result<(usize, u64)> {
    let is_file = |l: &Listed| matches!(l.entry.kind, SnapshotEntryKind::File { .. });
    let expected: HashMap<PathBuf, Listed> = files.into_iter().filter(is_file).map(|l| (l.entry.path.clone(), l)).collect();
    progress.total(expected.values().map(size_of).sum());
    let (name, count, progress) = (archive.to_owned(), expected.len(), progress.clone());
    let state = (expected, 0u64);
    let (missing, bytes) = export(repo, archive, &[], on, state, move |(expected, bytes), path, file| {
        let listed = expected.remove(path).ok_or_else(|| differs(&name, path, "was never backed up, or twice"))?;
        let got = drain(file, |block| {
            progress.add(block.len() as u64);
            Ok(())
        })?;
        *bytes += got.0;
        same(&name, &listed, got)
    })
    .await?;
    match missing.keys().min() {
        None => Ok((count, bytes)),
        Some(path) => Err(differs(archive, path, "is missing")),
    }
}

/// Whether the archive could be restored.
pub async fn verify(repo: &Repo, snapshot: &str, depth: Depth, progress: &Progress) -> Result<u64> {
    progress.say("checking the structure");
    let contents = contents(repo, snapshot).await?;
    let only = format!("--glob-archives={snapshot}");
    repo.run(&["check", "--archives-only", &only], std::slice::from_ref(&repo.url), super::child::LONG).await?;
    if depth == Depth::Structure {
        return Ok(contents.own.iter().map(size_of).sum());
    }
    progress.say("reading all data");
    let files = contents.files.into_iter().chain(contents.own).collect();
    let (over, _guard) = until_cancelled(progress);
    compare(repo, snapshot, files, progress, (Lane::Quiet, over)).await.map(|(_, bytes)| bytes)
}

/// Hands entries to the sink in path order, though links lie at the archive's end.
struct Writer {
    archive: String,
    rest: vec::IntoIter<Listed>,
    sink: Arc<dyn Sink>,
    progress: Progress,
}

impl Writer {
    /// Everything up to the next file.
    fn next_file(&mut self) -> Result<Option<Listed>> {
        for listed in self.rest.by_ref() {
            let entry = &listed.entry;
            let named = |e| write_error(&entry.path, e);
            match &entry.kind {
                SnapshotEntryKind::File { .. } => return Ok(Some(listed)),
                _ if !self.sink.wants(entry) => {}
                SnapshotEntryKind::Dir => self.sink.dir(entry).map_err(named)?,
                SnapshotEntryKind::Symlink { target } => self.sink.symlink(entry, target).map_err(named)?,
            }
        }
        Ok(None)
    }

    fn file(&mut self, path: &Path, file: &mut dyn Read) -> Result<()> {
        if [record::NAME, record::LIST].iter().any(|own| path == Path::new(own)) {
            return Ok(());
        }
        let listed = self.next_file()?.filter(|l| l.entry.path == path);
        let listed = listed.ok_or_else(|| differs(&self.archive, path, "is not where the list of files has it"))?;
        if !self.sink.wants(&listed.entry) {
            return Ok(());
        }
        let mut out: Box<dyn FileSink> = self.sink.file(&listed.entry).map_err(|e| write_error(path, e))?;
        let got = drain(file, |block| {
            self.progress.add(block.len() as u64);
            out.write(block).map_err(|e| write_error(path, e))
        })?;
        same(&self.archive, &listed, got)?;
        out.finish().map_err(|e| write_error(path, e))
    }
}

fn write_error(path: &Path, e: io::Error) -> Error {
    Error::from(e).context(format!("restoring {}", path.display()))
}

pub async fn get(repo: &Repo, snapshot: &str, sink: Arc<dyn Sink>, progress: &Progress) -> Result<()> {
    if progress.is_cancelled() {
        return Err(cancelled());
    }
    let Contents { record, files, .. } = contents(repo, snapshot).await?;
    progress.say("restoring");
    progress.total(record.data_bytes);
    let (over, _guard) = until_cancelled(progress);
    let writer = Writer { archive: snapshot.into(), rest: files.into_iter(), sink, progress: progress.clone() };
    let mut writer = export(repo, snapshot, &[], (Lane::reading(progress), over), writer, Writer::file).await?;
    match writer.next_file()? {
        None => Ok(()),
        Some(listed) => Err(differs(snapshot, &listed.entry.path, "is missing")),
    }
}
