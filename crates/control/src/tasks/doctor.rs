//! Looks at every storage once a day, because a storage is asked for most when it is needed most.

use crate::{App, storages};
use mainstay_model::{Result, Time};
use mainstay_store::{self as store, storages::StorageRow};

const DAY_MICROS: i64 = 24 * 3600 * 1_000_000;

/// One after the other: none of it is urgent, and a storage that does not answer takes its time.
pub async fn all(app: &App) -> Result<()> {
    let rows = store::storages::all(&mut *app.store.read().await?).await?;
    for row in rows.iter().filter(|row| due(row, app.now())) {
        // What cannot be looked at is remembered as unwell; only the store's own trouble ends up here.
        match storages::check(app, row).await {
            Ok(report) if report.rows.iter().any(|r| r.failed()) => tracing::warn!("storage {} is unwell", row.name),
            Ok(_) => {}
            Err(e) => tracing::warn!("storage {} could not be looked at: {e}", row.name),
        }
    }
    Ok(())
}

/// Also where the clock was set back.
fn due(row: &StorageRow, now: Time) -> bool {
    row.last_check.as_ref().is_none_or(|l| l.at > now || now.micros() - l.at.micros() >= DAY_MICROS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_model::{Name, ProjectId, StorageId, backup::LastCheck};

    #[test]
    fn once_a_day_and_when_it_was_never_looked_at() {
        let row = |at: Option<i64>| StorageRow {
            id: StorageId::new(),
            project: ProjectId::new(),
            name: Name::parse("local").unwrap(),
            kind: "local".into(),
            region: None,
            place: serde_json::Value::Null,
            created_at: Time(0),
            limits: Default::default(),
            edition: 1,
            followed_by: None,
            last_check: at.map(|at| LastCheck { at: Time(at), ok: true, rows: vec![] }),
        };
        let now = Time(DAY_MICROS * 3);
        assert!(due(&row(None), now) && due(&row(Some(DAY_MICROS * 2)), now));
        assert!(!due(&row(Some(DAY_MICROS * 2 + 1)), now));
        assert!(due(&row(Some(DAY_MICROS * 4)), now), "a look from the future says nothing");
    }
}
