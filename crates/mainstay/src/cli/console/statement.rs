//! A statement's whole answer as one line of JSON.

use mainstay_api_types::{ConsoleSaid, ConsoleValue};
use serde_json::{Map, Value, json};

#[derive(Default)]
pub struct Statement {
    fields: Map<String, Value>,
    rows: Vec<Value>,
    notices: Vec<String>,
    texts: Vec<String>,
}

impl Statement {
    /// The whole, when it has ended.
    pub fn hear(&mut self, said: ConsoleSaid) -> Option<Value> {
        match said {
            ConsoleSaid::Columns { columns } => {
                let of = |c: &mainstay_api_types::ConsoleColumn| json!({ "name": c.name, "type": c.r#type });
                self.put("columns", columns.iter().map(of).collect());
            }
            ConsoleSaid::Rows { rows } => self.rows.extend(rows.into_iter().map(|row| json!(row))),
            // Nothing is an answer too.
            ConsoleSaid::Reply { value } => drop(self.fields.insert("value".into(), plain(value))),
            ConsoleSaid::Text { text } => self.texts.push(text),
            ConsoleSaid::Notice { text } => self.notices.push(text),
            ConsoleSaid::Error(e) => {
                self.put("error", json!(e));
                return Some(self.end());
            }
            ConsoleSaid::Done(done) => {
                self.put("tag", json!(done.tag));
                self.put("row_count", json!(done.rows));
                self.put("cut", json!(done.cut));
                self.put("seconds", json!(done.seconds));
                return Some(self.end());
            }
            ConsoleSaid::Opened(_) | ConsoleSaid::Prompt(_) | ConsoleSaid::Ended(_) => {}
        }
        None
    }

    fn put(&mut self, name: &str, value: Value) {
        if !value.is_null() {
            self.fields.insert(name.into(), value);
        }
    }

    fn end(&mut self) -> Value {
        let Statement { mut fields, rows, notices, texts } = std::mem::take(self);
        if fields.contains_key("columns") {
            fields.insert("rows".into(), Value::Array(rows));
        }
        if !texts.is_empty() {
            fields.insert("text".into(), json!(texts));
        }
        if !notices.is_empty() {
            fields.insert("notices".into(), json!(notices));
        }
        Value::Object(fields)
    }
}

/// As JSON has it: a number is one, nothing is `null`.
fn plain(value: ConsoleValue) -> Value {
    match value {
        ConsoleValue::Nil => Value::Null,
        ConsoleValue::Integer(n) => json!(n),
        ConsoleValue::Status(text) | ConsoleValue::Text(text) | ConsoleValue::Bytes(text) => json!(text),
        ConsoleValue::Error(text) => json!({ "error": text }),
        ConsoleValue::List(items) => items.into_iter().map(plain).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_api_types::{ConsoleColumn, ConsoleDone};

    #[test]
    fn a_statement_is_one_object() {
        let mut s = Statement::default();
        let columns = vec![ConsoleColumn { name: "a".into(), r#type: Some("int4".into()), numeric: true }];
        for said in [
            ConsoleSaid::Columns { columns },
            ConsoleSaid::Rows { rows: vec![vec![Some("1".into())]] },
            ConsoleSaid::notice("NOTICE: x"),
            ConsoleSaid::Rows { rows: vec![vec![None]] },
        ] {
            assert!(s.hear(said).is_none());
        }
        let done = ConsoleDone { tag: Some("SELECT 2".into()), rows: Some(2), cut: None, seconds: 0.5 };
        let whole = json!({ "columns": [{ "name": "a", "type": "int4" }], "rows": [["1"], [null]], "notices": ["NOTICE: x"],
            "tag": "SELECT 2", "row_count": 2, "seconds": 0.5 });
        assert_eq!(s.hear(ConsoleSaid::Done(done)), Some(whole));
        // Nothing of it is left for the next one.
        let value = ConsoleValue::List(vec![ConsoleValue::Nil, ConsoleValue::Integer(2), ConsoleValue::Error("E".into())]);
        s.hear(ConsoleSaid::Reply { value });
        assert_eq!(
            s.hear(ConsoleSaid::Done(ConsoleDone::default())),
            Some(json!({ "value": [null, 2, { "error": "E" }], "seconds": 0.0 }))
        );
    }
}
