//! `mainstay group …`

use super::cluster::id_in;
use crate::{
    args::group::{self as args, Verb},
    exit::{Exit, Failure, Outcome},
    output::{Row, Show, bytes, card, clean, grid, local, note, or_dash, word, yes_no},
    session::{Ask, Session, nothing},
};
use mainstay_api_types::{CreateBackup, CreateGroup, Group, GroupBackup, PatchGroup, RestoreGroup};
use mainstay_client::segment;
use mainstay_model::{Error, group::GroupBackupStatus};

/// What a group backup's id begins with; no name of a group looks like one.
const BACKUP: &str = "gb_";

pub async fn run(s: &Session, verb: Verb) -> Outcome {
    match verb {
        Verb::Create { name, members } => create(s, CreateGroup { name, members }).await?,
        Verb::Set(a) => set(s, a).await?,
        Verb::Pin { backup } => pin(s, &backup, "pin").await?,
        Verb::Unpin { backup } => pin(s, &backup, "unpin").await?,
        Verb::List => s.show(&s.list::<Group>("/groups", &[]).await?)?,
        Verb::Show { group } if group.starts_with(BACKUP) => s.show(&whole(s, &group).await?)?,
        Verb::Show { group } => s.show(&s.get::<Group>(path(&group)).await?)?,
        Verb::Backups { group } => s.show(&s.list::<GroupBackup>(format!("{}/backups", path(&group)), &[]).await?)?,
        Verb::Backup(a) => return back_up(s, a).await,
        Verb::Restore(a) => restore(s, a).await?,
        Verb::Delete { group } => delete(s, &group).await?,
    }
    Ok(Exit::Done)
}

fn path(name: &str) -> String {
    format!("/groups/{}", segment(name))
}

async fn whole(s: &Session, id: &str) -> Outcome<GroupBackup> {
    s.get(format!("/group-backups/{}", segment(id))).await
}

async fn create(s: &Session, body: CreateGroup) -> Outcome<()> {
    let would = format!("make a group {} of {}", body.name, body.members.join(", "));
    if let Some(group) = s.at_once::<Group>(Ask::post("/groups", &body), &would).await? {
        s.show(&group)?;
        note(format!("next: mainstay group backup {}", group.name));
    }
    Ok(())
}

/// Of the members as they are now; those that were deleted are no members of the next backup.
async fn set(s: &Session, a: args::Set) -> Outcome<()> {
    let group: Group = s.get(path(&a.name)).await?;
    for name in &a.remove {
        if !group.members.contains(name) {
            return Err(Error::not_found("member", name).into());
        }
    }
    let kept = group.members.into_iter().filter(|m| !a.remove.contains(m));
    let members: Vec<String> = kept.chain(a.add).collect();
    let would = format!("make {} the members of group {}", members.join(", "), group.name);
    let ask = Ask::patch(path(&a.name), &PatchGroup { members: Some(members) });
    if let Some(group) = s.at_once::<Group>(ask, &would).await? {
        s.show(&group)?;
        note(format!("next: mainstay group backup {}", group.name));
    }
    Ok(())
}

async fn pin(s: &Session, id: &str, verb: &str) -> Outcome<()> {
    let ask = Ask::post(format!("/group-backups/{}/{verb}", segment(id)), &nothing());
    if let Some(whole) = s.at_once::<GroupBackup>(ask, &format!("{verb} every part of {id}")).await? {
        s.show(&whole)?;
    }
    Ok(())
}

async fn back_up(s: &Session, a: args::Backup) -> Outcome {
    let body = CreateBackup {
        description: a.description,
        retention_days: a.retention_days,
        keep: a.keep,
        storages: a.storages,
        copy_retention: a.copy_retention.into_iter().collect(),
        ..Default::default()
    };
    let Some(o) = s.perform(Ask::post(format!("{}/backups", path(&a.group)), &body)).await? else { return Ok(Exit::Done) };
    let made = whole(s, id_in(&o, "group_backup", "")).await?;
    s.show(&made)?;
    if made.status != GroupBackupStatus::Completed {
        let why = made.error.clone().unwrap_or_else(|| "not every part is complete".into());
        return Err(Failure::new(Exit::Failed, format!("group backup {} ended {}: {why}", made.id, word(&made.status))));
    }
    note(format!("next: mainstay group restore {} --in-place", made.id));
    Ok(Exit::Done)
}

