//! Which blocks changed between two positions of the log, by the server's own account: from version 17
//! on it keeps summaries of its log. What it does not speak of is as it was.
//!
//! Two things are not in the log as one would think: the map of free space is not logged at all, and that
//! of visibility is changed by records that do not name its blocks. So only main forks are gone by.

use crate::postgres::{
    connect::{Session, sql},
    tools::{lsn, parse_lsn},
};
use futures::{TryStreamExt, pin_mut};
use mainstay_drivers::Result;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::Path,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// The server summarizes its log up to a checkpoint soon after it.
const PATIENCE: Duration = Duration::from_secs(20);
const DEFAULT_TABLESPACE: u32 = 1663;
const GLOBAL_TABLESPACE: u32 = 1664;

/// One relation's main fork: its file's number and its database's, 0 for those that all share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Relation {
    pub database: u32,
    pub number: u32,
}

impl Relation {
    /// The relation a file belongs to, and which of its segments it is. `None` for everything that is
    /// not a main fork.
    pub fn of(path: &Path) -> Option<(Relation, u64)> {
        let text = path.to_str()?;
        let (database, file) = match text.strip_prefix("base/") {
            Some(rest) => rest.split_once('/').and_then(|(database, file)| Some((number(database)?, file)))?,
            None => (0, text.strip_prefix("global/")?),
        };
        let (relation, segment) = file.split_once('.').unwrap_or((file, "0"));
        Some((Relation { database, number: number(relation)? }, u64::from(number(segment)?)))
    }
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// What became of one relation.
#[derive(Debug, Default, PartialEq)]
struct Fate {
    /// It was not longer than so many blocks at some time: whatever lies beyond is new.
    limit: Option<u64>,
    /// Pieces with a changed block, counted from the relation's beginning.
    pieces: BTreeSet<u64>,
}

/// Sizes are in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub block_bytes: u64,
    pub segment: u64,
    pub piece: u64,
}

#[derive(Debug)]
pub(super) struct Changed {
    shape: Shape,
    fates: HashMap<Relation, Fate>,
    /// Databases that were made or removed as a whole.
    databases: HashSet<u32>,
}

/// A stretch of the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    pub timeline: u32,
    pub from: u64,
    pub to: u64,
}

impl Changed {
    /// `None` where the server cannot account for the whole stretch.
    pub async fn between(session: &Session, stretch: Stretch, shape: Shape) -> Result<Option<Changed>> {
        let Some(summaries) = covering(session, stretch).await? else { return Ok(None) };
        let mut changed = Changed { shape, fates: HashMap::new(), databases: HashSet::new() };
        for (start, end) in summaries {
            changed.read(session, stretch.timeline, start, end).await?;
        }
        Ok(Some(changed))
    }

    async fn read(&mut self, session: &Session, timeline: u32, start: u64, end: u64) -> Result<()> {
        const CONTENTS: &str = "
            SELECT reltablespace, reldatabase, relfilenode, is_limit_block,
                   CASE WHEN is_limit_block THEN relblocknumber ELSE relblocknumber / $4 END AS place
              FROM pg_wal_summary_contents($1, $2::text::pg_lsn, $3::text::pg_lsn)
             WHERE relforknumber = 0
             GROUP BY 1, 2, 3, 4, 5";
        let doing = "reading what changed since the backup before";
        let (timeline, piece) = (i64::from(timeline), i64::try_from(self.shape.piece).unwrap_or(i64::MAX));
        let (start, end) = (lsn(start), lsn(end));
        let arguments: [&(dyn tokio_postgres::types::ToSql + Sync); 4] = [&timeline, &start, &end, &piece];
        let rows = session.query_raw(CONTENTS, arguments).await.map_err(sql(doing))?;
        pin_mut!(rows);
        while let Some(row) = rows.try_next().await.map_err(sql(doing))? {
            self.note(row.get(0), Relation { database: row.get(1), number: row.get(2) }, row.get(3), row.get::<_, i64>(4).unsigned_abs());
        }
        Ok(())
    }

    fn note(&mut self, tablespace: u32, relation: Relation, is_limit: bool, place: u64) {
        match tablespace {
            DEFAULT_TABLESPACE | GLOBAL_TABLESPACE => {}
            _ => return,
        }
        if relation.number == 0 {
            self.databases.insert(relation.database);
            return;
        }
        let fate = self.fates.entry(relation).or_default();
        match is_limit {
            true => fate.limit = Some(fate.limit.map_or(place, |limit| limit.min(place))),
            false => {
                fate.pieces.insert(place);
            }
        }
    }

    /// The pieces of a file that must be read, by their number in it; `None` where all must. The file
    /// has `size` bytes now and had `before`.
    pub fn pieces(&self, path: &Path, size: u64, before: u64) -> Option<BTreeSet<u64>> {
        let Shape { block_bytes, segment, piece } = self.shape;
        let (relation, number) = Relation::of(path)?;
        if self.databases.contains(&relation.database) || !size.is_multiple_of(block_bytes) || size > segment * block_bytes {
            return None;
        }
        let (first, bytes) = (number * segment, piece * block_bytes);
        let (count, whole_before) = (size.div_ceil(bytes), before / bytes);
        let mut read: BTreeSet<u64> = BTreeSet::new();
        if let Some(fate) = self.fates.get(&relation) {
            if fate.limit.is_some_and(|limit| limit <= first) {
                return None;
            }
            let beyond = fate.limit.map_or(u64::MAX, |limit| (limit - first) / piece);
            read.extend(beyond.min(count)..count);
            let own = first / piece..first / piece + count;
            read.extend(fate.pieces.range(own).map(|p| p - first / piece));
        }
        // What was not a whole piece then is one only if the file is exactly as long as it was.
        let kept = if size == before { count } else { whole_before };
        read.extend(kept.min(count)..count);
        if size < before && !size.is_multiple_of(bytes) {
            read.insert(count - 1);
        }
        Some(read)
    }
}

