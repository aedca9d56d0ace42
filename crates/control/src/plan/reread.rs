//! When data that is stored is read again, and what is said where that does not go well.

use mainstay_model::{
    Time,
    alert::{AlertKind, Condition},
    reading::Reading,
};

/// After one that could not be done, or found damage.
const AGAIN_SECONDS: f64 = 86_400.0;

/// `known_since` is from when on there could have been a reading. A reading dated later than now was dated
/// by a clock that was wrong.
pub fn is_due(now: Time, known_since: Time, last: Option<&Reading>, days: i64) -> bool {
    let whole = (days * 86_400) as f64;
    match last.filter(|r| r.at <= now) {
        _ if days <= 0 => false,
        None => now.seconds_since(known_since) >= whole,
        Some(r) if r.error.is_some() => now.seconds_since(r.at) >= AGAIN_SECONDS.min(whole),
        Some(r) => now.seconds_since(r.at) >= whole,
    }
}

/// One for each cluster of whose data something could not be read. `readings` are cluster by cluster.
pub fn conditions(readings: &[Reading]) -> Vec<Condition> {
    readings.chunk_by(|a, b| a.cluster == b.cluster).filter_map(condition).collect()
}

fn condition(of_cluster: &[Reading]) -> Option<Condition> {
    let first = of_cluster.first()?;
    let bad: Vec<String> = of_cluster.iter().filter_map(|r| Some(said(r, r.error.as_deref()?))).collect();
    (!bad.is_empty()).then(|| Condition {
        project: first.project.clone(),
        kind: AlertKind::CopyUnreadable,
        object_kind: "cluster".into(),
        object: first.cluster.to_string(),
        object_name: first.cluster_name.clone(),
        cluster: Some(first.cluster.clone()),
        cluster_name: Some(first.cluster_name.clone()),
        sentence: format!("stored data of cluster {} could not be read again: {}", first.cluster_name, bad.join("; ")),
    })
}

fn said(reading: &Reading, why: &str) -> String {
    let good = reading.good_at.map_or("it never was read again before".into(), |t| format!("it was last read and good at {t}"));
    format!("backup {} in storage {}: {why}; {good}", reading.backup, reading.storage_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_model::{BackupId, ClusterId, ProjectId, StorageId};

    fn reading(cluster: &ClusterId, at: i64, error: Option<&str>) -> Reading {
        Reading {
            project: ProjectId::new(),
            cluster: cluster.clone(),
            cluster_name: "shop".into(),
            storage: StorageId::new(),
            storage_name: "far".into(),
            backup: BackupId::new(),
            at: days(at),
            good_at: None,
            error: error.map(Into::into),
        }
    }

    fn days(days: i64) -> Time {
        Time(0).plus_days(days)
    }

    #[test]
    fn weekly_and_the_next_day_where_it_failed() {
        let cluster = ClusterId::new();
        let due = |now, last: Option<Reading>| is_due(days(now), days(1), last.as_ref(), 7);
        assert!(!due(7, None) && due(8, None), "new ones have time");
        assert!(!due(16, Some(reading(&cluster, 10, None))) && due(17, Some(reading(&cluster, 10, None))));
        assert!(!due(10, Some(reading(&cluster, 10, Some("x")))) && due(11, Some(reading(&cluster, 10, Some("x")))));
        assert!(due(20, Some(reading(&cluster, 400, None))), "what a wrong clock dated is not believed");
        assert!(!is_due(days(900), days(0), None, 0), "switched off");
    }

    #[test]
    fn a_cluster_is_one_condition() {
        let (one, other) = (ClusterId::new(), ClusterId::new());
        let all = [reading(&one, 1, Some("damaged")), reading(&one, 1, None), reading(&one, 1, Some("away")), reading(&other, 1, None)];
        let held = conditions(&all);
        assert_eq!(held.len(), 1, "{held:?}");
        assert!(held[0].object == one.as_str() && held[0].sentence.contains("damaged") && held[0].sentence.contains("away"));
    }
}
