//! Every listed parameter, on a real server: the default it is said to have, a changed value, whether
//! that waits for a restart, and the way back.

use crate::{
    bed::*,
    probes::{number, same},
};
use mainstay_drivers::engine::{Configured, Node};
use mainstay_model::engine::{Parameter, ParameterKind};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_parameter_is_what_it_says() {
    everywhere(async |bed| {
        let mut node = bed.primary("settings").await;
        let parameters = bed.engine.parameters(&bed.installed.version);
        assert!(!parameters.is_empty());
        assert_eq!(bed.engine.configure(&node).await.unwrap(), Configured::Unchanged);
        for parameter in &parameters {
            assert_has(bed, &node, parameter, &parameter.default, "by default").await;
        }
        for parameter in &parameters {
            one(bed, &mut node, parameter).await;
        }
        all_at_once(bed, &mut node, &parameters).await;
    })
    .await;
}

/// Changed alone and taken back.
async fn one(bed: &Bed, node: &mut Node, parameter: &Parameter) {
    let name = &parameter.name;
    let (value, wanted) = (other(parameter), if parameter.needs_restart { Configured::RestartNeeded } else { Configured::Reloaded });
    node.plan.settings.insert(name.clone(), value.clone());
    assert_eq!(bed.engine.configure(node).await.unwrap(), wanted, "{name} = {value}");
    let now = if parameter.needs_restart { &parameter.default } else { &value };
    assert_has(bed, node, parameter, now, "after a change").await;
    let again = if parameter.needs_restart { Configured::RestartNeeded } else { Configured::Unchanged };
    assert_eq!(bed.engine.configure(node).await.unwrap(), again, "{name} a second time");
    node.plan.settings.remove(name);
    bed.engine.configure(node).await.unwrap();
    assert_has(bed, node, parameter, &parameter.default, "after the way back").await;
    assert_eq!(bed.engine.configure(node).await.unwrap(), Configured::Unchanged, "{name} was taken back");
    if !parameter.needs_restart {
        at_its_bounds(bed, node, parameter).await;
    }
}

/// A value that is listed as possible is taken, or refused in words; never passed over in silence.
async fn at_its_bounds(bed: &Bed, node: &mut Node, parameter: &Parameter) {
    for value in bounds(&parameter.kind) {
        node.plan.settings.insert(parameter.name.clone(), value.clone());
        match bed.engine.configure(node).await {
            Ok(_) => assert_has(bed, node, parameter, &value, "at its bound").await,
            Err(e) => eprintln!("{} = {value}: {}", parameter.name, e.message),
        }
    }
    node.plan.settings.remove(&parameter.name);
    bed.engine.configure(node).await.unwrap();
}

async fn all_at_once(bed: &Bed, node: &mut Node, parameters: &[Parameter]) {
    let values: Vec<_> = parameters.iter().map(|p| (p, other(p))).collect();
    node.plan.settings.extend(values.iter().map(|(p, v)| (p.name.clone(), v.clone())));
    let waits = parameters.iter().any(|p| p.needs_restart);
    let wanted = if waits { Configured::RestartNeeded } else { Configured::Reloaded };
    assert_eq!(bed.engine.configure(node).await.unwrap(), wanted);
    bed.stop(node).await;
    bed.run(node, is_primary).await;
    for (parameter, value) in &values {
        assert_has(bed, node, parameter, value, "after a restart").await;
    }
    assert_eq!(bed.engine.configure(node).await.unwrap(), Configured::Unchanged);
    node.plan.settings = parameters.iter().map(|p| (p.name.clone(), p.default.clone())).collect();
    bed.engine.configure(node).await.unwrap();
    bed.stop(node).await;
    bed.run(node, is_primary).await;
    for parameter in parameters {
        assert_has(bed, node, parameter, &parameter.default, "as a chosen value").await;
    }
}

async fn assert_has(bed: &Bed, node: &Node, parameter: &Parameter, value: &str, when: &str) {
    let found = bed.admin(node).await.setting(&parameter.name).await.unwrap();
    assert!(same(parameter, value, &found), "{} {when}: {found}, not {value}", parameter.name);
}

/// A value that is not the default.
fn other(parameter: &Parameter) -> String {
    let default = number(&parameter.default);
    match &parameter.kind {
        ParameterKind::Integer { min, max } => {
            let now: i64 = parameter.default.parse().unwrap();
            if now < *max { now + 1 } else { now - 1 }.max(*min).to_string()
        }
        ParameterKind::Size { min, max } => {
            let (now, step) = (default.unwrap(), (*min).max(16 << 20));
            let value = if now == 0 { step } else { now * 2 };
            assert!(value <= *max);
            format!("{}kB", value >> 10)
        }
        ParameterKind::Duration { max, .. } => format!("{}ms", (default.unwrap() + 1000).min(*max)),
        ParameterKind::Boolean => if ["on", "yes"].contains(&parameter.default.as_str()) { "off" } else { "on" }.into(),
        ParameterKind::OneOf { values } => values.iter().rev().find(|v| **v != parameter.default).unwrap().clone(),
    }
}

fn bounds(kind: &ParameterKind) -> Vec<String> {
    match kind {
        ParameterKind::Integer { min, max } => vec![min.to_string(), max.to_string()],
        ParameterKind::Size { min, max } => vec![format!("{}kB", min >> 10), format!("{}kB", max >> 10)],
        ParameterKind::Duration { min, max } => vec![format!("{min}ms"), format!("{max}ms")],
        ParameterKind::Boolean => vec!["on".into(), "off".into()],
        ParameterKind::OneOf { values } => values.clone(),
    }
}
