//! Which crate may depend on which. A crate exists to enforce an arrow.

use std::{collections::BTreeMap, path::Path};

/// Everything a crate may name, including what the arrows lead to in more than one step.
fn allowed() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("model", &[] as &[_]),
        ("drivers", &["model"]),
        ("engines", &["drivers", "model"]),
        ("runtimes", &["drivers", "model"]),
        ("storages", &["drivers", "model"]),
        ("notifiers", &["drivers", "model"]),
        // See docs/decisions/0001: the error, time and id types only.
        ("operations", &["model"]),
        ("store", &["model"]),
        ("rpc", &["drivers", "model"]),
        ("gateway", &["model"]),
        ("agent", &["drivers", "rpc", "gateway", "model"]),
        ("control", &["store", "operations", "rpc", "drivers", "model"]),
        ("api-types", &["model"]),
        ("client", &["api-types", "model"]),
        ("api", &["control", "api-types", "store", "operations", "rpc", "drivers", "model"]),
        (
            "mainstay",
            &[
                "model",
                "drivers",
                "engines",
                "runtimes",
                "storages",
                "notifiers",
                "operations",
                "store",
                "control",
                "gateway",
                "agent",
                "rpc",
                "api-types",
                "api",
                "client",
            ],
        ),
        ("testkit", &["model", "drivers", "operations", "store", "control", "agent", "rpc", "gateway"]),
    ])
}

pub fn check(root: &Path) -> Vec<String> {
    let allowed = allowed();
    let mut faults = Vec::new();
    let Ok(entries) = std::fs::read_dir(root.join("crates")) else { return vec!["crates/ cannot be read".into()] };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(manifest) = std::fs::read_to_string(entry.path().join("Cargo.toml")) else { continue };
        match allowed.get(name.as_str()) {
            None => faults.push(format!("crates/{name}: a crate without arrows; name them in xtask/src/arrows.rs")),
            Some(may) => faults.extend(breaches(&name, &manifest, may)),
        }
    }
    faults
}

fn breaches(name: &str, manifest: &str, may: &[&str]) -> Vec<String> {
    let mut section = "";
    let mut faults = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line.trim();
        }
        let Some(rest) = line.strip_prefix("mainstay-") else { continue };
        let dependency: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        let normal = section == "[dependencies]";
        if normal && dependency == "testkit" {
            faults.push(format!("crates/{name}: testkit is a dev-dependency only"));
        } else if normal && !may.contains(&dependency.as_str()) {
            faults.push(format!("crates/{name}: may not depend on {dependency}"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::breaches;

    #[test]
    fn a_forbidden_arrow_is_found_and_a_dev_dependency_is_not() {
        let manifest = "[dependencies]\nmainstay-model.workspace = true\nmainstay-store = {}\n[dev-dependencies]\nmainstay-testkit = {}\n";
        assert_eq!(breaches("drivers", manifest, &["model"]), vec!["crates/drivers: may not depend on store"]);
    }
}
