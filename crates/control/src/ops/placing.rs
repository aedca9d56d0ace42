//! Addresses for new nodes and endpoints: taken from the block in the store, ports found by the
//! agent, recorded before anything listens.

use crate::{App, app::act};
use mainstay_model::{ClusterId, Error, NodeId, Result, cluster::SocketAddress};
use mainstay_operations::{Cx, Tx};
use mainstay_rpc::verbs::FindPort;
use mainstay_store as store;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};

/// The first host number given out: `.1` is left to people.
const FIRST: i64 = 2;

/// Addresses on their way into the store, carried in an operation's state.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Placing {
    pub nodes: Vec<(NodeId, Option<SocketAddress>)>,
    pub read_write: Option<SocketAddress>,
    pub read_only: Option<SocketAddress>,
}

pub fn endpoint_owner(cluster: &ClusterId, which: &str) -> String {
    format!("{cluster}/{which}")
}

impl Placing {
    /// Draws an address for every node that has none yet, and for the named endpoints.
    pub async fn take(&mut self, cx: &Cx<App>, tx: &mut Tx, cluster: &ClusterId, port: u16, endpoints: &[&str]) -> Result<()> {
        let description = cx.world.description().await?;
        for (node, address) in &mut self.nodes {
            let n = store::addresses::take(tx, node.as_str(), FIRST).await?;
            *address = Some(SocketAddress { host: in_block(description.block, n)?, port });
        }
        for which in endpoints {
            let n = store::addresses::take(tx, &endpoint_owner(cluster, which), FIRST).await?;
            let host = match cx.world.options.endpoint_address {
                Some(a) => a.to_string(),
                None => in_block(description.block, n)?,
            };
            let slot = if *which == "rw" { &mut self.read_write } else { &mut self.read_only };
            *slot = Some(SocketAddress { host, port });
        }
        Ok(())
    }

    /// Replaces ports that somebody else holds by the next free ones.
    pub async fn find_ports(&mut self, cx: &Cx<App>) -> Result<()> {
        let mut taken: Vec<SocketAddress> = Vec::new();
        let nodes = self.nodes.iter_mut().filter_map(|(_, a)| a.as_mut());
        for address in nodes.chain(self.read_write.as_mut()).chain(self.read_only.as_mut()) {
            find_port(cx, address, &taken).await?;
            taken.push(address.clone());
        }
        Ok(())
    }

    pub fn address_of(&self, node: &NodeId) -> Result<SocketAddress> {
        let found = self.nodes.iter().find(|(n, _)| n == node).and_then(|(_, a)| a.clone());
        found.ok_or_else(|| Error::internal(format!("no address was drawn for {node}")))
    }
}

async fn find_port(cx: &Cx<App>, address: &mut SocketAddress, taken: &[SocketAddress]) -> Result<()> {
    let ip: IpAddr = address.host.parse().map_err(|_| Error::internal("an address that does not parse"))?;
    loop {
        let found = act(cx, FindPort { address: ip, port: address.port }).await?;
        if let Some(holder) = found.holder.filter(|_| found.port != address.port) {
            tracing::warn!("{address} is held by {holder}; port {} is used instead", found.port);
        }
        address.port = found.port;
        if !taken.contains(address) {
            return Ok(());
        }
        address.port = address.port.checked_add(1).ok_or_else(|| Error::unavailable("no_port", format!("no free port at {ip}")))?;
    }
}

fn in_block(block: IpAddr, n: i64) -> Result<String> {
    let IpAddr::V4(v4) = block else { return Err(Error::internal("the address block is not IPv4")) };
    let [a, b, c, _] = v4.octets();
    let last = u8::try_from(n).map_err(|_| Error::internal("address number out of the block"))?;
    Ok(Ipv4Addr::new(a, b, c, last).to_string())
}

/// Gives back everything a cluster's new nodes and endpoints drew.
pub async fn release(tx: &mut Tx, cluster: &ClusterId, nodes: &[NodeId], endpoints: &[&str]) -> Result<()> {
    for node in nodes {
        store::addresses::release(tx, node.as_str()).await?;
    }
    for which in endpoints {
        store::addresses::release(tx, &endpoint_owner(cluster, which)).await?;
    }
    Ok(())
}
