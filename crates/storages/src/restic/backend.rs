//! The library's view of a place, and the one trick the design rests on: during a backup the
//! snapshot record that the library writes stays in memory. It goes to the place only after all it
//! refers to was read back; until then nobody can see a snapshot.

use crate::{place::Objects, source::Tally};
use bytes::Bytes;
use mainstay_model::Error;
use rustic_core::{BytesList, ErrorKind, FileType, Id, ReadBackend, RepositoryBackends, RusticError, RusticResult, WriteBackend};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

pub struct Backend {
    objects: Arc<dyn Objects>,
    put: Option<(Arc<Ledger>, Arc<Tally>)>,
}

impl Backend {
    pub fn plain(objects: &Arc<dyn Objects>) -> RepositoryBackends {
        Self::wrap(Backend { objects: objects.clone(), put: None })
    }

    pub fn holding(objects: &Arc<dyn Objects>, ledger: &Arc<Ledger>, tally: &Arc<Tally>) -> RepositoryBackends {
        Self::wrap(Backend { objects: objects.clone(), put: Some((ledger.clone(), tally.clone())) })
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
        self.objects.read(tpe, id).map_err(wrapped)
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

    fn remove(&self, tpe: FileType, id: &Id, _cacheable: bool) -> RusticResult<()> {
        self.objects.remove(tpe, id).map_err(wrapped)
    }
}

/// Our own error from inside the library's, or the library's words in one of ours.
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
