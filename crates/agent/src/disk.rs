//! Small files that must survive a power cut, and work that would block the async threads.

use mainstay_model::{Error, Result};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Runs `work` where blocking is allowed.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Error::internal(format!("blocking work ended early: {e}")))?
}

/// Makes a directory of the agent's own with exactly this mode, whatever the umask, or finds it
/// there and leaves it as its owner has it.
pub(crate) fn own_dir(path: &Path, mode: u32) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let make = || {
        DirBuilder::new().recursive(true).mode(mode).create(path)?;
        std::fs::set_permissions(path, Permissions::from_mode(mode))
    };
    make().map_err(|e| at(path, e))
}

/// Replaces a file of the agent's own: never half written, and there after a power cut.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let bytes = serde_json::to_vec_pretty(value).map_err(Error::internal)?;
    let tmp = path.with_extension("new");
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&tmp)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&tmp, path)?;
        sync_parent(path)
    };
    write().map_err(|e| at(path, e))
}

/// The file's content, or `None` where there is no file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => {
            let damaged = |e| Error::integrity(format!("{} is damaged and does not read", path.display())).with_inside(e);
            serde_json::from_slice(&bytes).map(Some).map_err(damaged)
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(at(path, e)),
    }
}

/// Removes a file durably. An absent one is done.
pub(crate) fn remove_file(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Ok(()) => sync_parent(path).map_err(|e| at(path, e)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(at(path, e)),
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// An I/O error that names its place.
pub(crate) fn at(path: &Path, e: io::Error) -> Error {
    Error::from(e).context(path.display())
}
