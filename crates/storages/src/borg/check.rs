//! Looks at a place for Borg repositories before backups depend on it, by doing what backups will do:
//! a small repository without encryption is made, written, read and removed.
//!
//! Where the host does not let go of it the place is append-only. That is a good place, and one where
//! old backups are removed by hand; the probe is then used again the next time.

use super::{Borg, address::Address, index::Index, plain::Plain, trouble};
use crate::{
    place::check as directory,
    pool::{Lane, Pool},
};
use mainstay_drivers::storage::{BorgPlace, StorageReport, StorageSpec};
use mainstay_model::{Error, Kind, Result, backup::Check};
use std::sync::Arc;

const PROBE: &str = "mainstay-probe";

struct Probe(Plain);

pub async fn check(borg: &Arc<Borg>, pool: &Pool, spec: &StorageSpec, place: &BorgPlace) -> Result<StorageReport> {
    let mut report = StorageReport { rows: Vec::new(), free_bytes: None, total_bytes: None };
    let address = match Address::parse(place) {
        Ok(address) => Arc::new(address),
        Err(e) => {
            report.rows.push(Check::new("repository", false, e.message));
            return Ok(report);
        }
    };
    if let Address::Local(path) = &*address {
        let path = path.clone();
        report = pool.run(Lane::Ask, move |_| Ok(directory::check(&path))).await?;
    }
    if report.rows.iter().any(|row| !row.ok && row.name != "space") {
        return Ok(report);
    }
    let url = address.url(PROBE);
    let plain = Plain { borg: borg.clone(), pool: pool.clone(), url, address, login: spec.secret.clone() };
    let index = Index::of(&plain);
    report.rows.extend(Probe(plain).rows().await);
    if let Some(index) = index
        && report.rows.iter().all(|row| row.ok)
    {
        report.rows.push(index.row().await);
    }
    Ok(report)
}

impl Probe {
    /// Ends with the first that is not good.
    async fn rows(&self) -> Vec<Check> {
        let mut rows = Vec::new();
        match self.version().await {
            Ok(version) => rows.push(Check::new("borg", true, version)),
            Err(e) => return vec![Check::new("borg", false, e.message)],
        }
        if let Err(e) = self.0.make().await {
            rows.push(Check::new("reachable", false, e.message));
            return rows;
        }
        rows.push(Check::new("reachable", true, format!("a repository can be made at {}", self.0.url)));
        match self.exercise().await {
            Ok(()) => rows.push(Check::new("writable", true, "an archive was written, read back and compared")),
            Err(e) => rows.push(Check::new("writable", false, e.message)),
        }
        rows.push(self.lets_go().await);
        rows
    }

    async fn version(&self) -> Result<String> {
        let room = self.0.borg.room(&self.0.pool, &self.0.address, self.0.login.clone()).await?;
        let version = self.0.borg.version(room).await?;
        let mut numbers = version.trim_start_matches("borg ").split('.').map(|n| n.parse::<u32>().unwrap_or(0));
        match (numbers.next(), numbers.next()) {
            (Some(1), Some(minor)) if minor >= 2 => Ok(version),
            _ => Err(Error::failed(
                "borg_version",
                format!("this host has \"{version}\"; Borg 1.2 or a later 1.x is needed: apt-get install borgbackup"),
            )),
        }
    }

    async fn exercise(&self) -> Result<()> {
        let content = format!("probe {:032x}", rand::random::<u128>());
        let archive = format!("{}::{:016x}", self.0.url, rand::random::<u64>());
        self.0.run(&["create", "--stdin-name=probe"], &[archive.clone(), "-".into()], &content).await?;
        let out = self.0.run(&["extract", "--stdout"], &[archive], "").await?;
        match out.stdout == content.as_bytes() {
            true => Ok(()),
            false => Err(Error::integrity(format!("{} does not give back what was written; check its disk", self.0.url))),
        }
    }

    async fn lets_go(&self) -> Check {
        match self.0.run(&["delete"], std::slice::from_ref(&self.0.url), "").await {
            Ok(_) => Check::new("deletion", true, "the probe was removed again"),
            Err(e) if e.kind == Kind::NotFound => Check::new("deletion", true, "the probe is gone"),
            Err(e) if trouble::is_append_only(&e) => Check::new(
                "deletion",
                true,
                "append-only: nothing can be deleted from here, so neither by whoever takes over this host; old backups and their space are removed on the other side with borg delete and borg compact",
            ),
            Err(e) => Check::new("deletion", false, e.message),
        }
    }
}
