//! `mainstay demo`: the main job in front of whoever looks, on real engines through the same API and
//! endpoints that everybody else uses. What is printed in the end was measured on the way.

mod data;
mod place;

use crate::{
    args::{Common, process::Demo},
    exit::{Exit, Failure, Outcome},
    output::{bytes, grid, note, seconds, write},
    session::{Ask, Begun, Session},
};
use data::{Data, Fingerprint};
use mainstay_api_types::{
    Backup, Cluster, CreateBackup, CreateCluster, Credentials, DeleteCluster, Engine, Operation, RestorePlan, RestoreRequest,
};
use mainstay_client::segment;
use mainstay_model::Error;
use place::Place;
use std::{io::IsTerminal, time::Instant};

/// What is deployed: the first engine of each line that is installed.
const CLUSTERS: [(&str, &[&str]); 2] = [("shop", &["postgres"]), ("cache", &["valkey", "redis"])];

/// What was seen of one cluster.
#[derive(Default)]
struct Measured {
    cluster: String,
    engine: String,
    deploy: f64,
    backup: f64,
    restore: f64,
    away: f64,
    restore_new: f64,
    data_bytes: u64,
    added_bytes: u64,
    faults: Vec<String>,
}

pub async fn run(a: Demo) -> Outcome {
    let place = Place::choose(a.data_dir.clone())?;
    let played = tokio::select! {
        played = play(&place, &a) => played,
        () = place::told_to_stop() => Err(Failure::new(Exit::Interrupted, "interrupted; everything the demo made is being removed")),
    };
    let outcome = match played {
        Ok(session) => farewell(&place, &session).await,
        Err(e) => Err(e),
    };
    let dir = place.dir().to_path_buf();
    if let Err(e) = place.clean_up().await {
        let e = e.context(format!("the demo could not remove everything; `mainstay down --engines --data-dir {}` stops it", dir.display()));
        return outcome.and(Err(e.into()));
    }
    outcome
}

async fn play(place: &Place, a: &Demo) -> Outcome<Session> {
    say(&format!("Mainstay demo in {}: a server of its own, real engines, nothing left behind.", place.dir().display()))?;
    let server = place.serve(a.engine_dirs.clone()).await?;
    let common = Common { server: Some(server.address.clone()), token: Some(server.token.clone()), yes: true, ..Common::default() };
    let session = Session::open(common, Begun::default())?;
    let engines: Vec<Engine> = session.list("/engines", &[]).await?;
    let mut all = Vec::new();
    for (name, wanted) in CLUSTERS {
        all.push(story(&session, name, installed(&engines, wanted)?, a.rows).await?);
    }
    write(&format!("\n{}", table(&all)))?;
    let faults: Vec<&String> = all.iter().flat_map(|m| &m.faults).collect();
    for fault in &faults {
        note(format!("differs: {fault}"));
    }
    if !faults.is_empty() {
        return Err(Failure::new(Exit::Integrity, "what was restored is not what was backed up"));
    }
    say("\nEvery row and every key came back, in place and in the new clusters.")?;
    Ok(session)
}

async fn farewell(place: &Place, s: &Session) -> Outcome {
    linger(place, s.client.server()).await?;
    remove(s).await?;
    Ok(Exit::Done)
}

/// As a person would: with them go the traces that are not in the demo's directory.
async fn remove(s: &Session) -> Outcome<()> {
    for cluster in s.list::<Cluster>("/clusters", &[]).await? {
        let body = DeleteCluster { skip_final_backup: true, confirm: Some(cluster.name), ..DeleteCluster::default() };
        s.perform(Ask::delete(format!("/clusters/{}", cluster.id), &body)).await?;
    }
    Ok(())
}

/// On a terminal everything stays until the person has seen enough.
async fn linger(place: &Place, address: &str) -> Outcome<()> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Ok(());
    }
    say(&format!("\nIt goes on at {address}. Look around from another terminal:"))?;
    say(&format!("  mainstay cluster list --data-dir {}", place.dir().display()))?;
    say("Ctrl-C here stops it and removes everything.")?;
    place::told_to_stop().await;
    Ok(())
}

fn say(text: &str) -> Outcome<()> {
    write(text)
}

fn installed<'a>(engines: &'a [Engine], wanted: &[&str]) -> Outcome<&'a Engine> {
    let named = |name: &&str| engines.iter().find(|e| e.name == **name);
    let found: Vec<&Engine> = wanted.iter().filter_map(named).collect();
    found.iter().find(|e| e.available).copied().ok_or_else(|| {
        let how: Vec<String> = found.iter().map(|e| format!("{}: {}", e.title, e.install_hint)).collect();
        Failure::new(Exit::Failed, format!("the demo needs one of {} on this machine; {}", wanted.join(", "), how.join("; or ")))
    })
}

