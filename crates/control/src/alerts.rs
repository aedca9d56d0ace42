//! Alerts: conditions that hold now.
//!
//! Whoever looks says what holds, as often as it likes; an alert is raised when that is new and
//! cleared when it is over, and people are told of these two moments only.

use crate::{Actor, App, notices, plan::notices::Draft};
use mainstay_model::{
    AlertId, Error, NotifierId, ProjectId, Result, Time,
    alert::{Alert, AlertKind, Condition},
    notice::NoticeKind,
};
use mainstay_operations::Tx;
use mainstay_store::{self as store, Page, Paging, alerts::AlertFilter};
use std::collections::{HashMap, HashSet};

/// Notes that a condition holds.
pub async fn hold(tx: &mut Tx, now: Time, condition: &Condition) -> Result<()> {
    match store::alerts::open(tx, condition.kind, &condition.object).await? {
        Some(alert) if alert.condition == *condition => Ok(()),
        // The same, said otherwise: no news.
        Some(alert) => store::alerts::update(tx, &Alert { condition: condition.clone(), ..alert }).await,
        None => {
            let alert = Alert {
                id: AlertId::new(),
                condition: condition.clone(),
                raised_at: now,
                acknowledged_at: None,
                acknowledged_by: None,
                cleared_at: None,
            };
            tracing::warn!("alert {} raised: {}", alert.condition.kind.as_str(), alert.condition.sentence);
            store::alerts::insert(tx, &alert).await?;
            tell(tx, &alert, condition.kind.notice(), now).await
        }
    }
}

/// Notes that a condition does not hold.
pub async fn over(tx: &mut Tx, now: Time, kind: AlertKind, object: &str) -> Result<()> {
    let Some(alert) = store::alerts::open(tx, kind, object).await? else { return Ok(()) };
    let alert = Alert { cleared_at: Some(now), ..alert };
    tracing::info!("alert {} cleared: {}", alert.condition.kind.as_str(), alert.condition.sentence);
    store::alerts::update(tx, &alert).await?;
    tell(tx, &alert, NoticeKind::AlertCleared, now).await
}

async fn tell(tx: &mut Tx, alert: &Alert, kind: NoticeKind, now: Time) -> Result<()> {
    let c = &alert.condition;
    let good = kind == NoticeKind::AlertCleared;
    let what = c.kind.as_str().replace('_', " ");
    let (title, text) = match good {
        true => (format!("{}: no longer {what}", c.object_name), format!("This no longer holds: {}", c.sentence)),
        false => (format!("{}: {what}", c.object_name), c.sentence.clone()),
    };
    let draft = Draft { kind, cluster: c.cluster_name.clone(), object_kind: "alert", object: alert.id.to_string(), good, title, text };
    notices::post(tx, &notices::notice(&c.project, draft, now), NotifierId::parse(&c.object).as_ref()).await
}

/// What makes two conditions one.
fn key(c: &Condition) -> (AlertKind, &str) {
    (c.kind, c.object.as_str())
}

/// Makes the open alerts of these kinds what holds. Nothing is written where nothing changes.
pub async fn settle(app: &App, kinds: &[AlertKind], holding: &[Condition]) -> Result<()> {
    let open = store::alerts::all_open(&mut *app.store.read().await?).await?;
    let told: HashMap<_, &Condition> = open.iter().map(|a| (key(&a.condition), &a.condition)).collect();
    let holds: HashSet<_> = holding.iter().map(key).collect();
    let known = |c: &Condition| told.get(&key(c)) == Some(&c);
    let gone = |a: &&Alert| kinds.contains(&a.condition.kind) && !holds.contains(&key(&a.condition));
    let (news, past): (Vec<_>, Vec<_>) = (holding.iter().filter(|c| !known(c)).collect(), open.iter().filter(gone).collect());
    if news.is_empty() && past.is_empty() {
        return Ok(());
    }
    let now = app.now();
    let mut tx = app.store.begin_write().await?;
    for condition in news {
        hold(&mut tx, now, condition).await?;
    }
    for alert in past {
        over(&mut tx, now, alert.condition.kind, &alert.condition.object).await?;
    }
    store::commit(tx).await
}

pub async fn list(app: &App, filter: &AlertFilter, paging: &Paging) -> Result<Page<Alert>> {
    store::alerts::list(&mut *app.store.read().await?, filter, paging).await
}

pub async fn resolve(app: &App, project: &ProjectId, id: &str) -> Result<Alert> {
    let missing = || Error::not_found("alert", id);
    let id = AlertId::parse(id).ok_or_else(missing)?;
    let alert = store::alerts::get(&mut *app.store.read().await?, &id).await?;
    if &alert.condition.project == project { Ok(alert) } else { Err(missing()) }
}

/// Notes that somebody has seen it. It stays until what it tells of is over; a second time changes
/// nothing.
pub async fn acknowledge(app: &App, by: &Actor, alert: &Alert) -> Result<Alert> {
    let mut tx = app.store.begin_write().await?;
    let mut alert = store::alerts::get(&mut tx, &alert.id).await?;
    if alert.acknowledged_at.is_none() {
        (alert.acknowledged_at, alert.acknowledged_by) = (Some(app.now()), Some(by.name.clone()));
        store::alerts::update(&mut tx, &alert).await?;
    }
    store::commit(tx).await?;
    Ok(alert)
}
