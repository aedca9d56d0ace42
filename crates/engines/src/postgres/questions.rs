//! A user's own questions, asked with the user's own rights, in a transaction that can write nothing.
//!
//! The text is a user's, and yet more than one statement never gets through: it is prepared by itself
//! first, which takes a single statement, and then read from as a sub-query, which takes nothing but a
//! query. So the size of the answer is bounded where it is made.

use super::{
    Postgres,
    connect::{Session, as_user, sql},
};
use async_trait::async_trait;
use mainstay_drivers::{
    Result,
    engine::{ANSWER_BYTES, Node, Questions},
};
use mainstay_model::Error;
use std::time::Duration;
use tokio_postgres::error::SqlState;

/// Rows an answer may have, and characters of one value.
const ROWS: usize = 1000;
const VALUE: usize = 4096;

#[async_trait]
impl Questions for Postgres {
    fn form(&self) -> &'static str {
        "one query (SELECT, WITH or VALUES), asked in the cluster's database"
    }

    async fn ask(&self, node: &Node, question: &str, within: Duration) -> Result<String> {
        let session = as_user(node, within).await?;
        session.batch_execute("START TRANSACTION READ ONLY").await.map_err(sql("beginning to ask"))?;
        // The server ends it by itself; this is for one that does not even do that.
        let patience = within + Duration::from_secs(10);
        match tokio::time::timeout(patience, answer(&session, question)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::timed_out(format!("no answer within {patience:?}"))),
        }
    }
}

async fn answer(session: &Session, question: &str) -> Result<String> {
    let alone = question.trim_end().trim_end_matches(';');
    let prepared = session.prepare(alone).await.map_err(refused)?;
    if prepared.columns().is_empty() {
        return Err(Error::invalid("query", "it answers nothing: it has to be a query"));
    }
    if !prepared.params().is_empty() {
        return Err(Error::invalid("query", "parameters ($1) have no value here"));
    }
    let names: Vec<String> = (1..=prepared.columns().len()).map(|n| format!("mainstay_{n}")).collect();
    let texts: Vec<String> = names.iter().map(|name| format!("pg_catalog.left({name}::text, {VALUE})")).collect();
    // On lines of their own, so that a comment at the end of the question ends with it.
    let bounded = format!("SELECT {} FROM (\n{alone}\n) AS mainstay_answer({}) LIMIT {}", texts.join(", "), names.join(", "), ROWS + 1);
    let rows = session.query(&bounded, &[]).await.map_err(refused)?;
    if rows.len() > ROWS {
        return Err(Error::invalid("query", format!("its answer has more than {ROWS} rows; count them instead")));
    }
    let line = |row: &tokio_postgres::Row| {
        let cells: Vec<&str> = (0..names.len()).map(|at| row.get::<_, Option<&str>>(at).unwrap_or_default()).collect();
        cells.join("\t")
    };
    let text = rows.iter().map(line).collect::<Vec<_>>().join("\n");
    if text.len() > ANSWER_BYTES {
        return Err(Error::invalid("query", format!("its answer is longer than {ANSWER_BYTES} bytes")));
    }
    Ok(text)
}

/// What the server says of a question, in its own words.
fn refused(e: tokio_postgres::Error) -> Error {
    match e.code() {
        Some(&SqlState::QUERY_CANCELED) => Error::timed_out("it took too long and was ended"),
        Some(&SqlState::SYNTAX_ERROR) => {
            let said = e.as_db_error().map(|d| d.message().to_string()).unwrap_or_default();
            Error::invalid("query", format!("it has to be one query: {said}"))
        }
        _ => sql("the query was refused")(e),
    }
}
