//! Webhook: one POST of JSON a message, signed so that the receiver knows who sent it and when.
//!
//! The signature is over the time and the body: `Mainstay-Signature: t=<seconds>,v1=<hex of
//! HMAC-SHA256(secret, "<t>.<body>")>`. A receiver refuses old times, and drops a
//! `Mainstay-Delivery` it has seen before: messages come at least once.

use crate::{MAX_TEXT, TIMEOUT, outgoing::Outgoing};
use async_trait::async_trait;
use aws_lc_rs::hmac;
use mainstay_drivers::notifier::{Notifier, Webhook};
use mainstay_model::{Error, Result, Secret, Time, notice::Notice};
use reqwest::{Certificate, Client, ClientBuilder, Url, redirect::Policy};
use serde::Serialize;
use std::net::SocketAddr;

pub const SIGNATURE: &str = "mainstay-signature";
pub const DELIVERY: &str = "mainstay-delivery";
pub const EVENT: &str = "mainstay-event";

pub(crate) struct WebhookNotifier {
    name: String,
    url: Url,
    host: String,
    port: u16,
    certificates: Vec<Certificate>,
    secret: Secret,
    outgoing: Outgoing,
}

/// What is posted. Fields only ever grow.
#[derive(Serialize)]
struct Body<'a> {
    /// The same each time this message is sent.
    delivery: &'a str,
    event: &'a str,
    at: Time,
    project: &'a str,
    cluster: Option<&'a str>,
    object_kind: &'a str,
    object: &'a str,
    good: bool,
    title: &'a str,
    text: &'a str,
}

/// The value of [`SIGNATURE`] for a body sent at a time.
pub fn sign(secret: &str, at: Time, body: &[u8]) -> String {
    let t = at.micros().div_euclid(1_000_000);
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
    context.update(format!("{t}.").as_bytes());
    context.update(body);
    format!("t={t},v1={}", hex::encode(context.sign()))
}

impl WebhookNotifier {
    pub fn new(name: &str, spec: &Webhook, secret: Option<Secret>, outgoing: Outgoing) -> Result<Self> {
        let (url, host, port) = address(&spec.url)?;
        let secret = secret.ok_or_else(|| Error::invalid("secret", "a webhook needs a secret that its messages are signed with"))?;
        if !(16..=256).contains(&secret.reveal().len()) {
            return Err(Error::invalid("secret", "the secret of a webhook has 16 to 256 bytes"));
        }
        let certificates = match &spec.ca {
            None => vec![],
            Some(pem) => match Certificate::from_pem_bundle(pem.as_bytes()) {
                Ok(all) if !all.is_empty() => all,
                _ => return Err(Error::invalid("ca", "this is not a PEM certificate")),
            },
        };
        Ok(WebhookNotifier { name: name.into(), url, host, port, certificates, secret, outgoing })
    }

