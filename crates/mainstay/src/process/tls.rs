//! The certificate that HTTPS is served with: one that was given, or one of this installation's own CA.
//!
//! The CA is made once and lies in the data directory; what it signs is made anew at each start, for
//! the names the server has then. A browser has to be told once to trust the CA, by its fingerprint.

use super::{data_dir::write_secret, up::Config};
use mainstay_model::{Error, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use sha2::{Digest, Sha256};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    sync::Arc,
};

const CA_DAYS: i64 = 3650;
/// No longer than browsers take.
const DAYS: i64 = 397;

pub struct Served {
    pub config: Arc<ServerConfig>,
    /// The own CA, where it is one of those: its file and its fingerprint.
    pub own: Option<(PathBuf, String)>,
}

/// `None` where plain HTTP is served: on loopback, and only where no certificate was given.
pub fn prepare(config: &Config, data_dir: &Path, host_name: &str) -> Result<Option<Served>> {
    if let Some((cert, key)) = &config.tls {
        let read = |e: rustls::pki_types::pem::Error, path: &Path, field: &str| {
            Error::invalid(field, format!("{} does not read as PEM: {e}", path.display()))
        };
        let chain: Vec<_> = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect).map_err(|e| read(e, cert, "tls_cert"))?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|e| read(e, key, "tls_key"))?;
        return Ok(Some(Served { config: server(chain, key)?, own: None }));
    }
    if config.listen.ip().is_loopback() {
        return Ok(None);
    }
    let dir = data_dir.join("tls");
    let (ca, issuer) = authority(&dir)?;
    let (certificate, key) = certificate(&issuer, names(config, host_name))?;
    let own = Some((dir.join("ca.pem"), fingerprint(&ca)));
    Ok(Some(Served { config: server(vec![certificate, ca], key)?, own }))
}

fn server(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(Error::internal)?;
    let unfit = |e| Error::invalid("tls_cert", format!("the certificate and its key do not serve: {e}"));
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key).map_err(unfit)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Pairs of hexadecimal digits, as browsers show it.
fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let pairs: Vec<String> = Sha256::digest(certificate).iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

/// Made at the first start that needs it.
fn authority(dir: &Path) -> Result<(CertificateDer<'static>, Issuer<'static, KeyPair>)> {
    let (cert, key) = (dir.join("ca.pem"), dir.join("ca.key"));
    if !key.exists() {
        std::fs::create_dir_all(dir)?;
        write_secret(&key, KeyPair::generate().map_err(Error::internal)?.serialize_pem().as_bytes())?;
    }
    let pair = std::fs::read_to_string(&key)?;
    let pair = KeyPair::from_pem(&pair).map_err(|e| Error::integrity(format!("{} does not read: {e}", key.display())))?;
    // The same each time: only the key and this name decide whose signature it is.
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, format!("Mainstay CA {}", hex::encode(&Sha256::digest(pair.public_key_pem())[..4])));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    hold(&mut params, CA_DAYS);
    if !cert.exists() {
        let made = params.self_signed(&pair).map_err(Error::internal)?;
        write_secret(&cert, made.pem().as_bytes())?;
    }
    let ca = CertificateDer::from_pem_file(&cert).map_err(|e| Error::integrity(format!("{} does not read: {e}", cert.display())))?;
    Ok((ca, Issuer::new(params, pair)))
}

fn certificate(issuer: &Issuer<'_, KeyPair>, names: Vec<String>) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>)> {
    let key = KeyPair::generate().map_err(Error::internal)?;
    let common = names.first().cloned().unwrap_or_default();
    let mut params =
        CertificateParams::new(names).map_err(|e| Error::invalid("public_url", format!("no certificate can be made for it: {e}")))?;
    params.distinguished_name.push(DnType::CommonName, common);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    hold(&mut params, DAYS);
    let made = params.signed_by(&key, issuer).map_err(Error::internal)?;
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).map_err(Error::internal)?;
    Ok((made.der().clone(), key))
}

/// Sets from when and until when a certificate holds: a day of grace for clocks that are behind.
fn hold(params: &mut CertificateParams, days: i64) {
    let (from, until) = (day(-1), day(days));
    params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
    params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
}

fn day(days: i64) -> (i32, u8, u8) {
    let day = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date().saturating_add(jiff::Span::new().days(days));
    (day.year().into(), day.month().unsigned_abs(), day.day().unsigned_abs())
}

/// What browsers and the command line may call this server.
fn names(config: &Config, host_name: &str) -> Vec<String> {
    let public = config.public_url.as_deref().and_then(|url| url.split_once("://")).map(|(_, rest)| rest.split('/').next().unwrap_or(rest));
    let public =
        public.map(|authority| authority.rsplit_once(':').map_or(authority, |(host, _)| host).trim_matches(['[', ']']).to_string());
    let listen = config.listen.ip();
    let address = if listen.is_unspecified() { outward() } else { Some(listen) };
    let is_name = |host: &&str| !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    let host_name = Some(host_name).filter(is_name).map(String::from);
    let mut names: Vec<String> = public.into_iter().chain(address.map(|a| a.to_string())).chain(host_name).collect();
    names.extend(["localhost".into(), Ipv4Addr::LOCALHOST.to_string(), Ipv6Addr::LOCALHOST.to_string()]);
    names
}

/// The address this machine has towards others. Nothing is sent.
fn outward() -> Option<IpAddr> {
    let socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))).ok()?;
    socket.connect(SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 9))).ok()?;
    socket.local_addr().ok().map(|a| a.ip())
}
