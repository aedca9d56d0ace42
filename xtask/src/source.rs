//! Rust sources as lines, with comments and test modules told apart from the rest.

use std::path::{Path, PathBuf};

pub struct File {
    /// Below `crates/`: `control/src/app.rs`.
    pub path: String,
    /// Lines that count: those before the first `#[cfg(test)]` module.
    pub lines: Vec<String>,
}

impl File {
    pub fn room(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }
    pub fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.contains("/benches/") || self.path.contains("/examples/")
    }
    /// Code without comment lines and trailing comments.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines.iter().enumerate().filter_map(|(i, l)| {
            let code = l.split("//").next().unwrap_or_default();
            (!code.trim().is_empty()).then_some((i + 1, code))
        })
    }
}

pub fn read(dir: &Path) -> Vec<File> {
    let mut paths = Vec::new();
    collect(dir, &mut paths);
    paths.sort();
    paths
        .iter()
        .filter_map(|p| {
            let text = std::fs::read_to_string(p).ok()?;
            let path = p.strip_prefix(dir).ok()?.to_string_lossy().into_owned();
            let lines = text.lines().take_while(|l| l.trim() != "#[cfg(test)]").map(String::from).collect();
            Some(File { path, lines })
        })
        .collect()
}

fn collect(dir: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for path in entries.flatten().map(|e| e.path()) {
        if path.is_dir() && path.file_name().is_some_and(|n| n != "target") {
            collect(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}
