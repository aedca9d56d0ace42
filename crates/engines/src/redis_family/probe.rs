//! One look at a node: a short login on the private socket and one `INFO`.
//!
//! How far a replica is behind is not said here: it knows what it has read, not what its primary
//! has written. The two positions say it. `master_last_io_seconds_ago` is no lag either; an idle
//! primary speaks once in ten seconds.

use super::{connect::try_admin, info::Info, role};
use crate::common::served_instance;
use mainstay_drivers::{
    engine::{Exposure, Node},
    runtime::InstanceState,
};
use mainstay_model::{
    Time,
    node::{EngineState, NodeRole, Observed},
};
use redis::{ErrorKind, RedisError};
use std::time::Duration;

/// Below the three seconds a probe may take.
const PATIENCE: Duration = Duration::from_millis(2500);

pub(super) async fn probe(node: &Node, now: Time) -> Observed {
    match tokio::time::timeout(PATIENCE, look(node, now)).await {
        Ok(observed) => observed,
        Err(_) => Observed::unknown(now, format!("the server did not answer within {PATIENCE:?}")),
    }
}

async fn look(node: &Node, now: Time) -> Observed {
    let mut link = match try_admin(node).await {
        Ok(link) => link,
        // Somebody listens and does not answer: it hangs, and what it is nobody knows.
        Err(e) if e.is_timeout() => return Observed::unknown(now, "the server does not answer"),
        Err(e) if e.kind() == ErrorKind::Io => return without_server(node, now, &e).await,
        Err(e) => return Observed::unknown(now, format!("the server refused Mainstay's login: {e}")),
    };
    match redis::cmd("INFO").query_async::<String>(&mut link).await {
        Ok(text) => {
            let info = Info::parse(&text);
            let unfinished = role::writes_first_log(node, &info);
            observe(&info, unfinished, now)
        }
        Err(e) => Observed::unknown(now, format!("the server answered a login, then no question: {e}")),
    }
}

/// Nobody listens: the runtime knows whether there is a process, and the directory may know why not.
async fn without_server(node: &Node, now: Time, e: &RedisError) -> Observed {
    let unseen = Observed::unknown(now, format!("nothing answers on the socket: {e}"));
    if node.exposure == Exposure::Isolated {
        return unseen;
    }
    let (state, detail) = match node.runtime.inspect(&served_instance(node)).await.map(|i| i.state) {
        Ok(InstanceState::Running) => (EngineState::Starting, Some("the process runs and does not listen yet".to_string())),
        Ok(InstanceState::Crashed { detail }) => (EngineState::Crashed, Some(lost(node).unwrap_or(detail))),
        Ok(InstanceState::Stopped) => (EngineState::Stopped, lost(node)),
        Err(_) => return unseen,
    };
    Observed { state, detail, ..unseen }
}

fn lost(node: &Node) -> Option<String> {
    let file = role::file(&node.paths.data);
    let sentence = || {
        format!(
            "{} is missing, and with it this node's data: it does not start empty, so that its replicas keep theirs; promote one or restore a backup",
            file.display()
        )
    };
    (!file.is_file()).then(sentence)
}

fn observe(info: &Info, unfinished: bool, now: Time) -> Observed {
    let role = info.role();
    let mut seen = Observed {
        state: EngineState::Ready,
        role,
        position: info.position(),
        // Without this look itself.
        connections: info.number::<u64>("connected_clients").map(|n| n.saturating_sub(1)),
        replicas: info.replicas(),
        detail: trouble(info),
        ..Observed::unknown(now, "")
    };
    if !info.is("loading", "0") {
        seen.state = EngineState::Starting;
        seen.detail = Some(format!("loading its data into memory, {} % done", info.text("loading_loaded_perc").unwrap_or("0")));
    }
    if role == Some(NodeRole::Replica) {
        observe_link(info, &mut seen);
        if unfinished && seen.state == EngineState::Ready {
            seen.state = EngineState::Starting;
            seen.detail = Some("has all data and is writing it to its log for the first time".into());
        }
    }
    seen
}

/// A replica that never was in step since it started, or is being filled anew, does not serve yet.
/// One that lost its primary still does: it may have to become one.
fn observe_link(info: &Info, seen: &mut Observed) {
    let up = info.is("master_link_status", "up");
    seen.link_up = Some(up);
    if up || seen.state == EngineState::Starting {
        return;
    }
    let upstream = format!("{}:{}", info.text("master_host").unwrap_or("?"), info.text("master_port").unwrap_or("?"));
    let down_since = info.number::<u64>("master_link_down_since_seconds");
    seen.lag_seconds = down_since.map(|s| s as f64);
    let (state, detail) = if info.is("master_sync_in_progress", "1") {
        (EngineState::Starting, format!("receiving all data from its primary {upstream}"))
    } else if let Some(seconds) = down_since {
        (EngineState::Ready, format!("no connection to its primary {upstream} for {seconds} s"))
    } else {
        (EngineState::Starting, format!("has not reached its primary {upstream} yet"))
    };
    seen.state = state;
    seen.detail = Some(detail);
}

fn trouble(info: &Info) -> Option<String> {
    let failed = |key| info.text(key).is_some_and(|status| status != "ok");
    if failed("aof_last_write_status") {
        return Some("its last write to the log failed, so it refuses writes: look at the disk".into());
    }
    if failed("rdb_last_bgsave_status") {
        return Some("its last snapshot failed, so it refuses writes: look at the disk and at free memory".into());
    }
    failed("aof_last_bgrewrite_status")
        .then(|| "its log could not be rewritten and keeps growing: look at the disk and at free memory".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(lines: &[&str]) -> Info {
        let usual = ["loading:0", "connected_clients:3", "master_replid:abc", "slave_repl_offset:7"];
        Info::parse(&usual.iter().chain(lines).fold(String::new(), |all, line| all + line + "\r\n"))
    }

    fn seen(lines: &[&str]) -> Observed {
        observe(&info(lines), false, Time(0))
    }

    #[test]
    fn a_replica_is_ready_once_it_was_in_step() {
        let replica = ["role:slave", "master_host:10.0.0.1", "master_port:6379"];
        let with = |more: &[&'static str]| seen(&[&replica[..], more].concat());
        let up = with(&["master_link_status:up"]);
        assert_eq!((up.state, up.link_up, up.detail, up.connections), (EngineState::Ready, Some(true), None, Some(2)));
        let writing = observe(&info(&[&replica[..], &["master_link_status:up"]].concat()), true, Time(0));
        assert_eq!((writing.state, writing.link_up), (EngineState::Starting, Some(true)));
        let never = with(&["master_link_status:down", "master_sync_in_progress:0", "master_link_down_since_seconds:-1"]);
        assert_eq!((never.state, never.link_up), (EngineState::Starting, Some(false)));
        let filling = with(&["master_link_status:down", "master_sync_in_progress:1", "master_link_down_since_seconds:4"]);
        assert_eq!(filling.state, EngineState::Starting);
        let lost = with(&["master_link_status:down", "master_sync_in_progress:0", "master_link_down_since_seconds:4"]);
        assert_eq!((lost.state, lost.link_up, lost.lag_seconds), (EngineState::Ready, Some(false), Some(4.0)));
    }

    #[test]
    fn loading_is_not_ready_and_a_full_disk_is_told() {
        assert_eq!(seen(&["role:master", "loading:1"]).state, EngineState::Starting);
        assert!(seen(&["role:master", "aof_last_write_status:err"]).detail.unwrap().contains("disk"));
        assert_eq!(seen(&["role:master", "aof_last_write_status:ok"]).detail, None);
    }
}
