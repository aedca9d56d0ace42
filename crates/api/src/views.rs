//! Nouns as callers see them.

use mainstay_api_types as dto;
use mainstay_control::{
    clusters::{ClusterView, NodeView},
    groups::{GroupBackupView, GroupView},
    log,
    plan::{log::Span, suspicious},
    restores::Planned,
    retention::Explained,
};
use mainstay_drivers::storage::Place;
use mainstay_drivers::storage::{FoundBackup, FoundRepository};
use mainstay_model::{
    AuditEntry, BackupId, StorageId,
    backup::{Backup, BackupKind},
    cluster::SocketAddress,
    group::Part,
    project::Project,
    restore::Restore,
};
use mainstay_operations::{Status, View};
use mainstay_store::{storages::StorageRow, tokens::TokenRow};
use std::collections::BTreeMap;

pub fn cluster(v: ClusterView, host: &str) -> dto::Cluster {
    let has_replica = v.nodes.len() > 1;
    let endpoint = |a: &SocketAddress| dto::Endpoint { host: a.host.clone(), port: a.port, url: format!("{}://{a}", v.url_scheme) };
    let warnings = warnings(&v);
    let r = v.recoverability;
    let point_in_time = (v.log.keeping.is_some() || !v.log.spans.is_empty()).then(|| point_in_time(v.log));
    dto::Cluster {
        id: v.cluster.id.to_string(),
        name: v.cluster.name.to_string(),
        project: v.project,
        engine: v.cluster.engine.clone(),
        version: v.cluster.version.clone(),
        mode: v.cluster.mode,
        status: v.status,
        status_reason: v.status_reason,
        protected: v.cluster.protected,
        auto_failover: v.cluster.auto_failover,
        endpoints: dto::Endpoints {
            read_write: endpoint(&v.cluster.read_write),
            read_only: v.cluster.read_only.as_ref().filter(|_| has_replica).map(endpoint),
        },
        nodes: v.nodes.into_iter().map(|n| node(n, host)).collect(),
        allow_list: v.cluster.allow_list,
        created_at: v.cluster.created_at,
        deleted_at: v.cluster.deleted_at,
        deleted_until: v.cluster.bin.and_then(|b| b.until),
        recoverability: dto::Recoverability {
            to: r.to,
            copies_verified: r.copies_verified,
            copies: r.copies,
            last_drill_at: r.last_drill_at,
            last_drill_seconds: r.last_drill_seconds,
            sentence: r.sentence,
            three_two_one: r.three_two_one,
        },
        point_in_time,
        warnings,
        alerts: v.alerts.into_iter().map(alert).collect(),
    }
}

fn gap(s: Span) -> dto::Gap {
    dto::Gap { from: s.from, to: s.to }
}

pub fn point_in_time(v: log::View) -> dto::PointInTime {
    let (window, gaps) = (v.window(), v.gaps());
    let place = |p: log::PlaceView| dto::LogStorage { storage: p.storage_name, to: p.to, trouble: p.trouble };
    dto::PointInTime {
        on: v.keeping.is_some(),
        keep_days: v.keeping.map(|k| k.keep_days),
        from: window.map(|w| w.from),
        to: window.map(|w| w.to),
        gaps: gaps.into_iter().map(gap).collect(),
        storages: v.places.into_iter().map(place).collect(),
        trouble: v.trouble,
        breaks: v.breaks.into_iter().map(|b| dto::LogBreak { at: b.at, sentence: b.sentence }).collect(),
    }
}

pub fn alert(a: mainstay_model::alert::Alert) -> dto::Alert {
    let c = a.condition;
    dto::Alert {
        id: a.id.to_string(),
        kind: c.kind,
        state: if a.cleared_at.is_some() { "cleared".into() } else { "open".into() },
        object_kind: c.object_kind,
        object: c.object,
        object_name: c.object_name,
        cluster: c.cluster_name,
        sentence: c.sentence,
        raised_at: a.raised_at,
        acknowledged_at: a.acknowledged_at,
        acknowledged_by: a.acknowledged_by,
        cleared_at: a.cleared_at,
    }
}

