//! The recycle bin, and how long backups are kept.

use super::cluster::{get, id_in, path};
use crate::{
    args::cluster::{BackupPolicy, Switch, Undelete},
    exit::{Exit, Outcome},
    output::{Row, Show, card, local, note, or_dash, yes_no},
    session::{Ask, Session},
};
use mainstay_api_types::{Announced, BackupPolicy as Policy, Cluster, Confirm, DeleteCluster, Plan, SetBackupPolicy, UndeleteCluster};
use serde::Serialize;

/// A cluster in the list of the deleted ones.
#[derive(Serialize)]
#[serde(transparent)]
pub struct Deleted(pub Cluster);

impl Row for Deleted {
    const NONE: &'static str = "the recycle bin is empty";
    const HEADER: &'static [&'static str] = &["name", "id", "engine", "version", "deleted", "undo until", "last good backup"];
    fn cells(&self) -> Vec<String> {
        let c = &self.0;
        let until = c.deleted_until.map_or_else(|| c.status_reason.clone().unwrap_or_default(), local);
        vec![
            c.name.clone(),
            c.id.clone(),
            c.engine.clone(),
            c.version.clone(),
            or_dash(c.deleted_at, local),
            until,
            or_dash(c.recoverability.to, local),
        ]
    }
}

pub async fn undelete(s: &Session, a: Undelete) -> Outcome {
    let ask = Ask::post(format!("{}/undelete", path(&a.name)), &UndeleteCluster { r#as: a.as_name.clone() });
    let Some(o) = s.perform(ask).await? else { return Ok(Exit::Done) };
    let cluster = get(s, id_in(&o, "cluster", &a.name)).await?;
    s.show(&cluster)?;
    note(format!("next: mainstay cluster credentials {}", cluster.name));
    Ok(Exit::Done)
}

/// Names are the living's: a deleted one is shown by its id.
pub async fn purge(s: &Session, name: &str) -> Outcome {
    let all = s.list::<Cluster>("/clusters", &[("deleted", "true")]).await?;
    let mut named = all.into_iter().filter(|c| c.deleted_at.is_some() && (c.id == name || c.name == name));
    let typed = named.next().map_or_else(|| name.to_string(), |c| c.name);
    let body = DeleteCluster { now: true, confirm: Some(typed.clone()), ..DeleteCluster::default() };
    let ask = Ask::delete(path(name), &body);
    s.confirm(&ask, &typed).await?;
    let Some(o) = s.perform(ask).await? else { return Ok(Exit::Done) };
    s.show(&get(s, id_in(&o, "cluster", name)).await?)?;
    note(format!("{typed} and its backups are gone"));
    Ok(Exit::Done)
}

pub async fn policy(s: &Session, a: BackupPolicy) -> Outcome {
    let at = format!("{}/backup-policy", path(&a.name));
    let today: Policy = s.get(&at).await?;
    if a.apply {
        return apply(s, &at, &today.cluster).await;
    }
    if a.is_a_look() {
        s.show(&today)?;
        return Ok(Exit::Done);
    }
    let wanted = SetBackupPolicy {
        manual_keep_last: a.manual_keep_last.map_or(today.manual_keep_last, |n| Some(n).filter(|n| *n > 0)),
        manual_limit: a.manual_limit.map_or(today.manual_limit, |on| on == Switch::On),
        min_keep: Some(a.min_keep.unwrap_or(today.min_keep)),
        from: a.from.unwrap_or(today.from),
        confirm: Some(today.cluster.clone()),
    };
    let ask = Ask::put(&at, &wanted);
    let plan: Plan = s.send(&ask, true).await?;
    if s.is_dry_run() {
        s.show(&plan)?;
        return Ok(Exit::Done);
    }
    if plan.summary.len() > 1 {
        note(plan.people());
        s.confirm_shown(&today.cluster).await?;
    }
    s.show(&s.send::<Policy>(&ask, false).await?)?;
    Ok(Exit::Done)
}

async fn apply(s: &Session, at: &str, cluster: &str) -> Outcome {
    let ask = Ask::post(format!("{at}/apply"), &Confirm { confirm: Some(cluster.into()) });
    let plan: Plan = s.send(&ask, true).await?;
    if s.is_dry_run() {
        s.show(&plan)?;
        return Ok(Exit::Done);
    }
    note(plan.people());
    s.confirm_shown(cluster).await?;
    s.show(&s.send::<Announced>(&ask, false).await?)?;
    Ok(Exit::Done)
}

impl Show for Policy {
    fn people(&self) -> String {
        let by_hand = self.manual_keep_last.map_or_else(|| "7 days".into(), |n| format!("the newest {n} completed"));
        let fields = [
            ("cluster", self.cluster.clone()),
            ("made by hand", by_hand),
            ("one an hour", yes_no(self.manual_limit)),
            ("always kept", format!("the newest {} good ones", self.min_keep)),
            ("read from", self.from.as_str().into()),
        ];
        card(&fields)
    }
}

impl Show for Announced {
    fn people(&self) -> String {
        let copies = if self.copies > 0 { format!(", and {} copies of others,", self.copies) } else { String::new() };
        format!(
            "{} backups of {}{copies} are announced as deleted; `mainstay backup undelete` brings one back for 72 hours",
            self.backups, self.cluster
        )
    }
}
