//! A snapshot as one file that needs nothing but stock tools: the engine's own dump as it is, or a
//! `.tar.zst` of the data directory as it would be restored.

use crate::{Agent, disk::blocking, dispatch::Act};
use mainstay_drivers::{
    engine::Engine,
    storage::{FileSink, Sink, SnapshotEntry, SnapshotEntryKind},
};
use mainstay_model::{Error, Result};
use mainstay_rpc::{
    Out,
    verbs::{Done, DownloadSnapshot},
};
use std::{
    io::{self, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Bytes a chunk of the stream carries.
const CHUNK: usize = 256 * 1024;
/// The fastest level: a download is limited by the reader.
const LEVEL: i32 = 1;

impl Agent {
    pub(crate) async fn download_snapshot(&self, verb: DownloadSnapshot, act: &Act) -> Result<Done> {
        let storage = self.opened(&verb.repository).await?;
        let out = Chunks::new(act.out.clone());
        if let Some(file) = self.backups(&verb.engine)?.download_file() {
            let sink = Arc::new(OneFile { path: file.into(), out: Mutex::new(Some(out)), whole: Arc::default() });
            storage.get(&verb.snapshot, Arc::clone(&sink) as Arc<dyn Sink>, &act.progress).await?;
            return sink.finish();
        }
        let engine = Arc::clone(self.engine(&verb.engine)?);
        let archive = Arc::new(Archive::new(engine, out)?);
        let got = storage.get(&verb.snapshot, Arc::clone(&archive) as Arc<dyn Sink>, &act.progress).await;
        // Dropped there too: an archive writes its end when it goes, and writing blocks.
        blocking(move || got.and_then(|()| archive.finish())).await
    }
}

/// The reply's byte stream as a writer.
struct Chunks {
    out: Out,
    buffer: Vec<u8>,
}

impl Chunks {
    fn new(out: Out) -> Self {
        Chunks { out, buffer: Vec::with_capacity(CHUNK) }
    }
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK - self.buffer.len();
        let taken = bytes.len().min(room);
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == CHUNK {
            self.flush()?;
        }
        Ok(taken)
    }
    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK));
        self.out.blocking_chunk(full).map_err(|e| io::Error::new(io::ErrorKind::BrokenPipe, e.message))
    }
}

/// Passes one file's bytes on and leaves everything else out.
struct OneFile {
    path: PathBuf,
    /// Taken by the file when it comes.
    out: Mutex<Option<Chunks>>,
    whole: Arc<AtomicBool>,
}

struct OneFileWriter {
    chunks: Chunks,
    whole: Arc<AtomicBool>,
}

impl OneFile {
    fn finish(&self) -> Result<Done> {
        match self.whole.load(Ordering::Acquire) {
            true => Ok(Done {}),
            false => Err(Error::integrity(format!("the backup holds no file {}", self.path.display()))),
        }
    }
}

impl Sink for OneFile {
    fn wants(&self, entry: &SnapshotEntry) -> bool {
        entry.path == self.path
    }
    fn dir(&self, _: &SnapshotEntry) -> io::Result<()> {
        Ok(())
    }
    fn symlink(&self, _: &SnapshotEntry, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn file(&self, _: &SnapshotEntry) -> io::Result<Box<dyn FileSink>> {
        let chunks = lock(&self.out).take().ok_or_else(|| io::Error::other("the file to download comes twice"))?;
        Ok(Box::new(OneFileWriter { chunks, whole: Arc::clone(&self.whole) }))
    }
}

impl FileSink for OneFileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.chunks.write_all(bytes)
    }
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.chunks.flush()?;
        self.whole.store(true, Ordering::Release);
        Ok(())
    }
}

type Tar = tar::Builder<zstd::Encoder<'static, Chunks>>;

/// Whose turn it is to write into the archive.
enum Turn {
    Free(Box<Tar>),
    Taken,
    /// A file was given up half way: what was sent is no archive any more.
    Broken,
}

struct Shared {
    turn: Mutex<Turn>,
    freed: Condvar,
}

impl Shared {
    /// Waits for the archive and takes it.
    fn take(&self) -> io::Result<Box<Tar>> {
        let mut turn = lock(&self.turn);
        loop {
            match std::mem::replace(&mut *turn, Turn::Taken) {
                Turn::Free(tar) => return Ok(tar),
                Turn::Taken => turn = self.freed.wait(turn).unwrap_or_else(PoisonError::into_inner),
                Turn::Broken => {
                    *turn = Turn::Broken;
                    return Err(io::Error::other("the archive ended early"));
                }
            }
        }
    }

