//! The audit: appended to, never changed, and a change shows.
//!
//! Each row carries a hash of the row before it and of its own text, and the end of the chain is
//! kept apart; so a row that was edited, taken out, put in or cut off is found by [`verify`]. The
//! chain has no key: whoever may write the whole database can compute all of it anew. Against that
//! helps only a hash kept elsewhere, which is what [`head`] is for.

use crate::{Page, Paging, doc, error::error, select::Select};
use aws_lc_rs::digest::{Context, SHA256};
use mainstay_model::{AuditEntry, AuditResult, Error, ProjectId, Result, Time};
use sqlx::{AnyConnection, Row, any::AnyRow};

const LIST: &str = "audit";
/// Rows looked at at once by [`verify`].
const BATCH: i64 = 1_000;

/// What is `None` is not asked for.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    pub project: Option<ProjectId>,
    pub actor: Option<String>,
    pub action: Option<String>,
    pub object_kind: Option<String>,
    pub object_id: Option<String>,
    pub result: Option<AuditResult>,
    /// Where it came from.
    pub from: Option<std::net::IpAddr>,
    /// From this moment on.
    pub since: Option<Time>,
    /// Before this moment.
    pub until: Option<Time>,
}

/// The end of the chain: how many rows there are, and a hash that stands for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub rows: u64,
    pub hash: String,
}

/// Appends `entry`, cut to size ([`AuditEntry::clipped`]). To be called in the write that does
/// what it tells of.
pub async fn append(conn: &mut AnyConnection, entry: &AuditEntry) -> Result<()> {
    let entry = entry.clone().clipped();
    let (last, previous) = read_head(conn).await?;
    let text = doc::write(&entry)?;
    let seq = last + 1;
    let hash = chain(&previous, seq, &text);
    insert(conn, seq, &entry, &text, &hash).await?;
    // Compare and set: should two ever append at once, the second must not fork the chain.
    let set = sqlx::query("UPDATE audit_head SET seq = $1, hash = $2 WHERE one = 1 AND seq = $3").bind(seq).bind(hash).bind(last);
    match set.execute(conn).await.map_err(error)?.rows_affected() {
        1 => Ok(()),
        _ => Err(Error::internal("two audit entries were appended at once")),
    }
}

async fn insert(conn: &mut AnyConnection, seq: i64, entry: &AuditEntry, text: &str, hash: &str) -> Result<()> {
    let sql = "INSERT INTO audit (seq, id, at, actor, action, project, object_kind, object_id, result, doc, hash) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    sqlx::query(sql)
        .bind(seq)
        .bind(entry.id.as_str())
        .bind(entry.at.micros())
        .bind(column(&entry.actor))
        .bind(column(&entry.action))
        .bind(entry.project.as_ref().map(ProjectId::as_str))
        .bind(column(&entry.object_kind))
        .bind(entry.object_id.as_deref().map(column))
        .bind(entry.result.as_str())
        .bind(text)
        .bind(hash)
        .execute(conn)
        .await
        .map(drop)
        .map_err(error)
}

