//! The world as text that can be compared: rows and outside, without what differs from run to run.
//! Ids become numbers in the order of their making; times, ports' blocks, passwords and the rows of
//! clients are left out.

use super::{World, clients::is_clients};
use mainstay_model::{
    BackupId, Result,
    backup::{Backup, BackupStatus},
    restore::RestoreStatus,
};
use mainstay_store::{self as store, Paging, backups::BackupFilter, restores::RestoreFilter};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

/// Everything the store has.
pub(super) struct Rows {
    pub clusters: Vec<mainstay_model::cluster::Cluster>,
    pub nodes: Vec<mainstay_model::node::Node>,
    pub backups: Vec<Backup>,
    pub restores: Vec<mainstay_model::restore::Restore>,
    pub addresses: Vec<(String, i64)>,
    pub log_parts: Vec<BackupId>,
}

impl World {
    pub(super) async fn all_rows(&self) -> Result<Rows> {
        let store = self.store();
        let mut conn = store.read().await?;
        let paging = Paging::new(Some(500), None)?;
        let (mut clusters, mut nodes) = (vec![], vec![]);
        for project in store::projects::list(&mut conn).await? {
            clusters.extend(store::clusters::list(&mut conn, &project.id, true, &paging).await?.items);
        }
        for cluster in &clusters {
            nodes.extend(store::nodes::of_cluster(&mut conn, &cluster.id).await?);
        }
        let mut backups = store::backups::list(&mut conn, &BackupFilter::default(), &paging).await?.items;
        backups.reverse();
        let mut restores = store::restores::list(&mut conn, &RestoreFilter::default(), &paging).await?.items;
        restores.reverse();
        let addresses = store::addresses::all(&mut conn).await?;
        let mut log_parts = vec![];
        for cluster in &clusters {
            log_parts.extend(store::log::parts(&mut conn, &cluster.id).await?.into_iter().map(|p| p.id));
            let places = store::log::archive(&mut conn, &cluster.id).await?.into_iter().flat_map(|a| a.places.into_values());
            log_parts.extend(places.flat_map(|p| p.garbage).map(|g| g.part));
        }
        Ok(Rows { clusters, nodes, backups, restores, addresses, log_parts })
    }

    /// Every backup there is a row of, oldest first.
    pub async fn backups(&self) -> Result<Vec<Backup>> {
        Ok(self.all_rows().await?.backups)
    }

    /// `without` are backups that are left out, rows and snapshots. Rows of what failed are left out
    /// too: that it was tried stays known, and [`World::faults`] looks at them.
    pub async fn snapshot(&self, without: &BTreeSet<BackupId>) -> Result<String> {
        let rows = self.all_rows().await?;
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = write_rows(&mut text, &rows, without);
        let _ = self.write_outside(&mut text, without);
        let block = rows.nodes.iter().find_map(|n| n.address.host.rsplit_once('.')).map(|(block, _)| format!("{block}."));
        if let Some(block) = block {
            text = text.replace(&block, "block.");
        }
        Ok(anonymous(&text))
    }

    fn write_outside(&self, text: &mut String, without: &BTreeSet<BackupId>) -> std::fmt::Result {
        let outside = self.outside.snapshot();
        for (id, state) in &outside.processes {
            writeln!(text, "process {id} {state}")?;
        }
        for (path, says) in &outside.databases {
            writeln!(text, "database {path} {}", without_clients(says))?;
        }
        let sockets = outside.directories.iter().filter(|d| d.starts_with("s/")).count();
        for path in outside.directories.iter().filter(|d| !d.starts_with("s/")) {
            writeln!(text, "path {path}")?;
        }
        writeln!(text, "{sockets} socket directories")?;
        for (address, backups) in &outside.repositories {
            let mut shown: Vec<_> = backups.iter().filter(|b| BackupId::parse(b).is_none_or(|b| !without.contains(&b))).collect();
            shown.sort();
            // One that was made for backups that are left out is left out with them.
            if shown.is_empty() && !backups.is_empty() {
                continue;
            }
            writeln!(text, "repository {address} {shown:?}")?;
        }
        for (cluster, route) in &outside.routes {
            writeln!(text, "route {cluster} {route}")?;
        }
        Ok(())
    }
}

