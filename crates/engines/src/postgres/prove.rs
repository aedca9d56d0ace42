//! What PostgreSQL's own tools say of restored data beyond what every restore is checked for: the order
//! and the structure of all tables and indexes, and that every row is found through its indexes.

use super::{
    config::{ADMIN, port},
    connect::{admin, sql},
    tools::{LONG, Tool, arg, last_words, lsn, parse_lsn},
};
use mainstay_drivers::{Result, engine::Node};
use mainstay_model::{
    backup::{Check, Facts},
    node::Position,
};

const NAME: &str = "amcheck";

/// Whether the data came to the point of the backup: what ended before it is an older one. A recovery remembers
/// where its last record ended. One that went on is whole all the same, and only told: the log of a backup is cut
/// where the backup ended, but a server may put the end of its last record behind the head of a page.
pub(super) async fn point(node: &Node, facts: &Facts) -> Result<Option<Check>> {
    const CAME_TO: &str = "SELECT pg_last_wal_replay_lsn()::text";
    let Some(stop) = &facts.stop else { return Ok(None) };
    let session = admin(node).await?;
    let came_to: Option<String> = session.query_one_scalar(CAME_TO, &[]).await.map_err(sql("asking how far it was recovered"))?;
    Ok(Some(judged(came_to.as_deref().and_then(parse_lsn), stop)))
}

fn judged(came_to: Option<u64>, stop: &Position) -> Check {
    const NAME: &str = "point";
    let Some(came_to) = came_to else { return Check::absent(NAME, "the server does not say how far it was recovered") };
    let told = format!("recovered to {}; the backup ended at {}", lsn(came_to), stop.text);
    Check::new(NAME, came_to >= stop.bytes, told)
}

/// It puts the extension where it is missing: into what is thrown away.
pub(super) async fn amcheck(node: &Node) -> Result<Check> {
    const AVAILABLE: &str = "SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'";
    let session = admin(node).await?;
    let available: i64 = session.query_one_scalar(AVAILABLE, &[]).await.map_err(sql("looking for amcheck"))?;
    if available == 0 || !node.installed.bin_dir.join("pg_amcheck").is_file() {
        return Ok(Check::absent(NAME, "pg_amcheck is not installed: it comes with PostgreSQL's contrib modules"));
    }
    let host = format!("--host={}", arg(&node.paths.sockets));
    let (port, user) = (format!("--port={}", port(node)), format!("--username={ADMIN}"));
    let mut args: Vec<String> = ["--all", "--heapallindexed", "--install-missing", "--no-password", "--jobs=1"].map(Into::into).into();
    args.extend([host, port, user]);
    let out = Tool { name: "pg_amcheck", args, env: vec![], stdin: vec![], timeout: LONG }.run(node).await?;
    Ok(match out.status {
        0 => Check::new(NAME, true, "pg_amcheck found every table and index of every database whole"),
        2 => Check::new(NAME, false, found(&out.stdout)),
        _ => Check::absent(NAME, format!("pg_amcheck could not look: {}", last_words(&out))),
    })
}

/// The first of what it found.
fn found(stdout: &[u8]) -> String {
    let text = String::from_utf8_lossy(stdout);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    format!("pg_amcheck found damage: {}", lines.iter().take(4).copied().collect::<Vec<_>>().join("; "))
}

/// Words with which the server speaks of damaged data or of its own end; a user's statement that is
/// quoted in the log is not among its words.
pub(super) fn is_alarm(line: &str) -> bool {
    const DAMAGE: [&str; 8] = [
        "invalid page in block",
        "page verification failed",
        "could not read block",
        "unexpected data beyond EOF",
        "is corrupted",
        "corrupted page pointers",
        "missing chunk number",
        "was terminated by signal",
    ];
    let Some((severity, said)) = ["PANIC:", "FATAL:", "ERROR:", "WARNING:", "LOG:"].iter().find_map(|s| Some((*s, line.split_once(s)?.1)))
    else {
        return false;
    };
    severity == "PANIC:" || DAMAGE.iter().any(|words| said.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_point_will_not_do() {
        let stop = Position { history: "1/1".into(), text: "0/3000100".into(), bytes: 0x300_0100 };
        for (came_to, ok) in [(0x300_0100, true), (0x300_00f8, false), (0x300_0108, true), (0, false)] {
            let check = judged(Some(came_to), &stop);
            assert!(check.ok == ok && check.detail.ends_with("the backup ended at 0/3000100"), "{check:?}");
        }
        assert!(!judged(None, &stop).failed());
    }

    #[test]
    fn damage_is_told_from_everyday_words() {
        let line = |rest: &str| format!("2026-11-30 10:00:00.000 UTC [12] {rest}");
        for bad in [
            "PANIC:  could not locate a valid checkpoint record",
            "WARNING:  page verification failed, calculated checksum 1 but expected 2",
            "ERROR:  invalid page in block 3 of relation base/1/2",
            "LOG:  server process (PID 9) was terminated by signal 11: Segmentation fault",
        ] {
            assert!(is_alarm(&line(bad)), "{bad}");
        }
        for fine in [
            "LOG:  invalid record length at 0/2000100: wanted 24, got 0",
            "LOG:  database system is ready to accept connections",
            "STATEMENT:  SELECT 'PANIC', 'is corrupted'",
            "ERROR:  relation \"panic\" does not exist at character 15",
        ] {
            assert!(!is_alarm(&line(fine)), "{fine}");
        }
    }
}
