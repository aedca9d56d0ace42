//! A backup of a running server from its own files.
//!
//! The server is told that a backup begins, the data directory is read while it changes, and the log
//! between the two moments repairs what was read half old and half new. Entries come in two trees:
//! `data/…`, and after its last file was read `late/…`, which holds what exists only then: the
//! label, the list of files, the control file and the log.
//!
//! Where an earlier backup of the same directory is known, files that are surely the same are not read
//! ([`earlier`]); the list of files has them all the same.
//!
//! One session of ours carries it all. It holds a temporary slot, which keeps the server from
//! recycling the log; when the session ends, however it ends, the server forgets backup and slot.

mod changed;
mod earlier;
mod late;
mod ledger;
mod manifest;
mod pieces;
mod place;
mod walk;

use super::{
    connect::{Session, admin, sql},
    probe::Standing,
    survey::Survey,
    tools::{parse_lsn, position},
};
use changed::Relation;
use earlier::{Earlier, Part};
use late::Late;
use ledger::{Ledger, Line, Measured, Patched, Sum};
use mainstay_drivers::{
    Result,
    engine::Node,
    gate::Gate,
    progress::Progress,
    storage::{Entry, EntryKind, Keep, Keeper, Known, Opener, Source},
};
use mainstay_model::{
    Error, Time,
    backup::{Captured, Facts},
    node::{NodeRole, Position},
};
use pieces::stretches;
use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::runtime::Handle;
use walk::{Found, Walk};

/// The list of files, in the snapshot.
pub(super) const MANIFEST: &str = "late/backup_manifest";
pub(super) use pieces::PIECES;

/// The pieces in which the repositories of this engine keep files.
const PIECE: u64 = 64 << 10;

/// With a `gate` the backup is ended in the server, which is what decides its point, only there.
pub(super) async fn capture(
    node: &Node,
    known: Option<Arc<Known>>,
    gate: Option<Arc<dyn Gate>>,
    progress: &Progress,
) -> Result<Box<dyn Source>> {
    let began_at = now();
    let session = admin(node).await?;
    refuse_tablespaces(&session).await?;
    let before = Survey::take(node, &session).await?;
    let expected = bytes(&session).await?;
    progress.total(expected);
    let begun = Begun::now(node, &session).await?;
    let identity = place::identity(&node.paths.data, &begun);
    let mut earlier = known.and_then(|known| fitting(node, known, &begun, identity.as_deref()?));
    if let Some(earlier) = &mut earlier {
        earlier.ask(&session, &begun).await;
    }
    let captured = identity.map(|identity| Captured {
        began_at,
        identity,
        token: format!("{:032x}", rand::random::<u128>()),
        base: earlier.as_ref().map(|e| e.known.backup.clone()),
        generation: earlier.as_ref().map_or(0, |e| e.captured.generation + 1),
        kept_bytes: 0,
    });
    let walk = Walk::new(&node.paths.data)?;
    Ok(Box::new(Capture {
        handle: Handle::current(),
        node: node.clone(),
        gate,
        progress: progress.clone(),
        session,
        begun,
        before,
        expected,
        earlier,
        captured,
        state: State::Top(walk),
        ledger: Arc::new(Ledger::default()),
        keeper: None,
    }))
}

/// Whatever does not fit costs a full read, and the log says why.
fn fitting(node: &Node, known: Arc<Known>, begun: &Begun, identity: &str) -> Option<Earlier> {
    let backup = known.backup.clone();
    match Earlier::fitting(node, known, begun, identity, now()) {
        Ok(earlier) => Some(earlier),
        Err(why) => {
            tracing::info!(node = node.plan.name, backup = %backup, "everything is read, the backup before is not built on: {why}");
            None
        }
    }
}

