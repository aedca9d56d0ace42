//! Addresses that no storage may lie at: link-local ones, where clouds keep the credentials of the machine.
//! Checked where the connection is made, so that a name cannot change its meaning in between.

use mainstay_model::{Error, Result};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where clouds have their metadata in spite of it being no link.
const METADATA: [IpAddr; 3] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

pub fn admit(address: IpAddr) -> Result<()> {
    let address = address.to_canonical();
    let odd = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_unspecified() || v4.is_broadcast() || v4.is_multicast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_multicast(),
    };
    match odd || METADATA.contains(&address) {
        false => Ok(()),
        true => Err(Error::forbidden(format!("{address} is an address no storage may lie at (link-local, metadata, or none at all)"))
            .with_code("address_refused")),
    }
}

/// The system's resolver, with the forbidden addresses left out.
pub struct Guarded;

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = resolve(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// What `host` is, as far as it may be connected to.
pub async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>> {
    let unknown = |e: std::io::Error| Error::unavailable("unknown_host", format!("host {host} cannot be resolved: {e}"));
    let all: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await.map_err(unknown)?.collect();
    let good: Vec<SocketAddr> = all.iter().copied().filter(|a| admit(a.ip()).is_ok()).collect();
    match (good.is_empty(), all.first()) {
        (false, _) => Ok(good),
        (true, Some(first)) => Err(admit(first.ip()).err().unwrap_or_else(|| Error::internal("an address changed"))),
        (true, None) => Err(Error::unavailable("unknown_host", format!("host {host} has no address"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_out_of_reach_and_private_networks_are_not() {
        for bad in ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "fd00:ec2::254", "0.0.0.0", "::"] {
            assert!(admit(bad.parse().unwrap()).is_err(), "{bad}");
        }
        for good in ["127.0.0.1", "10.0.0.1", "192.168.1.1", "8.8.8.8", "::1", "fd12::1"] {
            assert!(admit(good.parse().unwrap()).is_ok(), "{good}");
        }
    }
}
