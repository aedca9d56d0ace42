//! To which moments a cluster can be restored, from the parts of its log and the backups there are.
//!
//! A backup opens a window where the log goes on from it without a gap, in one storage: from the
//! moment the backup was consistent to the end of that stretch. Backups that do not count open none.
//! What a restore to a moment takes is the newest backup before it, and the parts from there to it.

use mainstay_model::{
    Error, Result, StorageId, Time,
    backup::{Backup, Proof},
    cluster::{Cluster, Wanted},
    log::{Archive, Part},
};
use serde::Serialize;

/// Parts of one storage and line that follow each other without a gap, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch<'a> {
    pub storage: &'a StorageId,
    pub line: &'a str,
    pub parts: Vec<&'a Part>,
    pub from: u64,
    pub to: u64,
    /// Everything acknowledged until then is in it.
    pub until: Time,
}

/// Any moment in it can be restored to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Span {
    pub from: Time,
    pub to: Time,
}

pub fn stretches(parts: &[Part]) -> Vec<Stretch<'_>> {
    let mut sorted: Vec<&Part> = parts.iter().collect();
    // A line's own name orders lines by their beginning. When it began may be known less exactly of a part that was
    // found in a storage than of one that was noted, and a part that has grown comes after what it was.
    sorted.sort_by(|a, b| (&a.storage, &a.line, a.from, a.to).cmp(&(&b.storage, &b.line, b.from, b.to)));
    let mut all: Vec<Stretch<'_>> = Vec::new();
    for part in sorted {
        match all.last_mut() {
            Some(last) if last.storage == &part.storage && last.line == part.line && part.from <= last.to => {
                last.parts.push(part);
                (last.to, last.until) = (last.to.max(part.to), last.until.max(part.until));
            }
            _ => all.push(Stretch {
                storage: &part.storage,
                line: &part.line,
                parts: vec![part],
                from: part.from,
                to: part.to,
                until: part.until,
            }),
        }
    }
    all
}

/// Without what names it: a timeline, say, of which a promotion begins another.
fn system(history: &str) -> &str {
    history.split_once('/').map_or(history, |(system, _)| system)
}

/// When a backup was consistent: no earlier moment can be had from it.
pub fn consistent_at(base: &Backup) -> Option<Time> {
    base.facts.as_ref().and_then(|f| f.stopped_at).or(base.finished_at)
}

impl Stretch<'_> {
    /// Whether the log goes on from where this backup ends.
    pub fn continues(&self, base: &Backup) -> bool {
        let Some(stop) = base.facts.as_ref().and_then(|f| f.stop.as_ref()) else { return false };
        let Some(first) = self.parts.first() else { return false };
        let fits = system(&stop.history) == system(&first.history) && (self.from..=self.to).contains(&stop.bytes);
        fits && base.created_at >= first.line_started_at && base.created_at <= self.until
    }

    /// The same for one that is still growing: the backup may end beyond what is stored by now.
    fn will_continue(&self, base: &Backup) -> bool {
        let Some(stop) = base.facts.as_ref().and_then(|f| f.stop.as_ref()) else { return false };
        let Some(first) = self.parts.first() else { return false };
        system(&stop.history) == system(&first.history) && self.from <= stop.bytes && base.created_at >= first.line_started_at
    }

    /// From the end of the backup to everything that was acknowledged until `until`. One more than the
    /// first that says so: what ended at that very moment may have been written a little later.
    fn needed(&self, base: &Backup, until: Time) -> Vec<Part> {
        const LATE_SECONDS: i64 = 1;
        let stop = base.facts.as_ref().and_then(|f| f.stop.as_ref()).map_or(0, |p| p.bytes);
        let from = self.parts.iter().rposition(|p| p.from <= stop).unwrap_or(0);
        let enough = until.plus_seconds(LATE_SECONDS);
        let to = self.parts.iter().position(|p| p.until > enough).unwrap_or(self.parts.len().saturating_sub(1));
        self.parts[from..=to.max(from)].iter().map(|p| (*p).clone()).collect()
    }
}

