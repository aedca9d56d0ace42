//! A file system of a test's own, in a file: for what only a real one can show.

#![allow(clippy::disallowed_methods, reason = "a test's disk is made by the tools a person would use")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Mounted at [`Disk::path`] and gone with the value.
pub struct Disk {
    dir: tempfile::TempDir,
}

impl Disk {
    /// `kind` as `mkfs` names it. `None`, with a line that says so, where this machine cannot mount one.
    pub fn mount(kind: &str, mebibytes: u64) -> Option<Disk> {
        if !is_root() {
            return skipped(kind, "only root may mount");
        }
        let disk = Disk { dir: tempfile::tempdir().ok()? };
        let image = disk.dir.path().join("image");
        let made = std::fs::File::create(&image).and_then(|f| f.set_len(mebibytes << 20));
        if let Err(e) = made.and_then(|()| std::fs::create_dir(disk.path())) {
            return skipped(kind, &e.to_string());
        }
        let quiet: &[&str] = if kind == "ext4" { &["-q", "-F"] } else { &["-q"] };
        if let Err(why) = run(Command::new(format!("/sbin/mkfs.{kind}")).args(quiet).arg(&image)) {
            return skipped(kind, &format!("scripts/setup.sh test installs mkfs.{kind}: {why}"));
        }
        match run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(disk.path())) {
            Ok(()) => Some(disk),
            Err(why) => skipped(kind, &why),
        }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("m")
    }

    /// Bytes that are left, after everything written has reached the disk.
    pub fn free(&self) -> u64 {
        let _ = run(Command::new("sync").arg("-f").arg(self.path()));
        let said = Command::new("df").args(["--output=avail", "-B1"]).arg(self.path()).output();
        let text = said.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
        text.split_whitespace().last().and_then(|n| n.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for _ in 0..50 {
            match run(Command::new("umount").arg(self.path())) {
                Ok(()) => return,
                Err(why) if why.contains("not mounted") => return,
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(100)),
            }
        }
        // Somebody of the test still has a file open: it goes when they do.
        let _ = run(Command::new("umount").arg("-l").arg(self.path()));
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(Path::new("/proc/self")).is_ok_and(|m| m.uid() == 0)
}

fn skipped(kind: &str, why: &str) -> Option<Disk> {
    crate::skipped(&format!("{kind} on a loop device: {}", why.trim()));
    None
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| e.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
