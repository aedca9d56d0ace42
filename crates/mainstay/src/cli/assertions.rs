//! What the drills of a cluster have to prove.

use super::cluster::path;
use crate::{
    args::assertions::Assertions as Wanted,
    exit::{Exit, Failure, Outcome},
    output::{Show, grid, note, yes_no},
    session::{Ask, Session},
};
use mainstay_api_types::{Assertion, Assertions, Plan, SetAssertions, TriedAssertions, TryAssertions};
use mainstay_model::assertion::CHECK;

pub async fn run(s: &Session, a: Wanted) -> Outcome {
    let at = format!("{}/assertions", path(&a.name));
    if a.try_now {
        return try_now(s, &at, &a).await;
    }
    let named = named(&a)?;
    if named.is_none() && a.remove.is_none() {
        s.show(&s.get::<Assertions>(&at).await?)?;
        return Ok(Exit::Done);
    }
    let assertions = changed(s.get::<Assertions>(&at).await?.assertions, &a, named)?;
    let ask = Ask::put(&at, &SetAssertions { assertions });
    if s.is_dry_run() {
        s.show(&s.send::<Plan>(&ask, true).await?)?;
        return Ok(Exit::Done);
    }
    s.show(&s.send::<Assertions>(&ask, false).await?)?;
    if a.remove.is_none() {
        note(format!("try it on the data that is live: mainstay cluster assertions {} --try", a.name));
    }
    Ok(Exit::Done)
}

/// The one that `--add` or `--set` names.
fn named(a: &Wanted) -> Outcome<Option<Assertion>> {
    match (a.add.as_ref().or(a.set.as_ref()), &a.query, &a.expect) {
        (Some(name), Some(query), Some(expect)) => Ok(Some(Assertion { name: name.clone(), query: query.clone(), expect: expect.clone() })),
        (None, None, None) => Ok(None),
        _ => Err(Failure::usage("--query and --expect belong to --add NAME or --set NAME")),
    }
}

fn changed(mut list: Vec<Assertion>, a: &Wanted, named: Option<Assertion>) -> Outcome<Vec<Assertion>> {
    if let Some(name) = &a.remove {
        let before = list.len();
        list.retain(|known| &known.name != name);
        if list.len() == before {
            return Err(Failure::new(Exit::NotFound, format!("cluster {} has no assertion {name}", a.name)));
        }
    }
    let Some(named) = named else { return Ok(list) };
    match list.iter_mut().find(|known| known.name == named.name) {
        Some(known) if a.set.is_some() => *known = named,
        Some(_) => return Err(Failure::new(Exit::Conflict, format!("there is an assertion {} already; --set replaces it", named.name))),
        None => list.push(named),
    }
    Ok(list)
}

async fn try_now(s: &Session, at: &str, a: &Wanted) -> Outcome {
    let body = TryAssertions { assertions: named(a)?.map(|one| vec![one]) };
    let Some(tried) = s.at_once::<TriedAssertions>(Ask::post(format!("{at}/try"), &body), "ask the data that is live").await? else {
        return Ok(Exit::Done);
    };
    s.show(&tried)?;
    Ok(if tried.ok { Exit::Done } else { Exit::Failed })
}

impl Show for Assertions {
    fn people(&self) -> String {
        if self.assertions.is_empty() {
            note(format!("no assertions; `--add NAME --query Q --expect E` makes one. A question is: {}", self.form));
            return String::new();
        }
        grid(&["name", "query", "expected"], self.assertions.iter().map(|a| vec![a.name.clone(), a.query.clone(), a.expect.clone()]))
    }
}

impl Show for TriedAssertions {
    fn people(&self) -> String {
        if self.checks.is_empty() {
            note("no assertions to try");
            return String::new();
        }
        let row = |c: &mainstay_model::backup::Check| {
            vec![c.name.strip_prefix(CHECK).unwrap_or(&c.name).to_string(), yes_no(c.ok), c.detail.clone()]
        };
        grid(&["name", "holds", "why"], self.checks.iter().map(row))
    }
}