fn warnings(v: &ClusterView) -> Vec<String> {
    let mut out = v.retention_warnings.clone();
    if v.cluster.deleted_at.is_some() {
        return out;
    }
    if v.nodes.len() > 1 {
        out.push("all nodes are on one host: losing it loses them together".into());
    }
    if v.nodes.len() > 1 && v.cluster.auto_failover {
        out.push("automatic failover is wanted, but this version does not fail over by itself: promote a replica by hand".into());
    }
    if v.cluster.allow_list.is_empty() {
        out.push("the endpoint is open to every address that can reach it; `cluster allow` restricts it".into());
    }
    out
}

pub fn node(v: NodeView, host: &str) -> dto::Node {
    dto::Node {
        id: v.node.id.to_string(),
        name: v.node.name,
        role: v.role,
        status: v.status,
        status_reason: v.status_reason,
        host: host.into(),
        address: v.node.address.host,
        port: v.node.address.port,
        lag_bytes: v.observed.lag_bytes,
        lag_seconds: v.observed.lag_seconds,
        position: v.observed.position.map(|p| p.text),
        connections: v.observed.connections,
        created_at: v.node.created_at,
        observed_at: v.observed.at,
    }
}

pub fn backup(b: Backup, why: Explained) -> dto::Backup {
    dto::Backup {
        id: b.id.to_string(),
        cluster: b.cluster_name.to_string(),
        kind: b.kind,
        method: method(b.kind, &b.copies),
        status: b.status,
        proof: b.proof,
        keep_reason: why.keep_reason,
        deleting_until: why.deleting_until,
        description: b.description,
        created_at: b.created_at,
        finished_at: b.finished_at,
        expires_at: why.expires_at,
        engine: b.engine,
        engine_version: b.engine_version,
        position: b.facts.and_then(|f| f.stop).map(|p| p.text),
        data_bytes: b.data_bytes,
        checks: b.checks,
        drill: b.drill,
        pinned: b.pinned,
        group_backup: b.part_of.map(|g| g.to_string()),
        error: b.error,
        copies: b.copies.into_iter().map(|c| copy(c, &why.copies)).collect(),
    }
}

fn copy(c: mainstay_model::backup::Copy, why: &BTreeMap<StorageId, String>) -> dto::BackupCopy {
    dto::BackupCopy {
        expires_at: c.expires_at,
        deleting_until: c.deleting_until,
        keep_reason: why.get(&c.storage).cloned(),
        storage: c.storage_name,
        status: c.status,
        added_bytes: c.added_bytes,
        verified_at: c.verified_at,
        error: c.error,
        snapshot: c.snapshot,
        locked_until: c.lock.as_ref().and_then(|l| l.until),
        lock_error: c.lock.and_then(|l| l.error),
    }
}

/// The labels users of other services know: by whom, and into what kind of place, each kind once. What
/// no person asked for was automated, whatever it was for.
fn method(kind: BackupKind, copies: &[mainstay_model::backup::Copy]) -> String {
    let by = match kind {
        BackupKind::Manual => "Manual",
        BackupKind::Scheduled | BackupKind::Promotion | BackupKind::Final | BackupKind::PreRestore => "Automated",
    };
    let into = |kind: &str| match kind {
        "snapshot" => "snapshot",
        "borg" => "remote (Borg)",
        "sftp" => "remote (SFTP)",
        "s3" => "external (S3)",
        _ => "local",
    };
    let mut places: Vec<&str> = vec![];
    for place in copies.iter().map(|c| into(&c.kind)) {
        if !places.contains(&place) {
            places.push(place);
        }
    }
    format!("{by} {}", places.join(", "))
}

pub fn group(g: GroupView) -> dto::Group {
    dto::Group {
        id: g.group.id.to_string(),
        name: g.group.name.to_string(),
        members: g.members.iter().map(|m| m.name.to_string()).collect(),
        size: g.group.members.len() as u64,
        created_at: g.group.created_at,
        last_backup: g.newest.map(group_backup),
    }
}

