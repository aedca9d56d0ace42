//! One listening address: opened as soon as it can be, accepted from as long as it is wanted.

use crate::{cluster::Cluster, holder::holder_of, policy::Side};
use mainstay_model::cluster::SocketAddress;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinHandle,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// Connections the kernel completes for us while we are busy.
const BACKLOG: u32 = 4096;
const RETRY: Duration = Duration::from_secs(1);
/// Searching all processes for the holder is dear, and it rarely changes.
const TRIES_PER_SEARCH: u32 = 10;
/// With no descriptor left, accepting again at once would only spin.
const BACK_OFF: Duration = Duration::from_millis(50);

pub(crate) struct Endpoint {
    pub(crate) listen: SocketAddress,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Endpoint {
    /// Returns when the address is open, or when the cluster's status says why it is not yet.
    pub(crate) async fn open(cluster: &Arc<Cluster>, side: Side, listen: SocketAddress) -> Self {
        let stop = CancellationToken::new();
        let first = bind(&listen);
        if let Err(error) = &first {
            report(cluster, side, &listen, error).await;
        }
        let (cluster, at, stopped) = (cluster.clone(), listen.clone(), stop.clone());
        let task = tokio::spawn(async move {
            let serve = async {
                let listener = match first {
                    Ok(listener) => listener,
                    Err(_) => retry(&cluster, side, &at).await,
                };
                accept(&listener, &cluster, side).await;
            };
            stopped.run_until_cancelled(serve).await;
        });
        Endpoint { listen, stop, task }
    }

    /// Returns when the address is free again.
    pub(crate) async fn close(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!("the endpoint {} ended badly: {error}", self.listen);
        }
    }
}

fn bind(listen: &SocketAddress) -> io::Result<TcpListener> {
    let host: IpAddr = listen.host.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let socket = if host.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Without it the sessions of a previous gateway keep the address for a minute.
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(host, listen.port))?;
    socket.listen(BACKLOG)
}

async fn retry(cluster: &Arc<Cluster>, side: Side, listen: &SocketAddress) -> TcpListener {
    for tries in 1.. {
        sleep(RETRY).await;
        match bind(listen) {
            Ok(listener) => {
                cluster.set_problem(side, None);
                tracing::info!("the endpoint {listen} could be opened at last");
                return listener;
            }
            Err(error) if tries % TRIES_PER_SEARCH == 0 => report(cluster, side, listen, &error).await,
            Err(_) => {}
        }
    }
    unreachable!("the loop has no end")
}

async fn report(cluster: &Cluster, side: Side, listen: &SocketAddress, error: &io::Error) {
    let holder = match (error.kind(), listen.host.parse()) {
        (io::ErrorKind::AddrInUse, Ok(host)) => {
            let addr = SocketAddr::new(host, listen.port);
            tokio::task::spawn_blocking(move || holder_of(addr)).await.ok().flatten()
        }
        _ => None,
    };
    let problem = describe(listen, error, holder);
    tracing::warn!("{problem}");
    cluster.set_problem(side, Some(problem));
}

fn describe(listen: &SocketAddress, error: &std::io::Error, holder: Option<(u32, String)>) -> String {
    match holder {
        Some((pid, name)) => {
            format!("{listen} is held by process {pid} ({name}): stop it or let it listen elsewhere; tried again every second")
        }
        None => format!("{listen} cannot be opened: {error}; tried again every second"),
    }
}

async fn accept(listener: &TcpListener, cluster: &Arc<Cluster>, side: Side) {
    loop {
        match listener.accept().await {
            Ok((client, peer)) => cluster.admit(client, peer.ip().to_canonical(), side),
            // A client that left while it was queued is nobody's trouble.
            Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {}
            Err(e) => {
                tracing::debug!("cannot accept on {}: {e}", cluster.id());
                sleep(BACK_OFF).await;
            }
        }
    }
}
