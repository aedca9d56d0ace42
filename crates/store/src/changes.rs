//! What changed: for whoever shows objects as they are now.
//!
//! Each write to one of the tables below moves the object's row in `changes` to the end, in the same
//! transaction, by a trigger: so a change and its note are one, no function that writes can forget it,
//! and who follows reads what is new since a number and nothing else. An object that changed a hundred
//! times in between is read once.
//!
//! Triggers are written differently in SQLite and PostgreSQL, so they are no migration: they are made
//! anew from [`WATCHED`] whenever a store is opened.

use crate::{Kind, error::error};
use mainstay_model::Result;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

/// One object whose row, or the row of a part of it, was written or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub seq: i64,
    pub noun: String,
    pub id: String,
    pub project: String,
}

/// Which object a row belongs to, by columns of the row. Where the row has no project, it is looked up
/// by the cluster's id.
struct Watched {
    table: &'static str,
    noun: &'static str,
    id: &'static str,
    project: Project,
}

#[derive(Clone, Copy)]
enum Project {
    Column(&'static str),
    OfCluster,
}

const fn watched(table: &'static str, noun: &'static str, id: &'static str, project: Project) -> Watched {
    Watched { table, noun, id, project }
}

const WATCHED: &[Watched] = &[
    watched("clusters", "cluster", "id", Project::Column("project")),
    watched("nodes", "cluster", "cluster", Project::OfCluster),
    watched("backups", "backup", "id", Project::Column("project")),
    watched("backups", "cluster", "cluster", Project::Column("project")),
    watched("drills", "cluster", "cluster", Project::OfCluster),
    watched("retention_notes", "cluster", "cluster", Project::OfCluster),
    watched("schedules", "schedule", "id", Project::Column("project")),
    watched("restores", "restore", "id", Project::Column("project")),
    watched("storages", "storage", "id", Project::Column("project")),
    watched("backup_groups", "group", "id", Project::Column("project")),
    watched("group_backups", "group", "group_id", Project::Column("project")),
    watched("alerts", "alert", "id", Project::Column("project")),
    watched("alerts", "cluster", "cluster", Project::Column("project")),
    watched("notifiers", "notifier", "id", Project::Column("project")),
    watched("members", "member", "user_id", Project::Column("project")),
];

/// Makes the triggers. Run again, it makes them again.
pub(crate) async fn watch(conn: &mut AnyConnection, kind: Kind) -> Result<()> {
    let statements = match kind {
        Kind::Sqlite => WATCHED.iter().flat_map(sqlite).collect::<Vec<_>>(),
        Kind::Postgres => std::iter::once(FUNCTION.to_string()).chain(WATCHED.iter().flat_map(postgres)).collect(),
    };
    for sql in statements {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *conn).await.map_err(error)?;
    }
    Ok(())
}

const VERBS: [(&str, &str); 3] = [("insert", "NEW"), ("update", "NEW"), ("delete", "OLD")];

fn sqlite(w: &Watched) -> Vec<String> {
    let trigger = |(verb, row): (&str, &str)| {
        let Watched { table, noun, id, .. } = w;
        let project = match w.project {
            Project::Column(column) => format!("{row}.{column}"),
            Project::OfCluster => format!("(SELECT project FROM clusters WHERE id = {row}.{id})"),
        };
        format!(
            "DROP TRIGGER IF EXISTS changes_{table}_{noun}_{verb};
             CREATE TRIGGER changes_{table}_{noun}_{verb} AFTER {verb} ON {table}
             WHEN {row}.{id} IS NOT NULL AND {project} IS NOT NULL
             BEGIN
                 UPDATE change_head SET seq = seq + 1 WHERE one = 1;
                 INSERT INTO changes (noun, id, project, seq)
                 SELECT '{noun}', {row}.{id}, {project}, seq FROM change_head WHERE one = 1
                 ON CONFLICT (noun, id, project) DO UPDATE SET seq = excluded.seq;
             END;"
        )
    };
    VERBS.map(trigger).into()
}

/// Given the noun, the column of the id, and the column of the project or nothing.
const FUNCTION: &str = "CREATE OR REPLACE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        written jsonb := to_jsonb(CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END);
        object text := written ->> TG_ARGV[1];
        place text := written ->> TG_ARGV[2];
        number bigint;
    BEGIN
        IF TG_ARGV[2] = '' THEN
            SELECT project INTO place FROM clusters WHERE id = object;
        END IF;
        IF object IS NULL OR place IS NULL THEN
            RETURN NULL;
        END IF;
        UPDATE change_head SET seq = seq + 1 WHERE one = 1 RETURNING seq INTO number;
        INSERT INTO changes (noun, id, project, seq) VALUES (TG_ARGV[0], object, place, number)
            ON CONFLICT (noun, id, project) DO UPDATE SET seq = excluded.seq;
        RETURN NULL;
    END $$";

fn postgres(w: &Watched) -> Vec<String> {
    let Watched { table, noun, id, .. } = w;
    let project = match w.project {
        Project::Column(column) => column,
        Project::OfCluster => "",
    };
    let name = format!("changes_{table}_{noun}");
    vec![
        format!("DROP TRIGGER IF EXISTS {name} ON {table}"),
        format!(
            "CREATE TRIGGER {name} AFTER INSERT OR UPDATE OR DELETE ON {table}
             FOR EACH ROW EXECUTE FUNCTION note_change('{noun}', '{id}', '{project}')"
        ),
    ]
}

/// The number of the last change.
pub async fn head(conn: &mut AnyConnection) -> Result<i64> {
    sqlx::query_scalar("SELECT seq FROM change_head WHERE one = 1").fetch_one(conn).await.map_err(error)
}

/// What changed after `seq`, the oldest change first. Each object once.
pub async fn since(conn: &mut AnyConnection, seq: i64, limit: i64) -> Result<Vec<Change>> {
    let sql = "SELECT seq, noun, id, project FROM changes WHERE seq > $1 ORDER BY seq LIMIT $2";
    let rows = sqlx::query(sql).bind(seq).bind(limit).fetch_all(conn).await.map_err(error)?;
    let text = |row: &sqlx::any::AnyRow, i: usize| row.try_get::<String, _>(i).map_err(error);
    rows.iter()
        .map(|row| Ok(Change { seq: row.try_get(0).map_err(error)?, noun: text(row, 1)?, id: text(row, 2)?, project: text(row, 3)? }))
        .collect()
}

/// What lies longer back than anybody asks for: the notes of objects that are gone are in it.
pub async fn forget(conn: &mut AnyConnection, before: i64) -> Result<()> {
    sqlx::query("DELETE FROM changes WHERE seq < $1").bind(before).execute(conn).await.map(drop).map_err(error)
}
