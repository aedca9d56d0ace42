//! What users may set: typed, bounded, and nothing that names files, loads code, opens the network
//! or takes away the log that restarts, replicas and restores rely on.

use mainstay_drivers::Result;
use mainstay_model::{
    Error,
    engine::{Parameter, ParameterKind},
    error::shown,
};
use std::collections::BTreeMap;

const TB: u64 = 1 << 40;

/// One row: name, kind, default, whether it needs a restart, what it is for.
struct Row(&'static str, ParameterKind, &'static str, bool, &'static str);

fn integer(min: i64, max: i64) -> ParameterKind {
    ParameterKind::Integer { min, max }
}
fn one_of(values: &[&str]) -> ParameterKind {
    ParameterKind::OneOf { values: values.iter().map(|v| v.to_string()).collect() }
}

const POLICIES: [&str; 8] =
    ["noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"];
/// Any subset of eleven letters would do; these are the ones documentation of clients asks for.
const EVENTS: [&str; 7] = ["none", "KEA", "Ex", "Kx", "KEx", "Egx", "Kgx"];

/// `lazy` is what values that are freed in the background are by default: the one default that
/// differs within the family.
fn rows(lazy: &'static str) -> Vec<Row> {
    [memory(lazy), connections(), watching(), encodings()].into_iter().flatten().collect()
}

fn memory(lazy: &'static str) -> Vec<Row> {
    vec![
        Row("maxmemory", ParameterKind::Size { min: 0, max: 64 * TB }, "0MB", false, "Memory for data; 0 means all there is"),
        Row("maxmemory-policy", one_of(&POLICIES), "noeviction", false, "What is removed when the memory for data is full"),
        Row("maxmemory-samples", integer(1, 64), "5", false, "Keys compared to find one to evict"),
        Row("lazyfree-lazy-eviction", ParameterKind::Boolean, lazy, false, "Free evicted values in the background"),
        Row("lazyfree-lazy-expire", ParameterKind::Boolean, lazy, false, "Free expired values in the background"),
        Row("lazyfree-lazy-user-del", ParameterKind::Boolean, lazy, false, "Let DEL free values in the background, as UNLINK does"),
        Row(
            "appendfsync",
            one_of(&["always", "everysec"]),
            "everysec",
            false,
            "When writes reach the disk: each one, or once a second, and a crash then loses up to two",
        ),
    ]
}

fn connections() -> Vec<Row> {
    vec![
        Row("maxclients", integer(100, 100_000), "10000", false, "How many clients may be connected at once"),
        Row("timeout", integer(0, 86_400), "0", false, "Seconds after which idle clients are disconnected; 0 means never"),
        Row("tcp-keepalive", integer(0, 86_400), "300", false, "Seconds between signs of life on idle connections"),
        Row("hz", integer(1, 500), "10", false, "Rounds of background work a second"),
        Row("io-threads", integer(1, 32), "1", true, "Threads that read from and write to clients"),
    ]
}

fn watching() -> Vec<Row> {
    vec![
        Row("notify-keyspace-events", one_of(&EVENTS), "none", false, "Events that are published when keys change"),
        Row(
            "slowlog-log-slower-than",
            integer(-1, 3_600_000_000),
            "10000",
            false,
            "Commands that take longer, in microseconds, are logged; -1 means none",
        ),
        Row("slowlog-max-len", integer(0, 100_000), "128", false, "Slow commands that are kept"),
        Row(
            "latency-monitor-threshold",
            integer(0, 3_600_000),
            "0",
            false,
            "Delays longer than this, in milliseconds, are recorded; 0 means none",
        ),
    ]
}

fn encodings() -> Vec<Row> {
    vec![
        Row("hash-max-listpack-entries", integer(0, 65_536), "512", false, "Fields up to which a hash is kept compact"),
        Row("zset-max-listpack-entries", integer(0, 65_536), "128", false, "Members up to which a sorted set is kept compact"),
        Row("set-max-intset-entries", integer(0, 65_536), "512", false, "Integers up to which a set is kept compact"),
        Row("list-max-listpack-size", integer(-5, 65_536), "-2", false, "Size of a list's pieces: entries, or -1 to -5 for 4 to 64 kB"),
    ]
}

pub(super) fn all(lazy: &'static str) -> Vec<Parameter> {
    rows(lazy)
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

/// One parameter as the server is to have it, chosen or by default.
pub(super) struct Wanted {
    pub name: &'static str,
    pub value: String,
    pub needs_restart: bool,
}

pub(super) fn wanted(lazy: &'static str, settings: &BTreeMap<String, String>) -> Result<Vec<Wanted>> {
    let one = |Row(name, kind, default, needs_restart, _)| {
        let chosen = settings.get(name).map_or(default, String::as_str);
        let value = as_server_reads(&kind, chosen)
            .ok_or_else(|| Error::invalid(name, format!("\"{}\" is no value for {name}; its default is {default}", shown(chosen))))?;
        Ok(Wanted { name, value, needs_restart })
    };
    rows(lazy).into_iter().map(one).collect()
}

/// The chosen values, as lines for the configuration file. What is not in the list, or is no value
/// of its kind, never reaches the file, whoever let it into the plan.
pub(super) fn chosen(settings: &BTreeMap<String, String>) -> Vec<(&'static str, String)> {
    // Defaults do not matter here.
    rows("no").into_iter().filter_map(|row| Some((row.0, as_server_reads(&row.1, settings.get(row.0)?)?))).collect()
}

fn as_server_reads(kind: &ParameterKind, value: &str) -> Option<String> {
    match kind {
        ParameterKind::Size { .. } => Some(bytes(value)?.to_string()),
        ParameterKind::Integer { .. } => Some(value.trim().parse::<i64>().ok()?.to_string()),
        ParameterKind::Boolean => match value.to_ascii_lowercase().as_str() {
            "yes" | "on" | "true" | "1" => Some("yes".into()),
            "no" | "off" | "false" | "0" => Some("no".into()),
            _ => None,
        },
        ParameterKind::OneOf { values } => {
            values.iter().any(|v| v == value).then(|| if value == "none" { String::new() } else { value.into() })
        }
        ParameterKind::Duration { .. } => None,
    }
}

/// `16MB` -> 16777216. The server's own reading of units changes with their case; ours does not.
fn bytes(value: &str) -> Option<u64> {
    let value = value.trim().to_ascii_lowercase();
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let shift = match value[digits..].trim() {
        "" | "b" => 0,
        "k" | "kb" => 10,
        "m" | "mb" => 20,
        "g" | "gb" => 30,
        "t" | "tb" => 40,
        _ => return None,
    };
    value[..digits].parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    #[test]
    fn names_are_unique_and_harmless_and_defaults_are_values() {
        let all = all("yes");
        let names: std::collections::HashSet<_> = all.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names.len(), all.len());
        for part in ["dir", "file", "module", "bind", "port", "auth", "acl", "save", "appendonly", "replica", "enable"] {
            assert!(!names.iter().any(|n| n.contains(part)), "{part}");
        }
        assert_eq!(wanted("no", &BTreeMap::new()).unwrap().len(), all.len());
    }

    #[test]
    fn what_is_not_listed_or_no_value_is_not_written() {
        let given = settings(&[("maxmemory", "16MB"), ("dir", "/etc"), ("hz", "10\nappendonly no"), ("notify-keyspace-events", "none")]);
        assert_eq!(chosen(&given), [("maxmemory", (16 * MB).to_string()), ("notify-keyspace-events", String::new())]);
        assert_eq!(wanted("no", &settings(&[("hz", "fast")])).err().and_then(|e| e.field).as_deref(), Some("hz"));
    }

    #[test]
    fn sizes_mean_the_same_in_every_case() {
        assert_eq!([bytes("1kB"), bytes("1 MB"), bytes("2gb"), bytes("7")], [Some(1024), Some(MB), Some(2 << 30), Some(7)]);
        assert_eq!([bytes("x"), bytes("-1MB"), bytes("99999999TB")], [None, None, None]);
    }
}