/// Their files lie outside the data directory, and a restore beside the live data would write over them.
async fn refuse_tablespaces(session: &Session) -> Result<()> {
    const OWN: &str = "SELECT string_agg(spcname, ', ') FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')";
    let found: Option<String> = session.query_one_scalar(OWN, &[]).await.map_err(sql("looking for tablespaces"))?;
    match found {
        None => Ok(()),
        Some(names) => Err(Error::failed(
            "tablespaces",
            format!(
                "tablespace {names} lies outside the data directory and cannot be backed up; move its tables to pg_default and drop it"
            ),
        )),
    }
}

async fn bytes(session: &Session) -> Result<u64> {
    const SIZE: &str = "SELECT coalesce(sum(pg_database_size(oid)), 0)::bigint FROM pg_database";
    let total: i64 = session.query_one_scalar(SIZE, &[]).await.map_err(sql("asking for the size of the data"))?;
    Ok(total.unsigned_abs())
}

/// The moment the server was told.
struct Begun {
    role: NodeRole,
    system: String,
    timeline: u32,
    start: u64,
    version: String,
    segment_size: u64,
    /// Whether pages bear checksums: `on` or `off`.
    checksums: String,
    block_bytes: u64,
    /// Blocks in one file of a relation.
    segment_blocks: u64,
    /// In which pieces files are summed up, where the server can say which blocks change.
    piece: Option<u64>,
    slot: String,
}

impl Begun {
    async fn now(node: &Node, session: &Session) -> Result<Begun> {
        let doing = "beginning a backup";
        let standing = Standing::look(session).await.map_err(sql(doing))?;
        let slot = format!("mainstay_backup_{:016x}", rand::random::<u64>());
        const HOLD: &str = "SELECT FROM pg_create_physical_replication_slot($1, true, true)";
        session.execute(HOLD, &[&slot]).await.map_err(sql(doing))?;
        const BEGIN: &str = "SELECT pg_backup_start($1, true)::text, split_part(current_setting('server_version'), ' ', 1),
                                    (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size'),
                                    current_setting('data_checksums'),
                                    current_setting('summarize_wal', true) = 'on',
                                    (SELECT setting::bigint FROM pg_settings WHERE name = 'block_size'),
                                    (SELECT setting::bigint FROM pg_settings WHERE name = 'segment_size')";
        let row = session.query_one(BEGIN, &[&format!("mainstay {}", node.plan.name)]).await.map_err(sql(doing))?;
        let start = parse_lsn(row.get(0)).ok_or_else(|| Error::internal("pg_backup_start returned no log position"))?;
        Ok(Begun {
            role: if standing.recovering { NodeRole::Replica } else { NodeRole::Primary },
            timeline: standing
                .timeline
                .ok_or_else(|| Error::unavailable("position_unknown", "the server does not know its timeline yet"))?,
            system: standing.system,
            start,
            version: row.get(1),
            segment_size: row.get::<_, i64>(2).unsigned_abs(),
            checksums: row.get(3),
            piece: row.get::<_, Option<bool>>(4).unwrap_or(false).then_some(PIECE),
            block_bytes: row.get::<_, i64>(5).unsigned_abs(),
            segment_blocks: row.get::<_, i64>(6).unsigned_abs(),
            slot,
        })
    }

    fn position(&self, bytes: u64) -> Position {
        position(&self.system, self.timeline, bytes)
    }
}

enum State {
    /// Before the entry `data` itself.
    Top(Walk),
    Data(Walk),
    Late(Late),
}

struct Capture {
    handle: Handle,
    node: Node,
    gate: Option<Arc<dyn Gate>>,
    progress: Progress,
    session: Session,
    begun: Begun,
    before: Survey,
    expected: u64,
    earlier: Option<Earlier>,
    captured: Option<Captured>,
    state: State,
    ledger: Arc<Ledger>,
    keeper: Option<Arc<dyn Keeper>>,
}

impl Source for Capture {
    fn next(&mut self) -> Option<Result<Entry>> {
        let entry = self.advance();
        if let Err(e) = &entry {
            // Whoever goes on after an error must not get a good end.
            self.ledger.fail(&e.message);
        }
        entry.transpose()
    }

