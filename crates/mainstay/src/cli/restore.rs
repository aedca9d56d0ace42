//! `mainstay restore …`

use super::cluster::id_in;
use crate::{
    args::restore::{Verb, Wanted},
    exit::{Exit, Outcome},
    output::{Row, Show, bytes, card, clean, local, note, or_dash, seconds, word},
    session::{Ask, Session},
};
use mainstay_api_types::{Confirm, Operation, Restore, RestorePlan, RestoreRequest};
use mainstay_client::segment;

pub async fn run(s: &Session, verb: Verb) -> Outcome {
    match verb {
        Verb::Plan(a) => s.show(&plan(s, &request(a)).await?)?,
        Verb::Run(a) => restore(s, request(a)).await?,
        Verb::List { cluster } => {
            let query: Vec<(&str, &str)> = cluster.iter().map(|c| ("cluster", c.as_str())).collect();
            s.show(&s.list::<Restore>("/restores", &query).await?)?;
        }
        Verb::Show(a) => s.show(&get(s, &a.restore).await?)?,
        Verb::Undo(a) => undo(s, &a.restore).await?,
    }
    Ok(Exit::Done)
}

fn path(id: &str) -> String {
    format!("/restores/{}", segment(id))
}

async fn get(s: &Session, id: &str) -> Outcome<Restore> {
    s.get(path(id)).await
}

fn request(a: Wanted) -> RestoreRequest {
    let Wanted { backup, until, from_cluster, to, new, storage } = a;
    RestoreRequest { backup, until, from_cluster, to, new, storage, confirm: None }
}

async fn plan(s: &Session, request: &RestoreRequest) -> Outcome<RestorePlan> {
    s.send(&Ask::post("/restores/plan", request), false).await
}

/// The plan that was looked at is the one that runs: its hash goes back with the request.
async fn restore(s: &Session, mut request: RestoreRequest) -> Outcome<()> {
    let plan = plan(s, &request).await?;
    if s.common.dry_run {
        return s.show(&plan);
    }
    if request.to.is_some() {
        note(plan.people());
        s.confirm_shown(&plan.target).await?;
        request.confirm = Some(plan.target.clone());
    }
    let Some(o) = s.perform(Ask::post("/restores", &request).if_match(&plan.hash)).await? else { return Ok(()) };
    show_restore(s, &o, "").await?;
    match request.to {
        Some(_) => {
            let undo = format!("mainstay restore undo {}", id_in(&o, "restore", "RESTORE"));
            note(format!("the data that was replaced stands aside for some days; to bring it back: {undo}"));
        }
        None => note(format!("next: mainstay cluster credentials {}", plan.target)),
    }
    Ok(())
}

async fn show_restore(s: &Session, o: &Operation, id: &str) -> Outcome<()> {
    s.show(&get(s, id_in(o, "restore", id)).await?)?;
    if let Some(away) = o.output.get("away_seconds").and_then(|v| v.as_f64()) {
        note(format!("the cluster was away for {}", seconds(away)));
    }
    Ok(())
}

async fn undo(s: &Session, id: &str) -> Outcome<()> {
    let restore = get(s, id).await?;
    let ask = Ask::post(format!("{}/undo", path(id)), &Confirm { confirm: Some(restore.target_cluster.clone()) });
    s.confirm(&ask, &restore.target_cluster).await?;
    match s.perform(ask).await? {
        Some(o) => show_restore(s, &o, id).await,
        None => Ok(()),
    }
}

impl Row for Restore {
    const NONE: &'static str = "no restores";
    const HEADER: &'static [&'static str] = &["id", "backup", "cluster", "status", "started", "finished", "old data until"];
    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.backup.clone(),
            self.target_cluster.clone(),
            word(&self.status),
            local(self.started_at),
            or_dash(self.finished_at, local),
            or_dash(self.previous_data_until, local),
        ]
    }
}

impl Show for Restore {
    fn people(&self) -> String {
        let mut fields = vec![
            ("id", self.id.clone()),
            ("backup", self.backup.clone()),
            ("cluster", self.target_cluster.clone()),
            ("status", word(&self.status)),
            ("started", local(self.started_at)),
            ("took", or_dash(self.finished_at.map(|t| t.seconds_since(self.started_at)), seconds)),
            ("old data until", or_dash(self.previous_data_until, local)),
            ("safety backup", self.safety_backup.clone().unwrap_or_else(|| "-".into())),
        ];
        fields.extend(self.until.map(|t| ("as of", local(t))));
        fields.extend(self.error.clone().map(|e| ("error", e)));
        card(&fields)
    }
}

impl Show for RestorePlan {
    fn people(&self) -> String {
        let fields = [
            ("restore", format!("{} from storage {}", self.backup, self.storage)),
            ("into", format!("{} ({})", self.target, self.action.replace('_', " "))),
            ("engine", format!("{} {}", self.engine, self.engine_version)),
            ("data as of", local(self.recovery_point)),
            ("position", self.position.clone().unwrap_or_else(|| "-".into())),
            ("space needed", bytes(self.space_needed_bytes)),
        ];
        let mut lines = vec![card(&fields)];
        if let Some((earliest, latest)) = self.earliest.zip(self.latest) {
            lines.push(format!("any moment from {} to {} can be had", local(earliest), local(latest)));
        }
        lines.extend(self.gaps.iter().map(|g| format!("but not from {} to {}", local(g.from), local(g.to))));
        lines.extend(self.loses.iter().map(|l| format!("loses: {}", clean(l))));
        lines.extend(self.warnings.iter().map(|w| format!("note: {}", clean(w))));
        lines.push("Steps:".into());
        lines.extend(self.steps.iter().enumerate().map(|(i, step)| format!("{:>3}. {}", i + 1, clean(step))));
        lines.join("\n")
    }
}
