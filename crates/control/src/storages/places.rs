//! What a place must look like before anybody looks at it, each fault with the field it lies in.

use mainstay_drivers::storage::{BorgPlace, Place, S3Place, SftpPlace};
use mainstay_model::{Error, Result, Secret, error::shown};
use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    time::Duration,
};

const RESOLVE: Duration = Duration::from_secs(5);

/// The field a check of the whole place is held against.
pub fn field(place: &Place) -> &'static str {
    match place {
        Place::Local { .. } | Place::Snapshot { .. } => "path",
        Place::S3(_) => "endpoint",
        Place::Sftp(_) => "host",
        Place::Borg(_) => "repository",
    }
}

pub fn admit(place: &Place, secret: Option<&Secret>) -> Result<()> {
    match place {
        Place::Local { path } | Place::Snapshot { path } => directory("path", path).and(unneeded(secret)),
        Place::S3(place) => s3(place, secret),
        Place::Sftp(place) => sftp(place, secret),
        Place::Borg(place) => borg(place, secret),
    }
}

fn unneeded(secret: Option<&Secret>) -> Result<()> {
    secret.map_or(Ok(()), |_| Err(Error::invalid("secret_key", "a directory needs nothing to log in")))
}

fn directory(field: &str, path: &Path) -> Result<()> {
    let text = path.to_string_lossy();
    let plain = !text.contains('\0') && text.len() <= 1024 && !path.components().any(|c| c.as_os_str() == "..");
    match path.is_absolute() && plain {
        true => Ok(()),
        false => Err(Error::invalid(field, format!("\"{}\" is not an absolute directory without ..", shown(&text)))),
    }
}

/// Visible ASCII in one word.
fn word(field: &str, text: &str, most: usize) -> Result<()> {
    match (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
        true => Ok(()),
        false => Err(Error::invalid(field, format!("1 to {most} visible ASCII characters without spaces"))),
    }
}

fn s3(place: &S3Place, secret: Option<&Secret>) -> Result<()> {
    let bad = || {
        let message = format!("\"{}\" is not http(s)://host[:port], without bucket or path", shown(&place.endpoint));
        Error::invalid("endpoint", message)
    };
    let bare = place.endpoint.strip_prefix("https://").or_else(|| place.endpoint.strip_prefix("http://")).ok_or_else(bad)?;
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    if bare.is_empty() || bare.len() > 255 || !bare.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b)) {
        return Err(bad());
    }
    let bucket = (3..=63).contains(&place.bucket.len())
        && place.bucket.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b))
        && !place.bucket.starts_with(['.', '-'])
        && !place.bucket.contains("..");
    if !bucket {
        return Err(Error::invalid("bucket", "a bucket's name has 3 to 63 letters, digits, dots and dashes"));
    }
    prefix(&place.prefix)?;
    word("access_key", &place.access_key, 256)?;
    if let Some(region) = &place.s3_region {
        word("s3_region", region, 63)?;
    }
    let secret = secret.ok_or_else(|| Error::invalid("secret_key", "an s3 storage needs the secret access key"))?;
    word("secret_key", secret.reveal(), 1024)
}

fn prefix(text: &str) -> Result<()> {
    let part = |p: &str| !p.is_empty() && p != "." && p != ".." && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    match text.is_empty() || text.len() <= 256 && text.split('/').all(part) {
        true => Ok(()),
        false => {
            Err(Error::invalid("prefix", "letters, digits, dots, dashes and underscores, with single slashes between, none at the ends"))
        }
    }
}

fn sftp(place: &SftpPlace, secret: Option<&Secret>) -> Result<()> {
    word("host", &place.host, 255)?;
    word("user", &place.user, 64)?;
    if place.port == 0 {
        return Err(Error::invalid("port", "1 to 65535"));
    }
    directory("path", Path::new(&place.path))?;
    host_key(&place.host_key)?;
    private_key(secret.ok_or_else(|| Error::invalid("ssh_key", "an sftp storage needs a private key (OpenSSH, PEM)"))?)
}

fn borg(place: &BorgPlace, secret: Option<&Secret>) -> Result<()> {
    let Some(address) = place.repository.strip_prefix("ssh://") else {
        directory("repository", Path::new(&place.repository))?;
        return match (&place.host_key, secret) {
            (Some(_), _) => Err(Error::invalid("host_key", "a repository in a directory has no host; leave it out")),
            (_, Some(_)) => Err(Error::invalid("ssh_key", "a repository in a directory needs nothing to log in")),
            _ => Ok(()),
        };
    };
    word("repository", address, 1024)?;
    // A word that begins with a dash would be an option to ssh.
    let (host, path) = address.split_once('/').unwrap_or((address, ""));
    if !host.contains('@') || host.starts_with(['@', '-']) || host.contains("@-") || path.is_empty() {
        return Err(Error::invalid("repository", "ssh://user@host[:port]/path, or an absolute directory"));
    }
    host_key(place.host_key.as_deref().ok_or_else(|| Error::invalid("host_key", "a repository over ssh needs the host's public key"))?)?;
    private_key(secret.ok_or_else(|| Error::invalid("ssh_key", "a repository over ssh needs a private key (OpenSSH, PEM)"))?)
}

