//! The answer to `INFO`, read by its keys.

use mainstay_model::node::{NodeRole, Position};
use std::collections::{BTreeMap, HashMap};

pub(super) struct Info(HashMap<String, String>);

/// One logical database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keys {
    pub keys: u64,
    /// Those of them that will expire.
    pub expires: u64,
}

impl Info {
    pub fn parse(text: &str) -> Info {
        let pairs = text.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.trim_end().split_once(':'));
        Info(pairs.map(|(k, v)| (k.to_string(), v.to_string())).collect())
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.text(key)?.parse().ok()
    }

    pub fn is(&self, key: &str, value: &str) -> bool {
        self.text(key) == Some(value)
    }

    pub fn role(&self) -> Option<NodeRole> {
        match self.text("role")? {
            "master" => Some(NodeRole::Primary),
            "slave" => Some(NodeRole::Replica),
            _ => None,
        }
    }

    /// What the node holds: written on a primary, applied on a replica.
    pub fn position(&self) -> Option<Position> {
        let offset = match self.role()? {
            NodeRole::Primary => "master_repl_offset",
            NodeRole::Replica => "slave_repl_offset",
        };
        self.position_of("master_replid", self.number(offset)?)
    }

    /// Where the history that a promoted node had followed ended for it.
    pub fn position_before_promotion(&self) -> Option<Position> {
        self.position_of("master_replid2", self.number::<u64>("second_repl_offset")?.checked_sub(1)?)
    }

    fn position_of(&self, history: &str, bytes: u64) -> Option<Position> {
        Some(Position { history: self.text(history)?.into(), text: bytes.to_string(), bytes })
    }

    /// `db0:keys=2,expires=1,avg_ttl=0` -> 0: 2 keys, 1 of them expires
    pub fn keyspace(&self) -> BTreeMap<u32, Keys> {
        let row = |(key, value): (&String, &String)| {
            let db = key.strip_prefix("db")?.parse().ok()?;
            Some((db, Keys { keys: field(value, "keys")?.parse().ok()?, expires: field(value, "expires")?.parse().ok()? }))
        };
        self.0.iter().filter_map(row).collect()
    }

    /// `slave0:ip=10.0.0.2,port=6379,state=online,…` -> `10.0.0.2:6379`, those that are online.
    /// A backup is attached like a replica, but never gets there.
    pub fn replicas(&self) -> Vec<String> {
        let online = |(key, value): (&String, &String)| {
            key.strip_prefix("slave")?.parse::<u32>().ok()?;
            let is_online = field(value, "state")? == "online";
            is_online.then(|| Some(format!("{}:{}", field(value, "ip")?, field(value, "port")?))).flatten()
        };
        let mut all: Vec<_> = self.0.iter().filter_map(online).collect();
        all.sort();
        all
    }
}

fn field<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    list.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_primary_is_read() {
        let info = Info::parse(
            "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
             slave0:ip=10.0.0.2,port=6379,state=online,offset=9,lag=0\r\nslave1:ip=,port=0,state=send_bulk,offset=0,lag=0\r\n\
             master_replid:abc\r\nmaster_replid2:old\r\nmaster_repl_offset:42\r\nsecond_repl_offset:8\r\n\
             slave_read_only:1\r\ndb0:keys=3,expires=1,avg_ttl=7\r\ndb11:keys=1,expires=0,avg_ttl=0\r\n",
        );
        assert_eq!(info.role(), Some(NodeRole::Primary));
        assert_eq!(info.position(), Some(Position { history: "abc".into(), text: "42".into(), bytes: 42 }));
        assert_eq!(info.position_before_promotion().map(|p| (p.history, p.bytes)), Some(("old".into(), 7)));
        assert_eq!(info.replicas(), ["10.0.0.2:6379"]);
        assert_eq!(info.keyspace(), BTreeMap::from([(0, Keys { keys: 3, expires: 1 }), (11, Keys { keys: 1, expires: 0 })]));
    }

    #[test]
    fn what_is_not_there_is_not_known() {
        let info = Info::parse("role:sentinel\r\nsecond_repl_offset:-1\r\nmaster_replid2:0\r\n");
        assert_eq!((info.role(), info.position(), info.position_before_promotion()), (None, None, None));
        assert!(info.keyspace().is_empty() && info.replicas().is_empty());
    }
}
