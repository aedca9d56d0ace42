//! `mainstay schedule …`

use clap::{Args, Subcommand};
use mainstay_model::{
    retention::Gfs,
    schedule::{Overlap, Weekday},
};

#[derive(Debug, Args)]
pub struct Schedule {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a schedule of a cluster or a group, or change the one of that name
    #[command(after_help = "\
What is left out stays as it is; for a new schedule it is every day at 03:00, kept 7 days, in the
storage local, in the time zone of the server's machine. Backups already made are not changed.
A group's schedule makes one backup of all its members at one point each time; the members' own
schedules go on beside it.

Examples:
  mainstay schedule set shop --days every --hours 3 --time-zone Europe/Berlin --retention-days 7
  mainstay schedule set shop --name office --days mon,tue,wed,thu,fri --hours 9,13,17 --retention-days 2
  mainstay schedule set shop --name hourly --days every --hours every --retention-days 1 --keep-last 48
  mainstay schedule set shop --retention-days none --gfs daily=7,weekly=4,monthly=12
  mainstay schedule set shop --retention-days 90 --storage local --storage far --copy-retention local=7
  mainstay schedule set shop --name hourly --overlap queue
  mainstay schedule set --group store --days every --hours 2 --time-zone Europe/Berlin --retention-days 14")]
    Set(Set),
    /// A schedule, its next runs, and what became of the last ones
    #[command(after_help = "Example:\n  mainstay schedule show shop")]
    Show(One),
    /// All schedules of the project, or of one cluster or group
    #[command(after_help = "Examples:\n  mainstay schedule list shop\n  mainstay schedule list --group store")]
    List {
        /// The cluster's name or id
        #[arg(conflicts_with = "group")]
        cluster: Option<String>,
        /// The group's name or id
        #[arg(long, value_name = "GROUP")]
        group: Option<String>,
    },
    /// Make no backups until it is resumed
    #[command(after_help = "Example:\n  mainstay schedule pause shop --name office")]
    Pause(One),
    /// Make backups again; those left out are not made up for
    #[command(after_help = "Example:\n  mainstay schedule resume shop --name office")]
    Resume(One),
    /// When a schedule would run; nothing is set
    #[command(after_help = "\
What is left out is as in the schedule of that name, or as for a new one.

Example:
  mainstay schedule preview shop --hours 2 --time-zone Europe/Berlin --count 10")]
    Preview {
        #[command(flatten)]
        set: Set,
        /// How many runs
        #[arg(long, value_name = "N", default_value_t = 5)]
        count: u32,
    },
    /// Remove a schedule; the backups it made stay
    #[command(after_help = "Example:\n  mainstay schedule remove shop --name office")]
    Remove(One),
}

#[derive(Debug, Args)]
pub struct One {
    /// The cluster's name or id, or the schedule's id
    #[arg(required_unless_present = "group", conflicts_with = "group")]
    pub cluster: Option<String>,
    /// The group's name or id, in place of a cluster
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Which of its schedules [default: default]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct Set {
    /// The cluster's name or id
    #[arg(required_unless_present = "group", conflicts_with = "group")]
    pub cluster: Option<String>,
    /// The group's name or id, in place of a cluster
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// What the schedule is called [default: default]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Days of the week, such as mon,wed; or every
    #[arg(long, value_name = "DAYS", value_parser = days)]
    pub days: Option<Each<Weekday>>,
    /// Hours of the day, such as 3,15; or every
    #[arg(long, value_name = "HOURS", value_parser = hours)]
    pub hours: Option<Each<u8>>,
    /// Zone of the IANA database, such as Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    pub time_zone: Option<String>,
    #[command(flatten)]
    pub keep: Keep,
    /// Where to; may be repeated
    #[arg(long = "storage", value_name = "STORAGE")]
    pub storages: Vec<String>,
    /// Days to keep the copies in one storage, where that is shorter; may be repeated
    #[arg(long = "copy-retention", value_name = "STORAGE=DAYS", value_parser = super::backup::copy_days)]
    pub copy_retention: Vec<(String, i64)>,
    /// Keep every copy as long as its backup
    #[arg(long, conflicts_with = "copy_retention")]
    pub no_copy_retention: bool,
    /// What becomes of a time that comes while the backup before is still being made: skip leaves it out, queue has
    /// one wait for it [default: skip]
    #[arg(long, value_name = "skip|queue", value_parser = overlap)]
    pub overlap: Option<Overlap>,
}

/// Rules of retention. A backup stays as long as any of them keeps it; one that is not named stays as it is.
#[derive(Debug, Args)]
pub struct Keep {
    /// Days to keep each backup, or none
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = rule::<i64>)]
    pub retention_days: Option<Rule<i64>>,
    /// Keep the newest N however old they are, or none
    #[arg(long, value_name = "N", value_parser = rule::<u32>)]
    pub keep_last: Option<Rule<u32>>,
    /// Keep the newest of so many hours, days, weeks, months, years, such as daily=7,weekly=4; or none
    #[arg(long, value_name = "RULES", value_parser = gfs)]
    pub gfs: Option<Rule<Gfs>>,
    /// Keep the newest ones that together have at most so many bytes of data, such as 200GiB; or none
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_size: Option<Rule<u64>>,
}

