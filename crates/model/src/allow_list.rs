//! Who may reach a cluster's endpoints: addresses and networks, each with a note.
//!
//! An empty list is open to all. Host bits in a network are refused rather than dropped, so that
//! what was typed is what is enforced.

use crate::{Error, Result, error::shown};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Most entries a list may have.
pub const MAX_ENTRIES: usize = 1_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AllowEntry {
    /// An address or a network in CIDR notation.
    #[schema(value_type = String, example = "10.0.0.0/8")]
    pub cidr: IpNet,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl AllowEntry {
    /// `index` names the entry in the error.
    pub fn parse(text: &str, note: &str, index: usize) -> Result<Self> {
        let bad = |why: String| Error::invalid(&format!("allow_list[{index}]"), why).with_code("invalid_cidr");
        let cidr = match text.parse::<IpAddr>() {
            Ok(a) => IpNet::from(a),
            Err(_) => text
                .parse::<IpNet>()
                .map_err(|_| bad(format!("\"{}\" is neither an IPv4 or IPv6 address nor a network such as 10.0.0.0/8", shown(text))))?,
        };
        if cidr.trunc() != cidr {
            return Err(bad(format!("{cidr} has bits set beyond its prefix; did you mean {}?", cidr.trunc())));
        }
        if note.chars().count() > 200 || note.chars().any(char::is_control) {
            return Err(bad("a note has at most 200 characters and no control characters".into()));
        }
        Ok(AllowEntry { cidr, note: note.into() })
    }
}

/// Whether `peer` may connect. IPv4 addresses mapped into IPv6 count as IPv4.
pub fn allows(list: &[AllowEntry], peer: IpAddr) -> bool {
    let peer = peer.to_canonical();
    list.is_empty() || list.iter().any(|e| e.cidr.contains(&peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: &[&str]) -> Vec<AllowEntry> {
        items.iter().enumerate().map(|(i, s)| AllowEntry::parse(s, "", i).unwrap()).collect()
    }

    #[test]
    fn empty_is_open_and_others_match() {
        let any: IpAddr = "203.0.113.9".parse().unwrap();
        assert!(allows(&[], any));
        assert!(!allows(&list(&["10.0.0.0/8", "::1"]), any));
        assert!(allows(&list(&["203.0.113.9"]), any));
        assert!(allows(&list(&["203.0.113.0/24"]), "::ffff:203.0.113.9".parse().unwrap()));
        assert!(allows(&list(&["2001:db8::/32"]), "2001:db8::5".parse().unwrap()));
    }

    #[test]
    fn what_is_not_an_address_is_refused_with_its_index() {
        for bad in ["10.0.0.1/8", "1.2.3", "010.0.0.1", "host.example", "", "10.0.0.0/33", "::1/129", "0x7f000001", "127.0.0.1; DROP"] {
            let e = AllowEntry::parse(bad, "", 3).expect_err(bad);
            assert_eq!(e.field.as_deref(), Some("allow_list[3]"), "{bad}");
        }
    }
}
