//! Secrets, sealed for the owner and kind they are kept under.

use crate::{Sealer, error::error};
use mainstay_model::{Error, Result, Secret};
use sqlx::{AnyConnection, Row};

/// Keeps `secret`, in place of the one there.
pub async fn put(conn: &mut AnyConnection, sealer: &Sealer, owner: &str, kind: &str, secret: &Secret) -> Result<()> {
    let sealed = sealer.seal(owner, kind, secret.reveal().as_bytes())?;
    let sql =
        "INSERT INTO secrets (owner, kind, sealed) VALUES ($1, $2, $3) ON CONFLICT (owner, kind) DO UPDATE SET sealed = excluded.sealed";
    sqlx::query(sql).bind(owner).bind(kind).bind(sealed).execute(conn).await.map(drop).map_err(error)
}

/// A secret that does not open is an error, not an absent one.
pub async fn get(conn: &mut AnyConnection, sealer: &Sealer, owner: &str, kind: &str) -> Result<Option<Secret>> {
    let select = sqlx::query("SELECT sealed FROM secrets WHERE owner = $1 AND kind = $2").bind(owner).bind(kind);
    let Some(row) = select.fetch_optional(conn).await.map_err(error)? else { return Ok(None) };
    let plain = sealer.open(owner, kind, row.try_get(0).map_err(error)?)?;
    // The bytes stay out of the error: they are the secret.
    let text = String::from_utf8(plain).map_err(|_| Error::integrity(format!("the {kind} of {owner} is not text")))?;
    Ok(Some(Secret::new(text)))
}

/// All kinds of one owner. Done as well when there are none.
pub async fn delete_owner(conn: &mut AnyConnection, owner: &str) -> Result<()> {
    sqlx::query("DELETE FROM secrets WHERE owner = $1").bind(owner).execute(conn).await.map(drop).map_err(error)
}
