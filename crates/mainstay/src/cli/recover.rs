//! `mainstay recover`: asked of a server where one is meant, done in this process where there is none.

use super::{cluster, kit};
use crate::{
    args::{Common, nouns::Place, recover::Recover},
    exit::{Exit, Failure, Outcome},
    output::{self, Row, Show, bytes, card, clean, local, note, or_dash, yes_no},
    process::{
        data_dir,
        recover::{self, Rebuilt, Server},
    },
    session::{Ask, Begun, Session},
};
use mainstay_api_types::{AddStorage, Found, LookForBackups, WhatIsThere};
use mainstay_drivers::storage::StorageSpec;
use mainstay_model::{Error, Secret};
use serde::Serialize;
use std::path::{Path, PathBuf};

pub async fn run(common: Common, a: Recover) -> Outcome {
    let key = kit::read(&a.key)?;
    let server = if a.control_plane { None } else { asked(&common)? };
    let sources = sources(a.from.as_deref(), a.place, key.storages, server.is_some())?;
    let wanted = Wanted { cluster: a.cluster, backup: a.backup, name: a.name };
    let looking = Looking { server: server.as_ref(), key: &key.key };
    let what = match &wanted.cluster {
        _ if a.control_plane => kit::Wanted::ControlPlane,
        Some(name) => kit::Wanted::Cluster(name),
        None => return listed(&looking.all(&sources).await?, common.output.unwrap_or_default()),
    };
    let from = looking.choose(sources, &what, wanted.backup.as_deref()).await?;
    match &server {
        _ if a.control_plane => control_plane(&common, spec(from)?, wanted.backup.as_deref(), &key.key).await,
        Some(s) => at_server(s, from, &wanted, &key.key).await,
        None => here(common, from, &wanted, &key.key).await,
    }
}

/// Who looks: the server that is meant, else this process.
struct Looking<'a> {
    server: Option<&'a Session>,
    key: &'a Secret,
}

impl Looking<'_> {
    async fn at(&self, from: Source) -> Outcome<Vec<Found>> {
        let Some(s) = self.server else {
            return Ok(recover::look(&spec(from)?, self.key).await?.into_iter().map(mainstay_api::found).collect());
        };
        let (storage, place) = from.parts();
        let body = LookForBackups { storage, place, key: self.key.reveal().to_string() };
        Ok(s.send::<WhatIsThere>(&Ask::post("/recoveries/look", &body), false).await?.items)
    }

    /// Of several, those that can be looked into; with none of them the last one's trouble.
    async fn each(&self, sources: &[Source]) -> Outcome<Vec<(usize, Vec<Found>)>> {
        let (mut all, mut trouble) = (vec![], None);
        for (at, source) in sources.iter().enumerate() {
            match self.at(source.clone()).await {
                Ok(found) => all.push((at, found)),
                Err(why) if sources.len() == 1 => return Err(why),
                Err(why) => {
                    kit::left_out(source.name(), &why);
                    trouble = Some(why);
                }
            }
        }
        match trouble {
            Some(why) if all.is_empty() => Err(why),
            _ => Ok(all),
        }
    }

    async fn all(&self, sources: &[Source]) -> Outcome<Vec<Found>> {
        let mut all = vec![];
        for (at, found) in self.each(sources).await? {
            let storage = (sources.len() > 1).then(|| sources[at].name().to_string());
            all.extend(found.into_iter().map(|f| Found { storage: storage.clone(), ..f }));
        }
        Ok(all)
    }

    /// The one there is, else the one with the newest of what is wanted.
    async fn choose(&self, mut sources: Vec<Source>, what: &kit::Wanted<'_>, backup: Option<&str>) -> Outcome<Source> {
        if sources.len() > 1 {
            let at = kit::newest(&self.each(&sources).await?, what, backup)?;
            sources = vec![sources.swap_remove(at)];
            note(format!("from storage {}", sources[0].name()));
        }
        sources.pop().ok_or_else(|| Failure::usage("no storage is named"))
    }
}

/// What is to come back.
struct Wanted {
    cluster: Option<String>,
    backup: Option<String>,
    name: Option<String>,
}

/// Where from.
#[derive(Clone)]
enum Source {
    /// A storage of the server.
    Storage(String),
    Place(Box<AddStorage>),
}

impl Source {
    fn name(&self) -> &str {
        match self {
            Source::Storage(name) => name,
            Source::Place(place) => &place.name,
        }
    }

