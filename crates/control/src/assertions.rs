//! What users want proven of a cluster's data. Kept with the cluster, asked in each of its drills, and
//! tried beforehand on the data that is live.

use crate::{App, clusters, topology::Topology};
use mainstay_model::{
    Error, Result,
    assertion::{Assertion, MOST},
    backup::Check,
    cluster::Cluster,
};
use mainstay_rpc::verbs::Assert;
use mainstay_store as store;

/// One as it was asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    pub name: String,
    pub query: String,
    pub expect: String,
}

pub async fn of(app: &App, cluster: &Cluster) -> Result<Vec<Assertion>> {
    store::assertions::of_cluster(&mut *app.store.read().await?, &cluster.id).await
}

/// What a question is on this engine, for people.
pub async fn form(app: &App, cluster: &Cluster) -> Result<String> {
    let description = app.description().await?;
    let facts = description.facts.get(&cluster.engine);
    let none = || Error::conflict("no_questions", format!("{} cannot be asked questions", cluster.engine));
    facts.and_then(|f| f.questions.clone()).ok_or_else(none)
}

/// Refuses what could never be asked, or not be told apart.
pub async fn checked(app: &App, cluster: &Cluster, wishes: &[Wish]) -> Result<Vec<Assertion>> {
    form(app, cluster).await?;
    if wishes.len() > MOST {
        return Err(Error::invalid("assertions", format!("at most {MOST} for a cluster")));
    }
    let mut all: Vec<Assertion> = Vec::new();
    for wish in wishes {
        let named = |e: Error| Error { message: format!("assertion {}: {}", mainstay_model::error::shown(&wish.name), e.message), ..e };
        let one = Assertion::new(&wish.name, &wish.query, &wish.expect).map_err(named)?;
        if all.iter().any(|a| a.name == one.name) {
            return Err(Error::invalid("name", format!("two assertions are called {}", one.name)));
        }
        all.push(one);
    }
    Ok(all)
}

/// The whole list; the next drill asks it.
pub async fn set(app: &App, cluster: &Cluster, assertions: &[Assertion]) -> Result<()> {
    clusters::alive(cluster)?;
    let mut tx = app.store.begin_write().await?;
    store::assertions::put(&mut tx, &cluster.id, assertions).await?;
    store::commit(tx).await
}

/// What they say of the data that is live: one check each, in their order. Nothing is kept of it.
pub async fn try_now(app: &App, cluster: &Cluster, assertions: Vec<Assertion>) -> Result<Vec<Check>> {
    clusters::running(cluster)?;
    let topology = Topology::load(app, &cluster.id).await?;
    let plan = topology.plan(topology.primary()?)?;
    app.agent.look(&Assert { plan, assertions }).await
}
