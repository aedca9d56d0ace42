//! Looks at a bucket by doing what backups will do, and at what it can do beyond that.
//!
//! Rows that backups cannot do without fail the look; rows about protection a bucket does not have
//! are said to be absent, and what cannot be seen is said to be unknown.

use super::{S3, S3Place, client::Ask, http_date, multipart::is_gone, xml};
use bytes::Bytes;
use jiff::Timestamp;
use mainstay_drivers::storage::StorageReport;
use mainstay_model::{Error, Result, backup::Check, error::shown};
use reqwest::Method;
use roxmltree::Node;
use sha2::{Digest, Sha256};

/// Signatures are refused at a quarter of an hour.
const SKEW_SECONDS: i64 = 300;
/// The least size of a part that is not the last, by S3's rules.
const PART: usize = 5 << 20;

pub async fn check(s3: &S3) -> StorageReport {
    let mut rows = Vec::new();
    let reached = reach(s3, &mut rows).await;
    if reached {
        let probe = Probe { s3, key: format!("{}.mainstay-probe-{:016x}", s3.prefix, rand::random::<u64>()) };
        probe.run(&mut rows).await;
        rows.push(versioning(s3).await);
        rows.push(object_lock(s3).await);
        rows.push(lifecycle(s3).await);
        rows.push(Check::absent("space", "unknown: S3 servers do not say how much room is left; watch it at the server"));
    }
    StorageReport { rows, free_bytes: None, total_bytes: None }
}

fn row(name: &str, outcome: Result<()>, good: &str) -> Check {
    match outcome {
        Ok(()) => Check::new(name, true, good),
        Err(e) => Check::new(name, false, e.message),
    }
}

/// Sign-in, the bucket, and how far apart the clocks are.
async fn reach(s3: &S3, rows: &mut Vec<Check>) -> bool {
    let list = Ask::new(Method::GET, "").query("list-type", "2").query("max-keys", "1").query("prefix", s3.prefix.clone());
    let reply = s3.client.must("listing", &list).await;
    let door = s3.client.door().await.ok();
    let style = door.map_or("", |d| if d.is_path_style() { "path style" } else { "virtual-host style" });
    let region = door.map_or("", |d| d.region.as_str());
    let good = format!("signed in; requests are in {style} and signed for region {region}");
    let date = reply.as_ref().ok().and_then(|r| http_date(r.header("date")?));
    let reached = reply.is_ok();
    rows.push(row("reach", reply.map(drop), &good));
    if reached {
        rows.push(clock(date));
    }
    reached
}

fn clock(date: Option<Timestamp>) -> Check {
    let Some(date) = date else { return Check::absent("clock", "unknown: the server does not say what time it is") };
    let skew = Timestamp::now().duration_since(date).as_secs();
    let apart = skew.unsigned_abs();
    match skew.abs() <= SKEW_SECONDS {
        true => Check::new("clock", true, format!("{apart} s apart from the server's")),
        false => {
            let detail =
                format!("this machine's clock and the server's are {apart} s apart; beyond 900 s it refuses everything: set both by NTP");
            Check::new("clock", false, detail)
        }
    }
}

/// One random object, and what can be done with it.
struct Probe<'a> {
    s3: &'a S3,
    key: String,
}

