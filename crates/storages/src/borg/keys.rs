//! Further keys to a repository. Borg has one passphrase for each, so every further key gets a small
//! Borg repository of its own beside it, `<repository>.key-<mark>`, that opens with that key and holds
//! the passphrase. Whoever has a recovery key and stock Borg needs nothing else.
//!
//! Which there are is written down in the repository as archives named `key-<mark>`, because `borg
//! serve` lists nothing. Taking a key away removes both; who read the passphrase before keeps it, as
//! whoever opened any repository keeps its master key.

use super::{
    Repo,
    archives::Archive,
    child::QUICK,
    pipe::{self, Writer},
    read::to_its_end,
    room::trouble as io_trouble,
    trouble::{WRONG_KEY, broken, is_append_only as says_append_only, judge},
    upkeep,
};
use crate::pool::Lane;
use mainstay_drivers::storage::RepositoryKeys;
use mainstay_model::{Error, Kind, Result, Secret};
use sha2::{Digest, Sha256};
use std::io::Write;

const MARK: &str = "key-";
/// The one archive beside a key, and the one file in it.
const ARCHIVE: &str = "key";
pub const FILE: &str = "passphrase";
const EXPORT: &str = "key-export";

impl Repo {
    /// Tells keys apart without telling anything about them: they are random, and as long as hashes.
    fn mark(&self, key: &Secret) -> String {
        let hash = Sha256::new().chain_update("borg key\0").chain_update(self.cluster.as_str()).chain_update(key.reveal()).finalize();
        format!("{MARK}{}", hex::encode(&hash[..10]))
    }

    /// The small repository that `key` opens.
    fn beside_for(&self, key: &Secret) -> Repo {
        Repo { url: format!("{}.{}", self.url, self.mark(key)), passphrase: key.clone(), ..self.clone() }
    }

    /// `<repository>::<archive>` of the passphrase for a person with `key`.
    pub fn passphrase_for(&self, key: &Secret) -> String {
        self.beside_for(key).archive(ARCHIVE)
    }

    /// `NotFound` where the key opens nothing.
    async fn passphrase_by(&self, key: &Secret) -> Result<Secret> {
        let small = self.beside_for(key);
        let out = small.run(&["extract", "--stdout"], &[small.archive(ARCHIVE), FILE.into()], QUICK).await?;
        let text = String::from_utf8(out.stdout).map_err(|_| Error::integrity(format!("{} holds no passphrase", small.url)))?;
        Ok(Secret::new(text.trim_end_matches('\n')))
    }

    /// The same repository, opened by a further key.
    pub async fn opened_by(&self, key: &Secret) -> Result<Repo> {
        let none = || Error::forbidden(format!("the Borg repository at {} does not open with this key", self.url)).with_code(WRONG_KEY);
        let passphrase = self.passphrase_by(key).await.map_err(|e| if e.kind == Kind::NotFound { none() } else { e })?;
        Ok(Repo { passphrase, ..self.clone() })
    }

    /// As Borg writes it down for people: sealed with the passphrase, and all there is to do without the
    /// repository's own copy.
    pub async fn key_export(&self) -> Result<Secret> {
        let room = self.room().await?;
        let args = ["key", "export"].map(String::from).into_iter().chain([self.url.clone(), format!("../{EXPORT}")]);
        let out = self.borg.exec(self.call(&room, args.collect(), QUICK)).await?;
        judge("key export", &self.url, &out)?;
        room.read(EXPORT).map(Secret::new)
    }

    /// Makes these keys open it too, the passphrase itself aside.
    pub async fn add(&self, keys: &RepositoryKeys, there: &[Archive]) -> Result<()> {
        for key in all(keys).filter(|key| **key != self.passphrase) {
            let mark = self.mark(key);
            if there.iter().any(|archive| archive.name == mark) {
                continue;
            }
            self.beside_for(key).hold(&self.passphrase).await?;
            // Of the empty directory it runs in: only the name matters.
            self.run(&["create", "--files-cache=disabled"], &[self.archive(&mark), ".".into()], QUICK).await?;
        }
        Ok(())
    }

    /// Takes every other key away.
    pub async fn keep_only(&self, keys: &RepositoryKeys) -> Result<()> {
        let there = self.archives().await?;
        self.add(keys, &there).await?;
        let wanted: Vec<String> = all(keys).map(|key| self.mark(key)).collect();
        let other = marks(&there).filter(|mark| !wanted.contains(mark));
        let other: Vec<String> = other.collect();
        if !other.is_empty() && upkeep::is_append_only(self).await? {
            return Err(upkeep::append_only(self, "no recovery key can be taken away"));
        }
        for mark in &other {
            self.drop_small(mark).await?;
        }
        upkeep::drop_archives(self, &other).await
    }

    /// Before the repository itself is removed.
    pub async fn drop_keys(&self) -> Result<()> {
        let there = match self.archives().await {
            Err(e) if e.kind == Kind::NotFound => return Ok(()),
            other => other?,
        };
        for mark in marks(&there) {
            self.drop_small(&mark).await?;
        }
        Ok(())
    }

    async fn drop_small(&self, mark: &str) -> Result<()> {
        let url = format!("{}.{mark}", self.url);
        match self.run(&["delete", "--force"], &[url], QUICK).await {
            Err(e) if e.kind == Kind::NotFound => Ok(()),
            Err(e) if says_append_only(&e) => Err(upkeep::append_only(self, "no key can be taken away")),
            done => done.map(drop),
        }
    }

    /// Writes the passphrase into a small repository and reads it again: a recovery key that was never
    /// tried is none.
    async fn hold(&self, passphrase: &Secret) -> Result<()> {
        match self.archives().await {
            Err(e) if e.kind == Kind::NotFound => self.create().await?,
            // Left by an attempt that was interrupted.
            found => {
                let names: Vec<String> = found?.into_iter().map(|archive| archive.name).collect();
                upkeep::drop_archives(self, &names).await?;
            }
        }
        let room = self.room().await?;
        let (args, fifo) = (["create", "--read-special", "--files-cache=disabled"].map(String::from), room.tree().join(FILE));
        pipe::make(&fifo, 0o600).map_err(|e| io_trouble("making", &fifo, &e))?;
        let (over, _guard) = to_its_end();
        let content = passphrase.clone();
        let args = args.into_iter().chain([self.archive(ARCHIVE), FILE.into()]).collect();
        let write = move |line: &pipe::Line| {
            let mut out = Writer::open(&fifo, line).map_err(broken)?;
            out.write_all(format!("{}\n", content.reveal()).as_bytes()).map_err(broken)
        };
        self.beside(&room, args, (Lane::Ask, over), write).await?;
        let out = self.run(&["extract", "--stdout"], &[self.archive(ARCHIVE), FILE.into()], QUICK).await?;
        match out.stdout == format!("{}\n", passphrase.reveal()).as_bytes() {
            true => Ok(()),
            false => Err(Error::integrity(format!("{} does not give back what was written; check its disk", self.url))),
        }
    }
}

fn all(keys: &RepositoryKeys) -> impl Iterator<Item = &Secret> {
    std::iter::once(&keys.own).chain(&keys.recovery)
}

fn marks(there: &[Archive]) -> impl Iterator<Item = String> {
    there.iter().map(|archive| archive.name.clone()).filter(|name| name.starts_with(MARK))
}
