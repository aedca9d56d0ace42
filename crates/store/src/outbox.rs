//! The outbox: notices on their way, written in the transaction that changes what they tell of.
//!
//! A notice that is here was not lost, and one whose change was rolled back is not here. Each
//! notifier has a row of its own for each notice, and works through its own rows in their order.

use crate::{doc, error::error};
use mainstay_model::{Error, NoticeId, NotifierId, Result, Time, notice::Notice};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    Pending,
    Delivered,
    /// Given up.
    Dead,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    pub notifier: NotifierId,
    pub notice: Notice,
    pub status: DeliveryStatus,
    pub tries: u32,
    /// Of the newest try, where it failed.
    pub error: Option<String>,
    pub ended_at: Option<Time>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub pending: i64,
    pub dead: i64,
}

/// A second time it changes nothing.
pub async fn add(conn: &mut AnyConnection, notifier: &NotifierId, notice: &Notice) -> Result<()> {
    let delivery = Delivery {
        notifier: notifier.clone(),
        notice: notice.clone(),
        status: DeliveryStatus::Pending,
        tries: 0,
        error: None,
        ended_at: None,
    };
    let sql = "INSERT INTO outbox (notifier, notice, status, created_at, ended_at, doc) VALUES ($1, $2, $3, $4, NULL, $5) \
               ON CONFLICT (notifier, notice) DO NOTHING";
    sqlx::query(sql)
        .bind(notifier.as_str())
        .bind(notice.id.as_str())
        .bind(doc::word(&delivery.status)?)
        .bind(notice.at.micros())
        .bind(doc::write(&delivery)?)
        .execute(conn)
        .await
        .map(drop)
        .map_err(error)
}

/// What is to be delivered next.
pub async fn head(conn: &mut AnyConnection, notifier: &NotifierId) -> Result<Option<Delivery>> {
    let sql = "SELECT doc FROM outbox WHERE notifier = $1 AND status = 'pending' ORDER BY notice LIMIT 1";
    let row = sqlx::query(sql).bind(notifier.as_str()).fetch_optional(conn).await.map_err(error)?;
    row.as_ref().map(doc::read).transpose()
}

pub async fn get(conn: &mut AnyConnection, notifier: &NotifierId, notice: &NoticeId) -> Result<Delivery> {
    let select = sqlx::query("SELECT doc FROM outbox WHERE notifier = $1 AND notice = $2").bind(notifier.as_str()).bind(notice.as_str());
    let row = select.fetch_optional(conn).await.map_err(error)?;
    doc::read(&row.ok_or_else(|| Error::not_found("delivery", notice.as_str()))?)
}

pub async fn update(conn: &mut AnyConnection, delivery: &Delivery) -> Result<()> {
    let sql = "UPDATE outbox SET status = $3, ended_at = $4, doc = $5 WHERE notifier = $1 AND notice = $2";
    let done = sqlx::query(sql)
        .bind(delivery.notifier.as_str())
        .bind(delivery.notice.id.as_str())
        .bind(doc::word(&delivery.status)?)
        .bind(delivery.ended_at.map(Time::micros))
        .bind(doc::write(delivery)?)
        .execute(conn)
        .await
        .map_err(error)?;
    if done.rows_affected() == 0 { Err(Error::not_found("delivery", delivery.notice.id.as_str())) } else { Ok(()) }
}

/// What did not arrive, newest first.
pub async fn undelivered(conn: &mut AnyConnection, notifier: &NotifierId, limit: i64) -> Result<Vec<Delivery>> {
    let sql = "SELECT doc FROM outbox WHERE notifier = $1 AND status IN ('pending', 'dead') ORDER BY notice DESC LIMIT $2";
    doc::read_all(&sqlx::query(sql).bind(notifier.as_str()).bind(limit).fetch_all(conn).await.map_err(error)?)
}

pub async fn counts(conn: &mut AnyConnection, notifier: &NotifierId) -> Result<Counts> {
    let sql = "SELECT status, count(*) FROM outbox WHERE notifier = $1 AND status IN ('pending', 'dead') GROUP BY status";
    let mut counts = Counts::default();
    for row in sqlx::query(sql).bind(notifier.as_str()).fetch_all(conn).await.map_err(error)? {
        let count: i64 = row.try_get(1).map_err(error)?;
        match row.try_get::<&str, _>(0).map_err(error)? {
            "pending" => counts.pending = count,
            _ => counts.dead = count,
        }
    }
    Ok(counts)
}

/// Forgets what was delivered, or given up, before an instant.
pub async fn prune(conn: &mut AnyConnection, before: Time) -> Result<u64> {
    let delete = sqlx::query("DELETE FROM outbox WHERE ended_at IS NOT NULL AND ended_at < $1").bind(before.micros());
    Ok(delete.execute(conn).await.map_err(error)?.rows_affected())
}
