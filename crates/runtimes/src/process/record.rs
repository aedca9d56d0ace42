//! What is kept of an instance so that it is known again: one small file each, written whole and
//! forced to disk before anything is done that it speaks of.

use super::{
    doing::Doing,
    family::Family,
    files,
    mark::{self, Mark},
    procs,
};
use mainstay_drivers::runtime::{InstanceId, InstanceSpec};
use mainstay_model::{Error, Kind, Result, Time, error::shown};
use procfs::process::Stat;
use serde::{Deserialize, Serialize};
use std::{fs, io, path::PathBuf};

/// A process, told from everybody who had or will have its pid by when it was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Main {
    pub pid: i32,
    /// Field 22 of `/proc/<pid>/stat`: clock ticks from the machine's start.
    pub start_ticks: u64,
    pub started_at: Time,
}

impl Main {
    pub fn of(stat: &Stat) -> Self {
        Main { pid: stat.pid, start_ticks: stat.starttime, started_at: procs::now() }
    }
}

/// How far an instance is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Written before the start: a process with this mark may exist, its pid is not known yet.
    Starting,
    Running,
    /// Asked to stop; it is not to be started again when it ends.
    Stopping,
    /// Crashed, and about to be started again.
    Restarting {
        detail: String,
    },
    Crashed {
        detail: String,
    },
    Stopped,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub id: InstanceId,
    pub spec: InstanceSpec,
    /// New for every start; half of the mark.
    pub nonce: String,
    pub boot_id: String,
    /// The main process of this nonce, gone or not.
    pub main: Option<Main>,
    pub restarted: u32,
    #[serde(flatten)]
    pub phase: Phase,
}

impl Record {
    pub fn intent(id: &InstanceId, spec: InstanceSpec, boot_id: &str, restarted: u32) -> Self {
        let (id, boot_id) = (id.clone(), boot_id.into());
        Record { id, spec, nonce: mark::nonce(), boot_id, main: None, restarted, phase: Phase::Starting }
    }

    pub fn mark(&self) -> Mark {
        Mark::instance(&self.id, &self.nonce)
    }

    pub fn family(&self) -> Family {
        Family { mark: self.mark(), main: self.main.clone() }
    }
}

/// What a record read at start means, now that we know whether its process lives. `None` is gone,
/// with what is known of its end.
pub(crate) fn awakened(phase: Phase, gone: Option<&str>) -> Phase {
    match (phase, gone) {
        (Phase::Starting | Phase::Running, None) => Phase::Running,
        (Phase::Stopping, None) => Phase::Stopping,
        (Phase::Starting | Phase::Stopping, Some(_)) => Phase::Stopped,
        (Phase::Running, Some(how)) => Phase::Crashed { detail: how.into() },
        (Phase::Restarting { detail }, _) => Phase::Crashed { detail },
        (settled @ (Phase::Crashed { .. } | Phase::Stopped), _) => settled,
    }
}

/// The directory of records.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    dir: PathBuf,
}

impl Records {
    pub fn new(dir: PathBuf) -> Self {
        Records { dir }
    }

    pub fn dir(&self) -> &std::path::Path {
        &self.dir
    }

    /// A record that cannot be read is an error and no absence: a process may run under it.
    pub fn load(&self, id: &InstanceId) -> Result<Option<Record>> {
        let path = self.path(id);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).doing(|| format!("could not read {}", path.display())),
        };
        let unreadable = |e: serde_json::Error| {
            let sentence = format!(
                "the record of {id} in {} is damaged; make sure that no process of it runs, remove the file and start it again",
                path.display()
            );
            Error::new(Kind::Integrity, "damaged_record", sentence).with_inside(e)
        };
        serde_json::from_slice(&bytes).map(Some).map_err(unreadable)
    }

    pub fn save(&self, record: &Record) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(record).map_err(Error::internal)?;
        files::write(&self.path(&record.id), &bytes, 0o600, None)
    }

    pub fn forget(&self, id: &InstanceId) -> Result<()> {
        files::remove(&self.path(id))
    }

    pub fn ids(&self) -> Result<Vec<InstanceId>> {
        let entries = fs::read_dir(&self.dir).doing(|| format!("could not read {}", self.dir.display()))?;
        let names = entries.flatten().filter_map(|e| e.file_name().into_string().ok());
        let ids = names.filter_map(|n| n.strip_suffix(".json").map(|id| InstanceId(id.into())));
        Ok(ids.filter(|id| check(id).is_ok()).collect())
    }

    fn path(&self, id: &InstanceId) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }
}

/// An id becomes a file name, so it may hold nothing that means something in one.
pub(crate) fn check(id: &InstanceId) -> Result<()> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let fine = (1..=100).contains(&id.0.len()) && id.0.bytes().all(plain) && !id.0.starts_with('.');
    let say = || Error::invalid("id", format!("\"{}\" is no instance id: letters, digits, _ - and . only, at most 100", shown(&id.0)));
    fine.then_some(()).ok_or_else(say)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_leaves_the_directory() {
        for bad in ["", ".", "..", "../x", "a/b", ".hidden", "a\0", "ä", &"x".repeat(101)] {
            assert!(check(&InstanceId(bad.into())).is_err(), "{bad:?}");
        }
        assert!(check(&InstanceId("nd_00000000000000000000000000.check".into())).is_ok());
    }

    #[test]
    fn every_phase_settles_after_a_restart_of_ours() {
        let crashed = |d: &str| Phase::Crashed { detail: d.into() };
        assert_eq!(awakened(Phase::Starting, None), Phase::Running);
        assert_eq!(awakened(Phase::Running, None), Phase::Running);
        assert_eq!(awakened(Phase::Stopping, None), Phase::Stopping);
        assert_eq!(awakened(Phase::Starting, Some("x")), Phase::Stopped);
        assert_eq!(awakened(Phase::Stopping, Some("x")), Phase::Stopped);
        assert_eq!(awakened(Phase::Running, Some("x")), crashed("x"));
        assert_eq!(awakened(Phase::Restarting { detail: "y".into() }, Some("x")), crashed("y"));
        assert_eq!(awakened(crashed("z"), Some("x")), crashed("z"));
        assert_eq!(awakened(Phase::Stopped, Some("x")), Phase::Stopped);
    }
}
