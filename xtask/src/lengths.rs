//! Lengths by ratchet: a file has at most 500 lines and a function 60 (that one is clippy's), and what is
//! longer already may not grow. `xtask/lengths.txt` names those with their length.

use crate::source::File;
use std::{collections::BTreeMap, path::Path};

const MOST: usize = 500;

pub fn check(root: &Path, files: &[File]) -> Vec<String> {
    let known = std::fs::read_to_string(root.join("xtask/lengths.txt")).unwrap_or_default();
    faults(files, &parse(&known))
}

fn parse(text: &str) -> BTreeMap<String, usize> {
    let row = |l: &str| {
        let (path, lines) = l.split_once(' ')?;
        Some((path.to_string(), lines.trim().parse().ok()?))
    };
    text.lines().filter_map(row).collect()
}

fn faults(files: &[File], known: &BTreeMap<String, usize>) -> Vec<String> {
    let mut out = Vec::new();
    for file in files.iter().filter(|f| !f.is_test()) {
        let most = known.get(&file.path).copied().unwrap_or(MOST);
        if file.lines.len() > most {
            out.push(format!("crates/{}: {} lines, {most} at most: is it two things?", file.path, file.lines.len()));
        }
        if most > MOST && file.lines.len() < most {
            out.push(format!("crates/{}: {} lines by now; tighten xtask/lengths.txt", file.path, file.lines.len()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_may_not_grow() {
        let file = |n: usize| File { path: "a/src/b.rs".into(), lines: vec![String::new(); n] };
        let known = parse("a/src/b.rs 600\n");
        assert!(faults(&[file(500)], &BTreeMap::new()).is_empty());
        assert_eq!(faults(&[file(501)], &BTreeMap::new()).len(), 1);
        assert!(faults(&[file(600)], &known).is_empty());
        assert_eq!(faults(&[file(601)], &known).len(), 1);
        assert_eq!(faults(&[file(590)], &known).len(), 1);
    }
}
