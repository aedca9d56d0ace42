//! A cluster with its nodes and secrets, put together for an agent.

use crate::App;
use mainstay_drivers::engine::{NodePlan, Upstream};
use mainstay_model::{Error, NodeId, Result, cluster::Cluster, credentials::Accounts, node::Node};
use mainstay_store as store;
use std::net::IpAddr;

/// All an operation needs to speak of a cluster to its agents.
#[derive(Debug, Clone)]
pub struct Topology {
    pub cluster: Cluster,
    pub nodes: Vec<Node>,
    pub accounts: Accounts,
}

impl Topology {
    pub async fn load(app: &App, cluster: &mainstay_model::ClusterId) -> Result<Self> {
        let mut conn = app.store.read().await?;
        let cluster = store::clusters::get(&mut conn, cluster).await?;
        let nodes = store::nodes::of_cluster(&mut conn, &cluster.id).await?;
        let accounts = store::accounts::get(&mut conn, app.store.sealer(), &cluster.id).await?;
        Ok(Topology { cluster, nodes, accounts })
    }

    pub fn node(&self, id: &NodeId) -> Result<&Node> {
        self.nodes.iter().find(|n| &n.id == id).ok_or_else(|| Error::not_found("node", id.as_str()))
    }

    pub fn primary(&self) -> Result<&Node> {
        let id = self.cluster.primary.as_ref().ok_or_else(|| no_primary(&self.cluster))?;
        self.node(id)
    }

    pub fn is_primary(&self, node: &Node) -> bool {
        self.cluster.primary.as_ref() == Some(&node.id)
    }

    /// Those that follow the primary, or should. A fenced node is none before it was seeded anew.
    pub fn replicas(&self) -> impl Iterator<Item = &Node> {
        self.beside_primary().filter(|n| !n.is_fenced())
    }

    /// Every node but the primary.
    pub fn beside_primary(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|n| !self.is_primary(n))
    }

    pub fn plan(&self, node: &Node) -> Result<NodePlan> {
        Ok(NodePlan {
            id: node.id.clone(),
            name: node.name.clone(),
            cluster: self.cluster.id.clone(),
            cluster_name: self.cluster.name.clone(),
            engine: self.cluster.engine.clone(),
            version: self.cluster.version.clone(),
            address: address(node)?,
            port: node.address.port,
            settings: self.cluster.settings.clone(),
            accounts: self.accounts.clone(),
            keeps_log: self.cluster.log.is_some(),
        })
    }

    pub fn primary_plan(&self) -> Result<NodePlan> {
        self.plan(self.primary()?)
    }

    pub fn plans(&self) -> Result<Vec<NodePlan>> {
        self.nodes.iter().map(|n| self.plan(n)).collect()
    }

    /// `node` as somebody to replicate from, or to be followed by.
    pub fn peer(&self, node: &Node) -> Result<Upstream> {
        Ok(Upstream { node: node.id.clone(), name: node.name.clone(), address: address(node)?, port: node.address.port })
    }

    /// Everybody who may follow `node`, as peers.
    pub fn others(&self, node: &NodeId) -> Result<Vec<Upstream>> {
        self.nodes.iter().filter(|n| &n.id != node && !n.is_fenced()).map(|n| self.peer(n)).collect()
    }
}

fn address(node: &Node) -> Result<IpAddr> {
    node.address.host.parse().map_err(|_| Error::internal(format!("node {} has no address yet", node.name)))
}

fn no_primary(cluster: &Cluster) -> Error {
    Error::conflict("no_primary", format!("cluster {} has no primary", cluster.name))
}
