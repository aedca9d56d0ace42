//! Where an S3 server is, how it wants its bucket named and what it wants signed, and the addresses
//! that nobody is let at.

use super::{
    client::{Ask, Client, Reply},
    sign::encoded,
    xml,
};
use crate::place::outgoing;
use mainstay_drivers::storage::{PathStyle, S3Place};
use mainstay_model::{Error, Result};
use reqwest::{Certificate, Method, Url};
use std::{net::IpAddr, time::Duration};

pub const DEFAULT_REGION: &str = "us-east-1";

/// How requests get in: settled once for a storage.
#[derive(Debug, Clone)]
pub struct Door {
    /// Scheme, host and port of the requests.
    base: String,
    /// As the `Host` header has it.
    pub host: String,
    /// The bucket, in path style.
    bucket: Option<String>,
    pub region: String,
}

pub struct Target {
    pub url: Url,
    /// As it is signed.
    pub path: String,
}

impl Door {
    fn new(place: &S3Place, path_style: bool, region: &str) -> Result<Self> {
        let url = endpoint(&place.endpoint)?;
        let host = url.host_str().unwrap_or_default();
        let host = if path_style { host.to_owned() } else { format!("{}.{host}", place.bucket) };
        let host = url.port().map_or(host.clone(), |port| format!("{host}:{port}"));
        let bucket = path_style.then(|| place.bucket.clone());
        Ok(Door { base: format!("{}://{host}", url.scheme()), host, bucket, region: region.to_owned() })
    }

    pub fn is_path_style(&self) -> bool {
        self.bucket.is_some()
    }

    pub fn target(&self, key: &str, query: &str) -> Result<Target> {
        let path = match &self.bucket {
            Some(bucket) if key.is_empty() => format!("/{}", encoded(bucket, false)),
            Some(bucket) => format!("/{}/{}", encoded(bucket, false), encoded(key, true)),
            None => format!("/{}", encoded(key, true)),
        };
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        let url = Url::parse(&format!("{}{path}{query}", self.base)).map_err(Error::internal)?;
        Ok(Target { url, path })
    }
}

/// `http(s)://host[:port]` and nothing else.
pub fn endpoint(text: &str) -> Result<Url> {
    let bad = |why: &str| Error::invalid("endpoint", format!("{why}; an endpoint is http(s)://host[:port], without bucket or path"));
    let url = Url::parse(text).map_err(|_| bad("it is not an address"))?;
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    match (url.scheme(), url.host_str()) {
        (_, None | Some("")) => Err(bad("it names no host")),
        ("http" | "https", Some(_)) if !url.username().is_empty() || url.password().is_some() => Err(bad("it holds a user or a password")),
        ("http" | "https", Some(_)) if !bare => Err(bad("it has a path")),
        ("http" | "https", Some(_)) => Ok(url),
        _ => Err(bad("it is neither http nor https")),
    }
}

