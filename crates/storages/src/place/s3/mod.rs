//! A bucket of any S3-compatible server, laid out as restic lays out its own.
//!
//! Objects are named by the hash of their content and go up whole or not at all, so nothing
//! half-written can ever be listed, a repeated upload after a lost reply is harmless, and what comes
//! back is held against its name. Where the server can, a name that is taken is refused by it
//! (`If-None-Match`); where it cannot, it is asked first.

mod begun;
mod client;
mod doctor;
mod lock;
mod multipart;
mod place;
mod sign;
mod xml;

pub use begun::Notes;
pub use client::{Client, Limits};

use super::{Manual, Object, Objects, path_of};
use bytes::Bytes;
use client::{Ask, Reply};
use jiff::Timestamp;
use lock::Lock;
use mainstay_drivers::storage::{PathStyle, S3Place, Spot, StorageReport, parse_directory};
use mainstay_model::{Error, ProjectId, Result};
use reqwest::Method;
use rustic_core::{FileType, Id};
use sha2::{Digest, Sha256};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

pub struct S3 {
    client: Arc<Client>,
    /// Ends with a slash.
    prefix: String,
    /// As it was when it was last asked what time it is.
    lock: Mutex<Option<Lock>>,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Put {
    Written,
    /// Something has that name already.
    Taken,
}

impl S3 {
    /// The objects below `<the storage's prefix>/<below>/`.
    pub fn new(client: Arc<Client>, below: &str) -> Self {
        let parts = [client.place.prefix.as_str(), below];
        let prefix = parts.iter().filter(|p| !p.is_empty()).map(|p| format!("{p}/")).collect();
        S3 { client, prefix, lock: Mutex::default() }
    }

    /// Looks at the whole place, not at one repository.
    pub fn check(client: Arc<Client>) -> StorageReport {
        let s3 = S3::new(client, "");
        s3.client.wait(async {
            s3.take_back_left().await;
            doctor::check(&s3).await
        })
    }

    /// The repositories in the place, complete enough to have a config.
    pub fn repositories(client: Arc<Client>) -> Result<Vec<Spot>> {
        let s3 = S3::new(client, "");
        s3.client.wait(async {
            let mut found = Vec::new();
            for project in s3.directories(&s3.prefix).await? {
                let Some(id) = ProjectId::parse(&project) else { continue };
                let inside = format!("{}{project}/", s3.prefix);
                for name in s3.directories(&inside).await? {
                    let Some((cluster, edition)) = parse_directory(&name) else { continue };
                    if s3.head(&format!("{inside}{name}/config")).await?.is_some() {
                        found.push((id.clone(), cluster, edition));
                    }
                }
            }
            Ok(found)
        })
    }

    fn key(&self, kind: FileType, id: &Id) -> String {
        format!("{}{}", self.prefix, path_of(kind, id))
    }

    fn new_only(&self, ask: Ask) -> Ask {
        if self.client.is_conditional() { ask.header("if-none-match", "*") } else { ask }
    }

    /// Whether the server refused the condition rather than the write; from then on it is left out.
    fn refuses_condition(&self, ask: &Ask, reply: &Reply) -> bool {
        let conditional = ask.headers.iter().any(|(n, _)| *n == "if-none-match");
        let refused = conditional
            && (reply.status == 501
                || reply.status == 400 && matches!(reply.code().as_str(), "NotImplemented" | "InvalidArgument" | "InvalidRequest"));
        if refused {
            self.client.forget_conditional();
        }
        refused
    }

    async fn put(&self, key: &str, content: &[Bytes], hash: Option<String>) -> Result<Put> {
        if !self.client.is_conditional() && self.head(key).await?.is_some() {
            return Ok(Put::Taken);
        }
        if content.iter().map(Bytes::len).sum::<usize>() > self.client.limits.part {
            return self.put_in_parts(key, content).await;
        }
        let plain = Ask { hash, ..Ask::new(Method::PUT, key).body(content) };
        let ask = self.new_only(plain.clone());
        let reply = self.client.send(&ask).await?;
        match reply.status {
            412 => Ok(Put::Taken),
            _ if self.refuses_condition(&ask, &reply) => {
                if self.head(key).await?.is_some() {
                    return Ok(Put::Taken);
                }
                self.client.must("writing", &plain).await.map(|_| Put::Written)
            }
            _ if reply.is_good() => Ok(Put::Written),
            _ => Err(self.client.refusal("writing", key, &reply)),
        }
    }

    /// Size and time of an object, `None` where there is none.
    async fn head(&self, key: &str) -> Result<Option<(u64, SystemTime)>> {
        let reply = self.client.send(&Ask::new(Method::HEAD, key)).await?;
        match reply.status {
            404 => Ok(None),
            _ if reply.is_good() => {
                let size = reply.header("content-length").and_then(|v| v.parse().ok()).unwrap_or(0);
                let modified = reply.header("last-modified").and_then(http_date).map_or(SystemTime::UNIX_EPOCH, SystemTime::from);
                Ok(Some((size, modified)))
            }
            _ => Err(self.client.refusal("looking at", key, &reply)),
        }
    }