/// The windows, oldest first; what lies between two of them is a gap.
pub fn spans(bases: &[Backup], parts: &[Part]) -> Vec<Span> {
    let stretches = stretches(parts);
    let mut all: Vec<Span> = Vec::new();
    for base in bases.iter().filter(|b| b.is_good()) {
        let Some(from) = consistent_at(base) else { continue };
        all.extend(stretches.iter().filter(|s| s.continues(base) && s.until > from).map(|s| Span { from, to: s.until }));
    }
    all.sort_by_key(|s| (s.from, s.to));
    let mut merged: Vec<Span> = Vec::new();
    for span in all {
        match merged.last_mut() {
            Some(last) if span.from <= last.to => last.to = last.to.max(span.to),
            _ => merged.push(span),
        }
    }
    merged
}

/// What lies between the windows.
pub fn gaps(spans: &[Span]) -> Vec<Span> {
    spans.windows(2).map(|pair| Span { from: pair[0].to, to: pair[1].from }).collect()
}

/// Whether the newest log in this storage has no good backup to begin with, and none that may still
/// turn out to be one. `None` where there is no log yet.
pub fn lacks_base(bases: &[Backup], parts: &[Part], storage: &StorageId) -> Option<bool> {
    let stretches = stretches(parts);
    let newest = stretches.iter().filter(|s| s.storage == storage).max_by_key(|s| s.until)?;
    let fits = |b: &&Backup| newest.will_continue(b) && b.is_restorable();
    Some(!bases.iter().any(|b| fits(&b)))
}

/// A suspicious backup that would open a window, had a drill passed.
pub fn doubtful_base<'a>(bases: &'a [Backup], parts: &[Part]) -> Option<&'a Backup> {
    let stretches = stretches(parts);
    let newest = stretches.iter().max_by_key(|s| s.until)?;
    let fitting = |b: &&Backup| newest.continues(b) && b.is_restorable();
    let newest_base = bases.iter().filter(fitting).max_by_key(|b| b.created_at)?;
    let judged = newest_base.drill.is_some() || bases.iter().filter(fitting).any(Backup::is_good);
    (newest_base.proof == Proof::Suspicious && !judged).then_some(newest_base)
}

/// What a restore to a moment takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    pub base: Backup,
    /// Where the log is taken from.
    pub storage: StorageId,
    pub parts: Vec<Part>,
}

