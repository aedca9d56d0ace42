//! The accounts on a cluster's nodes, sealed as one secret of the cluster.

use crate::{Sealer, doc, secrets};
use mainstay_model::{ClusterId, Error, Result, Secret, credentials::Accounts};
use sqlx::AnyConnection;

const KIND: &str = "accounts";

pub async fn put(conn: &mut AnyConnection, sealer: &Sealer, cluster: &ClusterId, accounts: &Accounts) -> Result<()> {
    secrets::put(conn, sealer, cluster.as_str(), KIND, &Secret::new(doc::write(accounts)?)).await
}

pub async fn get(conn: &mut AnyConnection, sealer: &Sealer, cluster: &ClusterId) -> Result<Accounts> {
    let secret = secrets::get(conn, sealer, cluster.as_str(), KIND).await?;
    let secret = secret.ok_or_else(|| Error::not_found("accounts of the cluster", cluster.as_str()))?;
    // serde's message may quote what it read, so it is not passed on.
    serde_json::from_str(secret.reveal()).map_err(|_| Error::integrity(format!("the accounts of {cluster} in the store do not read")))
}
