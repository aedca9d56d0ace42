//! Ids are `<kind>_<26 characters>`: a UUIDv7 in Crockford's base 32, so that they sort by age
//! and no cluster name can look like one (names have no underscore).

use crate::Time;
use serde::{Deserialize, Serialize};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn encode(mut n: u128) -> String {
    let mut out = [0u8; 26];
    for slot in out.iter_mut().rev() {
        *slot = ALPHABET[(n & 31) as usize];
        n >>= 5;
    }
    out.iter().map(|b| *b as char).collect()
}

/// When an id of this body was made, to the millisecond: it begins with that.
fn made_at(body: &str) -> Time {
    let place = |b: u8| ALPHABET.iter().position(|a| *a == b).unwrap_or_default() as u128;
    let number = body.bytes().fold(0u128, |n, b| (n << 5) | place(b));
    Time::from_micros((number >> 80) as i64 * 1000)
}

fn is_body(s: &str) -> bool {
    s.len() == 26 && s.bytes().all(|b| ALPHABET.contains(&b))
}

macro_rules! id {
    ($name:ident, $prefix:literal) => {
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);
        impl $name {
            pub const PREFIX: &'static str = $prefix;
            pub fn new() -> Self {
                Self(format!("{}_{}", $prefix, encode(uuid::Uuid::now_v7().as_u128())))
            }
            pub fn parse(s: &str) -> Option<Self> {
                s.strip_prefix($prefix)?.strip_prefix('_').filter(|b| is_body(b))?;
                Some(Self(s.into()))
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
            /// By the clock of whoever made it, to the millisecond.
            pub fn made_at(&self) -> Time {
                made_at(&self.0[Self::PREFIX.len() + 1..])
            }
        }
        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = crate::Error;
            fn try_from(s: String) -> Result<Self, Self::Error> {
                Self::parse(&s).ok_or_else(|| crate::Error::malformed(concat!("not an id of the form ", $prefix, "_…")))
            }
        }
        impl From<$name> for String {
            fn from(v: $name) -> String {
                v.0
            }
        }
    };
}

id!(ProjectId, "pj");
id!(ClusterId, "cl");
id!(NodeId, "nd");
id!(BackupId, "bk");
id!(StorageId, "st");
id!(RestoreId, "rs");
id!(OperationId, "op");
id!(TokenId, "tk");
id!(HostId, "ho");
id!(AuditId, "au");
id!(NotifierId, "nf");
id!(NoticeId, "nt");
id!(AlertId, "al");
id!(ScheduleId, "sc");
id!(DrillId, "dr");
id!(GroupId, "gr");
id!(GroupBackupId, "gb");
id!(UserId, "us");
id!(SessionId, "se");
id!(LinkId, "ln");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_nothing_else_does() {
        let id = ClusterId::new();
        assert_eq!(ClusterId::parse(id.as_str()), Some(id.clone()));
        assert_eq!(id.as_str().len(), 3 + 26);
        for bad in ["", "cl_", "cl", "nd_00000000000000000000000000", "cl_0000000000000000000000000U", "cl_../../../../../../../../x"] {
            assert_eq!(ClusterId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn later_ids_sort_later() {
        let a = BackupId::new();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(a < BackupId::new());
    }

    #[test]
    fn an_id_says_when_it_was_made() {
        let now = jiff::Timestamp::now().as_microsecond();
        let made = BackupId::new().made_at().micros();
        assert!((now - made).abs() < 60_000_000, "{now} {made}");
    }
}
