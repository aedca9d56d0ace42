//! `mainstay storage …`

use crate::{
    args::nouns::{Place, SetStorage, StorageVerb},
    exit::{Exit, Failure, Outcome},
    output::{Row, Show, bytes, card, grid, local, note, or_dash, yes_no},
    session::{Ask, Session, nothing},
};
use mainstay_api_types::{AddStorage, PatchStorage, Storage, StorageCheck};
use mainstay_client::segment;
use mainstay_model::{
    Secret,
    backup::{Check, LastCheck},
    limits,
};
use std::path::PathBuf;

pub async fn run(s: &Session, verb: StorageVerb) -> Outcome {
    match verb {
        StorageVerb::Add(a) => add(s, body(a.name, a.place)?).await?,
        StorageVerb::List => s.show(&s.list::<Storage>("/storages", &[]).await?)?,
        StorageVerb::Show(a) => s.show(&s.get::<Storage>(path(&a.storage)).await?)?,
        StorageVerb::Check(a) => return check(s, &a.storage).await,
        StorageVerb::Set(a) => set(s, a).await?,
        StorageVerb::Rekey(a) => rekey(s, &a.storage).await?,
        StorageVerb::Remove(a) => remove(s, &a.storage).await?,
    }
    Ok(Exit::Done)
}

fn path(name: &str) -> String {
    format!("/storages/{}", segment(name))
}

/// What the server is asked to add; files are read here, where the person is.
pub fn body(name: String, place: Place) -> Result<AddStorage, Failure> {
    Ok(AddStorage {
        name,
        kind: place.kind,
        region: place.region,
        path: place.path,
        endpoint: place.endpoint,
        bucket: place.bucket,
        prefix: place.prefix,
        access_key: place.access_key,
        secret_key: file("--secret-key-file", place.secret_key_file)?.map(|text| Secret::new(text.trim())),
        s3_region: place.s3_region,
        path_style: place.path_style,
        ca: file("--ca-file", place.ca_file)?,
        host: place.host,
        port: place.port,
        user: place.user,
        repository: place.repository,
        host_key: place.host_key,
        ssh_key: file("--ssh-key-file", place.ssh_key_file)?.map(Secret::new),
        bandwidth: place.bandwidth.as_deref().map(rate).transpose()?,
        parallel: place.parallel,
    })
}

fn rate(text: &str) -> Result<u64, Failure> {
    limits::bandwidth(text).map_err(|e| Failure::usage(format!("--bandwidth: {}", e.message)))
}

fn number(text: &str) -> Result<u32, Failure> {
    text.parse().map_err(|_| Failure::usage(format!("--parallel: \"{text}\" is neither a number nor {}", limits::NONE)))
}

/// A limit, or that there is none any more.
fn limit<T>(text: &str, read: impl Fn(&str) -> Result<T, Failure>) -> Result<Option<T>, Failure> {
    if text == limits::NONE { Ok(None) } else { read(text).map(Some) }
}

async fn set(s: &Session, a: SetStorage) -> Outcome<()> {
    let body = PatchStorage {
        bandwidth: a.bandwidth.as_deref().map(|text| limit(text, rate)).transpose()?,
        parallel: a.parallel.as_deref().map(|text| limit(text, number)).transpose()?,
        access_key: a.access_key,
        secret_key: file("--secret-key-file", a.secret_key_file)?.map(|text| Secret::new(text.trim())),
        ca: file("--ca-file", a.ca_file)?,
        host_key: a.host_key,
        ssh_key: file("--ssh-key-file", a.ssh_key_file)?.map(Secret::new),
    };
    if serde_json::to_value(&body).is_ok_and(|b| b == serde_json::json!({})) {
        return Err(Failure::usage("nothing to change: give a limit (--bandwidth, --parallel) or what logs in; see `storage set --help`"));
    }
    if let Some(storage) = s.at_once::<Storage>(Ask::patch(path(&a.storage), &body), &format!("change storage {}", a.storage)).await? {
        s.show(&storage)?;
    }
    Ok(())
}

fn file(flag: &str, path: Option<PathBuf>) -> Result<Option<String>, Failure> {
    let read = |path: PathBuf| {
        std::fs::read_to_string(&path).map_err(|e| Failure::new(Exit::Usage, format!("{flag}: {} cannot be read: {e}", path.display())))
    };
    path.map(read).transpose()
}

