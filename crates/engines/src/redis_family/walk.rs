//! Every value of a restored server, read once. That a file loads says that its frame is whole; a value that
//! cannot be read shows only when somebody reads it, which may be months later, on the live server.
//!
//! The server reads them itself and answers with a digest of each, so that nothing large crosses the socket and a
//! value of any size takes no memory here. `DEBUG`, which does that, is a command that servers are told apart from:
//! only the isolated instance answers it, and only at its own socket.

use super::{
    connect::{Session, admin_within},
    info::{Info, Keys},
};
use mainstay_drivers::{Result, engine::Node};
use mainstay_model::{
    Error,
    backup::{Check, Facts},
};
use redis::cmd;
use std::{collections::BTreeMap, time::Duration};

const NAME: &str = "values";
/// Keys at a time.
const BATCH: usize = 500;
/// One answer is about that many values, whatever their size; how long all of it may take is the drill's to say.
const ANSWER: Duration = Duration::from_secs(3600);

pub(super) async fn read_all(node: &Node, facts: &Facts) -> Result<Check> {
    let mut session = admin_within(node, ANSWER).await?;
    let mut read = BTreeMap::new();
    for db in session.info().await?.keyspace().into_keys() {
        match database(&mut session, db).await {
            Ok(keys) => read.insert(db, keys),
            Err(e) if e.code != "engine_refused" => return Err(e),
            Err(e) if e.message.contains("DEBUG command not allowed") => {
                return Ok(Check::absent(NAME, "the server reads no values for us: it does not answer DEBUG"));
            }
            Err(e) => return Ok(Check::new(NAME, false, format!("a value of database {db} cannot be read: {}", e.message))),
        };
    }
    Ok(judged(&read, &session.info().await?, facts))
}

/// How many keys of the database have a value that was read. One may be counted twice: while a server moves its
/// table a scan may come to a key again. It comes to each key that stays.
async fn database(session: &mut Session, db: u32) -> Result<u64> {
    session.ask::<()>("choosing a database", cmd("SELECT").arg(db)).await?;
    let scan = |cursor: &str| cmd("SCAN").arg(cursor).arg("COUNT").arg(BATCH).to_owned();
    let (mut cursor, mut keys): (String, Vec<Vec<u8>>) = session.ask("listing the keys", &scan("0")).await?;
    let mut count = 0;
    loop {
        if !keys.is_empty() {
            let digests: Vec<String> = session.ask("reading the values", cmd("DEBUG").arg("DIGEST-VALUE").arg(&keys)).await?;
            if digests.len() != keys.len() {
                return Err(Error::failed("engine_refused", format!("{} values were asked for, {} came", keys.len(), digests.len())));
            }
            // Nothing but zeros: the key expired between the two questions.
            count += digests.iter().filter(|digest| digest.bytes().any(|b| b != b'0')).count() as u64;
        }
        if cursor == "0" {
            return Ok(count);
        }
        (cursor, keys) = session.ask("listing the keys", &scan(&cursor)).await?;
    }
}

/// All that is there now was read, and as many as the source had, less at most those that were to expire.
fn judged(read: &BTreeMap<u32, u64>, now: &Info, facts: &Facts) -> Check {
    let of = |db: u32| read.get(&db).copied().unwrap_or(0);
    let mut wrong = vec![];
    for (db, Keys { keys, .. }) in now.keyspace() {
        if of(db) < keys {
            wrong.push(format!("db{db} has {keys} keys, and only {} were come to", of(db)));
        }
    }
    for (name, source) in &facts.exact {
        let Some(db) = name.strip_prefix("keys.db").and_then(|db| db.parse::<u32>().ok()) else { continue };
        let may_expire = facts.estimates.get(&format!("expires.db{db}")).copied().unwrap_or(0);
        if of(db).saturating_add(may_expire) < *source {
            wrong.push(format!("of db{db} {} values were read, the source had {source}, {may_expire} of them with an expiry", of(db)));
        }
    }
    match wrong.is_empty() {
        true => Check::new(NAME, true, format!("every value was read: {} keys in {} databases", read.values().sum::<u64>(), read.len())),
        false => Check::new(NAME, false, wrong.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(keys: u64, expires: u64) -> Facts {
        Facts {
            exact: BTreeMap::from([("keys.db0".to_string(), keys)]),
            estimates: BTreeMap::from([("expires.db0".to_string(), expires)]),
            ..Facts::default()
        }
    }

    #[test]
    fn what_was_not_read_is_told_unless_it_may_have_expired() {
        let now = |keys: u64| match keys {
            0 => Info::parse(""),
            _ => Info::parse(&format!("db0:keys={keys},expires=0,avg_ttl=0\r\n")),
        };
        for (read, there, source, expires, ok) in [
            (10, 10, 10, 0, true),
            (0, 0, 0, 0, true),
            // Counted twice, or expired after it was read.
            (11, 10, 10, 0, true),
            (10, 7, 10, 3, true),
            (7, 7, 10, 3, true),
            (6, 6, 10, 3, false),
            (9, 10, 10, 0, false),
            (0, 0, 1, 0, false),
        ] {
            let check = judged(&BTreeMap::from([(0, read)]), &now(there), &facts(source, expires));
            assert_eq!(check.ok, ok, "{read} {there} {source} {expires}: {}", check.detail);
        }
        assert!(!judged(&BTreeMap::new(), &now(3), &Facts::default()).ok, "a database nobody went through");
        assert!(judged(&BTreeMap::from([(0, 3)]), &now(3), &Facts::default()).ok, "nothing is known of the source");
    }
}