/// The summaries that account for the stretch without a gap, once the server has got that far.
async fn covering(session: &Session, stretch: Stretch) -> Result<Option<Vec<(u64, u64)>>> {
    const SUMMARIES: &str = "
        SELECT start_lsn::text, end_lsn::text FROM pg_available_wal_summaries()
         WHERE tli = $1 AND end_lsn > $2::text::pg_lsn AND start_lsn < $3::text::pg_lsn
         ORDER BY start_lsn";
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (timeline, from, to) = (i64::from(stretch.timeline), lsn(stretch.from), lsn(stretch.to));
        let rows = session.query(SUMMARIES, &[&timeline, &from, &to]).await.map_err(sql("looking for log summaries"))?;
        let all: Vec<(u64, u64)> = rows.iter().filter_map(|r| Some((parse_lsn(r.get(0))?, parse_lsn(r.get(1))?))).collect();
        match reach(&all, stretch.from) {
            Some(end) if end >= stretch.to => return Ok(Some(all)),
            // A gap at the beginning does not close.
            None if !all.is_empty() => return Ok(None),
            _ if Instant::now() >= deadline || stretch.from >= stretch.to => return Ok(None),
            _ => sleep(Duration::from_millis(50)).await,
        }
    }
}

/// How far summaries, in their order, account for the log from `from` on.
fn reach(summaries: &[(u64, u64)], from: u64) -> Option<u64> {
    let mut reached = from;
    for (start, end) in summaries {
        if *start > reached {
            break;
        }
        reached = reached.max(*end);
    }
    (reached > from).then_some(reached)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { block_bytes: 8192, segment: 131_072, piece: 8 };
    const PIECE: u64 = 65_536;

    fn changed(notes: &[(u32, u32, bool, u64)]) -> Changed {
        let mut changed = Changed { shape: SHAPE, fates: HashMap::new(), databases: HashSet::new() };
        for (database, number, is_limit, place) in notes {
            changed.note(if *database == 0 { 1664 } else { 1663 }, Relation { database: *database, number: *number }, *is_limit, *place);
        }
        changed
    }

    fn pieces(changed: &Changed, path: &str, size: u64, before: u64) -> Option<Vec<u64>> {
        changed.pieces(Path::new(path), size, before).map(|p| p.into_iter().collect())
    }

    #[test]
    fn files_are_known_by_their_names() {
        let of = |path: &str| Relation::of(Path::new(path)).map(|(r, s)| (r.database, r.number, s));
        assert_eq!(of("base/5/16384"), Some((5, 16384, 0)));
        assert_eq!(of("base/5/16384.12"), Some((5, 16384, 12)));
        assert_eq!(of("global/1260"), Some((0, 1260, 0)));
        for other in
            ["base/5/16384_fsm", "base/5/16384_vm.1", "base/5/16384_init", "base/5/PG_VERSION", "global/pg_filenode.map", "pg_xact/0000"]
        {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn what_changed_what_is_new_and_what_was_cut() {
        let changed =
            changed(&[(5, 10, false, 0), (5, 10, false, 3), (5, 11, true, 20), (5, 12, true, 0), (7, 0, true, 0), (5, 13, false, 16_384)]);
        assert_eq!(pieces(&changed, "base/5/10", 5 * PIECE, 5 * PIECE), Some(vec![0, 3]));
        assert_eq!(pieces(&changed, "base/5/9", 5 * PIECE, 5 * PIECE), Some(vec![]), "nothing is said of it");
        assert_eq!(pieces(&changed, "base/5/10", 6 * PIECE + 8192, 5 * PIECE + 8192), Some(vec![0, 3, 5, 6]), "grown");
        assert_eq!(pieces(&changed, "base/5/10", 4 * PIECE + 8192, 5 * PIECE), Some(vec![0, 3, 4]), "shorter");
        assert_eq!(pieces(&changed, "base/5/10", 4 * PIECE, 5 * PIECE), Some(vec![0, 3]), "shorter by a piece");
        assert_eq!(pieces(&changed, "base/5/9", 4 * PIECE + 8192, 4 * PIECE + 8192), Some(vec![]), "the tail is as it was");
        assert_eq!(pieces(&changed, "base/5/11", 5 * PIECE, 5 * PIECE), Some(vec![2, 3, 4]), "cut within the third and filled again");
        assert_eq!(pieces(&changed, "base/5/12", 5 * PIECE, 5 * PIECE), None, "made anew");
        assert_eq!(pieces(&changed, "base/5/12.1", 5 * PIECE, 5 * PIECE), None, "with all its segments");
        assert_eq!(pieces(&changed, "base/7/9", 5 * PIECE, 5 * PIECE), None, "the whole database is new");
        assert_eq!(pieces(&changed, "base/5/13", 5 * PIECE, 5 * PIECE), Some(vec![]), "another segment's");
        assert_eq!(pieces(&changed, "base/5/13.1", 5 * PIECE, 5 * PIECE), Some(vec![0]));
        assert_eq!(pieces(&changed, "base/5/10", 100, 100), None, "not of blocks");
        assert_eq!(pieces(&changed, "base/5/10_vm", 8192, 8192), None);
    }

    #[test]
    fn a_gap_in_the_account_is_seen() {
        assert_eq!(reach(&[(5, 10), (10, 20)], 7), Some(20));
        assert_eq!(reach(&[(5, 10), (11, 20)], 7), Some(10));
        assert_eq!(reach(&[(8, 10)], 7), None);
        assert_eq!(reach(&[], 7), None);
    }
}
