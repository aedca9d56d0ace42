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
        node.runtime.put_files(node.installed.user.as_deref(), changed).await?;
        reload(&session).await?;
    }
    match (pending(&session).await?, unchanged) {
        (true, _) => Ok(Configured::RestartNeeded),
        (false, true) => Ok(Configured::Unchanged),
        (false, false) => Ok(Configured::Reloaded),
    }
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
