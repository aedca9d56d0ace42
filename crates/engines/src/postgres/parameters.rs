//! What users may set: typed, bounded, and nothing that runs programs, names files, opens the
//! network or weakens what was promised about durability without saying so.

use mainstay_model::engine::{Parameter, ParameterKind};
use std::collections::BTreeMap;

const KB: u64 = 1 << 10;
const MB: u64 = 1 << 20;
const GB: u64 = 1 << 30;
const DAY: u64 = 86_400_000;

/// One row: name, kind, default, whether it needs a restart, what it is for.
struct Row(&'static str, ParameterKind, &'static str, bool, &'static str);

fn size(min: u64, max: u64) -> ParameterKind {
    ParameterKind::Size { min, max }
}
fn duration(min: u64, max: u64) -> ParameterKind {
    ParameterKind::Duration { min, max }
}
fn integer(min: i64, max: i64) -> ParameterKind {
    ParameterKind::Integer { min, max }
}
fn one_of(values: &[&str]) -> ParameterKind {
    ParameterKind::OneOf { values: values.iter().map(|v| v.to_string()).collect() }
}

fn rows() -> Vec<Row> {
    [memory(), log_writing(), planning(), sessions(), upkeep()].into_iter().flatten().collect()
}

fn memory() -> Vec<Row> {
    vec![
        Row("max_connections", integer(10, 10_000), "100", true, "How many clients may be connected at once"),
        Row("shared_buffers", size(MB, 1024 * GB), "32MB", true, "Memory for cached pages, shared by all sessions"),
        Row("work_mem", size(64 * KB, 64 * GB), "4MB", false, "Memory one sort or hash may use before it spills to disk"),
        Row("maintenance_work_mem", size(MB, 64 * GB), "64MB", false, "Memory for VACUUM and for building indexes"),
        Row("temp_buffers", size(800 * KB, 64 * GB), "8MB", false, "Memory for a session's temporary tables"),
    ]
}

fn log_writing() -> Vec<Row> {
    let commit = one_of(&["on", "remote_apply", "remote_write", "local", "off"]);
    vec![
        Row("wal_buffers", size(32 * KB, GB), "1MB", true, "Memory for log records not yet written"),
        Row("wal_keep_size", size(0, 1024 * GB), "0MB", false, "Log kept for replicas beyond what their slots hold"),
        Row(
            "max_slot_wal_keep_size",
            size(64 * MB, 16_383 * GB),
            "8GB",
            false,
            "Log kept for an absent replica before it must be seeded again",
        ),
        Row("min_wal_size", size(32 * MB, 64 * GB), "80MB", false, "Log files kept for reuse"),
        Row("max_wal_size", size(64 * MB, 1024 * GB), "1GB", false, "Log written between checkpoints before one is forced"),
        Row("checkpoint_timeout", duration(30_000, DAY), "5min", false, "Longest time between checkpoints"),
        Row("wal_compression", ParameterKind::Boolean, "off", false, "Compress full pages in the log"),
        Row("synchronous_commit", commit, "on", false, "What a commit waits for; off may lose the last moments in a crash"),
    ]
}

fn planning() -> Vec<Row> {
    vec![
        Row("effective_cache_size", size(MB, 16_383 * GB), "4GB", false, "What the planner assumes is cached by PostgreSQL and the system"),
        Row("effective_io_concurrency", integer(0, 1000), "1", false, "Page reads started ahead in bitmap scans"),
        Row("default_statistics_target", integer(1, 10_000), "100", false, "Detail of the statistics ANALYZE collects"),
        Row("jit", ParameterKind::Boolean, "on", false, "Compile expensive queries to machine code"),
        Row("max_parallel_workers_per_gather", integer(0, 64), "2", false, "Processes one query may use besides its own"),
    ]
}

fn sessions() -> Vec<Row> {
    vec![
        Row("statement_timeout", duration(0, 7 * DAY), "0ms", false, "Statements that run longer are cancelled; 0 means never"),
        Row("lock_timeout", duration(0, DAY), "0ms", false, "Statements that wait longer for a lock are cancelled; 0 means never"),
        Row(
            "idle_in_transaction_session_timeout",
            duration(0, DAY),
            "0ms",
            false,
            "Sessions idle in a transaction for longer are ended; 0 means never",
        ),
        Row(
            "log_min_duration_statement",
            integer(-1, 86_400_000),
            "-1",
            false,
            "Statements that take longer, in milliseconds, are logged; -1 means none",
        ),
        Row("max_locks_per_transaction", integer(64, 65_536), "64", true, "Locks a transaction may hold on average"),
    ]
}

fn upkeep() -> Vec<Row> {
    vec![
        Row("autovacuum_max_workers", integer(1, 64), "3", true, "Cleaning processes at once"),
        Row("autovacuum_naptime", duration(1000, DAY), "1min", false, "Pause between looks for tables to clean"),
        Row("autovacuum_vacuum_cost_limit", integer(1, 10_000), "200", false, "How much cleaning may do before it pauses"),
        Row("max_standby_streaming_delay", duration(0, DAY), "30s", false, "How long queries on a replica may hold up replay"),
        Row(
            "hot_standby_feedback",
            ParameterKind::Boolean,
            "off",
            false,
            "Let replicas keep the primary from removing rows they still read",
        ),
    ]
}

/// The same for every version from 15 on; a row that a later version drops is filtered here.
pub(super) fn all(_version: &str) -> Vec<Parameter> {
    rows()
        .into_iter()
        .map(|Row(name, kind, default, needs_restart, description)| Parameter {
            name: name.into(),
            kind,
            default: default.into(),
            needs_restart,
            description: description.into(),
        })
        .collect()
}

/// Every parameter with the value it is to have, as lines for the configuration file: the chosen one
/// or the listed default. With all of them written, what is listed is what the server has, and a
/// setting that is taken back before a restart leaves nothing that waits for one. A name that is not
/// in the list never reaches the file, whoever let it into the plan.
pub(super) fn lines(_version: &str, settings: &BTreeMap<String, String>) -> Vec<(&'static str, String)> {
    rows().into_iter().map(|row| (row.0, settings.get(row.0).cloned().unwrap_or_else(|| row.2.into()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_harmless() {
        let all = all("15.20");
        let names: std::collections::HashSet<_> = all.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names.len(), all.len());
        for part in ["command", "preload", "directory", "file", "fsync", "listen", "hba"] {
            assert!(!names.iter().any(|n| n.contains(part)), "{part}");
        }
    }

    #[test]
    fn what_is_not_listed_is_not_written() {
        let settings = [("work_mem", "8MB"), ("archive_command", "rm -rf /")].map(|(k, v)| (k.to_string(), v.to_string())).into();
        let written = lines("15", &settings);
        assert_eq!(written.len(), rows().len());
        assert!(written.contains(&("work_mem", "8MB".into())) && written.contains(&("jit", "on".into())));
        assert!(!written.iter().any(|(name, _)| *name == "archive_command"));
    }
}
