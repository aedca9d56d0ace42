//! Where repositories lie, and what of a user's text may become part of an argument.
//!
//! Borg expands `{...}` in repository names and takes `::` for the beginning of an archive's; ssh
//! takes a leading dash for an option. None of these has a place in an address.

use mainstay_drivers::storage::BorgPlace;
use mainstay_model::{Error, Result};
use std::path::{Component, Path, PathBuf};

pub enum Address {
    Local(PathBuf),
    Ssh { base: String, user: String, host: String, port: u16, host_key: String },
}

fn refused(why: &str) -> Error {
    Error::invalid("repository", format!("{why}; write ssh://user@host[:port]/path, or an absolute directory"))
}

impl Address {
    pub fn parse(place: &BorgPlace) -> Result<Address> {
        let text = place.repository.trim_end_matches('/');
        if text.contains(['{', '}']) || text.chars().any(char::is_control) {
            return Err(refused("a repository's address is without braces and control characters"));
        }
        match text.strip_prefix("ssh://") {
            Some(rest) => Self::ssh(rest, place.host_key.as_deref()),
            None if text.contains("://") => Err(refused("only ssh:// is understood")),
            None => Ok(Address::Local(plain_path(text)?)),
        }
    }

    fn ssh(rest: &str, host_key: Option<&str>) -> Result<Address> {
        let (authority, path) = rest.split_once('/').ok_or_else(|| refused("the address has no path"))?;
        let path = plain_path(&format!("/{path}"))?;
        let (user, at) = authority.rsplit_once('@').ok_or_else(|| refused("the address has no user"))?;
        let (host, port) = host_and_port(at)?;
        let word = |text: &str, more: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
            !text.is_empty() && !text.starts_with('-') && text.chars().all(fits)
        };
        if !word(user, "._-") || !word(host, ".-:_") {
            return Err(refused("user and host are plain words"));
        }
        let shown = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let base = format!("ssh://{user}@{shown}:{port}{}", path.display());
        Ok(Address::Ssh { base, user: user.to_owned(), host: host.to_owned(), port, host_key: plain_key(host_key)? })
    }

    /// A repository below it, as Borg is told.
    pub fn url(&self, below: &str) -> String {
        match self {
            Address::Local(path) => path.join(below).to_string_lossy().into_owned(),
            Address::Ssh { base, .. } => format!("{base}/{below}"),
        }
    }

    /// What `known_hosts` has to say; any other key is refused.
    pub fn known_host(&self) -> Option<String> {
        let Address::Ssh { host, port, host_key, .. } = self else { return None };
        match port {
            22 => Some(format!("{host} {host_key}\n")),
            _ => Some(format!("[{host}]:{port} {host_key}\n")),
        }
    }

    /// The arguments by which ssh gets there.
    pub fn login(&self) -> Option<Vec<String>> {
        let Address::Ssh { user, host, port, .. } = self else { return None };
        Some(vec!["-p".into(), port.to_string(), "-l".into(), user.clone(), host.clone()])
    }

    pub fn is_far(&self) -> bool {
        matches!(self, Address::Ssh { .. })
    }

    /// `false` where a look without Borg is enough to know that nothing is there.
    pub fn may_hold(&self, url: &str) -> bool {
        match self {
            Address::Local(_) => Path::new(url).join("config").exists(),
            Address::Ssh { .. } => true,
        }
    }
}

fn plain_path(text: &str) -> Result<PathBuf> {
    let path = Path::new(text);
    let plain = path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
    match path.is_absolute() && plain && path != Path::new("/") && !text.contains("::") {
        true => Ok(path.components().collect()),
        false => Err(refused("the path is absolute and below /, without ., .. and ::")),
    }
}

fn host_and_port(at: &str) -> Result<(&str, u16)> {
    let port = |text: &str| text.parse().ok().filter(|p| *p != 0).ok_or_else(|| refused("the port is a number"));
    if let Some(rest) = at.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or_else(|| refused("the host's bracket is not closed"))?;
        return match after.strip_prefix(':') {
            Some(text) => Ok((host, port(text)?)),
            None => Ok((host, 22)),
        };
    }
    match at.split_once(':') {
        Some((host, text)) => Ok((host, port(text)?)),
        None => Ok((at, 22)),
    }
}

fn plain_key(key: Option<&str>) -> Result<String> {
    let say = || {
        let why = "a repository over ssh needs the host's public key, as known_hosts has it (ssh-ed25519 AAAA…); ssh-keyscan HOST shows it, compare it with the host's own";
        Error::invalid("host_key", why)
    };
    let words: Vec<&str> = key.ok_or_else(say)?.split_whitespace().collect();
    let one_line = key.is_some_and(|k| k.trim().lines().count() == 1);
    match words[..] {
        [kind, data, ..] if one_line && !kind.starts_with(['#', '@', '|']) => Ok(format!("{kind} {data}")),
        _ => Err(say()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(repository: &str) -> Result<Address> {
        Address::parse(&BorgPlace { repository: repository.into(), host_key: Some("ssh-ed25519 AAAA me@there".into()) })
    }

    #[test]
    fn addresses_are_plain() {
        for bad in [
            "",
            "/",
            "relative",
            "/a/../b",
            "/a::b",
            "/{now}",
            "http://x/y",
            "ssh://host/path",
            "ssh://u@host",
            "ssh://u@-oProxyCommand=x/p",
            "ssh://-l@host/p",
            "ssh://u@h:0/p",
            "ssh://u@h:port/p",
            "ssh://u@h/",
            "/a\nb",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(parse("/srv/borg/").unwrap().url("p/c"), "/srv/borg/p/c");
        assert_eq!(parse("ssh://u@h/srv").unwrap().url("p/c"), "ssh://u@h:22/srv/p/c");
        assert_eq!(parse("ssh://u@h:2222/srv").unwrap().known_host().unwrap(), "[h]:2222 ssh-ed25519 AAAA\n");
        assert_eq!(parse("ssh://u@[::1]:23/srv").unwrap().url("c"), "ssh://u@[::1]:23/srv/c");
    }

    #[test]
    fn without_the_hosts_key_nobody_is_believed() {
        let place = |host_key: Option<&str>| BorgPlace { repository: "ssh://u@h/srv".into(), host_key: host_key.map(String::from) };
        for bad in [None, Some(""), Some("AAAA"), Some("ssh-ed25519 A\n* ssh-rsa B"), Some("@cert-authority * ssh-rsa B")] {
            assert_eq!(Address::parse(&place(bad)).err().unwrap().field.as_deref(), Some("host_key"), "{bad:?}");
        }
    }
}
