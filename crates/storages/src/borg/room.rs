//! A private directory for one run of Borg: its pipes, the key it logs in with, and the empty tree
//! that a backup is fed through. It is gone when nobody uses it any more; what a crash left is
//! removed at the next start.

use super::{address::Address, pipe};
use mainstay_model::{Error, Result, Secret};
use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

pub struct Room {
    path: PathBuf,
    /// How ssh gets to the repository, where it is needed.
    pub login: Option<Vec<String>>,
}

pub fn private_dir(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| trouble("making", path, &e))
}

pub fn trouble(doing: &str, path: &Path, e: &io::Error) -> Error {
    Error::failed("borg_room", format!("{doing} {}: {e}", path.display()))
}

impl Room {
    /// In `runs`, with what is needed to log in there.
    pub fn open(runs: &Path, address: &Address, login: Option<&Secret>) -> Result<Room> {
        let room = Room { path: runs.join(format!("{:016x}", rand::random::<u64>())), login: address.login() };
        private_dir(&room.tree())?;
        if let Some(known) = address.known_host() {
            let key = login.ok_or_else(|| {
                Error::invalid("ssh_key", "a repository over ssh needs a private key to log in with; give one with --ssh-key-file")
            })?;
            room.write("known_hosts", known.as_bytes())?;
            // ssh refuses a key file whose last line is not ended.
            room.write("key", format!("{}\n", key.reveal().trim()).as_bytes())?;
        }
        Ok(room)
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        let open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        open.and_then(|mut file| file.write_all(content)).map_err(|e| trouble("writing", &path, &e))
    }

    /// Where Borg runs, and its pipes are one level above: `../paths`.
    pub fn tree(&self) -> PathBuf {
        self.path.join("tree")
    }

    /// What Borg left under a name, `../name` to it.
    pub fn read(&self, name: &str) -> Result<String> {
        let path = self.path.join(name);
        fs::read_to_string(&path).map_err(|e| trouble("reading", &path, &e))
    }

    pub fn pipe(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        pipe::make(&path, 0o600).map_err(|e| trouble("making", &path, &e))?;
        Ok(path)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Err(e) = fs::remove_dir_all(&self.path) {
            tracing::warn!("{} was not removed: {e}", self.path.display());
        }
    }
}
