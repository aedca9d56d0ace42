//! Replicas: seeded with a base backup, fed through a slot of their own. A slot is named after its
//! node and lives on the primary; it makes the primary keep what the replica still needs.

use super::{
    bootstrap::{is_complete, publish},
    config::{REPLICATION, auto_conf, following, pass_file, pass_file_spec, private, read_auto_conf, slot_name},
    connect::{Session, admin, peer, sql},
    tools::{LONG, Tool, arg, remove_dir, sibling},
};
use mainstay_drivers::{
    Result,
    engine::{Node, Upstream},
    progress::Progress,
};
use mainstay_model::Error;
use std::{path::Path, time::Duration};
use tokio::time::{Instant, sleep};
use tokio_postgres::error::SqlState;

pub(super) async fn join(node: &Node, upstream: &Upstream, progress: &Progress) -> Result<()> {
    let data = &node.paths.data;
    if is_complete(data) {
        return adopt(node, upstream).await;
    }
    progress.say(&format!("copying the data of {}", upstream.name));
    let fresh = sibling(data, ".new");
    remove_dir(&fresh).await?;
    let primary = peer(node, upstream).await?;
    // What an interrupted join left behind holds the log of a copy that no longer exists.
    let slot = slot_name(&node.plan.name);
    drop_slot(&primary, &slot).await?;
    ensure_slot(&primary, &slot).await?;
    progress.total(size_of(&primary).await?);
    seed(node, upstream, &fresh, progress).await?;
    write_following(node, upstream, &fresh).await?;
    publish(&fresh, data).await
}

/// A directory that is complete was finished by an earlier call, or it is not ours to replace.
async fn adopt(node: &Node, upstream: &Upstream) -> Result<()> {
    if node.paths.data.join("standby.signal").is_file() {
        return write_following(node, upstream, &node.paths.data).await;
    }
    let sentence = format!("{} holds the data of a primary; put it aside before {} joins", node.paths.data.display(), node.plan.name);
    Err(Error::conflict("data_present", sentence))
}

async fn size_of(primary: &Session) -> Result<u64> {
    let total: i64 = primary
        .query_one_scalar("SELECT coalesce(sum(pg_database_size(oid)), 0)::bigint FROM pg_database WHERE datallowconn", &[])
        .await
        .map_err(sql("asking for the size of the data"))?;
    Ok(total.unsigned_abs())
}

async fn seed(node: &Node, upstream: &Upstream, fresh: &Path, progress: &Progress) -> Result<()> {
    let user = node.installed.user.as_deref();
    node.runtime.put_dir(user, &node.paths.run, 0o700).await?;
    node.runtime.put_files(user, vec![pass_file_spec(node)]).await?;
    let mut args: Vec<String> = ["-X", "stream", "-c", "fast", "--no-sync", "--no-manifest", "-w"].map(String::from).into();
    let (host, port) = (upstream.address.to_string(), upstream.port.to_string());
    for (flag, value) in [("-D", arg(fresh)), ("-h", host), ("-p", port), ("-U", REPLICATION.into()), ("-S", slot_name(&node.plan.name))] {
        args.extend([flag.into(), value]);
    }
    let env = vec![("PGPASSFILE", arg(&pass_file(node))), ("PGGSSENCMODE", "disable".into()), ("PGCONNECT_TIMEOUT", "10".into())];
    let copying = Tool { name: "pg_basebackup", args, env, stdin: vec![], timeout: LONG }.succeed(node);
    tokio::select! {
        copied = copying => copied.map(|_| ()),
        _ = watch(fresh, progress) => Err(Error::failed("cancelled", format!("seeding {} was cancelled", node.plan.name))),
    }
}

/// Counts what has arrived; ends when the work is to be given up.
async fn watch(fresh: &Path, progress: &Progress) {
    let mut seen = 0;
    while !progress.is_cancelled() {
        sleep(Duration::from_millis(500)).await;
        let dir = fresh.to_owned();
        let now = tokio::task::spawn_blocking(move || bytes_below(&dir)).await.unwrap_or(seen);
        progress.add(now.saturating_sub(seen));
        seen = seen.max(now);
    }
}

fn bytes_below(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|e| match e.metadata() {
            Ok(m) if m.is_dir() => bytes_below(&e.path()),
            Ok(m) => m.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Makes the data directory that of a replica of `upstream`. Returns whether anything changed.
pub(super) async fn write_following(node: &Node, upstream: &Upstream, data: &Path) -> Result<()> {
    let wanted = following(&read_auto_conf(data).await?, node, upstream);
    let files = vec![pass_file_spec(node), private(auto_conf(data), wanted), private(data.join("standby.signal"), String::new())];
    node.runtime.put_files(node.installed.user.as_deref(), files).await
}

pub(super) async fn leave(node: &Node, leaving: &Upstream) -> Result<()> {
    drop_slot(&admin(node).await?, &slot_name(&leaving.name)).await
}

/// Makes the slot exist and hold log. One that lost its log is of no use to anybody.
pub(super) async fn ensure_slot(session: &Session, slot: &str) -> Result<()> {
    let doing = format!("making replication slot {slot}");
    let found: Option<Option<String>> = session
        .query_opt_scalar("SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1", &[&slot])
        .await
        .map_err(sql(&doing))?;
    match found {
        Some(status) if status.as_deref() != Some("lost") => return Ok(()),
        Some(_) => drop_slot(session, slot).await?,
        None => {}
    }
    session.execute("SELECT pg_create_physical_replication_slot($1, true)", &[&slot]).await.map_err(sql(&doing))?;
    Ok(())
}

/// Makes the slot not exist, sending away whoever still reads from it.
pub(super) async fn drop_slot(session: &Session, slot: &str) -> Result<()> {
    const DROP: &str = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1";
    const END: &str = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active_pid IS NOT NULL";
    let doing = format!("dropping replication slot {slot}");
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        session.execute(END, &[&slot]).await.map_err(sql(&doing))?;
        match session.execute(DROP, &[&slot]).await {
            Ok(_) => return Ok(()),
            Err(e) if e.code() == Some(&SqlState::UNDEFINED_OBJECT) => return Ok(()),
            Err(e) if e.code() == Some(&SqlState::OBJECT_IN_USE) && Instant::now() < deadline => sleep(Duration::from_millis(20)).await,
            Err(e) => return Err(sql(&doing)(e)),
        }
    }
}

/// A replica that once was a primary still holds the slots of those who followed it; nobody reads
/// from them any more, and each would keep log until the disk is full.
pub(super) async fn drop_stale_slots(session: &Session) -> Result<()> {
    const STALE: &str = "SELECT slot_name FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT temporary AND NOT active";
    let rows = session.query(STALE, &[]).await.map_err(sql("looking for replication slots"))?;
    for row in rows {
        drop_slot(session, row.get(0)).await?;
    }
    Ok(())
}
