//! Measures every node that runs and keeps the last hour. What cannot be measured leaves a gap.

use crate::{App, measures::Sample};
use mainstay_model::{NodeId, Result, cluster::Wanted};
use mainstay_rpc::verbs::Measure;
use mainstay_store as store;
use std::collections::HashSet;

pub async fn all(app: &App) -> Result<()> {
    let nodes: Vec<NodeId> = {
        let mut conn = app.store.read().await?;
        let clusters = store::clusters::all_alive(&mut conn).await?;
        let alive: HashSet<_> = clusters.iter().filter(|c| c.wanted != Wanted::Deleted).map(|c| &c.id).collect();
        let nodes = store::nodes::all(&mut conn).await?;
        nodes.into_iter().filter(|n| alive.contains(&n.cluster)).map(|n| n.id).collect()
    };
    app.measures.keep_only(&nodes);
    if nodes.is_empty() {
        return Ok(());
    }
    let measured = app.agent.look(&Measure { nodes: nodes.clone() }).await?.nodes;
    let now = app.now();
    for node in nodes {
        if let Some(found) = measured.get(node.as_str()) {
            let seen = app.observed(&node);
            app.measures.note(node, Sample::of(now, found, &seen));
        }
    }
    Ok(())
}
