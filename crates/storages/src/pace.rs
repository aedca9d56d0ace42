//! What moves to and from one storage: counted, and held to its bandwidth.
//!
//! Every piece books its time on the line behind the pieces before it, and goes when that has come. So
//! those that share a storage take turns piece by piece, and a pause is never made up for by a burst longer
//! than [`BURST`]. Pieces are small: who books much at once would hold up all others.

use mainstay_drivers::storage::StorageSpec;
use mainstay_model::StorageId;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// What is let through at once.
pub const PIECE: usize = 64 << 10;
/// How much time nothing used may be used later.
const BURST: Duration = Duration::from_millis(100);
/// Who waits looks so often whether the rate is another one by now.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct Pace {
    line: Mutex<Line>,
    moved: AtomicU64,
}

#[derive(Default, Clone, Copy)]
struct Line {
    rate: Option<u64>,
    /// When all that was booked will be through.
    free: Option<Instant>,
    /// Counts the rates there were: what was booked at another one is booked anew.
    turn: u64,
}

impl Line {
    /// Books `bytes` at `now`; when they may go.
    fn book(&mut self, bytes: u64, now: Instant) -> Instant {
        let Some(rate) = self.rate else { return now };
        let begin = self.free.unwrap_or(now).max(now.checked_sub(BURST).unwrap_or(now));
        self.free = Some(begin + Duration::from_secs_f64(bytes as f64 / rate as f64));
        begin.max(now)
    }
}

impl Pace {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes a second from now on.
    pub fn set(&self, rate: Option<u64>) {
        let mut line = self.line();
        if line.rate != rate {
            *line = Line { rate, free: None, turn: line.turn + 1 };
        }
    }

    pub fn rate(&self) -> Option<u64> {
        self.line().rate
    }

    /// Bytes that were let through so far.
    pub fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// How long is still to be waited; `booked` remembers what was booked, and at which rate.
    fn wait(&self, bytes: usize, booked: &mut Option<(Instant, u64)>) -> Duration {
        let now = Instant::now();
        let mut line = self.line();
        let turn = line.turn;
        let (at, _) = match booked.filter(|(_, then)| *then == turn) {
            Some(known) => known,
            None => *booked.insert((line.book(bytes as u64, now), turn)),
        };
        at.saturating_duration_since(now).min(LOOK)
    }

    /// Notes what went at a pace that somebody else sees to.
    pub fn count(&self, bytes: usize) {
        self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Lets a piece through when its time has come; `alive` is called while it waits.
    pub async fn pass(&self, bytes: usize, alive: impl Fn()) {
        let mut booked = None;
        loop {
            let wait = self.wait(bytes, &mut booked);
            if wait.is_zero() {
                return self.count(bytes);
            }
            alive();
            tokio::time::sleep(wait).await;
        }
    }

    /// The same on a thread that may block, for any number of bytes.
    pub fn pass_blocking(&self, bytes: usize) {
        let mut left = bytes;
        while left > 0 {
            let piece = left.min(PIECE);
            let mut booked = None;
            loop {
                let wait = self.wait(piece, &mut booked);
                if wait.is_zero() {
                    break;
                }
                std::thread::sleep(wait);
            }
            self.count(piece);
            left -= piece;
        }
    }
}

/// One for each storage: all that goes there must be seen together.
#[derive(Default)]
pub struct Paces(Mutex<HashMap<StorageId, Arc<Pace>>>);

impl Paces {
    /// The storage's, at the rate that `spec` says.
    pub fn of(&self, spec: &StorageSpec) -> Arc<Pace> {
        let pace = self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(spec.id.clone()).or_default().clone();
        pace.set(spec.limits.bandwidth);
        pace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When each of the pieces of senders that send one after the other went, in seconds of a clock of its own.
    fn sent(line: &mut Line, begun: Instant, senders: &[(usize, u64)]) -> Vec<Vec<f64>> {
        let mut went = vec![vec![]; senders.len()];
        let mut ready = vec![begun; senders.len()];
        while let Some(next) = (0..senders.len()).filter(|n| went[*n].len() < senders[*n].0).min_by_key(|n| ready[*n]) {
            ready[next] = line.book(senders[next].1, ready[next]);
            went[next].push(ready[next].duration_since(begun).as_secs_f64());
        }
        went
    }

    fn at(rate: u64) -> Line {
        Line { rate: Some(rate), ..Line::default() }
    }

    #[test]
    fn several_that_share_a_storage_keep_to_its_rate_together() {
        let went = sent(&mut at(1_000_000), Instant::now(), &[(25, 50_000); 8]);
        let last = went.iter().flatten().copied().fold(0.0, f64::max);
        assert!((9.8..=10.0).contains(&last), "ten megabytes in {last} s");
        // And none of them got ahead of the others.
        let ends = went.iter().map(|w| w[24]);
        assert!(ends.clone().fold(f64::MAX, f64::min) > last - 1.0, "{:?}", ends.collect::<Vec<_>>());
    }

    #[test]
    fn in_no_second_more_goes_through_than_the_rate_and_a_burst() {
        let senders = [(40, 65_536), (70, 10_000), (20, 65_536)];
        let went = sent(&mut at(500_000), Instant::now(), &senders);
        let of = |(times, (_, bytes)): (Vec<f64>, &(usize, u64))| times.into_iter().map(|t| (t, *bytes as f64)).collect::<Vec<_>>();
        let mut pieces: Vec<(f64, f64)> = went.into_iter().zip(&senders).flat_map(of).collect();
        pieces.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (n, (from, _)) in pieces.iter().enumerate() {
            let second: f64 = pieces[n..].iter().take_while(|(t, _)| *t < from + 1.0).map(|(_, bytes)| bytes).sum();
            assert!(second <= 500_000.0 * 1.1 + 65_536.0, "{second} bytes in the second from {from}");
        }
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let (mut line, begun) = (at(100_000), Instant::now());
        line.book(100_000, begun);
        let later = begun + Duration::from_secs(3600);
        let went = sent(&mut line, later, &[(10, 100_000)]);
        assert!((8.8..=9.0).contains(&went[0][9]), "{:?}", went[0]);
    }

    #[tokio::test]
    async fn another_rate_holds_for_those_that_wait_already() {
        let pace = Arc::new(Pace::default());
        pace.set(Some(1));
        pace.pass(1_000_000, || {}).await;
        let (waiting, alive) = (pace.clone(), Arc::new(AtomicU64::new(0)));
        let told = alive.clone();
        let last = tokio::spawn(async move {
            waiting
                .pass(7, || {
                    told.fetch_add(1, Ordering::Relaxed);
                })
                .await
        });
        while alive.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(!last.is_finished(), "it would wait for eleven days, and says that it is alive");
        pace.set(None);
        last.await.unwrap();
        assert_eq!(pace.moved(), 1_000_007);
    }
}
