//! Lists with optional filters, as SQL that holds only the filters given: `x = $1 OR $1 IS NULL`
//! would keep both databases from using an index. The text is put together from constants; what
//! callers bring is always bound.

use crate::{doc, error::error};
use mainstay_model::{Error, Result};
use serde::de::DeserializeOwned;
use sqlx::{
    Any, AnyConnection, Arguments, AssertSqlSafe, Encode, Type,
    any::{AnyArguments, AnyRow},
};

pub(crate) struct Select {
    sql: String,
    args: AnyArguments,
    bound: usize,
    conditions: usize,
}

impl Select {
    /// Starts with `SELECT .. FROM ..`, without a `WHERE`.
    pub(crate) fn new(start: &'static str) -> Self {
        Select { sql: start.into(), args: AnyArguments::default(), bound: 0, conditions: 0 }
    }

    /// Adds a condition; each `?` in it stands for one of `values` still to be bound.
    fn condition(&mut self, text: &'static str) {
        self.sql.push_str(if self.conditions == 0 { " WHERE " } else { " AND " });
        self.conditions += 1;
        self.text(text);
    }

    fn text(&mut self, text: &'static str) {
        for c in text.chars() {
            if c == '?' {
                self.bound += 1;
                self.sql.push('$');
                self.sql.push_str(&self.bound.to_string());
            } else {
                self.sql.push(c);
            }
        }
    }

    fn bind<V: for<'q> Encode<'q, Any> + Type<Any> + 'static>(&mut self, value: V) -> Result<()> {
        self.args.add(value).map_err(|e| Error::internal(format!("a value does not bind: {e}")))
    }

    /// A condition without values.
    pub(crate) fn and(mut self, condition: &'static str) -> Self {
        self.condition(condition);
        self
    }

    /// A condition with one `?`, left out where there is no value.
    pub(crate) fn and_if<V: for<'q> Encode<'q, Any> + Type<Any> + 'static>(
        mut self,
        condition: &'static str,
        value: Option<V>,
    ) -> Result<Self> {
        if let Some(value) = value {
            self.condition(condition);
            self.bind(value)?;
        }
        Ok(self)
    }

    /// A condition with two `?`, for a cursor's key.
    pub(crate) fn after(mut self, condition: &'static str, key: Option<(i64, String)>) -> Result<Self> {
        if let Some((number, id)) = key {
            self.condition(condition);
            self.bind(number)?;
            self.bind(id)?;
        }
        Ok(self)
    }

    pub(crate) async fn rows(mut self, conn: &mut AnyConnection, order: &'static str, limit: i64) -> Result<Vec<AnyRow>> {
        self.text(order);
        self.text(" LIMIT ?");
        self.bind(limit)?;
        sqlx::query_with(AssertSqlSafe(self.sql), self.args).fetch_all(conn).await.map_err(error)
    }

    /// Documents, where `doc` is the first column.
    pub(crate) async fn docs<T: DeserializeOwned>(self, conn: &mut AnyConnection, order: &'static str, limit: i64) -> Result<Vec<T>> {
        doc::read_all(&self.rows(conn, order, limit).await?)
    }
}