    fn parts(self) -> (Option<String>, Option<AddStorage>) {
        match self {
            Source::Storage(name) => (Some(name), None),
            Source::Place(place) => (None, Some(*place)),
        }
    }
}

/// What was named; with a kit and nothing named, every storage of it.
fn sources(from: Option<&str>, place: Option<Place>, kit: Vec<AddStorage>, of_a_server: bool) -> Outcome<Vec<Source>> {
    if let Some(named) = kit.iter().find(|s| from == Some(s.name.as_str())) {
        return Ok(vec![Source::Place(Box::new(named.clone()))]);
    }
    if from.is_some() || place.is_some() {
        return Ok(vec![source(from, place, of_a_server)?]);
    }
    if kit.is_empty() {
        return Err(Failure::usage("say where the backups lie: --from or --kind, or a recovery kit as --key"));
    }
    Ok(kit.into_iter().map(|s| Source::Place(Box::new(s))).collect())
}

/// A place that is no storage yet gets a name of its own should it become one.
fn source(from: Option<&str>, place: Option<Place>, of_a_server: bool) -> Outcome<Source> {
    let name = format!("recovered-{:08x}", rand::random::<u32>());
    if let Some(place) = place {
        return Ok(Source::Place(Box::new(super::storage::body(name, place)?)));
    }
    let from = from.unwrap_or_default();
    let path = match of_a_server {
        true if !from.starts_with('/') => return Ok(Source::Storage(from.into())),
        true => from.into(),
        false => directory(from)?.to_string_lossy().into_owned(),
    };
    Ok(Source::Place(Box::new(AddStorage { name, kind: "local".into(), path: Some(path), ..AddStorage::default() })))
}

fn spec(from: Source) -> Outcome<StorageSpec> {
    match from {
        Source::Place(place) => Ok(mainstay_control::storages::unlisted(&mainstay_api::new_storage(*place)?)?),
        Source::Storage(name) => Err(Failure::usage(format!("no server is named whose storage {name} could be"))),
    }
}

fn directory(from: &str) -> Outcome<PathBuf> {
    if !from.contains('/') && !Path::new(from).is_dir() {
        return Err(Failure::usage(format!("{from} is no directory here, and no server is named whose storage it could be")));
    }
    Ok(std::path::absolute(from).map_err(Error::from)?)
}

fn data_dir_of(common: &Common) -> PathBuf {
    common.data_dir.clone().unwrap_or_else(data_dir::default_path)
}

/// The server that is meant: named, or at work on the data directory that is.
fn asked(common: &Common) -> Outcome<Option<Session>> {
    let named = common.server.is_some() || (common.data_dir.is_none() && std::env::var_os("MAINSTAY_SERVER").is_some());
    let serves = data_dir::holder(&data_dir_of(common)).is_some();
    if !named && !serves {
        return Ok(None);
    }
    Ok(Some(Session::open(common.clone(), Begun::default())?))
}

async fn at_server(s: &Session, from: Source, wanted: &Wanted, key: &Secret) -> Outcome {
    let (storage, place) = from.parts();
    let key = key.reveal().to_string();
    let cluster = wanted.cluster.as_deref().unwrap_or_default();
    let (backup, name) = (wanted.backup.clone(), wanted.name.clone());
    let body = mainstay_api_types::Recover { storage, place, key, cluster: cluster.into(), backup, name };
    let Some(operation) = s.perform(Ask::post("/recoveries", &body)).await? else { return Ok(Exit::Done) };
    for over in operation.output["passed_over"].as_array().into_iter().flatten() {
        let (id, why) = (over["backup"].as_str().unwrap_or_default(), over["doubt"].as_str().unwrap_or_default());
        note(format!("a newer backup, {id}, was passed over: {why}; --backup {id} recovers that one"));
    }
    let back = cluster::get(s, cluster::id_in(&operation, "cluster", cluster)).await?;
    s.show(&back)?;
    note(format!("next: mainstay cluster credentials {}; its backups of before: mainstay backup list", back.name));
    Ok(Exit::Done)
}

