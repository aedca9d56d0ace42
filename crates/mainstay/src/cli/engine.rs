//! `mainstay engine …`

use crate::{
    args::nouns::EngineVerb,
    exit::{Exit, Outcome},
    output::{Row, Show, card, grid, yes_no},
    session::Session,
};
use mainstay_api_types::Engine;
use mainstay_client::segment;
use mainstay_model::engine::{Parameter, ParameterKind};

pub async fn run(s: &Session, verb: EngineVerb) -> Outcome {
    match verb {
        EngineVerb::List => s.show(&s.list::<Engine>("/engines", &[]).await?)?,
        EngineVerb::Show { engine } => s.show(&s.get::<Engine>(format!("/engines/{}", segment(&engine))).await?)?,
    }
    Ok(Exit::Done)
}

fn modes(e: &Engine) -> String {
    e.modes.iter().map(|m| m.as_str()).collect::<Vec<_>>().join(", ")
}

impl Row for Engine {
    const NONE: &'static str = "no engines";
    const HEADER: &'static [&'static str] = &["name", "title", "available", "versions", "modes"];
    fn cells(&self) -> Vec<String> {
        let versions = if self.available { self.versions.join(", ") } else { self.install_hint.clone() };
        vec![self.name.clone(), self.title.clone(), yes_no(self.available), versions, modes(self)]
    }
}

impl Show for Engine {
    fn people(&self) -> String {
        let head = card(&[
            ("name", self.name.clone()),
            ("title", self.title.clone()),
            ("available", yes_no(self.available)),
            ("versions", self.versions.join(", ")),
            ("install", self.install_hint.clone()),
            ("modes", modes(self)),
            ("can do", self.capabilities.join(", ")),
            ("default port", self.default_port.to_string()),
        ]);
        format!("{head}\n\n{}", parameters(&self.parameters, |_| None))
    }
}

/// `set` says what a parameter was set to, where it was.
pub fn parameters(all: &[Parameter], set: impl Fn(&Parameter) -> Option<String>) -> String {
    let row = |p: &Parameter| {
        let value = set(p).unwrap_or_else(|| p.default.clone());
        let restart = if p.needs_restart { "restart" } else { "reload" };
        vec![p.name.clone(), value, range(&p.kind), restart.into(), p.description.clone()]
    };
    grid(&["parameter", "value", "range", "needs", "description"], all.iter().map(row))
}

fn range(kind: &ParameterKind) -> String {
    match kind {
        ParameterKind::Integer { min, max } => format!("{min} to {max}"),
        ParameterKind::Size { min, max } => format!("{} to {}", crate::output::bytes(*min), crate::output::bytes(*max)),
        ParameterKind::Duration { min, max } => format!("{min} to {max} ms"),
        ParameterKind::Boolean => "on, off".into(),
        ParameterKind::OneOf { values } => values.join(", "),
    }
}
