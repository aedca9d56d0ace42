//! What Borg says when something is wrong, as the product's one error. Borg writes one JSON object a
//! line (`--log-json`) and ends with 1 after warnings: a warning is a failure here, for it may be a
//! file that was left out.

use mainstay_drivers::runtime::ExecOutput;
use mainstay_model::{Error, Kind, Result};
use serde::Deserialize;
use std::io;

pub const NO_REPOSITORY: &str = "no_repository";
pub const WRONG_KEY: &str = "wrong_key";
pub const LOCKED: &str = "repository_locked";
const BROKEN: &str = "borg_pipe_broken";

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    message: String,
    #[serde(default)]
    levelname: String,
    #[serde(default)]
    msgid: String,
}

/// The other side of a pipe went away: an echo of its own trouble.
pub fn broken(e: io::Error) -> Error {
    match e.kind() {
        io::ErrorKind::BrokenPipe => Error::failed(BROKEN, "Borg went away in the middle of the data"),
        _ => Error::from(e).context("talking with Borg"),
    }
}

/// What Borg says when a whole repository is to be removed that may not be.
pub fn is_append_only(e: &Error) -> bool {
    e.inside.as_deref().is_some_and(|text| text.contains("append-only"))
}

pub fn is_broken_pipe(e: &Error) -> bool {
    e.code == BROKEN
}

/// Messages of a level, or lines that are none of Borg's.
fn said(stderr: &str) -> Vec<Said> {
    stderr
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            serde_json::from_str(line).unwrap_or_else(|_| Said {
                message: line.to_owned(),
                levelname: "OTHER".into(),
                msgid: String::new(),
            })
        })
        .collect()
}

/// Notes that Borg logs for the administrator, by its name for them.
pub fn notes(out: &ExecOutput) -> Vec<String> {
    said(&out.stderr).into_iter().map(|s| s.message).collect()
}

pub fn judge(verb: &str, url: &str, out: &ExecOutput) -> Result<()> {
    if out.status == 0 {
        return Ok(());
    }
    let all = said(&out.stderr);
    let told: Vec<&Said> = all.iter().filter(|s| !matches!(s.levelname.as_str(), "INFO" | "DEBUG")).collect();
    let id = told.iter().map(|s| s.msgid.as_str()).find(|id| !id.is_empty() && *id != "Exception").unwrap_or_default();
    let text = told.iter().map(|s| s.message.trim()).filter(|m| !m.is_empty()).collect::<Vec<_>>().join("; ");
    Err(error(verb, url, id, &text, out.status).with_inside(text))
}

fn error(verb: &str, url: &str, id: &str, text: &str, status: i32) -> Error {
    let has = |word: &str| text.contains(word);
    let first: String = text.chars().take(600).collect();
    if has("Host key verification failed") || has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        let why = "the host shows another key than the one it was given; nothing was sent to it. If the host was set up anew, give its new key with --host-key";
        return Error::forbidden(format!("{url}: {why}")).with_code("host_key_mismatch");
    }
    if has("Permission denied (") {
        return Error::forbidden(format!("{url}: the host does not let this key in; put its public half into authorized_keys there"))
            .with_code("login_refused");
    }
    let class = id.rsplit('.').next().unwrap_or(id);
    match class {
        "DoesNotExist" if id.starts_with("Archive") => Error::not_found("snapshot", url),
        "DoesNotExist" | "ParentPathDoesNotExist" => {
            Error::new(Kind::NotFound, NO_REPOSITORY, format!("no Borg repository at {url}"))
        }
        "PassphraseWrong" => Error::forbidden(format!(
            "the Borg repository at {url} does not open with Mainstay's key; it belongs to another installation, or its passphrase was changed: change it back with borg key change-passphrase"
        ))
        .with_code(WRONG_KEY),
        "LockTimeout" | "LockFailed" | "LockErrorT" | "NotLocked" => Error::unavailable(
            LOCKED,
            format!("{url} is locked by another Borg process; wait for it, or if it is gone for certain: borg break-lock {url} ({first})"),
        ),
        "PathNotAllowed" => Error::forbidden(format!("{url}: the host's forced command restricts this key to another path ({first})")),
        "RepositoryAccessAborted" | "RepositoryReplay" | "EncryptionMethodMismatch" | "RepositoryIDNotUnique" => Error::forbidden(format!(
            "{url} is not the repository it was before: {first}. If it was moved or restored on purpose, remove its entry below agent/borg/home in the data directory"
        ))
        .with_code("repository_changed"),
        "InsufficientFreeSpaceError" | "StorageQuotaExceeded" => Error::new(Kind::NoSpace, "no_space", format!("{url} is full: {first}; free space there")),
        _ if has("No space left on device") => Error::new(Kind::NoSpace, "no_space", format!("{url} is full; free space there")),
        "ConnectionClosed" | "ConnectionClosedWithHint" | "UnexpectedRPCDataFormatFromServer" => Error::unavailable(
            "storage_unreachable",
            format!("{url} does not answer as a Borg server: {first}; look that the host is up and that borg is installed there"),
        ),
        _ if is_damage(class, text) || verb == "check" => {
            Error::integrity(format!("the Borg repository at {url} is damaged: {first}; backups after it are sound once they are verified, see also: borg check {url}"))
        }
        _ if status < 0 => Error::failed("borg_killed", format!("borg {verb} on {url} was killed by signal {}", -status)),
        _ => Error::failed("borg_failed", format!("borg {verb} on {url} failed (status {status}): {first}")),
    }
}

fn is_damage(class: &str, text: &str) -> bool {
    class.contains("Integrity")
        || matches!(class, "ObjectNotFound" | "CheckNeeded" | "InvalidRepository" | "NoManifestError" | "FileIntegrityError")
        || ["Data integrity error", "IntegrityError", "checksum mismatch", "not found in repository"].iter().any(|w| text.contains(w))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(line: &str) -> Error {
        judge("list", "/r", &ExecOutput { status: 2, stdout: vec![], stderr: line.into() }).unwrap_err()
    }

    #[test]
    fn borgs_words_become_kinds() {
        let gone =
            r#"{"type":"log_message","message":"Repository /r does not exist.","levelname":"ERROR","msgid":"Repository.DoesNotExist"}"#;
        assert_eq!((judged(gone).kind, judged(gone).code.as_str()), (Kind::NotFound, NO_REPOSITORY));
        let wrong = r#"{"message":"passphrase supplied ... is incorrect.","levelname":"ERROR","msgid":"PassphraseWrong"}"#;
        assert_eq!(judged(wrong).code, "wrong_key");
        let torn = r#"{"message":"Data integrity error: Segment entry checksum mismatch [segment 3, offset 8]","levelname":"ERROR","msgid":"IntegrityError"}"#;
        assert_eq!(judged(torn).kind, Kind::Integrity);
        assert!(judged(torn).message.contains("segment 3"));
        assert_eq!(judged("Host key verification failed.\r\n").code, "host_key_mismatch");
        assert_eq!(judged("something new").code, "borg_failed");
    }
}
