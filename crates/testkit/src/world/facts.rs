//! What must be true of the world whenever no operation is under way, whatever happened before.

use super::{Ack, World, snapshot::Rows};
use crate::fake_runtime::Process;
use mainstay_control::{
    routes::{self, Lead},
    topology::Topology,
};
use mainstay_drivers::runtime::InstanceId;
use mainstay_model::{
    NodeId, Result,
    backup::{Backup, BackupStatus, Copy},
    cluster::{Cluster, Wanted},
    node::Node,
    restore::RestoreStatus,
    route::ClusterRoute,
};
use mainstay_store as store;
use std::collections::{BTreeMap, BTreeSet};

/// One world under scrutiny.
struct Scrutiny<'a> {
    world: &'a World,
    rows: Rows,
    processes: BTreeMap<InstanceId, Process>,
    found: Vec<String>,
}

impl World {
    /// Everything that is not as it must be, one sentence each. `excused` are acknowledged writes
    /// that were given up on purpose, by a restore say.
    pub async fn faults(&self, excused: impl Fn(&Ack) -> bool) -> Result<Vec<String>> {
        let rows = self.all_rows().await?;
        for cluster in &rows.clusters {
            // A look is what makes replicas catch up.
            if let Some(primary) = &cluster.primary {
                let _ = self.outside.engine(&cluster.engine).read(primary);
            }
        }
        let mut all = Scrutiny { world: self, rows, processes: self.outside.runtime.processes(), found: self.clients.seen() };
        for cluster in all.rows.clusters.clone() {
            all.cluster(&cluster, &excused).await?;
        }
        for backup in all.rows.backups.clone() {
            all.backup(&backup);
        }
        all.restores();
        all.remnants();
        Ok(all.found)
    }
}