/// `ssh-ed25519 AAAA…`, as `ssh-keyscan` and `known_hosts` have it behind the host.
fn host_key(text: &str) -> Result<()> {
    let mut words = text.split_whitespace();
    let (kind, key) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
    let known = kind.starts_with("ssh-") || kind.starts_with("ecdsa-sha2-");
    match known && !text.contains(char::is_control) && key.starts_with("AAAA") && key.bytes().all(base64) && text.len() <= 2048 {
        true => Ok(()),
        false => {
            Err(Error::invalid("host_key", "the host's public key as known_hosts has it: ssh-ed25519 AAAA…; ssh-keyscan HOST prints it"))
        }
    }
}

fn private_key(key: &Secret) -> Result<()> {
    let text = key.reveal().trim();
    match text.starts_with("-----BEGIN ") && text.ends_with("-----") && text.len() <= 32 << 10 {
        true => Ok(()),
        false => Err(Error::invalid("ssh_key", "not a private key (OpenSSH, PEM)")),
    }
}

/// Host and port that will be connected to.
fn address(place: &Place) -> Option<(String, u16)> {
    let (bare, port) = match place {
        Place::Local { .. } | Place::Snapshot { .. } => return None,
        Place::Sftp(p) => return Some((p.host.clone(), p.port)),
        Place::S3(p) => match p.endpoint.strip_prefix("https://") {
            Some(rest) => (rest, 443),
            None => (p.endpoint.strip_prefix("http://")?, 80),
        },
        Place::Borg(p) => (p.repository.strip_prefix("ssh://")?.split('/').next()?.rsplit('@').next()?, 22),
    };
    let bare = bare.trim_end_matches('/');
    Some(match bare.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?))) {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host.trim_matches(['[', ']']).into(), port),
        _ => (bare.trim_matches(['[', ']']).into(), port),
    })
}

/// Refuses a place where Mainstay itself listens, and literal addresses that nothing is sent to. What a
/// name means may change: the agent looks again at each connection.
pub async fn not_ourselves(place: &Place, own: &[SocketAddr]) -> Result<()> {
    let Some((host, port)) = address(place) else { return Ok(()) };
    let refused = |why: &str| {
        let message = format!("nothing is kept at {}: {why}; choose another address", shown(&host));
        Err(Error::invalid(field(place), message).with_code("address_blocked"))
    };
    let found = tokio::time::timeout(RESOLVE, tokio::net::lookup_host((host.as_str(), port))).await;
    // A name without an address fails the look with better words.
    let Ok(Ok(found)) = found else { return Ok(()) };
    for ip in found.map(|a| a.ip().to_canonical()) {
        if own.iter().any(|o| o.port() == port && (o.ip() == ip || o.ip().is_unspecified())) {
            return refused("Mainstay itself listens there");
        }
        if is_link_local(ip) {
            return refused("it is a link-local or metadata address");
        }
    }
    Ok(())
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_drivers::storage::PathStyle;

    fn bucket(endpoint: &str) -> S3Place {
        S3Place {
            endpoint: endpoint.into(),
            bucket: "backups".into(),
            prefix: "a/b".into(),
            s3_region: None,
            path_style: PathStyle::Auto,
            access_key: "AK".into(),
            ca: None,
        }
    }

    fn fault(place: Place, secret: Option<&str>) -> Option<String> {
        admit(&place, secret.map(Secret::new).as_ref()).err().and_then(|e| e.field)
    }

    #[test]
    fn every_fault_names_its_field() {
        let good = bucket("https://s3.example.com:9000");
        assert_eq!(fault(Place::S3(good.clone()), Some("s")), None);
        assert_eq!(fault(Place::S3(good.clone()), None).as_deref(), Some("secret_key"));
        for endpoint in ["s3.example.com", "https://u:p@h", "https://h/b", "https://", "ftp://h"] {
            assert_eq!(fault(Place::S3(bucket(endpoint)), Some("s")).as_deref(), Some("endpoint"), "{endpoint}");
        }
        for prefix in ["/a", "a/", "a//b", "../a", "a b"] {
            assert_eq!(fault(Place::S3(S3Place { prefix: prefix.into(), ..good.clone() }), Some("s")).as_deref(), Some("prefix"));
        }
        assert_eq!(fault(Place::S3(S3Place { bucket: "a/b".into(), ..good }), Some("s")).as_deref(), Some("bucket"));
        let borg = |repository: &str, host_key: Option<&str>| {
            Place::Borg(BorgPlace { repository: repository.into(), host_key: host_key.map(Into::into) })
        };
        assert_eq!(fault(borg("/srv/borg", None), None), None);
        assert_eq!(fault(borg("srv", None), None).as_deref(), Some("repository"));
        assert_eq!(fault(borg("ssh://-oProxyCommand=x@h/p", None), None).as_deref(), Some("repository"));
        assert_eq!(fault(borg("ssh://u@h/p", None), None).as_deref(), Some("host_key"));
        assert_eq!(fault(borg("ssh://u@h/p", Some("ssh-ed25519 AAAAC3Nz")), None).as_deref(), Some("ssh_key"));
    }

    #[tokio::test]
    async fn our_own_ports_and_metadata_are_refused() {
        let own = ["127.0.0.1:8420".parse().unwrap()];
        for (endpoint, refused) in [
            ("http://127.0.0.1:8420", true),
            ("http://169.254.169.254", true),
            ("http://[fe80::1]:9000", true),
            ("http://127.0.0.1:9000", false),
            ("http://10.1.2.3", false),
        ] {
            assert_eq!(not_ourselves(&Place::S3(bucket(endpoint)), &own).await.is_err(), refused, "{endpoint}");
        }
    }
}
