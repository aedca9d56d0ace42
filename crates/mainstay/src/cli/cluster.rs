//! `mainstay cluster …`

use super::{access, assertions, bin, connect, log, node};
use crate::{
    args::cluster::{Create, Delete, Switch, Switched, Verb},
    exit::{Exit, Outcome},
    output::{Row, Show, card, local, note, or_dash, seconds, word, yes_no},
    session::{Ask, Session, nothing},
};
use mainstay_api_types::{AllowListEntry, Cluster, CreateCluster, DeleteCluster, Operation, PatchCluster, Resync};
use mainstay_client::segment;
use mainstay_model::cluster::Mode;

pub async fn run(s: &Session, verb: Verb) -> Outcome {
    match verb {
        Verb::Create(a) => create(s, a).await,
        Verb::List { deleted } => list(s, deleted).await,
        Verb::Show(a) => shown(s, &get(s, &a.name).await?),
        Verb::Delete(a) => delete(s, a).await,
        Verb::Undelete(a) => bin::undelete(s, a).await,
        Verb::BackupPolicy(a) => bin::policy(s, a).await,
        Verb::Assertions(a) => assertions::run(s, a).await,
        Verb::Stop(a) => stop(s, &a.name).await,
        Verb::Start(a) => simple(s, &a.name, "start").await,
        Verb::Restart(a) => simple(s, &a.name, "restart").await,
        Verb::Rotate(a) => simple(s, &a.name, "rotate").await,
        Verb::Connect(a) => connect::run(s, a).await,
        Verb::Resync { name, nodes } => resync(s, &name, nodes).await,
        Verb::Protect(a) => {
            let on = a.state == Switch::On;
            switch(s, a, PatchCluster { protected: Some(on), ..PatchCluster::default() }, "termination protection").await
        }
        Verb::Pitr(a) => log::set(s, a).await,
        Verb::Failover(a) => {
            let on = a.state == Switch::On;
            switch(s, a, PatchCluster { auto_failover: Some(on), ..PatchCluster::default() }, "automatic failover").await
        }
        Verb::Credentials(a) => access::credentials(s, &a.name).await,
        Verb::Settings(a) => access::settings(s, a).await,
        Verb::Allow(a) => access::allow(s, a).await,
    }
}

pub fn path(name: &str) -> String {
    format!("/clusters/{}", segment(name))
}

pub async fn get(s: &Session, name: &str) -> Outcome<Cluster> {
    s.get(path(name)).await
}

/// The id in an operation's output, or what the caller called it.
pub fn id_in<'a>(o: &'a Operation, key: &str, else_name: &'a str) -> &'a str {
    o.output.get(key).and_then(|v| v.as_str()).unwrap_or(else_name)
}

fn shown(s: &Session, cluster: &Cluster) -> Outcome {
    s.show(cluster)?;
    Ok(Exit::Done)
}

async fn list(s: &Session, deleted: bool) -> Outcome {
    let query: &[(&str, &str)] = if deleted { &[("deleted", "true")] } else { &[] };
    let mut found = s.list::<Cluster>("/clusters", query).await?;
    found.retain(|c| c.deleted_at.is_some() == deleted);
    if deleted {
        s.show(&found.into_iter().map(bin::Deleted).collect::<Vec<_>>())?;
    } else {
        s.show(&found)?;
    }
    Ok(Exit::Done)
}

async fn create(s: &Session, a: Create) -> Outcome {
    let body = CreateCluster {
        name: a.name.clone(),
        engine: a.engine,
        version: a.version,
        mode: a.mode.as_deref().and_then(Mode::parse),
        replicas: a.replicas,
        auto_failover: a.no_auto_failover.then_some(false),
        settings: a.settings.into_iter().collect(),
        allow_list: a.allow.into_iter().map(|cidr| AllowListEntry { cidr, note: String::new() }).collect(),
    };
    let Some(o) = s.perform(Ask::post("/clusters", &body)).await? else { return Ok(Exit::Done) };
    shown(s, &get(s, id_in(&o, "cluster", &a.name)).await?)?;
    note(format!("it is backed up by itself: mainstay schedule show {}", a.name));
    note(format!("next: mainstay cluster credentials {}", a.name));
    Ok(Exit::Done)
}

/// The verbs that take nothing and lose nothing.
async fn simple(s: &Session, name: &str, verb: &str) -> Outcome {
    let ask = Ask::post(format!("{}/{verb}", path(name)), &nothing());
    let Some(o) = s.perform(ask).await? else { return Ok(Exit::Done) };
    shown(s, &get(s, id_in(&o, "cluster", name)).await?)
}

