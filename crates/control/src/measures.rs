//! What nodes used in the last hour, kept in memory: a restart of the control plane leaves a gap.
//!
//! Figures that only grow (processor seconds, bytes of the disk) become rates between two measurements. What
//! could not be measured is unknown, never zero.

use crate::{App, topology::Topology};
use mainstay_model::{Error, NodeId, Result, Time, cluster::Cluster, node::Observed};
use mainstay_rpc::verbs::NodeMeasured;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Mutex, MutexGuard},
};

/// Between two measurements.
pub const STEP_SECONDS: i64 = 5;
const KEPT_SECONDS: i64 = 3600;
/// Between measurements that lie further apart nothing is known of the rate.
const LONGEST_GAP: f64 = 30.0;
/// A shorter look at a disk says nothing of when it will be full.
const TREND_SECONDS: f64 = 1800.0;
const LONGEST_FORECAST_DAYS: f64 = 3650.0;

/// Names of the series, in the order of a sample's values. Percents are of the whole machine: of all its
/// processors, its memory, the file system that the data lie on.
pub const SERIES: [&str; 9] = [
    "cpu_percent",
    "memory_percent",
    "memory_bytes",
    "disk_percent",
    "connections",
    "disk_read_bytes_per_second",
    "disk_written_bytes_per_second",
    "lag_bytes",
    "lag_seconds",
];
const DISK: usize = 3;

/// One measurement, with the figures that only grow.
#[derive(Debug, Clone)]
pub struct Sample {
    at: Time,
    cpu_seconds: f64,
    cpus: u32,
    read: Option<u64>,
    written: Option<u64>,
    /// In the order of [`SERIES`]; rates are filled in where the measurement before is known. Not a number: unknown.
    values: [f32; SERIES.len()],
}

impl Sample {
    pub fn of(at: Time, found: &NodeMeasured, seen: &Observed) -> Self {
        let (usage, host) = (&found.usage, &found.host);
        let used = host.disk_total_bytes.saturating_sub(host.disk_free_bytes);
        let known = |n: Option<f64>| n.unwrap_or(f64::NAN) as f32;
        let values = [
            f32::NAN,
            percent(usage.memory_bytes, host.memory_bytes),
            usage.memory_bytes as f32,
            percent(used, host.disk_total_bytes),
            known(seen.connections.map(|n| n as f64)),
            f32::NAN,
            f32::NAN,
            known(seen.lag_bytes.map(|n| n as f64)),
            known(seen.lag_seconds),
        ];
        Sample {
            at,
            cpu_seconds: usage.cpu_seconds,
            cpus: host.cpus,
            read: usage.disk_read_bytes,
            written: usage.disk_written_bytes,
            values,
        }
    }

    /// Fills in what follows from the measurement before. A figure that fell is that of another process.
    fn after(mut self, before: &Sample) -> Self {
        let seconds = (self.at.micros() - before.at.micros()) as f64 / 1e6;
        if !(0.5..=LONGEST_GAP).contains(&seconds) {
            return self;
        }
        let rate = |grown: f64| if grown < 0.0 { f32::NAN } else { (grown / seconds) as f32 };
        let bytes = |now: Option<u64>, then: Option<u64>| now.zip(then).map_or(f32::NAN, |(now, then)| rate(now as f64 - then as f64));
        if self.cpus > 0 {
            self.values[0] = rate((self.cpu_seconds - before.cpu_seconds) * 100.0 / f64::from(self.cpus));
        }
        self.values[5] = bytes(self.read, before.read);
        self.values[6] = bytes(self.written, before.written);
        self
    }
}

fn percent(part: u64, whole: u64) -> f32 {
    if whole == 0 { f32::NAN } else { (part as f64 * 100.0 / whole as f64) as f32 }
}

#[derive(Debug, Default)]
struct Node {
    last: Option<Sample>,
    kept: VecDeque<(i64, [f32; SERIES.len()])>,
}

#[derive(Debug, Default)]
pub struct Measures(Mutex<HashMap<NodeId, Node>>);

