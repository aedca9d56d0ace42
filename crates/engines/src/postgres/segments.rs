//! The log, kept as it is written: PostgreSQL's own `pg_receivewal` streams it out of a slot into the
//! spool and answers only for what is on the disk there, so the primary holds what it lacks, up to
//! `max_slot_wal_keep_size`. It goes on through timelines by itself: after a promotion it fetches the
//! end of the old one and the history of the new one from the new primary, which has a slot of that
//! name from before it was promoted.
//!
//! For a replay the segments are laid into `pg_wal`, so that no command has to fetch them: PostgreSQL
//! would run that through a shell.

use super::{
    Postgres,
    config::{REPLICATION, auto_conf, pass_file, pass_file_spec, private, quoted, read_auto_conf},
    connect::{admin, sql},
    probe::Standing,
    replicate::{drop_slot, ensure_slot},
    restore::recovered,
    tools::{SHORT, Tool, arg, environment, parse_lsn, position, remove_dir},
};
use async_trait::async_trait;
use mainstay_drivers::{
    Result,
    engine::Node,
    runtime::{InstanceSpec, Signal},
    segments::{Keeper, PIECES, Piece, Reach, Segments},
};
use mainstay_model::{Error, Time, backup::Check};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use tokio::time::{Instant, sleep};

/// Of the slot, and what the keeper calls itself.
pub(super) const SLOT: &str = "mainstay_log";
const PARTIAL: &str = ".partial";
const HISTORY: &str = ".history";

/// How long a look waits for the keeper to come to where the server is.
const PATIENCE: Duration = Duration::from_secs(2);

/// The keeper tries again every five seconds, and says each time why it could not.
const FRESH_WORDS: Duration = Duration::from_secs(12);

/// What the server says when the log cannot go on from where the spool ends.
const BROKEN: [(&str, &str); 3] = [
    ("has already been removed", "the server wrote more log than it may hold for the keeper and dropped the rest"),
    ("is not in this server's history", "the server went on from an earlier moment than the log that was kept"),
    ("is ahead of the WAL flush position", "the server went on from an earlier moment than the log that was kept"),
];

#[async_trait]
impl Segments for Postgres {
    async fn keep(&self, node: &Node, spool: &Path, fresh: bool) -> Result<Option<Keeper>> {
        let session = admin(node).await?;
        if fresh {
            drop_slot(&session, SLOT).await?;
        }
        ensure_slot(&session, SLOT).await?;
        let mut files = vec![pass_file_spec(node)];
        if fresh {
            // What an earlier keeper said is no word about this one.
            files.push(private(log_file(node), String::new()));
        }
        Ok(Some(Keeper { files, spec: keeper(node, spool) }))
    }

