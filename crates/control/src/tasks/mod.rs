//! Standing truths: each compares what is wanted with what is and, where more than one step is
//! needed, submits an operation. Safe to run twice, by period and by nudge.

pub mod boot;
pub mod complete;
pub mod deliver;
pub mod doctor;
pub mod drill;
pub mod expire;
pub mod keep_log;
pub mod left_behind;
pub mod lock;
pub mod measure;
pub mod observe;
pub mod overdue;
pub mod recovery_keys;
pub mod reread;
pub mod schedule;
pub mod self_backup;
pub mod tidy;

use crate::{App, measures};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Starts them all. Each ends with `shutdown`.
pub fn start(app: &Arc<App>, shutdown: &CancellationToken) {
    tokio::spawn(boot::run(app.clone(), shutdown.clone()));
    tokio::spawn(expire::run(app.clone(), shutdown.clone()));
    tokio::spawn(deliver::run(app.clone(), shutdown.clone()));
    tokio::spawn(self_backup::run(app.clone(), shutdown.clone()));
    tokio::spawn(every(Duration::from_secs(3600), shutdown.clone(), app.clone(), |app| async move { recovery_keys::all(&app).await }));
    tokio::spawn(schedule::run(app.clone(), shutdown.clone()));
    tokio::spawn(every(Duration::from_secs(3), shutdown.clone(), app.clone(), |app| async move { observe::all(&app).await }));
    let often = Duration::from_secs(measures::STEP_SECONDS.unsigned_abs());
    tokio::spawn(every(often, shutdown.clone(), app.clone(), |app| async move { measure::all(&app).await }));
    let often = Duration::from_secs(app.options.log_seconds.max(1));
    tokio::spawn(every(often, shutdown.clone(), app.clone(), |app| async move { keep_log::all(&app).await }));
    tokio::spawn(every(Duration::from_secs(600), shutdown.clone(), app.clone(), |app| async move { keep_log::expire(&app).await }));
    tokio::spawn(every(Duration::from_secs(600), shutdown.clone(), app.clone(), |app| async move { tidy::all(&app).await }));
    tokio::spawn(every(Duration::from_secs(3600), shutdown.clone(), app.clone(), |app| async move { left_behind::all(&app).await }));
    tokio::spawn(every(Duration::from_secs(3600), shutdown.clone(), app.clone(), |app| async move { reread::all(&app).await }));
    tokio::spawn(drill::run(app.clone(), shutdown.clone()));
    tokio::spawn(every(Duration::from_secs(600), shutdown.clone(), app.clone(), |app| async move { doctor::all(&app).await }));
    tokio::spawn(every(complete::period(app), shutdown.clone(), app.clone(), |app| async move { complete::all(&app).await }));
    tokio::spawn(overdue::run(app.clone(), shutdown.clone()));
    tokio::spawn(every(Duration::from_secs(15), shutdown.clone(), app.clone(), |app| async move { lock::newest(&app).await }));
    tokio::spawn(every(Duration::from_secs(600), shutdown.clone(), app.clone(), |app| async move { lock::all(&app).await }));
    tokio::spawn(every(Duration::from_secs(3600), shutdown.clone(), app.clone(), |app| async move { deliver::forget(&app).await }));
    let people = |app: Arc<App>| async move { crate::people::forget(&app).await };
    tokio::spawn(every(Duration::from_secs(3600), shutdown.clone(), app.clone(), people));
}

/// A failed activation is logged and tried again at the next period.
async fn every<F, R>(period: Duration, shutdown: CancellationToken, app: Arc<App>, activate: F)
where
    F: Fn(Arc<App>) -> R,
    R: Future<Output = mainstay_model::Result<()>>,
{
    let mut tick = tokio::time::interval(period);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = tick.tick() => if let Err(e) = activate(app.clone()).await {
                tracing::warn!(inside = e.inside, "a standing task failed and is tried again: {e}");
            },
        }
    }
}
