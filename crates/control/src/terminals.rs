//! Terminals that are open: how many anybody may have, and the way through to the agent that holds one.
//!
//! Nothing of what is typed or answered is kept or logged here; it is counted. A terminal is dropped to
//! end it: the agent notices that nobody reads and ends the statement, the transaction and the connection.

use crate::{Actor, App, clusters, engines, nodes, topology::Topology};
use futures::StreamExt;
use mainstay_model::{
    Error, Kind, NodeId, Result,
    cluster::Cluster,
    console::{ConsoleOpened, ConsoleSaid},
    node::Node,
};
use mainstay_rpc::{
    Chunks,
    verbs::{InterruptConsole, OpenConsole, TellConsole},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio_util::task::TaskTracker;

/// Who it is for, and on which node, by the id of the console.
type All = HashMap<String, (String, NodeId)>;

/// Of one person or token, of one node, and of all.
pub const MOST_OF_ONE: usize = 5;
pub const MOST_OF_NODE: usize = 10;
pub const MOST: usize = 100;

/// Those that are open.
#[derive(Default)]
pub struct Terminals {
    all: Arc<Mutex<All>>,
    /// What holds one for somebody: a server that stops lets them say how they ended.
    pub held: TaskTracker,
}

fn lock(all: &Mutex<All>) -> MutexGuard<'_, All> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place among them, for as long as it lives.
struct Seat {
    all: Arc<Mutex<All>>,
    id: String,
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.all).remove(&self.id);
    }
}

impl Terminals {
    fn take(&self, who: &str, node: &Node) -> Result<Seat> {
        let mut all = lock(&self.all);
        let of_one = all.values().filter(|(w, _)| w == who).count();
        let of_node = all.values().filter(|(_, n)| n == &node.id).count();
        let why = match () {
            () if of_one >= MOST_OF_ONE => format!("you have {of_one} terminals open, as many as one may; end one first"),
            () if of_node >= MOST_OF_NODE => format!("{of_node} terminals are open on {}, as many as a node has", node.name),
            () if all.len() >= MOST => format!("{MOST} terminals are open, as many as there may be"),
            () => {
                let id = format!("{:032x}", rand::random::<u128>());
                all.insert(id.clone(), (who.into(), node.id.clone()));
                return Ok(Seat { all: self.all.clone(), id });
            }
        };
        Err(Error::new(Kind::TooMany, "too_many_terminals", why).with_retry_after(30))
    }

    pub fn open(&self) -> usize {
        lock(&self.all).len()
    }
}

/// One that is open.
pub struct Terminal {
    pub opened: ConsoleOpened,
    said: Chunks,
    pub line: Line,
    _seat: Seat,
}

/// The way in, beside what comes out.
#[derive(Clone)]
pub struct Line {
    agent: mainstay_rpc::Agent,
    console: String,
}

/// Refuses what could not be opened whoever asks; the node that is meant.
pub async fn check(app: &App, cluster: &Cluster, node: &str) -> Result<(Topology, Node)> {
    let topology = Topology::load(app, &cluster.id).await?;
    let node = nodes::find(&topology, node)?.clone();
    clusters::running(cluster)?;
    let engine = engines::get(app, &cluster.engine).await?;
    if !engine.capabilities.iter().any(|c| c == "terminal") {
        return Err(Error::conflict("no_terminal", format!("{} has no terminal", engine.title)));
    }
    Ok((topology, node))
}

/// Returns when the engine has let the cluster's user in.
pub async fn open(app: &App, by: &Actor, cluster: &Cluster, node: &str) -> Result<Terminal> {
    let (topology, node) = check(app, cluster, node).await?;
    let seat = app.terminals.take(&by.name, &node)?;
    let plan = topology.plan(&node)?;
    let mut said = app.agent.chunks(&OpenConsole { plan, console: seat.id.clone() }).await?;
    let ConsoleSaid::Opened(opened) = next(&mut said).await?.ok_or_else(silent)? else { return Err(silent()) };
    let line = Line { agent: app.agent.clone(), console: seat.id.clone() };
    Ok(Terminal { opened, said, line, _seat: seat })
}

fn silent() -> Error {
    Error::unavailable("engine_unreachable", "the console ended before it began")
}

async fn next(said: &mut Chunks) -> Result<Option<ConsoleSaid>> {
    let Some(chunk) = said.next().await else { return Ok(None) };
    serde_json::from_slice(&chunk?).map(Some).map_err(|e| Error::internal(format!("what a console said does not read: {e}")))
}

impl Terminal {
    /// What it says next; `None` when it has ended.
    pub async fn next(&mut self) -> Result<Option<ConsoleSaid>> {
        next(&mut self.said).await
    }
}

impl Line {
    pub async fn tell(&self, line: String) -> Result<()> {
        self.agent.look(&TellConsole { console: self.console.clone(), line }).await.map(drop)
    }

    pub async fn interrupt(&self) -> Result<()> {
        self.agent.look(&InterruptConsole { console: self.console.clone() }).await.map(drop)
    }
}
