//! `mainstay audit …`

use crate::{
    args::nouns::AuditVerb,
    exit::{Exit, Outcome},
    output::{Row, Show, local},
    session::{Ask, Session, nothing},
};
use mainstay_api_types::{AuditEntry, AuditVerified};

pub async fn run(s: &Session, verb: AuditVerb) -> Outcome {
    match verb {
        AuditVerb::List => s.show(&s.list::<AuditEntry>("/audit", &[]).await?)?,
        AuditVerb::Verify => {
            if let Some(verified) = s.at_once::<AuditVerified>(Ask::post("/audit/verify", &nothing()), "verify the audit").await? {
                s.show(&verified)?;
            }
        }
    }
    Ok(Exit::Done)
}

impl Row for AuditEntry {
    const NONE: &'static str = "no entries";
    const HEADER: &'static [&'static str] = &["at", "who", "from", "action", "object", "result", "detail"];
    fn cells(&self) -> Vec<String> {
        let object =
            self.object_name.as_ref().or(self.object_id.as_ref()).map_or(self.object_kind.clone(), |o| format!("{} {o}", self.object_kind));
        vec![
            local(self.at),
            self.actor.clone(),
            self.from.clone().unwrap_or_else(|| "-".into()),
            self.action.clone(),
            object,
            self.result.clone(),
            self.detail.clone(),
        ]
    }
}

impl Show for AuditVerified {
    fn people(&self) -> String {
        format!("all {} entries are as they were written", self.rows)
    }
}
