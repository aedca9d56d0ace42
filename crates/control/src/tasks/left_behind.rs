//! What was given up and stays is tried again once a day: rights change, repositories are compacted by
//! the people on their own hosts.

use crate::{App, backups};
use mainstay_drivers::storage::RepositoryRef;
use mainstay_model::{ClusterId, Error, Kind, Result, StorageId, left_behind::LeftBehind};
use mainstay_rpc::verbs::{DeleteSnapshots, Deleted, ListSnapshots, RemoveRepository};
use mainstay_store as store;
use std::collections::{BTreeMap, BTreeSet};

const AGAIN_SECONDS: i64 = 24 * 3600;

pub async fn all(app: &App) -> Result<()> {
    let due = store::left_behind::tried_before(&mut *app.store.read().await?, app.now().plus_seconds(-AGAIN_SECONDS)).await?;
    let mut places: BTreeMap<(StorageId, ClusterId), Vec<LeftBehind>> = BTreeMap::new();
    for left in due {
        places.entry((left.storage.clone(), left.cluster.clone())).or_default().push(left);
    }
    for ((storage, cluster), left) in places {
        if let Err(e) = again(app, &storage, &cluster, left).await {
            tracing::warn!(inside = e.inside, "what was given up in storage {storage} is there still, trying again later: {e}");
        }
    }
    Ok(())
}

async fn again(app: &App, storage: &StorageId, cluster: &ClusterId, left: Vec<LeftBehind>) -> Result<()> {
    let row = store::clusters::get(&mut *app.store.read().await?, cluster).await?;
    let repository = backups::repository(app, &row, storage).await?;
    let (whole, snapshots): (Vec<LeftBehind>, Vec<LeftBehind>) = left.into_iter().partition(|l| l.snapshot.is_none());
    let (alive, snapshots) = lives_again(app, snapshots).await?;
    let mut gone = alive;
    let mut staying = vec![];
    if !whole.is_empty() {
        let tried = app.agent.look(&RemoveRepository { repository: repository.clone() }).await;
        sort(tried, whole, &mut gone, &mut staying);
    }
    if !snapshots.is_empty() {
        let ids = snapshots.iter().filter_map(|l| l.snapshot.clone()).collect();
        let tried = app.agent.look(&DeleteSnapshots { repository: repository.clone(), snapshots: ids, prune: true }).await;
        let refused = matches!(&tried, Ok(Deleted { stays: Some(_) }));
        let there = if refused { listed(app, repository).await? } else { BTreeSet::new() };
        let (there, vanished): (Vec<_>, Vec<_>) =
            snapshots.into_iter().partition(|l| !refused || l.snapshot.as_ref().is_some_and(|s| there.contains(s)));
        gone.extend(vanished);
        sort(tried, there, &mut gone, &mut staying);
    }
    let mut tx = app.store.begin_write().await?;
    for left in &gone {
        store::left_behind::remove(&mut tx, left).await?;
    }
    for (left, why) in staying {
        store::left_behind::put(&mut tx, &LeftBehind { tried_at: app.now(), why, ..left }).await?;
    }
    store::commit(tx).await
}

/// One that was found in the storage and taken up again since is a backup, and nobody's to remove.
async fn lives_again(app: &App, left: Vec<LeftBehind>) -> Result<(Vec<LeftBehind>, Vec<LeftBehind>)> {
    let mut conn = app.store.read().await?;
    let (mut alive, mut rest) = (vec![], vec![]);
    for one in left {
        let known = match &one.backup {
            Some(id) => match store::backups::get(&mut conn, id).await {
                Err(e) if e.kind == Kind::NotFound => false,
                found => found?.copies.iter().any(|c| c.storage == one.storage && c.snapshot == one.snapshot),
            },
            None => false,
        };
        if known { alive.push(one) } else { rest.push(one) }
    }
    Ok((alive, rest))
}

/// By its snapshots whoever is on the other side may have removed what we may not.
async fn listed(app: &App, repository: RepositoryRef) -> Result<BTreeSet<String>> {
    Ok(app.agent.look(&ListSnapshots { repository }).await?.into_iter().map(|s| s.id).collect())
}

fn sort(tried: Result<Deleted, Error>, all: Vec<LeftBehind>, gone: &mut Vec<LeftBehind>, staying: &mut Vec<(LeftBehind, String)>) {
    match tried {
        Ok(Deleted { stays: None }) => gone.extend(all),
        Err(e) if e.kind == Kind::NotFound => gone.extend(all),
        Ok(Deleted { stays: Some(why) }) => staying.extend(all.into_iter().map(|l| (l, why.clone()))),
        Err(e) => staying.extend(all.into_iter().map(|l| (l, e.message.clone()))),
    }
}