    fn put(&self, turn: Turn) {
        *lock(&self.turn) = turn;
        self.freed.notify_all();
    }

    /// Does one whole thing with the archive.
    fn with(&self, work: impl FnOnce(&mut Tar) -> io::Result<()>) -> io::Result<()> {
        let mut tar = self.take()?;
        let done = work(&mut tar);
        self.put(if done.is_ok() { Turn::Free(tar) } else { Turn::Broken });
        done
    }
}

/// A tar of the directory as it would be restored. Files come from several threads and a tar takes
/// one at a time: each waits for its turn and then streams, so that nothing is ever held in memory.
struct Archive {
    engine: Arc<dyn Engine>,
    shared: Arc<Shared>,
}

impl Archive {
    fn new(engine: Arc<dyn Engine>, out: Chunks) -> Result<Archive> {
        let tar = tar::Builder::new(zstd::Encoder::new(out, LEVEL)?);
        let shared = Shared { turn: Mutex::new(Turn::Free(Box::new(tar))), freed: Condvar::new() };
        Ok(Archive { engine, shared: Arc::new(shared) })
    }

    fn finish(&self) -> Result<Done> {
        let tar = self.shared.take()?;
        tar.into_inner()?.finish()?.flush()?;
        Ok(Done {})
    }

    fn restored(&self, captured: &Path) -> Option<PathBuf> {
        self.engine.backups()?.restored_path(captured).filter(|p| !p.as_os_str().is_empty())
    }

    fn begin(&self, tar: &mut Tar, entry: &SnapshotEntry, kind: tar::EntryType, size: u64) -> io::Result<()> {
        let path = self.restored(&entry.path).ok_or_else(|| io::Error::other("an entry came that is left out"))?;
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(if kind.is_dir() { 0o700 } else { 0o600 });
        header.set_mtime(u64::try_from(entry.mtime.micros() / 1_000_000).unwrap_or(0));
        if header.set_path(&path).is_err() {
            tar.append_pax_extensions([("path", path.as_os_str().as_bytes())])?;
            header.set_path(format!("{:016x}", rand::random::<u64>()))?;
        }
        if let SnapshotEntryKind::Symlink { target } = &entry.kind {
            header.set_link_name(target)?;
        }
        header.set_cksum();
        tar.get_mut().write_all(header.as_bytes())
    }
}

impl Sink for Archive {
    fn wants(&self, entry: &SnapshotEntry) -> bool {
        self.restored(&entry.path).is_some()
    }
    fn dir(&self, entry: &SnapshotEntry) -> io::Result<()> {
        self.shared.with(|tar| self.begin(tar, entry, tar::EntryType::Directory, 0))
    }
    fn symlink(&self, entry: &SnapshotEntry, _: &Path) -> io::Result<()> {
        self.shared.with(|tar| self.begin(tar, entry, tar::EntryType::Symlink, 0))
    }
    fn file(&self, entry: &SnapshotEntry) -> io::Result<Box<dyn FileSink>> {
        let SnapshotEntryKind::File { size } = entry.kind else { return Err(io::Error::other("no file")) };
        let mut tar = self.shared.take()?;
        if let Err(e) = self.begin(&mut tar, entry, tar::EntryType::Regular, size) {
            self.shared.put(Turn::Broken);
            return Err(e);
        }
        Ok(Box::new(ArchivedFile { tar: Some(tar), shared: Arc::clone(&self.shared), size, left: size }))
    }
}

struct ArchivedFile {
    tar: Option<Box<Tar>>,
    shared: Arc<Shared>,
    size: u64,
    left: u64,
}

impl FileSink for ArchivedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let tar = self.tar.as_mut().ok_or_else(|| io::Error::other("written after its end"))?;
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or_else(|| io::Error::other("a file is longer than its entry says"))?;
        tar.get_mut().write_all(bytes)
    }
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        if self.left > 0 {
            return Err(io::Error::other("a file is shorter than its entry says"));
        }
        let padding = (512 - self.size % 512) % 512;
        if let Some(mut tar) = self.tar.take() {
            let padded = tar.get_mut().write_all(&[0; 512][..padding as usize]);
            self.shared.put(if padded.is_ok() { Turn::Free(tar) } else { Turn::Broken });
            padded?;
        }
        Ok(())
    }
}

impl Drop for ArchivedFile {
    fn drop(&mut self) {
        if self.tar.is_some() {
            self.shared.put(Turn::Broken);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