async fn restore(s: &Session, a: args::Restore) -> Outcome<()> {
    let made = whole(s, &a.backup).await?;
    let confirm = a.in_place.then(|| made.group.clone());
    let body = RestoreGroup { in_place: a.in_place, new_suffix: a.new_suffix, confirm };
    let ask = Ask::post(format!("/group-backups/{}/restore", segment(&a.backup)), &body);
    if a.in_place {
        s.confirm(&ask, &made.group).await?;
    }
    if s.perform(ask).await?.is_some() {
        s.show(&made)?;
        note("every member is at the point of this backup; `mainstay restore list` shows the restores");
    }
    Ok(())
}

async fn delete(s: &Session, name: &str) -> Outcome<()> {
    let group: Group = s.get(path(name)).await?;
    let would = format!("forget group {name}");
    if s.at_once::<serde_json::Value>(Ask::delete(path(name), &nothing()), &would).await?.is_some() {
        s.show(&group)?;
        note(format!("group {} is forgotten; its backups stay with their clusters", group.name));
    }
    Ok(())
}

impl Row for Group {
    const NONE: &'static str = "no groups; make one with `mainstay group create NAME CLUSTER CLUSTER`";
    const HEADER: &'static [&'static str] = &["name", "members", "last backup", "status", "created"];
    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.members.join(", "),
            or_dash(self.last_backup.as_ref().map(|b| b.created_at), local),
            self.last_backup.as_ref().map_or("-".into(), |b| word(&b.status)),
            local(self.created_at),
        ]
    }
}

impl Show for Group {
    fn people(&self) -> String {
        let mut fields = vec![
            ("name", self.name.clone()),
            ("id", self.id.clone()),
            ("members", self.members.join(", ")),
            ("created", local(self.created_at)),
        ];
        if (self.members.len() as u64) < self.size {
            fields.push(("missing", format!("{} of {} members were deleted", self.size - self.members.len() as u64, self.size)));
        }
        let mut text = card(&fields);
        match &self.last_backup {
            Some(backup) => text.push_str(&format!("\n\nNewest backup:\n{}", backup.people())),
            None => text.push_str(&format!("\n\nNever backed up as a whole; mainstay group backup {}", self.name)),
        }
        text
    }
}

impl Row for GroupBackup {
    const NONE: &'static str = "no backups of this group";
    const HEADER: &'static [&'static str] = &["id", "group", "status", "restorable", "parts", "created", "description"];
    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.group.clone(),
            word(&self.status),
            yes_no(self.restorable),
            self.parts.iter().map(|p| p.cluster.clone()).collect::<Vec<_>>().join(", "),
            local(self.created_at),
            clean(&self.description),
        ]
    }
}

impl Show for GroupBackup {
    fn people(&self) -> String {
        let mut fields = vec![
            ("id", self.id.clone()),
            ("group", self.group.clone()),
            ("status", word(&self.status)),
            ("restorable", yes_no(self.restorable)),
            ("pinned", yes_no(self.pinned)),
            ("description", clean(&self.description)),
            ("created", local(self.created_at)),
            ("finished", or_dash(self.finished_at, local)),
        ];
        fields.extend(self.error.as_deref().map(|e| ("error", clean(e))));
        let part = |p: &mainstay_api_types::GroupPart| match &p.backup {
            Some(b) => {
                let position = b.position.clone().unwrap_or_else(|| "-".into());
                vec![p.cluster.clone(), p.backup_id.clone(), word(&b.status), word(&b.proof), or_dash(b.data_bytes, bytes), position]
            }
            None => vec![p.cluster.clone(), p.backup_id.clone(), "deleted".into(), "-".into(), "-".into(), "-".into()],
        };
        let parts = grid(&["cluster", "backup", "status", "proof", "size", "position"], self.parts.iter().map(part));
        format!("{}\n\n{parts}", card(&fields))
    }
}