fn write_rows(text: &mut String, rows: &Rows, without: &BTreeSet<BackupId>) -> std::fmt::Result {
    for c in &rows.clusters {
        write!(text, "cluster {} {} {} {:?} {:?} {:?} ({:?})", c.id, c.name, c.engine, c.mode, c.wanted, c.phase, c.phase_reason)?;
        write!(text, " primary {:?} at {} and {:?}", c.primary, c.read_write, c.read_only)?;
        writeln!(text, " settings {:?} list {:?} deleted {} log {}", c.settings, c.allow_list, c.deleted_at.is_some(), c.log.is_some())?;
    }
    for n in &rows.nodes {
        writeln!(text, "node {} {} of {} at {} {:?}", n.id, n.name, n.cluster, n.address, n.phase)?;
    }
    for b in rows.backups.iter().filter(|b| b.status != BackupStatus::Failed && !without.contains(&b.id)) {
        let checks: BTreeSet<_> = b.checks.iter().map(|c| (&c.name, c.ok)).collect();
        write!(text, "backup {} of {} {:?} {:?} {:?} {checks:?} error {:?}", b.id, b.cluster, b.kind, b.status, b.proof, b.error)?;
        write!(text, " finished {} drill {:?} pinned {}", b.finished_at.is_some(), b.drill.as_ref().map(|d| d.ok), b.pinned)?;
        let copies = b.copies.iter().map(|c| (&c.storage_name, c.status, c.snapshot.is_some(), c.verified_at.is_some(), &c.error));
        writeln!(text, " copies {:?}", copies.collect::<Vec<_>>())?;
    }
    for r in rows.restores.iter().filter(|r| r.status != RestoreStatus::Failed) {
        write!(text, "restore {} of {} to {} {:?} error {:?}", r.id, r.backup, r.target, r.status, r.error)?;
        let safety = r.safety_backup.is_some();
        writeln!(text, " aside {:?} on {:?} until {} safety {safety}", r.previous_label, r.previous_node, r.previous_until.is_some())?;
    }
    for (owner, number) in &rows.addresses {
        writeln!(text, "address {number} of {owner}")?;
    }
    Ok(())
}

/// What a database says of itself, with a test's own rows only.
fn without_clients(says: &str) -> String {
    let Some((before, rows)) = says.rsplit_once("rows ") else { return says.into() };
    let all: Vec<String> = serde_json::from_str(rows).unwrap_or_default();
    let own: Vec<_> = all.into_iter().filter(|r| !is_clients(r)).collect();
    format!("{before}rows {own:?}")
}

/// Every id as its prefix and its place among those of the same kind.
fn anonymous(text: &str) -> String {
    let mut known: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (at, _) in ids(text) {
        known.entry(&text[at..at + 2]).or_default().insert(&text[at..at + ID]);
    }
    let (mut out, mut from) = (String::new(), 0);
    for (at, id) in ids(text) {
        let place = known[&id[..2]].iter().position(|k| *k == id).unwrap_or_default();
        out.push_str(&text[from..at]);
        out.push_str(&format!("{}{}", &id[..2], place + 1));
        from = at + ID;
    }
    out.push_str(&text[from..]);
    out
}

/// Two letters, an underscore, 26 characters.
const ID: usize = 29;

fn ids(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let bytes = text.as_bytes();
    let is_id = |w: &[u8]| {
        w[..2].iter().all(u8::is_ascii_lowercase) && w[2] == b'_' && w[3..].iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let places = bytes.windows(ID).enumerate().filter(move |(_, w)| is_id(w));
    places.map(|(at, _)| (at, &text[at..at + ID]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_model::NodeId;

    #[test]
    fn ids_are_told_apart_by_their_age() {
        let (a, b) = (NodeId::new(), NodeId::new());
        let text = format!("<{b}> and {a}.previous-{b}");
        assert_eq!(anonymous(&text), "<nd2> and nd1.previous-nd2");
    }

    #[test]
    fn clients_rows_are_left_out() {
        assert_eq!(without_clients(r#"primary, rows ["a", "w12", "w", "b"]"#), r#"primary, rows ["a", "w", "b"]"#);
    }
}
