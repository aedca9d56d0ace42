//! The processes: `up` (control plane and agent in one), `gateway`, and `down`, which ends them.

pub mod data_dir;
pub mod down;
pub mod gateway;
pub mod up;

use mainstay_model::Result;
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
pub fn log_to_stderr(filter: &str) {
    let filter = tracing_subscriber::EnvFilter::try_new(filter).unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).try_init();
}
