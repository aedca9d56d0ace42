//! `mainstay backup drills`

use super::cluster;
use crate::{
    exit::{Exit, Outcome},
    output::{Row, local, or_dash, seconds, word},
    session::Session,
};
use mainstay_api_types::DrillRun;

pub async fn list(s: &Session, name: &str) -> Outcome {
    s.show(&s.list::<DrillRun>(format!("{}/drills", cluster::path(name)), &[]).await?)?;
    Ok(Exit::Done)
}

impl Row for DrillRun {
    const NONE: &'static str = "no drills; make one with `mainstay backup drill BACKUP`";
    const HEADER: &'static [&'static str] = &["at", "backup", "result", "took", "version", "reason"];
    fn cells(&self) -> Vec<String> {
        vec![
            local(self.at),
            self.backup.clone(),
            word(&self.result),
            or_dash(self.seconds, seconds),
            self.engine_version.clone(),
            self.reason.clone().unwrap_or_default(),
        ]
    }
}
