//! A backup: feed, read back, rename.
//!
//! `borg create` is given the tree as it comes, one path at a time, through a pipe; each file is a
//! named pipe too (`--read-special`), which is how a stream gets in whose length nobody knows. Three
//! things about that are worth knowing:
//!
//! * Borg asks for paths in blocks of 4096 characters and waits until one is full, so every path is
//!   lengthened to just that with `./././`, which Borg takes off again. Otherwise a source that waits
//!   for a file to be read, and Borg, would wait for each other.
//! * It follows links to pipes. Links are therefore given last, when no pipe is left.
//! * A run that is killed ends its pipes, and ended pipes look like ended files. It is never the
//!   program's good end alone that counts, and what it stored has no name but a provisional one.

use super::{
    Repo,
    archives::{self, pending},
    child::QUICK,
    pipe::{self, Line, Over, Writer},
    read,
    room::{Room, private_dir, trouble as io_trouble},
    trouble::broken,
    upkeep,
};
use crate::{
    pool::Lane,
    record::{self, Listed, Record},
    source::{Order, Pending, Tally, Ticket, admit_label},
};
use mainstay_drivers::{
    engine::Chunking,
    progress::Progress,
    storage::{Entry, EntryKind, SnapshotEntry, SnapshotEntryKind, SnapshotLabel, Source, Stored},
};
use mainstay_model::{Error, Result, Time, backup::Check};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, Permissions},
    io::{Read, Write},
    os::unix::fs::{FileTypeExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Turns true when the caller of a `put` is gone.
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

pub async fn put(repo: &Repo, label: &SnapshotLabel, source: Box<dyn Source>, progress: &Progress) -> Result<Stored> {
    admit_label(label)?;
    let provisional = pending(&label.backup);
    let there = repo.archives().await?;
    if there.iter().any(|a| a.name == label.backup.as_str()) {
        return already(repo, label).await;
    }
    if there.iter().any(|a| a.name == provisional) {
        upkeep::drop_archives(repo, std::slice::from_ref(&provisional)).await?;
    }
    let abandon = Abandon(Arc::default());
    let tally = Tally::new(progress, abandon.0.clone());
    progress.say("reading");
    progress.total(source.expected_bytes().unwrap_or(0));
    let fed = create(repo, label, source, &tally).await?;
    let checked = read_back(repo, &provisional, &fed, progress, &tally).await;
    if let Err(e) = checked.as_ref().map_err(Clone::clone).and(tally.verdict()) {
        // It counts for nothing as it is; taking it away is only tidy.
        if let Err(left) = upkeep::drop_archives(repo, &[provisional]).await {
            tracing::warn!("what a failed backup wrote stays until the next prune: {left}");
        }
        return Err(e);
    }
    let verified_at = Time::from(jiff::Timestamp::now());
    repo.run(&["rename"], &[repo.archive(&provisional), label.backup.to_string()], QUICK).await?;
    let mut stored = stored(repo, label, &fed.record, verified_at).await?;
    stored.checks.push(checked?);
    Ok(stored)
}

/// The same backup, when an earlier call published it and its reply was lost.
async fn already(repo: &Repo, label: &SnapshotLabel) -> Result<Stored> {
    let name = label.backup.as_str();
    let (contents, archive) = (read::contents(repo, name).await?, repo.published(name).await?);
    let mut stored = stored(repo, label, &contents.record, archive.time()?).await?;
    stored.checks.push(Check::new("read_back", true, "read back and compared before it was published by an earlier attempt"));
    Ok(stored)
}

#[derive(Deserialize)]
struct Info {
    archives: Vec<Sizes>,
}

#[derive(Deserialize)]
struct Sizes {
    stats: Stats,
}

#[derive(Deserialize)]
struct Stats {
    deduplicated_size: u64,
}

async fn stored(repo: &Repo, label: &SnapshotLabel, record: &Record, verified_at: Time) -> Result<Stored> {
    let name = label.backup.to_string();
    let out = repo.run(&["info", "--json"], &[repo.archive(&name)], QUICK).await?;
    let info: Info = serde_json::from_slice(&out.stdout).map_err(Error::internal)?;
    Ok(Stored {
        snapshot: name,
        facts: record.facts.clone(),
        data_bytes: record.data_bytes,
        added_bytes: info.archives.iter().map(|a| a.stats.deduplicated_size).sum(),
        files: record.files,
        checks: record.checks.clone(),
        verified_at,
    })
}

/// What was fed, in order, our own files last.
pub struct Fed {
    record: Record,
    files: Vec<Listed>,
}

async fn create(repo: &Repo, label: &SnapshotLabel, source: Box<dyn Source>, tally: &Arc<Tally>) -> Result<Fed> {
    let room = repo.room().await?;
    room.pipe("paths")?;
    let mut args = vec![
        "create".into(),
        "--read-special".into(),
        "--files-cache=disabled".into(),
        "--noacls".into(),
        "--noxattrs".into(),
        "--noflags".into(),
        "--checkpoint-interval=0".into(),
        "--compression=zstd,1".into(),
        format!("--chunker-params={}", chunker(repo.chunking)),
        format!("--comment={}", archives::comment(label)?),
        "--paths-from-command".into(),
        r"--paths-delimiter=\0".into(),
        repo.archive(&pending(&label.backup)),
        "cat".into(),
        "../paths".into(),
    ];
    args.extend(ratelimit(repo));
    let (label, tally, at, repo) = (label.clone(), tally.clone(), room.clone(), repo.clone());
    let (over, into) = (over(&tally), repo.clone());
    repo.beside(&room, args, (Lane::Write, over), move |line| Feed::open(&at, line, &tally, &into)?.run(label, source)).await
}

impl Repo {
    /// Borg holds its limit on connections only; into a directory what is fed is held to it.
    fn passes(&self, bytes: usize) {
        match self.address.is_far() {
            true => self.pace.count(bytes),
            false => self.pace.pass_blocking(bytes),
        }
    }
}

/// Borg's own limit is one for a run and in KiB a second: each run has its share.
fn ratelimit(repo: &Repo) -> Option<String> {
    let rate = repo.pace.rate().filter(|_| repo.address.is_far())?;
    Some(format!("--upload-ratelimit={}", (rate / u64::from(repo.shares.max(1)) / 1024).max(1)))
}

fn over(tally: &Arc<Tally>) -> Over {
    let tally = tally.clone();
    Arc::new(move || tally.is_over())
}

/// Borg's chunker for pieces of one size cannot read pipes. The one that looks at content, told that
/// size for its middle, finds unchanged pages as well.
fn chunker(chunking: Chunking) -> String {
    match chunking {
        Chunking::Fixed(bytes) => {
            let middle = bytes.max(1 << 14).ilog2().min(21);
            format!("{},{},{middle},4095", middle - 1, middle + 2)
        }
        _ => "19,23,21,4095".into(),
    }
}

struct Feed<'a> {
    repo: &'a Repo,
    tree: PathBuf,
    line: &'a Line,
    tally: &'a Arc<Tally>,
    paths: Writer,
    files: Vec<Listed>,
    links: Vec<(PathBuf, PathBuf)>,
}

