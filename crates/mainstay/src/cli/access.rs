//! Who may reach a cluster and how: credentials, settings, allow-list.

use super::{cluster, engine};
use crate::{
    args::cluster::{Allow, Settings as Wanted},
    exit::{Exit, Failure, Outcome},
    output::{Show, card, grid, note},
    session::{Ask, Session},
};
use mainstay_api_types::{AllowList, AllowListEntry, Credentials, PatchSettings, SetAllowList, Settings};
use std::net::IpAddr;

pub async fn credentials(s: &Session, name: &str) -> Outcome {
    s.show(&s.get::<Credentials>(format!("{}/credentials", cluster::path(name))).await?)?;
    Ok(Exit::Done)
}

pub async fn settings(s: &Session, a: Wanted) -> Outcome {
    let path = format!("{}/settings", cluster::path(&a.name));
    let mut changes: std::collections::BTreeMap<_, _> = a.set.into_iter().map(|(k, v)| (k, Some(v))).collect();
    for name in a.reset {
        if changes.insert(name.clone(), None).is_some() {
            return Err(Failure::usage(format!("{name} is both set and reset")));
        }
    }
    if !changes.is_empty() && s.perform(Ask::patch(&path, &PatchSettings { settings: changes })).await?.is_none() {
        return Ok(Exit::Done);
    }
    s.show(&s.get::<Settings>(path).await?)?;
    Ok(Exit::Done)
}

pub async fn allow(s: &Session, a: Allow) -> Outcome {
    let path = format!("{}/allow-list", cluster::path(&a.name));
    let Some(list) = changed(s, &path, &a).await? else {
        s.show(&s.get::<AllowList>(&path).await?)?;
        return Ok(Exit::Done);
    };
    if s.perform(Ask::put(&path, &SetAllowList { allow_list: list })).await?.is_some() {
        s.show(&s.get::<AllowList>(&path).await?)?;
    }
    Ok(Exit::Done)
}

/// The whole list as it should be; `None` where nothing was asked for.
async fn changed(s: &Session, path: &str, a: &Allow) -> Outcome<Option<Vec<AllowListEntry>>> {
    let noted = |cidrs: &[String]| cidrs.iter().map(|c| AllowListEntry { cidr: c.clone(), note: a.note.clone() }).collect::<Vec<_>>();
    if a.clear {
        return Ok(Some(vec![]));
    }
    if let Some(set) = &a.set {
        return Ok(Some(noted(set)));
    }
    if a.add.is_none() && a.remove.is_none() {
        return Ok(None);
    }
    let now: AllowList = s.get(path).await?;
    let mut list: Vec<AllowListEntry> =
        now.allow_list.into_iter().map(|e| AllowListEntry { cidr: e.cidr.to_string(), note: e.note }).collect();
    for cidr in a.remove.iter().flatten() {
        let before = list.len();
        list.retain(|e| !same(&e.cidr, cidr));
        if list.len() == before {
            return Err(Failure::new(Exit::NotFound, format!("{cidr} is not on the allow-list of {}", a.name)));
        }
    }
    if list.is_empty() && a.remove.is_some() {
        note("warning: that was the last entry; the cluster is open to everybody now");
    }
    list.extend(noted(a.add.as_deref().unwrap_or_default()));
    Ok(Some(list))
}

/// `192.0.2.7` and `192.0.2.7/32` are one entry.
fn same(kept: &str, typed: &str) -> bool {
    let whole = |text: &str| match text.parse::<IpAddr>() {
        Ok(a) => format!("{a}/{}", if a.is_ipv4() { 32 } else { 128 }),
        Err(_) => text.to_string(),
    };
    whole(kept) == whole(typed)
}

impl Show for Credentials {
    fn people(&self) -> String {
        card(&[
            ("user", self.user.clone()),
            ("password", self.password.clone()),
            ("database", self.database.clone().unwrap_or_else(|| "-".into())),
            ("host", self.host.clone()),
            ("port", self.port.to_string()),
            ("url", self.url.clone()),
        ])
    }
}

impl Show for Settings {
    fn people(&self) -> String {
        engine::parameters(&self.parameters, |p| self.settings.get(&p.name).map(|v| format!("{v} (set)")))
    }
}

impl Show for AllowList {
    fn people(&self) -> String {
        if self.open {
            return "open to everybody: there is no allow-list".into();
        }
        grid(&["cidr", "note"], self.allow_list.iter().map(|e| vec![e.cidr.to_string(), e.note.clone()]))
    }
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn an_address_is_its_own_network() {
        assert!(same("192.0.2.7/32", "192.0.2.7") && same("::1/128", "::1"));
        assert!(!same("192.0.2.0/24", "192.0.2.0"));
    }
}