/// A caller's text as a column holds it. PostgreSQL keeps no NUL, and an act must not go
/// unrecorded for one; the document beside it has the text as it was.
fn column(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn chain(previous: &str, seq: i64, text: &str) -> String {
    let mut context = Context::new(&SHA256);
    context.update(previous.as_bytes());
    context.update(&seq.to_be_bytes());
    context.update(text.as_bytes());
    hex::encode(context.finish())
}

async fn read_head(conn: &mut AnyConnection) -> Result<(i64, String)> {
    let row = sqlx::query("SELECT seq, hash FROM audit_head WHERE one = 1").fetch_optional(conn).await.map_err(error)?;
    let row = row.ok_or_else(|| Error::integrity("the end of the audit's chain is missing"))?;
    Ok((row.try_get(0).map_err(error)?, row.try_get(1).map_err(error)?))
}

/// To be kept where this database's owner cannot reach.
pub async fn head(conn: &mut AnyConnection) -> Result<Head> {
    let (seq, hash) = read_head(conn).await?;
    Ok(Head { rows: seq.unsigned_abs(), hash })
}

/// Newest first, in the order they were appended, whatever the clock did.
pub async fn list(conn: &mut AnyConnection, filter: &AuditFilter, paging: &Paging) -> Result<Page<AuditEntry>> {
    let select = Select::new("SELECT doc, seq FROM audit")
        .and_if("project = ?", filter.project.as_ref().map(ToString::to_string))?
        .and_if("actor = ?", filter.actor.as_deref().map(column))?
        .and_if("action = ?", filter.action.as_deref().map(column))?
        .and_if("object_kind = ?", filter.object_kind.as_deref().map(column))?
        .and_if("object_id = ?", filter.object_id.as_deref().map(column))?
        .and_if("result = ?", filter.result.map(|r| r.as_str().to_string()))?
        // The document is the only place that has it; an address holds nothing that a pattern knows.
        .and_if("doc LIKE ?", filter.from.map(|ip| format!("%\"from\":\"{ip}\"%")))?
        .and_if("at >= ?", filter.since.map(Time::micros))?
        .and_if("at < ?", filter.until.map(Time::micros))?
        .and_if("seq < ?", paging.after::<i64>(LIST)?)?;
    let rows = select.rows(conn, " ORDER BY seq DESC", paging.rows()?).await?;
    let read = |row: &AnyRow| Ok((row.try_get::<i64, _>(1).map_err(error)?, doc::read(row)?));
    let items = rows.iter().map(read).collect::<Result<Vec<(i64, AuditEntry)>>>()?;
    let page = Page::of(items, paging, LIST, |(seq, _)| *seq);
    Ok(Page { items: page.items.into_iter().map(|(_, entry)| entry).collect(), next: page.next })
}

/// Follows the whole chain. The number of rows, or an integrity error that names the first row
/// that is not as it was written.
pub async fn verify(conn: &mut AnyConnection) -> Result<u64> {
    let (end, end_hash) = read_head(conn).await?;
    let (mut seq, mut hash) = (0, String::new());
    loop {
        // Only up to the end read above: rows appended meanwhile are the next call's.
        let sql = "SELECT doc, seq, hash, id, at, actor, action, project, object_kind, object_id, result \
                   FROM audit WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3";
        let rows = sqlx::query(sql).bind(seq).bind(end).bind(BATCH).fetch_all(&mut *conn).await.map_err(error)?;
        for row in &rows {
            hash = check(row, seq + 1, &hash)?;
            seq += 1;
        }
        if rows.is_empty() {
            break;
        }
    }
    let beyond = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM audit WHERE seq < 1").fetch_one(&mut *conn).await.map_err(error)?;
    if seq != end || hash != end_hash || beyond != 0 {
        return Err(broken(seq + 1, "is missing, or the end of the chain was changed"));
    }
    Ok(seq.unsigned_abs())
}

/// Checks one row against its place in the chain and gives its hash.
fn check(row: &AnyRow, expected: i64, previous: &str) -> Result<String> {
    let (text, seq, hash): (&str, i64, &str) =
        (row.try_get(0).map_err(error)?, row.try_get(1).map_err(error)?, row.try_get(2).map_err(error)?);
    if seq != expected {
        return Err(broken(expected, "is missing"));
    }
    if chain(previous, seq, text) != hash {
        return Err(broken(seq, "was changed after it was written"));
    }
    let entry: AuditEntry = doc::read(row).map_err(|_| broken(seq, "does not read"))?;
    if columns(row)? != columns_of(&entry) {
        return Err(broken(seq, "was changed in what it is searched by"));
    }
    Ok(hash.into())
}

type Columns = (i64, [Option<String>; 7]);

fn columns(row: &AnyRow) -> Result<Columns> {
    let text = |name: &str| row.try_get::<Option<String>, _>(name).map_err(error);
    let texts = [text("id")?, text("actor")?, text("action")?, text("project")?, text("object_kind")?, text("object_id")?, text("result")?];
    Ok((row.try_get("at").map_err(error)?, texts))
}

fn columns_of(entry: &AuditEntry) -> Columns {
    let texts = [
        Some(entry.id.to_string()),
        Some(column(&entry.actor)),
        Some(column(&entry.action)),
        entry.project.as_ref().map(ToString::to_string),
        Some(column(&entry.object_kind)),
        entry.object_id.as_deref().map(column),
        Some(entry.result.as_str().to_string()),
    ];
    (entry.at.micros(), texts)
}

fn broken(seq: i64, how: &str) -> Error {
    Error::integrity(format!("audit row {seq} {how}")).with_code("audit_broken")
}
