//! Delivers what the outbox holds, at least once.
//!
//! Each notifier is served by itself and in order: one that hangs, refuses or is gone delays neither
//! the others nor anything it reports. A message is marked as delivered after it was, so that
//! whatever dies in between, it is sent again, under the same id.

use crate::{
    App, alerts, notifiers,
    plan::delivery::{self, Next},
};
use mainstay_model::{
    Error, Kind, NotifierId, Result,
    alert::{AlertKind, Condition},
};
use mainstay_store::{
    self as store,
    notifiers::{Failing, NotifierRow},
    outbox::{Delivery, DeliveryStatus},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PERIOD: Duration = Duration::from_secs(1);
/// Longer than any channel's own limit.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(60);
/// How long what was delivered or given up is remembered.
const REMEMBERED_DAYS: i64 = 14;
const CLEARED_ALERTS_DAYS: i64 = 90;

pub async fn run(app: Arc<App>, shutdown: CancellationToken) {
    let mut at_work: HashMap<NotifierId, JoinHandle<()>> = HashMap::new();
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = tick.tick() => {}
        }
        at_work.retain(|_, task| !task.is_finished());
        match due(&app).await {
            Ok(ids) => {
                for id in ids.into_iter().filter(|id| !at_work.contains_key(id)).collect::<Vec<_>>() {
                    at_work.insert(id.clone(), tokio::spawn(drain(app.clone(), id)));
                }
            }
            Err(e) => tracing::warn!(inside = e.inside, "the outbox could not be looked at: {e}"),
        }
    }
    // What was on its way is sent again by the next start.
    at_work.into_values().for_each(|task| task.abort());
}

/// Works through everything that is due now.
pub async fn once(app: &Arc<App>) -> Result<()> {
    let tasks: Vec<_> = due(app).await?.into_iter().map(|id| tokio::spawn(drain(app.clone(), id))).collect();
    for task in tasks {
        task.await.map_err(Error::internal)?;
    }
    Ok(())
}

/// Forgets what is long over.
pub async fn forget(app: &App) -> Result<()> {
    let mut tx = app.store.begin_write().await?;
    store::outbox::prune(&mut tx, app.now().plus_days(-REMEMBERED_DAYS)).await?;
    store::alerts::prune(&mut tx, app.now().plus_days(-CLEARED_ALERTS_DAYS)).await?;
    store::commit(tx).await
}

async fn due(app: &App) -> Result<Vec<NotifierId>> {
    let waiting = store::notifiers::waiting(&mut *app.store.read().await?).await?;
    Ok(waiting.into_iter().filter(|row| is_due(app, row)).map(|row| row.id).collect())
}

fn is_due(app: &App, row: &NotifierRow) -> bool {
    row.enabled && row.failing.as_ref().is_none_or(|f| f.next_at <= app.now())
}

async fn drain(app: Arc<App>, id: NotifierId) {
    loop {
        match next(&app, &id).await {
            Ok(true) => {}
            Ok(false) => return,
            // Removed meanwhile.
            Err(e) if e.kind == Kind::NotFound => return,
            Err(e) => return tracing::warn!(inside = e.inside, "what became of a message to notifier {id} was not noted: {e}"),
        }
    }
}

/// Sends one notifier's next message. `false`: nothing more is due.
async fn next(app: &App, id: &NotifierId) -> Result<bool> {
    let (row, head) = {
        let mut conn = app.store.read().await?;
        (store::notifiers::get(&mut conn, id).await?, store::outbox::head(&mut conn, id).await?)
    };
    let Some(delivery) = head.filter(|_| is_due(app, &row)) else { return Ok(false) };
    let sent = match notifiers::open(app, id).await {
        Ok(notifier) => match tokio::time::timeout(GIVEN_UP_AFTER, notifier.send(&delivery.notice, app.now())).await {
            Ok(sent) => sent,
            Err(_) => Err(Error::timed_out(format!("no end within {} s", GIVEN_UP_AFTER.as_secs()))),
        },
        Err(e) => Err(e),
    };
    note(app, delivery, sent).await?;
    Ok(true)
}

async fn note(app: &App, mut delivery: Delivery, sent: Result<String>) -> Result<()> {
    let now = app.now();
    let mut tx = app.store.begin_write().await?;
    let mut row = store::notifiers::get(&mut tx, &delivery.notifier).await?;
    delivery.tries += 1;
    match sent {
        Ok(_) => {
            (delivery.status, delivery.ended_at, delivery.error) = (DeliveryStatus::Delivered, Some(now), None);
            (row.delivered_at, row.failing) = (Some(now), None);
            alerts::over(&mut tx, now, AlertKind::NotifierUnwell, row.id.as_str()).await?;
        }
        Err(e) => {
            let (since, failures) = row.failing.as_ref().map_or((now, 1), |f| (f.since, f.failures.saturating_add(1)));
            let next_at = match delivery::after_failure(&delivery.notice, delivery.tries, failures, e.is_transient(), now) {
                Next::Again(at) => at,
                Next::GiveUp => {
                    (delivery.status, delivery.ended_at) = (DeliveryStatus::Dead, Some(now));
                    now
                }
            };
            tracing::warn!(
                inside = e.inside,
                "notifier {} did not take message {} ({} tries): {e}",
                row.name,
                delivery.notice.id,
                delivery.tries
            );
            delivery.error = Some(e.message.clone());
            row.failing = Some(Failing { since, failures, error: e.message, next_at });
            if failures >= delivery::TROUBLE || delivery.status == DeliveryStatus::Dead {
                alerts::hold(&mut tx, now, &unwell(&row)).await?;
            }
        }
    }
    store::outbox::update(&mut tx, &delivery).await?;
    store::notifiers::update(&mut tx, &row).await?;
    store::commit(tx).await
}

fn unwell(row: &NotifierRow) -> Condition {
    let failing = row.failing.as_ref();
    let since = failing.map(|f| f.since.to_string()).unwrap_or_default();
    let why = failing.map(|f| f.error.clone()).unwrap_or_default();
    Condition {
        project: row.project.clone(),
        kind: AlertKind::NotifierUnwell,
        object_kind: "notifier".into(),
        object: row.id.to_string(),
        object_name: row.name.to_string(),
        cluster: None,
        cluster_name: None,
        sentence: format!("messages to notifier {} have not arrived since {since}: {why}", row.name),
    }
}
