//! Backups built on earlier ones: whatever happened in between, what comes back is what was there.
#![allow(clippy::disallowed_methods, reason = "cp copies a directory with its times")]

use crate::bed::{Bed, everywhere, is_primary};
use mainstay_drivers::{
    engine::{Incremental, Node},
    progress::Progress,
    storage::{Entry, Known, SnapshotEntryKind, Source, Stored},
};
use mainstay_model::{
    Result,
    backup::{Captured, Facts},
};
use std::{fs, path::PathBuf, sync::Arc, time::Duration};
use tokio_postgres::NoTls;

/// Longer than the grain in which two changes may bear the same time.
const SETTLED: Duration = Duration::from_millis(2300);

/// A source for the one storage that holds the earlier backup.
struct Built {
    source: Box<dyn Source>,
    on: String,
}

impl Source for Built {
    fn next(&mut self) -> Option<Result<Entry>> {
        self.source.next()
    }
    fn finish(&mut self) -> Result<Facts> {
        self.source.finish()
    }
    fn expected_bytes(&self) -> Option<u64> {
        self.source.expected_bytes()
    }
    fn base(&self) -> Option<&str> {
        Some(&self.on)
    }
}

impl Bed {
    /// The next backup, as an agent makes it where there is an earlier one.
    async fn next_on(&self, able: &dyn Incremental, node: &Node, earlier: &Stored) -> (Stored, Captured) {
        let base = self.storage.base(&earlier.snapshot, able.lists()).await.unwrap().expect("a restic repository can be built on");
        let backup = self.storage.facts(&earlier.snapshot).await.unwrap().0.backup;
        let known = Arc::new(Known { backup, base, everywhere: true });
        let progress = Progress::default();
        let source = able.capture_on(node, known, None, &progress).await.unwrap();
        let stored = self.put(node, Box::new(Built { source, on: earlier.snapshot.clone() }), &progress).await.unwrap();
        assert!(stored.checks.iter().all(|c| c.ok), "{:?}", stored.checks);
        self.storage.verify(&stored.snapshot, mainstay_drivers::storage::Depth::Data, &progress).await.unwrap();
        let captured = stored.facts.captured.clone().expect("it says how it was read");
        (stored, captured)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incremental_backup_comes_back_without_the_one_before() {
    everywhere(async |bed| {
        let Some(able) = bed.engine.incremental() else { return };
        let primary = bed.primary("next").await;
        bed.client(&primary).await.set_up().await.unwrap();
        bed.client(&primary).await.fill(8).await.unwrap();
        bed.client(&primary).await.write(1).await.unwrap();
        bed.restart(&primary).await;
        tokio::time::sleep(SETTLED).await;
        let first = bed.backup(&primary).await;
        bed.client(&primary).await.write(2).await.unwrap();
        let (second, captured) = bed.next_on(able, &primary, &first).await;
        assert_eq!((captured.generation, captured.base.is_some()), (1, true));
        assert!(captured.kept_bytes > second.data_bytes / 2, "{captured:?} of {}", second.data_bytes);
        assert!(second.added_bytes < first.added_bytes / 2, "{} then {}", first.added_bytes, second.added_bytes);
        bed.client(&primary).await.write(3).await.unwrap();
        let (third, _) = bed.next_on(able, &primary, &second).await;

        bed.storage.delete(&[first.snapshot.clone(), second.snapshot.clone()]).await.unwrap();
        bed.storage.prune().await.unwrap();
        let copy = bed.restored("next-copy", &third.snapshot).await;
        assert!(is_primary(&bed.look(&copy).await));
        assert_eq!(bed.numbers(&copy).await, [1, 2, 3].into());
    })
    .await;
}

/// Everything is read where the data is not surely the same directory with the same history.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_kept_across_a_forgotten_moved_or_promoted_directory() {
    everywhere(async |bed| {
        let Some(able) = bed.engine.incremental() else { return };
        let primary = bed.primary("moved").await;
        bed.client(&primary).await.set_up().await.unwrap();
        bed.client(&primary).await.write(1).await.unwrap();
        let replica = bed.replica(&primary, 2).await;
        tokio::time::sleep(SETTLED).await;
        let (first, of_replica) = (bed.backup(&primary).await, bed.backup(&replica).await);
        let none = |what: &str, captured: &Captured| {
            assert_eq!((captured.kept_bytes, captured.generation, &captured.base), (0, 0, &None), "{what}");
        };
        none("another node's", &bed.next_on(able, &replica, &first).await.1);
        assert!(bed.next_on(able, &primary, &first).await.1.kept_bytes > 0);

        // Set back as a whole, the machine remembers no capture since.
        fs::remove_file(primary.paths.root.join("captures.json")).unwrap();
        none("forgotten", &bed.next_on(able, &primary, &first).await.1);

        bed.stop(&primary).await;
        let again = bed.primary_copied(&primary).await;
        let (moved, captured) = bed.next_on(able, &again, &first).await;
        none("copied to another directory", &captured);
        assert!(bed.next_on(able, &again, &moved).await.1.kept_bytes > 0);
        bed.stop(&again).await;

        bed.failover().promote(&replica, &[]).await.unwrap();
        bed.run(&replica, is_primary).await;
        none("promoted", &bed.next_on(able, &replica, &of_replica).await.1);
    })
    .await;
}

impl Bed {
    /// The log in a backup, which is always read.
    async fn log_bytes(&self, stored: &Stored) -> u64 {
        let entries = self.storage.entries(&stored.snapshot).await.unwrap();
        let size = |kind: &SnapshotEntryKind| if let SnapshotEntryKind::File { size } = kind { *size } else { 0 };
        entries.iter().filter(|e| e.path.starts_with("late")).map(|e| size(&e.kind)).sum()
    }