/// How a row of a check ended, in a word.
fn verdict(check: &Check) -> String {
    match (check.ok, check.optional) {
        (true, _) => "yes".into(),
        (false, true) => "absent".into(),
        (false, false) => "no".into(),
    }
}

/// For a table: `show` has the reason.
fn checked(last: Option<&LastCheck>) -> String {
    last.map_or("-".into(), |l| if l.ok { "well".into() } else { "unwell".into() })
}

fn looked(last: Option<&LastCheck>) -> String {
    match last {
        None => "not looked at yet".into(),
        Some(l) if l.ok => format!("well at {}", local(l.at)),
        Some(l) => {
            let bad = l.rows.iter().find(|r| r.failed());
            format!("unwell at {}{}", local(l.at), bad.map(|r| format!(": {}: {}", r.name, r.detail)).unwrap_or_default())
        }
    }
}

async fn add(s: &Session, body: AddStorage) -> Outcome<()> {
    let would = format!("add storage {}", body.name);
    if let Some(storage) = s.at_once::<Storage>(Ask::post("/storages", &body), &would).await? {
        s.show(&storage)?;
        note(format!("next: mainstay backup create CLUSTER --storage {}", storage.name));
    }
    Ok(())
}

async fn check(s: &Session, name: &str) -> Outcome {
    let ask = Ask::post(format!("{}/check", path(name)), &nothing());
    let Some(report) = s.at_once::<StorageCheck>(ask, &format!("check storage {name}")).await? else { return Ok(Exit::Done) };
    s.show(&report)?;
    match report.rows.iter().find(|r| r.failed()) {
        None if report.ok => Ok(Exit::Done),
        bad => {
            let why = bad.map_or("it is unwell".into(), |r| format!("{}: {}", r.name, r.detail));
            Err(Failure::new(Exit::Failed, format!("storage {name} fails its check: {why}")))
        }
    }
}

async fn rekey(s: &Session, name: &str) -> Outcome<()> {
    let before: Storage = s.get(path(name)).await?;
    if s.perform(Ask::post(format!("{}/rekey", path(name)), &nothing())).await?.is_some() {
        s.show(&s.get::<Storage>(path(before.name.as_str())).await?)?;
        note(format!("what was backed up so far is in storage {}-edition-{} until it expires", before.name, before.edition));
        note(format!("next: mainstay backup create CLUSTER --storage {}", before.name));
    }
    Ok(())
}

async fn remove(s: &Session, name: &str) -> Outcome<()> {
    let storage: Storage = s.get(path(name)).await?;
    let removed = s.at_once::<serde_json::Value>(Ask::delete(path(name), &nothing()), &format!("remove storage {name}")).await?;
    if removed.is_some() {
        s.show(&storage)?;
        note(format!("storage {} is removed; what lies in {} was left there", storage.name, storage.location));
    }
    Ok(())
}

impl Row for Storage {
    const NONE: &'static str = "no storages";
    const HEADER: &'static [&'static str] = &["name", "kind", "region", "location", "added", "last check"];
    fn cells(&self) -> Vec<String> {
        let region = self.region.clone().unwrap_or_else(|| "-".into());
        vec![self.name.clone(), self.kind.clone(), region, self.location.clone(), local(self.created_at), checked(self.last_check.as_ref())]
    }
}

impl Show for Storage {
    fn people(&self) -> String {
        card(&[
            ("name", self.name.clone()),
            ("id", self.id.clone()),
            ("kind", self.kind.clone()),
            ("region", self.region.clone().unwrap_or_else(|| "-".into())),
            ("location", self.location.clone()),
            ("new backups", if self.rekeyed { "no: it was rekeyed, and only keeps what it has".into() } else { "yes".to_string() }),
            ("bandwidth", self.bandwidth.map_or("no limit".into(), limits::rate)),
            ("at a time", self.parallel.map_or("no limit".into(), |n| format!("{n} backups"))),
            ("added", local(self.created_at)),
            ("last check", looked(self.last_check.as_ref())),
        ])
    }
}

impl Show for StorageCheck {
    fn people(&self) -> String {
        let rows = grid(&["check", "passed", "detail"], self.rows.iter().map(|r| vec![r.name.clone(), verdict(r), r.detail.clone()]));
        let space = format!("{} free of {}", or_dash(self.free_bytes, bytes), or_dash(self.total_bytes, bytes));
        format!("{}\n\n{rows}", card(&[("storage", self.storage.clone()), ("well", yes_no(self.ok)), ("space", space)]))
    }
}
