//! Looks at a directory on another machine by doing what backups will do.

use super::{Put, Sftp, read};
use bytes::Bytes;
use mainstay_drivers::storage::StorageReport;
use mainstay_model::{Error, Result, backup::Check};
use russh_sftp::extensions::{FSYNC, STATVFS};

/// Below this a place is called full.
const LITTLE: u64 = 1 << 30;

pub async fn check(sftp: &Sftp) -> Result<StorageReport> {
    let mut report = StorageReport { rows: vec![], free_bytes: None, total_bytes: None };
    let reached = sftp.link.with(async |_| Ok(())).await.map(drop);
    let there = reached.is_ok();
    report.rows.push(row("reach", reached, "the host shows the pinned key, and let us in"));
    if !there {
        return Ok(report);
    }
    let made = sftp.make_dirs(&format!("{}/tmp", sftp.root)).await;
    let usable = made.is_ok();
    report.rows.push(row("directory", made, "the directory is there"));
    if usable {
        exercise(sftp, &mut report.rows).await;
        space(sftp, &mut report).await?;
    }
    Ok(report)
}

fn row(name: &str, outcome: Result<()>, good: &str) -> Check {
    match outcome {
        Ok(()) => Check::new(name, true, good),
        Err(e) => Check::new(name, false, e.message),
    }
}

async fn exercise(sftp: &Sftp, rows: &mut Vec<Check>) {
    let content: Bytes = (0..256 << 10).map(|_| rand::random::<u8>()).collect::<Vec<_>>().into();
    let path = format!("{}/.mainstay-probe-{:016x}", sftp.root, rand::random::<u64>());
    let wrote = sftp.put(&path, std::slice::from_ref(&content)).await.map(drop);
    let written = wrote.is_ok();
    rows.push(row("write", wrote, "wrote a file and renamed it"));
    if !written {
        return;
    }
    let same = |got: &[u8], wanted: &[u8]| match got == wanted {
        true => Ok(()),
        false => Err(Error::integrity("the server does not give back what was written; do not keep backups there")),
    };
    let whole = sftp.read_whole(&path).await.and_then(|got| same(&got, &content));
    rows.push(row("read", whole, "read it back, equal to what was written"));
    let part = sftp.must("reading", &path, async |s| read(s, &path, 1000, 50_000).await).await;
    rows.push(row("ranged_read", part.and_then(|got| same(&got, &content[1000..51_000])), "read a part of it, and that part only"));
    rows.push(row("list_after_write", listed(sftp, &path, true).await, "it was in the list at once"));
    rows.push(row("conditional_put", kept(sftp, &path).await, "a name that is taken is not written over"));
    let removed = match sftp.remove_file(&path).await {
        Ok(()) => listed(sftp, &path, false).await,
        Err(e) => Err(e),
    };
    rows.push(row("delete", removed, "removed it, and it is gone from the list"));
    // The directory of a storage holds projects; this one was only for the probe.
    let tmp = format!("{}/tmp", sftp.root);
    let _ = sftp.link.with(async |s| s.sftp.rmdir(&tmp).await).await;
}

async fn kept(sftp: &Sftp, path: &str) -> Result<()> {
    match sftp.put(path, &[Bytes::from_static(b"other")]).await? {
        Put::Taken => Ok(()),
        Put::Written => {
            Err(Error::failed("overwrites", "the server renames over what is there; a backup needs one that refuses (OpenSSH does)"))
        }
    }
}

async fn listed(sftp: &Sftp, path: &str, wanted: bool) -> Result<()> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let there = sftp.entries(&sftp.root).await?.unwrap_or_default().iter().any(|f| f.filename == name);
    match there == wanted {
        true => Ok(()),
        false => Err(Error::failed(
            "stale_list",
            "what was just written or removed does not show in the directory; a backup needs one that is up to date",
        )),
    }
}

/// Bytes that are free and that there are, where the server says so.
pub async fn room(sftp: &Sftp) -> Result<Option<(u64, u64)>> {
    if !sftp.must("asking", &sftp.root, async |s| Ok(s.has(STATVFS))).await? {
        return Ok(None);
    }
    let fs = sftp.must("asking for the space of", &sftp.root, async |s| s.sftp.statvfs(&sftp.root).await).await?;
    let bytes = |blocks: u64| blocks.saturating_mul(fs.fragment_size);
    Ok(Some((bytes(fs.blocks_avail), bytes(fs.blocks))))
}

/// Whether files are synced, and how much room there is.
async fn space(sftp: &Sftp, report: &mut StorageReport) -> Result<()> {
    let sync = sftp.must("asking", &sftp.root, async |s| Ok(s.has(FSYNC))).await?;
    report.rows.push(match sync {
        true => Check::new("sync", true, "files are synced to its disk before they count"),
        false => Check::absent(
            "sync",
            "the server cannot be asked to sync a file to its disk; after a power cut there the newest backups may be damaged",
        ),
    });
    let Some((free, total)) = room(sftp).await? else {
        report.rows.push(Check::absent("space", "unknown: the server does not say how much room is left; watch it there"));
        return Ok(());
    };
    (report.free_bytes, report.total_bytes) = (Some(free), Some(total));
    let said = format!("{} MiB free", free >> 20);
    report.rows.push(match free >= LITTLE {
        true => Check::new("space", true, said),
        false => Check::new("space", false, format!("only {said}; free some or choose a larger disk")),
    });
    Ok(())
}
