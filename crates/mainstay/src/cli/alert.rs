//! `mainstay alert …`

use crate::{
    args::notifier::{AlertVerb, State},
    exit::{Exit, Outcome},
    output::{Row, Show, card, local, or_dash, word},
    session::{Ask, Session, nothing},
};
use mainstay_api_types::Alert;
use mainstay_client::segment;

pub async fn run(s: &Session, verb: AlertVerb) -> Outcome {
    match verb {
        AlertVerb::List { cluster, state } => list(s, cluster.as_deref(), state).await?,
        AlertVerb::Show(a) => s.show(&s.get::<Alert>(path(&a.alert)).await?)?,
        AlertVerb::Acknowledge(a) => acknowledge(s, &a.alert).await?,
    }
    Ok(Exit::Done)
}

fn path(id: &str) -> String {
    format!("/alerts/{}", segment(id))
}

async fn list(s: &Session, cluster: Option<&str>, state: State) -> Outcome<()> {
    let state = match state {
        State::Open => "open",
        State::Cleared => "cleared",
        State::All => "all",
    };
    let query: Vec<_> = std::iter::once(("state", state)).chain(cluster.map(|c| ("cluster", c))).collect();
    s.show(&s.list::<Alert>("/alerts", &query).await?)
}

async fn acknowledge(s: &Session, id: &str) -> Outcome<()> {
    let ask = Ask::post(format!("{}/acknowledge", path(id)), &nothing());
    if let Some(alert) = s.at_once::<Alert>(ask, &format!("acknowledge alert {id}")).await? {
        s.show(&alert)?;
    }
    Ok(())
}

impl Row for Alert {
    const NONE: &'static str = "no alerts";
    const HEADER: &'static [&'static str] = &["id", "kind", "about", "since", "state", "acknowledged by", "sentence"];
    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            word(&self.kind),
            self.object_name.clone(),
            local(self.raised_at),
            self.state.clone(),
            self.acknowledged_by.clone().unwrap_or_else(|| "-".into()),
            self.sentence.clone(),
        ]
    }
}

impl Show for Alert {
    fn people(&self) -> String {
        card(&[
            ("id", self.id.clone()),
            ("kind", word(&self.kind)),
            ("about", format!("{} {}", self.object_kind, self.object_name)),
            ("sentence", self.sentence.clone()),
            ("state", self.state.clone()),
            ("raised", local(self.raised_at)),
            ("acknowledged", or_dash(self.acknowledged_at, local)),
            ("acknowledged by", self.acknowledged_by.clone().unwrap_or_else(|| "-".into())),
            ("cleared", or_dash(self.cleared_at, local)),
        ])
    }
}
