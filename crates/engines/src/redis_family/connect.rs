//! Sessions of Mainstay's own: always as the administrator, always on the node's private socket,
//! so that no password of ours crosses a network and an isolated instance is reached the same way.

use super::{
    config::{ADMIN, socket},
    info::Info,
};
use crate::common::served_instance;
use mainstay_drivers::{Result, engine::Node, runtime::InstanceState};
use mainstay_model::{Error, Secret};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo, Pipeline, RedisConnectionInfo,
    RedisError, RedisResult, ServerErrorKind, aio::MultiplexedConnection,
};
use std::{path::PathBuf, time::Duration};

const CONNECT: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(15);

/// Where a node is reached and as whom; no more than a backup's own threads need to know.
#[derive(Clone)]
pub(super) struct Access {
    pub name: String,
    pub socket: PathBuf,
    user: &'static str,
    password: Secret,
}

impl Access {
    pub fn admin(node: &Node) -> Access {
        Access { name: node.plan.name.clone(), socket: socket(node), user: ADMIN, password: node.plan.accounts.admin.clone() }
    }

    fn client(&self) -> RedisResult<Client> {
        let login = RedisConnectionInfo::default().set_username(self.user).set_password(self.password.reveal()).set_skip_set_lib_name();
        Client::open(ConnectionAddr::Unix(self.socket.clone()).into_connection_info()?.set_redis_settings(login))
    }

    /// `INFO` for threads that must not wait on the async side.
    pub fn info_blocking(&self) -> Result<Info> {
        let look = || {
            let mut link = self.client()?.get_connection_with_timeout(CONNECT)?;
            link.set_read_timeout(Some(ANSWER))?;
            redis::cmd("INFO").query::<String>(&mut link)
        };
        look().map(|text| Info::parse(&text)).map_err(|e| reading(&self.name, "reading its state", &e))
    }
}

/// A session that says, where something fails, on which node and at what.
pub(super) struct Session {
    link: MultiplexedConnection,
    whom: String,
}

pub(super) async fn admin(node: &Node) -> Result<Session> {
    admin_within(node, ANSWER).await
}

/// One whose questions take as long as that.
pub(super) async fn admin_within(node: &Node, answer: Duration) -> Result<Session> {
    let link = link(node, answer).await.map_err(|e| reading(&node.plan.name, "logging in", &e))?;
    Ok(Session { link, whom: node.plan.name.clone() })
}

/// The administrator of a node that may rightly be stopped: `None` where there is no process.
pub(super) async fn admin_if_running(node: &Node) -> Result<Option<Session>> {
    match admin(node).await {
        Ok(session) => Ok(Some(session)),
        Err(e) => match node.runtime.inspect(&served_instance(node)).await?.state {
            InstanceState::Running => Err(e),
            InstanceState::Stopped | InstanceState::Crashed { .. } => Ok(None),
        },
    }
}

pub(super) async fn try_admin(node: &Node) -> RedisResult<MultiplexedConnection> {
    link(node, ANSWER).await
}

async fn link(node: &Node, answer: Duration) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(answer));
    Access::admin(node).client()?.get_multiplexed_async_connection_with_config(&config).await
}

impl Session {
    pub async fn ask<T: FromRedisValue>(&mut self, doing: &str, cmd: &Cmd) -> Result<T> {
        cmd.query_async(&mut self.link).await.map_err(|e| reading(&self.whom, doing, &e))
    }

    /// Several commands in one go, answered in order.
    pub async fn ask_all<T: FromRedisValue>(&mut self, doing: &str, cmds: &Pipeline) -> Result<T> {
        cmds.query_async(&mut self.link).await.map_err(|e| reading(&self.whom, doing, &e))
    }

    pub async fn info(&mut self) -> Result<Info> {
        let text: String = self.ask("reading its state", &redis::cmd("INFO")).await?;
        Ok(Info::parse(&text))
    }
}

/// What a failure means to a caller. The server's words carry no values of ours.
fn reading(whom: &str, doing: &str, e: &RedisError) -> Error {
    let sentence = format!("node {whom}, {doing}: {e}");
    match e.kind() {
        ErrorKind::AuthenticationFailed => {
            Error::failed("engine_login", format!("{sentence}; restart the node: its accounts are written at every start"))
        }
        ErrorKind::Server(ServerErrorKind::BusyLoading) => {
            Error::unavailable("engine_starting", format!("{sentence}; it is still loading"))
        }
        _ if e.is_timeout() => Error::timed_out(sentence),
        ErrorKind::Io => Error::unavailable("engine_unreachable", sentence),
        _ => Error::failed("engine_refused", sentence),
    }
}
