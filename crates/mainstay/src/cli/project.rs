//! `mainstay project …`

use crate::{
    args::nouns::ProjectVerb,
    exit::{Exit, Outcome},
    output::{Row, Show, card, local, note, yes_no},
    session::{Ask, Session},
};
use mainstay_api_types::{CreateProject, Project};
use mainstay_client::segment;

pub async fn run(s: &Session, verb: ProjectVerb) -> Outcome {
    match verb {
        ProjectVerb::List => s.show(&s.list::<Project>("/projects", &[]).await?)?,
        ProjectVerb::Show { name } => s.show(&s.get::<Project>(path(&name)).await?)?,
        ProjectVerb::Create { name } => create(s, name).await?,
        ProjectVerb::RecoveryKey(a) => return super::recovery_key::run(s, a).await,
    }
    Ok(Exit::Done)
}

async fn create(s: &Session, name: String) -> Outcome<()> {
    let would = format!("make project {name}");
    if let Some(project) = s.at_once::<Project>(Ask::post("/projects", &CreateProject { name }), &would).await? {
        s.show(&project)?;
        note(format!("keep its recovery key away from this machine: mainstay project recovery-key {} --file FILE", project.name));
    }
    Ok(())
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
