//! What only a store in a file needs: its path, its permissions, its copy.

use mainstay_model::{Error, Result};
use sqlx::{AnyConnection, sqlite::SqliteConnectOptions};
use std::{
    fmt::Write,
    fs::{File, OpenOptions},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    str::FromStr,
};

/// The URL of a store in the file `path`, whatever characters that has.
pub fn url(path: &Path) -> Result<String> {
    let text = path.to_str().ok_or_else(|| Error::invalid("data_dir", format!("{} is not UTF-8", path.display())))?;
    let mut url = String::from("sqlite://");
    for b in text.bytes() {
        match b {
            b'/' | b'.' | b'-' | b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => url.push(char::from(b)),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(url, "%{b:02X}");
            }
        }
    }
    Ok(url)
}

/// The file that `url` names.
pub(crate) fn path(url: &str) -> Result<PathBuf> {
    let options = SqliteConnectOptions::from_str(url).map_err(crate::error)?;
    let path = options.get_filename();
    if path.is_absolute() {
        return Ok(path.to_path_buf());
    }
    let message = format!("the store must be a file with an absolute path (sqlite:///var/lib/...), not {}", path.display());
    Err(Error::failed("store_url", message))
}

/// Creates the file if it is missing, readable by its owner only. SQLite gives its journal files
/// the permissions of this one, so it must not be SQLite that creates it.
pub(crate) fn prepare(url: &str) -> Result<()> {
    let path = path(url)?;
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    opened.map(drop).map_err(|e| Error::from(e).context(format!("cannot open the store {}", path.display())))
}

/// Copies the whole store to a file beside it, complete or not at all. Not to be called inside a
/// transaction.
pub(crate) async fn copy(conn: &mut AnyConnection, name: &str) -> Result<PathBuf> {
    let source = file(conn).await?;
    let beside = |suffix: &str| PathBuf::from(format!("{}.{suffix}", source.display()));
    let (partial, target) = (beside(&format!("{name}.partial")), beside(name));
    let failed = |e: std::io::Error| Error::from(e).context(format!("cannot copy the store to {}", target.display()));
    if partial.exists() {
        std::fs::remove_file(&partial).map_err(failed)?;
    }
    copy_to(conn, &partial).await?;
    settle(&partial, &target).map_err(failed)?;
    Ok(target)
}

/// Copies the whole store to the new file `target`. Not to be called inside a transaction.
pub(crate) async fn copy_to(conn: &mut AnyConnection, target: &Path) -> Result<()> {
    let context = || format!("cannot copy the store to {}", target.display());
    // Created before SQLite writes it: an empty file is taken as it is, with its permissions.
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(target);
    created.map_err(|e| Error::from(e).context(context()))?;
    let done = sqlx::query("VACUUM INTO $1").bind(target.display().to_string()).execute(conn).await;
    if let Err(e) = done {
        // What is left of the copy would only take space; the error that matters is the first one.
        let _ = std::fs::remove_file(target);
        return Err(crate::error(e).context(context()));
    }
    Ok(())
}

fn settle(partial: &Path, target: &Path) -> std::io::Result<()> {
    let file = File::open(partial)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    file.sync_all()?;
    std::fs::rename(partial, target)?;
    let directory = target.parent().unwrap_or(Path::new("/"));
    File::open(directory)?.sync_all()
}

async fn file(conn: &mut AnyConnection) -> Result<PathBuf> {
    let sql = "SELECT file FROM pragma_database_list WHERE name = 'main'";
    let file: String = sqlx::query_scalar(sql).fetch_one(conn).await.map_err(crate::error)?;
    Ok(PathBuf::from(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_survives_the_url() {
        for p in ["/var/lib/mainstay/mainstay.db", "/tmp/a b/ü?#%20&;'\"/x.db", "/tmp/Ärger/.."] {
            assert_eq!(path(&url(Path::new(p)).unwrap()).unwrap(), Path::new(p));
        }
    }

    #[test]
    fn only_absolute_files_are_stores() {
        for bad in ["sqlite::memory:", "sqlite://x.db", "sqlite://:memory:", "sqlite://", "sqlite:///x?mode=what"] {
            assert!(path(bad).is_err(), "{bad}");
        }
    }
}
