//! Opening a store, and how reads and writes begin.
//!
//! There are two pools. Writes go through one with a single connection, so that writers of this
//! process queue fairly in memory and not in a busy loop inside the database; against other
//! processes a write holds the store's own lock (`BEGIN IMMEDIATE`, or a table lock) from its
//! start. Reads have a pool of their own whose connections refuse to write; on both stores they
//! go on beside a write and see what was committed before.

use crate::{Sealer, error, error::is_rerun, schema, secrets, sqlite};
use mainstay_model::{Error, Result, Secret};
use sqlx::{Any, AnyConnection, AnyPool, Connection, Transaction, any::AnyConnectOptions, pool::PoolConnection, pool::PoolOptions};
use std::{path::Path, pin::Pin, str::FromStr, sync::Arc, time::Duration};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    fn of(url: &str) -> Result<Kind> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Ok(Kind::Sqlite),
            Some("postgres" | "postgresql") => Ok(Kind::Postgres),
            // The URL itself is not shown: it may hold a password.
            _ => Err(Error::failed("store_url", "the store's URL must start with sqlite: or postgres:")),
        }
    }
}

/// How long a write waits for its turn before it gives up as busy.
const TURN: Duration = Duration::from_secs(15);
const READERS: u32 = 8;
const ATTEMPTS: u32 = 5;

const SQLITE: [&str; 6] = [
    "PRAGMA busy_timeout = 10000",
    "PRAGMA journal_mode = WAL",
    // Each commit is on the disk before it is answered: NORMAL would lose the last ones with the power.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA journal_size_limit = 67108864",
];
const POSTGRES: [&str; 2] = [
    "SET lock_timeout = '10s'",
    // A control plane that stopped in the middle of a write must not hold up the next one for ever.
    "SET idle_in_transaction_session_timeout = '60s'",
];

#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    readers: AnyPool,
    writer: AnyPool,
    kind: Kind,
    sealer: Sealer,
}

/// What [`Store::write`] runs: everything it does, it does through the connection.
pub type Work<'c, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'c>>;

impl Store {
    /// Opens the store at `url` (`sqlite:///absolute/path` or `postgres://..`), creates or
    /// migrates its tables, and checks that `sealer` has the key its secrets were sealed with.
    pub async fn open(url: &str, sealer: Sealer) -> Result<Store> {
        let kind = Kind::of(url)?;
        let writer = writer(url, kind).await?;
        schema::migrate(&writer, kind).await?;
        let readers = pool(kind, true).max_connections(READERS).connect_lazy_with(options(url)?);
        let store = Store(Arc::new(Inner { readers, writer, kind, sealer }));
        store.check_key().await?;
        Ok(store)
    }

    /// For reads only. Shared with the journal.
    pub fn pool(&self) -> &AnyPool {
        &self.0.readers
    }

    pub async fn read(&self) -> Result<PoolConnection<Any>> {
        self.0.readers.acquire().await.map_err(error)
    }

