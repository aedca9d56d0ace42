//! Large uploads under way, noted on our own disk before each begins.
//!
//! A process that is killed in the middle of one leaves parts behind that no list of objects shows and
//! that are paid for. What it was writing is encrypted anew by whoever does the work again, so its parts are
//! of no use to anybody: whoever comes after it finds the note, takes the upload back, and looks that nothing
//! of it is left. The name is noted and not the upload's id, because between the server's giving one and our
//! noting it we may be killed too.

use crate::place::local::{make_dir, sync_dir, trouble};
use mainstay_model::{Result, StorageId};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

/// All notes of one process.
#[derive(Debug, Clone)]
pub struct Notes {
    dir: PathBuf,
    /// Tells its notes from those of processes before it.
    me: Arc<str>,
}

impl Notes {
    /// `dir` is used by one process at a time.
    pub fn new(dir: PathBuf) -> Self {
        Notes { dir, me: format!("{:016x}", rand::random::<u64>()).into() }
    }

    pub fn of(&self, storage: &StorageId) -> Begun {
        Begun { dir: self.dir.join(storage.as_str()), me: self.me.clone() }
    }
}

/// Those of one storage.
#[derive(Debug)]
pub struct Begun {
    dir: PathBuf,
    me: Arc<str>,
}

/// How the notes begin whose upload ended without being seen to be gone: as if left by another process.
const LEFT: &str = "left";

impl Begun {
    /// To be called before the upload of `key` begins. Without a note none does.
    pub fn note(&self, key: &str) -> Result<Note> {
        make_dir(&self.dir)?;
        let path = self.dir.join(format!("{}-{}", self.me, hex::encode(&Sha256::digest(key)[..16])));
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(key.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|e| trouble("noting an upload in", &path, e))?;
        sync_dir(&self.dir)?;
        Ok(Note { path })
    }

    /// What processes before this one were in the middle of, and what could not be taken back.
    pub fn left(&self) -> Vec<(Note, String)> {
        let Ok(entries) = fs::read_dir(&self.dir) else { return vec![] };
        let mine = |path: &Path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&*self.me));
        let paths = entries.flatten().map(|e| e.path()).filter(|path| !mine(path));
        paths.filter_map(|path| Some((path.clone(), fs::read_to_string(&path).ok()?))).map(|(path, key)| (Note { path }, key)).collect()
    }
}

/// One upload.
#[derive(Debug)]
pub struct Note {
    path: PathBuf,
}

impl Note {
    /// Nothing of it is left.
    pub fn done(self) {
        let _ = fs::remove_file(&self.path);
    }

    /// Something of it may be: whoever looks next sees to it.
    pub fn undone(self) {
        let name = self.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let rest = name.split_once('-').map_or("", |(_, rest)| rest);
        let _ = fs::rename(&self.path, self.path.with_file_name(format!("{LEFT}-{rest}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_process_was_in_the_middle_of_is_found_and_ones_own_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let storage = StorageId::new();
        let open = || Notes::new(dir.path().join("uploads")).of(&storage);
        let first = open();
        assert!(first.left().is_empty());
        let (a, b, c) = (first.note("p/a").unwrap(), first.note("p/b").unwrap(), first.note("p/c").unwrap());
        assert!(first.left().is_empty(), "they are under way");
        a.done();
        b.undone();
        let keys = |begun: &Begun| begun.left().into_iter().map(|(_, key)| key).collect::<Vec<_>>();
        assert_eq!(keys(&first), ["p/b"]);
        drop(c);
        let second = open();
        let mut all = keys(&second);
        all.sort();
        assert_eq!(all, ["p/b", "p/c"]);
        second.left().into_iter().for_each(|(note, _)| note.done());
        assert!(second.left().is_empty() && open().left().is_empty());
        assert!(Notes::new(dir.path().join("uploads")).of(&StorageId::new()).left().is_empty(), "of another storage");
    }
}
