//! Keeping the log: its rows are copied into the spool, each with the moment it was first seen there.
//! Nobody has to run for that. A place in the log is a number of rows.

use super::{
    FakeEngine,
    database::{position_of, read_db, read_log, write_log},
};
use crate::lock;
use async_trait::async_trait;
use mainstay_drivers::{
    Result,
    engine::Node,
    segments::{Keeper, PIECES, Piece, Reach, Segments},
};
use mainstay_model::{Error, Time, backup::Check};
use std::path::{Path, PathBuf};

/// `micros row` a line.
const ROWS: &str = "rows";

fn seen(file: &Path) -> Vec<(i64, String)> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let row = |line: &str| Some((line.split_once(' ')?.0.parse().ok()?, line.split_once(' ')?.1.to_string()));
    text.lines().filter_map(row).collect()
}

#[async_trait]
impl Segments for FakeEngine {
    async fn keep(&self, _: &Node, _: &Path, _: bool) -> Result<Option<Keeper>> {
        self.faults.before("engine.keep_log").await?;
        self.faults.after("engine.keep_log")?;
        Ok(None)
    }

    async fn reach(&self, node: &Node, spool: &Path) -> Result<Reach> {
        let _world = lock(&self.world);
        let at = crate::now();
        let server = self.server_on(&node.paths.data).ok_or_else(|| Error::unavailable("connect", "connection refused"))?;
        let (db, rows) = (read_db(&server.data)?, read_log(&server.data));
        let file = spool.join(ROWS);
        let mut kept = seen(&file);
        if rows.len() < kept.len() {
            let broken = Some("the database went back".to_string());
            return Ok(Reach { position: position_of(&db, 0), at: None, broken });
        }
        kept.extend(rows[kept.len()..].iter().map(|row| (at.micros(), row.clone())));
        let fresh = spool.join("rows.new");
        std::fs::write(&fresh, kept.iter().map(|(at, row)| format!("{at} {row}\n")).collect::<String>())?;
        std::fs::rename(fresh, file)?;
        Ok(Reach { position: position_of(&db, rows.len()), at: Some(at), broken: None })
    }

    fn pieces(&self, spool: &Path, from: u64, to: u64) -> Result<Vec<Piece>> {
        let path = spool.join(ROWS);
        let rows = seen(&path).len() as u64;
        if rows.min(to) <= from {
            return Ok(vec![]);
        }
        let size = std::fs::metadata(&path)?.len();
        Ok(vec![Piece { name: ROWS.into(), path, completed: None, range: Some((0, rows.min(to))), valid: size, size }])
    }

    async fn release(&self, _: &Node) -> Result<()> {
        self.faults.before("engine.release_log").await?;
        self.faults.after("engine.release_log")
    }

    async fn replay(&self, node: &Node, fetched: &Path, until: Time) -> Result<()> {
        self.faults.before("engine.replay").await?;
        let parts: Vec<PathBuf> = (0..).map(|n| fetched.join(n.to_string())).take_while(|part| part.is_dir()).collect();
        let newest = parts.iter().map(|part| seen(&part.join(PIECES).join(ROWS))).max_by_key(Vec::len).unwrap_or_default();
        let mut rows = read_log(&node.paths.data);
        let captured = rows.len();
        rows.extend(newest.into_iter().skip(captured).take_while(|(at, _)| *at <= until.micros()).map(|(_, row)| row));
        write_log(&node.paths.data, &rows)?;
        std::fs::remove_dir_all(fetched)?;
        self.faults.after("engine.replay")
    }

    async fn replayed(&self, node: &Node, until: Time) -> Result<Check> {
        self.faults.before("engine.replayed").await?;
        Ok(Check::new("replay", true, format!("{} rows up to {until}", read_log(&node.paths.data).len())))
    }
}