/// Set, or taken away with `none`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule<T>(pub Option<T>);

fn named<T>(text: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Result<Rule<T>, String> {
    if text == "none" { Ok(Rule(None)) } else { read(text).map(|v| Rule(Some(v))) }
}

fn rule<T: std::str::FromStr>(text: &str) -> Result<Rule<T>, String> {
    named(text, |text| text.parse().map_err(|_| "expected is a number, or none".into()))
}

fn size(text: &str) -> Result<Rule<u64>, String> {
    let bytes = |text: &str| {
        text.parse::<bytesize::ByteSize>().map(|b| b.as_u64()).map_err(|_| "expected is a size such as 200GiB, or none".into())
    };
    named(text, bytes)
}

fn gfs(text: &str) -> Result<Rule<Gfs>, String> {
    const KNOWN: &str = "expected is hourly=N,daily=N,weekly=N,monthly=N,yearly=N, or some of them, or none";
    let read = |text: &str| {
        let mut gfs = Gfs::default();
        for one in text.split(',') {
            let (name, count) = one.trim().split_once('=').ok_or(KNOWN)?;
            let count = count.parse().map_err(|_| KNOWN)?;
            let rule = match name {
                "hourly" => &mut gfs.hourly,
                "daily" => &mut gfs.daily,
                "weekly" => &mut gfs.weekly,
                "monthly" => &mut gfs.monthly,
                "yearly" => &mut gfs.yearly,
                _ => return Err(KNOWN.to_owned()),
            };
            *rule = count;
        }
        Ok(gfs)
    };
    named(text, read)
}

fn overlap(text: &str) -> Result<Overlap, String> {
    let found = [Overlap::Skip, Overlap::Queue].into_iter().find(|o| o.as_str() == text);
    found.ok_or_else(|| "expected is skip or queue".into())
}

/// Some, or `every`.
#[derive(Debug, Clone, PartialEq)]
pub enum Each<T> {
    Every,
    Of(Vec<T>),
}

fn each<T>(text: &str, read: impl Fn(&str) -> Option<T>, known: &str) -> Result<Each<T>, String> {
    if text == "every" {
        return Ok(Each::Every);
    }
    let one = |word: &str| read(word.trim()).ok_or_else(|| format!("expected is {known}, with commas between, or every"));
    text.split(',').map(one).collect::<Result<_, _>>().map(Each::Of)
}

fn days(text: &str) -> Result<Each<Weekday>, String> {
    let day = |word: &str| Weekday::ALL.into_iter().find(|d| d.as_str() == word.to_ascii_lowercase());
    each(text, day, "mon, tue, wed, thu, fri, sat, sun")
}

fn hours(text: &str) -> Result<Each<u8>, String> {
    each(text, |word| word.parse().ok().filter(|h| *h < 24), "0 to 23")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_retention_as_they_are_typed() {
        assert_eq!(rule::<u32>("48"), Ok(Rule(Some(48))));
        assert_eq!(rule::<i64>("none"), Ok(Rule(None)));
        assert_eq!(size("2GiB"), Ok(Rule(Some(2 << 30))));
        assert_eq!(gfs("daily=7, weekly=4"), Ok(Rule(Some(Gfs { daily: 7, weekly: 4, ..Gfs::default() }))));
        for bad in ["", "daily", "daily=x", "daily=7,", "fortnightly=1", "daily=-1"] {
            assert!(gfs(bad).is_err(), "{bad}");
        }
        assert!(rule::<u32>("-1").is_err() && size("much").is_err());
    }

    #[test]
    fn how_long_copies_stay_as_it_is_typed() {
        use crate::args::backup::copy_days;
        assert_eq!(copy_days("local=7"), Ok(("local".into(), 7)));
        for bad in ["", "local", "=7", "local=", "local=week", "7"] {
            assert!(copy_days(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_overlaps_is_left_out_or_waits() {
        assert_eq!((overlap("skip"), overlap("queue")), (Ok(Overlap::Skip), Ok(Overlap::Queue)));
        assert!(["", "Queue", "both"].into_iter().all(|bad| overlap(bad).is_err()));
    }

    #[test]
    fn days_and_hours_as_they_are_typed() {
        assert_eq!(days("every"), Ok(Each::Every));
        assert_eq!(days("mon,Wed"), Ok(Each::Of(vec![Weekday::Mon, Weekday::Wed])));
        assert_eq!(hours("3, 15"), Ok(Each::Of(vec![3, 15])));
        for bad in ["", "monday", "mon,", "every,mon"] {
            assert!(days(bad).is_err(), "{bad}");
        }
        for bad in ["", "24", "-1", "3;4", "03:00"] {
            assert!(hours(bad).is_err(), "{bad}");
        }
    }
}
