//! Removes data that a restore put aside, when its time is over.

use crate::App;
use mainstay_model::Result;
use mainstay_rpc::verbs::DropBeside;
use mainstay_store as store;

pub async fn all(app: &App) -> Result<()> {
    let due = {
        let mut conn = app.store.read().await?;
        store::restores::previous_due(&mut conn, app.now()).await?
    };
    for mut restore in due {
        if let (Some(node), Some(label)) = (restore.previous_node.clone(), restore.previous_label.clone()) {
            // Generation 0 is a look; removing what no operation refers to any more needs no fence, but
            // it must not race one, so a cluster that is held is left for the next time.
            if app.runner.holder(restore.target.as_str()).await?.is_some() {
                continue;
            }
            app.agent.perform("tidy", app.now().micros(), &DropBeside { node, label }, |_| {}).await?;
        }
        (restore.previous_label, restore.previous_until) = (None, None);
        let mut tx = app.store.begin_write().await?;
        store::restores::update(&mut tx, &restore).await?;
        store::commit(tx).await?;
    }
    Ok(())
}