    async fn reach(&self, node: &Node, _spool: &Path) -> Result<Reach> {
        let session = admin(node).await?;
        let at = super::capture::now();
        let standing = Standing::look(&session).await.map_err(sql("asking how far the log is"))?;
        let (Some(timeline), Some(wanted)) = (standing.timeline, standing.held) else {
            return Err(Error::unavailable("position_unknown", format!("{} does not know its own log position yet", node.plan.name)));
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let kept = kept(&session).await?;
            let late = Instant::now() >= deadline;
            if kept.is_some_and(|k| k >= wanted) || late {
                let broken = if kept.is_none() { broken(node) } else { None };
                let (bytes, at) = (kept.unwrap_or(0), kept.filter(|k| *k >= wanted).map(|_| at));
                return Ok(Reach { position: position(&standing.system, timeline, bytes), at, broken });
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn pieces(&self, spool: &Path, from: u64, to: u64) -> Result<Vec<Piece>> {
        let mut names = BTreeSet::new();
        for entry in std::fs::read_dir(spool)? {
            names.extend(entry?.file_name().into_string().ok());
        }
        let complete = |name: &str| name.strip_suffix(PARTIAL).is_some_and(|whole| names.contains(whole));
        let mut pieces: Vec<Piece> = Vec::new();
        for name in names.iter().filter(|n| !complete(n)) {
            pieces.extend(piece(spool, name, to)?.filter(|p| p.range.is_none_or(|(_, end)| end > from)));
        }
        pieces.sort_by(|a, b| (a.range, &a.name).cmp(&(b.range, &b.name)));
        Ok(pieces)
    }

    async fn release(&self, node: &Node) -> Result<()> {
        drop_slot(&admin(node).await?, SLOT).await
    }

    async fn replay(&self, node: &Node, fetched: &Path, until: Time) -> Result<()> {
        let (from, to) = (fetched.to_owned(), node.paths.data.join("pg_wal"));
        let laid = tokio::task::spawn_blocking(move || lay(&from, &to)).await.map_err(Error::internal)??;
        remove_dir(fetched).await?;
        let timeline = laid.last().and_then(|name| u32::from_str_radix(name.get(..8)?, 16).ok());
        let timeline = timeline.ok_or_else(|| Error::integrity("the log that was fetched holds no segment").with_code("log_missing"))?;
        let mut settings = read_auto_conf(&node.paths.data).await?;
        settings.push_str(&format!("recovery_target_timeline = '{timeline}'\nrecovery_target_action = 'promote'\n"));
        // A server that comes to the end of the log before it saw anything younger than its target
        // gives up; then all there is belongs to the moment that is wanted.
        if goes_beyond(node, &laid, until).await? {
            settings.push_str(&format!("recovery_target_time = {}\nrecovery_target_inclusive = on\n", quoted(&in_words(until))));
        }
        node.runtime.put_files(node.installed.user.as_deref(), vec![private(auto_conf(&node.paths.data), settings)]).await
    }

    async fn replayed(&self, node: &Node, until: Time) -> Result<Check> {
        const LAST: &str = "SELECT extract(epoch FROM pg_last_xact_replay_timestamp())::float8";
        let session = recovered(node).await?;
        let last: Option<f64> = session.query_one_scalar(LAST, &[]).await.map_err(sql("asking how far the log was replayed"))?;
        let last = last.map(|seconds| Time((seconds * 1e6).round() as i64));
        let detail = match last {
            Some(last) => format!("replayed to {until}: the last transaction is of {last}"),
            None => format!("replayed to {until}: no transaction ended since the backup"),
        };
        Ok(Check::new("replay", last.is_none_or(|last| last <= until), detail))
    }
}

fn log_file(node: &Node) -> PathBuf {
    node.paths.log.join("log-keeper.log")
}

fn keeper(node: &Node, spool: &Path) -> InstanceSpec {
    let link = format!(
        "host={} port={} user={REPLICATION} application_name={SLOT} passfile='{}' connect_timeout=5 gssencmode=disable",
        node.plan.address,
        node.plan.port,
        arg(&pass_file(node)).replace('\\', "\\\\").replace('\'', "\\'"),
    );
    let args = [
        "-D".into(),
        arg(spool),
        "-S".into(),
        SLOT.into(),
        "-d".into(),
        link,
        "--synchronous".into(),
        "-s".into(),
        "1".into(),
        "-w".into(),
    ];
    InstanceSpec {
        program: node.installed.bin_dir.join("pg_receivewal"),
        args: args.into(),
        env: environment(node),
        working_dir: node.paths.root.clone(),
        user: node.installed.user.clone(),
        log_file: log_file(node),
        stop_signal: Signal::Int,
        grace: Duration::from_secs(5),
        restarts: 5,
        background: false,
        offline: false,
    }
}

/// Up to where the connected keeper has the log on its disk.
async fn kept(session: &super::connect::Session) -> Result<Option<u64>> {
    const KEPT: &str = "SELECT flush_lsn::text FROM pg_stat_replication WHERE application_name = 'mainstay_log' AND flush_lsn IS NOT NULL";
    let text: Option<String> = session.query_opt_scalar(KEPT, &[]).await.map_err(sql("asking how far the log is kept"))?;
    Ok(text.as_deref().and_then(parse_lsn))
}

/// What the keeper said last, where that is final and just now.
fn broken(node: &Node) -> Option<String> {
    let file = log_file(node);
    let written = std::fs::metadata(&file).ok()?.modified().ok()?;
    if SystemTime::now().duration_since(written).is_ok_and(|age| age > FRESH_WORDS) {
        return None;
    }
    let text = std::fs::read(&file).ok()?;
    let text = String::from_utf8_lossy(&text[text.len().saturating_sub(4096)..]).into_owned();
    let last = text.lines().rfind(|line| line.contains("ERROR"))?;
    BROKEN.iter().find(|(said, _)| last.contains(said)).map(|(_, meaning)| (*meaning).to_string())
}

/// A file of the spool, with what of it is before `to`.
fn piece(spool: &Path, name: &str, to: u64) -> Result<Option<Piece>> {
    let path = spool.join(name);
    let size = match std::fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_file() => meta.len(),
        // Completed meanwhile: it comes under its other name the next time.
        _ => return Ok(None),
    };
    let whole = name.strip_suffix(PARTIAL).unwrap_or(name);
    if is_hex(name.strip_suffix(HISTORY).unwrap_or_default(), 8) {
        return Ok(Some(Piece { name: name.into(), path, completed: None, range: None, valid: size, size }));
    }
    let Some(begin) = begin_of(whole, size).filter(|begin| *begin < to) else { return Ok(None) };
    let end = (begin + size).min(to);
    let completed = (whole != name).then(|| spool.join(whole));
    Ok(Some(Piece { name: name.into(), path, completed, range: Some((begin, end)), valid: end - begin, size }))
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b))
}

