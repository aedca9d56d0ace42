//! `mainstay storage …`

use crate::{
    args::nouns::StorageVerb,
    exit::{Exit, Failure, Outcome},
    output::{Row, Show, bytes, card, grid, local, note, or_dash, yes_no},
    session::{Ask, Session, nothing},
};
use mainstay_api_types::{AddStorage, Storage, StorageCheck};
use mainstay_client::segment;

pub async fn run(s: &Session, verb: StorageVerb) -> Outcome {
    match verb {
        StorageVerb::Add { name, kind, path, region } => add(s, AddStorage { name, kind, path, region }).await?,
        StorageVerb::List => s.show(&s.list::<Storage>("/storages", &[]).await?)?,
        StorageVerb::Show(a) => s.show(&s.get::<Storage>(path(&a.storage)).await?)?,
        StorageVerb::Check(a) => return check(s, &a.storage).await,
        StorageVerb::Remove(a) => remove(s, &a.storage).await?,
    }
    Ok(Exit::Done)
}

fn path(name: &str) -> String {
    format!("/storages/{}", segment(name))
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
    match report.rows.iter().find(|r| !r.ok) {
        None if report.ok => Ok(Exit::Done),
        bad => {
            let why = bad.map_or("it is unwell".into(), |r| format!("{}: {}", r.name, r.detail));
            Err(Failure::new(Exit::Failed, format!("storage {name} fails its check: {why}")))
        }
    }
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
    const HEADER: &'static [&'static str] = &["name", "kind", "region", "location", "added"];
    fn cells(&self) -> Vec<String> {
        let region = self.region.clone().unwrap_or_else(|| "-".into());
        vec![self.name.clone(), self.kind.clone(), region, self.location.clone(), local(self.created_at)]
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
            ("added", local(self.created_at)),
        ])
    }
}

impl Show for StorageCheck {
    fn people(&self) -> String {
        let rows = grid(&["check", "passed", "detail"], self.rows.iter().map(|r| vec![r.name.clone(), yes_no(r.ok), r.detail.clone()]));
        let space = format!("{} free of {}", or_dash(self.free_bytes, bytes), or_dash(self.total_bytes, bytes));
        format!("{}\n\n{rows}", card(&[("storage", self.storage.clone()), ("well", yes_no(self.ok)), ("space", space)]))
    }
}
