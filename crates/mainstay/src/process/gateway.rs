//! `mainstay gateway`: the client endpoint, a process of its own that outlives the rest.

use super::{data_dir, shutdown_on_signals};
use mainstay_gateway::Options;
use mainstay_model::Result;
use std::path::{Path, PathBuf};

/// Most sessions of all clusters together; lowered to what the descriptor limit allows.
const MAX_SESSIONS: usize = 20_000;

pub fn socket(data_dir: &Path) -> Result<PathBuf> {
    // A folder of its own: the gateway makes it 0700.
    let wanted = data_dir.join("agent/gateway/control.sock");
    if wanted.as_os_str().len() <= 90 {
        Ok(wanted)
    } else {
        Ok(data_dir::socket(data_dir, "x")?.with_file_name("gateway").join("control.sock"))
    }
}

pub async fn run(data_dir: &Path) -> Result<()> {
    let options = Options { socket: socket(data_dir)?, state_file: data_dir.join("agent/routes.json"), max_sessions: MAX_SESSIONS };
    mainstay_gateway::run(options, shutdown_on_signals()?).await
}
