//! `mainstay backup …`

use super::{
    cluster::{self, id_in},
    control_plane, download,
};
use crate::{
    args::backup::{Copy, Create, Verb},
    exit::{Exit, Failure, Outcome},
    output::{Format, Row, Show, bytes, card, clean, grid, local, note, or_dash, seconds, word, yes_no},
    session::{Ask, Session, nothing},
};
use mainstay_api_types::{Backup, Commands, Confirm, CopyBackup, CopyCommands, CreateBackup};
use mainstay_client::segment;
use mainstay_model::backup::BackupStatus;

pub async fn run(s: &Session, verb: Verb) -> Outcome {
    match verb {
        Verb::Create(a) => create(s, a).await,
        Verb::List { cluster, status, kind } => list(s, cluster, &[("status", status), ("kind", kind)]).await,
        Verb::Show(a) => show(s, &a.backup).await,
        Verb::Verify(a) => prove(s, &a.backup, "verify").await,
        Verb::Drill(a) => prove(s, &a.backup, "drill").await,
        Verb::Drills { cluster } => super::drill::list(s, &cluster).await,
        Verb::Download(a) => download::run(s, a).await,
        Verb::Delete(a) => delete(s, &a.backup).await,
        Verb::Undelete(a) => pin(s, &a.backup, "undelete").await,
        Verb::Pin(a) => pin(s, &a.backup, "pin").await,
        Verb::Copy(a) => copy(s, a).await,
        Verb::Unpin(a) => pin(s, &a.backup, "unpin").await,
        Verb::ControlPlane { now } => control_plane::run(s, now).await,
    }
}

pub fn path(id: &str) -> String {
    format!("/backups/{}", segment(id))
}

async fn get(s: &Session, id: &str) -> Outcome<Backup> {
    s.get(path(id)).await
}

async fn list(s: &Session, cluster: Option<String>, filters: &[(&str, Option<String>)]) -> Outcome {
    let path = cluster.map_or("/backups".into(), |c| format!("{}/backups", cluster::path(&c)));
    let filters: Vec<(&str, &str)> = filters.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
    s.show(&s.list::<Backup>(path, &filters).await?)?;
    Ok(Exit::Done)
}

async fn show(s: &Session, id: &str) -> Outcome {
    let backup = get(s, id).await?;
    s.show(&backup)?;
    if s.format() == Format::Table && backup.copies.iter().any(|c| c.snapshot.is_some()) {
        let commands: Commands = s.get(format!("{}/commands", path(id))).await?;
        crate::output::write(&format!("\n{}", commands.people()))?;
    }
    Ok(Exit::Done)
}

async fn create(s: &Session, a: Create) -> Outcome {
    let body = CreateBackup {
        description: a.description,
        retention_days: a.retention_days,
        keep: a.keep,
        storages: a.storages,
        dual_region: a.dual_region,
        copy_retention: a.copy_retention.into_iter().collect(),
    };
    let ask = Ask::post(format!("{}/backups", cluster::path(&a.cluster)), &body);
    let Some(o) = s.perform(ask).await? else { return Ok(Exit::Done) };
    let backup = get(s, id_in(&o, "backup", "")).await?;
    s.show(&backup)?;
    if backup.status != BackupStatus::Completed {
        let why = backup.error.clone().unwrap_or_else(|| copies_at_fault(&backup));
        return Err(Failure::new(Exit::Failed, format!("backup {} ended {}: {why}", backup.id, word(&backup.status))));
    }
    note(format!("next: mainstay restore plan {} --to {}", backup.id, backup.cluster));
    Ok(Exit::Done)
}

async fn copy(s: &Session, a: Copy) -> Outcome {
    let ask = Ask::post(format!("{}/copies", path(&a.backup)), &CopyBackup { storage: a.storage });
    let Some(o) = s.perform(ask).await? else { return Ok(Exit::Done) };
    s.show(&get(s, id_in(&o, "backup", &a.backup)).await?)?;
    Ok(Exit::Done)
}

fn copies_at_fault(b: &Backup) -> String {
    let bad = b.copies.iter().filter(|c| !matches!(c.status, BackupStatus::Completed | BackupStatus::Deleting | BackupStatus::Expired));
    bad.map(|c| format!("storage {}: {}", c.storage, c.error.as_deref().unwrap_or("not completed"))).collect::<Vec<_>>().join("; ")
}

async fn prove(s: &Session, id: &str, verb: &str) -> Outcome {
    let ask = Ask::post(format!("{}/{verb}", path(id)), &nothing());
    let Some(o) = s.perform(ask).await? else { return Ok(Exit::Done) };
    s.show(&get(s, id_in(&o, "backup", id)).await?)?;
    Ok(Exit::Done)
}