    /// A client that reaches these addresses and no others, whatever the environment says.
    fn client(&self, addresses: &[SocketAddr]) -> Result<Client> {
        let builder: ClientBuilder = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(TIMEOUT)
            .connect_timeout(TIMEOUT)
            .pool_max_idle_per_host(0)
            .user_agent(concat!("Mainstay/", env!("CARGO_PKG_VERSION")))
            .resolve_to_addrs(&self.host, addresses);
        let builder = if self.certificates.is_empty() { builder } else { builder.tls_certs_merge(self.certificates.iter().cloned()) };
        builder.build().map_err(|e| Error::internal(e.without_url()))
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>> {
        self.outgoing.resolve("url", &self.host, self.port).await
    }
}

/// The address in its parts. It is not quoted back: it may hold a secret.
fn address(text: &str) -> Result<(Url, String, u16)> {
    let bad = |why: &str| Error::invalid("url", format!("the address of a webhook is http(s)://host[:port]/path: {why}"));
    if text.len() > MAX_TEXT {
        return Err(bad("this is too long"));
    }
    let url: Url = text.parse().map_err(|_| bad("this does not read as one"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("it begins with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("a user or password in it is not sent; the messages are signed"));
    }
    let port = url.port_or_known_default().filter(|p| *p != 0).ok_or_else(|| bad("port 0 does not exist"))?;
    // Brackets are the URL's way to write an IPv6 address, not a part of it.
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_string();
    if host.is_empty() { Err(bad("it has no host")) } else { Ok((url, host, port)) }
}

#[async_trait]
impl Notifier for WebhookNotifier {
    fn name(&self) -> &str {
        &self.name
    }

    /// The path is left out: whoever knows it may post there.
    fn target(&self) -> String {
        let rest = if self.url.path() == "/" && self.url.query().is_none() { "" } else { "/…" };
        format!("{}{rest}", self.url.origin().ascii_serialization())
    }

    async fn check(&self) -> Result<()> {
        let addresses = self.addresses().await?;
        let connect = tokio::time::timeout(TIMEOUT, tokio::net::TcpStream::connect(addresses.as_slice()));
        match connect.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(e)) => Err(Error::unavailable("webhook_unreachable", format!("{} does not answer: {e}", self.target()))),
            Err(_) => Err(slow(&self.target())),
        }
    }

    async fn send(&self, notice: &Notice, now: Time) -> Result<String> {
        let body = serde_json::to_vec(&Body {
            delivery: notice.id.as_str(),
            event: notice.kind.as_str(),
            at: notice.at,
            project: notice.project.as_str(),
            cluster: notice.cluster.as_deref(),
            object_kind: &notice.object_kind,
            object: &notice.object,
            good: notice.good,
            title: &notice.title,
            text: &notice.text,
        })
        .map_err(Error::internal)?;
        let request = self
            .client(&self.addresses().await?)?
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header(DELIVERY, notice.id.as_str())
            .header(EVENT, notice.kind.as_str())
            .header(SIGNATURE, sign(self.secret.reveal(), now, &body))
            .body(body);
        // The body of the answer is not read: it would tell whoever names an address what is behind it.
        let status = request.send().await.map_err(|e| broken(&self.target(), e))?.status();
        judged(&self.target(), status.as_u16(), &status.to_string())
    }
}

fn judged(target: &str, code: u16, said: &str) -> Result<String> {
    let refused = |why: &str| Err(Error::failed("webhook_refused", format!("{target} answered {said}{why}")));
    match code {
        200..=299 => Ok(said.into()),
        300..=399 => refused("; redirects are not followed, give the address it leads to"),
        408 | 425 | 429 | 500..=599 => Err(Error::unavailable("webhook_failed", format!("{target} answered {said}"))),
        _ => refused(""),
    }
}

fn slow(target: &str) -> Error {
    Error::timed_out(format!("{target} did not answer within {} s", TIMEOUT.as_secs()))
}

fn broken(target: &str, e: reqwest::Error) -> Error {
    if e.is_timeout() {
        return slow(target);
    }
    // The innermost reason is the one a person can do something about.
    let mut why: &dyn std::error::Error = &e;
    while let Some(inner) = why.source() {
        why = inner;
    }
    let why = why.to_string();
    Error::unavailable("webhook_unreachable", format!("{target} cannot be reached: {why}")).with_inside(e.without_url())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(url: &str) -> Result<WebhookNotifier> {
        let spec = Webhook { url: url.into(), ca: None };
        WebhookNotifier::new("ops", &spec, Some(Secret::new("0123456789abcdef")), Outgoing::default())
    }

    #[test]
    fn a_signature_is_what_any_hmac_makes() {
        // printf '1700000000.{}' | openssl dgst -sha256 -hmac 0123456789abcdef
        let signed = sign("0123456789abcdef", Time::from_micros(1_700_000_000_999_999), b"{}");
        assert_eq!(signed, "t=1700000000,v1=e4f8e2ecae2295b2ddb2f0b5584c8275e226c0ebe9b3b819e70156bb67122e3e");
    }

    #[test]
    fn only_plain_addresses_are_taken() {
        for bad in [
            "",
            "ftp://a/",
            "file:///etc/passwd",
            "unix:/run/x",
            "http://",
            "http://user@host/",
            "http://u:p@host/",
            "host:80",
            "http://h:0/",
        ] {
            assert_eq!(opened(bad).err().and_then(|e| e.field), Some("url".into()), "{bad}");
        }
    }

    #[test]
    fn a_target_does_not_tell_the_path() {
        assert_eq!(opened("https://hooks.example.com/T0/secret?x=1").unwrap().target(), "https://hooks.example.com/…");
        assert_eq!(opened("http://127.0.0.1:9000").unwrap().target(), "http://127.0.0.1:9000");
    }

    #[tokio::test]
    async fn numbers_that_mean_a_forbidden_address_are_refused() {
        for bad in [
            "http://169.254.169.254/latest",
            "http://2852039166/",
            "http://0xa9.0xfe.0xa9.0xfe/",
            "http://[::ffff:a9fe:a9fe]/",
            "http://0/",
        ] {
            let e = opened(bad).unwrap().check().await.expect_err(bad);
            assert_eq!(e.code, "address_blocked", "{bad}: {e}");
        }
    }

    #[test]
    fn what_makes_sense_to_try_again() {
        assert_eq!(judged("x", 204, "204 No Content").as_deref(), Ok("204 No Content"));
        for again in [408, 429, 500, 503] {
            assert!(judged("x", again, "").unwrap_err().is_transient(), "{again}");
        }
        for never in [301, 302, 400, 401, 403, 404, 410, 413] {
            assert!(!judged("x", never, "").unwrap_err().is_transient(), "{never}");
        }
    }
}
