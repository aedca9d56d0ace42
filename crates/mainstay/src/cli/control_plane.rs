//! `mainstay backup control-plane`

use crate::{
    exit::{Exit, Failure, Outcome},
    output::{Row, bytes, clean, local, or_dash, yes_no},
    session::{Ask, Session, nothing},
};
use mainstay_api_types::{ControlPlaneBackup, ControlPlaneBackups};
use std::time::Duration;

const PATH: &str = "/system/backups";
/// Between two looks whether it was made.
const TICK: Duration = Duration::from_millis(300);

pub async fn run(s: &Session, now: bool) -> Outcome {
    let found = if now { made(s).await? } else { Some(s.get::<ControlPlaneBackups>(PATH).await?) };
    let Some(ControlPlaneBackups { items }) = found else { return Ok(Exit::Done) };
    s.show(&items)?;
    match items.iter().find_map(|b| Some((b, b.error.as_ref()?))) {
        None => Ok(Exit::Done),
        Some((bad, why)) => Err(Failure::new(Exit::Failed, format!("Mainstay is not backed up into storage {}: {why}", bad.storage))),
    }
}

/// Tried in each storage since it was asked for.
async fn made(s: &Session) -> Outcome<Option<ControlPlaneBackups>> {
    let Some(before) = s.at_once::<ControlPlaneBackups>(Ask::post(PATH, &nothing()), "back up the control plane").await? else {
        return Ok(None);
    };
    let tried = |b: &ControlPlaneBackup| before.items.iter().find(|o| o.storage == b.storage).is_none_or(|o| o.tried_at != b.tried_at);
    loop {
        let found = s.get::<ControlPlaneBackups>(PATH).await?;
        if found.items.iter().all(tried) {
            return Ok(Some(found));
        }
        tokio::time::sleep(TICK).await;
    }
}

impl Row for ControlPlaneBackup {
    const NONE: &'static str = "no storage to back Mainstay up into";
    const HEADER: &'static [&'static str] = &["storage", "newest", "size", "late", "last tried", "error"];
    fn cells(&self) -> Vec<String> {
        vec![
            self.storage.clone(),
            or_dash(self.last_at, local),
            or_dash(self.data_bytes, bytes),
            yes_no(self.late),
            or_dash(self.tried_at, local),
            clean(self.error.as_deref().unwrap_or("-")),
        ]
    }
}