impl Measures {
    fn lock(&self) -> MutexGuard<'_, HashMap<NodeId, Node>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub fn note(&self, node: NodeId, sample: Sample) {
        let mut nodes = self.lock();
        let node = nodes.entry(node).or_default();
        let sample = match &node.last {
            Some(before) => sample.after(before),
            None => sample,
        };
        let at = sample.at.micros().div_euclid(1_000_000);
        // A clock that was set back begins anew: two curves over the same time would be shown as one.
        if node.kept.back().is_some_and(|(last, _)| *last > at) {
            node.kept.clear();
        }
        node.kept.push_back((at, sample.values));
        while node.kept.front().is_some_and(|(first, _)| *first < at - KEPT_SECONDS) {
            node.kept.pop_front();
        }
        node.last = Some(sample);
    }

    pub fn keep_only(&self, nodes: &[NodeId]) {
        let nodes: std::collections::HashSet<_> = nodes.iter().collect();
        self.lock().retain(|id, _| nodes.contains(id));
    }

    fn curves(&self, node: &NodeId, range: &Range, to: i64) -> BTreeMap<&'static str, Vec<Option<f64>>> {
        let nodes = self.lock();
        let kept = nodes.get(node).map(|n| &n.kept);
        let curve = |i: usize| match kept {
            Some(kept) => range.curve(to, kept.iter().map(|(at, values)| (*at, values[i]))),
            None => vec![None; range.slots()],
        };
        SERIES.iter().enumerate().map(|(i, name)| (*name, curve(i))).collect()
    }

    fn days_to_full(&self, node: &NodeId) -> Option<f64> {
        let points: Vec<(f64, f64)> =
            self.lock().get(node)?.kept.iter().filter(|(_, v)| !v[DISK].is_nan()).map(|(at, v)| (*at as f64, f64::from(v[DISK]))).collect();
        days_to_full(&points)
    }
}

/// Until a file system is full at the pace of the points (seconds, percent used), by least squares. `None`
/// where it is not filling, or where the points say too little.
fn days_to_full(points: &[(f64, f64)]) -> Option<f64> {
    let (first, last) = (points.first()?, points.last()?);
    if last.0 - first.0 < TREND_SECONDS {
        return None;
    }
    let n = points.len() as f64;
    let (mid_x, mid_y) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0 / n, y + p.1 / n));
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in points {
        xx += (x - mid_x).powi(2);
        xy += (x - mid_x) * (y - mid_y);
        yy += (y - mid_y).powi(2);
    }
    let slope = xy / xx;
    // Less than half of what moves being a trend, it is none.
    if slope.is_nan() || slope <= 0.0 || xy * xy < 0.5 * xx * yy {
        return None;
    }
    Some((100.0 - last.1) / slope / 86_400.0).filter(|days| *days <= LONGEST_FORECAST_DAYS)
}

/// What is asked for: so many seconds until now, in pieces of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub seconds: i64,
    pub step: i64,
}

impl Range {
    pub fn parse(text: &str) -> Result<Range> {
        match text {
            "15m" => Ok(Range { seconds: 900, step: STEP_SECONDS }),
            "1h" => Ok(Range { seconds: KEPT_SECONDS, step: 15 }),
            _ => Err(Error::invalid("range", "15m or 1h; measurements are kept for an hour")),
        }
    }

    fn slots(&self) -> usize {
        (self.seconds / self.step).unsigned_abs() as usize
    }

    /// The beginnings of its pieces; the last is the one that `now` lies in.
    fn times(&self, now: i64) -> (i64, Vec<i64>) {
        let to = now.div_euclid(self.step) * self.step + self.step;
        (to, (0..self.slots() as i64).map(|i| to - self.seconds + i * self.step).collect())
    }

    /// The mean of what is known in each piece.
    fn curve(&self, to: i64, points: impl Iterator<Item = (i64, f32)>) -> Vec<Option<f64>> {
        let mut sums = vec![(0.0, 0u32); self.slots()];
        for (at, value) in points.filter(|(_, v)| !v.is_nan()) {
            let slot = (at - (to - self.seconds)).div_euclid(self.step);
            if let Some(sum) = usize::try_from(slot).ok().and_then(|i| sums.get_mut(i)) {
                *sum = (sum.0 + f64::from(value), sum.1 + 1);
            }
        }
        sums.into_iter().map(|(sum, n)| (n > 0).then(|| (sum / f64::from(n) * 1000.0).round() / 1000.0)).collect()
    }
}

#[derive(Debug, Clone)]
pub struct NodeCurves {
    pub node: NodeId,
    pub name: String,
    pub is_primary: bool,
    /// As long as [`Curves::times`]; `None` is a gap.
    pub series: BTreeMap<&'static str, Vec<Option<f64>>>,
    pub days_to_full: Option<f64>,
}

#[derive(Debug, Clone)]
pub struct Curves {
    pub step_seconds: i64,
    /// Seconds since 1970.
    pub times: Vec<i64>,
    pub nodes: Vec<NodeCurves>,
}

