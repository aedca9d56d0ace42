//! One client connection, from its acceptance to its end.
//!
//! Two stages: reaching a backend, which may mean waiting for one, and carrying bytes. In both
//! the first thing looked at is whether the route changed, so that no byte passes under a route
//! that was replaced.

use crate::{
    cluster::Cluster,
    policy::{Policy, Side},
};
use mainstay_model::{cluster::SocketAddress, route::Target};
use rustix::net::sockopt;
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::{
    io::{Interest, copy_bidirectional_with_sizes},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, sleep_until, timeout},
};

/// Each way.
const BUFFER_BYTES: usize = 16 * 1024;
/// How long one backend may take to accept.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// Between rounds over targets that all refused: short at first, because an engine that restarts
/// is back within moments.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
/// A peer is asked for a sign of life after this much silence.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(20);
/// A peer that vanished is given up after this. The kernel counts a reader that merely stopped
/// reading the same way, so it must be longer than any sane pause of a slow consumer.
const SILENCE_LIMIT: Duration = Duration::from_secs(300);

pub(crate) struct Session {
    cluster: Arc<Cluster>,
    side: Side,
    peer: IpAddr,
    accepted: Instant,
    changes: watch::Receiver<Arc<Policy>>,
    _permit: OwnedSemaphorePermit,
    /// What this session was last judged by. The last field, so that it is let go when all else
    /// is undone: whoever waits for the policy's end sees sockets closed and counts lowered.
    policy: Arc<Policy>,
}

impl Session {
    pub(crate) fn new(
        cluster: Arc<Cluster>,
        side: Side,
        peer: IpAddr,
        changes: watch::Receiver<Arc<Policy>>,
        permit: OwnedSemaphorePermit,
        policy: Arc<Policy>,
    ) -> Self {
        Session { cluster, side, peer, accepted: Instant::now(), changes, _permit: permit, policy }
    }

    pub(crate) async fn run(mut self, client: TcpStream) {
        tune(&client);
        match self.reach(&client).await {
            Some((backend, at)) => self.carry(client, backend, &at).await,
            None => self.cluster.turn_away(client),
        }
    }

    /// A connection to a backend, or `None` where the client is to be turned away.
    async fn reach(&mut self, client: &TcpStream) -> Option<(TcpStream, SocketAddress)> {
        let _waiting = self.cluster.waiting.enter();
        loop {
            let deadline = self.accepted + Duration::from_millis(self.policy.route.hold_ms);
            tokio::select! {
                biased;
                changed = self.changes.changed() => {
                    changed.ok()?;
                    let next = self.changes.borrow_and_update().clone();
                    if !next.admits(self.side, self.peer) {
                        return None;
                    }
                    self.policy = next;
                }
                found = seek(&self.cluster, &self.policy, self.side, client, deadline) => return found,
            }
        }
    }

    async fn carry(&mut self, mut client: TcpStream, mut backend: TcpStream, at: &SocketAddress) {
        let _open = self.cluster.opened(self.side);
        let _from = self.cluster.from(self.peer);
        let cut = {
            let copy = copy_bidirectional_with_sizes(&mut client, &mut backend, BUFFER_BYTES, BUFFER_BYTES);
            tokio::pin!(copy);
            loop {
                tokio::select! {
                    biased;
                    changed = self.changes.changed() => {
                        let next = self.changes.borrow_and_update().clone();
                        if changed.is_err() || !next.keeps(self.side, self.peer, at) {
                            break true;
                        }
                        self.policy = next;
                    }
                    _ = &mut copy => break false,
                }
            }
        };
        if cut {
            reset(client);
            reset(backend);
        }
    }
}

/// Goes round the targets until one accepts, or until `deadline`. The first round is granted in
/// full whatever is left of the hold: a cluster without a hold still connects.
async fn seek(cluster: &Cluster, policy: &Policy, side: Side, client: &TcpStream, deadline: Instant) -> Option<(TcpStream, SocketAddress)> {
    let Target::To(targets) = policy.target(side) else {
        stays_until(client, deadline).await;
        return None;
    };
    let turn = cluster.next_turn(side);
    let (mut limit, mut pause) = (CONNECT_LIMIT, FIRST_PAUSE);
    loop {
        for n in 0..targets.len() {
            let at = &targets[turn.wrapping_add(n) % targets.len()];
            if let Some(backend) = connect(at, limit).await {
                return Some((backend, at.clone()));
            }
        }
        let stays = stays_until(client, deadline.min(Instant::now() + pause)).await;
        let left = deadline.saturating_duration_since(Instant::now());
        if !stays || left.is_zero() {
            return None;
        }
        (limit, pause) = (CONNECT_LIMIT.min(left), LONGEST_PAUSE.min(pause * 2));
    }
}

/// Waits, and says whether the client is still there. One that hung up without a word has left;
/// one that wrote and then closed its half may want the answer, so only a reset ends it.
async fn stays_until(client: &TcpStream, until: Instant) -> bool {
    let leaves = async {
        if let Ok(1..) = client.peek(&mut [0]).await {
            let _ = client.ready(Interest::ERROR).await;
        }
    };
    tokio::select! {
        () = leaves => false,
        () = sleep_until(until) => true,
    }
}

async fn connect(at: &SocketAddress, limit: Duration) -> Option<TcpStream> {
    let backend = timeout(limit, TcpStream::connect((at.host.as_str(), at.port))).await.ok()?.ok()?;
    // A free port in the ephemeral range can be "reached" by a socket that was given that very
    // port as its own: it talks to itself.
    if backend.local_addr().ok()? == backend.peer_addr().ok()? {
        return None;
    }
    tune(&backend);
    Some(backend)
}

/// Settings that make a session quick and its end noticed. One that cannot be set belongs to a
/// socket that is dead already, which the first read will tell.
fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(stream, true);
    let _ = sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE);
    let _ = sockopt::set_tcp_keepintvl(stream, KEEPALIVE_EVERY);
    let _ = sockopt::set_tcp_user_timeout(stream, SILENCE_LIMIT.as_millis() as u32);
}

/// Closes with a reset, so that the other end knows at once and unsent bytes are dropped.
pub(crate) fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
}
