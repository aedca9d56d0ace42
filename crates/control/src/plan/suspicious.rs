//! Is a backup so unlike the one before that it must not count until a drill passed.

use mainstay_model::backup::{Backup, Facts};

/// The reason, where it is. `previous` is the newest good backup before this one.
pub fn suspicious(data_bytes: u64, facts: &Facts, previous: Option<&Backup>) -> Option<String> {
    let previous = previous?;
    if let Some(before) = previous.data_bytes.filter(|b| data_bytes.saturating_mul(2) < *b) {
        return Some(format!("{data_bytes} bytes, less than half of the {before} bytes of the backup before"));
    }
    let was = previous.facts.as_ref()?;
    if was.engine_version != facts.engine_version {
        return Some(format!("made by version {}, the one before by {}", facts.engine_version, was.engine_version));
    }
    let (rows_before, rows) = (total(was), total(facts));
    if rows_before > 0 && rows.saturating_mul(2) < rows_before {
        return Some(format!("about {rows} rows or keys, less than half of the {rows_before} of the backup before"));
    }
    None
}

fn total(facts: &Facts) -> u64 {
    let counted = |k: &&String| k.starts_with("rows.") || k.starts_with("keys.");
    let sum = |m: &std::collections::BTreeMap<String, u64>| m.iter().filter(|(k, _)| counted(k)).map(|(_, v)| v).sum::<u64>();
    sum(&facts.exact) + sum(&facts.estimates)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use mainstay_model::*;

    fn facts(version: &str, keys: u64) -> Facts {
        Facts { engine_version: version.into(), exact: [("keys.db0".into(), keys)].into(), ..Facts::default() }
    }

    pub fn backup(bytes: u64, facts: Facts) -> Backup {
        Backup {
            id: BackupId::new(),
            project: ProjectId::new(),
            cluster: ClusterId::new(),
            cluster_name: ClusterName::parse("abc").unwrap(),
            kind: backup::BackupKind::Manual,
            schedule: None,
            part_of: None,
            status: backup::BackupStatus::Completed,
            proof: backup::Proof::Verified,
            description: String::new(),
            engine: "e".into(),
            engine_version: facts.engine_version.clone(),
            created_at: Time(0),
            finished_at: None,
            expires_at: None,
            retention: None,
            pinned: false,
            deleting: None,
            data_bytes: Some(bytes),
            facts: Some(facts),
            checks: vec![],
            drill: None,
            error: None,
            copies: vec![],
        }
    }

    #[test]
    fn half_the_size_half_the_keys_or_another_version() {
        let before = backup(1000, facts("7.0", 100));
        assert_eq!(suspicious(900, &facts("7.0", 90), Some(&before)), None);
        assert!(suspicious(400, &facts("7.0", 90), Some(&before)).is_some());
        assert!(suspicious(900, &facts("7.0", 0), Some(&before)).is_some());
        assert!(suspicious(900, &facts("7.2", 100), Some(&before)).is_some());
        assert_eq!(suspicious(1, &facts("7.0", 0), None), None);
    }
}
