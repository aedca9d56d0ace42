//! The end of a backup: what exists only after the last file was read.

use super::{
    Begun, MANIFEST, dir_entry,
    ledger::{Ledger, Line, Segment, Sum},
    manifest::{self, Range},
    now,
    pieces::{AllPieces, PIECES},
    walk,
};
use crate::postgres::{
    connect::{Session, sql},
    probe::Standing,
    survey::Survey,
    tools::{lsn, parse_lsn},
};
use mainstay_drivers::{
    Result,
    engine::Node,
    gate::Gate,
    storage::{Entry, EntryKind, Keep},
};
use mainstay_model::{Error, Time, backup::Facts};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    io::{self, Cursor},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

enum Item {
    Dir,
    Bytes(Vec<u8>),
    /// One log segment of `size`, of which `valid` bytes belong to the backup.
    Segment {
        file: PathBuf,
        valid: u64,
        size: u64,
    },
}

/// Entries below `late`, in path order, and what they tell.
#[derive(Default)]
pub(super) struct Late {
    items: VecDeque<(PathBuf, Item)>,
    stop: u64,
    after: Survey,
    at: Time,
}

impl Late {
    pub async fn gather(node: &Node, session: &Session, begun: &Begun, mut lines: Vec<Line>, gate: Option<&dyn Gate>) -> Result<Late> {
        let data = node.paths.data.clone();
        let control = read_settled(&data.join(walk::CONTROL)).await?;
        let (stop, label) = end(session, begun).await?;
        if let Some(gate) = gate {
            gate.passed();
        }
        let after = Survey::take(node, session).await?;
        let at = now();
        for (path, bytes) in [("backup_label", label.as_bytes()), (walk::CONTROL, control.as_slice())] {
            let sum = Sum::sha256(Sha256::new_with_prefix(bytes));
            lines.push(Line { path: path.into(), size: bytes.len() as u64, modified: at.micros() / 1_000_000, sum, pieces: None });
        }
        let pieces = begun.piece.map(|piece| AllPieces::of(piece, &lines));
        let list = manifest::render(&lines, &Range { timeline: begun.timeline, start: begun.start, stop });
        let mut items: BTreeMap<PathBuf, Item> = log(&data.join("pg_wal"), begun, stop)?;
        items.insert("late".into(), Item::Dir);
        items.insert("late/backup_label".into(), Item::Bytes(label.into_bytes()));
        items.insert(MANIFEST.into(), Item::Bytes(list.into_bytes()));
        items.insert("late/global".into(), Item::Dir);
        items.insert(Path::new("late").join(walk::CONTROL), Item::Bytes(control));
        items.insert("late/pg_wal".into(), Item::Dir);
        if let Some(pieces) = pieces {
            items.insert("pieces".into(), Item::Dir);
            items.insert(PIECES.into(), Item::Bytes(pieces.render()));
        }
        Ok(Late { items: items.into_iter().collect(), stop, after, at })
    }

    pub fn remaining(&self) -> usize {
        self.items.len()
    }

    pub fn next(&mut self, ledger: &Arc<Ledger>) -> Result<Option<Entry>> {
        let Some((path, item)) = self.items.pop_front() else { return Ok(None) };
        let (size, open): (u64, mainstay_drivers::storage::Opener) = match item {
            Item::Dir => return Ok(Some(dir_entry(path, 0o700, self.at))),
            Item::Bytes(bytes) => (bytes.len() as u64, Box::new(move || Ok(Box::new(Cursor::new(bytes))))),
            Item::Segment { file, valid, size } => {
                let ticket = ledger.ticket(&file.to_string_lossy());
                (size, Box::new(move || Ok(Box::new(Segment::new(File::open(&file)?, valid, size, ticket)) as Box<dyn io::Read + Send>)))
            }
        };
        Ok(Some(Entry {
            path,
            mode: 0o600,
            mtime: self.at,
            kind: EntryKind::File { size: Some(size), may_vanish: false, open, keep: Keep::Nothing },
        }))
    }

