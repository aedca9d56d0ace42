//! `mainstay project recovery-key …`

use crate::{
    args::nouns::RecoveryKey as Wanted,
    exit::{Exit, Failure, Outcome},
    output::{Show, card, clean, grid, local, note, or_dash, yes_no},
    session::{Ask, Session, nothing},
};
use mainstay_api_types::{AddRecoveryKey, Operation, RecoveryKey, RecoveryKeyMade, RecoveryKeys, RecoveryKit};
use mainstay_client::segment;
use mainstay_model::Error;
use serde::Serialize;
use std::{
    io::Write,
    path::{Path, PathBuf},
};

#[derive(Serialize)]
struct KeyWritten {
    project: String,
    file: PathBuf,
}

pub async fn run(s: &Session, a: Wanted) -> Outcome {
    let path = format!("/projects/{}", segment(&a.name));
    if a.list {
        s.show(&s.get::<RecoveryKeys>(format!("{path}/recovery-keys")).await?)?;
        return Ok(Exit::Done);
    }
    if let Some(name) = &a.remove {
        let ask = Ask::delete(format!("{path}/recovery-keys/{}", segment(name)), &nothing());
        let Some(done) = s.at_once::<Operation>(ask, &format!("take the recovery key {name} of {} away", a.name)).await? else {
            return Ok(Exit::Done);
        };
        if s.finish(done).await?.is_some() {
            s.show(&s.get::<RecoveryKeys>(format!("{path}/recovery-keys")).await?)?;
        }
        return Ok(Exit::Done);
    }
    let file = a.file.clone().ok_or_else(|| Failure::usage("name a --file to write the key to"))?;
    refuse_existing(&file)?;
    match (&a.add, a.rotate) {
        (None, false) if a.with_storages => kit(s, &path, &a.name, file).await,
        (None, false) => export(s, &path, &a.name, file).await,
        (Some(name), _) => {
            let ask = Ask::post(format!("{path}/recovery-keys"), &AddRecoveryKey { name: name.clone() });
            make(s, ask, &format!("add the recovery key {name} to {}", a.name), file).await
        }
        (None, true) => {
            let ask = Ask::post(format!("{path}/recovery-keys/rotate"), &nothing());
            make(s, ask, &format!("replace the first recovery key of {}", a.name), file).await
        }
    }
}

/// The file is refused before the server is asked, so that no look at the key is recorded in vain.
fn refuse_existing(file: &Path) -> Outcome<()> {
    if file.symlink_metadata().is_ok() {
        return Err(Failure::new(Exit::Conflict, format!("{} exists already and is not overwritten; name another --file", file.display())));
    }
    Ok(())
}

async fn export(s: &Session, path: &str, name: &str, file: PathBuf) -> Outcome {
    let ask = Ask::post(format!("{path}/recovery-key"), &nothing());
    let would = format!("write the recovery key of {name} to {}", file.display());
    let Some(key) = s.at_once::<RecoveryKey>(ask, &would).await? else { return Ok(Exit::Done) };
    write_key(&file, &key.key)?;
    written(s, KeyWritten { project: key.project, file })
}

async fn kit(s: &Session, path: &str, name: &str, file: PathBuf) -> Outcome {
    let ask = Ask::post(format!("{path}/recovery-kit"), &nothing());
    let would = format!("write the recovery key of {name}, and its storages with what logs in, to {}", file.display());
    let Some(kit) = s.at_once::<RecoveryKit>(ask, &would).await? else { return Ok(Exit::Done) };
    write_key(&file, &serde_json::to_string_pretty(&kit).map_err(Error::internal)?)?;
    for key in kit.borg.iter().filter(|k| k.key_export.is_none()) {
        let why = key.error.as_deref().unwrap_or("it is not known why");
        note(format!("without the key export of {}: {}", clean(&key.repository), clean(why)));
    }
    let names: Vec<&str> = kit.storages.iter().map(|s| s.name.as_str()).collect();
    note(format!("it logs in to {}; `mainstay recover --key {}` needs nothing else", names.join(", "), file.display()));
    written(s, KeyWritten { project: kit.project, file })
}

/// Written before it is waited for: it is shown this once.
async fn make(s: &Session, ask: Ask, would: &str, file: PathBuf) -> Outcome {
    let Some(made) = s.at_once::<RecoveryKeyMade>(ask, would).await? else { return Ok(Exit::Done) };
    write_key(&file, &made.key)?;
    let operation: Operation = s.get(format!("/operations/{}", segment(&made.operation))).await?;
    match s.finish(operation).await? {
        Some(_) => written(s, KeyWritten { project: made.project, file }),
        None => Ok(Exit::Done),
    }
}

fn written(s: &Session, key: KeyWritten) -> Outcome {
    s.show(&key)?;
    note(
        "keep it away from this machine: it opens every backup of the project, and without one none can be opened should this machine be lost",
    );
    Ok(Exit::Done)
}

/// Mode 0600, whole or not at all, and never over another file.
fn write_key(file: &Path, key: &str) -> Outcome<()> {
    let dir = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = tempfile::Builder::new().prefix(".mainstay-").tempfile_in(dir).and_then(|mut f| {
        writeln!(f, "{key}")?;
        f.as_file().sync_all()?;
        f.persist_noclobber(file).map_err(|e| e.error)
    });
    written.map(drop).map_err(|e| Error::from(e).context(file.display()).into())
}

impl Show for KeyWritten {
    fn people(&self) -> String {
        card(&[("project", self.project.clone()), ("file", self.file.display().to_string())])
    }
}

impl Show for RecoveryKeys {
    fn people(&self) -> String {
        let rows = grid(&["name", "made"], self.items.iter().map(|k| vec![k.name.clone(), or_dash(k.created_at, local)]));
        let tried = match &self.check {
            None => "not tried yet".into(),
            Some(c) => format!("{}: {}", local(c.at), c.detail),
        };
        format!("{}\n\n{rows}", card(&[("in every repository", yes_no(self.in_place)), ("tried", tried)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_for_its_owner_and_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        write_key(&file, "secret").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "secret\n");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(write_key(&file, "other").is_err());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "secret\n");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing half-written is left");
    }
}