impl Probe<'_> {
    async fn run(&self, rows: &mut Vec<Check>) {
        let content: Bytes = (0..256 << 10).map(|_| rand::random::<u8>()).collect::<Vec<_>>().into();
        let wrote = self.s3.client.must("writing", &self.put(&content)).await.map(drop);
        let written = wrote.is_ok();
        rows.push(row("write", wrote, "wrote an object"));
        if !written {
            return;
        }
        rows.push(row("read", self.read(&content).await, "read it back, equal to what was written"));
        rows.push(row("ranged_read", self.ranges(&content).await, "read a part of it, and that part only"));
        rows.push(row("list_after_write", self.listed(true).await, "it was in the list at once"));
        rows.push(self.conditional(&content).await);
        rows.push(self.checksums().await);
        rows.push(row("multipart", self.multipart().await, "began a large upload, took it back, and nothing of it is left"));
        rows.push(self.delete().await);
    }

    fn put(&self, content: &Bytes) -> Ask {
        Ask::new(Method::PUT, &self.key).body(std::slice::from_ref(content))
    }

    async fn read(&self, content: &Bytes) -> Result<()> {
        let there = self.s3.client.must("reading", &Ask::new(Method::GET, &self.key)).await?.body;
        match there == content {
            true => Ok(()),
            false => Err(Error::integrity("the server does not give back what was written; do not keep backups there")),
        }
    }

    async fn ranges(&self, content: &Bytes) -> Result<()> {
        match self.s3.range(&self.key, 1000, 5000).await? == content[1000..6000] {
            true => Ok(()),
            false => Err(Error::integrity("the server gives other bytes than the asked ones; do not keep backups there")),
        }
    }

    async fn listed(&self, wanted: bool) -> Result<()> {
        let there = self.s3.below(&self.key).await?.iter().any(|l| l.key == self.key);
        match there == wanted {
            true => Ok(()),
            false => Err(Error::failed(
                "stale_list",
                "what was just written or removed does not show in lists; a backup needs a server whose lists are up to date",
            )),
        }
    }

    async fn conditional(&self, content: &Bytes) -> Check {
        let name = "conditional_put";
        match self.s3.client.send(&self.put(content).header("if-none-match", "*")).await {
            Ok(reply) if reply.status == 412 => Check::new(name, true, "a name that is taken is not written over"),
            Ok(reply) if reply.is_good() => {
                self.s3.client.forget_conditional();
                Check::absent(name, "the server ignores If-None-Match and writes over what is there; Mainstay looks before it writes")
            }
            Ok(reply) => {
                Check::absent(name, format!("the server does not know If-None-Match ({}); Mainstay looks before it writes", reply.status))
            }
            Err(e) => Check::new(name, false, e.message),
        }
    }

    /// A wrong checksum must not be taken.
    async fn checksums(&self) -> Check {
        let name = "checksums";
        let wrong = hex::encode(Sha256::digest(b"something else"));
        let ask = Ask { key: format!("{}-sum", self.key), hash: Some(wrong), ..self.put(&Bytes::from_static(b"something")) };
        // Whether it was taken is looked at; how it is refused differs, down to 500.
        let _ = self.s3.client.once(&ask).await;
        match self.s3.head(&ask.key).await {
            Ok(Some(_)) => {
                let _ = self.s3.delete(&ask.key).await;
                Check::absent(name, "the server takes bytes that are not those that were signed; Mainstay reads back all it writes")
            }
            Ok(None) => Check::new(name, true, "bytes damaged on the way up are refused"),
            Err(e) => Check::new(name, false, e.message),
        }
    }

    async fn multipart(&self) -> Result<()> {
        let key = format!("{}-parts", self.key);
        let content = vec![Bytes::from(vec![7; PART]), Bytes::from_static(b"end")];
        let note = self.s3.client.begun.as_ref().map(|begun| begun.note(&key)).transpose()?;
        let made = self.s3.client.must("starting to write", &Ask::new(Method::POST, &key).query("uploads", "")).await?;
        let upload = xml::parse(&made.body, |root| xml::text(root, "UploadId"))?;
        let part = self.s3.part(&key, &upload, 1, &content).await.map(drop);
        match (note, self.s3.abort(&key, &upload).await) {
            (Some(note), true) => note.done(),
            (Some(note), false) => note.undone(),
            _ => {}
        }
        let left = self.s3.client.send(&Ask::new(Method::GET, &key).query("uploadId", &upload)).await?;
        part?;
        match is_gone(&left) {
            true => Ok(()),
            false => {
                let message = "an upload that is taken back is still there; give the access key s3:AbortMultipartUpload and s3:ListMultipartUploadParts";
                Err(Error::failed("upload_left", message))
            }
        }
    }

    /// A storage that only grows is a choice some make; it is told apart from one that is broken.
    async fn delete(&self) -> Check {
        let name = "delete";
        match self.s3.delete(&self.key).await {
            Err(e) if e.kind == mainstay_model::Kind::Forbidden => Check::absent(
                name,
                format!(
                    "append-only: this access key may not remove objects, so what expires keeps its space until something else removes it ({} stays there)",
                    self.key
                ),
            ),
            Err(e) => Check::new(name, false, e.message),
            Ok(()) => row(name, self.listed(false).await, "removed it, and it is gone from the list"),
        }
    }
}

/// Asks for one of the bucket's settings: its document, `None` where it has none, or why nobody knows.
async fn setting(s3: &S3, name: &'static str) -> Result<Option<Bytes>, String> {
    match s3.client.send(&Ask::new(Method::GET, "").query(name, "")).await {
        Ok(reply) if reply.is_good() => Ok(Some(reply.body)),
        Ok(reply) if reply.status == 404 => Ok(None),
        Ok(reply) if reply.status == 501 || reply.code() == "NotImplemented" => Err("the server does not know the question".into()),
        Ok(reply) if reply.status == 403 => Err("the access key may not look at it".into()),
        Ok(reply) => Err(format!("the server answered {} {}", reply.status, shown(&reply.code()))),
        Err(e) => Err(e.message),
    }
}

async fn versioning(s3: &S3) -> Check {
    let name = "versioning";
    match setting(s3, "versioning").await {
        Err(why) => Check::absent(name, format!("unknown: {why}; without versions a deleted backup is gone")),
        Ok(found) => match found.and_then(|body| xml::parse(&body, |root| xml::text(root, "Status")).ok()).as_deref() {
            Some("Enabled") => Check::new(name, true, "the bucket keeps what is removed or written over"),
            _ => Check::absent(name, "no versioning: a deleted backup is gone; turn it on at the server if that is not wanted"),
        },
    }
}