/// As many characters as Borg asks for at once, the delimiter among them.
const BLOCK: usize = 4096;
const LONGEST: usize = 3500;
const OUR_MODE: u32 = 0o600;

impl<'a> Feed<'a> {
    fn open(room: &Room, line: &'a Line, tally: &'a Arc<Tally>, repo: &'a Repo) -> Result<Self> {
        let tree = room.tree();
        let paths = Writer::open(&tree.with_file_name("paths"), line).map_err(broken)?;
        Ok(Feed { repo, tree, line, tally, paths, files: Vec::new(), links: Vec::new() })
    }

    fn run(mut self, label: SnapshotLabel, source: Box<dyn Source>) -> Result<Fed> {
        match self.all(label, source) {
            Ok(record) => Ok(Fed { record, files: self.files }),
            Err(e) => {
                self.line.keep(self.paths);
                Err(e)
            }
        }
    }

    fn all(&mut self, label: SnapshotLabel, mut source: Box<dyn Source>) -> Result<Record> {
        let mut order = Order::default();
        while let Some(entry) = source.next() {
            let entry = entry?;
            order.admit(&entry)?;
            self.tally.verdict()?;
            self.entry(entry)?;
        }
        self.tally.verdict()?;
        let facts = source.finish()?;
        self.tally.verdict()?;
        let (data_bytes, files) = (self.tally.bytes(), self.tally.files());
        let record = Record { version: 1, label, facts, data_bytes, files, checks: self.tally.checks() };
        let at = record.label.created_at;
        self.own(record::LIST, &record::to_lines(&self.files)?, at)?;
        self.own(record::NAME, &record.to_json()?, at)?;
        for (path, target) in std::mem::take(&mut self.links) {
            self.link(&path, &target)?;
        }
        Ok(record)
    }

    fn entry(&mut self, entry: Entry) -> Result<()> {
        let (path, mode) = (entry.path, entry.mode & 0o7777);
        plain(&path)?;
        let (kind, sha256) = match entry.kind {
            EntryKind::Dir => {
                self.make_dir(&path, Some(mode))?;
                self.say(&path)?;
                (SnapshotEntryKind::Dir, None)
            }
            EntryKind::Symlink { target } => {
                self.tally.count_link();
                self.links.push((path.clone(), target.clone()));
                (SnapshotEntryKind::Symlink { target }, None)
            }
            EntryKind::File { may_vanish, open, .. } => {
                let pending = Pending { path: path.clone(), may_vanish, open, kept: 0, ticket: Ticket::new(self.tally) };
                let Some(mut reader) = pending.open().map_err(|e| self.tally.verdict().err().unwrap_or_else(|| e.into()))? else {
                    return Ok(());
                };
                let (size, sha256) = self.file(&path, mode, &mut reader)?;
                (SnapshotEntryKind::File { size }, Some(sha256))
            }
        };
        self.files.push(Listed { entry: SnapshotEntry { path, mode, mtime: entry.mtime, kind }, sha256 });
        Ok(())
    }