    fn finish(&mut self) -> Result<Facts> {
        self.healthy()?;
        let State::Late(late) = &self.state else {
            return Err(Error::internal("a backup was finished before its entries were taken"));
        };
        if late.remaining() > 0 || !self.ledger.idle_within(Duration::ZERO) {
            return Err(Error::internal("a backup was finished before its entries were read"));
        }
        self.handle.block_on(late::still_held(&self.session, &self.begun.slot))?;
        let mut facts = late.facts(&self.node, &self.begun, &self.before);
        facts.captured = self.captured.clone().map(|c| Captured { kept_bytes: self.ledger.kept_bytes(), ..c });
        if let Some(captured) = &facts.captured
            && let Err(e) = self.handle.block_on(place::remember(&self.node, &captured.identity, &captured.token))
        {
            tracing::warn!(node = self.node.plan.name, "the next backup reads everything: this one cannot be remembered: {e}");
        }
        Ok(facts)
    }

    fn expected_bytes(&self) -> Option<u64> {
        Some(self.expected)
    }

    fn offer(&mut self, keeper: Arc<dyn Keeper>) {
        self.keeper = Some(keeper);
    }
}

impl Capture {
    fn advance(&mut self) -> Result<Option<Entry>> {
        self.healthy()?;
        loop {
            match std::mem::replace(&mut self.state, State::Late(Late::default())) {
                State::Top(walk) => {
                    self.state = State::Data(walk);
                    return Ok(Some(dir_entry("data".into(), 0o700, now())));
                }
                State::Data(mut walk) => match walk.next() {
                    Some(found) => {
                        self.state = State::Data(walk);
                        return self.entry(found?).map(Some);
                    }
                    None => self.state = State::Late(self.conclude()?),
                },
                State::Late(mut late) => {
                    let entry = late.next(&self.ledger);
                    self.state = State::Late(late);
                    return entry;
                }
            }
        }
    }

    /// What has failed so far, so that a long read does not go on for nothing.
    fn healthy(&self) -> Result<()> {
        if let Some(failure) = self.ledger.failure() {
            let code = if self.ledger.is_of_the_earlier() { "base_differs" } else { "capture_incomplete" };
            return Err(Error::failed(code, failure));
        }
        if self.progress.is_cancelled() {
            return Err(Error::failed("cancelled", format!("the backup of {} was cancelled", self.node.plan.name)));
        }
        if self.session.is_closed() {
            let sentence = format!("{} ended the backup's session: it was stopped or crashed", self.node.plan.name);
            return Err(Error::unavailable("engine_lost", sentence));
        }
        Ok(())
    }

    fn entry(&self, found: Found) -> Result<Entry> {
        let (mode, mtime) = (found.metadata.mode() & 0o7777, modified(&found.metadata));
        let path = Path::new("data").join(&found.path);
        if found.metadata.is_dir() {
            return Ok(dir_entry(path, mode, mtime));
        }
        let may_vanish = found.may_vanish();
        let same = self.earlier.as_ref().and_then(|e| Some((e.same(&found)?.clone(), e.known.everywhere)));
        if let Some((line, true)) = same {
            let size = Some(line.size);
            self.ledger.kept(line);
            let open: Opener = Box::new(|| Ok(Box::new(io::empty())));
            return Ok(Entry { path, mode, mtime, kind: EntryKind::File { size, may_vanish, open, keep: Keep::Whole } });
        }
        if let Some(part) = self.earlier.as_ref().and_then(|e| e.part(&found)) {
            return Ok(self.in_part(found, part, mode, mtime));
        }
        // Read for those that lack it. That the others have the same is seen then, too.
        let keep = if same.is_some() { Keep::Whole } else { Keep::Nothing };
        let (size, open) = self.opener(&path, found, same.map(|(line, _)| line))?;
        Ok(Entry { path, mode, mtime, kind: EntryKind::File { size: Some(size), may_vanish, open, keep } })
    }