/// One cluster's whole story.
async fn story(s: &Session, cluster: &str, engine: &Engine, rows: u32) -> Outcome<Measured> {
    let mut m = Measured { cluster: cluster.into(), engine: engine.title.clone(), ..Measured::default() };
    say(&format!("\n{cluster}: deploying {} {} with a replica", engine.title, engine.versions.first().map_or("", |v| v.as_str())))?;
    let body = CreateCluster { name: cluster.into(), engine: engine.name.clone(), replicas: Some(1), ..CreateCluster::default() };
    (m.deploy, _) = timed(s, Ask::post("/clusters", &body)).await?;

    let data = Data::of(&engine.name);
    data.write(&credentials(s, cluster).await?, rows).await?;
    let before = data.look(&credentials(s, cluster).await?, rows).await?;
    say(&format!("{cluster}: wrote {before} through its endpoint; backing up"))?;
    let backup = back_up(s, cluster, &mut m).await?;

    data.damage(&credentials(s, cluster).await?, rows).await?;
    let damaged = data.look(&credentials(s, cluster).await?, rows).await?;
    say(&format!("{cluster}: an accident left {damaged}; restoring in place"))?;
    restore_in_place(s, cluster, &backup, &mut m).await?;
    compare(
        &mut m.faults,
        &format!("{cluster} after the restore in place"),
        &before,
        data.look(&credentials(s, cluster).await?, rows).await?,
    );
    all_nodes_run(s, cluster, &mut m.faults).await?;

    let copy = format!("{cluster}-copy");
    say(&format!("{cluster}: restoring the same backup as {copy}"))?;
    let request = RestoreRequest { backup: Some(backup.id), new: Some(copy.clone()), ..RestoreRequest::default() };
    (m.restore_new, _) = restore(s, request).await?;
    compare(&mut m.faults, &copy, &before, data.look(&credentials(s, &copy).await?, rows).await?);
    Ok(m)
}

async fn back_up(s: &Session, cluster: &str, m: &mut Measured) -> Outcome<Backup> {
    let body = CreateBackup { description: "before the accident".into(), ..CreateBackup::default() };
    let (took, o) = timed(s, Ask::post(format!("/clusters/{cluster}/backups"), &body)).await?;
    let backup: Backup = s.get(format!("/backups/{}", segment(text(&o, "backup")?))).await?;
    m.backup = took;
    m.data_bytes = backup.data_bytes.unwrap_or(0);
    m.added_bytes = backup.copies.iter().filter_map(|c| c.added_bytes).sum();
    say(&format!("{cluster}: {} in the backup, {} in the storage, read back and checked", bytes(m.data_bytes), bytes(m.added_bytes)))?;
    Ok(backup)
}

async fn restore_in_place(s: &Session, cluster: &str, backup: &Backup, m: &mut Measured) -> Outcome<()> {
    let request = RestoreRequest {
        backup: Some(backup.id.clone()),
        to: Some(cluster.into()),
        confirm: Some(cluster.into()),
        ..RestoreRequest::default()
    };
    let (took, o) = restore(s, request).await?;
    m.restore = took;
    m.away = o.output.get("away_seconds").and_then(|v| v.as_f64()).unwrap_or(f64::NAN);
    Ok(())
}

async fn restore(s: &Session, request: RestoreRequest) -> Outcome<(f64, Operation)> {
    let plan: RestorePlan = s.send(&Ask::post("/restores/plan", &request), false).await?;
    timed(s, Ask::post("/restores", &request).if_match(&plan.hash)).await
}

fn compare(faults: &mut Vec<String>, what: &str, before: &Fingerprint, after: Fingerprint) {
    if *before != after {
        faults.push(format!("{what} holds {after}, the backup was of {before}"));
    }
}

async fn all_nodes_run(s: &Session, cluster: &str, faults: &mut Vec<String>) -> Outcome<()> {
    let seen: Cluster = s.get(format!("/clusters/{cluster}")).await?;
    let unwell = seen.nodes.iter().filter(|n| n.status != mainstay_model::node::NodeStatus::Running);
    faults.extend(unwell.map(|n| format!("{} is not running after the restore", n.name)));
    Ok(())
}

async fn credentials(s: &Session, cluster: &str) -> Outcome<Credentials> {
    s.get(format!("/clusters/{cluster}/credentials")).await
}

async fn timed(s: &Session, ask: Ask) -> Outcome<(f64, Operation)> {
    let began = Instant::now();
    let operation = s.perform(ask).await?.ok_or_else(|| Error::internal("the demo waits for its operations"))?;
    Ok((began.elapsed().as_secs_f64(), operation))
}

fn text<'a>(o: &'a Operation, key: &str) -> Outcome<&'a str> {
    let found = o.output.get(key).and_then(|v| v.as_str());
    found.ok_or_else(|| Error::internal(format!("operation {} names no {key}", o.id)).into())
}

fn table(all: &[Measured]) -> String {
    let header = ["cluster", "engine", "deploy", "backup", "data", "stored", "restore in place", "away", "restore new"];
    let row = |m: &Measured| {
        vec![
            m.cluster.clone(),
            m.engine.clone(),
            seconds(m.deploy),
            seconds(m.backup),
            bytes(m.data_bytes),
            bytes(m.added_bytes),
            seconds(m.restore),
            seconds(m.away),
            seconds(m.restore_new),
        ]
    };
    grid(&header, all.iter().map(row))
}
