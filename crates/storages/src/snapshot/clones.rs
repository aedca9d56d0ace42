//! Keeping files by sharing their blocks.

use super::shelf::Staging;
use crate::{
    place::local::trouble,
    source::{Tally, plain},
};
use mainstay_drivers::storage::Keeper;
use mainstay_model::{Error, Kind, Result};
use rustix::{fs::ioctl_ficlone, io::Errno};
use std::{
    collections::HashSet,
    fs::{DirBuilder, File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The files of one snapshot that were kept and did not come as entries yet.
pub struct Clones {
    files: PathBuf,
    tally: Arc<Tally>,
    /// `None` when the snapshot takes no more.
    kept: Mutex<Option<HashSet<PathBuf>>>,
}

impl Clones {
    pub fn new(staging: &Staging, tally: &Arc<Tally>) -> Arc<Self> {
        Arc::new(Clones { files: staging.files(), tally: tally.clone(), kept: Mutex::new(Some(HashSet::new())) })
    }

    fn kept(&self) -> MutexGuard<'_, Option<HashSet<PathBuf>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this file is there already.
    pub fn take(&self, path: &Path) -> bool {
        self.kept().as_mut().is_some_and(|kept| kept.remove(path))
    }

    /// Returns when nothing can be kept any more: the directory may go. What was kept and never came
    /// as an entry is in no list and must not be in the snapshot.
    pub fn close(&self) -> Result<()> {
        match self.kept().take().unwrap_or_default().into_iter().next() {
            None => Ok(()),
            Some(path) => Err(Error::integrity(format!("{} was opened for the backup and did not come with it", path.display()))),
        }
    }

    fn share(&self, path: &Path, file: &File, size: u64) -> Result<File> {
        plain(path).map_err(|why| Error::failed("source_invalid", format!("the source opens \"{}\": {why}", path.display())))?;
        let at = self.files.join(path);
        let named = |e| trouble("keeping", &at, e);
        let copy = new_file(&self.files, path).map_err(named)?;
        ioctl_ficlone(&copy, file).map_err(|e| unshared(&at, e))?;
        copy.set_len(size).map_err(named)?;
        Ok(copy)
    }
}

impl Keeper for Clones {
    fn keep(&self, path: &Path, file: File, size: u64) -> File {
        let mut kept = self.kept();
        let Some(open) = kept.as_mut().filter(|_| !self.tally.is_over()) else { return file };
        match self.share(path, &file, size) {
            Ok(copy) => {
                open.insert(path.to_owned());
                copy
            }
            Err(e) => {
                self.tally.fail(e);
                file
            }
        }
    }
}

/// A file that was not there, with the directories on its way.
pub fn new_file(root: &Path, path: &Path) -> io::Result<File> {
    let at = root.join(path);
    let open = || OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&at);
    match open() {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(at.parent().unwrap_or(root))?;
            open()
        }
        other => other,
    }
}

/// Why blocks are not shared, and what to do about it.
fn unshared(at: &Path, e: Errno) -> Error {
    let shown = at.display();
    let why = match e {
        Errno::NOSPC | Errno::DQUOT => {
            return Error::new(Kind::NoSpace, "no_space", format!("keeping {shown}: no space left there; free some"));
        }
        Errno::XDEV => "the database's files lie in another file system; add a snapshot storage in theirs".to_owned(),
        Errno::OPNOTSUPP | Errno::NOTTY | Errno::NOSYS => {
            "the file system cannot share blocks between files; Btrfs, and XFS made with reflink, can".to_owned()
        }
        Errno::INVAL => {
            "the file system does not share these blocks; on Btrfs both directories must be copy-on-write or both not (chattr C)".to_owned()
        }
        other => other.to_string(),
    };
    Error::failed("not_shared", format!("keeping {shown}: {why}"))
}
