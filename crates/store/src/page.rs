//! Pages of long lists.
//!
//! A cursor holds the sort key of the last item seen, not a count: items that come or go while
//! somebody leafs never make another one appear twice or not at all. It carries the name of its
//! list, so that one of another list is refused instead of giving nonsense.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use mainstay_model::{Error, Result};
use serde::{Serialize, de::DeserializeOwned};

pub const MAX_LIMIT: u32 = 500;
pub const DEFAULT_LIMIT: u32 = 100;

#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// The cursor of the next page; `None` on the last one.
    pub next: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging {
    /// 1 to 500.
    pub limit: u32,
    pub cursor: Option<String>,
}

impl Default for Paging {
    fn default() -> Self {
        Paging { limit: DEFAULT_LIMIT, cursor: None }
    }
}

impl Paging {
    pub fn new(limit: Option<u32>, cursor: Option<String>) -> Result<Self> {
        let paging = Paging { limit: limit.unwrap_or(DEFAULT_LIMIT), cursor };
        paging.rows().map(|_| paging)
    }

    /// How many rows to ask for: one more than the page holds tells whether there is a next one.
    pub(crate) fn rows(&self) -> Result<i64> {
        if (1..=MAX_LIMIT).contains(&self.limit) {
            return Ok(i64::from(self.limit) + 1);
        }
        Err(Error::invalid("limit", format!("limit is {}; allowed are 1 to {MAX_LIMIT}", self.limit)))
    }

    /// The key after which the page starts.
    pub(crate) fn after<K: DeserializeOwned>(&self, list: &str) -> Result<Option<K>> {
        self.cursor.as_deref().map(|c| decode(list, c)).transpose()
    }
}

impl<T> Page<T> {
    /// Of rows fetched with [`Paging::rows`].
    pub(crate) fn of<K: Serialize>(mut items: Vec<T>, paging: &Paging, list: &str, key: impl Fn(&T) -> K) -> Self {
        let limit = paging.limit as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|last| encode(list, &key(last)));
        Page { items, next }
    }
}

fn encode<K: Serialize>(list: &str, key: &K) -> String {
    // A tuple of texts and numbers always serialises.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&(list, key)).unwrap_or_default())
}

fn decode<K: DeserializeOwned>(list: &str, cursor: &str) -> Result<K> {
    let bad = || Error::malformed("the cursor is none that this list gave out; start without one").with_code("invalid_cursor");
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad())?;
    let (name, key): (String, K) = serde_json::from_slice(&bytes).map_err(|_| bad())?;
    if name == list { Ok(key) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_model::Kind;

    #[test]
    fn only_a_lists_own_cursors_are_read() {
        let c = encode("backups", &(7i64, "bk_1"));
        assert_eq!(decode::<(i64, String)>("backups", &c), Ok((7, "bk_1".into())));
        for bad in [c.as_str(), "", "%%%", "e30", "../../etc/passwd"] {
            let e = decode::<(i64, String)>("audit", bad).expect_err(bad);
            assert_eq!((e.kind, e.code.as_str()), (Kind::Malformed, "invalid_cursor"));
        }
    }

    #[test]
    fn limits_are_checked() {
        assert!(Paging::new(None, None).is_ok() && Paging::new(Some(500), None).is_ok());
        for bad in [0, 501, u32::MAX] {
            assert_eq!(Paging::new(Some(bad), None).expect_err("limit").field.as_deref(), Some("limit"));
        }
    }

    #[test]
    fn the_last_page_has_no_next() {
        let paging = Paging { limit: 2, cursor: None };
        assert_eq!(Page::of(vec![1, 2], &paging, "l", |i| *i).next, None);
        let page = Page::of(vec![1, 2, 3], &paging, "l", |i| *i);
        assert_eq!((page.items, page.next.is_some()), (vec![1, 2], true));
    }
}