    pub fn facts(&self, node: &Node, begun: &Begun, before: &Survey) -> Facts {
        let user = &node.plan.accounts.user;
        let names = [("role", Some(user.user.clone())), ("database", user.database.clone())];
        Facts {
            engine: node.plan.engine.clone(),
            engine_version: begun.version.clone(),
            history: begun.system.clone(),
            start: Some(begun.position(begun.start)),
            stop: Some(begun.position(self.stop)),
            exact: before.unchanged(&self.after),
            estimates: self.after.rows.clone(),
            names: names.into_iter().filter_map(|(k, v)| Some((k.to_string(), v?))).collect(),
            node: node.plan.name.clone(),
            role: Some(begun.role),
            tools: [("postgres".to_string(), begun.version.clone())].into(),
            captured: None,
            stopped_at: Some(self.at),
        }
    }
}

/// Ends the backup in the server. The position it answers is where the files are consistent.
async fn end(session: &Session, begun: &Begun) -> Result<(u64, String)> {
    const END: &str = "SELECT lsn::text, labelfile FROM pg_backup_stop(wait_for_archive := false)";
    let row = session.query_one(END, &[]).await.map_err(sql("ending the backup"))?;
    let stop = parse_lsn(row.get(0)).ok_or_else(|| Error::internal("pg_backup_stop returned no log position"))?;
    let now = Standing::look(session).await.map_err(sql("ending the backup"))?;
    if now.timeline != Some(begun.timeline) || stop <= begun.start {
        let sentence = "the cluster got another primary while the backup ran; make it again";
        return Err(Error::failed("timeline_changed", sentence));
    }
    Ok((stop, row.get(1)))
}

/// Segments from the first byte needed to the last, and the histories of all timelines.
fn log(pg_wal: &Path, begun: &Begun, stop: u64) -> Result<BTreeMap<PathBuf, Item>> {
    let (size, mut items) = (begun.segment_size, BTreeMap::new());
    for number in begun.start / size..=(stop - 1) / size {
        let name = segment_name(begun.timeline, number, size);
        let file = pg_wal.join(&name);
        let length = std::fs::metadata(&file).map(|m| m.len()).unwrap_or(0);
        if length != size {
            let sentence = format!("the server no longer has log segment {name}, which this backup needs up to {}", lsn(stop));
            return Err(Error::failed("log_missing", sentence));
        }
        let valid = (stop - number * size).min(size);
        items.insert(Path::new("late/pg_wal").join(name), Item::Segment { file, valid, size });
    }
    for entry in std::fs::read_dir(pg_wal)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|e| e == "history") {
            items.insert(Path::new("late/pg_wal").join(entry.file_name()), Item::Bytes(std::fs::read(entry.path())?));
        }
    }
    Ok(items)
}

/// Timeline, then the number in two parts, 8 hexadecimal digits each.
fn segment_name(timeline: u32, number: u64, size: u64) -> String {
    let per_id = 0x1_0000_0000 / size;
    format!("{timeline:08X}{:08X}{:08X}", number / per_id, number % per_id)
}

/// The server rewrites this file in place: read it until two looks agree.
async fn read_settled(file: &Path) -> Result<Vec<u8>> {
    let mut last = tokio::fs::read(file).await?;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(2)).await;
        let next = tokio::fs::read(file).await?;
        if next == last {
            return Ok(next);
        }
        last = next;
    }
    Err(Error::failed("control_unsettled", format!("{} changed with every look", file.display())))
}

/// Whether the slot kept the log to the end: a segment that was recycled while it was read holds
/// other bytes than its name says.
pub(super) async fn still_held(session: &Session, slot: &str) -> Result<()> {
    const HELD: &str = "SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1";
    let status: Option<Option<String>> = session.query_opt_scalar(HELD, &[&slot]).await.map_err(sql("looking for the backup's slot"))?;
    match status.flatten().as_deref() {
        Some("reserved" | "extended" | "unreserved") => Ok(()),
        _ => Err(Error::failed(
            "log_missing",
            "the server wrote so much log that it dropped what this backup needs; raise max_slot_wal_keep_size",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_named_as_the_server_names_them() {
        let size = 16 << 20;
        assert_eq!(segment_name(1, 0x200_0028 / size, size), "000000010000000000000002");
        assert_eq!(segment_name(0x1f, parse_lsn("16/B374D848").unwrap() / size, size), "0000001F00000016000000B3");
    }
}
