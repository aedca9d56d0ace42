use super::*;
use crate::plan::suspicious::tests::good_copy;
use mainstay_model::{
    BackupId, ClusterId, ClusterName, ProjectId,
    backup::{BackupKind, BackupStatus, Copy, Facts},
    node::Position,
};
use std::sync::LazyLock;

static CLUSTER: LazyLock<ClusterId> = LazyLock::new(ClusterId::new);
static NEAR: LazyLock<StorageId> = LazyLock::new(StorageId::new);
static FAR: LazyLock<StorageId> = LazyLock::new(StorageId::new);

fn at(seconds: i64) -> Time {
    Time(0).plus_seconds(seconds)
}

fn position(bytes: u64) -> Position {
    Position { history: "sys/1".into(), text: bytes.to_string(), bytes }
}

/// A good backup whose log begins at `stop` and which was consistent at that second.
fn base(stop: u64) -> Backup {
    let time = at(stop as i64);
    let copy = Copy { storage_name: "near".into(), verified_at: Some(time), ..good_copy(&NEAR) };
    let facts = Facts { stop: Some(position(stop)), stopped_at: Some(time), ..Facts::default() };
    Backup {
        id: BackupId::new(),
        project: ProjectId::new(),
        cluster: CLUSTER.clone(),
        cluster_name: ClusterName::parse("shop").unwrap(),
        kind: BackupKind::Manual,
        schedule: None,
        part_of: None,
        status: BackupStatus::Completed,
        proof: Proof::Verified,
        description: String::new(),
        engine: "e".into(),
        engine_version: "1".into(),
        created_at: time,
        finished_at: Some(time.plus_seconds(1)),
        expires_at: None,
        retention: None,
        pinned: false,
        deleting: None,
        data_bytes: None,
        facts: Some(facts),
        checks: vec![],
        drill: None,
        error: None,
        copies: vec![copy],
    }
}

/// From here to there, complete up to the second of its end.
fn part(storage: &StorageId, line: &str, from: u64, to: u64) -> Part {
    Part {
        id: BackupId::new(),
        cluster: CLUSTER.clone(),
        storage: storage.clone(),
        snapshot: format!("{line}-{from}"),
        line: line.into(),
        line_started_at: at(if line == "a" { 0 } else { 1000 }),
        history: "sys/1".into(),
        from,
        to,
        until: at(to as i64),
        stored_at: at(to as i64),
        first: from.to_string(),
        last: to.to_string(),
        pieces: 1,
        bytes: to - from,
        lock: None,
    }
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().code
}

#[test]
fn a_good_backup_opens_a_window_to_where_the_log_reaches() {
    let parts = [part(&NEAR, "a", 0, 100), part(&NEAR, "a", 100, 200), part(&NEAR, "a", 180, 300)];
    assert_eq!(spans(&[base(50)], &parts), [Span { from: at(50), to: at(300) }]);
    assert_eq!(spans(&[], &parts), []);
    let mut suspicious = base(50);
    suspicious.proof = Proof::Suspicious;
    assert_eq!(spans(std::slice::from_ref(&suspicious), &parts), []);
    assert_eq!(doubtful_base(std::slice::from_ref(&suspicious), &parts), Some(&suspicious));
    assert_eq!(lacks_base(std::slice::from_ref(&suspicious), &parts, &NEAR), Some(false), "a drill may prove it");
    suspicious.proof = Proof::Drilled;
    assert_eq!(spans(&[suspicious], &parts).len(), 1);
}

/// After a recovery: what is remembered of a part, and what it has become since, found in the storage, with the
/// line's beginning as its name has it.
#[test]
fn a_part_that_has_grown_is_taken_and_not_what_it_was() {
    let was = Part { line_started_at: Time(590), ..part(&NEAR, "a", 0, 100) };
    for (parts, moment) in [([was.clone(), part(&NEAR, "a", 0, 200)], 150), ([part(&NEAR, "a", 0, 200), was], 150)] {
        let chosen = choose(&[base(50)], &parts, None, at(moment), at(2000)).unwrap();
        assert!(chosen.parts.iter().any(|p| p.to == 200), "{chosen:?}");
    }
}

