//! The control plane backs itself up: a consistent copy of its store, and the key its secrets are
//! sealed with, into every encrypted storage of the default project, through the pipeline all backups go.
//!
//! Soon after something changed (when it has been quiet for a moment, so that one deployment makes one
//! copy), and at least once a day. The administrator's token is not part of it: a recovered control
//! plane makes a new one. What could not be copied is said, and tried again.
//!
//! It is a task and no operation because an operation would change what it copies.

use crate::{App, backups, projects, storages};
use mainstay_drivers::{
    engine::Chunking,
    storage::{CONTROL_PLANE, RepositoryKeys, RepositoryRef, SNAPSHOT, SnapshotLabel},
};
use mainstay_model::{
    BackupId, ClusterId, Error, OperationId, ProjectId, Result, Time,
    alert::{AlertKind, Condition},
};
use mainstay_operations::Filter;
use mainstay_rpc::verbs::{StoreControlPlane, StoredCopy};
use mainstay_store::{self as store, storages::StorageRow};
use serde::{Deserialize, Serialize};
use std::{
    fs::{DirBuilder, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Copies kept in each storage.
const KEEP: u64 = 14;
/// How often it is looked whether something changed.
const LOOK: Duration = Duration::from_secs(5);
/// Changes that never pause are copied after this all the same.
const AT_LAST_SECONDS: f64 = 600.0;
const DAY_SECONDS: f64 = 86_400.0;
/// After a failure.
const AGAIN_SECONDS: f64 = 300.0;
/// From here on a copy is called late: two failures beyond what was due.
const LATE_SECONDS: f64 = 3_600.0;
/// Operations looked at to notice a change.
const RECENT: usize = 50;

/// How the copies in one storage stand. Kept as a fact of the installation.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Standing {
    last: Option<Last>,
    tried_at: Option<Time>,
    error: Option<String>,
    /// Why older copies than are kept stay there.
    #[serde(default)]
    stays: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Last {
    pub at: Time,
    pub snapshot: String,
    pub data_bytes: u64,
    /// What the copy covers.
    covers: String,
}

/// One storage's copies as they are shown.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyView {
    pub storage_name: String,
    pub last: Option<Last>,
    pub late: bool,
    pub tried_at: Option<Time>,
    pub error: Option<String>,
}

/// What was seen of the changes, and since when it is so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Seen {
    mark: String,
    /// The last change.
    at: Time,
    /// The first change that may not have been copied.
    since: Time,
}

/// Runs until `shutdown`. A failed look is tried again.
pub async fn run(app: Arc<App>, shutdown: CancellationToken) {
    let Some(dir) = app.options.control_plane_copies.clone() else { return };
    let mut seen: Option<Seen> = None;
    loop {
        let asked = tokio::select! {
            () = shutdown.cancelled() => return,
            () = app.control_plane_changed.notified() => true,
            () = tokio::time::sleep(LOOK) => false,
        };
        if let Err(e) = look(&app, &dir, &mut seen, asked).await {
            tracing::warn!(inside = e.inside, "the control plane could not back itself up and tries again: {e}");
        }
    }
}

async fn look(app: &App, dir: &Path, seen: &mut Option<Seen>, asked: bool) -> Result<()> {
    let (mark, now) = (mark(app).await?, app.now());
    let last = seen.get_or_insert_with(|| Seen { mark: String::new(), at: now, since: now });
    if last.mark != mark {
        (last.mark, last.at) = (mark, now);
    }
    let quiet = now.seconds_since(last.at) >= app.options.control_plane_quiet_seconds;
    let ready = asked || quiet || now.seconds_since(last.since) >= AT_LAST_SECONDS;
    let mut due = Vec::new();
    for row in taking(app).await? {
        let standing = standing(app, &row).await?;
        if asked || (ready && is_due(&standing, &last.mark, now)) {
            due.push((row, standing));
        }
    }
    if due.is_empty() {
        if ready {
            last.since = now;
        }
        return Ok(());
    }
    copy(app, dir, &last.mark.clone(), due).await
}

fn is_due(standing: &Standing, mark: &str, now: Time) -> bool {
    let waits = standing.error.is_some() && standing.tried_at.is_some_and(|t| now.seconds_since(t) < AGAIN_SECONDS);
    let covered = standing.last.as_ref().is_some_and(|l| l.covers == mark && now.seconds_since(l.at) < DAY_SECONDS);
    !waits && !covered
}

/// Stands for all that people and operations have done: looks and the copies themselves leave it as
/// it is.
async fn mark(app: &App) -> Result<String> {
    let acts = store::audit::head(&mut *app.store.read().await?).await?.rows;
    let recent = app.runner.list(Filter::default(), None, RECENT).await?.items;
    let ended = recent.iter().filter_map(|o| o.finished_at).max().map_or(0, Time::micros);
    let newest = recent.first().map(|o| o.id.clone());
    Ok(format!("{acts}/{ended}/{}", newest.as_ref().map_or("", OperationId::as_str)))
}

