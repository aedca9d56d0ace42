//! `mainstay project …`

use crate::{
    args::nouns::ProjectVerb,
    exit::{Exit, Outcome},
    output::{Row, Show, card, local, yes_no},
    session::Session,
};
use mainstay_api_types::Project;
use mainstay_client::segment;

pub async fn run(s: &Session, verb: ProjectVerb) -> Outcome {
    match verb {
        ProjectVerb::List => s.show(&s.list::<Project>("/projects", &[]).await?)?,
        ProjectVerb::Show { name } => s.show(&s.get::<Project>(path(&name)).await?)?,
        ProjectVerb::RecoveryKey(a) => return super::recovery_key::run(s, a).await,
    }
    Ok(Exit::Done)
}

fn path(name: &str) -> String {
    format!("/projects/{}", segment(name))
}

impl Row for Project {
    const NONE: &'static str = "no projects";
    const HEADER: &'static [&'static str] = &["name", "id", "created", "recovery key exported"];
    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), self.id.clone(), local(self.created_at), yes_no(self.recovery_key_exported)]
    }
}

impl Show for Project {
    fn people(&self) -> String {
        card(&[
            ("name", self.name.clone()),
            ("id", self.id.clone()),
            ("created", local(self.created_at)),
            ("recovery key exported", yes_no(self.recovery_key_exported)),
        ])
    }
}
