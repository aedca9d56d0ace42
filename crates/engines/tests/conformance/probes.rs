//! The one place of the suite that knows how engines are spoken to: a row for each URL scheme of
//! [`Info::url_scheme`](mainstay_drivers::engine::Info), and a session behind it that writes and reads
//! numbers. A new engine of a known scheme needs nothing here.

use async_trait::async_trait;
use mainstay_drivers::engine::Node;
use mainstay_model::{
    credentials::Credentials,
    engine::{Parameter, ParameterKind},
};
use redis::{IntoConnectionInfo, aio::MultiplexedConnection, cmd};
use std::{collections::BTreeSet, net::IpAddr, time::Duration};
use tokio_postgres::NoTls;

pub type Told<T> = Result<T, String>;
/// How long a client waits for one answer.
const ANSWER: Duration = Duration::from_secs(10);

/// What a customer, or a test, may do in a session.
#[async_trait]
pub trait Session: Send {
    /// Makes the place where numbers are kept. A second call does nothing.
    async fn set_up(&mut self) -> Told<()>;
    /// Returns when the write is acknowledged.
    async fn write(&mut self, n: u64) -> Told<()>;
    /// Adds data that is of no other interest.
    async fn fill(&mut self, megabytes: usize) -> Told<()>;
    async fn numbers(&mut self) -> Told<BTreeSet<u64>>;
    async fn run(&mut self, statement: &str) -> Told<()>;
    /// What the server has now, sizes in bytes and durations in milliseconds.
    async fn setting(&mut self, name: &str) -> Told<String>;
    /// What other nodes have left on a primary that it must not keep without them.
    async fn left_behind(&mut self) -> Told<Vec<String>>;
    /// How many times a primary has sent all its data, where it counts that.
    async fn full_copies(&mut self) -> Told<Option<u64>>;
}

/// Where a session goes to.
pub struct Target {
    pub address: IpAddr,
    pub port: u16,
    pub user: String,
    pub password: String,
    pub database: Option<String>,
}

pub struct Probe {
    pub scheme: &'static str,
    /// What a customer may do with what is theirs.
    pub allowed: &'static [&'static str],
    /// What would endanger the host, other customers or the cluster's management.
    pub forbidden: &'static [&'static str],
    /// Questions of a customer about numbers 1 to 3, and the answers.
    pub questions: &'static [(&'static str, &'static str)],
    /// What is no question: it changes something, reaches somewhere, or would hold the server up.
    pub no_questions: &'static [&'static str],
    /// With which an administrator would have the server connect to a port of this host.
    pub call_out: fn(port: u16) -> Vec<String>,
    /// Mainstay's own user, who has no business on the network where the engine can tell.
    pub admin: &'static str,
    /// Arguments that make a server, or a tool of it, use another port than the default.
    pub aim: fn(program: &str, port: u16) -> Vec<String>,
}