pub fn group_backup(v: GroupBackupView) -> dto::GroupBackup {
    let restorable = v.is_restorable();
    let part = |(part, found): (Part, Option<Backup>)| dto::GroupPart {
        cluster: part.cluster_name,
        backup_id: part.backup.to_string(),
        backup: found.map(|b| {
            let why = Explained::alone(&b);
            backup(b, why)
        }),
    };
    dto::GroupBackup {
        id: v.whole.id.to_string(),
        group: v.whole.group_name.to_string(),
        status: v.whole.status,
        restorable,
        description: v.whole.description,
        schedule: v.whole.schedule.map(|s| s.to_string()),
        pinned: v.parts.iter().all(|(_, b)| b.as_ref().is_some_and(|b| b.pinned)),
        created_at: v.whole.created_at,
        finished_at: v.whole.finished_at,
        parts: v.parts.into_iter().map(part).collect(),
        error: v.whole.error,
    }
}

pub fn restore(r: Restore) -> dto::Restore {
    dto::Restore {
        id: r.id.to_string(),
        backup: r.backup.to_string(),
        target_cluster: r.target_name,
        status: r.status,
        started_at: r.started_at,
        finished_at: r.finished_at,
        previous_data_until: r.previous_until,
        safety_backup: r.safety_backup.map(|b| b.to_string()),
        until: r.until,
        error: r.error,
    }
}

pub fn plan(p: Planned) -> dto::RestorePlan {
    let action = serde_json::to_value(p.plan.action).ok().and_then(|v| v.as_str().map(String::from)).unwrap_or_default();
    dto::RestorePlan {
        hash: p.hash,
        backup: p.plan.backup.to_string(),
        storage: p.plan.storage_name,
        target: p.plan.target,
        action,
        engine: p.plan.engine,
        engine_version: p.plan.engine_version,
        loses: p.plan.loses,
        steps: p.plan.steps,
        recovery_point: p.plan.recovery_point,
        position: p.plan.position.map(|p| p.text),
        until: p.plan.until,
        earliest: p.plan.window.map(|w| w.from),
        latest: p.plan.window.map(|w| w.to),
        gaps: p.plan.gaps.into_iter().map(gap).collect(),
        space_needed_bytes: p.plan.space_needed_bytes,
        warnings: p.plan.warnings,
    }
}

pub fn operation(v: View) -> dto::Operation {
    dto::Operation {
        id: v.id.to_string(),
        kind: v.kind,
        cluster: v.cluster,
        status: status(v.status),
        step: v.step,
        percent: v.percent,
        sentence: v.sentence,
        requested_by: v.requested_by,
        created_at: v.created_at,
        finished_at: v.finished_at,
        error: v.error.map(|e| dto::OperationError { code: e.code, message: e.message, kind: e.kind }),
        steps: v.steps.into_iter().map(step).collect(),
        parent: v.parent.map(|p| p.to_string()),
        output: v.output,
        point_of_no_return_passed: v.point_of_no_return_passed,
        object: None,
    }
}

fn step(s: mainstay_operations::StepView) -> dto::Step {
    let status = serde_json::to_value(s.status).ok().and_then(|v| v.as_str().map(String::from)).unwrap_or_default();
    dto::Step {
        name: s.name,
        title: s.title,
        status,
        started_at: s.started_at,
        finished_at: s.finished_at,
        error: s.error.map(|e| e.message),
    }
}

fn status(s: Status) -> dto::OperationStatus {
    match s {
        Status::Queued => dto::OperationStatus::Queued,
        Status::Running => dto::OperationStatus::Running,
        Status::Unwinding => dto::OperationStatus::Unwinding,
        Status::Succeeded => dto::OperationStatus::Succeeded,
        Status::Failed => dto::OperationStatus::Failed,
        Status::Stuck => dto::OperationStatus::Stuck,
        Status::Cancelled => dto::OperationStatus::Cancelled,
    }
}

pub fn storage(row: &StorageRow) -> dto::Storage {
    // A place that a newer Mainstay wrote down is somewhere, but nobody here knows where.
    let location = mainstay_control::storages::place_of(row).map_or_else(|_| "unknown".into(), |p| location(&p));
    dto::Storage {
        id: row.id.to_string(),
        name: row.name.to_string(),
        kind: row.kind.clone(),
        region: row.region.clone(),
        location,
        created_at: row.created_at,
        edition: row.edition,
        rekeyed: row.followed_by.is_some(),
        bandwidth: row.limits.bandwidth,
        parallel: row.limits.parallel,
        last_check: row.last_check.clone(),
    }
}

