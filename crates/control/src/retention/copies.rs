//! Single copies that go before their backup: announced like a backup, for as long, and brought back like one.

use super::{Catalogue, GRACE_SECONDS};
use crate::{
    App, backups,
    plan::retention::{Brake, Clock, CopyPlan, Spot},
};
use mainstay_model::{
    Result, StorageId,
    backup::{Backup, BackupStatus, Copy},
};
use mainstay_operations::Tx;
use mainstay_store as store;
use std::collections::BTreeMap;

/// Marks the copies that the plan lets go. How many, and the brake where that held them.
pub(super) async fn mark(tx: &mut Tx, catalogue: &Catalogue, clock: Clock, confirmed: bool) -> Result<(usize, Option<(StorageId, Brake)>)> {
    let policy = &catalogue.policy;
    let plan = if confirmed { catalogue.plan_confirmed(clock) } else { catalogue.plan_under(policy, clock) };
    let plan = catalogue.copies(policy, &plan, clock);
    if plan.brake.is_some() && !confirmed {
        return Ok((0, plan.brake));
    }
    let until = clock.now.plus_seconds(GRACE_SECONDS);
    for (id, storage) in &plan.delete {
        let mut backup = store::backups::get(tx, id).await?;
        for copy in backup.copies.iter_mut().filter(|c| &c.storage == storage) {
            (copy.status, copy.deleting_until) = (BackupStatus::Deleting, Some(until));
        }
        backups::update(tx, &backup).await?;
    }
    Ok((plan.delete.len(), None))
}

/// The copies whose removal can still be undone: they stay as long as their backup from now on. `None` where
/// there are none.
pub(super) async fn take_back(app: &App, tx: &mut Tx, mut row: Backup) -> Result<Option<Backup>> {
    let now = app.now();
    let mut any = false;
    for copy in row.copies.iter_mut().filter(|c| c.deleting_until.is_some_and(|t| t > now)) {
        (copy.status, copy.deleting_until, copy.expires_at, any) = (BackupStatus::Completed, None, None, true);
    }
    if !any {
        return Ok(None);
    }
    backups::update(tx, &row).await?;
    Ok(Some(row))
}

/// Of copies whose own time is over, why they are still there, or that they went. Without a plan, what is known
/// of each.
pub(super) fn explained(backup: &Backup, plan: Option<&CopyPlan>) -> BTreeMap<StorageId, String> {
    backup.copies.iter().filter_map(|c| Some((c.storage.clone(), words(backup, c, plan)?))).collect()
}

fn words(backup: &Backup, copy: &Copy, plan: Option<&CopyPlan>) -> Option<String> {
    let is_this = |(id, storage): &Spot| *id == backup.id && *storage == copy.storage;
    let kept = plan.and_then(|p| p.keep.iter().find(|(spot, _)| is_this(spot))).map(|(_, why)| why);
    Some(match (copy.status, copy.deleting_until, copy.expires_at) {
        (BackupStatus::Expired, ..) => "removed when its time in this storage was over; the backup stays elsewhere".into(),
        (BackupStatus::Deleting, Some(until), _) => {
            format!("being removed: its time in this storage is over; `backup undelete` brings it back until {until}")
        }
        (BackupStatus::Deleting, ..) => "being removed: its time in this storage is over".into(),
        (BackupStatus::Completed, _, Some(until)) => match kept {
            Some(why) => format!("kept though its time in this storage was over {until}: {why}"),
            None if plan.is_some_and(|p| p.delete.iter().any(is_this)) => {
                format!("its time in this storage was over {until}; goes with the next run of retention")
            }
            None => return None,
        },
        _ => return None,
    })
}
