//! Names this server goes by, and where requests that change something may come from.
//!
//! A page somewhere in the web can make its visitor's browser speak to an address on the visitor's
//! own machine, by a name of its own that it lets point there. So a request for a name that is not
//! ours is refused, and so is a change asked for by the page of another origin.

use axum::http::{HeaderMap, Method, Uri, header, uri::Authority};
use mainstay_model::{Error, Kind, Result};
use std::net::{IpAddr, SocketAddr};

#[derive(Debug, Default)]
pub struct Hosts {
    /// Where it listens, and `--public-url`: both with their port, in lower case.
    own: Vec<String>,
    public: Option<String>,
    /// Listens on every address of the machine. An address cannot be made to lead elsewhere as a name
    /// can, so all of them are its names.
    any_address: bool,
}

impl Hosts {
    pub fn new(public_url: Option<&str>, listen: Option<SocketAddr>) -> Self {
        let public = public_url.map(|url| authority_of(url).unwrap_or(url).trim_end_matches('/').to_ascii_lowercase());
        Hosts {
            own: public.into_iter().chain(listen.map(|a| a.to_string())).collect(),
            public: public_url.map(|url| url.trim_end_matches('/').to_string()),
            any_address: listen.is_some_and(|a| a.ip().is_unspecified()),
        }
    }

    /// What links begin with: the public address, else the one the request was for.
    pub fn base(&self, headers: &HeaderMap, secure: bool) -> String {
        let host = headers.get(header::HOST).and_then(|v| v.to_str().ok()).unwrap_or("localhost");
        let scheme = if secure { "https" } else { "http" };
        self.public.clone().unwrap_or_else(|| format!("{scheme}://{host}"))
    }

    /// Loopback by any port: it may be forwarded.
    fn is_ours(&self, named: &str) -> bool {
        if self.own.iter().any(|own| own.eq_ignore_ascii_case(named)) {
            return true;
        }
        let Some(authority) = named.parse::<Authority>().ok() else { return false };
        let host = authority.host();
        // Nothing but a host and a port: no user before it, nothing behind a bracket.
        let rest = named.strip_prefix(host).unwrap_or("?");
        if !(rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())) {
            return false;
        }
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        bare.eq_ignore_ascii_case("localhost")
            || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || self.any_address && !ip.is_unspecified())
    }

    /// An origin is ours if it is the very one the request is for; behind a proxy, the public one.
    fn is_own_origin(&self, origin: &str, host: &str) -> bool {
        let same = |authority: &str| authority.eq_ignore_ascii_case(host) || self.own.iter().any(|own| own.eq_ignore_ascii_case(authority));
        authority_of(origin).is_some_and(same)
    }

    pub fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<()> {
        let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap_or("?"));
        let absolute = uri.authority().map(Authority::as_str);
        let host = text(header::HOST.as_str()).or(absolute).unwrap_or_default();
        if !self.is_ours(host) || absolute.is_some_and(|a| !self.is_ours(a)) {
            let why = "this server does not go by that name; `up --public-url` gives it another one";
            return Err(Error::new(Kind::Invalid, "wrong_host", why));
        }
        // What a handshake opens takes orders: it is no look, although it is a GET.
        let safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) && !is_handshake(headers);
        let foreign = text("origin").is_some_and(|o| !self.is_own_origin(o, host));
        let cross = text("sec-fetch-site").is_some_and(|s| s != "same-origin" && s != "none");
        if !safe && (foreign || cross) {
            return Err(Error::forbidden("what changes something is refused when the page of another site asks for it").with_code("csrf"));
        }
        Ok(())
    }
}

/// Asks for a WebSocket. Browsers send cookies with it from any page, and ask no leave before.
pub fn is_handshake(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE) || headers.contains_key(header::SEC_WEBSOCKET_KEY)
}

/// Host and port of an URL. `null`, the origin of pages without one, has none.
fn authority_of(url: &str) -> Option<&str> {
    url.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn check(hosts: &Hosts, method: Method, headers: &[(&'static str, &'static str)]) -> Result<()> {
        let headers: HeaderMap = headers.iter().map(|(k, v)| (k.parse().unwrap(), HeaderValue::from_static(v))).collect();
        hosts.check(&method, &Uri::from_static("/api/v1/clusters"), &headers)
    }

    #[test]
    fn names_that_are_not_ours_are_refused() {
        let hosts = Hosts::new(Some("https://db.example:8443/"), Some("10.1.2.3:8420".parse().unwrap()));
        for ok in ["127.0.0.1:8420", "localhost", "LOCALHOST:1", "[::1]:8420", "DB.example:8443", "127.3.4.5", "10.1.2.3:8420"] {
            assert!(hosts.is_ours(ok), "{ok}");
        }
        for bad in [
            "",
            "?",
            "evil.example",
            "127.0.0.1.evil.example",
            "db.example",
            "10.1.2.3",
            "10.0.0.1:8420",
            "localhost.evil.example",
            "localhost@evil.example",
            "evil@localhost",
            "[::1]evil",
            "0.0.0.0",
        ] {
            assert!(!hosts.is_ours(bad), "{bad}");
        }
    }

    #[test]
    fn an_absolute_address_counts_too() {
        let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("localhost"))]);
        let e = Hosts::default().check(&Method::GET, &Uri::from_static("http://evil.example/api/docs"), &headers);
        assert_eq!(e.unwrap_err().code, "wrong_host");
    }

    #[test]
    fn requests_of_other_sites_may_only_look() {
        let hosts = Hosts::new(Some("https://db.example"), None);
        let own = ("host", "127.0.0.1:8420");
        for foreign in ["https://evil.example", "null", "http://127.0.0.1:9999", "http://127.0.0.1:8420.evil.example"] {
            assert_eq!(check(&hosts, Method::POST, &[own, ("origin", foreign)]).unwrap_err().code, "csrf", "{foreign}");
            assert!(check(&hosts, Method::GET, &[own, ("origin", foreign)]).is_ok());
        }
        for ours in ["http://127.0.0.1:8420", "https://db.example"] {
            assert!(check(&hosts, Method::DELETE, &[own, ("origin", ours)]).is_ok(), "{ours}");
        }
        assert_eq!(check(&hosts, Method::POST, &[own, ("sec-fetch-site", "same-site")]).unwrap_err().code, "csrf");
        let upgrade = ("upgrade", "websocket");
        for foreign in ["https://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:8420"] {
            assert_eq!(check(&hosts, Method::GET, &[own, upgrade, ("origin", foreign)]).unwrap_err().code, "csrf", "{foreign}");
        }
        assert!(check(&hosts, Method::GET, &[own, upgrade, ("origin", "http://127.0.0.1:8420")]).is_ok());
        assert_eq!(check(&hosts, Method::GET, &[own, upgrade, ("sec-fetch-site", "cross-site")]).unwrap_err().code, "csrf");
        assert!(check(&hosts, Method::POST, &[own, ("sec-fetch-site", "same-origin")]).is_ok());
    }
}
