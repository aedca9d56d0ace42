//! The directories of nodes, and the only code that removes or renames anything in them.
//!
//! A node's root belongs to the engine's user, whom a stolen database may command: nothing below it
//! is trusted. Every step is taken relative to an opened directory, one plain name at a time and
//! through no symbolic link; what is removed is first renamed away into a directory of the agent's
//! own, so that an interrupted removal never leaves half a database under a name that means a whole.
//!
//! Each root carries an identity file. A root without it, or with another's, or whose data is gone,
//! is a volume that was not mounted or was mounted elsewhere: it is refused, never filled anew.

use crate::{
    disk::{at, own_dir},
    owner::Owner,
};
use mainstay_drivers::engine::{NodePlan, Paths};
use mainstay_model::{ClusterId, Error, NodeId, Result};
use rustix::{
    fs::{AtFlags, Mode, OFlags, RenameFlags},
    io::Errno,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

pub(crate) const DATA: &str = "data";
/// Where logs are taken over, a directory for each cluster.
const SPOOLS: &str = "logs";
const RESERVED: [&str; 3] = [DATA, "run", "log"];
const IDENTITY: &str = "identity.json";
/// Unix sockets have room for 107 bytes; 90 leave it to engines to add something.
const SOCKET_PATH_BYTES: usize = 90;
/// The longest name an engine gives its socket: `.s.PGSQL.65535`.
const SOCKET_NAME_BYTES: usize = 14;
const PRIVATE: Mode = Mode::RWXU;
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The name of a directory beside `data`: one plain name, never a path, never one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label(String);

impl Label {
    pub fn parse(text: &str) -> Result<Label> {
        let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(b);
        let first = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let fits = (1..=81).contains(&text.len()) && text.as_bytes().first().is_some_and(first) && text.bytes().all(|b| inner(&b));
        if !fits || RESERVED.contains(&text) || text.starts_with(IDENTITY) {
            let shown = mainstay_model::error::shown(text);
            let sentence = format!("\"{shown}\" cannot name a directory beside the data: use lower-case letters, digits, dots and dashes");
            return Err(Error::invalid("label", sentence).with_code("invalid_label"));
        }
        Ok(Label(text.into()))
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What stands under a name in a node's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stands {
    Nothing,
    /// A directory with nothing in it (or only what a fresh file system brings).
    Empty,
    Filled,
}

/// Says whose root this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    node: NodeId,
    cluster: ClusterId,
    engine: String,
    version: String,
    installation: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Volumes {
    data_dir: PathBuf,
    sockets_root: PathBuf,
    installation: String,
}

/// A node's root, opened: what happens through it happens in that directory, whatever its path
/// means by now.
pub(crate) struct Root {
    fd: OwnedFd,
    path: PathBuf,
    bin: PathBuf,
}

impl Volumes {
    pub fn open(data_dir: PathBuf, sockets_root: PathBuf, installation: String) -> Result<Volumes> {
        for (dir, mode) in [
            (&data_dir, 0o711),
            (&data_dir.join("nodes"), 0o711),
            (&data_dir.join(SPOOLS), 0o711),
            (&data_dir.join("tmp"), 0o700),
            (&sockets_root, 0o711),
        ] {
            own_dir(dir, mode)?;
        }
        Ok(Volumes { data_dir, sockets_root, installation })
    }

    pub fn root_path(&self, node: &NodeId) -> PathBuf {
        self.data_dir.join("nodes").join(node.as_str())
    }

    /// Where a served node lives.
    pub fn served(&self, node: &NodeId) -> Paths {
        let root = self.root_path(node);
        Paths { data: root.join(DATA), run: root.join("run"), log: root.join("log"), sockets: self.sockets(node.as_str()), root }
    }

    /// Where an instance lives that runs on the directory `label` beside the live one. It shares
    /// no file with it.
    pub fn beside(&self, node: &NodeId, label: &Label) -> Paths {
        let served = self.served(node);
        let own = format!("beside-{}", label.as_str());
        Paths {
            data: served.root.join(label.as_str()),
            run: served.run.join(&own),
            log: served.log.join(&own),
            sockets: self.sockets(&format!("{node}.{}", label.as_str())),
            root: served.root,
        }
    }

    /// Short whatever the data directory is called, and another for every data directory.
    fn sockets(&self, name: &str) -> PathBuf {
        let mut hash = Sha256::new();
        hash.update(self.data_dir.as_os_str().as_encoded_bytes());
        hash.update([0]);
        hash.update(name);
        self.sockets_root.join(&hex::encode(hash.finalize())[..12])
    }

    /// Opens the root of a node, or `None` where it has none.
    pub fn root(&self, node: &NodeId) -> Result<Option<Root>> {
        let path = self.root_path(node);
        let nodes = rustix::fs::open(self.data_dir.join("nodes"), DIRECTORY, Mode::empty()).map_err(|e| at(&path, e.into()))?;
        match rustix::fs::openat(&nodes, node.as_str(), DIRECTORY, Mode::empty()) {
            Ok(fd) => Ok(Some(Root { fd, path, bin: self.data_dir.join("tmp") })),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(at(&path, e.into())),
        }
    }

    /// The directory of all spools, opened.
    pub fn spools(&self) -> Result<Root> {
        let path = self.data_dir.join(SPOOLS);
        let fd = rustix::fs::open(&path, DIRECTORY, Mode::empty()).map_err(|e| at(&path, e.into()))?;
        Ok(Root { fd, path, bin: self.data_dir.join("tmp") })
    }

    /// The root of a node that must be there and must be this one's.
    pub fn own_root(&self, plan: &NodePlan) -> Result<Root> {
        let missing = || self.refused(plan, "it is not there; mount the volume that holds it");
        let root = self.root(&plan.id)?.ok_or_else(missing)?;
        self.identify(&root, plan)?;
        Ok(root)
    }

    /// Makes what is missing of a node's directories, once it is sure whose they are.
    /// `initialised` nodes have their data already: where it is gone, this fails.
    pub fn prepare(&self, plan: &NodePlan, owner: Option<&Owner>, initialised: bool) -> Result<()> {
        if let Some(owner) = owner {
            owner.reaches(&self.data_dir.join("nodes"))?;
            owner.reaches(&self.sockets_root)?;
        }
        let root = self.claim(plan, owner, initialised)?;
        root.ensure_dir("run", owner)?;
        root.ensure_dir("log", owner)?;
        if initialised {
            self.data_is_there(&root, plan)?;
        } else {
            root.ensure_dir(DATA, owner)?;
        }
        self.prepare_sockets(&self.served(&plan.id).sockets, owner)
    }

    /// The directories of an instance beside the live one; `data` itself is made by who fills it.
    pub fn prepare_beside(&self, plan: &NodePlan, label: &Label, owner: Option<&Owner>) -> Result<Paths> {
        let paths = self.beside(&plan.id, label);
        let root = self.own_root(plan)?;
        let own = format!("beside-{}", label.as_str());
        for parent in ["run", "log"] {
            root.ensure_dir(parent, owner)?;
            make_dir(&root.open(parent)?, &own, owner).map_err(|e| at(&paths.run, e))?;
        }
        self.prepare_sockets(&paths.sockets, owner)?;
        Ok(paths)
    }

    /// Removes what [`Volumes::prepare_beside`] made.
    pub fn drop_beside(&self, node: &NodeId, label: &Label) -> Result<()> {
        let paths = self.beside(node, label);
        if let Some(root) = self.root(node)? {
            let own = format!("beside-{}", label.as_str());
            for parent in ["run", "log"] {
                if root.stands(parent)? != Stands::Nothing {
                    Root { fd: root.open(parent)?, path: root.path.join(parent), bin: root.bin.clone() }.discard(&own)?;
                }
            }
        }
        remove_tree(&paths.sockets)
    }

    fn claim(&self, plan: &NodePlan, owner: Option<&Owner>, initialised: bool) -> Result<Root> {
        if let Some(root) = self.root(&plan.id)? {
            match root.read_identity()? {
                Some(_) => self.identify(&root, plan)?,
                None if initialised => return Err(self.refused(plan, "its identity file is missing; mount the volume that holds it")),
                None if root.stands(DATA)? == Stands::Filled => {
                    return Err(self.refused(plan, "it holds data and no identity file says whose; move it away"));
                }
                None => root.write_identity(&self.identity(plan))?,
            }
            return Ok(root);
        }
        if initialised {
            return Err(self.refused(plan, "it is not there; mount the volume that holds it"));
        }
        let path = self.root_path(&plan.id);
        let nodes = rustix::fs::open(self.data_dir.join("nodes"), DIRECTORY, Mode::empty()).map_err(|e| at(&path, e.into()))?;
        let fd = make_dir(&nodes, plan.id.as_str(), owner).map_err(|e| at(&path, e))?;
        let root = Root { fd, path, bin: self.data_dir.join("tmp") };
        root.write_identity(&self.identity(plan))?;
        rustix::fs::fsync(&nodes).map_err(|e| at(&root.path, e.into()))?;
        Ok(root)
    }

    fn identity(&self, plan: &NodePlan) -> Identity {
        Identity {
            node: plan.id.clone(),
            cluster: plan.cluster.clone(),
            engine: plan.engine.clone(),
            version: plan.version.clone(),
            installation: self.installation.clone(),
        }
    }

    /// Whether the root says that it is this node's. Versions change with upgrades; the rest never.
    fn identify(&self, root: &Root, plan: &NodePlan) -> Result<()> {
        let wanted = self.identity(plan);
        match root.read_identity()? {
            Some(found) if (Identity { version: wanted.version.clone(), ..found.clone() }) == wanted => Ok(()),
            Some(found) => {
                let whose = format!("its identity file says node {} of cluster {} ({})", found.node, found.cluster, found.engine);
                Err(self.refused(
                    plan,
                    &format!("{whose}, of installation {}; move it away", mainstay_model::error::shown(&found.installation)),
                ))
            }
            None => Err(self.refused(plan, "its identity file is missing; mount the volume that holds it")),
        }
    }

    /// Fails where a complete database was and is no more.
    pub fn data_is_there(&self, root: &Root, plan: &NodePlan) -> Result<()> {
        match root.stands(DATA)? {
            Stands::Filled => Ok(()),
            Stands::Nothing | Stands::Empty => {
                let sentence = format!(
                    "the data of {} is gone: {} is empty. It was there; mount the volume that holds it, or restore a backup",
                    plan.name,
                    root.path.join(DATA).display()
                );
                Err(Error::integrity(sentence).with_code("data_missing"))
            }
        }
    }

    fn refused(&self, plan: &NodePlan, why: &str) -> Error {
        let place = self.root_path(&plan.id);
        Error::integrity(format!("{} is not the directory of {}: {why}", place.display(), plan.name)).with_code("foreign_directory")
    }

    fn prepare_sockets(&self, dir: &Path, owner: Option<&Owner>) -> Result<()> {
        let bytes = dir.as_os_str().len() + 1 + SOCKET_NAME_BYTES;
        if bytes > SOCKET_PATH_BYTES {
            let sentence = format!("sockets in {} would have names of {bytes} bytes, {SOCKET_PATH_BYTES} fit", dir.display());
            return Err(Error::failed("sockets_path_too_long", format!("{sentence}; choose a shorter XDG_RUNTIME_DIR")));
        }
        // It lies on a file system that is empty after a reboot.
        own_dir(&self.sockets_root, 0o711)?;
        let parent = rustix::fs::open(&self.sockets_root, DIRECTORY, Mode::empty()).map_err(|e| at(&self.sockets_root, e.into()))?;
        let name = dir.file_name().unwrap_or_default();
        make_dir(&parent, name, owner).map(drop).map_err(|e| at(dir, e))
    }

    /// Removes everything of a node. A directory that is not known to be this node's stays.
    pub fn remove(&self, node: &NodeId, plan: Option<&NodePlan>) -> Result<()> {
        remove_tree(&self.sockets(node.as_str()))?;
        let Some(root) = self.root(node)? else { return Ok(()) };
        let ours = match root.read_identity()? {
            Some(found) => found.node == *node && found.installation == self.installation,
            // Without an identity file only a root that was never filled is one we were just making.
            None => plan.is_some() && root.stands(DATA)? != Stands::Filled,
        };
        if !ours {
            let place = root.path.display();
            let sentence = format!("{place} is not removed: its identity file is missing or another's; look at it and remove it yourself");
            return Err(Error::integrity(sentence).with_code("foreign_directory"));
        }
        let nodes = self.data_dir.join("nodes");
        let parent = rustix::fs::open(&nodes, DIRECTORY, Mode::empty()).map_err(|e| at(&nodes, e.into()))?;
        Root { fd: parent, path: nodes, bin: self.data_dir.join("tmp") }.discard(node.as_str())
    }

    /// Removals that a crash interrupted.
    pub fn remnants(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.data_dir.join("tmp")).into_iter().flatten().flatten();
        entries.filter(|e| e.file_name().as_encoded_bytes().starts_with(REMOVED.as_bytes())).map(|e| e.path()).collect()
    }
}

const REMOVED: &str = "removed-";

impl Root {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What stands under `name`. Anything but a directory is refused.
    pub fn stands(&self, name: &str) -> Result<Stands> {
        let fd = match rustix::fs::openat(&self.fd, name, DIRECTORY, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(Stands::Nothing),
            Err(e) => return Err(self.at(name, e)),
        };
        for entry in rustix::fs::Dir::new(fd).map_err(|e| self.at(name, e))? {
            let entry = entry.map_err(|e| self.at(name, e))?;
            if ![b".".as_slice(), b"..", b"lost+found"].contains(&entry.file_name().to_bytes()) {
                return Ok(Stands::Filled);
            }
        }
        Ok(Stands::Empty)
    }

    /// Makes the directory `name` (0700, the engine's user's), or finds it and sets that right.
    pub fn ensure_dir(&self, name: &str, owner: Option<&Owner>) -> Result<()> {
        make_dir(&self.fd, name, owner).map(drop).map_err(|e| at(&self.path.join(name), e))
    }

    pub fn open(&self, name: &str) -> Result<OwnedFd> {
        rustix::fs::openat(&self.fd, name, DIRECTORY, Mode::empty()).map_err(|e| self.at(name, e))
    }

    /// Renames, never over anything that has content, and makes the rename durable.
    pub fn rename(&self, from: &str, to: &str) -> Result<()> {
        rustix::fs::renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE).map_err(|e| self.at(from, e))?;
        rustix::fs::fsync(&self.fd).map_err(|e| self.at(to, e))
    }

    /// Removes the directory `name` where it is empty.
    pub fn remove_empty(&self, name: &str) -> Result<()> {
        rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR).map_err(|e| self.at(name, e))
    }

    /// Removes `name` and all in it: first out of sight, then for good. Absent is done.
    pub fn discard(&self, name: &str) -> Result<()> {
        let bin = rustix::fs::open(&self.bin, DIRECTORY, Mode::empty()).map_err(|e| at(&self.bin, e.into()))?;
        let gone = format!("{REMOVED}{:016x}", rand::random::<u64>());
        match rustix::fs::renameat(&self.fd, name, &bin, gone.as_str()) {
            Ok(()) => rustix::fs::fsync(&self.fd).map_err(|e| self.at(name, e))?,
            Err(Errno::NOENT) => return Ok(()),
            // A mount of its own cannot be renamed away; its content can be removed where it is.
            Err(Errno::XDEV | Errno::BUSY) => return remove_tree(&self.path.join(name)),
            Err(e) => return Err(self.at(name, e)),
        }
        remove_tree(&self.bin.join(gone))
    }

    fn read_identity(&self) -> Result<Option<Identity>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(&self.fd, IDENTITY, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(e) => return Err(self.at(IDENTITY, e)),
        };
        let mut text = String::new();
        File::from(fd).take(64 * 1024).read_to_string(&mut text).map_err(|e| at(&self.path.join(IDENTITY), e))?;
        let damaged = |e| Error::integrity(format!("{} is damaged", self.path.join(IDENTITY).display())).with_inside(e);
        serde_json::from_str(&text).map(Some).map_err(damaged)
    }

    fn write_identity(&self, identity: &Identity) -> Result<()> {
        let (path, fresh) = (self.path.join(IDENTITY), "identity.json.new");
        let bytes = serde_json::to_vec_pretty(identity).map_err(Error::internal)?;
        let _ = rustix::fs::unlinkat(&self.fd, fresh, AtFlags::empty());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let write = || -> std::io::Result<()> {
            let mut file = File::from(rustix::fs::openat(&self.fd, fresh, flags, Mode::from_raw_mode(0o644))?);
            file.write_all(&bytes)?;
            file.sync_all()?;
            rustix::fs::renameat(&self.fd, fresh, &self.fd, IDENTITY)?;
            Ok(rustix::fs::fsync(&self.fd)?)
        };
        write().map_err(|e| at(&path, e))
    }

    fn at(&self, name: &str, e: Errno) -> Error {
        let place = self.path.join(name);
        match e {
            Errno::LOOP | Errno::NOTDIR => {
                Error::integrity(format!("{} is not a plain directory; look at it and move it away", place.display()))
            }
            Errno::BUSY => Error::failed("mount_point", format!("{} is a mount point; mount the node's root instead", place.display())),
            e => at(&place, e.into()),
        }
    }
}

/// Makes `name` in `parent` with 0700, or finds it there, and gives it to `owner`.
pub(crate) fn make_dir(parent: &OwnedFd, name: impl rustix::path::Arg + Copy, owner: Option<&Owner>) -> std::io::Result<OwnedFd> {
    match rustix::fs::mkdirat(parent, name, PRIVATE) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(e) => return Err(e.into()),
    }
    let fd = rustix::fs::openat(parent, name, DIRECTORY, Mode::empty())?;
    if let Some(owner) = owner {
        let (uid, gid) = owner.ids();
        rustix::fs::fchown(&fd, uid, gid)?;
    }
    rustix::fs::fchmod(&fd, PRIVATE)?;
    Ok(fd)
}

/// Removes a tree without following links out of it. Absent is done.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => std::fs::remove_file(path).map_err(|e| at(path, e)),
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(at(path, e)),
        _ => Ok(()),
    }
}