/// Where a segment of that size begins in the log.
fn begin_of(name: &str, size: u64) -> Option<u64> {
    if !is_hex(name, 24) || !size.is_power_of_two() || !(1 << 20..=1 << 30).contains(&size) {
        return None;
    }
    let number = |digits: &str| u64::from_str_radix(digits, 16).ok();
    let per_id = 0x1_0000_0000 / size;
    Some((number(&name[8..16])? * per_id + number(&name[16..24])?) * size)
}

/// Moves the newest state of each segment into `pg_wal`, over what the backup brought: its last one
/// ends where the backup did. Answers the names that lie there now, in the order they are replayed.
fn lay(fetched: &Path, pg_wal: &Path) -> Result<Vec<String>> {
    let mut newest: BTreeMap<String, PathBuf> = BTreeMap::new();
    for part in 0.. {
        let dir = fetched.join(part.to_string());
        if !dir.is_dir() {
            break;
        }
        for entry in std::fs::read_dir(dir.join(PIECES))? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let whole = name.strip_suffix(PARTIAL).unwrap_or(&name).to_string();
            newest.insert(whole, entry.path());
        }
    }
    for (name, path) in &newest {
        std::fs::rename(path, pg_wal.join(name))?;
    }
    let mut segments: Vec<String> = newest.into_keys().filter(|name| is_hex(name, 24)).collect();
    let newest_timeline = segments.iter().map(|name| name[..8].to_string()).max();
    // The last of the newest history is what is replayed to, whatever an older one has beside it.
    segments.sort_by_key(|name| (Some(&name[..8]) == newest_timeline.as_deref(), name[8..].to_string()));
    Ok(segments)
}

/// Whether a transaction ended after `until` anywhere in the log. Looked for from its end: the first
/// segment that holds any end tells.
async fn goes_beyond(node: &Node, segments: &[String], until: Time) -> Result<bool> {
    for name in segments.iter().rev() {
        let file = node.paths.data.join("pg_wal").join(name);
        let args = vec!["--rmgr=Transaction".into(), arg(&file)];
        // It ends with an error where the log ends within the file.
        let out = Tool { name: "pg_waldump", args, env: vec![], stdin: vec![], timeout: SHORT }.run(node).await?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let newest = text.lines().filter_map(ended_at).max();
        if let Some(newest) = newest {
            return Ok(newest > until);
        }
    }
    Ok(false)
}

/// As the server reads a time before it has loaded names of zones: `2026-11-30 09:00:00.123456+00`.
fn in_words(time: Time) -> String {
    let text = time.to_string();
    format!("{}+00", text.strip_suffix('Z').unwrap_or(&text).replacen('T', " ", 1))
}

/// `... desc: COMMIT 2026-11-30 09:00:00.123456 UTC`; words of a two-phase commit come before the time.
fn ended_at(line: &str) -> Option<Time> {
    let (_, what) = line.split_once("desc: ")?;
    if !what.starts_with("COMMIT") && !what.starts_with("ABORT") {
        return None;
    }
    let words: Vec<&str> = what.split([' ', ';']).collect();
    let zone = words.iter().position(|w| *w == "UTC").filter(|at| *at >= 2)?;
    Time::parse(&format!("{}T{}Z", words[zone - 2], words[zone - 1]))
}