    /// Starts a write. From here to its end nobody else writes, in this process or another, so
    /// keep it short and never wait for the world in it. A second write begun inside the first
    /// waits for itself and ends as busy. Dropped, it is rolled back; see [`crate::commit`].
    pub async fn begin_write(&self) -> Result<Transaction<'static, Any>> {
        if self.0.kind == Kind::Sqlite {
            return self.0.writer.begin_with("BEGIN IMMEDIATE").await.map_err(error);
        }
        let mut tx = self.0.writer.begin_with("BEGIN ISOLATION LEVEL SERIALIZABLE").await.map_err(error)?;
        // Taken before the first query, hence before the snapshot: what this write reads includes
        // all that the writes before it committed, and it cannot fail to serialise.
        sqlx::raw_sql("LOCK TABLE write_turn IN EXCLUSIVE MODE").execute(&mut *tx).await.map_err(error)?;
        Ok(tx)
    }

    /// Runs `work` in a write and commits it; again, up to five times, where only the moment was
    /// to blame.
    pub async fn write<T, F>(&self, mut work: F) -> Result<T>
    where
        F: for<'c> FnMut(&'c mut AnyConnection) -> Work<'c, T>,
    {
        let mut attempt = 1;
        loop {
            match self.try_write(&mut work).await {
                Err(e) if is_rerun(&e) && attempt < ATTEMPTS => {
                    tracing::debug!(attempt, error = %e, "a write is tried again");
                    tokio::time::sleep(Duration::from_millis(10 << attempt)).await;
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    async fn try_write<T, F>(&self, work: &mut F) -> Result<T>
    where
        F: for<'c> FnMut(&'c mut AnyConnection) -> Work<'c, T>,
    {
        let mut tx = self.begin_write().await?;
        let value = work(&mut tx).await?;
        error::commit(tx).await?;
        Ok(value)
    }

    pub fn sealer(&self) -> &Sealer {
        &self.0.sealer
    }

    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Writes the whole store, as of one moment, to the new file `target`, which only its owner may
    /// read. What goes on meanwhile is not held up for longer than the copy takes.
    pub async fn copy_to(&self, target: &Path) -> Result<()> {
        if self.0.kind == Kind::Postgres {
            let why = "a store in PostgreSQL is copied with PostgreSQL's own means (pg_dump), not by Mainstay";
            return Err(Error::conflict("store_not_copied", why));
        }
        let mut conn = self.0.writer.acquire().await.map_err(error)?;
        sqlite::copy_to(&mut conn, target).await
    }

    /// Ends all connections; SQLite then folds its journal into the one file.
    pub async fn close(&self) {
        self.0.readers.close().await;
        self.0.writer.close().await;
    }

    /// With the wrong key everything would seem well until the first secret is needed.
    async fn check_key(&self) -> Result<()> {
        const OWNER: &str = "store";
        const KIND: &str = "key-check";
        let mut tx = self.begin_write().await?;
        let found = secrets::get(&mut tx, self.sealer(), OWNER, KIND).await;
        match found.map_err(|_| wrong_key())? {
            Some(_) => Ok(()),
            None => {
                secrets::put(&mut tx, self.sealer(), OWNER, KIND, &Secret::new("mainstay")).await?;
                error::commit(tx).await
            }
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("kind", &self.0.kind).finish_non_exhaustive()
    }
}

fn wrong_key() -> Error {
    Error::integrity("the key file does not belong to this store: put back the one it was created with (`key` in the data directory)")
        .with_code("wrong_key")
}

fn options(url: &str) -> Result<AnyConnectOptions> {
    AnyConnectOptions::from_str(url).map_err(error)
}

/// The pool of one connection that all writes go through.
pub(crate) async fn writer(url: &str, kind: Kind) -> Result<AnyPool> {
    sqlx::any::install_default_drivers();
    if kind == Kind::Sqlite {
        sqlite::prepare(url)?;
    }
    let pool = pool(kind, false).max_connections(1).acquire_timeout(TURN);
    pool.connect_with(options(url)?).await.map_err(|e| error(e).context("cannot open the store"))
}

fn pool(kind: Kind, read_only: bool) -> PoolOptions<Any> {
    let settings: &'static [&'static str] = match kind {
        Kind::Sqlite => &SQLITE,
        Kind::Postgres => &POSTGRES,
    };
    let read_only = read_only.then_some(match kind {
        Kind::Sqlite => "PRAGMA query_only = ON",
        Kind::Postgres => "SET default_transaction_read_only = on",
    });
    PoolOptions::new()
        // A file does not go away between two queries; a server does.
        .test_before_acquire(kind == Kind::Postgres)
        // On a full disk SQLite ends the transaction by itself; the ROLLBACK that follows fails and
        // sqlx counts the connection as in a transaction for ever. Without this check the one
        // writer would stay unusable after there is space again.
        .before_acquire(|conn: &mut AnyConnection, _| Box::pin(async move { Ok(!conn.is_in_transaction()) }))
        .after_connect(move |conn, _| {
            Box::pin(async move {
                for sql in settings.iter().copied().chain(read_only) {
                    sqlx::raw_sql(sql).execute(&mut *conn).await?;
                }
                Ok(())
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv;
    use mainstay_model::Kind as ErrorKind;

    async fn pragma(store: &Store, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&store.0.writer).await.unwrap();
    }

    async fn put(store: &Store, value: &str) -> Result<()> {
        let mut tx = store.begin_write().await?;
        kv::put(&mut tx, "a", value).await?;
        error::commit(tx).await
    }

    #[tokio::test]
    async fn a_full_store_says_so_and_goes_on_when_there_is_space_again() {
        let dir = tempfile::tempdir().unwrap();
        let url = sqlite::url(&dir.path().join("store.db")).unwrap();
        let store = Store::open(&url, Sealer::from_key([1; 32])).await.unwrap();
        put(&store, "small").await.unwrap();
        pragma(&store, "PRAGMA max_page_count = 1").await;
        let e = put(&store, &"x".repeat(1_000_000)).await.expect_err("full");
        assert_eq!(e.kind, ErrorKind::NoSpace, "{e:?}");
        assert_eq!(kv::get(&mut store.read().await.unwrap(), "a").await, Ok(Some("small".into())));
        pragma(&store, "PRAGMA max_page_count = 1000000").await;
        put(&store, &"x".repeat(1_000_000)).await.unwrap();
    }

    #[tokio::test]
    async fn a_store_another_process_holds_is_busy_and_not_broken() {
        let dir = tempfile::tempdir().unwrap();
        let url = sqlite::url(&dir.path().join("store.db")).unwrap();
        let (one, two) =
            (Store::open(&url, Sealer::from_key([1; 32])).await.unwrap(), Store::open(&url, Sealer::from_key([1; 32])).await.unwrap());
        pragma(&two, "PRAGMA busy_timeout = 20").await;
        let held = one.begin_write().await.unwrap();
        let e = put(&two, "x").await.expect_err("held");
        assert_eq!((e.kind, e.code.as_str()), (ErrorKind::Unavailable, "store_busy"), "{e:?}");
        drop(held);
        put(&two, "x").await.unwrap();
    }

    #[tokio::test]
    async fn a_copy_is_the_store_of_one_moment() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let url = sqlite::url(&dir.path().join("store.db")).unwrap();
        let store = Store::open(&url, Sealer::from_key([1; 32])).await.unwrap();
        put(&store, "then").await.unwrap();
        let copy = dir.path().join("copy.db");
        store.copy_to(&copy).await.unwrap();
        put(&store, "since").await.unwrap();
        assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(store.copy_to(&copy).await.is_err(), "no copy is written over");
        let copied = Store::open(&sqlite::url(&copy).unwrap(), Sealer::from_key([1; 32])).await.unwrap();
        assert_eq!(kv::get(&mut copied.read().await.unwrap(), "a").await, Ok(Some("then".into())));
    }

    #[tokio::test]
    async fn every_file_of_the_store_is_its_owners_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let url = sqlite::url(&dir.path().join("store.db")).unwrap();
        let store = Store::open(&url, Sealer::from_key([1; 32])).await.unwrap();
        put(&store, "x").await.unwrap();
        let files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap).collect();
        assert!(files.len() >= 2, "the file and its journal");
        for file in files {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
        }
    }

    #[tokio::test]
    async fn an_unusable_url_is_refused_without_showing_its_password() {
        for url in ["", "mysql://u:hunter2@h/d", "postgres://u:hunter2@127.0.0.1:1:2/d", "sqlite:///nonexistent/hunter2/x.db?mode=hunter2"]
        {
            let e = Store::open(url, Sealer::from_key([1; 32])).await.expect_err(url);
            assert!(!format!("{e:?}").contains("u:hunter2"), "{e:?}");
        }
    }
}
