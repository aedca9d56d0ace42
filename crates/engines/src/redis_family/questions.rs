//! A user's own questions: one command that only reads, as the cluster's user.
//!
//! The server knows which of its commands write, block or hold it up, also those of a later version;
//! we ask it, and refuse what is not plainly a short look. The answer is read by ourselves, so that one
//! that is larger than anybody means is not read to its end.

use super::{
    RedisFamily,
    config::socket,
    connect::{Session, admin},
};
use async_trait::async_trait;
use mainstay_drivers::{
    Result,
    engine::{ANSWER_BYTES, Node, Questions},
};
use mainstay_model::Error;
use redis::{Value, cmd};
use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// Words of a command.
const WORDS: usize = 64;
/// Harmless, though the server counts them otherwise.
const FINE: [&str; 3] = ["info", "dbsize", "ping"];

#[async_trait]
impl Questions for RedisFamily {
    fn form(&self) -> &'static str {
        "one command that only reads, such as GET, DBSIZE or SCARD"
    }

    async fn ask(&self, node: &Node, question: &str, within: Duration) -> Result<String> {
        let words = words(question)?;
        only_reads(&mut admin(node).await?, &words).await?;
        let asking = async {
            let value = answer(node, &words, within).await?;
            let mut lines = Vec::new();
            flatten(&value, &mut lines)?;
            Ok(lines.join("\n"))
        };
        let late = |_| Error::timed_out("it took too long and was given up");
        tokio::time::timeout(within, asking).await.map_err(late)?
    }
}

async fn only_reads(session: &mut Session, words: &[String]) -> Result<()> {
    let name = words[0].to_ascii_lowercase();
    if FINE.contains(&name.as_str()) {
        return Ok(());
    }
    let mut asked = cmd("COMMAND");
    asked.arg("INFO").arg(&name);
    if let Some(sub) = words.get(1) {
        asked.arg(format!("{name}|{}", sub.to_ascii_lowercase()));
    }
    let known: Vec<Value> = session.ask("asking what a command does", &asked).await?;
    // That of the sub-command, where it has one, says more.
    let Some(Value::Array(facts)) = known.iter().rfind(|v| matches!(v, Value::Array(_))) else {
        return Err(Error::invalid("query", format!("the server knows no command {}", words[0])));
    };
    let marks: Vec<String> = facts.iter().filter(|v| matches!(v, Value::Array(_) | Value::Set(_))).flat_map(texts).collect();
    let has = |mark: &str| marks.iter().any(|m| m == mark);
    let bad = ["write", "blocking", "noscript", "admin", "pubsub", "@dangerous", "@blocking", "@scripting", "@admin"];
    if has("readonly") && !bad.iter().any(|mark| has(mark)) {
        return Ok(());
    }
    Err(Error::invalid("query", format!("{} is not a command that only reads and is over soon", words[0])))
}

/// The plain words of an array.
fn texts(value: &Value) -> Vec<String> {
    let (Value::Array(items) | Value::Set(items)) = value else { return vec![] };
    let text = |v: &Value| match v {
        Value::SimpleString(text) => Some(text.to_ascii_lowercase()),
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).to_ascii_lowercase()),
        _ => None,
    };
    items.iter().filter_map(text).collect()
}

/// Reads on a thread that may wait: the library's own way of reading takes an answer whole.
async fn answer(node: &Node, words: &[String], within: Duration) -> Result<Value> {
    let user = &node.plan.accounts.user;
    let mut login = cmd("AUTH");
    login.arg(&user.user).arg(user.password.reveal());
    let mut asked = cmd(&words[0]);
    asked.arg(&words[1..]);
    let (socket, name) = (socket(node), node.plan.name.clone());
    let both = [login.get_packed_command(), asked.get_packed_command()].concat();
    let reading =
        move || converse(&socket, &both, within).map_err(|e| Error::unavailable("engine_unreachable", format!("node {name}: {e}")));
    tokio::task::spawn_blocking(reading).await.map_err(Error::internal)??
}

/// What the protocol adds to an answer is less than the answer and a little.
const MOST_READ: u64 = 4 * ANSWER_BYTES as u64;

