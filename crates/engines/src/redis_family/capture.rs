//! A backup: one file, the snapshot as the node's own replication would send it, and what was true
//! when it was taken.
//!
//! The snapshot is of the moment the server forked, and its header says which position that was and
//! how many keys the first database held. For further databases the counts are those around the
//! backup, and exact only if nothing was written in between.

use super::{
    Flavour,
    accounts::REPLICATION,
    config::DUMP,
    connect::{Access, admin},
    info::Info,
    rdb::Header,
    stream::{Outcome, SnapshotStream},
};
use mainstay_drivers::{
    Result,
    engine::Node,
    gate::Gate,
    progress::Progress,
    storage::{Entry, EntryKind, Keep, Source},
};
use mainstay_model::{Error, Secret, backup::Facts, node::Position};
use std::{collections::BTreeMap, sync::Arc};

/// With a `gate` the snapshot, whose beginning is its point, is asked for only there.
pub(super) async fn capture(flavour: &Flavour, node: &Node, gate: Option<Arc<dyn Gate>>, progress: &Progress) -> Result<Box<dyn Source>> {
    let before = admin(node).await?.info().await?;
    if !before.is("loading", "0") {
        let sentence = format!("{} is still loading its data; back it up when it is ready", node.plan.name);
        return Err(Error::unavailable("engine_starting", sentence));
    }
    let version = before.text(flavour.version_field).unwrap_or(&node.installed.version).to_string();
    let facts = Facts {
        engine: flavour.name.into(),
        engine_version: version.clone(),
        node: node.plan.name.clone(),
        role: before.role(),
        start: before.position(),
        tools: BTreeMap::from([(format!("{}-server", flavour.name), version)]),
        ..Facts::default()
    };
    let (admin, password) = (Access::admin(node), node.plan.accounts.replication.clone());
    let (progress, outcome) = (progress.clone(), Outcome::default());
    Ok(Box::new(Snapshot { admin, password, gate, progress, facts, before, opened: false, outcome }))
}

struct Snapshot {
    admin: Access,
    password: Secret,
    gate: Option<Arc<dyn Gate>>,
    progress: Progress,
    facts: Facts,
    before: Info,
    opened: bool,
    outcome: Outcome,
}

impl Source for Snapshot {
    fn next(&mut self) -> Option<Result<Entry>> {
        if std::mem::replace(&mut self.opened, true) {
            return None;
        }
        let (socket, password) = (self.admin.socket.clone(), self.password.clone());
        let (gate, progress, outcome) = (self.gate.clone(), self.progress.clone(), self.outcome.clone());
        let open = Box::new(move || {
            let link = SnapshotStream::connect(&socket, REPLICATION, &password, progress, outcome)?;
            if let Some(gate) = &gate {
                gate.pass().map_err(std::io::Error::other)?;
            }
            let stream = link.begin()?;
            if let Some(gate) = &gate {
                gate.passed();
            }
            Ok(Box::new(stream) as Box<dyn std::io::Read + Send>)
        });
        let kind = EntryKind::File { size: None, may_vanish: false, open, keep: Keep::Nothing };
        Some(Ok(Entry { path: DUMP.into(), mode: 0o600, mtime: jiff::Timestamp::now().into(), kind }))
    }

    fn finish(&mut self) -> Result<Facts> {
        let Some(header) = self.outcome.get() else {
            let sentence = format!("the snapshot of {} was not read to its end", self.admin.name);
            return Err(Error::integrity(sentence));
        };
        let after = self.admin.info_blocking()?;
        let mut facts = self.facts.clone();
        facts.stop = moment(header).or_else(|| after.position());
        facts.history = facts.stop.as_ref().map(|p| p.history.clone()).unwrap_or_default();
        count(&mut facts, header, &self.before, &after);
        Ok(facts)
    }

    fn expected_bytes(&self) -> Option<u64> {
        None
    }
}

/// The position of the fork, where the server wrote it down.
fn moment(header: &Header) -> Option<Position> {
    let text = header.fields.get("repl-offset")?;
    Some(Position { history: header.fields.get("repl-id")?.clone(), text: text.clone(), bytes: text.parse().ok()? })
}

fn count(facts: &mut Facts, header: &Header, before: &Info, after: &Info) {
    for (db, keys) in after.keyspace() {
        facts.estimates.insert(format!("keys.db{db}"), keys.keys);
        facts.estimates.insert(format!("expires.db{db}"), keys.expires);
    }
    if is_unchanged(before, after) {
        facts.exact.extend(after.keyspace().into_iter().map(|(db, keys)| (format!("keys.db{db}"), keys.keys)));
    }
    if let Some((db, keys)) = header.first {
        facts.exact.insert(format!("keys.db{db}"), keys);
    }
}

/// Positions alone do not tell: a primary that never had a replica does not move its own.
fn is_unchanged(before: &Info, after: &Info) -> bool {
    let same = |key| before.text(key).is_some() && before.text(key) == after.text(key);
    before.keyspace() == after.keyspace()
        && ["master_replid", "master_repl_offset", "rdb_changes_since_last_save", "rdb_last_save_time"].into_iter().all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(offset: u64, changes: u64, keys: u64) -> Info {
        Info::parse(&format!(
            "role:master\r\nmaster_replid:a\r\nmaster_repl_offset:{offset}\r\nrdb_changes_since_last_save:{changes}\r\n\
             rdb_last_save_time:5\r\ndb0:keys={keys},expires=1,avg_ttl=0\r\ndb3:keys=4,expires=0,avg_ttl=0\r\n"
        ))
    }

    #[test]
    fn counts_are_exact_where_they_are_of_the_moment() {
        let header = Header { first: Some((0, 9)), ..Header::default() };
        let mut quiet = Facts::default();
        count(&mut quiet, &header, &info(7, 1, 9), &info(7, 1, 9));
        assert_eq!(quiet.exact, BTreeMap::from([("keys.db0".into(), 9), ("keys.db3".into(), 4)]));
        for after in [info(8, 1, 9), info(7, 2, 9), info(7, 1, 10)] {
            let mut busy = Facts::default();
            count(&mut busy, &header, &info(7, 1, 9), &after);
            assert_eq!(busy.exact, BTreeMap::from([("keys.db0".into(), 9)]));
            assert_eq!((busy.estimates["keys.db3"], busy.estimates["expires.db0"]), (4, 1));
        }
    }
}
