//! The data directory: who holds it, the key in it, and where its sockets are.

use mainstay_model::{Error, Kind, Result};
use mainstay_store::Sealer;
use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// `$XDG_DATA_HOME/mainstay`, as root `/var/lib/mainstay`.
pub fn default_path() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return "/var/lib/mainstay".into();
    }
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/".into())).join(".local/share");
    std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|p| p.is_absolute()).unwrap_or_else(home).join("mainstay")
}

/// Made where it is missing: the top can be passed through by engine users, and read by nobody.
pub fn prepare(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o755).create(&absolute).and_then(|()| set_mode(&absolute, 0o711));
    made.map_err(|e| Error::failed("data_dir", format!("the data directory {} cannot be made or entered: {e}", absolute.display())))?;
    Ok(absolute.canonicalize()?)
}

fn set_mode(path: &Path, mode: u32) -> std::io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

/// Held for as long as the process lives; the kernel gives it back however the process ends.
pub struct Lock(#[allow(dead_code, reason = "held, not read")] File);

pub fn lock_path(data_dir: &Path) -> PathBuf {
    data_dir.join("lock")
}

impl Lock {
    pub fn take(data_dir: &Path) -> Result<Lock> {
        let path = lock_path(data_dir);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let pid = holder(data_dir).map_or("another process".into(), |p| format!("process {p}"));
            let why = format!(
                "the data directory {} is in use by {pid}; stop it with `mainstay down`, or name another --data-dir",
                data_dir.display()
            );
            return Err(Error::conflict("data_dir_locked", why));
        }
        file.set_len(0)?;
        write!(file, "{}", std::process::id())?;
        file.sync_all()?;
        Ok(Lock(file))
    }
}

/// The pid that holds the lock, if one does.
pub fn holder(data_dir: &Path) -> Option<i32> {
    let mut file = File::open(lock_path(data_dir)).ok()?;
    if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
        return None;
    }
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok().filter(|p| *p > 1)
}

/// The key that seals secrets: 32 random bytes nobody else may read. A damaged or missing key next
/// to an existing store is refused: without it the secrets in there are gone, and a new one would
/// hide that.
pub fn sealer(data_dir: &Path) -> Result<Sealer> {
    let path = data_dir.join("key");
    match std::fs::read(&path) {
        Ok(bytes) => {
            let mode = std::fs::metadata(&path)?.mode() & 0o777;
            if mode & 0o077 != 0 {
                let why = format!("{} can be read by others (mode {mode:o}); mend it with: chmod 600 {}", path.display(), path.display());
                return Err(Error::failed("key_exposed", why));
            }
            let key: [u8; 32] = bytes.try_into().map_err(|_| {
                Error::failed("key_damaged", format!("{} is not a key of 32 bytes; put back the one from your backup", path.display()))
            })?;
            Ok(Sealer::from_key(key))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => new_key(data_dir, &path),
        Err(e) => Err(e.into()),
    }
}

fn new_key(data_dir: &Path, path: &Path) -> Result<Sealer> {
    if data_dir.join("mainstay.db").exists() {
        let why =
            format!("{} is missing and the secrets in the store cannot be read without it; put it back from your backup", path.display());
        return Err(Error::failed("key_missing", why));
    }
    let sealer = Sealer::generate()?;
    write_secret(path, sealer.reveal_key())?;
    Ok(sealer)
}

/// Mode 0600 from the first moment, whole or not at all.
pub fn write_secret(path: &Path, content: &[u8]) -> Result<()> {
    let tmp = path.with_extension("new");
    let _ = std::fs::remove_file(&tmp);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&tmp)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&tmp, path)?;
    let parent = path.parent().ok_or_else(|| Error::new(Kind::Internal, "internal", "a file without a directory"))?;
    File::open(parent)?.sync_all()?;
    Ok(())
}

/// Short, private to this installation's user, and empty after a reboot.
pub fn sockets_root() -> Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok("/run/mainstay".into());
    }
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|p| p.is_absolute()) {
        Some(dir) => Ok(dir.join("mainstay")),
        None => Ok(std::env::temp_dir().join(format!("mainstay-{}", rustix::process::geteuid().as_raw()))),
    }
}

/// A Unix socket's path fits in 107 bytes: where the one in the data directory does not, a short
/// one below the sockets' root takes its place.
pub fn socket(data_dir: &Path, name: &str) -> Result<PathBuf> {
    let wanted = data_dir.join("agent").join(name);
    if wanted.as_os_str().len() <= 90 {
        return Ok(wanted);
    }
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut h = DefaultHasher::new();
    data_dir.hash(&mut h);
    let dir = sockets_root()?.join(format!("{:016x}", h.finish()));
    std::fs::DirBuilder::new().recursive(true).mode(0o711).create(&dir)?;
    set_mode(&dir, 0o711)?;
    Ok(dir.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("mainstay-data-dir-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        prepare(&dir).unwrap()
    }

    #[test]
    fn a_lock_is_taken_once_and_names_its_holder() {
        let dir = scratch("lock");
        let lock = Lock::take(&dir).unwrap();
        assert_eq!(holder(&dir), Some(std::process::id() as i32));
        let e = Lock::take(&dir).err().unwrap();
        assert!(e.kind == Kind::Conflict && e.message.contains(&std::process::id().to_string()), "{e}");
        drop(lock);
        assert_eq!(holder(&dir), None);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_key_is_kept_and_a_bad_one_refused() {
        let dir = scratch("key");
        let first = *sealer(&dir).unwrap().reveal_key();
        assert_eq!(*sealer(&dir).unwrap().reveal_key(), first);
        set_mode(&dir.join("key"), 0o644).unwrap();
        assert_eq!(sealer(&dir).err().unwrap().code, "key_exposed");
        set_mode(&dir.join("key"), 0o600).unwrap();
        std::fs::write(dir.join("key"), b"short").unwrap();
        assert_eq!(sealer(&dir).err().unwrap().code, "key_damaged");
        std::fs::remove_file(dir.join("key")).unwrap();
        std::fs::write(dir.join("mainstay.db"), b"").unwrap();
        assert_eq!(sealer(&dir).err().unwrap().code, "key_missing");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn long_paths_get_a_short_socket() {
        let long = PathBuf::from(format!("/{}", "d".repeat(120)));
        assert!(socket(&long, "agent.sock").unwrap().as_os_str().len() <= 90);
    }
}