impl Scrutiny<'_> {
    fn must(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.found.push(otherwise());
        }
    }

    async fn cluster(&mut self, cluster: &Cluster, excused: impl Fn(&Ack) -> bool) -> Result<()> {
        let nodes: Vec<Node> = self.rows.nodes.iter().filter(|n| n.cluster == cluster.id).cloned().collect();
        let route = self.world.outside.endpoint.routes().remove(&cluster.id);
        if cluster.wanted == Wanted::Deleted {
            let gone = nodes.is_empty() && route.is_none() && cluster.deleted_at.is_some() && cluster.primary.is_none();
            self.must(gone, || format!("{} is deleted but not gone", cluster.name));
            return Ok(());
        }
        self.must(cluster.phase.is_none(), || format!("{} is left {:?}", cluster.name, cluster.phase));
        for node in &nodes {
            self.must(node.phase.is_none() || node.is_fenced(), || format!("{} is left {:?}", node.name, node.phase));
        }
        let opened = self.world.store();
        let accounts = store::accounts::get(&mut *opened.read().await?, opened.sealer(), &cluster.id).await?;
        let topology = Topology { cluster: cluster.clone(), nodes, accounts };
        match cluster.wanted {
            Wanted::Running => self.serves(&topology)?,
            _ => {
                let idle = topology.nodes.iter().all(|n| !self.runs(&n.id));
                self.must(idle, || format!("{} is stopped and something of it runs", cluster.name));
            }
        }
        self.routed(&topology, route);
        let rows = self.world.rows(&topology.primary()?.id);
        let lost: Vec<Ack> = self.world.clients.acks(&cluster.id).into_iter().filter(|a| !excused(a) && !rows.contains(&a.row)).collect();
        self.must(lost.is_empty(), || format!("{} lost acknowledged writes: {lost:?} of {rows:?}", cluster.name));
        let distinct: BTreeSet<_> = rows.iter().collect();
        self.must(distinct.len() == rows.len(), || format!("{} has rows twice: {rows:?}", cluster.name));
        Ok(())
    }

    fn runs(&self, node: &NodeId) -> bool {
        self.processes.get(&InstanceId(node.to_string())).is_some_and(Process::runs)
    }

    /// All nodes run, one takes writes, the others have what it has, and today's password opens it.
    fn serves(&mut self, topology: &Topology) -> Result<()> {
        let (cluster, primary) = (&topology.cluster, topology.primary()?.clone());
        for node in &topology.nodes {
            let wanted = !node.is_fenced();
            self.must(self.runs(&node.id) == wanted, || format!("{} runs: {}, fenced: {}", node.name, !wanted, !wanted));
        }
        let writable = self.world.clients.writable(&self.processes).remove(&cluster.id).unwrap_or_default();
        self.must(writable == [primary.id.clone()], || format!("{}: {writable:?} take writes, {} should", cluster.name, primary.id));
        let rows = self.world.rows(&primary.id);
        for replica in topology.replicas() {
            let theirs = self.world.rows(&replica.id);
            self.must(theirs == rows, || format!("{} has {theirs:?}, its primary {rows:?}", replica.name));
        }
        let user = &topology.accounts.user;
        let opens = self.world.outside.engine(&cluster.engine).log_in(&primary.id, &user.user, user.password.reveal()).unwrap_or(false);
        self.must(opens, || format!("the password of {} does not open it", cluster.name));
        Ok(())
    }

    fn routed(&mut self, topology: &Topology, route: Option<ClusterRoute>) {
        let lead = if topology.cluster.wanted == Wanted::Running { Lead::Roles { without: vec![] } } else { Lead::Closed };
        let Some(route) = route else { return self.found.push(format!("{} has no route", topology.cluster.name)) };
        let wanted = routes::route(topology, &lead, route.generation, route.hold_ms);
        self.must(route == wanted, || format!("{} is led by {route:?}, not by {wanted:?}", topology.cluster.name));
    }

    fn backup(&mut self, backup: &Backup) {
        let name = format!("backup {} ({:?})", backup.id, backup.status);
        let published = self.world.outside.storages.published().values().flatten().filter(|b| *b == backup.id.as_str()).count();
        match backup.status {
            BackupStatus::Completed => {
                // A copy that was let go is there until its removal can no longer be undone.
                let there = backup.copies.iter().filter(|c| c.is_good() || c.deleting_until.is_some()).count();
                self.must(backup.is_restorable() && published == there, || format!("{name} is not restorable: {backup:?}"));
                let left = |c: &Copy| c.status == BackupStatus::Deleting && c.deleting_until.is_none();
                self.must(!backup.copies.iter().any(left), || format!("a copy of {name} is left being removed: {backup:?}"));
                self.must(backup.error.is_none() && backup.finished_at.is_some(), || format!("{name} has an error: {backup:?}"));
            }
            BackupStatus::Partial => self.must(backup.is_restorable(), || format!("{name} is not restorable")),
            BackupStatus::Failed => {
                self.must(backup.error.is_some() && backup.finished_at.is_some(), || format!("{name} says nothing: {backup:?}"));
            }
            BackupStatus::Expired => {}
            // Announced, so that it can still be undone: it has to be whole until then.
            BackupStatus::Deleting if backup.deleting.is_some() => {
                let whole = backup.copies.iter().filter(|c| c.is_good()).count();
                self.must(published == whole, || format!("{name} could not be brought back: {backup:?}"));
            }
            BackupStatus::Running | BackupStatus::Deleting => self.found.push(format!("{name} is left so")),
        }
    }

    fn restores(&mut self) {
        for restore in self.rows.restores.clone() {
            let told = match restore.status {
                RestoreStatus::Running => false,
                RestoreStatus::Failed => restore.error.is_some(),
                RestoreStatus::Completed | RestoreStatus::Undone => restore.error.is_none(),
            };
            self.must(told && restore.finished_at.is_some(), || format!("restore {} is left so: {restore:?}", restore.id));
        }
    }

    /// Nothing outside that no row stands for.
    fn remnants(&mut self) {
        let outside = self.world.outside.snapshot();
        let nodes: BTreeSet<String> = self.rows.nodes.iter().map(|n| n.id.to_string()).collect();
        for id in outside.processes.keys().filter(|id| !nodes.contains(*id)).cloned().collect::<Vec<_>>() {
            self.found.push(format!("the process {id} belongs to nobody"));
        }
        for path in outside.directories.iter().filter(|p| !self.is_at_home(p, &nodes)).cloned().collect::<Vec<_>>() {
            self.found.push(format!("{path} belongs to nobody"));
        }
        for cluster in
            outside.routes.keys().filter(|c| self.rows.clusters.iter().all(|r| r.id.as_str() != **c)).cloned().collect::<Vec<_>>()
        {
            self.found.push(format!("a route of {cluster}, which there is not"));
        }
        let known: BTreeSet<String> = self
            .rows
            .backups
            .iter()
            .filter(|b| b.is_restorable() || b.deleting.is_some())
            .map(|b| b.id.to_string())
            .chain(self.rows.log_parts.iter().map(ToString::to_string))
            .collect();
        for backup in outside.repositories.values().flatten().filter(|b| !known.contains(*b)).cloned().collect::<Vec<_>>() {
            self.found.push(format!("a snapshot of {backup}, which is no good backup"));
        }
        self.addresses(&nodes);
    }

    fn addresses(&mut self, nodes: &BTreeSet<String>) {
        let mut wanted = nodes.clone();
        for cluster in self.rows.clusters.iter().filter(|c| c.wanted != Wanted::Deleted) {
            wanted.insert(format!("{}/rw", cluster.id));
            wanted.extend(cluster.read_only.as_ref().map(|_| format!("{}/ro", cluster.id)));
        }
        let taken: BTreeSet<String> = self.rows.addresses.iter().map(|(owner, _)| owner.clone()).collect();
        self.must(taken == wanted, || format!("addresses are taken by {taken:?}, wanted by {wanted:?}"));
    }

    /// Whether a path below the data directory is one there must be.
    fn is_at_home(&self, path: &str, nodes: &BTreeSet<String>) -> bool {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match parts.as_slice() {
            _ if path.starts_with("s/") => true,
            ["agent" | "nodes" | "tmp" | "logs"] | ["agent", "nodes" | "beside" | "logs" | "installation.json"] => true,
            ["agent", "logs", file] => file.strip_suffix(".json").is_some_and(|c| self.keeps_log(c)),
            ["logs", cluster, ..] => self.keeps_log(cluster),
            ["agent", "nodes", file] => file.strip_suffix(".json").is_some_and(|n| nodes.contains(n)),
            ["nodes", node] => nodes.contains(*node),
            ["nodes", node, "run" | "log", inside @ ..] => nodes.contains(*node) && !inside.iter().any(|i| i.starts_with("beside")),
            ["nodes", node, "identity.json"] | ["nodes", node, "data", ..] => nodes.contains(*node),
            ["nodes", node, aside, ..] => self.is_kept(node, aside),
            _ => false,
        }
    }

    fn keeps_log(&self, cluster: &str) -> bool {
        self.rows.clusters.iter().any(|c| c.id.as_str() == cluster && c.log.is_some())
    }

    /// Data put aside by a restore whose time is not over.
    fn is_kept(&self, node: &str, aside: &str) -> bool {
        let keeps = |r: &mainstay_model::restore::Restore| {
            r.previous_node.as_ref().is_some_and(|n| n.as_str() == node) && r.previous_label.as_deref() == Some(aside)
        };
        self.rows.restores.iter().any(keeps)
    }
}
