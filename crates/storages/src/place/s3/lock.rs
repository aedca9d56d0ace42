//! Object lock: what nobody removes before its time, whoever has the access key.
//!
//! Time is the server's: the clock of this machine may be what an attacker, or a flat battery, set.
//! A lock is only ever made longer. In a bucket with object lock a plain removal leaves the locked
//! version behind a mark, so pruning goes on as ever and the bytes stay until their time is over.

use super::{
    S3,
    client::{Ask, Reply},
    http_date, xml,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use jiff::{Timestamp, tz::TimeZone};
use mainstay_model::{Error, Result};
use md5::{Digest, Md5};
use reqwest::Method;

/// How the bucket locks, and what time it is there.
#[derive(Debug, Clone)]
pub struct Lock {
    pub now: Timestamp,
    mode: String,
}

impl S3 {
    /// `None` where the bucket has no object lock, or the access key may not know.
    pub(super) async fn lock_rule(&self) -> Result<Option<Lock>> {
        let reply = self.client.send(&Ask::new(Method::GET, "").query("object-lock", "")).await?;
        if !reply.is_good() {
            return Ok(None);
        }
        let (enabled, mode) = xml::parse(&reply.body, |root| {
            let rule = |name| root.descendants().find(|n| n.tag_name().name() == name).and_then(|n| n.text()).map(str::to_owned);
            (rule("ObjectLockEnabled"), rule("Mode"))
        })?;
        if enabled.as_deref() != Some("Enabled") {
            return Ok(None);
        }
        let date = reply.header("date").and_then(http_date);
        let now = date.ok_or_else(|| {
            Error::failed(
                "clock_unknown",
                format!("storage {} does not say what time it is; nothing is locked by another clock", self.client.name),
            )
        })?;
        // Governance can be lifted by whoever has a right of its own for that; compliance by nobody, so
        // that is for the bucket's owner to choose.
        let mode = mode.filter(|m| m == "COMPLIANCE").unwrap_or_else(|| "GOVERNANCE".into());
        Ok(Some(Lock { now, mode }))
    }

    pub(super) async fn locked_until(&self, key: &str) -> Result<Option<Timestamp>> {
        let reply = self.client.must("looking at", &Ask::new(Method::HEAD, key)).await?;
        Ok(reply.header("x-amz-object-lock-retain-until-date").and_then(|t| t.parse().ok()))
    }

    /// Why an object was not removed: some servers refuse what is locked instead of marking it.
    pub(super) async fn locked_or_refused(&self, key: &str, reply: &Reply) -> Result<()> {
        match self.locked_until(key).await {
            Ok(Some(until)) => {
                Err(Error::conflict("object_locked", format!("{} is locked until {until}; it can be removed then", self.shown(key))))
            }
            _ => Err(self.client.refusal("removing", key, reply)),
        }
    }

    /// Longer locks stay. What is there is looked at again: a server that says yes and locks nothing
    /// is one more that must not be believed.
    pub(super) async fn lock_object(&self, key: &str, rule: &Lock, until: Timestamp) -> Result<()> {
        let holds = |t: Option<Timestamp>| t.is_some_and(|t| t >= until);
        if holds(self.locked_until(key).await?) {
            return Ok(());
        }
        let body: Bytes = format!(
            "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>{}</Mode><RetainUntilDate>{}</RetainUntilDate></Retention>",
            rule.mode,
            until.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        )
        .into();
        let sum = BASE64_STANDARD.encode(Md5::digest(&body));
        let ask = Ask::new(Method::PUT, key).query("retention", "").header("content-md5", sum).body(&[body]);
        self.client.must("locking", &ask).await?;
        match holds(self.locked_until(key).await?) {
            true => Ok(()),
            false => Err(Error::failed(
                "not_locked",
                format!(
                    "{} was to be locked until {until} and is not; give the access key s3:PutObjectRetention and s3:GetObjectRetention",
                    self.shown(key)
                ),
            )),
        }
    }
}
