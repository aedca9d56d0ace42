//! The agent's side of the control socket.

use crate::wire::{self, Call, MAX_REPLY_BYTES, Outcome};
use mainstay_model::{
    ClusterId, Error, Result,
    route::{ClusterRoute, RouteStatus},
};
use serde::de::DeserializeOwned;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{io::BufReader, net::UnixStream, time::timeout};

/// A call ends long before this unless the gateway hangs.
const CALL_LIMIT: Duration = Duration::from_secs(15);

/// Speaks to the gateway at a socket. It connects for each call, so one client serves through
/// restarts of the gateway.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    pub fn new(socket: impl AsRef<Path>) -> Self {
        Client { socket: socket.as_ref().into() }
    }

    /// Puts a route in force. When it returns, the listeners are open (or `problem` says why
    /// not), and no session is left that the route does not admit. An older generation than the
    /// one in force is a conflict, `stale_generation`; calling it twice is the same as once.
    pub async fn set(&self, route: &ClusterRoute) -> Result<RouteStatus> {
        self.call(Call::Set(route.clone())).await
    }

    /// Stops serving a cluster and ends its sessions; one that is not served is no error.
    pub async fn remove(&self, cluster: &ClusterId) -> Result<()> {
        self.call(Call::Remove(cluster.clone())).await
    }

    pub async fn status(&self) -> Result<BTreeMap<ClusterId, RouteStatus>> {
        self.call(Call::Status).await
    }

    /// Whether the gateway serves.
    pub async fn ping(&self) -> Result<()> {
        self.call(Call::Ping).await
    }

    async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<T> {
        let at = self.socket.display();
        let value = timeout(CALL_LIMIT, self.exchange(call))
            .await
            .map_err(|_| Error::timed_out(format!("the gateway at {at} does not answer; look into its log")))??;
        serde_json::from_value(value).map_err(|e| Error::failed("gateway_version", format!("the gateway at {at} answered {e}")))
    }

    async fn exchange(&self, call: Call) -> Result<serde_json::Value> {
        let unreachable = |why: &dyn std::fmt::Display| {
            Error::unavailable("gateway_down", format!("the gateway at {} cannot be reached: {why}", self.socket.display()))
        };
        let (from, mut to) = UnixStream::connect(&self.socket).await.map_err(|e| unreachable(&e))?.into_split();
        wire::send(&mut to, call).await.map_err(|e| unreachable(&e))?;
        match wire::receive(&mut BufReader::new(from), MAX_REPLY_BYTES).await? {
            Some(Outcome::Ok(value)) => Ok(value),
            Some(Outcome::Error(error)) => Err(error),
            None => Err(unreachable(&"it hung up")),
        }
    }
}
