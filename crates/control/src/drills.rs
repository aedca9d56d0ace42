//! Drills that were made, and those that could not be.

use crate::App;
use mainstay_model::{
    DrillId, Result,
    backup::Backup,
    cluster::Cluster,
    drill::{DrillRecord, DrillResult},
};
use mainstay_store::{self as store, Page, Paging};

pub(crate) fn record(app: &App, backup: &Backup, result: DrillResult, seconds: Option<f64>, reason: Option<String>) -> DrillRecord {
    DrillRecord {
        id: DrillId::new(),
        project: backup.project.clone(),
        cluster: backup.cluster.clone(),
        backup: backup.id.clone(),
        storage: None,
        engine_version: backup.engine_version.clone(),
        at: app.now(),
        result,
        seconds,
        reason,
        checks: vec![],
    }
}

/// Newest first.
pub async fn list(app: &App, cluster: &Cluster, paging: &Paging) -> Result<Page<DrillRecord>> {
    store::drills::list(&mut *app.store.read().await?, &cluster.id, paging).await
}
