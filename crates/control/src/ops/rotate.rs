//! Rotate the cluster user's password: sessions that are open stay open.

use crate::{App, app, app::act, topology::Topology};
use async_trait::async_trait;
use mainstay_model::{ClusterId, Error, Result, Secret, credentials::Accounts};
use mainstay_operations::{Cx, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::EnsureAccounts;
use mainstay_store as store;
use serde::{Deserialize, Serialize};

/// Passwords are not carried here: the journal is no place for secrets. The one before waits,
/// sealed, in the store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub cluster: ClusterId,
}

pub struct Rotate;

const BEFORE: &str = "user_password_before";

#[async_trait]
impl Operation for Rotate {
    type World = App;
    type State = State;
    const KIND: &'static str = "rotate_credentials";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::db("draw", "Draw a new password", Undo::With),
        Step::effect("apply", "Set it on every node", Undo::With),
        Step::db("forget_old", "Forget the old password", Undo::Nothing("last step")),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "apply" => {
                let accounts = Topology::load(&cx.world, &s.cluster).await?.accounts;
                apply(cx, s, accounts).await
            }
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        let sealer = cx.world.store.sealer();
        match step {
            "draw" => {
                let mut accounts = store::accounts::get(tx, sealer, &s.cluster).await?;
                store::secrets::put(tx, sealer, s.cluster.as_str(), BEFORE, &accounts.user.password).await?;
                accounts.user.password = app::new_password();
                store::accounts::put(tx, sealer, &s.cluster, &accounts).await
            }
            "forget_old" => store::secrets::put(tx, sealer, s.cluster.as_str(), BEFORE, &Secret::new("")).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "apply" => {
                let mut conn = cx.world.store.read().await?;
                let accounts = before(cx, &mut conn, s).await?;
                drop(conn);
                apply(cx, s, accounts).await
            }
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo_db(&self, step: &str, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "draw" => {
                let accounts = before(cx, tx, s).await?;
                store::accounts::put(tx, cx.world.store.sealer(), &s.cluster, &accounts).await
            }
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "cluster": s.cluster })
    }
}

async fn before(cx: &Cx<App>, tx: &mut Tx, s: &State) -> Result<Accounts> {
    let sealer = cx.world.store.sealer();
    let mut accounts = store::accounts::get(tx, sealer, &s.cluster).await?;
    let password = store::secrets::get(tx, sealer, s.cluster.as_str(), BEFORE).await?;
    accounts.user.password = password.ok_or_else(|| Error::internal("the password before a rotation is gone"))?;
    Ok(accounts)
}

async fn apply(cx: &Cx<App>, s: &State, accounts: Accounts) -> Result<()> {
    let mut topology = Topology::load(&cx.world, &s.cluster).await?;
    topology.accounts = accounts;
    for node in topology.primary().ok().into_iter().chain(topology.replicas()) {
        act(cx, EnsureAccounts { plan: topology.plan(node)? }).await?;
    }
    Ok(())
}