const ALL: [Probe; 2] = [
    Probe {
        scheme: "postgresql",
        allowed: &[
            "CREATE TABLE theirs (n int)",
            "CREATE ROLE app LOGIN PASSWORD 'x'",
            "CREATE DATABASE other",
            "SET work_mem = '8MB'",
            "DROP TABLE theirs",
        ],
        forbidden: &[
            "COPY (SELECT 1) TO PROGRAM 'id'",
            "COPY (SELECT 1) TO '/tmp/mainstay-conformance'",
            "SELECT pg_read_file('/etc/passwd')",
            "SELECT pg_ls_dir('/')",
            "SELECT lo_import('/etc/passwd')",
            "GRANT pg_execute_server_program TO CURRENT_USER",
            "GRANT pg_read_server_files TO CURRENT_USER",
            "GRANT pg_write_server_files TO CURRENT_USER",
            "GRANT mainstay TO CURRENT_USER",
            "SET ROLE mainstay",
            "ALTER ROLE mainstay PASSWORD 'x'",
            "ALTER ROLE mainstay_replication PASSWORD 'x'",
            "ALTER ROLE CURRENT_USER SUPERUSER",
            "CREATE ROLE boss SUPERUSER",
            "CREATE ROLE copier LOGIN REPLICATION PASSWORD 'x'",
            "DROP ROLE mainstay",
            "ALTER SYSTEM SET archive_command = 'id'",
            "SET archive_command = 'id'",
            "SELECT pg_reload_conf()",
            "SELECT pg_promote()",
            "SELECT pg_switch_wal()",
            "SELECT pg_create_physical_replication_slot('theirs')",
            "CREATE TABLESPACE theirs LOCATION '/tmp'",
            "CREATE EXTENSION adminpack",
            "CREATE FUNCTION f() RETURNS int LANGUAGE c AS '/lib/x86_64-linux-gnu/libc.so.6', 'getpid'",
            "SELECT rolpassword FROM pg_authid",
        ],
        questions: &[
            ("SELECT count(*) FROM numbers", "3"),
            ("SELECT max(n), min(n) FROM numbers; ", "3\t1"),
            ("WITH x AS (SELECT n FROM numbers ORDER BY n) SELECT n FROM x -- all of them", "1\n2\n3"),
            ("SELECT NULL", ""),
            ("VALUES ('a;b')", "a;b"),
        ],
        no_questions: &[
            "DROP TABLE numbers",
            "INSERT INTO numbers VALUES (9) RETURNING n",
            "WITH x AS (DELETE FROM numbers RETURNING n) SELECT * FROM x",
            "SELECT 1; DELETE FROM numbers",
            "SELECT 1) AS q(a); DELETE FROM numbers; --",
            "COMMIT",
            "SELECT nextval('numbers_seq')",
            "SELECT $1::int",
            "SELECT n FROM nowhere",
            "SELECT generate_series(1, 100000)",
            "SELECT pg_read_file('/etc/passwd')",
            "SELECT 1 /* open",
        ],
        call_out: |port| {
            let reach = format!("SELECT dblink_connect('host=127.0.0.1 port={port} user=x password=x dbname=x connect_timeout=2')");
            vec!["CREATE EXTENSION IF NOT EXISTS dblink".into(), reach]
        },
        admin: "mainstay",
        aim: |_, port| vec!["-c".into(), format!("port={port}")],
    },
    Probe {
        scheme: "redis",
        allowed: &["SET k v", "GET k", "KEYS *", "INFO", "SELECT 3", "FLUSHDB", "CLIENT LIST", "EVAL return(1) 0", "SLOWLOG GET"],
        forbidden: &[
            "CONFIG GET *",
            "CONFIG SET dir /tmp",
            "CONFIG REWRITE",
            "REPLICAOF NO ONE",
            "SLAVEOF 127.0.0.1 1",
            "SHUTDOWN NOSAVE",
            "DEBUG SLEEP 1",
            "MODULE LIST",
            "FAILOVER",
            "ACL LIST",
            "ACL SETUSER x on",
            "ACL GETUSER mainstay",
            "SAVE",
            "BGSAVE",
            "BGREWRITEAOF",
            "SYNC",
            "PSYNC ? -1",
            "MIGRATE 127.0.0.1 1 k 0 10",
            "MONITOR",
            "CLIENT PAUSE 1",
            "CLIENT UNPAUSE",
            "CLIENT KILL ID 1",
            "EVAL return(redis.call('config','get','dir')) 0",
        ],
        questions: &[
            ("DBSIZE", "3"),
            ("GET number:1", "x"),
            ("mget number:1 'number:2' nothing", "x\nx\n"),
            ("EXISTS \"number:3\"", "1"),
            ("object encoding number:1", "embstr"),
        ],
        no_questions: &[
            "FLUSHALL",
            "SET number:9 x",
            "DEL number:1",
            "KEYS *",
            "EVAL return(1) 0",
            "EVAL_RO return(1) 0",
            "BLPOP a 0",
            "SUBSCRIBE a",
            "REPLICAOF 127.0.0.1 1",
            "CONFIG GET *",
            "OBJECT FREQ nothing nothing",
            "NOSUCHCOMMAND",
            "GET",
        ],
        call_out: |port| vec![format!("REPLICAOF 127.0.0.1 {port}")],
        admin: "mainstay",
        aim: |program, port| vec![if program.ends_with("-cli") { "-p".into() } else { "--port".into() }, port.to_string()],
    },
];

/// The row of a scheme.
pub fn of(scheme: &str) -> &'static Probe {
    const ROWS: &[Probe] = &ALL;
    ROWS.iter().find(|p| p.scheme == scheme).unwrap_or_else(|| panic!("a new scheme needs a row in {}: {scheme}", file!()))
}

impl Probe {
    pub async fn login(&self, node: &Node, who: &Credentials) -> Told<Box<dyn Session>> {
        let target = Target {
            address: node.plan.address,
            port: node.plan.port,
            user: who.user.clone(),
            password: who.password.reveal().into(),
            database: who.database.clone(),
        };
        self.open(&target).await
    }

