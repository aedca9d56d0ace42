//! The key that `recover` is given: a recovery key, or a recovery kit that names the storages too.

use crate::{
    exit::{Exit, Failure, Outcome},
    output::note,
};
use mainstay_api_types::{AddStorage, Found, FoundBackup, KIT_FORMAT, RecoveryKit};
use mainstay_model::{Error, Secret};
use std::path::Path;

pub struct Key {
    pub key: Secret,
    /// Those of a kit; none where the file is a bare key.
    pub storages: Vec<AddStorage>,
}

/// The text of a key file, which is a restic password file, or a kit.
pub fn read(file: &Path) -> Outcome<Key> {
    let text = std::fs::read_to_string(file).map_err(|e| Error::from(e).context(format!("the key file {}", file.display())))?;
    match text.trim() {
        "" => Err(Failure::usage(format!("the key file {} is empty", file.display()))),
        kit if kit.starts_with('{') => of_kit(kit).map_err(|why| Failure::usage(format!("the recovery kit {} {why}", file.display()))),
        key => Ok(Key { key: Secret::new(key), storages: vec![] }),
    }
}

/// What is wrong with it is said without a word of what it holds.
fn of_kit(text: &str) -> Result<Key, String> {
    let whole: serde_json::Value = serde_json::from_str(text).map_err(|e| format!("cannot be read: line {} is no JSON", e.line()))?;
    match whole["format"].as_str() {
        Some(KIT_FORMAT) => {}
        Some(_) => return Err("is of another version of Mainstay; its fields \"key\" and \"storages\" can be given by hand".into()),
        None => return Err("is none: it has no \"format\"".into()),
    }
    let kit: RecoveryKit =
        serde_json::from_value(whole).map_err(|_| "is damaged: a field of it is missing or of another kind".to_string())?;
    Ok(Key { key: Secret::new(kit.key.trim()), storages: kit.storages })
}

/// What is to come back, where several storages may have it.
pub enum Wanted<'a> {
    ControlPlane,
    Cluster(&'a str),
}

impl Wanted<'_> {
    fn is(&self, found: &Found) -> bool {
        match self {
            Wanted::ControlPlane => found.holds == "control_plane",
            Wanted::Cluster(name) => found.holds == "cluster" && (found.cluster.as_deref() == Some(name) || found.cluster_id == *name),
        }
    }
}

/// Which of the storages to recover from: the one with the newest good backup of what is wanted, or with
/// the one that was named.
pub fn newest(looked: &[(usize, Vec<Found>)], wanted: &Wanted<'_>, backup: Option<&str>) -> Outcome<usize> {
    let fits = |b: &&FoundBackup| b.error.is_none() && backup.map_or(b.doubt.is_none(), |id| b.id == id);
    let best = |found: &[Found]| {
        let backups = found.iter().filter(|f| f.opens && wanted.is(f)).flat_map(|f| &f.backups);
        backups.filter(fits).map(|b| b.created_at).max()
    };
    // Of equal ones the first, as the kit lists them.
    let mut chosen = None;
    for (at, found) in looked {
        let Some(made) = best(found) else { continue };
        if chosen.is_none_or(|(_, newest)| made > newest) {
            chosen = Some((*at, made));
        }
    }
    chosen.map(|(at, _)| at).ok_or_else(|| {
        let what = match wanted {
            Wanted::ControlPlane => "a copy of the control plane".to_string(),
            Wanted::Cluster(name) => format!("a backup of a cluster {}", mainstay_model::error::shown(name)),
        };
        Failure::new(Exit::NotFound, format!("no storage of the kit that could be looked into holds {what} that this key opens"))
    })
}

/// One that cannot be looked into is told and left out.
pub fn left_out(name: &str, why: &Failure) {
    note(format!("storage {name} is left out: {}", why.message));
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_model::Time;

    fn found(holds: &str, cluster: &str, made: &[(i64, bool)]) -> Found {
        let backup = |(at, good): &(i64, bool)| FoundBackup {
            id: format!("bk_{at}"),
            kind: "manual".into(),
            description: String::new(),
            created_at: Time(*at),
            engine_version: "1".into(),
            data_bytes: 1,
            snapshot: "s".into(),
            error: (!good).then(|| "torn".into()),
            doubt: None,
        };
        Found {
            holds: holds.into(),
            cluster: Some(cluster.into()),
            cluster_id: format!("cl_{cluster}"),
            project_id: "pr_1".into(),
            edition: 1,
            engine: None,
            engine_version: None,
            opens: true,
            error: None,
            backups: made.iter().map(backup).collect(),
            storage: None,
        }
    }

    #[test]
    fn the_newest_good_one_decides() {
        let looked = [
            (0, vec![found("cluster", "shop", &[(5, true)]), found("control_plane", "control-plane", &[(9, false), (3, true)])]),
            (2, vec![found("cluster", "shop", &[(8, false), (7, true)]), found("control_plane", "control-plane", &[(3, true)])]),
        ];
        let of = |wanted: Wanted<'_>, backup| newest(&looked, &wanted, backup).map_err(|f| f.exit as i32);
        assert_eq!(of(Wanted::Cluster("shop"), None), Ok(2));
        assert_eq!(of(Wanted::Cluster("cl_shop"), Some("bk_5")), Ok(0));
        assert_eq!(of(Wanted::ControlPlane, None), Ok(0));
        assert_eq!(of(Wanted::Cluster("other"), None), Err(Exit::NotFound as i32));
        assert_eq!(of(Wanted::Cluster("shop"), Some("bk_8")), Err(Exit::NotFound as i32));
    }

    #[test]
    fn what_is_wrong_with_a_kit_is_said_without_what_it_holds() {
        let good = serde_json::json!({ "format": KIT_FORMAT, "project": "p", "made_at": "2026-01-01T00:00:00Z", "read_me": [], "key": " k ",
            "storages": [{ "name": "far", "kind": "s3", "secret_key": "hidden" }], "borg": [], "by_hand": [] });
        let read = of_kit(&good.to_string()).unwrap();
        assert_eq!((read.key.reveal(), read.storages[0].name.as_str()), ("k", "far"));
        for bad in ["{", "{}", r#"{"format":"mainstay-recovery-kit/9"}"#, r#"{"format":"mainstay-recovery-kit/1","key":"hidden"}"#] {
            let why = of_kit(bad).err().unwrap();
            assert!(!why.contains("hidden"), "{why}");
        }
    }
}