/// The newest backup before `until`, or the one that was named, and the log from there.
pub fn choose(bases: &[Backup], parts: &[Part], named: Option<&Backup>, until: Time, now: Time) -> Result<Chosen> {
    let refuse = |code: &str, why: String| Err(Error::invalid("until", why).with_code(code));
    if until > now {
        return refuse("until_in_future", format!("{until} lies in the future; it is {now}"));
    }
    if let Some(base) = named {
        may_begin(base, until)?;
    }
    let stretches = stretches(parts);
    let candidates = bases.iter().filter(|b| b.is_good() && named.is_none_or(|n| n.id == b.id));
    let mut found: Vec<(&Backup, &Stretch<'_>)> = Vec::new();
    for base in candidates.filter(|b| consistent_at(b).is_some_and(|at| at <= until)) {
        found.extend(stretches.iter().filter(|s| s.continues(base) && s.until >= until).map(|s| (base, s)));
    }
    if let Some((base, stretch)) = found.into_iter().max_by_key(|(b, s)| (b.created_at, s.until)) {
        let parts = stretch.needed(base, until);
        // Less would be replayed without a word: what is missing at the end looks like an end.
        if parts.iter().all(|p| p.until < until) {
            return refuse("log_does_not_follow", format!("the parts of the log that were chosen do not reach {until}"));
        }
        return Ok(Chosen { base: base.clone(), storage: stretch.storage.clone(), parts });
    }
    let spans = spans(bases, parts);
    let (Some(first), Some(last)) = (spans.first(), spans.last()) else {
        let why = "there is no window to restore in: it begins with a good backup made while the log is kept (`mainstay cluster pitr on`)";
        return refuse("no_window", why.into());
    };
    let range = format!("the earliest moment is {}, the latest {}", first.from, last.to);
    if until < first.from {
        return refuse("until_before_window", format!("{until} lies before the window: {range}"));
    }
    if until > last.to {
        return refuse("until_after_window", format!("the log is not stored up to {until} yet: {range}; try again in a moment"));
    }
    if let Some(gap) = gaps(&spans).iter().find(|g| g.from < until && until < g.to) {
        return refuse("until_in_gap", format!("{until} lies in a gap of the log, from {} to {}: {range}", gap.from, gap.to));
    }
    let why = "the log does not go on without a gap from that backup to there; leave the backup out, and the newest that fits is chosen";
    refuse("log_does_not_follow", format!("{until}: {why}"))
}

fn may_begin(base: &Backup, until: Time) -> Result<()> {
    if !base.is_good() {
        let why = format!("backup {} does not count (it is suspicious, or a copy is missing); `backup drill` proves it", base.id);
        return Err(Error::invalid("backup", why).with_code("base_does_not_count"));
    }
    match consistent_at(base) {
        Some(at) if at > until => {
            let why =
                format!("{until} lies before the end of backup {}, which is of {at}; leave the backup out to use an older one", base.id);
            Err(Error::invalid("until", why).with_code("until_before_backup"))
        }
        _ => Ok(()),
    }
}

/// What is wrong with a log that shall be kept: any moment until just now should be restorable.
pub fn behind(cluster: &Cluster, bases: &[Backup], parts: &[Part], archive: Option<&Archive>, now: Time) -> Option<String> {
    const PATIENCE_SECONDS: i64 = 300;
    if cluster.log.is_none() || cluster.wanted != Wanted::Running {
        return None;
    }
    let archive = archive?;
    let late = now.plus_seconds(-PATIENCE_SECONDS);
    let name = &cluster.name;
    let trouble = archive.trouble.iter().chain(archive.places.values().filter_map(|p| p.trouble.as_ref())).min_by_key(|t| t.since);
    let why = trouble.map(|t| format!(": since {} {}", t.since, t.sentence)).unwrap_or_default();
    let begun = archive.line.as_ref().map_or(late, |l| l.started_at);
    match spans(bases, parts).last() {
        Some(span) if span.to > late => {
            trouble.filter(|t| t.since <= late).map(|_| format!("the log of {name} is not kept everywhere it should be{why}"))
        }
        Some(span) => Some(format!("{name} can be restored to {} and to no later moment{why}", span.to)),
        None if begun > late => None,
        None => Some(format!("{name} cannot be restored to a moment: no good backup begins a window in its log{why}")),
    }
}

/// The moments that can be had from this backup.
pub fn span_of(base: &Backup, parts: &[Part]) -> Option<Span> {
    let from = consistent_at(base)?;
    let to = stretches(parts).iter().filter(|s| s.continues(base)).map(|s| s.until).max()?;
    (to > from).then_some(Span { from, to })
}

/// The moment somebody wrote: RFC 3339, or a local time with the name of its zone.
pub fn moment(text: &str) -> Result<Time> {
    if let Some(time) = Time::parse(text) {
        return Ok(time);
    }
    let zoned = |t: &str| t.parse::<jiff::Zoned>().ok().map(|z| Time::from(z.timestamp()));
    let named = text.rsplit_once(' ').and_then(|(local, zone)| zoned(&format!("{}[{zone}]", local.trim())));
    zoned(text).or(named).ok_or_else(|| {
        let shown = mainstay_model::error::shown(text);
        let why = format!(
            "\"{shown}\" is no moment: write 2026-11-30T14:05:00Z, 2026-11-30T15:05:00+01:00, or 2026-11-30 15:05:00 Europe/Berlin"
        );
        Error::invalid("until", why).with_code("invalid_time")
    })
}

#[cfg(test)]
mod tests;
