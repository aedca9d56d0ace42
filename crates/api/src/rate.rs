//! How often something may happen in a minute, by whoever does it.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

pub struct Rate<K> {
    allowed: u32,
    seen: Mutex<HashMap<K, (u32, Instant)>>,
}

const WINDOW: Duration = Duration::from_secs(60);
/// More than any honest minute has.
const REMEMBERED: usize = 10_000;

impl<K: Eq + Hash> Rate<K> {
    pub fn new(allowed: u32) -> Self {
        Rate { allowed, seen: Mutex::default() }
    }

    /// Counts one. Beyond what is allowed: the seconds until more is.
    pub fn note(&self, who: K) -> Option<u64> {
        let mut seen = lock(&self.seen);
        if seen.len() >= REMEMBERED && !seen.contains_key(&who) {
            seen.retain(|_, (_, since)| since.elapsed() < WINDOW);
            if seen.len() >= REMEMBERED {
                return Some(WINDOW.as_secs());
            }
        }
        let entry = seen.entry(who).or_insert((0, Instant::now()));
        if entry.1.elapsed() >= WINDOW {
            *entry = (0, Instant::now());
        }
        entry.0 = entry.0.saturating_add(1);
        (entry.0 > self.allowed).then(|| WINDOW.saturating_sub(entry.1.elapsed()).as_secs().max(1))
    }

    /// It was none that counts.
    pub fn forgive(&self, who: &K) {
        if let Some(entry) = lock(&self.seen).get_mut(who) {
            entry.0 = entry.0.saturating_sub(1);
        }
    }
}

/// Whoever has one IPv6 address has a whole network of them.
pub fn counted(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) >> 64 << 64)),
        v4 => v4,
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_use_up_anothers() {
        let rate = Rate::new(2);
        let [a, b]: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()];
        assert_eq!([a, a, b].map(|who| rate.note(who)), [None; 3]);
        assert!(rate.note(a).is_some_and(|wait| (1..=60).contains(&wait)));
        rate.forgive(&a);
        rate.forgive(&a);
        assert_eq!(rate.note(a), None);
    }

    #[test]
    fn a_network_of_addresses_counts_as_one() {
        let of = |text: &str| counted(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}
