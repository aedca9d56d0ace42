//! One cluster as the gateway serves it: the policy in force, its listeners, its counts.

use crate::{
    endpoint::Endpoint,
    policy::{Policy, Side},
    session::{self, Session},
};
use mainstay_model::{
    ClusterId, Error, Result,
    route::{ClusterRoute, RouteStatus, Target},
};
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    net::TcpStream,
    sync::{Semaphore, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// How long `set` waits for sessions to end. They end at their next poll: only a machine that
/// does not get to run at all takes this long.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);

pub(crate) struct Cluster {
    policy: watch::Sender<Arc<Policy>>,
    /// Policies that were replaced and may still be held.
    leaving: Mutex<Vec<CancellationToken>>,
    endpoints: tokio::sync::Mutex<[Option<Endpoint>; 2]>,
    problems: Mutex<[Option<String>; 2]>,
    permits: Arc<Semaphore>,
    turns: [AtomicUsize; 2],
    open: [Gauge; 2],
    pub(crate) waiting: Gauge,
    refused: AtomicU64,
    /// Open sessions by where their clients are.
    peers: Arc<Mutex<BTreeMap<IpAddr, u64>>>,
}

/// With more addresses than this nobody is told of each.
const MOST_PEERS: usize = 1_000;

impl Cluster {
    pub(crate) async fn open(route: ClusterRoute, permits: Arc<Semaphore>) -> Arc<Self> {
        let cluster = Arc::new(Cluster {
            policy: watch::channel(Arc::new(Policy::new(route))).0,
            leaving: Mutex::default(),
            endpoints: tokio::sync::Mutex::default(),
            problems: Mutex::default(),
            permits,
            turns: Default::default(),
            open: Default::default(),
            waiting: Gauge::default(),
            refused: AtomicU64::new(0),
            peers: Arc::default(),
        });
        cluster.listen().await;
        cluster
    }

    pub(crate) fn route(&self) -> ClusterRoute {
        self.policy.borrow().route.clone()
    }

    pub(crate) fn id(&self) -> ClusterId {
        self.policy.borrow().route.cluster.clone()
    }

    pub(crate) fn status(&self) -> RouteStatus {
        let problems: Vec<_> = locked(&self.problems).iter().flatten().cloned().collect();
        RouteStatus {
            generation: self.policy.borrow().route.generation,
            read_write_sessions: self.open[Side::ReadWrite as usize].value(),
            read_only_sessions: self.open[Side::ReadOnly as usize].value(),
            waiting: self.waiting.value(),
            refused: self.refused.load(Relaxed),
            problem: (!problems.is_empty()).then(|| problems.join("; ")),
            peers: Some(locked(&self.peers).clone()).filter(|all| all.len() <= MOST_PEERS),
        }
    }

    /// Puts `route` in force and moves the listeners. Sessions it does not admit are on their
    /// way out when this returns; [`Cluster::settle`] waits for them.
    pub(crate) async fn apply(self: &Arc<Self>, route: ClusterRoute) {
        self.publish(route);
        self.listen().await;
    }

    /// Takes the cluster away: no listener, no session.
    pub(crate) async fn close(&self) {
        let mut route = self.route();
        route.read_write.target = Target::Closed;
        route.read_only = None;
        self.publish(route);
        for endpoint in self.endpoints.lock().await.iter_mut().filter_map(Option::take) {
            endpoint.close().await;
        }
    }

    fn publish(&self, route: ClusterRoute) {
        let old = self.policy.send_replace(Arc::new(Policy::new(route)));
        let mut leaving = locked(&self.leaving);
        leaving.retain(|gone| !gone.is_cancelled());
        leaving.push(old.gone());
    }

    /// Waits until nobody acts on a policy that was replaced.
    pub(crate) async fn settle(&self) -> Result<()> {
        let leaving = locked(&self.leaving).clone();
        let all = async {
            for gone in &leaving {
                gone.cancelled().await;
            }
        };
        timeout(SETTLE_LIMIT, all).await.map_err(|_| {
            Error::timed_out(format!(
                "the route of {} is in force, but not all sessions it ends have ended; the machine seems overloaded: ask again",
                self.id()
            ))
        })
    }

    /// Opens, moves and closes listeners until they are where the route says. What moves is
    /// closed first, so that two endpoints can swap addresses.
    async fn listen(self: &Arc<Self>) {
        let route = self.route();
        let wanted = [(Side::ReadWrite, Some(route.read_write.listen)), (Side::ReadOnly, route.read_only.map(|side| side.listen))];
        let mut endpoints = self.endpoints.lock().await;
        for (side, listen) in &wanted {
            if let Some(moved) = endpoints[*side as usize].take_if(|open| Some(&open.listen) != listen.as_ref()) {
                moved.close().await;
                self.set_problem(*side, None);
            }
        }
        for (side, listen) in wanted {
            if let (None, Some(listen)) = (&endpoints[side as usize], listen) {
                endpoints[side as usize] = Some(Endpoint::open(self, side, listen).await);
            }
        }
    }

    pub(crate) fn set_problem(&self, side: Side, problem: Option<String>) {
        locked(&self.problems)[side as usize] = problem;
    }

    /// Judges one connection and starts its session, or resets it. Nothing was read from it yet,
    /// and nothing ever is where it is not let in.
    pub(crate) fn admit(self: &Arc<Self>, client: TcpStream, peer: IpAddr, side: Side) {
        // Subscribed before judging, so that a change after the judgement is always seen.
        let mut changes = self.policy.subscribe();
        let policy = changes.borrow_and_update().clone();
        if !policy.admits(side, peer) {
            return self.turn_away(client);
        }
        match self.permits.clone().try_acquire_owned() {
            Ok(permit) => drop(tokio::spawn(Session::new(self.clone(), side, peer, changes, permit, policy).run(client))),
            Err(_) => self.turn_away(client),
        }
    }

    pub(crate) fn turn_away(&self, client: TcpStream) {
        self.refused.fetch_add(1, Relaxed);
        session::reset(client);
    }

    /// Counts a session as open for as long as the result is kept.
    pub(crate) fn from(&self, peer: IpAddr) -> From {
        *locked(&self.peers).entry(peer).or_default() += 1;
        From(self.peers.clone(), peer)
    }

    pub(crate) fn opened(&self, side: Side) -> Counted {
        self.open[side as usize].enter()
    }

    /// The place in the list of targets at which the next connection starts.
    pub(crate) fn next_turn(&self, side: Side) -> usize {
        self.turns[side as usize].fetch_add(1, Relaxed)
    }
}

/// How many of something there are now.
#[derive(Default)]
pub(crate) struct Gauge(Arc<AtomicU64>);

/// One open session of a client at this address; dropping it counts down.
pub(crate) struct From(Arc<Mutex<BTreeMap<IpAddr, u64>>>, IpAddr);

impl Drop for From {
    fn drop(&mut self) {
        let mut peers = locked(&self.0);
        if let Some(count) = peers.get_mut(&self.1) {
            *count -= 1;
        }
        peers.retain(|_, count| *count > 0);
    }
}

impl Gauge {
    pub(crate) fn enter(&self) -> Counted {
        self.0.fetch_add(1, Relaxed);
        Counted(self.0.clone())
    }
    fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// One of a [`Gauge`]'s things; dropping it counts down.
pub(crate) struct Counted(Arc<AtomicU64>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// No code panics while it holds one of these locks, so a poisoned one still holds sound data.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
