//! Who listens on an address: the question behind every "address already in use".

use procfs::{net::TcpState, process::FDTarget};
use std::net::{IpAddr, SocketAddr};

/// The process that listens on `addr`, or on its port on the wildcard address, as pid and name.
/// `None` where nobody does or, without root, where it is another user's process.
pub fn holder_of(addr: SocketAddr) -> Option<(u32, String)> {
    let inode = listening_inode(addr)?;
    procfs::process::all_processes().ok()?.flatten().find_map(|process| {
        let mut descriptors = process.fd().ok()?.flatten();
        descriptors.any(|d| matches!(d.target, FDTarget::Socket(i) if i == inode)).then_some(())?;
        Some((u32::try_from(process.pid()).ok()?, process.stat().ok()?.comm))
    })
}

fn listening_inode(addr: SocketAddr) -> Option<u64> {
    let sockets = procfs::net::tcp().into_iter().chain(procfs::net::tcp6()).flatten();
    let mut matching = sockets.filter(|s| s.state == TcpState::Listen && clashes(s.local_address, addr));
    matching.next().map(|s| s.inode)
}

/// Whether two listeners get in each other's way: the same port, and the same address or one of
/// them the wildcard. The IPv6 wildcard takes IPv4 too.
fn clashes(a: SocketAddr, b: SocketAddr) -> bool {
    let (x, y) = (a.ip().to_canonical(), b.ip().to_canonical());
    let covers = |wide: IpAddr, other: IpAddr| wide.is_unspecified() && (wide.is_ipv6() || other.is_ipv4());
    a.port() == b.port() && (x == y || covers(x, y) || covers(y, x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn names_this_process_and_nobody_for_a_free_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (pid, name) = holder_of(addr).expect("somebody listens");
        assert_eq!(pid, std::process::id());
        assert!(!name.is_empty());
        drop(listener);
        assert_eq!(holder_of(addr), None);
    }

    #[test]
    fn a_wildcard_listener_is_found_too() {
        let listener = TcpListener::bind("[::]:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "::1"] {
            assert_eq!(holder_of(SocketAddr::new(host.parse().unwrap(), port)).unwrap().0, std::process::id());
        }
    }

    #[test]
    fn addresses_clash_where_binding_would_fail() {
        for (a, b, expected) in [
            ("127.0.0.1:5", "127.0.0.1:5", true),
            ("127.0.0.1:5", "127.0.0.1:6", false),
            ("127.0.0.1:5", "127.0.0.2:5", false),
            ("0.0.0.0:5", "127.0.0.2:5", true),
            ("[::]:5", "127.0.0.2:5", true),
            ("0.0.0.0:5", "[::1]:5", false),
            ("[::ffff:127.0.0.1]:5", "127.0.0.1:5", true),
        ] {
            assert_eq!(clashes(a.parse().unwrap(), b.parse().unwrap()), expected, "{a} {b}");
        }
    }
}