async fn all_storages(app: &App) -> Result<Vec<StorageRow>> {
    let project = projects::resolve(app, projects::DEFAULT).await?;
    let mut rows = storages::list(app, &project.id).await?;
    // The copy holds the key to all secrets: it goes nowhere unencrypted.
    rows.retain(|row| row.kind != SNAPSHOT);
    Ok(rows)
}

/// Those that new copies go to.
async fn taking(app: &App) -> Result<Vec<StorageRow>> {
    let mut rows = all_storages(app).await?;
    rows.retain(|row| row.followed_by.is_none());
    Ok(rows)
}

fn standing_key(row: &StorageRow) -> String {
    format!("control_plane_backup/{}", row.id)
}

async fn standing(app: &App, row: &StorageRow) -> Result<Standing> {
    let kept = store::kv::get(&mut *app.store.read().await?, &standing_key(row)).await?;
    Ok(kept.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

/// Why older copies than are kept stay in a storage.
pub(crate) async fn stays(app: &App, row: &StorageRow) -> Result<Option<String>> {
    Ok(standing(app, row).await?.stays)
}

/// One copy, into each of the storages. One that fails does not keep it from the others.
async fn copy(app: &App, dir: &Path, mark: &str, due: Vec<(StorageRow, Standing)>) -> Result<()> {
    let id = BackupId::new();
    let made_at = app.now();
    let laid = lay(app, dir, &id).await;
    for (row, mut standing) in due {
        let stored = match &laid {
            Ok(_) => put(app, &row, &id, made_at).await,
            Err(e) => Err(e.clone()),
        };
        standing.tried_at = Some(made_at);
        match stored {
            Ok(StoredCopy { stored, stays }) => {
                standing.stays = stays;
                let covers = mark.to_string();
                standing.last = Some(Last { at: made_at, snapshot: stored.snapshot, data_bytes: stored.data_bytes, covers });
                standing.error = None;
            }
            Err(e) => {
                tracing::warn!(inside = e.inside, "the control plane was not backed up into storage {}: {e}", row.name);
                standing.error = Some(e.message);
            }
        }
        keep(app, &row, &standing).await?;
    }
    // What is left of it would be a second store with a key beside it.
    clear(dir).await
}

async fn keep(app: &App, row: &StorageRow, standing: &Standing) -> Result<()> {
    let text = serde_json::to_string(standing).map_err(Error::internal)?;
    let mut tx = app.store.begin_write().await?;
    store::kv::put(&mut tx, &standing_key(row), &text).await?;
    store::commit(tx).await
}

/// The copy as the agent takes it: the store and its key, for nobody else to read.
async fn lay(app: &App, dir: &Path, id: &BackupId) -> Result<()> {
    clear(dir).await?;
    let copy = dir.join(id.as_str());
    let (made, key) = (copy.clone(), *app.store.sealer().reveal_key());
    blocking(move || {
        DirBuilder::new().recursive(true).mode(0o700).create(&made)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(made.join("key"))?;
        file.write_all(&key)
    })
    .await?;
    app.store.copy_to(&copy.join("mainstay.db")).await
}

async fn clear(dir: &Path) -> Result<()> {
    let dir: PathBuf = dir.into();
    blocking(move || match std::fs::remove_dir_all(&dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    })
    .await
}

async fn blocking(work: impl FnOnce() -> std::io::Result<()> + Send + 'static) -> Result<()> {
    let done = tokio::task::spawn_blocking(work).await.map_err(Error::internal)?;
    done.map_err(|e| Error::from(e).context("the copy of the control plane"))
}

async fn put(app: &App, row: &StorageRow, id: &BackupId, made_at: Time) -> Result<StoredCopy> {
    let repository = repository(app, row).await?;
    let label = SnapshotLabel {
        backup: id.clone(),
        cluster: repository.cluster.clone(),
        cluster_name: "control-plane".into(),
        kind: CONTROL_PLANE.into(),
        description: "Mainstay itself: what it remembers, and the key to it".into(),
        created_at: made_at,
    };
    let verb = StoreControlPlane { repository, label, keep: KEEP };
    // No operation: its name is the copy's own, and the same copy is stored once.
    app.agent.perform(id.as_str(), app.now().micros(), &verb, |_| {}).await
}

async fn repository(app: &App, row: &StorageRow) -> Result<RepositoryRef> {
    let cluster = repository_id(app).await?;
    let keys = RepositoryKeys { own: backups::own_key(app, &cluster).await?, recovery: projects::recovery_keys(app, &row.project).await? };
    let storage = storages::spec(&app.store, row).await?;
    Ok(RepositoryRef { storage, project: row.project.clone(), cluster, chunking: Chunking::Fixed(65_536), keys })
}

/// The repositories there are copies in, of the project whose storages they are in.
pub(crate) async fn repositories(app: &App, project: &ProjectId) -> Result<Vec<RepositoryRef>> {
    let mut all = Vec::new();
    for row in all_storages(app).await?.iter().filter(|row| &row.project == project) {
        if standing(app, row).await?.last.is_some() {
            all.push(repository(app, row).await?);
        }
    }
    Ok(all)
}

/// The control plane's repositories lie beside the clusters', under an id of their own, drawn once.
async fn repository_id(app: &App) -> Result<ClusterId> {
    const NAME: &str = "control_plane_repository";
    let kept = store::kv::get(&mut *app.store.read().await?, NAME).await?;
    if let Some(id) = kept.as_deref().and_then(ClusterId::parse) {
        return Ok(id);
    }
    let id = ClusterId::new();
    let mut tx = app.store.begin_write().await?;
    store::kv::put(&mut tx, NAME, id.as_str()).await?;
    store::commit(tx).await?;
    Ok(id)
}

/// For each storage of the default project.
pub async fn list(app: &App) -> Result<Vec<CopyView>> {
    let (mark, now) = (mark(app).await?, app.now());
    let mut all = Vec::new();
    for row in taking(app).await? {
        let standing = standing(app, &row).await?;
        let late = is_late(&standing, &mark, row.created_at, now);
        let Standing { last, tried_at, error, .. } = standing;
        all.push(CopyView { storage_name: row.name.to_string(), last, late, tried_at, error });
    }
    Ok(all)
}

/// A condition for each storage whose newest copy is late. Where no copies are made none is late.
pub(crate) async fn late(app: &App) -> Result<Vec<Condition>> {
    if app.options.control_plane_copies.is_none() {
        return Ok(vec![]);
    }
    let (mark, now) = (mark(app).await?, app.now());
    let mut all = Vec::new();
    for row in taking(app).await? {
        let standing = standing(app, &row).await?;
        if is_late(&standing, &mark, row.created_at, now) {
            all.push(condition(&row, &standing));
        }
    }
    Ok(all)
}

fn condition(row: &StorageRow, standing: &Standing) -> Condition {
    let last = standing.last.as_ref().map_or("it has none".into(), |l| format!("its last one is of {}", l.at));
    let why = standing.error.as_ref().map(|e| format!(": {e}")).unwrap_or_default();
    Condition {
        project: row.project.clone(),
        kind: AlertKind::ControlPlaneLate,
        object_kind: "storage".into(),
        object: row.id.to_string(),
        object_name: row.name.to_string(),
        cluster: None,
        cluster_name: None,
        sentence: format!("storage {} should have a newer backup of Mainstay itself, but {last}{why}", row.name),
    }
}

/// Whether the newest copy is older than it may be. A storage that never had one has had time since
/// it was added.
fn is_late(standing: &Standing, mark: &str, added: Time, now: Time) -> bool {
    let newest = standing.last.as_ref().map_or(added, |l| l.at);
    let age = now.seconds_since(newest);
    let covered = standing.last.as_ref().is_some_and(|l| l.covers == mark);
    age >= DAY_SECONDS + LATE_SECONDS || (!covered && age >= LATE_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(at: i64, covers: &str) -> Standing {
        let last = Last { at: Time(0).plus_seconds(at), snapshot: "s".into(), data_bytes: 1, covers: covers.into() };
        Standing { last: Some(last), ..Standing::default() }
    }

    #[test]
    fn due_after_a_change_after_a_day_and_not_at_once_after_a_failure() {
        let now = Time(0).plus_seconds(100_000);
        assert!(is_due(&Standing::default(), "a", now));
        assert!(!is_due(&standing(99_000, "a"), "a", now));
        assert!(is_due(&standing(99_000, "a"), "b", now));
        assert!(is_due(&standing(1, "a"), "a", now));
        let failed = |at| Standing { error: Some("full".into()), tried_at: Some(Time(0).plus_seconds(at)), ..Standing::default() };
        assert!(!is_due(&failed(99_900), "a", now) && is_due(&failed(99_000), "a", now));
    }

    #[test]
    fn late_is_said_and_never_before_its_time() {
        let now = Time(0).plus_seconds(200_000);
        assert!(!is_late(&standing(199_999, "a"), "b", Time(0), now), "a change is given time");
        assert!(is_late(&standing(196_000, "a"), "b", Time(0), now));
        assert!(!is_late(&standing(196_000, "a"), "a", Time(0), now));
        assert!(is_late(&standing(100_000, "a"), "a", Time(0), now), "at least once a day");
        assert!(is_late(&Standing::default(), "a", Time(0), now) && !is_late(&Standing::default(), "a", now, now));
    }
}
