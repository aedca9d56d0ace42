//! Are these settings ones a user may set, and are the values in range.

use mainstay_model::{
    Error, Result,
    engine::{Parameter, ParameterKind},
    error::shown,
};
use std::collections::BTreeMap;

/// All or nothing: the first bad setting is the error. A value of `null` in the request was turned
/// into a removal before.
pub fn validate(parameters: &[Parameter], settings: &BTreeMap<String, String>) -> Result<()> {
    settings.iter().try_for_each(|(name, value)| one(parameters, name, value))
}

fn one(parameters: &[Parameter], name: &str, value: &str) -> Result<()> {
    let field = format!("settings.{}", shown(name));
    let Some(parameter) = parameters.iter().find(|p| p.name == name) else {
        let known: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
        return Err(Error::invalid(&field, format!("\"{}\" cannot be set here; these can: {}", shown(name), known.join(", ")))
            .with_code("setting_not_allowed"));
    };
    fits(&parameter.kind, value).map_err(|range| Error::invalid(&field, format!("\"{}\" does not fit {name}: {range}", shown(value))))
}

/// The range as text, where the value is outside of it.
fn fits(kind: &ParameterKind, value: &str) -> Result<(), String> {
    let ok = match kind {
        ParameterKind::Integer { min, max } => value.parse::<i64>().is_ok_and(|v| (*min..=*max).contains(&v)),
        ParameterKind::Size { min, max } => size(value).is_some_and(|v| (*min..=*max).contains(&v)),
        ParameterKind::Duration { min, max } => duration(value).is_some_and(|v| (*min..=*max).contains(&v)),
        ParameterKind::Boolean => matches!(value, "on" | "off"),
        ParameterKind::OneOf { values } => values.iter().any(|v| v == value),
    };
    if ok { Ok(()) } else { Err(range(kind)) }
}

fn range(kind: &ParameterKind) -> String {
    match kind {
        ParameterKind::Integer { min, max } => format!("a whole number from {min} to {max}"),
        ParameterKind::Size { min, max } => format!("a size such as 64MB, from {min} to {max} bytes"),
        ParameterKind::Duration { min, max } => format!("a duration such as 500ms or 30s, from {min} to {max} ms"),
        ParameterKind::Boolean => "on or off".into(),
        ParameterKind::OneOf { values } => format!("one of {}", values.join(", ")),
    }
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// Bytes: `123`, `64kB`, `16MB`, `2GB` (powers of 1024, as the engines count).
pub fn size(text: &str) -> Option<u64> {
    let (n, unit) = number_and_unit(text)?;
    let factor = match unit {
        "" | "B" => 1,
        "kB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        "TB" => 1 << 40,
        _ => return None,
    };
    n.checked_mul(factor)
}

/// Milliseconds: `500ms`, `30s`, `5min`, `0`.
pub fn duration(text: &str) -> Option<u64> {
    let (n, unit) = number_and_unit(text)?;
    let factor = match unit {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    n.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> Vec<Parameter> {
        let p = |name: &str, kind| Parameter {
            name: name.into(),
            kind,
            default: String::new(),
            needs_restart: false,
            description: String::new(),
        };
        vec![
            p("max_connections", ParameterKind::Integer { min: 10, max: 1000 }),
            p("work_mem", ParameterKind::Size { min: 1 << 16, max: 1 << 30 }),
            p("timeout", ParameterKind::Duration { min: 0, max: 60_000 }),
            p("jit", ParameterKind::Boolean),
        ]
    }

    #[test]
    fn in_range() {
        for (n, v) in [("max_connections", "100"), ("work_mem", "64MB"), ("timeout", "30s"), ("timeout", "0"), ("jit", "off")] {
            validate(&parameters(), &[(n.to_string(), v.to_string())].into()).unwrap();
        }
    }

    #[test]
    fn what_runs_code_or_is_out_of_range_is_refused() {
        let bad = [
            ("archive_command", "id"),
            ("shared_preload_libraries", "x"),
            ("dir", "/etc"),
            ("max_connections", "9"),
            ("max_connections", "1.5"),
            ("max_connections", "100\nfsync = off"),
            ("work_mem", "64 MB"),
            ("work_mem", "99999999999999999999GB"),
            ("timeout", "2min"),
            ("jit", "maybe"),
            ("é", "1"),
        ];
        for (n, v) in bad {
            let e = validate(&parameters(), &[(n.to_string(), v.to_string())].into()).expect_err(n);
            assert!(e.field.unwrap().starts_with("settings."));
        }
    }
}
