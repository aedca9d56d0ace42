//! When a message that did not arrive is sent again, and when it is given up.
//!
//! One that is refused would be refused again, so it must not hold up the ones behind it for long.
//! Where nobody answers, all of them would fail: the first waits, and with it the others, in order.

use mainstay_model::{Time, notice::Notice};

/// Seconds before the next try; the last one is the pace from then on.
const DELAYS: [i64; 8] = [2, 10, 30, 60, 120, 300, 600, 900];
/// How long one is tried at a server that does not answer.
const PATIENCE_SECONDS: f64 = 86_400.0;
/// How often one is tried at a server that refuses it.
const REFUSALS: u32 = 5;
/// From how many failures in a row on somebody should look at it.
pub const TROUBLE: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Again(Time),
    GiveUp,
}

/// `tries` are those of this message, the failed one included; `failures` those in a row.
pub fn after_failure(notice: &Notice, tries: u32, failures: u32, passes: bool, now: Time) -> Next {
    let old = now.seconds_since(notice.at) >= PATIENCE_SECONDS;
    if if passes { old } else { tries >= REFUSALS } {
        return Next::GiveUp;
    }
    let at = (failures.max(1) as usize - 1).min(DELAYS.len() - 1);
    Next::Again(now.plus_seconds(DELAYS[at]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_model::{NoticeId, ProjectId, notice::NoticeKind};

    const THEN: Time = Time::from_micros(1_795_000_000_000_000);

    fn notice() -> Notice {
        Notice {
            id: NoticeId::new(),
            project: ProjectId::new(),
            kind: NoticeKind::Test,
            at: THEN,
            cluster: None,
            object_kind: "notifier".into(),
            object: "nf_1".into(),
            good: true,
            title: String::new(),
            text: String::new(),
        }
    }

    #[test]
    fn a_server_that_is_away_is_waited_for_a_day() {
        let (n, mut now, mut tries) = (notice(), THEN, 0);
        while let Next::Again(at) = after_failure(&n, tries + 1, tries + 1, true, now) {
            assert!(at > now && at <= now.plus_seconds(900));
            (now, tries) = (at, tries + 1);
        }
        assert!((86_400.0..=87_300.0).contains(&now.seconds_since(THEN)), "{now}");
        assert!(tries < 120, "{tries}");
    }

    #[test]
    fn a_refused_message_soon_makes_way() {
        let n = notice();
        let gives_up = |tries, failures| after_failure(&n, tries, failures, false, THEN) == Next::GiveUp;
        assert!(!gives_up(4, 4) && gives_up(5, 5) && !gives_up(1, 100));
    }

    #[test]
    fn one_that_waited_for_long_is_still_tried_once() {
        let late = THEN.plus_days(3);
        assert_eq!(after_failure(&notice(), 1, 1, true, late), Next::GiveUp);
    }
}