/// A Mainstay in this process brings it back and leaves it for the next `up`.
async fn here(common: Common, from: Source, wanted: &Wanted, key: &Secret) -> Outcome {
    let dir = data_dir_of(&common);
    let server = Server::start(&dir).await?;
    let common = Common { server: Some(server.address.clone()), token: Some(server.token.clone()), data_dir: None, ..common };
    let done = match Session::open(common, Begun::default()) {
        Ok(s) => at_server(&s, from, wanted, key).await,
        Err(e) => Err(e.into()),
    };
    server.stop().await?;
    let exit = done?;
    note(format!("the database runs and goes on; manage it with: mainstay up --data-dir {}", dir.display()));
    Ok(exit)
}

async fn control_plane(common: &Common, from: StorageSpec, backup: Option<&str>, key: &Secret) -> Outcome {
    if common.server.is_some() {
        return Err(Failure::usage(
            "a control plane is brought back on the machine it is to run on; leave --server out and name --data-dir",
        ));
    }
    let back = Back::from(recover::rebuild(&from, key, backup, &data_dir_of(common)).await?);
    output::show(&back, common.output.unwrap_or_default())?;
    for name in &back.unseen {
        note(format!("could not be looked into, what it holds is not checked: {name}"));
    }
    note(format!("next: mainstay up --data-dir {}", back.data_dir.display()));
    note("then, for each cluster whose data is gone: mainstay restore run BACKUP --to NAME");
    Ok(Exit::Done)
}

/// What came back of a control plane.
#[derive(Serialize)]
struct Back {
    data_dir: PathBuf,
    backup: String,
    made_at: mainstay_model::Time,
    clusters: Vec<String>,
    interrupted_operations: u64,
    lost_copies: u64,
    log_parts: u64,
    unseen: Vec<String>,
}

impl From<Rebuilt> for Back {
    fn from(r: Rebuilt) -> Back {
        Back {
            data_dir: r.data_dir,
            backup: r.backup.backup.to_string(),
            made_at: r.backup.created_at,
            clusters: r.settled.clusters,
            interrupted_operations: r.settled.interrupted_operations,
            lost_copies: r.settled.lost_copies,
            log_parts: r.settled.log_parts,
            unseen: r.settled.unseen,
        }
    }
}

impl Show for Back {
    fn people(&self) -> String {
        card(&[
            ("data directory", self.data_dir.display().to_string()),
            ("as of", local(self.made_at)),
            ("backup", self.backup.clone()),
            ("clusters", self.clusters.join(", ")),
            ("operations ended", self.interrupted_operations.to_string()),
            ("copies of backups not found", self.lost_copies.to_string()),
            ("parts of logs found since", self.log_parts.to_string()),
        ])
    }
}

fn listed(found: &[Found], format: output::Format) -> Outcome {
    output::show(&found.to_vec(), format)?;
    let closed = found.iter().filter(|f| !f.opens).count();
    if closed > 0 {
        note(format!("{closed} of {} repositories do not open with this key", found.len()));
    }
    if let Some(name) = found.iter().find(|f| f.holds == "cluster").and_then(|f| f.cluster.as_ref()) {
        note(format!("next: the same with --cluster {name}, or with --control-plane"));
    }
    Ok(Exit::Done)
}

impl Row for Found {
    const NONE: &'static str = "no backups lie there";
    const HEADER: &'static [&'static str] = &["holds", "cluster", "engine", "backups", "newest", "size", "opens", "id", "storage"];
    fn cells(&self) -> Vec<String> {
        let good: Vec<_> = self.backups.iter().filter(|b| b.error.is_none()).collect();
        let engine = self.engine.as_deref().map(|e| format!("{e} {}", self.engine_version.as_deref().unwrap_or_default()));
        let bad = self.backups.len() - good.len();
        let doubtful = good.iter().filter(|b| b.doubt.is_some()).count();
        let less = [(bad, "unusable"), (doubtful, "doubtful")].into_iter().filter(|(n, _)| *n > 0);
        let count = less.fold(good.len().to_string(), |text, (n, word)| format!("{text}, {n} {word}"));
        vec![
            self.holds.replace('_', " "),
            clean(self.cluster.as_deref().unwrap_or("-")),
            clean(engine.as_deref().unwrap_or("-")),
            count,
            or_dash(good.first().map(|b| b.created_at), local),
            or_dash(good.first().map(|b| b.data_bytes), bytes),
            self.error.as_deref().filter(|_| self.opens).map_or_else(|| yes_no(self.opens), clean),
            self.cluster_id.clone(),
            clean(self.storage.as_deref().unwrap_or("-")),
        ]
    }
}
