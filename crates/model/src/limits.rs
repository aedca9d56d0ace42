//! How much of a storage backups may take.

use crate::{Error, Result, error::shown};
use serde::{Deserialize, Serialize};

/// What is absent is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes a second to and from the storage together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<u64>,
    /// Backups and copies written to it at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u32>,
}

/// Below the first a single request of a storage would take longer than servers wait for one.
const BANDWIDTH: std::ops::RangeInclusive<u64> = 100_000..=1_000_000_000_000;
const PARALLEL: std::ops::RangeInclusive<u32> = 1..=1000;

/// What takes a limit away.
pub const NONE: &str = "none";

impl Limits {
    pub fn check(&self) -> Result<()> {
        if self.bandwidth.is_some_and(|b| !BANDWIDTH.contains(&b)) {
            return Err(Error::invalid("bandwidth", "100 kB/s to 1 TB/s (100000 to 1000000000000 bytes a second)"));
        }
        match self.parallel.is_some_and(|n| !PARALLEL.contains(&n)) {
            true => Err(Error::invalid("parallel", "1 to 1000 backups at a time")),
            false => Ok(()),
        }
    }
}

const UNITS: [(&str, u64); 9] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("b", 1),
    ("", 1),
];

/// `20MB/s`, `512KiB/s`, `1.5GB/s`, or bytes a second. Bits are refused: `Mb` and `Mbit` look alike and are
/// an eighth.
pub fn bandwidth(text: &str) -> Result<u64> {
    let bad = || Error::invalid("bandwidth", format!("\"{}\" is not a rate such as 20MB/s or 512KiB/s, in bytes", shown(text)));
    let rate = text.trim().strip_suffix("/s").unwrap_or(text.trim()).trim_end();
    let at = rate.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rate.len());
    let (number, unit) = (&rate[..at], rate[at..].trim());
    if unit.ends_with('b') && unit.len() > 1 {
        return Err(bad());
    }
    let factor = UNITS.iter().find(|(name, _)| unit.eq_ignore_ascii_case(name)).ok_or_else(bad)?.1;
    let number: f64 = number.parse().map_err(|_| bad())?;
    let bytes = (number * factor as f64).round();
    if !bytes.is_finite() || !(1.0..9e15).contains(&bytes) {
        return Err(bad());
    }
    Ok(bytes as u64)
}

/// As a person reads it, and as [`bandwidth`] takes it back.
pub fn rate(bytes: u64) -> String {
    let unit = UNITS[3..7].iter().rev().find(|(_, factor)| bytes >= *factor && (bytes * 10).is_multiple_of(*factor));
    match unit {
        Some((name, factor)) => {
            let (whole, tenth) = (bytes / factor, bytes * 10 / factor % 10);
            let number = if tenth == 0 { whole.to_string() } else { format!("{whole}.{tenth}") };
            let name = if *name == "kb" { "kB".into() } else { name.to_uppercase() };
            format!("{number} {name}/s")
        }
        None => format!("{bytes} B/s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("20MB/s", 20_000_000),
            ("20 MB/s", 20_000_000),
            ("512KiB/s", 524_288),
            ("1.5GB/s", 1_500_000_000),
            ("100kB", 100_000),
            ("100KB/s", 100_000),
            ("250000", 250_000),
            ("250000B/s", 250_000),
        ] {
            assert_eq!(bandwidth(text).unwrap(), bytes, "{text}");
        }
        for bad in ["", "fast", "20Mb/s", "20Mbit/s", "-1MB/s", "MB/s", "1e9", "20MB/h", "1..5MB/s", "0", "99999999TB/s"] {
            assert_eq!(bandwidth(bad).unwrap_err().field.as_deref(), Some("bandwidth"), "{bad}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for (bytes, text) in [(20_000_000, "20 MB/s"), (1_500_000_000, "1.5 GB/s"), (524_288, "524288 B/s"), (100_000, "100 kB/s")] {
            assert_eq!((rate(bytes).as_str(), bandwidth(&rate(bytes)).unwrap()), (text, bytes));
        }
    }

    #[test]
    fn ranges_are_said() {
        let fails = |limits: Limits| limits.check().err().and_then(|e| e.field);
        assert_eq!(fails(Limits { bandwidth: Some(99_999), parallel: None }).as_deref(), Some("bandwidth"));
        assert_eq!(fails(Limits { bandwidth: None, parallel: Some(0) }).as_deref(), Some("parallel"));
        assert_eq!(fails(Limits { bandwidth: Some(100_000), parallel: Some(1) }), None);
    }
}