    /// A relation of which only the changed pieces are read.
    fn in_part(&self, found: Found, part: Part, mode: u32, mtime: Time) -> Entry {
        let (size, changed) = (found.metadata.len(), stretches(part.numbers.iter().copied(), part.piece, found.metadata.len()));
        let keep = Keep::Except(changed);
        self.ledger.spared(keep.bytes(size));
        let (full, path) = (self.node.paths.data.join(&found.path), found.path.to_string_lossy().into_owned());
        let ticket = self.ledger.ticket(&path);
        let line = Line { path, size, modified: found.metadata.mtime(), sum: Sum::default(), pieces: None };
        let open = move || match File::open(&full) {
            Ok(file) => Ok(Box::new(Patched::new(file, line, part.old, part.piece, part.numbers, ticket)) as Box<dyn io::Read + Send>),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                ticket.vanished();
                Err(e)
            }
            Err(e) => Err(e),
        };
        let kind = EntryKind::File { size: Some(size), may_vanish: true, open: Box::new(open), keep };
        Entry { path: Path::new("data").join(&found.path), mode, mtime, kind }
    }

    /// Relations are opened when their turn comes. The few files that are replaced as a whole are
    /// opened now, so that size and content are of the same file.
    fn opener(&self, entry: &Path, found: Found, same: Option<Line>) -> Result<(u64, Opener)> {
        let (keeper, entry) = (self.keeper.clone(), entry.to_owned());
        let kept = move |file, size| match keeper {
            Some(keeper) => keeper.keep(&entry, file, size),
            None => file,
        };
        let full = self.node.paths.data.join(&found.path);
        let ticket = self.ledger.ticket(&found.path.to_string_lossy());
        let wanted = same.map(|line| line.sum);
        let piece = self.begun.piece.filter(|piece| found.metadata.len() > *piece && Relation::of(&found.path).is_some());
        if !found.may_vanish() {
            let file = File::open(&full).map_err(|e| Error::from(e).context(full.display()))?;
            let metadata = file.metadata()?;
            let file = kept(file, metadata.len());
            let reader = Measured::new(file, &found.path, metadata.len(), metadata.mtime(), false, ticket).wanting(wanted);
            return Ok((metadata.len(), Box::new(move || Ok(Box::new(reader)))));
        }
        let (size, mtime) = (found.metadata.len(), found.metadata.mtime());
        let open = move || match File::open(&full) {
            Ok(file) => {
                let reader = Measured::new(kept(file, size), &found.path, size, mtime, true, ticket).wanting(wanted).in_pieces(piece);
                Ok(Box::new(reader) as Box<dyn io::Read + Send>)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                ticket.vanished();
                Err(e)
            }
            Err(e) => Err(e),
        };
        Ok((size, Box::new(open)))
    }

    /// All of `data` was handed out: wait until it was read, then end the backup in the server.
    fn conclude(&self) -> Result<Late> {
        while !self.ledger.idle_within(Duration::from_millis(200)) {
            self.healthy()?;
        }
        self.healthy()?;
        if let Some(gate) = &self.gate {
            gate.pass()?;
        }
        let lines = self.ledger.take_lines();
        self.handle.block_on(Late::gather(&self.node, &self.session, &self.begun, lines, self.gate.as_deref()))
    }
}

fn dir_entry(path: PathBuf, mode: u32, mtime: Time) -> Entry {
    Entry { path, mode, mtime, kind: EntryKind::Dir }
}

fn modified(metadata: &Metadata) -> Time {
    Time::from_micros(metadata.mtime().saturating_mul(1_000_000).saturating_add(metadata.mtime_nsec() / 1000))
}

pub(super) fn now() -> Time {
    jiff::Timestamp::now().into()
}
