//! Where a user may make this machine connect to.
//!
//! Private and loopback addresses are fine: only owners name them. Never fine are the link-local
//! addresses at which clouds hand out credentials to whoever asks, and Mainstay's own ports. What a
//! name means is asked once and that answer is both judged and used: a second question could be
//! answered otherwise.

use mainstay_model::{Error, Result, error::shown};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

const RESOLVE: Duration = Duration::from_secs(5);

/// Addresses of clouds' metadata servers that are not link-local.
const METADATA: [IpAddr; 3] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    own: Vec<SocketAddr>,
}

impl Outgoing {
    /// `own` are the addresses Mainstay itself listens on.
    pub fn new(own: Vec<SocketAddr>) -> Self {
        Outgoing { own }
    }

    /// The addresses of a host, all of which may be connected to.
    pub async fn resolve(&self, field: &str, host: &str, port: u16) -> Result<Vec<SocketAddr>> {
        let found = tokio::time::timeout(RESOLVE, tokio::net::lookup_host((host, port))).await;
        let unknown = |why: String| Error::unavailable("host_unknown", format!("the address of {} was not found: {why}", shown(host)));
        let addresses: Vec<SocketAddr> = match found {
            Ok(Ok(addresses)) => addresses.collect(),
            Ok(Err(e)) => return Err(unknown(e.to_string())),
            Err(_) => return Err(unknown(format!("no answer within {} s", RESOLVE.as_secs()))),
        };
        if addresses.is_empty() {
            return Err(unknown("it has none".into()));
        }
        addresses.iter().try_for_each(|a| self.judge(field, *a))?;
        Ok(addresses)
    }

    /// Refuses an address that nothing may be sent to.
    pub fn judge(&self, field: &str, address: SocketAddr) -> Result<()> {
        let ip = plain(address.ip());
        let why = if is_link_local(ip) || METADATA.contains(&ip) {
            "it is a link-local or metadata address"
        } else if ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) {
            "it is not the address of one machine"
        } else if self.own.iter().any(|own| is_own(*own, ip, address.port())) {
            "Mainstay itself listens there"
        } else {
            return Ok(());
        };
        let message = format!("nothing is sent to {}: {why}; choose another address", SocketAddr::new(ip, address.port()));
        Err(Error::invalid(field, message).with_code("address_blocked"))
    }
}

/// An IPv4 address that is written as an IPv6 one is the IPv4 one.
fn plain(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let s = v6.segments();
    match s[..6] {
        // What a translator at the border of an IPv6 network makes of an IPv4 address.
        [0x64, 0xff9b, 0, 0, 0, 0] => Ipv4Addr::from(u32::from(s[6]) << 16 | u32::from(s[7])).into(),
        _ => ip.to_canonical(),
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

fn is_own(own: SocketAddr, ip: IpAddr, port: u16) -> bool {
    own.port() == port && (own.ip() == ip || own.ip().is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> Result<()> {
        let own = vec!["127.0.0.1:8420".parse().unwrap(), "127.70.1.2:5432".parse().unwrap()];
        Outgoing::new(own).judge("url", text.parse().unwrap())
    }

    #[test]
    fn metadata_and_own_ports_are_refused_however_they_are_written() {
        for bad in [
            "169.254.169.254:80",
            "169.254.0.1:443",
            "[fe80::1]:80",
            "[fd00:ec2::254]:80",
            "[::ffff:169.254.169.254]:80",
            "[64:ff9b::a9fe:a9fe]:80",
            "100.100.100.200:80",
            "192.0.0.192:80",
            "0.0.0.0:25",
            "[::]:25",
            "[::ffff:0.0.0.0]:25",
            "224.0.0.1:80",
            "255.255.255.255:80",
            "127.0.0.1:8420",
            "[::ffff:127.0.0.1]:8420",
            "127.70.1.2:5432",
        ] {
            let e = judged(bad).expect_err(bad);
            assert_eq!((e.code.as_str(), e.field.as_deref()), ("address_blocked", Some("url")), "{bad}");
        }
    }

    #[test]
    fn private_and_loopback_ones_are_fine() {
        for good in ["127.0.0.1:25", "10.0.0.1:8420", "192.168.1.1:443", "[::1]:25", "[fd00::1]:25", "93.184.216.34:443", "127.70.1.2:25"] {
            assert_eq!(judged(good), Ok(()), "{good}");
        }
    }

    #[tokio::test]
    async fn what_a_name_means_is_judged() {
        let outgoing = Outgoing::new(vec!["127.0.0.1:8420".parse().unwrap()]);
        let e = outgoing.resolve("url", "localhost", 8420).await.expect_err("localhost is here");
        assert_eq!(e.code, "address_blocked");
        assert!(outgoing.resolve("url", "localhost", 25).await.is_ok_and(|a| !a.is_empty()));
        assert!(outgoing.resolve("url", "no-such-host.invalid", 25).await.is_err_and(|e| e.is_transient()));
    }
}
