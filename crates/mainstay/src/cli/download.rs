//! `mainstay backup download`: whole under its name, or not at all.

use super::backup;
use crate::{
    args::backup::Download,
    exit::{Exit, Failure, Outcome},
    output::{Show, bytes, card, note},
    progress::byte_bar,
    session::Session,
};
use futures::StreamExt;
use mainstay_model::Error;
use serde::Serialize;
use std::{
    io::Write,
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

#[derive(Serialize)]
struct Downloaded {
    backup: String,
    file: PathBuf,
    bytes: u64,
    encrypted: bool,
}

pub async fn run(s: &Session, a: Download) -> Outcome {
    if a.file.exists() && !s.common.yes {
        return Err(Failure::usage(format!("{} exists already; --yes replaces it", a.file.display())));
    }
    if s.common.dry_run {
        note(format!("would write backup {} to {}, not encrypted", a.backup, a.file.display()));
        return Ok(Exit::Done);
    }
    note(format!("warning: {} will not be encrypted; whoever reads it reads the data", a.file.display()));
    let mut file = beside(&a.file)?;
    let written = fetch(s, &a.backup, &mut file).await?;
    file.as_file().sync_all().map_err(Error::from)?;
    let kept = if s.common.yes { file.persist(&a.file) } else { file.persist_noclobber(&a.file) };
    kept.map_err(|e| Error::from(e.error).context(a.file.display()))?;
    s.show(&Downloaded { backup: a.backup, file: a.file, bytes: written, encrypted: false })?;
    Ok(Exit::Done)
}

/// Readable by its owner only, from the first byte.
fn beside(file: &Path) -> Outcome<NamedTempFile> {
    let dir = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let made = tempfile::Builder::new().prefix(".mainstay-").suffix(".part").tempfile_in(dir);
    made.map_err(|e| Failure::usage(format!("{} cannot be written in: {e}", dir.display())))
}

async fn fetch(s: &Session, id: &str, file: &mut NamedTempFile) -> Outcome<u64> {
    let (mut stream, size, _) = s.heard(s.client.download(&format!("{}/download", backup::path(id)), &s.with(&[])).await)?;
    let bar = byte_bar(size);
    let mut written = 0u64;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        file.write_all(&chunk).map_err(Error::from)?;
        written += chunk.len() as u64;
        bar.iter().for_each(|b| b.set_position(written));
    }
    if size.is_some_and(|n| n != written) {
        return Err(Error::integrity(format!("the download ended after {} of {}", bytes(written), bytes(size.unwrap_or(0)))).into());
    }
    Ok(written)
}

impl Show for Downloaded {
    fn people(&self) -> String {
        card(&[("file", self.file.display().to_string()), ("size", bytes(self.bytes)), ("encrypted", "no".into())])
    }
}
