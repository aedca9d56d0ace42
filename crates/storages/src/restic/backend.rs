//! The library's view of a place, and the two tricks the design rests on.
//!
//! During a backup the snapshot record that the library writes stays in memory. It goes to the
//! place only after all it refers to was read back; until then nobody can see a snapshot.
//!
//! And no index is believed about a pack that is gone or known to be damaged: it is left out of
//! what the library reads. Else every later backup would refer to the lost data instead of storing
//! it again, and one bad sector would be the end of a cluster's backups.

use super::{Repo, seal::Seal};
use crate::{place::Objects, source::Tally};
use bytes::Bytes;
use mainstay_model::{Error, Result};
use rustic_core::{BytesList, ErrorKind, FileType, Id, ReadBackend, RepositoryBackends, RusticError, RusticResult, WriteBackend};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What one backup wrote, and the record it holds back.
#[derive(Default)]
pub struct Ledger {
    inner: Mutex<Written>,
}

#[derive(Default, Clone)]
pub struct Written {
    pub packs: Vec<(Id, u64)>,
    pub indexes: Vec<(Id, u64)>,
    pub record: Option<(Id, Bytes)>,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Written> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn note(&self, kind: FileType, id: Id, size: u64) {
        match kind {
            FileType::Pack => self.lock().packs.push((id, size)),
            FileType::Index => self.lock().indexes.push((id, size)),
            _ => {}
        }
    }

    pub fn written(&self) -> Written {
        self.lock().clone()
    }
}

impl Written {
    pub fn bytes(&self) -> u64 {
        self.packs.iter().chain(&self.indexes).map(|(_, size)| size).sum()
    }
}

/// What may be believed of an index.
pub struct View {
    seal: Seal,
    sound: HashSet<Id>,
}

impl View {
    /// The packs that are there now and not known to be damaged.
    pub fn new(repo: &Repo) -> Result<Self> {
        let bad = repo.site.damaged();
        let packs = repo.objects.list(FileType::Pack)?.into_iter().map(|o| o.id);
        Ok(View { seal: repo.seal.clone(), sound: packs.filter(|id| !bad.contains(id)).collect() })
    }

    /// An index file without the packs that are not sound; mostly it is what it was.
    fn filter(&self, sealed: Bytes) -> Result<Bytes> {
        #[derive(serde::Deserialize)]
        struct Packs {
            packs: Vec<Pack>,
        }
        #[derive(serde::Deserialize)]
        struct Pack {
            id: Id,
        }
        let plain = self.seal.open_object(&sealed)?;
        let broken = |e| Error::integrity(format!("an index file is not readable: {e}"));
        let named: Packs = serde_json::from_slice(&plain).map_err(broken)?;
        if named.packs.iter().all(|p| self.sound.contains(&p.id)) {
            return Ok(sealed);
        }
        let mut file: rustic_core::repofile::IndexFile = serde_json::from_slice(&plain).map_err(broken)?;
        file.packs.retain(|p| self.sound.contains(&p.id.into_inner()));
        let plain = serde_json::to_vec(&file).map_err(Error::internal)?;
        Ok(self.seal.close_object(&plain)?.into())
    }
}

pub struct Backend {
    objects: Arc<dyn Objects>,
    view: Option<View>,
    put: Option<(Arc<Ledger>, Arc<Tally>)>,
}

impl Backend {
    /// The place as it is, for opening and creating.
    pub fn plain(objects: &Arc<dyn Objects>) -> RepositoryBackends {
        Backend { objects: objects.clone(), view: None, put: None }.wrap()
    }

    pub fn sound(repo: &Repo) -> Result<RepositoryBackends> {
        Ok(Backend { objects: repo.objects.clone(), view: Some(View::new(repo)?), put: None }.wrap())
    }

    pub fn holding(repo: &Repo, ledger: &Arc<Ledger>, tally: &Arc<Tally>) -> Result<RepositoryBackends> {
        let put = Some((ledger.clone(), tally.clone()));
        Ok(Backend { objects: repo.objects.clone(), view: Some(View::new(repo)?), put }.wrap())
    }

    fn wrap(self) -> RepositoryBackends {
        RepositoryBackends::new(Arc::new(self), None)
    }
}

fn wrapped(e: Error) -> Box<RusticError> {
    RusticError::with_source(ErrorKind::Backend, e.message.clone(), e)
}

impl ReadBackend for Backend {
    fn location(&self) -> String {
        self.objects.location()
    }

    fn list_with_size(&self, tpe: FileType) -> RusticResult<Vec<(Id, u32)>> {
        let objects = self.objects.list(tpe).map_err(wrapped)?;
        Ok(objects.into_iter().map(|o| (o.id, u32::try_from(o.size).unwrap_or(u32::MAX))).collect())
    }

    fn read_full(&self, tpe: FileType, id: &Id) -> RusticResult<Bytes> {
        let bytes = self.objects.read(tpe, id).map_err(wrapped)?;
        match &self.view {
            Some(view) if tpe == FileType::Index => view.filter(bytes).map_err(wrapped),
            _ => Ok(bytes),
        }
    }

    fn read_partial(&self, tpe: FileType, id: &Id, _cacheable: bool, offset: u32, length: u32) -> RusticResult<Bytes> {
        self.objects.read_at(tpe, id, offset.into(), length as usize).map_err(wrapped)
    }

    fn warmup_path(&self, tpe: FileType, id: &Id) -> String {
        self.objects.name(tpe, id)
    }
}

impl WriteBackend for Backend {
    fn create(&self) -> RusticResult<()> {
        self.objects.create().map_err(wrapped)
    }

    fn write_bytes(&self, tpe: FileType, id: &Id, _cacheable: bool, content: BytesList) -> RusticResult<()> {
        let Some((ledger, tally)) = &self.put else {
            return self.objects.write(tpe, id, content.slice()).map_err(wrapped);
        };
        tally.verdict().map_err(wrapped)?;
        if tpe == FileType::Snapshot {
            ledger.lock().record = Some((*id, content.slice().concat().into()));
            return Ok(());
        }
        let size = content.size() as u64;
        self.objects.write(tpe, id, content.slice()).map_err(|e| {
            // The library goes on reading the source to its end after a failed write; this stops it.
            tally.fail(e.clone());
            wrapped(e)
        })?;
        ledger.note(tpe, *id, size);
        Ok(())
    }

    /// What is locked stays for now: it is unused, and a later prune finds it again.
    fn remove(&self, tpe: FileType, id: &Id, _cacheable: bool) -> RusticResult<()> {
        match self.objects.remove(tpe, id) {
            Err(e) if e.code == "object_locked" => {
                tracing::info!("{e}");
                Ok(())
            }
            other => other.map_err(wrapped),
        }
    }
}

/// Our own error from inside the library's, or the library's words in one of ours.
#[expect(clippy::boxed_local, reason = "the library's errors come boxed")]
pub fn unwrapped(doing: &str, e: Box<RusticError>) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&*e);
    while let Some(this) = cause {
        if let Some(own) = this.downcast_ref::<Error>() {
            return own.clone().context(doing);
        }
        cause = this.source();
    }
    Error::integrity(format!("{doing}: {}", e.display_log()))
}