    /// Puts a copy of a stopped node's directory in its place, with all times as they were.
    async fn primary_copied(&self, node: &Node) -> Node {
        let aside = node.paths.root.join("original");
        fs::rename(&node.paths.data, &aside).unwrap();
        let args = ["-a".into(), aside.to_string_lossy().into_owned(), node.paths.data.to_string_lossy().into_owned()];
        let copied = tokio::process::Command::new("cp").args(args).status().await.unwrap();
        assert!(copied.success());
        self.start(node).await;
        node.clone()
    }
}

async fn sql(node: &Node, database: &str) -> tokio_postgres::Client {
    let mut config = tokio_postgres::Config::new();
    let port = node.plan.port;
    config.host_path(&node.paths.sockets).port(port).user("mainstay").password(node.plan.accounts.admin.reveal()).dbname(database);
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn digest(client: &tokio_postgres::Client, tables: &[&str]) -> Vec<(i64, Option<String>)> {
    let mut all = vec![];
    for table in tables {
        let query = format!("SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {table} t");
        let row = client.query_one(&query, &[]).await.unwrap();
        all.push((row.get(0), row.get(1)));
    }
    all
}

const TABLES: [&str; 6] = ["still", "grown", "shrunk", "rewritten", "reborn", "young"];

const BEFORE: &str = "
    CREATE TABLE still AS SELECT g, repeat(md5(g::text), 8) AS x FROM generate_series(1, 40000) g;
    CREATE INDEX ON still (g);
    CREATE TABLE grown AS SELECT g, repeat('b', 200) AS x FROM generate_series(1, 5000) g;
    CREATE TABLE shrunk AS SELECT g, repeat('c', 200) AS x FROM generate_series(1, 20000) g;
    CREATE TABLE rewritten AS SELECT g, repeat('d', 200) AS x FROM generate_series(1, 5000) g;
    CREATE TABLE reborn AS SELECT g, repeat('e', 200) AS x FROM generate_series(1, 5000) g;
    CREATE TABLE gone AS SELECT g, repeat('f', 200) AS x FROM generate_series(1, 5000) g;
    CREATE UNLOGGED TABLE unlogged AS SELECT g FROM generate_series(1, 5000) g;
    CREATE INDEX ON reborn (g)";

const BETWEEN: &str = "
    TRUNCATE grown;
    INSERT INTO grown SELECT g, repeat('B', 200) FROM generate_series(1, 9000) g;
    DELETE FROM shrunk WHERE g > 1000;
    DELETE FROM rewritten WHERE g % 3 = 0;
    UPDATE still SET x = 'changed' WHERE g IN (5, 20000, 39999);
    INSERT INTO unlogged SELECT g FROM generate_series(1, 100) g;
    DROP TABLE gone;
    CREATE TABLE young AS SELECT g FROM generate_series(1, 3000) g";

/// Relations that were emptied and filled, cut, written anew, dropped and made under old numbers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_becomes_of_relations_in_between() {
    everywhere(async |bed| {
        let Some(able) = bed.engine.incremental().filter(|_| bed.engine.info().url_scheme == "postgresql") else { return };
        let node = bed.primary("awkward").await;
        let client = sql(&node, "postgres").await;
        client.batch_execute(BEFORE).await.unwrap();
        client.batch_execute("VACUUM").await.unwrap();
        client.batch_execute("CHECKPOINT").await.unwrap();
        tokio::time::sleep(SETTLED).await;
        let first = bed.backup(&node).await;
        client.batch_execute(BETWEEN).await.unwrap();
        client.batch_execute("VACUUM shrunk").await.unwrap();
        client.batch_execute("VACUUM FULL rewritten").await.unwrap();
        client.batch_execute("CREATE DATABASE copied TEMPLATE template1 STRATEGY file_copy").await.unwrap();
        sql(&node, "copied").await.batch_execute("CREATE TABLE here AS SELECT g FROM generate_series(1, 50) g").await.unwrap();
        let (second, captured) = bed.next_on(able, &node, &first).await;
        assert!(captured.kept_bytes > 0);
        // The same again, with a crash in between and the number of a dropped relation in use again.
        let path: String = client.query_one("SELECT pg_relation_filepath('reborn')", &[]).await.unwrap().get(0);
        client.batch_execute("UPDATE still SET x = 'again' WHERE g BETWEEN 101 AND 140; TRUNCATE reborn").await.unwrap();
        client.batch_execute("INSERT INTO reborn SELECT g, 'anew' FROM generate_series(1, 4000) g").await.unwrap();
        bed.signal(&node, rustix::process::Signal::KILL).await;
        bed.wait(&node, &crate::bed::served(&node), is_primary).await;
        let client = sql(&node, "postgres").await;
        let (third, captured) = bed.next_on(able, &node, &second).await;
        assert_eq!(captured.generation, 2);
        let now: String = client.query_one("SELECT pg_relation_filepath('reborn')", &[]).await.unwrap().get(0);
        assert_ne!(now, path, "the relation has another file");
        // A server that can say which blocks changed has only these read, of a table with 40 changed rows.
        let still: i64 = client.query_one("SELECT pg_relation_size('still')", &[]).await.unwrap().get(0);
        let summaries = client.query_one("SELECT current_setting('summarize_wal', true)", &[]).await.unwrap();
        if summaries.get::<_, Option<&str>>(0) == Some("on") {
            let read = third.data_bytes - captured.kept_bytes - bed.log_bytes(&third).await;
            assert!(read < still.unsigned_abs() / 2, "{read} bytes were read, of a table of {still}");
        }

        let wanted = digest(&client, &TABLES).await;
        let copy = bed.restored("awkward-c", &third.snapshot).await;
        assert_eq!(digest(&sql(&copy, "postgres").await, &TABLES).await, wanted);
        assert_eq!(digest(&sql(&copy, "postgres").await, &["unlogged"]).await[0].0, 0, "unlogged tables come back empty");
        assert_eq!(digest(&sql(&copy, "copied").await, &["here"]).await[0].0, 50);
        bed.stop(&copy).await;
        let copy = bed.restored("awkward-b", &second.snapshot).await;
        assert_eq!(
            digest(&sql(&copy, "postgres").await, &["grown", "shrunk", "young"]).await,
            [wanted[1].clone(), wanted[2].clone(), wanted[5].clone()]
        );
    })
    .await;
}

/// A change that leaves size and time as they were is found where the times are too close to tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_rewritten_within_the_grain_is_read() {
    everywhere(async |bed| {
        let Some(able) = bed.engine.incremental().filter(|_| bed.engine.info().url_scheme == "postgresql") else { return };
        let node = bed.primary("grain").await;
        let client = sql(&node, "postgres").await;
        client.batch_execute("CREATE TABLE t (n int); INSERT INTO t VALUES (1); CHECKPOINT").await.unwrap();
        let file: String = client.query_one("SELECT pg_relation_filepath('t')", &[]).await.unwrap().get(0);
        let file: PathBuf = node.paths.data.join(file);
        // Within the grain before the backup begins.
        fs::File::options().write(true).open(&file).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
        let then = fs::metadata(&file).unwrap();
        let first = bed.backup(&node).await;
        client.batch_execute("INSERT INTO t VALUES (2); CHECKPOINT").await.unwrap();
        fs::File::options().write(true).open(&file).unwrap().set_modified(then.modified().unwrap()).unwrap();
        let now = fs::metadata(&file).unwrap();
        assert_eq!((now.len(), now.modified().unwrap()), (then.len(), then.modified().unwrap()), "as alike as can be");
        let (second, _) = bed.next_on(able, &node, &first).await;
        let copy = bed.restored("grain-copy", &second.snapshot).await;
        assert_eq!(digest(&sql(&copy, "postgres").await, &["t"]).await[0].0, 2);
    })
    .await;
}
