//! Looks at a place for Borg repositories before backups depend on it, by doing what backups will do:
//! a small repository without encryption is made, written, read and removed.
//!
//! Where the host does not let go of it the place is append-only. That is a good place, and one where
//! old backups are removed by hand; the probe is then used again the next time.

use super::{
    Borg,
    address::Address,
    child::{Call, Input, QUICK, words},
    trouble,
};
use crate::{
    place::check as directory,
    pool::{Lane, Pool},
};
use mainstay_drivers::{
    runtime::ExecOutput,
    storage::{BorgPlace, StorageReport, StorageSpec},
};
use mainstay_model::{Error, Kind, Result, Secret, backup::Check};
use std::sync::Arc;

const PROBE: &str = "mainstay-probe";

struct Probe<'a> {
    borg: &'a Borg,
    pool: &'a Pool,
    address: Arc<Address>,
    login: Option<Secret>,
    url: String,
}

pub async fn check(borg: &Borg, pool: &Pool, spec: &StorageSpec, place: &BorgPlace) -> Result<StorageReport> {
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
    let probe = Probe { borg, pool, url: address.url(PROBE), address, login: spec.secret.clone() };
    report.rows.extend(probe.rows().await);
    Ok(report)
}

impl Probe<'_> {
    async fn run(&self, head: &[&str], tail: &[String], stdin: &str) -> Result<ExecOutput> {
        let room = self.borg.room(self.pool, &self.address, self.login.clone()).await?;
        let call = Call { room, args: words(head, tail), input: Input::Bytes(stdin.into()), timeout: QUICK };
        let out = self.borg.exec(call).await?;
        trouble::judge(head[0], &self.url, &out).map(|()| out)
    }

    /// Ends with the first that is not good.
    async fn rows(&self) -> Vec<Check> {
        let mut rows = Vec::new();
        match self.version().await {
            Ok(version) => rows.push(Check::new("borg", true, version)),
            Err(e) => return vec![Check::new("borg", false, e.message)],
        }
        if let Err(e) = self.make().await {
            rows.push(Check::new("reachable", false, e.message));
            return rows;
        }
        rows.push(Check::new("reachable", true, format!("a repository can be made at {}", self.url)));
        match self.exercise().await {
            Ok(()) => rows.push(Check::new("writable", true, "an archive was written, read back and compared")),
            Err(e) => rows.push(Check::new("writable", false, e.message)),
        }
        rows.push(self.lets_go().await);
        rows
    }

    async fn version(&self) -> Result<String> {
        let room = self.borg.room(self.pool, &self.address, self.login.clone()).await?;
        let version = self.borg.version(room).await?;
        let mut numbers = version.trim_start_matches("borg ").split('.').map(|n| n.parse::<u32>().unwrap_or(0));
        match (numbers.next(), numbers.next()) {
            (Some(1), Some(minor)) if minor >= 2 => Ok(version),
            _ => Err(Error::failed(
                "borg_version",
                format!("this host has \"{version}\"; Borg 1.2 or a later 1.x is needed: apt-get install borgbackup"),
            )),
        }
    }

    async fn make(&self) -> Result<()> {
        let made = self.run(&["init", "--make-parent-dirs", "--encryption=none"], std::slice::from_ref(&self.url), "").await;
        match made {
            Err(e) if e.inside.as_deref().is_some_and(|text| text.contains("already exists")) => Ok(()),
            done => done.map(|_| ()),
        }
    }

    async fn exercise(&self) -> Result<()> {
        let content = format!("probe {:032x}", rand::random::<u128>());
        let archive = format!("{}::{:016x}", self.url, rand::random::<u64>());
        self.run(&["create", "--stdin-name=probe"], &[archive.clone(), "-".into()], &content).await?;
        let out = self.run(&["extract", "--stdout"], &[archive], "").await?;
        match out.stdout == content.as_bytes() {
            true => Ok(()),
            false => Err(Error::integrity(format!("{} does not give back what was written; check its disk", self.url))),
        }
    }

    async fn lets_go(&self) -> Check {
        match self.run(&["delete"], std::slice::from_ref(&self.url), "").await {
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
