//! The data of the demo: written, damaged and compared through the endpoints, as a client would.

use mainstay_api_types::Credentials;
use mainstay_model::{Error, Result};
use std::hash::{DefaultHasher, Hash, Hasher};
use tokio_postgres::NoTls;

/// What the data is, short enough to print and sharp enough to tell one row's difference.
#[derive(Debug, PartialEq, Eq)]
pub struct Fingerprint {
    count: u64,
    what: &'static str,
    sum: String,
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} (checksum {})", self.count, self.what, &self.sum[..8.min(self.sum.len())])
    }
}

#[derive(Debug, Clone, Copy)]
pub enum Data {
    Rows,
    Keys,
}

/// Keys asked for at once.
const CHUNK: u32 = 1_000;

impl Data {
    pub fn of(engine: &str) -> Data {
        if engine == "postgres" { Data::Rows } else { Data::Keys }
    }

    pub async fn write(self, c: &Credentials, rows: u32) -> Result<()> {
        match self {
            Data::Rows => {
                let insert = format!(
                    "create table orders(id int primary key, customer text not null, cents int not null);
                     insert into orders select g, md5(g::text), (g * 7919) % 100000 from generate_series(1, {rows}) g"
                );
                Sql::connect(c).await?.run(&insert).await
            }
            Data::Keys => {
                let mut keys = connect(c).await?;
                for from in (0..rows).step_by(CHUNK as usize) {
                    let mut pipe = redis::pipe();
                    for n in from..rows.min(from + CHUNK) {
                        pipe.set(key(n), format!("cart of customer {}", n.wrapping_mul(7919))).ignore();
                    }
                    pipe.query_async::<()>(&mut keys).await.map_err(failed)?;
                }
                Ok(())
            }
        }
    }

    /// The sort of accident that replication copies faithfully to every replica.
    pub async fn damage(self, c: &Credentials, rows: u32) -> Result<()> {
        match self {
            Data::Rows => {
                Sql::connect(c).await?.run(&format!("delete from orders where id > {}; update orders set cents = 0", rows / 10)).await
            }
            Data::Keys => redis::cmd("FLUSHALL").query_async(&mut connect(c).await?).await.map_err(failed),
        }
    }

    pub async fn look(self, c: &Credentials, rows: u32) -> Result<Fingerprint> {
        match self {
            Data::Rows => Sql::connect(c).await?.fingerprint().await,
            Data::Keys => keys_now(c, rows).await,
        }
    }
}

fn key(n: u32) -> String {
    format!("cart:{n}")
}

async fn connect(c: &Credentials) -> Result<redis::aio::MultiplexedConnection> {
    let url = format!("redis://{}:{}@{}:{}/", c.user, c.password, c.host, c.port);
    redis::Client::open(url).map_err(failed)?.get_multiplexed_async_connection().await.map_err(failed)
}

async fn keys_now(c: &Credentials, rows: u32) -> Result<Fingerprint> {
    let mut keys = connect(c).await?;
    let count: u64 = redis::cmd("DBSIZE").query_async(&mut keys).await.map_err(failed)?;
    let mut sum = DefaultHasher::new();
    for from in (0..rows).step_by(CHUNK as usize) {
        let mut get = redis::cmd("MGET");
        (from..rows.min(from + CHUNK)).for_each(|n| {
            get.arg(key(n));
        });
        let values: Vec<Option<String>> = get.query_async(&mut keys).await.map_err(failed)?;
        values.hash(&mut sum);
    }
    Ok(Fingerprint { count, what: "keys", sum: format!("{:016x}", sum.finish()) })
}

fn failed(e: redis::RedisError) -> Error {
    Error::failed("demo_client", format!("the demo's client of the cache was refused: {e}"))
}

struct Sql(tokio_postgres::Client);

impl Sql {
    async fn connect(c: &Credentials) -> Result<Sql> {
        let mut config = tokio_postgres::Config::new();
        config.host(&c.host).port(c.port).user(&c.user).password(&c.password);
        config.dbname(c.database.as_deref().unwrap_or(&c.user));
        let (client, connection) = config.connect(NoTls).await.map_err(refused)?;
        // Ends with the client; its error is the client's too.
        tokio::spawn(connection);
        Ok(Sql(client))
    }
    async fn run(&self, sql: &str) -> Result<()> {
        self.0.batch_execute(sql).await.map_err(refused)
    }
    async fn fingerprint(&self) -> Result<Fingerprint> {
        let sql = "select count(*), coalesce(md5(string_agg(md5(o::text), '' order by id)), '') from orders o";
        let row = self.0.query_one(sql, &[]).await.map_err(refused)?;
        let count: i64 = row.get(0);
        Ok(Fingerprint { count: count.unsigned_abs(), what: "rows", sum: row.get(1) })
    }
}

fn refused(e: tokio_postgres::Error) -> Error {
    let why = e.as_db_error().map_or_else(|| e.to_string(), |d| d.message().to_string());
    Error::failed("demo_client", format!("the demo's client of the database was refused: {why}"))
}
