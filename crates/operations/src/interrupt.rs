//! Ending what a copy of the journal believes to be under way.
//!
//! A journal that was restored from a backup is of the past: what was under way then has since gone
//! on, ended or been undone, and nobody is there to say which. To continue it would act on a world
//! that has moved. So every open operation is ended as failed, with the reason, and a person or a
//! standing task decides anew. No undo runs, for the same reason.

use crate::{
    journal::{self, Journal, store_error},
    record::Record,
    view::{Status, StepStatus},
};
use mainstay_model::{Error, Result, Time};

impl Journal {
    /// Ends all open operations as failed because of `why`; says how many. No runner may be at work.
    pub async fn interrupt_all(&self, why: &Error, now: Time) -> Result<u64> {
        let mut tx = self.begin().await?;
        let text = "SELECT id FROM operations WHERE finished_at IS NULL ORDER BY id";
        let ids: Vec<String> = sqlx::query_scalar(text).fetch_all(&mut *tx).await.map_err(store_error)?;
        for id in ids.iter().filter_map(|id| mainstay_model::OperationId::parse(id)) {
            let Some(mut record) = journal::load(&mut tx, &id).await.map_err(store_error)? else { continue };
            let generation = record.generation;
            end(&mut record, why, now);
            // Above all that anybody who worked on it may still hold.
            record.generation = journal::next_generation(&mut tx, now).await.map_err(store_error)?;
            journal::save(&mut tx, generation, &record).await.map_err(store_error)?;
        }
        tx.commit().await.map_err(store_error)?;
        Ok(ids.len() as u64)
    }
}

fn end(record: &mut Record, why: &Error, now: Time) {
    record.status = Status::Failed;
    (record.error, record.stuck_error, record.finished_at) = (Some(why.clone()), None, Some(now));
    for step in record.steps.iter_mut().filter(|s| matches!(s.status, StepStatus::Running | StepStatus::Undoing)) {
        (step.status, step.error, step.finished_at) = (StepStatus::Failed, Some(why.clone()), Some(now));
    }
    record.release();
}
