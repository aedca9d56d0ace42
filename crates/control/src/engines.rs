//! The catalogue as users see it.

use crate::App;
use mainstay_model::{Error, Result, cluster::Mode, engine::EngineEntry, error::shown};

pub async fn list(app: &App) -> Result<Vec<EngineEntry>> {
    app.forget_description();
    let mut engines = app.description().await?.engines;
    engines.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(engines)
}

pub async fn get(app: &App, name: &str) -> Result<EngineEntry> {
    let all = list(app).await?;
    let names: Vec<&str> = all.iter().map(|e| e.name.as_str()).collect();
    let missing = Error::not_found("engine", name).context(format!("these exist: {}", names.join(", ")));
    all.iter().find(|e| e.name == name).cloned().ok_or(missing)
}

/// The engine and the version to deploy: the newest that matches what was asked for.
pub async fn choose(app: &App, name: &str, version: Option<&str>, mode: Mode) -> Result<(EngineEntry, String)> {
    let entry = get(app, name).await.map_err(|e| Error::invalid("engine", e.message))?;
    if !entry.available {
        return Err(Error::invalid("engine", format!("{} is not installed on this host: {}", entry.title, entry.install_hint)));
    }
    if !entry.modes.contains(&mode) {
        let modes: Vec<&str> = entry.modes.iter().map(|m| m.as_str()).collect();
        return Err(Error::invalid("mode", format!("{} has the modes {}", entry.title, modes.join(", "))));
    }
    let fits = |v: &&String| version.is_none_or(|want| *v == want || v.starts_with(&format!("{want}.")));
    let chosen = entry.versions.iter().find(fits).cloned();
    let chosen = chosen.ok_or_else(|| {
        let want = shown(version.unwrap_or_default());
        Error::invalid("version", format!("{} \"{want}\" is not installed here; these are: {}", entry.title, entry.versions.join(", ")))
    })?;
    Ok((entry, chosen))
}