#[cfg(test)]
mod tests {
    use super::{super::tools::lsn, *};

    const SIZE: u64 = 16 << 20;

    #[test]
    fn segments_know_their_place() {
        assert_eq!(begin_of("000000010000000000000003", SIZE), Some(3 * SIZE));
        assert_eq!(begin_of("0000000A00000001000000FF", SIZE), Some((1 << 32) + 255 * SIZE));
        for no in ["000000010000000000000003", "00000001000000000000000g", "archive_status"] {
            assert_eq!(begin_of(no, if no.ends_with('3') { 5 } else { SIZE }), None);
        }
        assert_eq!(lsn(begin_of("0000000A00000001000000FF", SIZE).unwrap()), "1/FF000000");
    }

    #[test]
    fn times_are_written_as_the_server_reads_them() {
        assert_eq!(in_words(Time::parse("2026-11-30T09:00:01.25Z").unwrap()), "2026-11-30 09:00:01.250000+00");
    }

    #[test]
    fn ends_of_transactions_are_read() {
        let line = "rmgr: Transaction len (rec/tot): 34/34, tx: 735, lsn: 0/01, prev 0/00, desc: COMMIT 2026-11-30 09:00:01.250000 UTC; inval msgs: x";
        assert_eq!(ended_at(line), Time::parse("2026-11-30T09:00:01.25Z"));
        assert_eq!(ended_at(&line.replace("COMMIT ", "COMMIT_PREPARED 735: ")), Time::parse("2026-11-30T09:00:01.25Z"));
        assert_eq!(ended_at(&line.replace("COMMIT", "ASSIGNMENT")), None);
    }

    #[test]
    fn the_newest_state_of_a_segment_is_laid() {
        let dir = tempfile::tempdir().unwrap();
        let put = |part: &str, name: &str, text: &str| {
            let place = dir.path().join("fetched").join(part).join(PIECES);
            std::fs::create_dir_all(&place).unwrap();
            std::fs::write(place.join(name), text).unwrap();
        };
        put("0", "000000010000000000000003.partial", "old");
        put("1", "000000010000000000000003", "whole");
        put("1", "000000010000000000000004.partial", "of the old history");
        put("1", "000000020000000000000004.partial", "new");
        put("1", "00000002.history", "h");
        let wal = dir.path().join("pg_wal");
        std::fs::create_dir(&wal).unwrap();
        std::fs::write(wal.join("000000010000000000000003"), "of the backup").unwrap();
        let laid = lay(&dir.path().join("fetched"), &wal).unwrap();
        assert_eq!(laid.last().map(String::as_str), Some("000000020000000000000004"));
        assert_eq!(std::fs::read_to_string(wal.join("000000010000000000000003")).unwrap(), "whole");
        assert_eq!(std::fs::read_to_string(wal.join("00000002.history")).unwrap(), "h");
    }

    #[test]
    fn a_piece_ends_where_the_log_was_kept_to() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["000000010000000000000003", "000000010000000000000003.partial", "000000010000000000000004.partial", "00000002.history"]
        {
            std::fs::File::create(dir.path().join(name)).unwrap().set_len(SIZE).unwrap();
        }
        let names = |from, to| {
            let all = Postgres.pieces(dir.path(), from, to).unwrap();
            all.into_iter().map(|p| (p.name, p.range, p.valid)).collect::<Vec<_>>()
        };
        let history = ("00000002.history".to_string(), None, SIZE);
        let third = ("000000010000000000000003".to_string(), Some((3 * SIZE, 4 * SIZE)), SIZE);
        let fourth = ("000000010000000000000004.partial".to_string(), Some((4 * SIZE, 4 * SIZE + 7)), 7);
        assert_eq!(names(0, 4 * SIZE + 7), [history.clone(), third.clone(), fourth.clone()]);
        assert_eq!(names(4 * SIZE, 4 * SIZE + 7), [history.clone(), fourth]);
        assert_eq!(names(0, 4 * SIZE), [history, third]);
    }
}
