//! The only place in the product where a program is started. It takes an argument list and a whole
//! environment; there is no shell and nothing is inherited but three descriptors.

use super::{mark::Mark, owner::Owner};
use mainstay_model::{Error, Result};
use process_wrap::std::{ChildWrapper, CommandWrap, ProcessSession};
use std::{
    collections::BTreeMap,
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
};

pub(crate) struct Launch<'a> {
    pub program: &'a Path,
    pub args: &'a [String],
    pub env: &'a BTreeMap<String, String>,
    pub working_dir: &'a Path,
    pub owner: Option<&'a Owner>,
    pub mark: &'a Mark,
    pub stdin: Stdio,
    pub stdout: Stdio,
    pub stderr: Stdio,
    /// In a network that leads nowhere, where we may make one.
    pub offline: bool,
}

/// Starts a session of its own: no terminal of ours can stop it or be read by it. As another user
/// it has that user's own group and no other. Dropping the child neither stops nor reaps it.
pub(crate) fn spawn(launch: Launch<'_>) -> Result<Box<dyn ChildWrapper>> {
    check(&launch)?;
    #[allow(clippy::disallowed_methods, reason = "the one place that spawns")]
    let mut command = Command::new(launch.program);
    let (key, value) = launch.mark.env();
    command.args(launch.args).env_clear().envs(launch.env).env(key, value).current_dir(launch.working_dir);
    command.stdin(launch.stdin).stdout(launch.stdout).stderr(launch.stderr);
    if let Some(owner) = launch.owner {
        command.gid(owner.gid).uid(owner.uid);
    }
    let mut command = CommandWrap::from(command);
    let (program, dir, owner) = (launch.program, launch.working_dir, launch.owner);
    command.wrap(ProcessSession);
    let spawned = if launch.offline { spawn_offline(&mut command) } else { command.spawn() };
    spawned.map_err(|e| refused(program, dir, owner, &e))
}

/// A child is born into the network of the thread that starts it: so a thread of its own leaves ours for
/// an empty one, in which not even loopback is up, starts the child and ends. Where we may not do that
/// (without root) the child has our network, and whoever asked sees that from the instance.
fn spawn_offline(command: &mut CommandWrap) -> io::Result<Box<dyn ChildWrapper>> {
    let start = || {
        if let Err(e) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET) {
            tracing::debug!("no network of its own for a child: {e}");
        }
        command.spawn()
    };
    std::thread::scope(|s| s.spawn(start).join().unwrap_or_else(|_| Err(io::Error::other("the thread that starts a child ended early"))))
}

fn check(launch: &Launch<'_>) -> Result<()> {
    let whole = |path: &Path, field| {
        let say = || Error::invalid(field, format!("{} is not an absolute path", path.display()));
        path.is_absolute().then_some(()).ok_or_else(say)
    };
    whole(launch.program, "program")?;
    whole(launch.working_dir, "working_dir")?;
    let bad_key = launch.env.keys().find(|key| key.is_empty() || key.contains('='));
    bad_key.map_or(Ok(()), |_| Err(Error::invalid("env", "a variable's name is empty or holds an equals sign")))
}

fn refused(program: &Path, dir: &Path, owner: Option<&Owner>, e: &io::Error) -> Error {
    let who = owner.map(|o| format!(" as {}", o.name)).unwrap_or_default();
    let hint = match e.kind() {
        io::ErrorKind::NotFound => "the program or the directory is not there",
        io::ErrorKind::PermissionDenied => "the program may not be run, or the directory not be entered, by that user",
        _ => "the system refused it",
    };
    Error::failed("not_started", format!("could not start {}{who} in {}: {hint} ({e})", program.display(), dir.display()))
}
