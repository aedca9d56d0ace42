//! The processes: `up` (control plane and agent in one), `gateway`, and `down`, which ends them.

pub mod data_dir;
pub mod down;
pub mod gateway;
pub mod recover;
pub mod tls;
pub mod up;

use mainstay_model::{Error, Result, error::shown};
use std::{io::IsTerminal, sync::Arc};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancelled by the first SIGTERM or SIGINT. The second ends the process at once.
pub fn shutdown_on_signals() -> Result<CancellationToken> {
    let token = CancellationToken::new();
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = token.clone();
    tokio::spawn(async move {
        for again in [false, true] {
            tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
            if again {
                std::process::exit(130);
            }
            stop.cancel();
        }
    });
    Ok(token)
}

/// Logs go to standard error, for people; `filter` as in `RUST_LOG`.
pub fn log_to_stderr(filter: &str) -> Result<()> {
    let format = tracing_subscriber::fmt().with_env_filter(parsed(filter)?).with_writer(std::io::stderr).with_target(false);
    let _ = format.with_ansi(std::io::stderr().is_terminal()).try_init();
    Ok(())
}

pub fn log_to_file(filter: &str, file: std::fs::File) -> Result<()> {
    let format = tracing_subscriber::fmt().with_env_filter(parsed(filter)?).with_writer(Arc::new(file)).with_target(false);
    let _ = format.with_ansi(false).try_init();
    Ok(())
}

/// The repository library warns of entries that we give it without content on purpose, and calls
/// errors ignored that our own guards have already made the backup's end.
const QUIET: &str = "rustic_core=error";

fn parsed(filter: &str) -> Result<tracing_subscriber::EnvFilter> {
    tracing_subscriber::EnvFilter::try_new(format!("{QUIET},{filter}"))
        .map_err(|e| Error::invalid("log", format!("\"{}\" is not a filter: {e}", shown(filter))))
}