async fn stop(s: &Session, name: &str) -> Outcome {
    let cluster = get(s, name).await?;
    let ask = Ask::post(format!("{}/stop", path(name)), &nothing());
    s.confirm(&ask, &cluster.name).await?;
    if s.perform(ask).await?.is_some() {
        shown(s, &get(s, &cluster.id).await?)?;
        note(format!("next: mainstay cluster start {}", cluster.name));
    }
    Ok(Exit::Done)
}

async fn delete(s: &Session, a: Delete) -> Outcome {
    if a.now {
        return bin::purge(s, &a.name).await;
    }
    let cluster = get(s, &a.name).await?;
    let body = DeleteCluster {
        skip_final_backup: a.skip_final_backup,
        keep_backups: a.keep_backups,
        now: false,
        confirm: Some(cluster.name.clone()),
    };
    let ask = Ask::delete(path(&a.name), &body);
    s.confirm(&ask, &cluster.name).await?;
    let Some(o) = s.perform(ask).await? else { return Ok(Exit::Done) };
    s.show(&get(s, &cluster.id).await?)?;
    if o.output.get("backup").is_some_and(|v| v.is_string()) {
        note(format!("the final backup brings it back: mainstay cluster undelete {}", cluster.name));
    }
    Ok(Exit::Done)
}

async fn resync(s: &Session, name: &str, nodes: Vec<String>) -> Outcome {
    let cluster = get(s, name).await?;
    let ask = Ask::post(format!("{}/resync", path(name)), &Resync { nodes, confirm: Some(cluster.name.clone()) });
    s.confirm(&ask, &cluster.name).await?;
    if s.perform(ask).await?.is_some() {
        shown(s, &get(s, &cluster.id).await?)?;
    }
    Ok(Exit::Done)
}

async fn switch(s: &Session, a: Switched, body: PatchCluster, what: &str) -> Outcome {
    let state = if a.state == Switch::On { "on" } else { "off" };
    let changed = s.at_once::<Cluster>(Ask::patch(path(&a.name), &body), &format!("switch {what} of {} {state}", a.name)).await?;
    changed.map_or(Ok(Exit::Done), |c| shown(s, &c))
}

impl Row for Cluster {
    const NONE: &'static str = "no clusters; deploy one with `mainstay cluster create NAME --engine ENGINE`";
    const HEADER: &'static [&'static str] = &["name", "engine", "version", "mode", "status", "nodes", "endpoint", "last good backup"];
    fn cells(&self) -> Vec<String> {
        let endpoint = &self.endpoints.read_write;
        vec![
            self.name.clone(),
            self.engine.clone(),
            self.version.clone(),
            self.mode.as_str().into(),
            word(&self.status),
            self.nodes.len().to_string(),
            format!("{}:{}", endpoint.host, endpoint.port),
            or_dash(self.recoverability.to, local),
        ]
    }
}

impl Show for Cluster {
    fn people(&self) -> String {
        let reason = self.status_reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
        let allowed = if self.allow_list.is_empty() {
            "everybody (no allow-list)".into()
        } else {
            self.allow_list.iter().map(|e| e.cidr.to_string()).collect::<Vec<_>>().join(", ")
        };
        let mut fields = vec![
            ("name", self.name.clone()),
            ("id", self.id.clone()),
            ("project", self.project.clone()),
            ("engine", format!("{} {}", self.engine, self.version)),
            ("mode", self.mode.as_str().into()),
            ("status", format!("{}{reason}", word(&self.status))),
            ("read-write", self.endpoints.read_write.url.clone()),
            ("read-only", or_dash(self.endpoints.read_only.as_ref(), |e| e.url.clone())),
            ("allowed", allowed),
            ("protected", yes_no(self.protected)),
            ("auto failover", yes_no(self.auto_failover)),
            ("created", local(self.created_at)),
            ("recovery", self.recoverability.sentence.clone()),
            ("copies", self.recoverability.three_two_one.clone()),
        ];
        fields.extend(self.point_in_time.as_ref().map(|p| ("any moment", log::line(p))));
        fields.extend(self.recoverability.last_drill_seconds.map(|d| ("last drill", seconds(d))));
        fields.extend(self.deleted_at.map(|t| ("deleted", local(t))));
        fields.extend(self.deleted_until.map(|t| ("undo until", local(t))));
        let nodes = if self.nodes.is_empty() { String::new() } else { format!("\n\n{}", node::table(&self.nodes)) };
        let alerts = self.alerts.iter().map(|a| format!("\nalert: {}", a.sentence));
        let warnings: String = alerts.chain(self.warnings.iter().map(|w| format!("\nnote: {w}"))).collect();
        let gap = if warnings.is_empty() { "" } else { "\n" };
        format!("{}{nodes}{gap}{warnings}", card(&fields))
    }
}
