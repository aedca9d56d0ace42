//! What happens when an instance ends without having been asked to.

use super::{
    Options,
    held::Held,
    instances::Core,
    procs,
    record::{Phase, Record},
    slot::Slot,
};
use mainstay_drivers::runtime::InstanceEvent;
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    StartAgain { attempt: u32, after: Duration },
    GiveUp,
}

/// One that ran for a while begins its count anew; one that keeps falling waits a little longer
/// each time.
fn judge(allowed: u32, restarted: u32, ran: Duration, options: &Options) -> Verdict {
    let restarted = if ran >= options.steady_after { 0 } else { restarted };
    if restarted >= allowed {
        return Verdict::GiveUp;
    }
    let after = options.first_backoff.saturating_mul(1 << restarted.min(16)).min(options.longest_backoff);
    Verdict::StartAgain { attempt: restarted + 1, after }
}

/// Sees one process to its end. It holds the runtime weakly: whoever drops the runtime wants the
/// processes to go on alone.
pub(crate) async fn watch(core: Weak<Core>, slot: Arc<Slot>, held: Arc<Held>) {
    held.over().await;
    held.reap();
    let Some(after) = note_under_turn(&core, &slot, &held).await else { return };
    tokio::time::sleep(after).await;
    if let Some(core) = core.upgrade() {
        core.restart(&slot, &held).await;
    }
}

async fn note_under_turn(core: &Weak<Core>, slot: &Slot, held: &Arc<Held>) -> Option<Duration> {
    let _turn = slot.turn().await;
    core.upgrade()?.note_end(slot, held).await
}

impl Core {
    /// Records the end of the main process and says so, once; needs the turn. Returns after what
    /// time it is to be started again.
    pub async fn note_end(&self, slot: &Slot, held: &Arc<Held>) -> Option<Duration> {
        let mut record = slot.record().filter(|_| slot.holds(held))?;
        let detail = held.reap().to_string();
        let ran = procs::age(held.main.start_ticks);
        slot.let_go();
        let after = match judge(record.spec.restarts, record.restarted, ran, &self.options) {
            _ if record.phase == Phase::Stopping => {
                record.phase = Phase::Stopped;
                None
            }
            Verdict::StartAgain { attempt, after } => {
                record.restarted = attempt;
                record.phase = Phase::Restarting { detail: detail.clone() };
                Some(after)
            }
            Verdict::GiveUp => {
                record.phase = Phase::Crashed { detail: detail.clone() };
                None
            }
        };
        slot.know(record.clone());
        if record.phase != Phase::Stopped {
            let _ = self.events.send(InstanceEvent::Exited { id: slot.id.clone(), detail, will_restart: after.is_some() });
        }
        self.save_if_possible(&record).await;
        after
    }

    /// Starts it again unless somebody has decided otherwise since.
    async fn restart(self: &Arc<Self>, slot: &Arc<Slot>, ended: &Held) {
        let _turn = slot.turn().await;
        let waits = |r: &Record| matches!(r.phase, Phase::Restarting { .. }) && r.main.as_ref() == Some(&ended.main);
        let Some(record) = slot.record().filter(waits) else { return };
        match self.start(slot, record.spec.clone(), record.restarted).await {
            Ok(()) => {
                let _ = self.events.send(InstanceEvent::Restarted { id: slot.id.clone() });
            }
            Err(e) => self.give_up(slot, record, e.message).await,
        }
    }

    async fn give_up(&self, slot: &Slot, mut record: Record, detail: String) {
        record.phase = Phase::Crashed { detail: detail.clone() };
        slot.know(record.clone());
        let _ = self.events.send(InstanceEvent::Exited { id: slot.id.clone(), detail, will_restart: false });
        self.save_if_possible(&record).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_are_counted_in_a_row_and_wait_longer_each_time() {
        let options = Options::default();
        let soon = Duration::from_secs(1);
        let mut waits = vec![];
        let mut restarted = 0;
        while let Verdict::StartAgain { attempt, after } = judge(3, restarted, soon, &options) {
            restarted = attempt;
            waits.push(after);
        }
        assert_eq!(restarted, 3);
        assert!(waits.is_sorted() && waits[2] > waits[0], "{waits:?}");
        assert_eq!(judge(0, 0, soon, &options), Verdict::GiveUp);
        let again = judge(3, 3, options.steady_after, &options);
        assert_eq!(again, Verdict::StartAgain { attempt: 1, after: options.first_backoff });
        assert!(matches!(judge(u32::MAX, 1000, soon, &options), Verdict::StartAgain { after, .. } if after == options.longest_backoff));
    }
}