    async fn same(&self, key: &str, content: &[Bytes]) -> Result<()> {
        let size = content.iter().map(Bytes::len).sum();
        let ask = Ask { most: size, ..Ask::new(Method::GET, key) };
        let there = self.client.must("reading", &ask).await?.body;
        if there == content.concat() {
            return Ok(());
        }
        Err(Error::integrity(format!("{} is there already and holds something else; move it away and try again", self.shown(key))))
    }

    /// Everything below `prefix`.
    async fn below(&self, prefix: &str) -> Result<Vec<Listed>> {
        let mut found = Vec::new();
        self.pages(Ask::new(Method::GET, "").query("prefix", prefix), |body| page(body, &mut found)).await?;
        Ok(found)
    }

    /// The names between `prefix` and the next slash.
    async fn directories(&self, prefix: &str) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let ask = Ask::new(Method::GET, "").query("prefix", prefix).query("delimiter", "/");
        self.pages(ask, |body| {
            xml::parse(body, |root| {
                let names = root.children().filter(|n| n.tag_name().name() == "CommonPrefixes").map(|n| xml::text(n, "Prefix"));
                found.extend(names.filter_map(|name| Some(name.strip_prefix(prefix)?.trim_end_matches('/').to_owned())));
                next_page(root)
            })
        })
        .await?;
        Ok(found)
    }

    /// Asks for a list page by page; `take` returns the token of the next one.
    async fn pages(&self, first: Ask, mut take: impl FnMut(&[u8]) -> Result<Option<String>>) -> Result<()> {
        let first = first.query("list-type", "2");
        let mut token = String::new();
        loop {
            let ask = if token.is_empty() { first.clone() } else { first.clone().query("continuation-token", token.clone()) };
            let reply = self.client.must("listing", &ask).await?;
            match take(&reply.body)? {
                None => return Ok(()),
                Some(next) if next == token || next.is_empty() => {
                    let message = format!("storage {} does not come to the end of a list", self.client.name);
                    return Err(Error::failed("storage_protocol", message));
                }
                Some(next) => token = next,
            }
        }
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let reply = self.client.send(&Ask::new(Method::DELETE, key)).await?;
        match reply.status {
            404 if reply.code() != "NoSuchBucket" => Ok(()),
            _ if reply.is_good() => Ok(()),
            403 => self.locked_or_refused(key, &reply).await,
            _ => Err(self.client.refusal("removing", key, &reply)),
        }
    }

    /// `length` bytes from `offset`, and those only.
    async fn range(&self, key: &str, offset: u64, length: usize) -> Result<Bytes> {
        let bytes = self.stretch(key, offset, length).await?;
        match bytes.len() == length {
            true => Ok(bytes),
            false => Err(Error::integrity(format!("{} is cut short: {length} bytes at {offset} are not all there", self.shown(key)))),
        }
    }

    /// Up to `length` bytes from `offset`.
    async fn stretch(&self, key: &str, offset: u64, length: usize) -> Result<Bytes> {
        let Some(last) = (offset + length as u64).checked_sub(1).filter(|_| length > 0) else { return Ok(Bytes::new()) };
        let range = format!("bytes={offset}-{last}");
        let ask = Ask { most: length, ..Ask::new(Method::GET, key).header("range", range) };
        let reply = self.client.must("reading", &ask).await?;
        let begins =
            reply.header("content-range").and_then(|r| r.strip_prefix("bytes ")).and_then(|r| r.split_once('-')).map(|(from, _)| from);
        if reply.status != 206 || begins != Some(offset.to_string().as_str()) {
            let message = format!("storage {} does not read parts of objects ({}); use another server", self.client.name, reply.status);
            return Err(Error::failed("storage_protocol", message));
        }
        Ok(reply.body)
    }

    fn shown(&self, key: &str) -> String {
        format!("s3:{}/{}/{key}", self.client.place.endpoint.trim_end_matches('/'), self.client.place.bucket)
    }
}

struct Listed {
    key: String,
    size: u64,
    modified: SystemTime,
}

/// Takes a page's objects in; the token of the next page where there is one.
fn page(body: &[u8], found: &mut Vec<Listed>) -> Result<Option<String>> {
    xml::parse(body, |root| {
        // The page of a proxy that wants a login would be a list without anything in it.
        if root.tag_name().name() != "ListBucketResult" {
            return Err(Error::failed("storage_protocol", "the storage's answer to a list is none; look what answers at its address"));
        }
        for node in root.children().filter(|n| n.tag_name().name() == "Contents") {
            let modified = xml::text(node, "LastModified").parse::<Timestamp>().map_or_else(|_| SystemTime::now(), SystemTime::from);
            let size = xml::text(node, "Size").parse();
            let size = size.map_err(|_| Error::failed("storage_protocol", "the storage lists an object without its size"))?;
            found.push(Listed { key: xml::text(node, "Key"), size, modified });
        }
        Ok(next_page(root))
    })?
}

fn next_page(root: roxmltree::Node) -> Option<String> {
    (xml::text(root, "IsTruncated") == "true").then(|| xml::text(root, "NextContinuationToken"))
}

fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|z| z.timestamp())
}

impl Objects for S3 {
    fn location(&self) -> String {
        self.shown(self.prefix.trim_end_matches('/'))
    }

    fn name(&self, kind: FileType, id: &Id) -> String {
        self.shown(&self.key(kind, id))
    }

    /// A bucket has no directories to make.
    fn create(&self) -> Result<()> {
        Ok(())
    }

    fn list(&self, kind: FileType) -> Result<Vec<Object>> {
        self.client.wait(async {
            if kind == FileType::Config {
                let there = self.head(&self.key(kind, &Id::default())).await?;
                return Ok(there.map(|(size, modified)| Object { id: Id::default(), size, modified }).into_iter().collect());
            }
            let prefix = format!("{}{}/", self.prefix, kind.dirname());
            let named = |l: Listed| Some(Object { id: l.key.rsplit('/').next()?.parse().ok()?, size: l.size, modified: l.modified });
            Ok(self.below(&prefix).await?.into_iter().filter_map(named).collect())
        })
    }

    fn read(&self, kind: FileType, id: &Id) -> Result<Bytes> {
        let key = self.key(kind, id);
        let ask = Ask { most: usize::MAX, ..Ask::new(Method::GET, key.clone()) };
        let body = self.client.wait(self.client.must("reading", &ask))?.body;
        if kind != FileType::Config && Id::new(Sha256::digest(&body).into()) != *id {
            return Err(Error::integrity(format!("{} is damaged: its content does not have the hash it is named by", self.shown(&key))));
        }
        Ok(body)
    }

    fn read_at(&self, kind: FileType, id: &Id, offset: u64, length: usize) -> Result<Bytes> {
        self.client.wait(self.range(&self.key(kind, id), offset, length))
    }

    fn read_some(&self, kind: FileType, id: &Id, offset: u64, length: usize) -> Result<Bytes> {
        self.client.wait(self.stretch(&self.key(kind, id), offset, length))
    }

    fn write(&self, kind: FileType, id: &Id, content: &[Bytes]) -> Result<()> {
        let key = self.key(kind, id);
        // The signature covers the hash, so the server refuses other bytes than those named so.
        let hash = (kind != FileType::Config).then(|| id.to_hex().to_string());
        self.client.wait(async {
            let mut put = self.put(&key, content, hash.clone()).await;
            if matches!(&put, Err(e) if e.code == "storage_unfinished") {
                put = self.put(&key, content, hash).await;
            }
            match put? {
                Put::Written => Ok(()),
                Put::Taken => self.same(&key, content).await,
            }
        })
    }

    fn remove(&self, kind: FileType, id: &Id) -> Result<()> {
        self.client.wait(self.delete(&self.key(kind, id)))
    }

    fn sweep(&self, age: Duration) -> Result<()> {
        self.client.wait(async {
            self.take_back_left().await;
            self.abort_older(&self.prefix, age).await
        })
    }

    /// The config first: what is interrupted is no repository any more.
    fn destroy(&self) -> Result<()> {
        self.client.wait(async {
            self.delete(&self.key(FileType::Config, &Id::default())).await?;
            for object in self.below(&self.prefix).await? {
                self.delete(&object.key).await?;
            }
            match self.abort_older(&self.prefix, Duration::ZERO).await {
                Err(e) if e.is_transient() => Err(e),
                Err(e) => {
                    tracing::warn!("unfinished uploads cannot be looked for: {e}");
                    Ok(())
                }
                Ok(()) => Ok(()),
            }
        })
    }

    fn lock_clock(&self) -> Result<Option<Timestamp>> {
        let rule = self.client.wait(self.lock_rule())?;
        let now = rule.as_ref().map(|r| r.now);
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = rule;
        Ok(now)
    }

    fn lock(&self, kind: FileType, id: &Id, until: Timestamp) -> Result<()> {
        let rule = self.lock.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match rule {
            None => Ok(()),
            Some(rule) => self.client.wait(self.lock_object(&self.key(kind, id), &rule, until)),
        }
    }

    fn moved(&self) -> u64 {
        self.client.pace.moved()
    }

    fn is_far(&self) -> bool {
        true
    }

    fn manual(&self) -> Manual {
        let S3Place { access_key, s3_region, path_style, ca, .. } = &self.client.place;
        let region = s3_region.as_ref().map(|r| format!(" AWS_DEFAULT_REGION={}", super::quoted(r))).unwrap_or_default();
        let mut options = String::new();
        match path_style {
            PathStyle::Auto => {}
            PathStyle::On => options.push_str(" -o s3.bucket-lookup=path"),
            PathStyle::Off => options.push_str(" -o s3.bucket-lookup=dns"),
        }
        if ca.is_some() {
            options.push_str(" --cacert CA_FILE");
        }
        let keys = format!("export AWS_ACCESS_KEY_ID={}{region}", super::quoted(access_key));
        Manual { before: vec![keys, "read -rs AWS_SECRET_ACCESS_KEY && export AWS_SECRET_ACCESS_KEY".into()], options }
    }
}
