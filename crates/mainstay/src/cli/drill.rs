//! `mainstay backup drills`

use super::cluster;
use crate::{
    exit::{Exit, Outcome},
    output::{Row, local, or_dash, seconds, word},
    session::Session,
};
use mainstay_api_types::DrillRun;
use mainstay_model::{assertion::CHECK, backup::Check};

pub async fn list(s: &Session, name: &str) -> Outcome {
    s.show(&s.list::<DrillRun>(format!("{}/drills", cluster::path(name)), &[]).await?)?;
    Ok(Exit::Done)
}

/// How many of the user's assertions held.
fn held(checks: &[Check]) -> String {
    let asked: Vec<&Check> = checks.iter().filter(|c| c.name.starts_with(CHECK)).collect();
    if asked.is_empty() { "-".into() } else { format!("{} of {}", asked.iter().filter(|c| c.ok).count(), asked.len()) }
}

impl Row for DrillRun {
    const NONE: &'static str = "no drills; make one with `mainstay backup drill BACKUP`";
    const HEADER: &'static [&'static str] = &["at", "backup", "result", "took", "version", "assertions", "reason"];
    fn cells(&self) -> Vec<String> {
        vec![
            local(self.at),
            self.backup.clone(),
            word(&self.result),
            or_dash(self.seconds, seconds),
            self.engine_version.clone(),
            held(&self.checks),
            self.reason.clone().unwrap_or_default(),
        ]
    }
}
