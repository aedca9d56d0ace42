//! The files a fake database is.

use mainstay_drivers::{Result, engine::Upstream};
use mainstay_model::{Error, node::Position};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// `db.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Database {
    pub history: String,
    pub timeline: u32,
    /// Whom it replicates from; a primary from nobody.
    pub upstream: Option<Upstream>,
    /// Passwords by user.
    pub accounts: BTreeMap<String, String>,
    pub name: Option<String>,
    /// Replicas the primary keeps its log for.
    pub slots: BTreeSet<String>,
}

pub(crate) fn read_db(data: &Path) -> Result<Database> {
    let text = std::fs::read_to_string(data.join("db.json")).map_err(|e| Error::from(e).context("db.json"))?;
    serde_json::from_str(&text).map_err(Error::internal)
}

pub(crate) fn write_db(data: &Path, db: &Database) -> Result<()> {
    let fresh = data.join("db.json.new");
    std::fs::write(&fresh, serde_json::to_vec(db).map_err(Error::internal)?)?;
    Ok(std::fs::rename(fresh, data.join("db.json"))?)
}

pub(crate) fn read_log(data: &Path) -> Vec<String> {
    std::fs::read_to_string(data.join("log")).unwrap_or_default().lines().map(String::from).collect()
}

pub(crate) fn write_log(data: &Path, rows: &[String]) -> Result<()> {
    let text: String = rows.iter().map(|r| format!("{r}\n")).collect();
    Ok(std::fs::write(data.join("log"), text)?)
}

pub(crate) fn position_of(db: &Database, rows: usize) -> Position {
    Position { history: format!("{}/{}", db.history, db.timeline), text: format!("row {rows}"), bytes: rows as u64 }
}
