//! `mainstay audit …`

use crate::{
    args::nouns::{AuditFilters, AuditVerb},
    exit::{Exit, Failure, Outcome},
    output::{Row, Show, local, note},
    session::{Ask, Session, nothing},
};
use futures::StreamExt;
use mainstay_api_types::{AuditEntry, AuditVerified};
use std::path::Path;

pub async fn run(s: &Session, verb: AuditVerb) -> Outcome {
    match verb {
        AuditVerb::List(filters) => s.show(&s.list::<AuditEntry>("/audit", &query(&filters)).await?)?,
        AuditVerb::Export { file, format, filters } => export(s, &file, &format, &filters).await?,
        AuditVerb::Verify => {
            if let Some(verified) = s.at_once::<AuditVerified>(Ask::post("/audit/verify", &nothing()), "verify the audit").await? {
                s.show(&verified)?;
            }
        }
    }
    Ok(Exit::Done)
}

fn query(f: &AuditFilters) -> Vec<(&str, &str)> {
    let pairs = [
        ("actor", &f.actor),
        ("action", &f.action),
        ("object", &f.object),
        ("result", &f.result),
        ("from", &f.from),
        ("since", &f.since),
        ("until", &f.until),
    ];
    pairs.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect()
}

async fn export(s: &Session, file: &Path, format: &str, filters: &AuditFilters) -> Outcome<()> {
    if file.exists() && !s.common.yes {
        return Err(Failure::usage(format!("{} exists already; --yes replaces it", file.display())));
    }
    if s.is_dry_run() {
        note(format!("would write the audit to {}", file.display()));
        return Ok(());
    }
    let query = [query(filters), vec![("format", format)]].concat();
    let (mut stream, ..) = s.heard(s.client.download("/audit/export", &s.with(&query)).await)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    crate::process::data_dir::write_secret(&Path::new(".").join(file), &bytes).map_err(|e| e.context(file.display()))?;
    note(format!("wrote {} bytes to {}", bytes.len(), file.display()));
    Ok(())
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
