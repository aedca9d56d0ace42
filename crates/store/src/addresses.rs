//! Which host numbers of the installation's loopback block are given out, and to whom.

use crate::error::error;
use mainstay_model::{Error, Kind, Result};
use sqlx::{AnyConnection, Row};

/// The last host number of a /24.
pub const LAST: i64 = 254;

/// The smallest free host number from `first_host_number` (at least 1) to 254, recorded for
/// `owner`. An owner that has one already gets the same again.
pub async fn take(conn: &mut AnyConnection, owner: &str, first_host_number: i64) -> Result<i64> {
    let rows = sqlx::query("SELECT owner, host_number FROM addresses ORDER BY host_number").fetch_all(&mut *conn).await.map_err(error)?;
    let mut free = first_host_number.max(1);
    for row in &rows {
        let number: i64 = row.try_get(1).map_err(error)?;
        if row.try_get::<&str, _>(0).map_err(error)? == owner {
            return Ok(number);
        }
        if number == free {
            free += 1;
        }
    }
    if free > LAST {
        let message = format!("all {LAST} addresses of this installation's block are in use; delete clusters or nodes that are not needed");
        return Err(Error::new(Kind::NoSpace, "no_address", message));
    }
    let insert = sqlx::query("INSERT INTO addresses (owner, host_number) VALUES ($1, $2)").bind(owner).bind(free);
    insert.execute(conn).await.map_err(error)?;
    Ok(free)
}

/// Done as well when the owner has none.
pub async fn release(conn: &mut AnyConnection, owner: &str) -> Result<()> {
    sqlx::query("DELETE FROM addresses WHERE owner = $1").bind(owner).execute(conn).await.map(drop).map_err(error)
}

/// Every owner with its host number, by number.
pub async fn all(conn: &mut AnyConnection) -> Result<Vec<(String, i64)>> {
    let rows = sqlx::query("SELECT owner, host_number FROM addresses ORDER BY host_number").fetch_all(conn).await.map_err(error)?;
    rows.iter().map(|r| Ok((r.try_get(0).map_err(error)?, r.try_get(1).map_err(error)?))).collect()
}