/// Where a person finds it, as restic or borg take it. None of it is secret.
fn location(place: &Place) -> String {
    match place {
        Place::Local { path } | Place::Snapshot { path } => path.display().to_string(),
        Place::S3(p) if p.prefix.is_empty() => format!("s3:{}/{}", p.endpoint, p.bucket),
        Place::S3(p) => format!("s3:{}/{}/{}", p.endpoint, p.bucket, p.prefix),
        Place::Sftp(p) => format!("sftp://{}@{}:{}/{}", p.user, p.host, p.port, p.path),
        Place::Borg(p) => p.repository.clone(),
    }
}

pub fn token(row: TokenRow) -> dto::Token {
    dto::Token {
        id: row.id.to_string(),
        name: row.name,
        role: row.role,
        project: row.project.map(|p| p.to_string()),
        administrator: row.is_administrator,
        created_at: row.created_at,
        expires_at: row.expires_at,
        last_used_at: row.last_used_at,
        revoked_at: row.revoked_at,
    }
}

pub fn project(p: Project, recovery_key_exported: bool) -> dto::Project {
    dto::Project { id: p.id.to_string(), name: p.name.to_string(), created_at: p.created_at, recovery_key_exported }
}

pub fn audit(e: AuditEntry) -> dto::AuditEntry {
    dto::AuditEntry {
        id: e.id.to_string(),
        at: e.at,
        actor: e.actor,
        action: e.action,
        project: e.project.map(|p| p.to_string()),
        object_kind: e.object_kind,
        object_id: e.object_id,
        object_name: e.object_name,
        result: e.result.as_str().into(),
        from: e.from,
        detail: in_words(&e.detail),
    }
}

/// `operation op_…; asked {"replicas":1}`: the parts of an entry's detail, one after the other.
fn in_words(detail: &serde_json::Value) -> String {
    let Some(parts) = detail.as_object() else { return String::new() };
    let part = |(name, value): (&String, &serde_json::Value)| match (name.as_str(), value.as_str()) {
        ("code", _) => None,
        ("message", Some(text)) => Some(text.to_string()),
        (_, Some(text)) => Some(format!("{name} {text}")),
        (_, None) => Some(format!("{name} {value}")),
    };
    // What was refused comes first: it says most.
    let (messages, others): (Vec<_>, Vec<_>) = parts.iter().partition(|(name, _)| *name == "message");
    messages.into_iter().chain(others).filter_map(part).collect::<Vec<_>>().join("; ")
}

pub fn found(r: FoundRepository) -> dto::Found {
    let newest = r.backups.iter().rev().find(|b| b.error.is_none());
    let mut doubts = suspicious::doubts(&r.backups);
    let word = serde_json::to_value(r.holds).ok().and_then(|v| v.as_str().map(String::from));
    dto::Found {
        holds: word.unwrap_or_default(),
        cluster: Some(r.name).filter(|n| !n.is_empty()),
        cluster_id: r.cluster.to_string(),
        project_id: r.project.to_string(),
        edition: r.edition,
        engine: newest.map(|b| b.facts.engine.clone()),
        engine_version: newest.map(|b| b.facts.engine_version.clone()),
        opens: r.opens,
        error: r.error,
        backups: r.backups.into_iter().rev().map(|b| found_backup(b, &mut doubts)).collect(),
        storage: None,
    }
}

fn found_backup(b: FoundBackup, doubts: &mut BTreeMap<BackupId, String>) -> dto::FoundBackup {
    dto::FoundBackup {
        doubt: doubts.remove(&b.backup),
        id: b.backup.to_string(),
        kind: b.kind,
        description: b.description,
        created_at: b.created_at,
        engine_version: b.facts.engine_version,
        data_bytes: b.data_bytes,
        snapshot: b.snapshot,
        error: b.error,
    }
}
