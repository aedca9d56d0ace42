//! The list of files with size and checksum, in the format of PostgreSQL's own base backups, so that
//! `pg_verifybackup` judges a restored directory without Mainstay.

use super::ledger::{Line, Sum};
use crate::postgres::tools::lsn;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The log that makes the files consistent.
pub(super) struct Range {
    pub timeline: u32,
    pub start: u64,
    pub stop: u64,
}

/// Every version reads format 1; format 2 adds only what incremental backups need.
pub(super) fn render(files: &[Line], range: &Range) -> String {
    let mut out = String::from("{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n");
    for (i, file) in files.iter().enumerate() {
        let comma = if i + 1 == files.len() { "" } else { "," };
        let _ = writeln!(
            out,
            "{{ \"Path\": {}, \"Size\": {}, \"Last-Modified\": \"{}\", \"Checksum-Algorithm\": \"{}\", \"Checksum\": \"{}\" }}{comma}",
            serde_json::Value::from(file.path.as_str()),
            file.size,
            stamp(file.modified),
            file.sum.algorithm,
            file.sum.hex,
        );
    }
    let (start, stop) = (lsn(range.start), lsn(range.stop));
    let _ = write!(
        out,
        "],\n\"WAL-Ranges\": [\n{{ \"Timeline\": {}, \"Start-LSN\": \"{start}\", \"End-LSN\": \"{stop}\" }}\n],\n",
        range.timeline
    );
    let sum = hex::encode(Sha256::digest(out.as_bytes()));
    let _ = writeln!(out, "\"Manifest-Checksum\": \"{sum}\"}}");
    out
}

const SUM: &str = "\"Manifest-Checksum\"";

#[derive(Deserialize)]
struct List {
    #[serde(rename = "Files")]
    files: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    path: String,
    size: u64,
    #[serde(rename = "Last-Modified")]
    last_modified: String,
    #[serde(rename = "Checksum-Algorithm")]
    algorithm: String,
    checksum: String,
}

/// The files of a list that [`render`] wrote; `None` for one that is not as it was written.
pub(super) fn parse(list: &[u8]) -> Option<Vec<Line>> {
    let text = std::str::from_utf8(list).ok()?;
    let body = &text[..text.rfind(SUM)?];
    if !text.contains(&hex::encode(Sha256::digest(body.as_bytes()))) {
        return None;
    }
    let line = |f: Listed| {
        let modified = jiff::fmt::strtime::parse("%Y-%m-%d %H:%M:%S", f.last_modified.strip_suffix(" GMT")?).ok()?;
        let modified = modified.to_datetime().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
        Some(Line { path: f.path, size: f.size, modified, sum: Sum { algorithm: f.algorithm, hex: f.checksum }, pieces: None })
    };
    serde_json::from_str::<List>(text).ok()?.files.into_iter().map(line).collect()
}

fn stamp(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%d %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_json_and_sums_itself() {
        let line = Line {
            path: "a\"b".into(),
            size: 3,
            modified: 86_400,
            sum: Sum { algorithm: "SHA256".into(), hex: "00".into() },
            pieces: None,
        };
        let lines = [line.clone(), Line { path: "b".into(), sum: Sum { algorithm: "CRC32C".into(), hex: "01".into() }, ..line }];
        let text = render(&lines, &Range { timeline: 1, start: 0x200_0028, stop: 0x200_0100 });
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["Files"][0]["Path"], "a\"b");
        assert_eq!(json["Files"][1]["Last-Modified"], "1970-01-02 00:00:00 GMT");
        assert_eq!(json["WAL-Ranges"][0]["End-LSN"], "0/2000100");
        let body = &text[..text.rfind("\"Manifest-Checksum\"").unwrap()];
        assert_eq!(json["Manifest-Checksum"], hex::encode(Sha256::digest(body.as_bytes())));
        assert_eq!(parse(text.as_bytes()).unwrap(), lines, "what is written reads back");
        for bad in [text.replace("\"Size\": 3", "\"Size\": 4"), text[..text.len() / 2].to_string(), String::new()] {
            assert_eq!(parse(bad.as_bytes()), None);
        }
    }
}