    pub async fn open(&self, at: &Target) -> Told<Box<dyn Session>> {
        let opening = async {
            match self.scheme {
                "postgresql" => sql(at).await,
                _ => keys(redis::ConnectionAddr::Tcp(at.address.to_string(), at.port), &at.user, &at.password).await,
            }
        };
        tokio::time::timeout(ANSWER, opening).await.map_err(|_| "no answer to the login".to_string())?
    }

    /// On the node's private socket.
    pub async fn admin(&self, node: &Node) -> Told<Box<dyn Session>> {
        let password = node.plan.accounts.admin.reveal();
        if self.scheme == "postgresql" {
            let mut config = tokio_postgres::Config::new();
            config.host_path(&node.paths.sockets).port(node.plan.port).user(self.admin).password(password).dbname("postgres");
            return sql_session(&config).await;
        }
        let socket = std::fs::read_dir(&node.paths.sockets).map_err(|e| e.to_string())?.flatten().map(|e| e.path());
        let socket = socket.into_iter().find(|p| p.extension().is_some_and(|e| e == "sock")).ok_or("no socket")?;
        keys(redis::ConnectionAddr::Unix(socket), self.admin, password).await
    }
}

/// Whether a server that reports `found` does what `wanted` asks for.
pub fn same(parameter: &Parameter, wanted: &str, found: &str) -> bool {
    match &parameter.kind {
        ParameterKind::Integer { .. } => wanted.parse::<i64>().ok() == found.parse().ok(),
        ParameterKind::Size { .. } | ParameterKind::Duration { .. } => number(wanted).is_some() && number(wanted) == number(found),
        // Some servers name how it is on.
        ParameterKind::Boolean => is_off(wanted) == is_off(found),
        // Flags come back in the server's own order.
        ParameterKind::OneOf { .. } => sorted(if wanted == "none" { "" } else { wanted }) == sorted(found),
    }
}

fn is_off(text: &str) -> bool {
    ["off", "no", "false", "0"].contains(&text)
}

fn sorted(text: &str) -> Vec<char> {
    let mut all: Vec<_> = text.chars().collect();
    all.sort();
    all
}

