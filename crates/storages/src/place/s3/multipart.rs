//! Objects too large for one request. An upload that does not come to its end is taken back, and
//! that it is gone is looked at: its parts are in no list of objects, but on the bill.

use super::{
    Put, S3,
    begun::Begun,
    client::{Ask, Reply},
    xml,
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use mainstay_model::{Error, Result};
use reqwest::Method;
use std::{fmt::Write, time::Duration};

/// Parts on their way at a time.
const AT_ONCE: usize = 3;
const ROUNDS: usize = 3;

impl S3 {
    pub(super) async fn put_in_parts(&self, key: &str, content: &[Bytes]) -> Result<Put> {
        let note = self.client.begun.as_ref().map(|begun| begun.note(key)).transpose()?;
        let (done, is_gone) = self.begin_and_end(key, content).await;
        match note {
            Some(note) if is_gone => note.done(),
            Some(note) => note.undone(),
            None => {}
        }
        done
    }

    /// What became of it, and whether nothing but the object is left.
    async fn begin_and_end(&self, key: &str, content: &[Bytes]) -> (Result<Put>, bool) {
        let made = match self.client.must("starting to write", &Ask::new(Method::POST, key).query("uploads", "")).await {
            Ok(made) => made,
            // It may have begun all the same, with its reply lost.
            Err(e) => return (Err(e), false),
        };
        match self.begun(key, content, &made).await {
            Ok((put, is_gone)) => (put, is_gone),
            Err(e) => (Err(e), false),
        }
    }

    async fn begun(&self, key: &str, content: &[Bytes], made: &Reply) -> Result<(Result<Put>, bool)> {
        let upload = xml::parse(&made.body, |root| xml::text(root, "UploadId"))?;
        if upload.is_empty() {
            return Err(Error::failed("storage_protocol", format!("storage {} starts an upload without naming it", self.client.name)));
        }
        let done = self.fill(key, &upload, content).await;
        let mut is_gone = matches!(done, Ok(Put::Written)) || self.abort(key, &upload).await;
        if made.attempts > 1 {
            // The reply to an earlier attempt may have been lost, and with it the name of its upload.
            is_gone &= self.abort_all(key).await;
        }
        Ok((done, is_gone))
    }

    /// Takes back what a process before this one was in the middle of when it was killed.
    pub(super) async fn take_back_left(&self) {
        for (note, key) in self.client.begun.as_ref().map(Begun::left).unwrap_or_default() {
            match self.abort_all(&key).await {
                true => {
                    tracing::info!("storage {}: an upload of {key} that was interrupted is taken back", self.client.name);
                    note.done();
                }
                false => tracing::warn!("storage {}: an upload of {key} that was interrupted is still there", self.client.name),
            }
        }
    }

    async fn fill(&self, key: &str, upload: &str, content: &[Bytes]) -> Result<Put> {
        let parts = cut(content, self.client.limits.part);
        let sent = stream::iter(parts.iter().enumerate()).map(|(n, part)| self.part(key, upload, n + 1, part));
        let tags: Vec<String> = sent.buffered(AT_ONCE).try_collect().await?;
        let mut list = String::from("<CompleteMultipartUpload>");
        for (n, tag) in tags.iter().enumerate() {
            let _ = write!(list, "<Part><PartNumber>{}</PartNumber><ETag>{tag}</ETag></Part>", n + 1);
        }
        list.push_str("</CompleteMultipartUpload>");
        let ask = self.new_only(Ask::new(Method::POST, key).query("uploadId", upload)).body(&[list.into()]);
        let reply = self.client.send(&ask).await?;
        match (reply.status, reply.code().as_str()) {
            // An error may come in the body of a 200: the answer began before the work was done.
            (200, "") => Ok(Put::Written),
            (412, _) => Ok(Put::Taken),
            // An earlier attempt may have finished it, with its reply lost. Servers have many words for that;
            // whether what is there is the same is looked at by whoever asked.
            (400..=499, _) if reply.attempts > 1 && self.head(key).await?.is_some() => Ok(Put::Taken),
            _ if self.refuses_condition(&ask, &reply) => Err(self.transient("it does not know If-None-Match; writing again without")),
            (200, code) => Err(self.transient(code)),
            _ => Err(self.client.refusal("finishing", key, &reply)),
        }
    }

    fn transient(&self, why: &str) -> Error {
        Error::unavailable("storage_unfinished", format!("storage {} did not finish an upload: {why}", self.client.name))
    }

    pub(super) async fn part(&self, key: &str, upload: &str, number: usize, part: &[Bytes]) -> Result<String> {
        let ask = Ask::new(Method::PUT, key).query("partNumber", number.to_string()).query("uploadId", upload).body(part);
        let reply: Reply = self.client.must("writing a part of", &ask).await?;
        let tag = reply.header("etag").map(|t| t.replace('&', "&amp;").replace('<', "&lt;"));
        tag.ok_or_else(|| Error::failed("storage_protocol", format!("storage {} takes a part without an ETag", self.client.name)))
    }

    /// Until nothing of it is there, or the server refuses. Whether it is seen to be gone.
    pub(super) async fn abort(&self, key: &str, upload: &str) -> bool {
        for _ in 0..ROUNDS {
            let ask = |method| Ask::new(method, key).query("uploadId", upload);
            let aborted = self.client.send(&ask(Method::DELETE)).await;
            if aborted.is_err() {
                break;
            }
            if self.client.send(&ask(Method::GET)).await.is_ok_and(|r| is_gone(&r)) {
                return true;
            }
        }
        tracing::debug!("storage {}: whether the upload of {key} is gone is looked at by the next sweep", self.client.name);
        false
    }

    async fn abort_all(&self, key: &str) -> bool {
        let found = match self.uploads(key).await {
            Ok(found) => found,
            Err(e) => {
                tracing::warn!("unfinished uploads of {key} stay until a sweep: {e}");
                return false;
            }
        };
        let mut all = true;
        for upload in found.iter().filter(|u| u.key == key) {
            all &= self.abort(key, &upload.id).await;
        }
        all
    }

    /// Aborts the uploads below `prefix` that nobody can be at work on any more.
    pub(super) async fn abort_older(&self, prefix: &str, age: Duration) -> Result<()> {
        for upload in self.uploads(prefix).await? {
            let old = Timestamp::now().duration_since(upload.started).unsigned_abs() > age;
            if old && upload.started < Timestamp::now() {
                tracing::info!("aborting an upload of {} that was interrupted", upload.key);
                self.abort(&upload.key, &upload.id).await;
            }
        }
        Ok(())
    }

    pub(super) async fn uploads(&self, prefix: &str) -> Result<Vec<Upload>> {
        let mut found = Vec::new();
        let mut after = (String::new(), String::new());
        loop {
            let mut ask = Ask::new(Method::GET, "").query("uploads", "").query("prefix", prefix);
            if !after.0.is_empty() {
                ask = ask.query("key-marker", after.0.clone()).query("upload-id-marker", after.1.clone());
            }
            let reply = self.client.must("listing unfinished uploads in", &ask).await?;
            let (more, next) = xml::parse(&reply.body, |root| {
                let uploads = root.children().filter(|n| n.tag_name().name() == "Upload");
                found.extend(uploads.map(|u| Upload {
                    key: xml::text(u, "Key"),
                    id: xml::text(u, "UploadId"),
                    started: xml::text(u, "Initiated").parse().unwrap_or_else(|_| Timestamp::now()),
                }));
                (xml::text(root, "IsTruncated") == "true", (xml::text(root, "NextKeyMarker"), xml::text(root, "NextUploadIdMarker")))
            })?;
            if !more || next == after {
                return Ok(found);
            }
            after = next;
        }
    }
}

/// Most servers forget the upload; some only its parts.
pub(super) fn is_gone(parts: &Reply) -> bool {
    let empty = || xml::parse(&parts.body, |root| root.children().all(|n| n.tag_name().name() != "Part")).unwrap_or(false);
    parts.status == 404 || parts.is_good() && empty()
}

pub(super) struct Upload {
    pub key: String,
    pub id: String,
    pub started: Timestamp,
}

/// Slices of exactly `size` bytes but the last, without copying.
fn cut(content: &[Bytes], size: usize) -> Vec<Vec<Bytes>> {
    let mut parts: Vec<Vec<Bytes>> = Vec::new();
    let mut room = 0;
    for piece in content {
        let mut rest = piece.clone();
        while !rest.is_empty() {
            if room == 0 {
                parts.push(Vec::new());
                room = size;
            }
            let slice = rest.split_to(rest.len().min(room));
            room -= slice.len();
            parts.last_mut().map(|p| p.push(slice)).unwrap_or_default();
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_of_one_size_and_lose_nothing() {
        let content = [Bytes::from_static(b"abcde"), Bytes::new(), Bytes::from_static(b"fghijkl")];
        let parts: Vec<Vec<u8>> = cut(&content, 4).iter().map(|p| p.concat()).collect();
        assert_eq!(parts, [b"abcd", b"efgh", b"ijkl"]);
        assert_eq!(cut(&content, 100).len(), 1);
    }
}
