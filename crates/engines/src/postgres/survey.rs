//! What is in a running server, counted for comparison: before a backup, after it, and after a
//! restore.

use super::connect::{Session, admin_in, sql};
use mainstay_drivers::{Result, engine::Node};
use std::collections::BTreeMap;

/// Tables whose rows are recorded one by one, the largest of each database.
const TABLES_LISTED: usize = 200;

pub(super) const DATABASES: &str =
    "SELECT datname::text FROM pg_database WHERE datallowconn AND datconnlimit <> -2 AND NOT datistemplate ORDER BY 1";

/// Rows are what the planner believes; statistics of a replica are its own and often absent.
const TABLES: &str = "
SELECT n.nspname || '.' || c.relname AS name, greatest(c.reltuples::bigint, pg_stat_get_live_tuples(c.oid), 0) AS rows
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%'
 ORDER BY rows DESC, name";

#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Survey {
    /// `tables.<database>`.
    pub tables: BTreeMap<String, u64>,
    /// `rows.<database>`, `rows.<database>.<schema>.<table>`, and the number of `databases`: that one
    /// may grow by what a restore adds.
    pub rows: BTreeMap<String, u64>,
}

impl Survey {
    pub async fn take(node: &Node, session: &Session) -> Result<Survey> {
        let mut survey = Survey::default();
        for row in session.query(DATABASES, &[]).await.map_err(sql("listing the databases"))? {
            survey.database(node, row.get(0)).await?;
        }
        survey.rows.insert("databases".into(), survey.tables.len() as u64);
        Ok(survey)
    }

    async fn database(&mut self, node: &Node, database: &str) -> Result<()> {
        let Some(session) = admin_in(node, database).await? else { return Ok(()) };
        let tables = session.query(TABLES, &[]).await.map_err(sql(&format!("counting the tables of {database}")))?;
        self.tables.insert(format!("tables.{database}"), tables.len() as u64);
        let rows_of = |row: &tokio_postgres::Row| row.get::<_, i64>("rows").unsigned_abs();
        self.rows.insert(format!("rows.{database}"), tables.iter().map(rows_of).sum());
        for row in tables.iter().take(TABLES_LISTED) {
            self.rows.insert(format!("rows.{database}.{}", row.get::<_, &str>("name")), rows_of(row));
        }
        Ok(())
    }

    /// Counts that both surveys agree on: those hold at every moment between them too, as far as
    /// counting can tell.
    pub fn unchanged(&self, later: &Survey) -> BTreeMap<String, u64> {
        self.tables.iter().filter(|(key, count)| later.tables.get(*key) == Some(count)).map(|(k, c)| (k.clone(), *c)).collect()
    }
}