/// `64kB` -> 65536, `5min` -> 300000.
pub fn number(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let factor = match &text[digits..] {
        "" | "B" | "ms" => 1,
        "kB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        "TB" => 1 << 40,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(factor)
}

struct Sql(tokio_postgres::Client);

async fn sql(at: &Target) -> Told<Box<dyn Session>> {
    let mut config = tokio_postgres::Config::new();
    config.host(at.address.to_string()).port(at.port).user(&at.user).password(&at.password);
    config.dbname(at.database.as_deref().unwrap_or("postgres"));
    sql_session(&config).await
}

async fn sql_session(config: &tokio_postgres::Config) -> Told<Box<dyn Session>> {
    let (client, connection) = config.connect(NoTls).await.map_err(words)?;
    tokio::spawn(connection);
    Ok(Box::new(Sql(client)))
}

fn words(e: tokio_postgres::Error) -> String {
    e.as_db_error().map_or_else(|| format!("{e:?}"), |db| db.message().to_string())
}

impl Sql {
    async fn one<T: for<'a> tokio_postgres::types::FromSql<'a>>(&self, statement: &str) -> Told<T> {
        let row = tokio::time::timeout(ANSWER, self.0.query_one(statement, &[])).await.map_err(|_| "no answer".to_string())?;
        Ok(row.map_err(words)?.get(0))
    }
}

#[async_trait]
impl Session for Sql {
    async fn set_up(&mut self) -> Told<()> {
        self.run("CREATE TABLE IF NOT EXISTS numbers (n bigint PRIMARY KEY)").await
    }

    async fn write(&mut self, n: u64) -> Told<()> {
        self.run(&format!("INSERT INTO numbers VALUES ({n})")).await
    }

    async fn fill(&mut self, megabytes: usize) -> Told<()> {
        self.run("CREATE TABLE IF NOT EXISTS filler (t text)").await?;
        self.run("ALTER TABLE filler ALTER t SET STORAGE EXTERNAL").await?;
        let rows = megabytes * 128;
        let noise = "(SELECT string_agg(md5(random()::text || i || j), '') FROM generate_series(1, 256) j)";
        self.run(&format!("INSERT INTO filler SELECT {noise} FROM generate_series(1, {rows}) i")).await
    }

    async fn numbers(&mut self) -> Told<BTreeSet<u64>> {
        let rows = self.0.query("SELECT n FROM numbers", &[]).await.map_err(words)?;
        Ok(rows.iter().map(|r| r.get::<_, i64>(0).unsigned_abs()).collect())
    }

    async fn run(&mut self, statement: &str) -> Told<()> {
        tokio::time::timeout(ANSWER, self.0.batch_execute(statement)).await.map_err(|_| "no answer".to_string())?.map_err(words)
    }

    async fn setting(&mut self, name: &str) -> Told<String> {
        let row = self.0.query_one("SELECT setting, coalesce(unit, '') FROM pg_settings WHERE name = $1", &[&name]).await.map_err(words)?;
        let (value, unit): (String, String) = (row.get(0), row.get(1));
        // Some units are numbers themselves: `8kB`.
        let base = if unit.starts_with(|c: char| c.is_ascii_digit()) { number(&unit) } else { number(&format!("1{unit}")) };
        Ok(match (value.parse::<u64>(), base) {
            (Ok(n), Some(base)) if !unit.is_empty() => (n * base).to_string(),
            _ => value,
        })
    }

    async fn left_behind(&mut self) -> Told<Vec<String>> {
        self.one("SELECT coalesce(array_agg(slot_name::text), '{}') FROM pg_replication_slots").await
    }

    async fn full_copies(&mut self) -> Told<Option<u64>> {
        Ok(None)
    }
}

struct Keys(MultiplexedConnection);

async fn keys(address: redis::ConnectionAddr, user: &str, password: &str) -> Told<Box<dyn Session>> {
    let login = redis::RedisConnectionInfo::default().set_username(user).set_password(password);
    let info = address.into_connection_info().map_err(|e| e.to_string())?.set_redis_settings(login);
    let client = redis::Client::open(info).map_err(|e| e.to_string())?;
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER)).set_connection_timeout(Some(ANSWER));
    let link = client.get_multiplexed_async_connection_with_config(&config).await;
    Ok(Box::new(Keys(link.map_err(|e| e.to_string())?)))
}

impl Keys {
    async fn ask<T: redis::FromRedisValue>(&mut self, statement: &str) -> Told<T> {
        let mut words = statement.split(' ');
        let mut command = cmd(words.next().unwrap_or_default());
        words.for_each(|w| {
            command.arg(w);
        });
        command.query_async(&mut self.0).await.map_err(|e| e.to_string())
    }

    async fn info(&mut self, key: &str) -> Told<Vec<String>> {
        let text: String = self.ask("INFO").await?;
        Ok(text.lines().filter_map(|l| l.strip_prefix(key)).map(str::to_string).collect())
    }
}

#[async_trait]
impl Session for Keys {
    async fn set_up(&mut self) -> Told<()> {
        Ok(())
    }

    async fn write(&mut self, n: u64) -> Told<()> {
        self.ask(&format!("SET number:{n} x")).await
    }

    async fn fill(&mut self, megabytes: usize) -> Told<()> {
        for n in 0..megabytes {
            let noise: Vec<u8> = (0..1 << 20).map(|_| rand::random()).collect();
            cmd("SET").arg(format!("filler:{n}")).arg(noise).query_async::<()>(&mut self.0).await.map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    async fn numbers(&mut self) -> Told<BTreeSet<u64>> {
        let keys: Vec<String> = self.ask("KEYS number:*").await?;
        Ok(keys.iter().filter_map(|k| k.strip_prefix("number:")?.parse().ok()).collect())
    }

    async fn run(&mut self, statement: &str) -> Told<()> {
        self.ask::<redis::Value>(statement).await.map(drop)
    }

    async fn setting(&mut self, name: &str) -> Told<String> {
        let found: Vec<String> = self.ask(&format!("CONFIG GET {name}")).await?;
        found.get(1).cloned().ok_or_else(|| format!("no setting {name}"))
    }

    async fn left_behind(&mut self) -> Told<Vec<String>> {
        Ok(self.info("slave").await?.into_iter().filter(|l| l.contains("ip=")).collect())
    }

    async fn full_copies(&mut self) -> Told<Option<u64>> {
        Ok(self.info("sync_full:").await?.first().and_then(|n| n.trim().parse().ok()))
    }
}
