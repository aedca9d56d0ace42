//! `mainstay node …`

use super::cluster::{self, id_in};
use crate::{
    args::node::{One, Verb},
    exit::{Exit, Outcome},
    output::{Row, Show, bytes, card, clean, grid, local, note, or_dash, seconds, word},
    session::{Ask, Session, nothing},
};
use mainstay_api_types::{Confirm, Logs, Node, NodeMetrics, Operation, PromoteNode};
use mainstay_client::segment;

pub async fn run(s: &Session, verb: Verb) -> Outcome {
    match verb {
        Verb::List(a) => s.show(&s.list::<Node>(format!("{}/nodes", cluster::path(&a.cluster)), &[]).await?)?,
        Verb::Add(a) => add(s, &a.cluster).await?,
        Verb::Remove(a) => remove(s, &a).await?,
        Verb::Promote { one, allow_data_loss } => promote(s, &one, allow_data_loss).await?,
        Verb::Reboot(a) => reboot(s, &a).await?,
        Verb::Logs { one, lines } => {
            let lines = lines.to_string();
            s.show(&s.get_with::<Logs>(format!("{}/logs", path(&one)), &[("lines", &lines)]).await?)?;
        }
        Verb::Metrics(a) => s.show(&s.get::<NodeMetrics>(format!("{}/metrics", path(&a))).await?)?,
    }
    Ok(Exit::Done)
}

fn path(a: &One) -> String {
    format!("{}/nodes/{}", cluster::path(&a.cluster), segment(&a.node))
}

fn confirmation(node: &Node) -> Confirm {
    Confirm { confirm: Some(node.name.clone()) }
}

/// The node that an operation was about, as it is now.
async fn show_node(s: &Session, cluster: &str, o: &Operation, node: &str) -> Outcome<()> {
    let one = One { cluster: id_in(o, "cluster", cluster).into(), node: id_in(o, "node", node).into() };
    s.show(&s.get::<Node>(path(&one)).await?)
}

async fn add(s: &Session, cluster: &str) -> Outcome<()> {
    let ask = Ask::post(format!("{}/nodes", cluster::path(cluster)), &nothing());
    if let Some(o) = s.perform(ask).await? {
        show_node(s, cluster, &o, "").await?;
        note(format!("next: mainstay node list {cluster}"));
    }
    Ok(())
}

async fn remove(s: &Session, a: &One) -> Outcome<()> {
    let node: Node = s.get(path(a)).await?;
    let ask = Ask::delete(path(a), &confirmation(&node));
    s.confirm(&ask, &node.name).await?;
    if s.perform(ask).await?.is_some() {
        s.show(&cluster::get(s, &a.cluster).await?)?;
        note(format!("{} is removed", node.name));
    }
    Ok(())
}

async fn promote(s: &Session, a: &One, allow_data_loss: bool) -> Outcome<()> {
    let node: Node = s.get(path(a)).await?;
    let body = PromoteNode { confirm: Some(node.name.clone()), allow_data_loss };
    let ask = Ask::post(format!("{}/promote", path(a)), &body);
    s.confirm(&ask, &node.name).await?;
    let Some(o) = s.perform(ask).await? else { return Ok(()) };
    show_node(s, &a.cluster, &o, &a.node).await?;
    if let Some(gap) = o.output.get("gap_seconds").and_then(|v| v.as_f64()) {
        note(format!("gap: clients were held for {}", seconds(gap)));
    }
    if let Some(lost) = o.output.get("lost") {
        let known = lost.get("bytes").and_then(|v| v.as_u64()).map_or("an unknown amount".into(), bytes);
        note(format!("lost: {known}, and what the old primary took after it was last seen; it is fenced"));
        note(format!("next: mainstay cluster resync {} lets it back, and erases what it holds", a.cluster));
    }
    if let Some(backup) = o.output.get("backup").and_then(|v| v.as_str()) {
        note(format!("backup of the new primary: {backup}"));
    }
    Ok(())
}

async fn reboot(s: &Session, a: &One) -> Outcome<()> {
    let node: Node = s.get(path(a)).await?;
    let ask = Ask::post(format!("{}/reboot", path(a)), &confirmation(&node));
    match s.perform(ask).await? {
        Some(o) => show_node(s, &a.cluster, &o, &a.node).await,
        None => Ok(()),
    }
}

/// Also below a cluster.
pub fn table(nodes: &[Node]) -> String {
    grid(Node::HEADER, nodes.iter().map(Row::cells))
}

fn status(n: &Node) -> String {
    let reason = n.status_reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
    format!("{}{reason}", word(&n.status))
}

impl Row for Node {
    const NONE: &'static str = "no nodes";
    const HEADER: &'static [&'static str] = &["node", "role", "status", "host", "address", "lag", "connections", "created"];
    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            word(&self.role),
            status(self),
            self.host.clone(),
            format!("{}:{}", self.address, self.port),
            or_dash(self.lag_bytes, bytes),
            or_dash(self.connections, |n| n.to_string()),
            local(self.created_at),
        ]
    }
}

impl Show for Node {
    fn people(&self) -> String {
        card(&[
            ("name", self.name.clone()),
            ("id", self.id.clone()),
            ("role", word(&self.role)),
            ("status", status(self)),
            ("host", self.host.clone()),
            ("address", format!("{}:{}", self.address, self.port)),
            ("position", self.position.clone().unwrap_or_else(|| "-".into())),
            ("lag", or_dash(self.lag_bytes, bytes)),
            ("lag in time", or_dash(self.lag_seconds, seconds)),
            ("connections", or_dash(self.connections, |n| n.to_string())),
            ("created", local(self.created_at)),
            ("looked at", local(self.observed_at)),
        ])
    }
}

impl Show for Logs {
    fn people(&self) -> String {
        let lines: Vec<String> = self.lines.iter().map(|l| clean(&l.replace('\t', "    "))).collect();
        lines.join("\n")
    }
}

impl Show for NodeMetrics {
    fn people(&self) -> String {
        card(&[
            ("node", self.node.clone()),
            ("cpu time", seconds(self.cpu_seconds)),
            ("memory", bytes(self.memory_bytes)),
            ("data", bytes(self.data_bytes)),
            ("disk", format!("{} free of {}", bytes(self.disk_free_bytes), bytes(self.disk_total_bytes))),
            ("open files", or_dash(self.open_files, |n| n.to_string())),
            ("connections", or_dash(self.connections, |n| n.to_string())),
        ])
    }
}