fn converse(socket: &Path, commands: &[u8], within: Duration) -> std::io::Result<Result<Value>> {
    let mut link = UnixStream::connect(socket)?;
    link.set_read_timeout(Some(within))?;
    link.set_write_timeout(Some(within))?;
    link.write_all(commands)?;
    let (mut bounded, mut parser) = (link.take(MOST_READ), redis::Parser::new());
    let mut value = Value::Nil;
    for _ in 0..2 {
        value = match parser.parse_value(&mut bounded) {
            Ok(Value::ServerError(e)) => return Ok(Err(refused(&e.to_string()))),
            Ok(value) => value,
            Err(_) if bounded.limit() == 0 => return Ok(Err(too_long())),
            Err(e) => return Err(std::io::Error::other(e)),
        };
    }
    Ok(Ok(value))
}

fn refused(said: &str) -> Error {
    Error::failed("engine_refused", format!("the command was refused: {said}"))
}

fn too_long() -> Error {
    Error::invalid("query", format!("its answer is longer than {ANSWER_BYTES} bytes; count instead"))
}

/// One line for each plain value.
fn flatten(value: &Value, lines: &mut Vec<String>) -> Result<()> {
    match value {
        Value::Nil => lines.push(String::new()),
        Value::Int(n) => lines.push(n.to_string()),
        Value::Double(n) => lines.push(n.to_string()),
        Value::Boolean(b) => lines.push(b.to_string()),
        Value::Okay => lines.push("OK".into()),
        Value::SimpleString(text) => lines.push(text.clone()),
        Value::VerbatimString { text, .. } => lines.push(text.clone()),
        Value::BulkString(bytes) => lines.push(String::from_utf8_lossy(bytes).into_owned()),
        Value::Array(items) | Value::Set(items) => items.iter().try_for_each(|item| flatten(item, lines))?,
        Value::Map(pairs) => pairs.iter().try_for_each(|(k, v)| flatten(k, lines).and_then(|()| flatten(v, lines)))?,
        Value::Attribute { data, .. } => flatten(data, lines)?,
        Value::ServerError(e) => return Err(refused(&e.to_string())),
        _ => return Err(Error::invalid("query", "its answer is of a kind that cannot be compared")),
    }
    if lines.iter().map(|l| l.len() + 1).sum::<usize>() > ANSWER_BYTES {
        return Err(too_long());
    }
    Ok(())
}

/// A command as people type it: words apart by spaces, in quotes where they hold some.
fn words(question: &str) -> Result<Vec<String>> {
    let bad = |why: &str| Error::invalid("query", why.to_string());
    let (mut words, mut chars) = (Vec::new(), question.trim().chars().peekable());
    while let Some(first) = chars.peek().copied() {
        if first.is_whitespace() {
            chars.next();
            continue;
        }
        let quote = matches!(first, '"' | '\'').then_some(first);
        if quote.is_some() {
            chars.next();
        }
        let mut word = String::new();
        loop {
            match (chars.next(), quote) {
                (None, Some(_)) => return Err(bad("a quote is not closed")),
                (None, None) => break,
                (Some(c), Some(q)) if c == q => break,
                (Some('\\'), Some(_)) => word.push(chars.next().ok_or_else(|| bad("a quote is not closed"))?),
                (Some(c), None) if c.is_whitespace() => break,
                (Some(c), _) => word.push(c),
            }
        }
        words.push(word);
    }
    if words.is_empty() || words.len() > WORDS || words[0].is_empty() {
        return Err(bad("a command has 1 to 64 words"));
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_its_words() {
        assert_eq!(words("  GET  a ").unwrap(), ["GET", "a"]);
        assert_eq!(words("HGET 'a b' \"c \\\" d\" ''").unwrap(), ["HGET", "a b", "c \" d", ""]);
        for bad in ["", "GET 'a", "'' a", &"x ".repeat(65)] {
            assert_eq!(words(bad).unwrap_err().field.as_deref(), Some("query"), "{bad}");
        }
    }

    #[test]
    fn an_answer_is_lines() {
        let of = |value: Value| {
            let mut lines = Vec::new();
            flatten(&value, &mut lines).map(|()| lines.join("\n"))
        };
        let nested = Value::Array(vec![Value::Int(1), Value::Array(vec![Value::BulkString(b"a".to_vec()), Value::Nil])]);
        assert_eq!(of(nested).unwrap(), "1\na\n");
        assert!(of(Value::Array(vec![Value::SimpleString("x".repeat(1000)); 70])).is_err());
    }
}