async fn object_lock(s3: &S3) -> Check {
    let name = "object_lock";
    let read = |root: Node| {
        let rule = |name| root.descendants().find(|n| n.tag_name().name() == name).and_then(|n| n.text()).map(str::to_owned);
        (rule("ObjectLockEnabled"), rule("Mode"), rule("Days").or_else(|| rule("Years").map(|y| format!("{y} years ="))))
    };
    match setting(s3, "object-lock").await {
        Err(why) => Check::absent(name, format!("unknown: {why}")),
        Ok(found) => match found.and_then(|body| xml::parse(&body, read).ok()) {
            Some((Some(enabled), mode, days)) if enabled == "Enabled" => {
                let detail = match (mode, days) {
                    (Some(mode), Some(days)) => format!(
                        "everything written is locked by default ({}, {} days); space comes back later than backups expire",
                        shown(&mode),
                        shown(&days)
                    ),
                    _ => "objects can be locked; nothing is by default".into(),
                };
                Check::new(name, true, detail)
            }
            _ => Check::absent(name, "no object lock: whoever has the access key can remove backups"),
        },
    }
}

/// Rules of the bucket that would take backups away behind everybody's back.
async fn lifecycle(s3: &S3) -> Check {
    let name = "lifecycle";
    match setting(s3, "lifecycle").await {
        Err(why) => Check::absent(
            name,
            format!("unknown: {why}; make sure that no rule of the bucket removes what lies below {}", below(&s3.client.place)),
        ),
        Ok(None) => Check::new(name, true, "no rule of the bucket removes anything"),
        Ok(Some(body)) => match xml::parse(&body, |root| harmful(root, &s3.prefix)) {
            Err(e) => Check::absent(name, format!("unknown: {}", e.message)),
            Ok(rules) if rules.is_empty() => Check::new(name, true, "no rule of the bucket removes or freezes what lies here"),
            Ok(rules) => {
                let (rules, below) = (rules.join(", "), below(&s3.client.place));
                Check::new(
                    name,
                    false,
                    format!("rules of the bucket would take backups away: {rules}; except {below} from them, or choose another prefix"),
                )
            }
        },
    }
}

fn below(place: &S3Place) -> String {
    if place.prefix.is_empty() { "the bucket".into() } else { format!("{}/", place.prefix) }
}

/// The enabled rules that expire or freeze objects at or around `prefix`.
fn harmful(root: Node, prefix: &str) -> Vec<String> {
    let rules = root.children().filter(|n| n.tag_name().name() == "Rule" && xml::text(*n, "Status") == "Enabled");
    rules.filter_map(|rule| verdict(rule, prefix)).collect()
}

fn verdict(rule: Node, prefix: &str) -> Option<String> {
    let inside = |name: &str| rule.descendants().find(|n| n.tag_name().name() == name);
    let of = inside("Prefix").and_then(|n| n.text()).unwrap_or_default();
    // A rule for one tag leaves alone what has none, and ours has none.
    if inside("Tag").is_some() || !(prefix.starts_with(of) || of.starts_with(prefix)) {
        return None;
    }
    let expires = rule
        .children()
        .find(|n| n.tag_name().name() == "Expiration")
        .filter(|n| ["Days", "Date"].iter().any(|w| !xml::text(*n, w).is_empty()));
    let frozen = rule.children().filter(|n| n.tag_name().name() == "Transition").map(|n| xml::text(n, "StorageClass"));
    let frozen: Vec<_> = frozen.filter(|class| matches!(class.as_str(), "GLACIER" | "DEEP_ARCHIVE")).collect();
    let what = match (expires, frozen.first()) {
        (Some(n), _) => format!("removes after {} days", xml::text(n, "Days")),
        (None, Some(class)) => format!("freezes to {class}"),
        (None, None) => return None,
    };
    Some(format!("\"{}\" (prefix \"{}\", {})", shown(&xml::text(rule, "ID")), shown(of), shown(&what)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rules_that_reach_the_prefix_are_named() {
        let xml = |rules: &str| format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>");
        let rule = |id: &str, status: &str, prefix: &str, act: &str| {
            format!("<Rule><ID>{id}</ID><Status>{status}</Status><Filter><Prefix>{prefix}</Prefix></Filter>{act}</Rule>")
        };
        let expire = "<Expiration><Days>30</Days></Expiration>";
        let text = xml(&[
            rule("all", "Enabled", "", expire),
            rule("ours", "Enabled", "backups/", expire),
            rule("inside", "Enabled", "backups/prj_1/", "<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>"),
            rule("off", "Disabled", "", expire),
            rule("other", "Enabled", "logs/", expire),
            rule("old", "Enabled", "", "<NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays></NoncurrentVersionExpiration>"),
            rule("marks", "Enabled", "", "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"),
            rule(
                "uploads",
                "Enabled",
                "",
                "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>",
            ),
        ]
        .concat());
        let found = xml::parse(text.as_bytes(), |root| harmful(root, "backups/")).unwrap();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("\"all\"") && found[1].contains("30 days") && found[2].contains("GLACIER"));
    }

    #[test]
    fn clocks_that_are_apart_are_said() {
        assert!(clock(Some(Timestamp::now())).ok);
        assert!(!clock(Some("2020-01-01T00:00:00Z".parse().unwrap())).ok);
        let unknown = clock(None);
        assert!(!unknown.ok && unknown.optional);
    }
}
