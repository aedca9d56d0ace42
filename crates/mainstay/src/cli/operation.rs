//! `mainstay operation …`

use crate::{
    args::nouns::OperationVerb,
    exit::{Exit, Failure, Outcome},
    follow,
    output::{Row, Show, card, grid, local, note, or_dash, seconds, word},
    session::{Ask, Session, nothing},
};
use mainstay_api_types::{Operation, OperationStatus};
use mainstay_client::segment;

pub async fn run(s: &Session, verb: OperationVerb) -> Outcome {
    match verb {
        OperationVerb::List => s.show(&s.list::<Operation>("/operations", &[]).await?)?,
        OperationVerb::Show(a) => s.show(&s.get::<Operation>(path(&a.operation)).await?)?,
        OperationVerb::Watch(a) => watch(s, &a.operation).await?,
        OperationVerb::Cancel(a) => choose(s, &a.operation, "cancel", &[OperationStatus::Cancelled]).await?,
        OperationVerb::Retry(a) => choose(s, &a.operation, "retry", &[OperationStatus::Succeeded]).await?,
        OperationVerb::Skip(a) => choose(s, &a.operation, "skip", &[OperationStatus::Succeeded]).await?,
        OperationVerb::Abandon(a) => choose(s, &a.operation, "abandon", &[OperationStatus::Failed, OperationStatus::Cancelled]).await?,
    }
    Ok(Exit::Done)
}

fn path(id: &str) -> String {
    format!("/operations/{}", segment(id))
}

async fn watch(s: &Session, id: &str) -> Outcome<()> {
    let operation: Operation = s.get(path(id)).await?;
    if s.common.no_wait {
        return s.show(&operation);
    }
    s.remember(&operation.id);
    ended(s, follow::to_the_end(&s.client, operation).await?, &[OperationStatus::Succeeded])
}

/// A person's word on an operation; `wanted` is how it then should end.
async fn choose(s: &Session, id: &str, verb: &str, wanted: &[OperationStatus]) -> Outcome<()> {
    let ask = Ask::post(format!("{}/{verb}", path(id)), &nothing());
    let Some(operation) = s.at_once::<Operation>(ask, &format!("{verb} operation {id}")).await? else { return Ok(()) };
    s.remember(&operation.id);
    if s.common.no_wait {
        s.show(&operation)?;
        note(format!("follow it with: mainstay operation watch {id}"));
        return Ok(());
    }
    ended(s, follow::to_the_end(&s.client, operation).await?, wanted)
}

fn ended(s: &Session, operation: Operation, wanted: &[OperationStatus]) -> Outcome<()> {
    if wanted.contains(&operation.status) { s.show(&operation) } else { Err(Failure::of_operation(&operation)) }
}

impl Row for Operation {
    const NONE: &'static str = "no operations";
    const HEADER: &'static [&'static str] = &["id", "kind", "cluster", "status", "step", "by", "created", "took"];
    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.kind.clone(),
            self.cluster.clone().unwrap_or_else(|| "-".into()),
            word(&self.status),
            self.step.clone().unwrap_or_else(|| "-".into()),
            self.requested_by.clone(),
            local(self.created_at),
            or_dash(self.finished_at.map(|t| t.seconds_since(self.created_at)), seconds),
        ]
    }
}

impl Show for Operation {
    fn people(&self) -> String {
        let mut fields = vec![
            ("id", self.id.clone()),
            ("kind", self.kind.replace('_', " ")),
            ("cluster", self.cluster.clone().unwrap_or_else(|| "-".into())),
            ("status", format!("{} ({} %)", word(&self.status), self.percent)),
            ("by", self.requested_by.clone()),
            ("created", local(self.created_at)),
            ("took", or_dash(self.finished_at.map(|t| t.seconds_since(self.created_at)), seconds)),
        ];
        fields.extend((!self.sentence.is_empty()).then(|| ("now", self.sentence.clone())));
        fields.extend(self.error.as_ref().map(|e| ("error", e.message.clone())));
        let step = |s: &mainstay_api_types::Step| {
            let took = s.finished_at.zip(s.started_at).map(|(f, b)| f.seconds_since(b));
            let why = s.error.as_ref().map(|e| format!(": {e}")).unwrap_or_default();
            vec![s.title.clone(), format!("{}{why}", s.status), or_dash(took, seconds)]
        };
        format!("{}\n\n{}", card(&fields), grid(&["step", "status", "took"], self.steps.iter().map(step)))
    }
}