/// The curves of a cluster's nodes, by number.
pub async fn of_cluster(app: &App, cluster: &Cluster, range: Range) -> Result<Curves> {
    let topology = Topology::load(app, &cluster.id).await?;
    let (to, times) = range.times(app.now().micros().div_euclid(1_000_000));
    let curves = |n: &mainstay_model::node::Node| NodeCurves {
        node: n.id.clone(),
        name: n.name.clone(),
        is_primary: topology.is_primary(n),
        series: app.measures.curves(&n.id, &range, to),
        days_to_full: app.measures.days_to_full(&n.id),
    };
    Ok(Curves { step_seconds: range.step, times, nodes: topology.nodes.iter().map(curves).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_drivers::runtime::{HostFacts, Usage};

    fn at(second: i64, cpu: f64, read: Option<u64>) -> Sample {
        let usage = Usage { cpu_seconds: cpu, memory_bytes: 1 << 29, disk_read_bytes: read, ..Usage::default() };
        let host = HostFacts {
            cpus: 2,
            memory_bytes: 1 << 30,
            disk_total_bytes: 1000,
            disk_free_bytes: 250,
            boot_id: String::new(),
            is_root: false,
        };
        let time = Time::from_micros(second * 1_000_000);
        Sample::of(time, &NodeMeasured { usage, host }, &Observed::unknown(time, "nobody looked"))
    }

    fn curves(m: &Measures, node: &NodeId, now: i64) -> BTreeMap<&'static str, Vec<Option<f64>>> {
        let range = Range::parse("15m").unwrap();
        m.curves(node, &range, range.times(now).0)
    }

    #[test]
    fn rates_come_of_two_measurements_and_the_unknown_is_a_gap() {
        let (m, node) = (Measures::default(), NodeId::new());
        for s in [at(1000, 10.0, Some(0)), at(1005, 15.0, Some(50)), at(1010, 2.0, Some(60)), at(1060, 30.0, None), at(1065, 31.0, Some(1))]
        {
            m.note(node.clone(), s);
        }
        let found = curves(&m, &node, 1066);
        let tail = |name: &str| found[name][found[name].len() - 14..].to_vec();
        // 5 of 10 processor seconds; then another process; then too long ago; then 1 of 10.
        let cpu = tail("cpu_percent");
        assert_eq!((cpu[0], cpu[1], cpu[2], cpu[12], cpu[13]), (None, Some(50.0), None, None, Some(10.0)));
        let read = tail("disk_read_bytes_per_second");
        assert_eq!((read[1], read[2], read[13]), (Some(10.0), Some(2.0), None));
        let memory = tail("memory_percent");
        assert_eq!((memory[0], memory[3], memory[13]), (Some(50.0), None, Some(50.0)));
        assert!(tail("connections").iter().chain(&tail("lag_bytes")).all(Option::is_none));
        assert_eq!(tail("disk_percent")[13], Some(75.0));
    }

    #[test]
    fn an_hour_is_kept_and_a_clock_set_back_begins_anew() {
        let (m, node) = (Measures::default(), NodeId::new());
        for i in 0..2000 {
            m.note(node.clone(), at(i * 5, 0.0, None));
        }
        assert_eq!(m.lock()[&node].kept.len(), 721);
        m.note(node.clone(), at(50, 0.0, None));
        assert_eq!(m.lock()[&node].kept.len(), 1);
        m.keep_only(&[]);
        assert!(curves(&m, &node, 60)["memory_bytes"].iter().all(Option::is_none));
    }

    #[test]
    fn pieces_end_with_now_and_are_as_many_as_promised() {
        for (text, count) in [("15m", 180), ("1h", 240)] {
            let range = Range::parse(text).unwrap();
            let (to, times) = range.times(1_000_003);
            assert_eq!((times.len(), to - times.last().unwrap()), (count, range.step));
            assert!(*times.last().unwrap() <= 1_000_003 && to > 1_000_003);
        }
        assert_eq!(Range::parse("7d").unwrap_err().field.as_deref(), Some("range"));
    }

    #[test]
    fn a_disk_that_fills_says_when() {
        let grown = |per_hour: f64, minutes: i64| -> Vec<(f64, f64)> {
            (0..minutes * 12).map(|i| (i as f64 * 5.0, 50.0 + per_hour * i as f64 * 5.0 / 3600.0)).collect()
        };
        let days = days_to_full(&grown(1.0, 60)).unwrap();
        assert!((days - 49.0 / 24.0).abs() < 0.01, "{days}");
        assert_eq!(days_to_full(&grown(1.0, 20)), None, "too short");
        assert_eq!(days_to_full(&grown(0.0, 60)), None);
        assert_eq!(days_to_full(&grown(-1.0, 60)), None);
        let noise: Vec<_> = (0..720).map(|i| (f64::from(i) * 5.0, 50.0 + f64::from(i * 7919 % 13))).collect();
        assert_eq!(days_to_full(&noise), None);
        assert_eq!(days_to_full(&[]), None);
    }
}
