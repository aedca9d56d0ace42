//! AWS Signature Version 4, as every S3-compatible server checks it. Written here rather than taken
//! from a library because the libraries that sign do not list unfinished uploads, do not show the
//! server's clock and do not say what a bucket can do, and all three are needed.

use aws_lc_rs::hmac;
use jiff::{Timestamp, tz::TimeZone};
use mainstay_model::Secret;
use sha2::{Digest, Sha256};
use std::fmt::Write;

pub const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

pub struct Signer<'a> {
    pub access_key: &'a str,
    pub secret: &'a Secret,
    pub region: &'a str,
}

/// What is signed. `path` and `query` are encoded already, the query in order of its names; `headers`
/// are in lower case.
pub struct Signed<'a> {
    pub method: &'a str,
    pub host: &'a str,
    pub path: &'a str,
    pub query: &'a str,
    pub headers: &'a [(&'static str, String)],
    pub payload: &'a str,
}

impl Signer<'_> {
    /// The headers that make the request one of ours.
    pub fn headers(&self, what: &Signed, now: Timestamp) -> Vec<(&'static str, String)> {
        let now = now.to_zoned(TimeZone::UTC);
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let day = now.strftime("%Y%m%d").to_string();
        let mut added = vec![("x-amz-content-sha256", what.payload.to_owned()), ("x-amz-date", time.clone())];
        let mut all: Vec<(&str, &str)> = vec![("host", what.host)];
        all.extend(what.headers.iter().chain(&added).map(|(n, v)| (*n, v.trim())));
        all.sort_unstable();
        let names = all.iter().map(|(n, _)| *n).collect::<Vec<_>>().join(";");
        let mut canonical = format!("{}\n{}\n{}\n", what.method, what.path, what.query);
        for (name, value) in &all {
            let _ = writeln!(canonical, "{name}:{value}");
        }
        let _ = write!(canonical, "\n{names}\n{}", what.payload);
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex::encode(Sha256::digest(&canonical)));
        let signature = hex::encode(mac(&self.key(&day), &text));
        let credential = format!("{}/{scope}", self.access_key);
        added.push(("authorization", format!("AWS4-HMAC-SHA256 Credential={credential},SignedHeaders={names},Signature={signature}")));
        added
    }

    fn key(&self, day: &str) -> Vec<u8> {
        let first = format!("AWS4{}", self.secret.reveal());
        [day, self.region, "s3", "aws4_request"].iter().fold(first.into_bytes(), |key, part| mac(&key, part))
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// Percent-encoding as the signature wants it; a path keeps its slashes.
pub fn encoded(text: &str, keep_slash: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte.into()),
            b'/' if keep_slash => out.push('/'),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the signature's own documentation.
    #[test]
    fn signs_as_documented() {
        let secret = Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let signer = Signer { access_key: "AKIAIOSFODNN7EXAMPLE", secret: &secret, region: "us-east-1" };
        let headers = [("range", "bytes=0-9".to_owned())];
        let what = Signed {
            method: "GET",
            host: "examplebucket.s3.amazonaws.com",
            path: "/test.txt",
            query: "",
            headers: &headers,
            payload: EMPTY,
        };
        let signed = signer.headers(&what, "2013-05-24T00:00:00Z".parse().unwrap());
        let (_, authorization) = signed.iter().find(|(n, _)| *n == "authorization").unwrap();
        assert!(authorization.ends_with("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"), "{authorization}");
    }

    #[test]
    fn encodes_all_but_the_unreserved() {
        assert_eq!(encoded("a b/ü~+", true), "a%20b/%C3%BC~%2B");
        assert_eq!(encoded("a/b", false), "a%2Fb");
    }
}
