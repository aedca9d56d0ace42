//! The control plane's own backup, from the agent's side. The control plane lays a consistent copy
//! of itself into a directory of its own; here it is read, together with what makes this data
//! directory the one it is, and put where every other backup goes: sealed, read back, published last.

use crate::{
    Agent,
    backups::{delete, deleted},
    dispatch::Act,
};
use mainstay_drivers::storage::{CONTROL_PLANE, Entry, EntryKind, Keep, Source, Storage};
use mainstay_model::{Error, Result, Time, backup::Facts};
use mainstay_rpc::verbs::{StoreControlPlane, StoredCopy};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    vec,
};

/// Below the data directory; in it one directory for each copy.
pub const COPIES: &str = "control-plane";
/// What a copy consists of, in path order.
pub const INSTALLATION: &str = "installation.json";
pub const KEY: &str = "key";
pub const DATABASE: &str = "mainstay.db";

impl Agent {
    pub(crate) async fn store_control_plane(&self, verb: StoreControlPlane, act: &Act) -> Result<StoredCopy> {
        if verb.label.kind != CONTROL_PLANE {
            return Err(Error::invalid("kind", format!("the control plane's backups are of kind {CONTROL_PLANE}")));
        }
        let _held = self.locks.hold(verb.label.backup.to_string(), &act.progress).await?;
        let source = self.control_plane(&verb)?;
        let storage = self.parts.storages.open(&verb.repository, true).await?;
        let stored = storage.put(&verb.label, Box::new(source), &act.progress).await?;
        // The copy counts whatever becomes of the old ones: the next one sees to them again.
        let stays = keep_newest(storage.as_ref(), verb.keep).await.unwrap_or_else(|e| {
            tracing::warn!(
                inside = e.inside,
                "older copies of the control plane are still in storage {}: {e}",
                verb.repository.storage.name
            );
            Some(e.message)
        });
        Ok(StoredCopy { stored, stays })
    }

    fn control_plane(&self, verb: &StoreControlPlane) -> Result<Copy> {
        let copy = self.parts.data_dir.join(COPIES).join(verb.label.backup.as_str());
        let own = self.parts.data_dir.join("agent");
        let files = vec![(INSTALLATION, own.join(INSTALLATION)), (KEY, copy.join(KEY)), (DATABASE, copy.join(DATABASE))];
        let expected = files.iter().map(|(_, path)| Ok(path.metadata()?.len())).sum::<std::io::Result<u64>>();
        let expected = expected.map_err(|e| Error::from(e).context("the copy of the control plane cannot be read"))?;
        let mut facts = Facts { engine: "mainstay".into(), engine_version: self.parts.version.clone(), ..Facts::default() };
        facts.names.insert("storage".into(), verb.repository.storage.id.to_string());
        Ok(Copy { files: files.into_iter(), facts, expected, made_at: verb.label.created_at })
    }
}

/// Why older ones stay, where they may not be removed.
async fn keep_newest(storage: &dyn Storage, keep: u64) -> Result<Option<String>> {
    let mut all: Vec<String> = storage.list().await?.into_iter().filter(|s| s.label.kind == CONTROL_PLANE).map(|s| s.id).collect();
    all.truncate(all.len().saturating_sub(keep as usize));
    if all.is_empty() {
        return Ok(None);
    }
    Ok(deleted(delete(storage, &all, true).await)?.stays)
}

struct Copy {
    files: vec::IntoIter<(&'static str, PathBuf)>,
    facts: Facts,
    expected: u64,
    made_at: Time,
}

impl Source for Copy {
    fn next(&mut self) -> Option<Result<Entry>> {
        let (name, path) = self.files.next()?;
        Some(entry(name, &path, self.made_at))
    }
    fn finish(&mut self) -> Result<Facts> {
        Ok(self.facts.clone())
    }
    fn expected_bytes(&self) -> Option<u64> {
        Some(self.expected)
    }
}

fn entry(name: &str, path: &Path, mtime: Time) -> Result<Entry> {
    let size = Some(path.metadata()?.len());
    let path = path.to_path_buf();
    let open = Box::new(move || Ok(Box::new(File::open(path)?) as Box<dyn Read + Send>));
    Ok(Entry { path: name.into(), mode: 0o600, mtime, kind: EntryKind::File { size, may_vanish: false, open, keep: Keep::Nothing } })
}
