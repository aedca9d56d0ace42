//! A recovery kit as a document.

use mainstay_api_types as dto;
use mainstay_control::{backups, recovery_kit as kit};
use mainstay_drivers::storage::{PathStyle, Place, StorageSpec};
use mainstay_model::project::Project;
use mainstay_store::storages::StorageRow;

pub fn of(project: &Project, kit: kit::Kit) -> dto::RecoveryKit {
    dto::RecoveryKit {
        format: dto::KIT_FORMAT.into(),
        project: project.name.to_string(),
        made_at: kit.made_at,
        read_me: read_me(),
        key: kit.key.reveal().into(),
        storages: kit.storages.iter().map(|(row, spec)| storage(row, spec)).collect(),
        borg: kit.borg.into_iter().map(borg_key).collect(),
        by_hand: kit.by_hand.into_iter().map(by_hand).collect(),
    }
}

fn read_me() -> Vec<String> {
    [
        "This file opens every backup of the project and logs in to every storage it names: keep it like the databases themselves, and away from their machines.",
        "What the storages hold:            mainstay recover --key THIS-FILE",
        "One cluster, on any machine:       mainstay recover --key THIS-FILE --cluster NAME --as NEW-NAME",
        "Mainstay itself, then its clusters: mainstay recover --key THIS-FILE --control-plane --data-dir DIR, then mainstay up --data-dir DIR",
        "From one storage of it:            the same with --from STORAGE",
        "Without Mainstay: write the text of \"key\" into a file, and type what stands under \"by_hand\" with that file as RECOVERY-KEY-FILE.",
        "It is as old as \"made_at\": storages that were added and keys that were changed since are not in it.",
    ]
    .map(String::from)
    .to_vec()
}

/// As it would be added again.
fn storage(row: &StorageRow, spec: &StorageSpec) -> dto::AddStorage {
    let base = dto::AddStorage {
        name: row.name.to_string(),
        kind: row.kind.clone(),
        region: row.region.clone(),
        bandwidth: row.limits.bandwidth,
        parallel: row.limits.parallel,
        ..Default::default()
    };
    match spec.place.clone() {
        Place::Local { path } | Place::Snapshot { path } => dto::AddStorage { path: Some(path.to_string_lossy().into_owned()), ..base },
        Place::S3(p) => dto::AddStorage {
            endpoint: Some(p.endpoint),
            bucket: Some(p.bucket),
            prefix: Some(p.prefix).filter(|p| !p.is_empty()),
            access_key: Some(p.access_key),
            secret_key: spec.secret.clone(),
            s3_region: p.s3_region,
            path_style: Some(path_style(p.path_style).into()),
            ca: p.ca,
            ..base
        },
        Place::Sftp(p) => dto::AddStorage {
            host: Some(p.host),
            port: Some(p.port),
            user: Some(p.user),
            path: Some(p.path),
            host_key: Some(p.host_key),
            ssh_key: spec.secret.clone(),
            ..base
        },
        Place::Borg(p) => dto::AddStorage { repository: Some(p.repository), host_key: p.host_key, ssh_key: spec.secret.clone(), ..base },
    }
}

fn path_style(style: PathStyle) -> &'static str {
    match style {
        PathStyle::Auto => "auto",
        PathStyle::On => "on",
        PathStyle::Off => "off",
    }
}

fn borg_key(k: kit::BorgKey) -> dto::KitBorgKey {
    let (key_export, error) = match k.export {
        Ok(text) => (Some(text.reveal().to_string()), None),
        Err(e) => (None, Some(e.message)),
    };
    dto::KitBorgKey { storage: k.storage, repository: k.repository, passphrase: k.passphrase.reveal().into(), key_export, error }
}

fn by_hand(h: kit::ByHand) -> dto::KitCommands {
    let copies = h.copies.into_iter().map(commands).collect();
    dto::KitCommands { cluster: h.cluster.to_string(), backup: h.backup.to_string(), made_at: h.made_at, copies }
}

pub fn commands(c: backups::ByHand) -> dto::CopyCommands {
    let (commands, error) = match c.commands {
        Ok(commands) => (commands, None),
        Err(e) => (vec![], Some(e.message)),
    };
    dto::CopyCommands { storage: c.storage, commands, error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_drivers::storage::{BorgPlace, S3Place, SftpPlace};
    use mainstay_model::{Name, ProjectId, Secret, StorageId, Time};

    /// What is in a kit can be added again, and is the same place.
    #[test]
    fn a_storage_comes_back_as_it_was() {
        let s3 = S3Place {
            endpoint: "https://s3.example".into(),
            bucket: "b".into(),
            prefix: String::new(),
            s3_region: None,
            path_style: PathStyle::Off,
            access_key: "A".into(),
            ca: Some("PEM".into()),
        };
        let sftp = SftpPlace { host: "h".into(), port: 2222, user: "u".into(), path: "/p".into(), host_key: "ssh-ed25519 A".into() };
        let borg = BorgPlace { repository: "/srv/borg".into(), host_key: None };
        for place in [Place::Local { path: "/x".into() }, Place::S3(s3), Place::Sftp(sftp), Place::Borg(borg)] {
            let secret = (!matches!(place, Place::Local { .. })).then(|| Secret::new("logs in"));
            let row = StorageRow {
                id: StorageId::new(),
                project: ProjectId::new(),
                name: Name::parse("far").unwrap(),
                kind: place.kind().into(),
                region: Some("here".into()),
                place: serde_json::Value::Null,
                created_at: Time(0),
                limits: Default::default(),
                edition: 1,
                followed_by: None,
                last_check: None,
            };
            let spec = StorageSpec {
                id: row.id.clone(),
                name: "far".into(),
                place: place.clone(),
                secret: secret.clone(),
                limits: Default::default(),
                edition: 1,
            };
            let back = crate::new_storage(storage(&row, &spec)).unwrap();
            assert_eq!((back.place, back.secret, back.region.as_deref()), (place, secret, Some("here")));
        }
    }
}
