//! Settings of a running node: write the files, tell the server, and ask it what it could not take
//! over without a restart.

use super::{
    config::config_files,
    connect::{Session, admin, sql},
    replicate::drop_stale_slots,
};
use mainstay_drivers::{
    Result,
    engine::{Configured, Node},
    runtime::FileSpec,
};
use mainstay_model::Error;
use std::time::Duration;
use tokio::time::{Instant, sleep};

pub(super) async fn configure(node: &Node) -> Result<Configured> {
    let session = admin(node).await?;
    let changed: Vec<FileSpec> = config_files(node).into_iter().filter(differs).collect();
    let unchanged = changed.is_empty();
    if !unchanged {
        take_over(node, &session, changed).await?;
    }
    match (pending(&session).await?, unchanged) {
        (true, _) => Ok(Configured::RestartNeeded),
        (false, true) => Ok(Configured::Unchanged),
        (false, false) => Ok(Configured::Reloaded),
    }
}

/// A value the server does not take it only writes into its log, goes on with the old one, and does
/// not start with it any more. So it is asked, and the old files come back where it says no.
async fn take_over(node: &Node, session: &Session, changed: Vec<FileSpec>) -> Result<()> {
    let user = node.installed.user.as_deref();
    let old = |f: &FileSpec| Some(FileSpec { content: std::fs::read(&f.path).ok()?, ..f.clone() });
    let before: Vec<FileSpec> = changed.iter().filter_map(old).collect();
    node.runtime.put_files(user, changed).await?;
    reload(session).await?;
    let Some((name, value)) = refused(session).await? else { return Ok(()) };
    node.runtime.put_files(user, before).await?;
    reload(session).await?;
    let sentence = format!("PostgreSQL {} does not take {name} = {value}; nothing was changed", node.installed.version);
    Err(Error::invalid(&name, sentence))
}

/// The first setting in the files that the server did not take, for another reason than that it
/// waits for a restart.
async fn refused(session: &Session) -> Result<Option<(String, String)>> {
    const REFUSED: &str = "
SELECT coalesce(f.name, f.sourcefile), coalesce(f.setting, f.error) FROM pg_file_settings f
 WHERE f.error IS NOT NULL AND NOT EXISTS (SELECT FROM pg_settings s WHERE s.name = f.name AND s.pending_restart)
 ORDER BY f.seqno LIMIT 1";
    let row = session.query_opt(REFUSED, &[]).await.map_err(sql("asking which settings were refused"))?;
    Ok(row.map(|row| (row.get(0), row.get(1))))
}

fn differs(file: &FileSpec) -> bool {
    std::fs::read(&file.path).ok().as_ref() != Some(&file.content)
}

/// Returns when this session's own process has read the files, which then knows what is pending.
async fn reload(session: &Session) -> Result<()> {
    const LOADED: &str = "SELECT extract(epoch FROM pg_conf_load_time())::float8";
    let doing = "reloading the configuration";
    let before: f64 = session.query_one_scalar(LOADED, &[]).await.map_err(sql(doing))?;
    session.batch_execute("SELECT pg_reload_conf()").await.map_err(sql(doing))?;
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        let now: f64 = session.query_one_scalar(LOADED, &[]).await.map_err(sql(doing))?;
        if now > before {
            return Ok(());
        }
        sleep(Duration::from_millis(10)).await;
    }
    Err(Error::timed_out("PostgreSQL did not read its changed configuration within 5 s; look into its log"))
}

async fn pending(session: &Session) -> Result<bool> {
    const PENDING: &str = "SELECT EXISTS (SELECT FROM pg_settings WHERE pending_restart)";
    session.query_one_scalar(PENDING, &[]).await.map_err(sql("asking what needs a restart"))
}

/// After a start: a node that is a replica now has no replicas of its own.
pub(super) async fn started(node: &Node) -> Result<()> {
    let session = admin(node).await?;
    let replica: bool = session.query_one_scalar("SELECT pg_is_in_recovery()", &[]).await.map_err(sql("asking for the role"))?;
    if replica { drop_stale_slots(&session).await } else { Ok(()) }
}