async fn delete(s: &Session, id: &str) -> Outcome {
    let backup = get(s, id).await?;
    let ask = Ask::delete(path(id), &Confirm { confirm: Some(backup.id.clone()) });
    s.confirm(&ask, &backup.id).await?;
    if s.perform(ask).await?.is_some() {
        s.show(&backup)?;
        note(format!("backup {} is deleted", backup.id));
    }
    Ok(Exit::Done)
}

async fn pin(s: &Session, id: &str, verb: &str) -> Outcome {
    let ask = Ask::post(format!("{}/{verb}", path(id)), &nothing());
    if let Some(backup) = s.at_once::<Backup>(ask, &format!("{verb} backup {id}")).await? {
        s.show(&backup)?;
    }
    Ok(Exit::Done)
}

impl Row for Backup {
    const NONE: &'static str = "no backups; make one with `mainstay backup create CLUSTER`";
    const HEADER: &'static [&'static str] = &["id", "cluster", "kind", "status", "proof", "size", "created", "expires", "description"];
    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.cluster.clone(),
            word(&self.kind),
            word(&self.status),
            word(&self.proof),
            or_dash(self.data_bytes, bytes),
            local(self.created_at),
            or_dash(self.expires_at, local),
            self.description.clone(),
        ]
    }
}

impl Show for Backup {
    fn people(&self) -> String {
        let took = self.finished_at.map(|t| t.seconds_since(self.created_at));
        let mut fields = vec![
            ("id", self.id.clone()),
            ("cluster", self.cluster.clone()),
            ("description", self.description.clone()),
            ("kind", format!("{} ({})", word(&self.kind), self.method)),
            ("status", word(&self.status)),
            ("proof", word(&self.proof)),
            ("engine", format!("{} {}", self.engine, self.engine_version)),
            ("position", self.position.clone().unwrap_or_else(|| "-".into())),
            ("size", or_dash(self.data_bytes, bytes)),
            ("created", local(self.created_at)),
            ("took", or_dash(took, seconds)),
            ("kept", self.keep_reason.clone()),
            ("expires", or_dash(self.expires_at, local)),
            ("pinned", yes_no(self.pinned)),
        ];
        fields.extend(self.group_backup.clone().map(|g| ("part of", g)));
        fields.extend(self.deleting_until.map(|t| ("undo until", local(t))));
        fields.extend(self.drill.as_ref().map(|d| {
            let how = if d.ok { "restored" } else { "failed" };
            ("last drill", format!("{how} in {} at {}", seconds(d.seconds), local(d.at)))
        }));
        fields.extend(self.error.clone().map(|e| ("error", e)));
        let copy = |c: &mainstay_api_types::BackupCopy| {
            let unlocked = c.lock_error.as_ref().map(|e| format!("; not locked: {e}")).unwrap_or_default();
            let why = c.error.as_ref().or(c.keep_reason.as_ref()).map(|e| format!(": {e}")).unwrap_or_default() + &unlocked;
            let status = format!("{}{why}", word(&c.status));
            let snapshot = c.snapshot.as_deref().map_or("-".into(), |s| s.chars().take(12).collect());
            vec![
                c.storage.clone(),
                status,
                or_dash(c.added_bytes, bytes),
                or_dash(c.verified_at, local),
                or_dash(c.locked_until, local),
                or_dash(c.expires_at, local),
                snapshot,
            ]
        };
        let copies =
            grid(&["copy in", "status", "added", "verified", "locked until", "kept until", "snapshot"], self.copies.iter().map(copy));
        let check = |c: &mainstay_model::backup::Check| vec![c.name.clone(), yes_no(c.ok), c.detail.clone()];
        let checks = if self.checks.is_empty() {
            String::new()
        } else {
            format!("\n\n{}", grid(&["check", "passed", "detail"], self.checks.iter().map(check)))
        };
        format!("{}\n\n{copies}{checks}", card(&fields))
    }
}

fn by_hand(copy: &CopyCommands) -> String {
    let lines = match &copy.error {
        Some(why) => format!("  cannot be said now: {}", clean(why)),
        None => copy.commands.iter().map(|c| format!("  {}", clean(c))).collect::<Vec<_>>().join("\n"),
    };
    format!("Without Mainstay, from storage {}:\n{lines}\n", copy.storage)
}

impl Show for Commands {
    fn people(&self) -> String {
        self.copies.iter().map(by_hand).collect::<Vec<_>>().join("\n")
    }
}