/// A client that trusts the storage's own certificates too, follows nobody elsewhere, and never
/// connects to a forbidden address, whatever a name resolves to by then.
pub fn http(place: &S3Place, connect: Duration) -> Result<reqwest::Client> {
    let url = endpoint(&place.endpoint)?;
    if let Some(address) = literal(&url) {
        outgoing::admit(address).map_err(|e| e.with_field("endpoint"))?;
    }
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect)
        .pool_idle_timeout(Duration::from_secs(20))
        .dns_resolver(outgoing::Guarded);
    if let Some(pem) = &place.ca {
        let broken = |_| Error::invalid("ca", "it holds no certificate in PEM that can be read");
        let certificates = Certificate::from_pem_bundle(pem.as_bytes()).map_err(broken)?;
        if certificates.is_empty() {
            return Err(Error::invalid("ca", "it holds no certificate in PEM"));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(Error::internal)
}

fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

/// Finds out the style and the region, by asking for the bucket's location: whoever answers like an
/// S3 server that knows the bucket is the one to talk to.
pub async fn find_door(client: &Client) -> Result<Door> {
    let place = &client.place;
    let given = place.s3_region.as_deref();
    let styles: &[bool] = match place.path_style {
        PathStyle::On => &[true],
        PathStyle::Off => &[false],
        PathStyle::Auto if can_be_a_host(place)? => &[false, true],
        PathStyle::Auto => &[true],
    };
    if let (Some(region), [style]) = (given, styles) {
        return Door::new(place, *style, region);
    }
    let mut last = Err(Error::internal("no style to try"));
    for (n, style) in styles.iter().enumerate() {
        // A name that nobody answers to is no reason to wait the whole patience.
        let patience = if n + 1 < styles.len() { client.limits.patience / 10 } else { client.limits.patience };
        let door = Door::new(place, *style, given.unwrap_or(DEFAULT_REGION))?;
        last = ask(client, door, patience).await;
        if last.is_ok() {
            return last;
        }
    }
    last
}

async fn ask(client: &Client, door: Door, patience: Duration) -> Result<Door> {
    let question = Ask::new(Method::GET, "").query("location", "");
    let reply = client.send_to(&door, &question, patience).await?;
    if let Some(region) = region_of(&reply).filter(|_| client.place.s3_region.is_none()) {
        return Ok(Door { region, ..door });
    }
    // A bucket that is not there, or a page of something that is no S3 server at all. A refusal may be
    // either's; where there is a choice the path is the safer one.
    let refused = reply.status == 403 && client.place.path_style == PathStyle::Off;
    let knows = refused || reply.is_good() && is_location(&reply);
    let virtual_miss = !door.is_path_style() && !knows;
    if virtual_miss || reply.status == 404 {
        return Err(client.refusal("finding", "", &reply));
    }
    // 403 and 501 to this question still mean that the style is understood.
    Ok(door)
}

fn is_location(reply: &Reply) -> bool {
    xml::parse(&reply.body, |root| root.tag_name().name() == "LocationConstraint").unwrap_or(false)
}

fn region_of(reply: &Reply) -> Option<String> {
    let fits = |r: &String| (1..=63).contains(&r.len()) && r.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let from_header = reply.header("x-amz-bucket-region").map(str::to_owned);
    let said = match reply.is_good() && is_location(reply) {
        true => xml::parse(&reply.body, |root| root.text().unwrap_or_default().trim().to_owned()).ok(),
        false => xml::wanted_region(&reply.body),
    };
    // Two names from before there were regions.
    let said = said.map(|r| match r.as_str() {
        "" => DEFAULT_REGION.to_owned(),
        "EU" => "eu-west-1".to_owned(),
        _ => r,
    });
    from_header.or(said).filter(fits)
}

/// A host can only have names below it if it is one itself, and a bucket with a dot in its name has no
/// certificate.
fn can_be_a_host(place: &S3Place) -> Result<bool> {
    let url = endpoint(&place.endpoint)?;
    let host = url.host_str().unwrap_or_default();
    let name = literal(&url).is_none() && host.contains('.');
    Ok(name && place.bucket.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(endpoint: &str, bucket: &str) -> S3Place {
        S3Place {
            endpoint: endpoint.into(),
            bucket: bucket.into(),
            prefix: String::new(),
            s3_region: None,
            path_style: PathStyle::Auto,
            access_key: "k".into(),
            ca: None,
        }
    }

    #[test]
    fn endpoints_are_hosts_and_nothing_else() {
        assert!(endpoint("https://s3.example.com").is_ok() && endpoint("http://127.0.0.1:9000/").is_ok());
        for bad in ["s3.example.com", "ftp://a", "https://a/b", "https://u:p@a", "https://a?x=1", "https://", ""] {
            assert_eq!(endpoint(bad).unwrap_err().field.as_deref(), Some("endpoint"), "{bad}");
        }
        let metadata = http(&place("http://169.254.169.254", "b"), Duration::from_secs(1)).unwrap_err();
        assert_eq!((metadata.code.as_str(), metadata.field.as_deref()), ("address_refused", Some("endpoint")));
    }

    #[test]
    fn a_bucket_is_a_host_name_or_a_directory() {
        let p = place("https://s3.example.com:9000", "shop");
        let virt = Door::new(&p, false, "eu").unwrap().target("a b/c", "list-type=2").unwrap();
        assert_eq!(virt.url.as_str(), "https://shop.s3.example.com:9000/a%20b/c?list-type=2");
        let path = Door::new(&p, true, "eu").unwrap();
        assert_eq!((path.target("k", "").unwrap().path, path.host.as_str()), ("/shop/k".into(), "s3.example.com:9000"));
        assert!(can_be_a_host(&p).unwrap());
        assert!(!can_be_a_host(&place("http://127.0.0.1:9000", "shop")).unwrap());
        assert!(!can_be_a_host(&place("http://localhost", "shop")).unwrap());
        assert!(!can_be_a_host(&place("https://s3.example.com", "my.shop")).unwrap());
    }
}