    fn own(&mut self, name: &str, content: &[u8], mtime: Time) -> Result<()> {
        let (size, sha256) = self.file(Path::new(name), OUR_MODE, &mut &content[..])?;
        let entry = SnapshotEntry { path: name.into(), mode: OUR_MODE, mtime, kind: SnapshotEntryKind::File { size } };
        self.files.push(Listed { entry, sha256: Some(sha256) });
        Ok(())
    }

    /// We and Borg must get into it; the true mode is in our list.
    fn make_dir(&self, path: &Path, mode: Option<u32>) -> Result<()> {
        let full = self.tree.join(path);
        private_dir(&full)?;
        let set = |mode: u32| fs::set_permissions(&full, Permissions::from_mode(mode & 0o777 | 0o700));
        mode.map_or(Ok(()), set).map_err(|e| io_trouble("making", &full, &e))
    }

    /// Its size and hash. The pipe is gone afterwards.
    fn file(&mut self, path: &Path, mode: u32, reader: &mut dyn Read) -> Result<(u64, String)> {
        if let Some(parent) = path.parent() {
            self.make_dir(parent, None)?;
        }
        let full = self.tree.join(path);
        pipe::make(&full, mode & 0o777 | 0o600).map_err(|e| io_trouble("making", &full, &e))?;
        self.say(path)?;
        let mut out = Writer::open(&full, self.line).map_err(broken)?;
        let (mut size, mut hash, mut block) = (0, Sha256::new(), vec![0; 256 << 10]);
        loop {
            let read = match reader.read(&mut block) {
                Ok(0) => break,
                Ok(read) => read,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(self.tally.verdict().err().unwrap_or_else(|| e.into())),
            };
            hash.update(&block[..read]);
            self.repo.passes(read);
            out.write_all(&block[..read]).map_err(broken)?;
            size += read as u64;
        }
        drop(out);
        fs::remove_file(&full).map_err(|e| io_trouble("removing", &full, &e))?;
        Ok((size, hex::encode(hash.finalize())))
    }

    fn link(&mut self, path: &Path, target: &Path) -> Result<()> {
        if let Some(parent) = path.parent() {
            self.make_dir(parent, None)?;
        }
        let full = self.tree.join(path);
        symlink(target, &full).map_err(|e| io_trouble("making", &full, &e))?;
        let kind = fs::metadata(&full).map(|m| m.file_type());
        if kind.is_ok_and(|t| t.is_fifo() || t.is_char_device() || t.is_block_device()) {
            let why = format!("\"{}\" is a link to a device or a pipe, which Borg would read without end", path.display());
            return Err(Error::failed("source_invalid", why));
        }
        self.say(path)
    }

    fn say(&mut self, path: &Path) -> Result<()> {
        self.paths.write_all(padded(plain(path)?).as_bytes()).map_err(broken)
    }
}

/// Borg is told paths as text, and turns carriage returns into something else.
fn plain(path: &Path) -> Result<&str> {
    let text = path.to_str().filter(|t| !t.chars().any(char::is_control) && t.len() <= LONGEST);
    let why = || {
        format!(
            "the source offers \"{}\": a Borg repository takes paths in UTF-8 of at most {LONGEST} bytes, without control characters",
            path.display()
        )
    };
    text.ok_or_else(|| Error::failed("source_invalid", why()))
}

fn padded(path: &str) -> String {
    let missing = BLOCK - 1 - path.chars().count();
    let slash = if missing % 2 == 1 { "/" } else { "" };
    format!("{}{slash}{path}\0", "./".repeat(missing / 2))
}

/// Reads the whole archive out of the repository again and holds every file against what was fed.
async fn read_back(repo: &Repo, archive: &str, fed: &Fed, progress: &Progress, tally: &Arc<Tally>) -> Result<Check> {
    progress.say("reading back");
    let (count, bytes) = read::compare(repo, archive, fed.files.clone(), progress, (Lane::Write, over(tally))).await?;
    let detail = format!("{count} files, {bytes} bytes, read back through borg and equal to what was fed, hash by hash");
    Ok(Check::new("read_back", true, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_fills_a_block_and_stays_itself() {
        for path in ["a", "ab", "a/ü", "a-b/with space", "x".repeat(LONGEST).as_str()] {
            let block = padded(path);
            assert_eq!(block.chars().count(), BLOCK, "{path}");
            assert!(block.starts_with("./"), "an absolute path would leave the tree");
            let normal: PathBuf = Path::new(block.trim_end_matches('\0')).components().filter(|c| c.as_os_str() != ".").collect();
            assert_eq!(normal, Path::new(path));
        }
    }

    #[test]
    fn paths_that_borg_would_change_are_refused() {
        for bad in ["a\rb", "a\nb", "a\0b", "x".repeat(LONGEST + 1).as_str()] {
            assert!(plain(Path::new(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn chunks_are_of_a_size_that_borg_takes() {
        for (bytes, said) in
            [(8 << 10, "13,16,14,4095"), (64 << 10, "15,18,16,4095"), (1 << 20, "19,22,20,4095"), (64 << 20, "20,23,21,4095")]
        {
            assert_eq!(chunker(Chunking::Fixed(bytes)), said);
        }
    }
}
