//! The audit as one file, for people who keep or read it elsewhere.

use super::audit::filter;
use crate::{Shared, auth::Caller, body::Query, problem::Answer, views};
use axum::{
    Extension,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use mainstay_api_types as dto;
use mainstay_model::{Error, Result};
use mainstay_store::{Paging, audit};

/// More than that is asked for in parts, by `since` and `until`.
const MOST: usize = 50_000;

pub async fn export(State(s): State<Shared>, Extension(c): Extension<Caller>, q: Query) -> Answer {
    let format = match q.get("format") {
        None | Some("csv") => Format::Csv,
        Some("json") => Format::Json,
        Some(_) => return Err(Error::invalid("format", "csv or json").into()),
    };
    let rows = rows(&s, &c, &q).await?;
    Ok(format.file(&rows))
}

/// Newest first, as the list has them.
async fn rows(s: &Shared, c: &Caller, q: &Query) -> Result<Vec<dto::AuditEntry>> {
    let filter = filter(s, c, q).await?;
    let mut conn = s.app.store.read().await?;
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let page = audit::list(&mut conn, &filter, &Paging::new(Some(500), cursor.take())?).await?;
        rows.extend(page.items.into_iter().map(views::audit));
        if rows.len() > MOST {
            return Err(Error::invalid("since", format!("that is more than {MOST} entries; ask for a part, by since and until")));
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(rows),
        }
    }
}

enum Format {
    Csv,
    Json,
}

impl Format {
    fn file(&self, rows: &[dto::AuditEntry]) -> Response {
        let (kind, name, body) = match self {
            Format::Csv => ("text/csv; charset=utf-8", "audit.csv", csv(rows)),
            Format::Json => ("application/json", "audit.json", serde_json::to_string_pretty(rows).unwrap_or_default()),
        };
        let disposition = format!("attachment; filename=\"{name}\"");
        ([(header::CONTENT_TYPE, kind.to_string()), (header::CONTENT_DISPOSITION, disposition)], body).into_response()
    }
}

fn csv(rows: &[dto::AuditEntry]) -> String {
    let mut out = String::from("at,actor,action,object_kind,object_name,object_id,result,from,detail,project,id\r\n");
    for r in rows {
        let opt = |text: &Option<String>| text.clone().unwrap_or_default();
        let at = r.at.to_string();
        let (name, id, from, project) = (opt(&r.object_name), opt(&r.object_id), opt(&r.from), opt(&r.project));
        let cells = [&at, &r.actor, &r.action, &r.object_kind, &name, &id, &r.result, &from, &r.detail, &project, &r.id];
        out.push_str(&cells.map(|text| cell(text)).join(","));
        out.push_str("\r\n");
    }
    out
}

/// A spreadsheet runs what begins like a formula: an apostrophe makes it text.
fn cell(text: &str) -> String {
    let formula = text.trim_start().starts_with(['=', '+', '-', '@']) || text.starts_with(['\t', '\r', '\n']);
    let guard = if formula { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn what_looks_like_a_formula_is_text() {
        for (text, expected) in [
            ("plain", "\"plain\""),
            ("a \"b\", c\nd", "\"a \"\"b\"\", c\nd\""),
            ("=cmd|'/c calc'!A1", "\"'=cmd|'/c calc'!A1\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            (" =1", "\"' =1\""),
            ("\t=1", "\"'\t=1\""),
        ] {
            assert_eq!(cell(text), expected);
        }
    }
}
