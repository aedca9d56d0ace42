//! Taking operations in: the lock is taken in the transaction that writes the row.

use crate::{
    faults::{Point, When},
    journal::{self, Trouble, store_error, trouble},
    lock::{Lock, Subject, held_by},
    operation::Tx,
    record::{Record, pending},
    runner::{NotCommitted, Runner, Stop, WRITES, collision},
    view::Status,
};
use futures::FutureExt;
use mainstay_model::{Error, OperationId, Result, Time};
use serde_json::Value;

/// An operation to be run.
#[derive(Debug, Clone)]
pub struct Submit {
    pub kind: &'static str,
    /// The operation's `State` as JSON.
    pub state: Value,
    pub subject: Option<Subject>,
    pub lock: Lock,
    pub requested_by: String,
}

impl<W: Send + Sync + 'static> Runner<W> {
    /// Writes the operation down and starts it as soon as there is room.
    pub async fn submit(&self, submit: Submit) -> Result<OperationId> {
        let me = self.clone();
        let id = self
            .write(move |tx| {
                let (me, submit) = (me.clone(), submit.clone());
                async move { me.submit_in(tx, submit).await }.boxed()
            })
            .await?;
        self.publish(&id);
        self.wake();
        Ok(id)
    }

    /// The same within a write of the caller's, so that a row and the operation that looks after
    /// it are born together. The caller calls [`Runner::wake`] after its commit.
    pub async fn submit_in(&self, tx: &mut Tx, submit: Submit) -> Result<OperationId> {
        let record = self.record(submit.kind, submit.state, submit.subject, submit.lock, submit.requested_by)?;
        let key = record.cluster_key.clone().filter(|_| record.lock != Lock::None);
        if let Some(key) = &key
            && let Some(holder) = journal::blocker(tx, key, record.lock).await.map_err(store_error)?
        {
            return Err(held_by(&holder));
        }
        match journal::insert(tx, &record).await {
            Ok(()) => Ok(record.id),
            Err(e) if trouble(&e) == Trouble::Constraint => Err(self.lost_race(key, e).await),
            Err(e) => Err(self.write_error(e)),
        }
    }

    /// The unique index refused what the look before had found free. The transaction is spoilt,
    /// so the holder is read outside of it.
    async fn lost_race(&self, key: Option<String>, e: sqlx::Error) -> Error {
        let Some(key) = key else { return store_error(e) };
        match self.inner.journal.holder(&key).await {
            Ok(Some(holder)) => held_by(&holder),
            _ => Error::unavailable(journal::BUSY, "another operation came first; try again").with_inside(e),
        }
    }

    fn record(&self, kind: &str, state: Value, subject: Option<Subject>, lock: Lock, requested_by: String) -> Result<Record> {
        let entry = self.entry(kind).ok_or_else(|| Error::internal(format!("no operation of kind {kind} is registered")))?;
        if lock != Lock::None && subject.is_none() {
            return Err(Error::internal(format!("operation {kind} wants a lock but has no subject")));
        }
        // Refused now rather than stuck later.
        entry.output(&state)?;
        let (project, cluster, cluster_key) = match subject {
            Some(s) => (Some(s.project), Some(s.cluster), Some(s.key)),
            None => (None, None, None),
        };
        Ok(Record {
            id: OperationId::new(),
            kind: kind.into(),
            version: entry.version(),
            project,
            cluster,
            cluster_key,
            lock,
            parent: None,
            child_key: None,
            status: Status::Queued,
            ending: None,
            past_return: false,
            cancelled_by: None,
            state,
            steps: pending(entry.steps()),
            percent: 0,
            sentence: "waits for its turn".into(),
            requested_by,
            created_at: self.now(),
            finished_at: None,
            error: None,
            stuck_error: None,
            output: Value::Null,
            generation: 0,
            owner: None,
            lease_until: Time::default(),
        })
    }

    /// The child of that key, submitted if there is none that lives or succeeded. It works under
    /// the parent's lock and takes none itself.
    pub(crate) async fn child_of(&self, parent: &OperationId, key: &str, kind: &str, state: Value) -> Result<OperationId> {
        for _ in 0..WRITES {
            let mut tx = self.inner.journal.begin().await?;
            if let Some(id) = journal::child(&mut tx, parent, key).await.map_err(store_error)? {
                return Ok(id);
            }
            let above = journal::load(&mut tx, parent).await.map_err(store_error)?;
            let above = above.ok_or_else(|| Error::not_found("operation", parent.as_str()))?;
            let mut record = self.record(kind, state.clone(), None, Lock::None, above.requested_by)?;
            record.parent = Some(above.id);
            record.child_key = Some(key.into());
            (record.project, record.cluster, record.cluster_key) = (above.project, above.cluster, above.cluster_key);
            match journal::insert(&mut tx, &record).await {
                Err(e) if matches!(trouble(&e), Trouble::Again | Trouble::Constraint) => {
                    collision().await;
                    continue;
                }
                inserted => inserted.map_err(|e| self.write_error(e))?,
            }
            let point =
                Point { operation: parent.clone(), kind: above.kind, step: Point::CHILD.into(), undo: false, when: When::BeforeCommit };
            match self.commit(tx, point).await {
                Ok(()) => return Ok(record.id),
                Err(NotCommitted::Again | NotCommitted::Refused(_)) => collision().await,
                Err(NotCommitted::Stop(Stop::Fatal(e))) => {
                    self.die(Some(e.clone()));
                    return Err(e);
                }
                Err(NotCommitted::Stop(Stop::Journal(e))) => return Err(e),
                Err(NotCommitted::Stop(Stop::Lost | Stop::Shutdown)) => return Err(Error::internal("a commit neither lost nor shut down")),
            }
        }
        Err(Error::unavailable(journal::BUSY, "the store is busy with other writes; try again"))
    }
}