#[test]
fn a_gap_ends_a_window_and_a_backup_after_it_begins_another() {
    let parts = [part(&NEAR, "a", 0, 100), part(&NEAR, "a", 150, 300)];
    let (first, second) = (base(10), base(200));
    assert_eq!(lacks_base(std::slice::from_ref(&first), &parts, &NEAR), Some(true));
    let bases = [first, second];
    let found = spans(&bases, &parts);
    assert_eq!(found, [Span { from: at(10), to: at(100) }, Span { from: at(200), to: at(300) }]);
    assert_eq!(gaps(&found), [Span { from: at(100), to: at(200) }]);
    for (moment, wanted) in [(5, "until_before_window"), (150, "until_in_gap"), (301, "until_after_window"), (999, "until_in_future")] {
        assert_eq!(code(choose(&bases, &parts, None, at(moment), at(900))), wanted, "{moment}");
    }
    assert_eq!(code(choose(&bases, &parts, Some(&bases[0]), at(250), at(900))), "log_does_not_follow");
    assert_eq!(code(choose(&bases, &parts, Some(&bases[1]), at(50), at(900))), "until_before_backup");
    assert_eq!(code(choose(&[], &parts, None, at(50), at(900))), "no_window");
}

#[test]
fn the_newest_backup_before_the_moment_and_no_more_log_than_needed() {
    let parts: Vec<Part> = (0..10).map(|n| part(&NEAR, "a", n * 100, n * 100 + 100)).collect();
    let bases = [base(50), base(250), base(650)];
    let chosen = choose(&bases, &parts, None, at(450), at(2000)).unwrap();
    assert_eq!(chosen.base.id, bases[1].id);
    let of = |chosen: &Chosen| chosen.parts.iter().map(|p| p.from).collect::<Vec<_>>();
    assert_eq!(of(&chosen), [200, 300, 400]);
    let named = choose(&bases, &parts, Some(&bases[0]), at(450), at(2000)).unwrap();
    assert_eq!((named.base.id.clone(), of(&named)), (bases[0].id.clone(), vec![0, 100, 200, 300, 400]));
    // What ended at the end of a part may have been written into the next.
    assert_eq!(of(&choose(&bases, &parts, None, at(500), at(2000)).unwrap()), [200, 300, 400, 500]);
    assert_eq!(of(&choose(&bases, &parts, None, at(1000), at(2000)).unwrap()), [600, 700, 800, 900]);
}

#[test]
fn another_history_is_another_line_whatever_its_numbers() {
    // A restore went back to 100; what was written since has the numbers of before.
    let parts = [part(&NEAR, "a", 0, 300), Part { until: at(1200), ..part(&NEAR, "b", 100, 200) }];
    let old = base(150);
    assert_eq!(spans(std::slice::from_ref(&old), &parts), [Span { from: at(150), to: at(300) }]);
    let new = Backup { created_at: at(1050), ..base(150) };
    let new = Backup { facts: new.facts.clone().map(|f| Facts { stopped_at: Some(at(1060)), ..f }), ..new };
    let bases = [old, new];
    assert_eq!(gaps(&spans(&bases, &parts)), [Span { from: at(300), to: at(1060) }]);
    assert_eq!(choose(&bases, &parts, None, at(1100), at(2000)).unwrap().parts[0].line, "b");
    assert_eq!(choose(&bases, &parts, None, at(200), at(2000)).unwrap().parts[0].line, "a");
    let other = Backup {
        facts: Some(Facts { stop: Some(Position { history: "else/1".into(), ..position(150) }), ..Facts::default() }),
        ..base(150)
    };
    assert_eq!(spans(&[other], &parts), []);
}

#[test]
fn each_storage_has_its_own_log() {
    let parts = [part(&NEAR, "a", 0, 100), part(&NEAR, "a", 200, 300), part(&FAR, "a", 0, 250)];
    let bases = [base(10)];
    assert_eq!(spans(&bases, &parts), [Span { from: at(10), to: at(250) }]);
    assert_eq!(choose(&bases, &parts, None, at(220), at(900)).unwrap().storage, *FAR);
    assert_eq!((lacks_base(&bases, &parts, &NEAR), lacks_base(&bases, &parts, &FAR)), (Some(true), Some(false)));
    assert_eq!(lacks_base(&bases, &parts, &StorageId::new()), None);
    assert_eq!(lacks_base(&[base(320)], &parts, &NEAR), Some(false), "the log comes to its end soon");
}

#[test]
fn moments_are_read_as_people_write_them() {
    let wanted = Time::parse("2026-11-30T14:05:00Z").unwrap();
    for text in [
        "2026-11-30T14:05:00Z",
        "2026-11-30T15:05:00+01:00",
        "2026-11-30 15:05:00 Europe/Berlin",
        "2026-11-30T15:05 Europe/Berlin",
        "2026-11-30T15:05:00[Europe/Berlin]",
    ] {
        assert_eq!(moment(text).unwrap(), wanted, "{text}");
    }
    for text in ["", "yesterday", "2026-11-30 15:05:00", "2026-11-30 15:05:00 Mars/Olympus", "2026-13-30T00:00:00Z"] {
        let e = moment(text).unwrap_err();
        assert_eq!((e.field.as_deref(), e.code.as_str()), (Some("until"), "invalid_time"), "{text}");
    }
}
