//! `mainstay project …`

use crate::{
    args::nouns::ProjectVerb,
    exit::{Exit, Failure, Outcome},
    output::{Row, Show, card, local, note, yes_no},
    session::{Ask, Session, nothing},
};
use mainstay_api_types::{Project, RecoveryKey};
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

pub async fn run(s: &Session, verb: ProjectVerb) -> Outcome {
    match verb {
        ProjectVerb::List => s.show(&s.list::<Project>("/projects", &[]).await?)?,
        ProjectVerb::Show { name } => s.show(&s.get::<Project>(path(&name)).await?)?,
        ProjectVerb::RecoveryKey { name, file } => recovery_key(s, &name, file).await?,
    }
    Ok(Exit::Done)
}

fn path(name: &str) -> String {
    format!("/projects/{}", segment(name))
}

/// The file is refused before the server is asked, so that no look at the key is recorded in vain.
async fn recovery_key(s: &Session, name: &str, file: PathBuf) -> Outcome<()> {
    if file.symlink_metadata().is_ok() {
        return Err(Failure::new(Exit::Conflict, format!("{} exists already and is not overwritten; name another --file", file.display())));
    }
    let ask = Ask::post(format!("{}/recovery-key", path(name)), &nothing());
    let would = format!("write the recovery key of {name} to {}", file.display());
    let Some(key) = s.at_once::<RecoveryKey>(ask, &would).await? else { return Ok(()) };
    write_key(&file, &key.key)?;
    s.show(&KeyWritten { project: key.project, file })?;
    note(
        "keep it away from this machine: it opens every backup of the project, and without it none can be opened should this machine be lost",
    );
    Ok(())
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

impl Row for Project {
    const NONE: &'static str = "no projects";
    const HEADER: &'static [&'static str] = &["name", "id", "created", "recovery key exported"];
    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), self.id.clone(), local(self.created_at), yes_no(self.recovery_key_exported)]
    }
}

impl Show for Project {
    fn people(&self) -> String {
        card(&[
            ("name", self.name.clone()),
            ("id", self.id.clone()),
            ("created", local(self.created_at)),
            ("recovery key exported", yes_no(self.recovery_key_exported)),
        ])
    }
}

impl Show for KeyWritten {
    fn people(&self) -> String {
        card(&[("project", self.project.clone()), ("file", self.file.display().to_string())])
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
