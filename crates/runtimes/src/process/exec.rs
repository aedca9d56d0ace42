//! One run of a tool to its end. Whatever becomes of the caller, the tool does not outlive its
//! wait: a forgotten `pg_basebackup` would go on writing into a directory that the next attempt
//! believes its own. What a killed agent left behind is found by its mark at the next start.

use super::{
    doing::{Doing, blocking},
    family::Family,
    held::{Exit, Held},
    mark::Mark,
    owner, procs,
    record::Main,
    spawn::{self, Launch},
};
use mainstay_drivers::runtime::{Exec, ExecOutput};
use mainstay_model::{Error, Kind, Result};
use process_wrap::std::ChildWrapper;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{ChildStderr, ChildStdin, ChildStdout},
};

const MOST_STDOUT: usize = 64 << 20;
const STDERR_KEPT: usize = 64 << 10;
const END_WITHIN: Duration = Duration::from_secs(10);

pub(crate) async fn run(state_dir: PathBuf, mut exec: Exec) -> Result<ExecOutput> {
    let name = exec.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (timeout, stdin) = (exec.timeout, std::mem::take(&mut exec.stdin));
    let has_input = !stdin.is_empty();
    let mut tool = blocking(move || Tool::start(&state_dir, &exec, has_input)).await?;
    let held = Held::new(&tool.main)?.ok_or_else(|| Error::internal("a child that was not waited for is gone"))?;
    match tokio::time::timeout(timeout, converse(&mut tool, &held, stdin, &name)).await {
        Ok(Ok((stdout, stderr))) => {
            tool.reaped = true;
            let status = status_of(held.reap(), &name)?;
            Ok(ExecOutput { status, stdout, stderr })
        }
        Ok(Err(e)) => tool.end(&held).await.and(Err(e)),
        Err(_) => tool.end(&held).await.and(Err(Error::timed_out(format!("{name} did not end within {timeout:?} and was killed")))),
    }
}

fn status_of(exit: Exit, name: &str) -> Result<i32> {
    match exit {
        Exit::Code(code) => Ok(code),
        Exit::Signal { number, .. } => Ok(-number),
        Exit::Unseen => Err(Error::failed("no_exit_code", format!("the exit code of {name} was lost; try again"))),
    }
}

/// A running tool. As long as it is not reaped its pid is nobody else's, so its group can be killed
/// by number.
struct Tool {
    main: Main,
    mark: Mark,
    child: Box<dyn ChildWrapper>,
    reaped: bool,
}

impl Tool {
    fn start(state_dir: &Path, exec: &Exec, has_input: bool) -> Result<Tool> {
        let owner = owner::resolve(exec.user.as_deref())?;
        let mark = Mark::tool(state_dir);
        let child = spawn::spawn(Launch {
            program: &exec.program,
            args: &exec.args,
            env: &exec.env,
            working_dir: &exec.working_dir,
            owner: owner.as_ref(),
            mark: &mark,
            stdin: if has_input { Stdio::piped() } else { Stdio::null() },
            stdout: Stdio::piped(),
            stderr: Stdio::piped(),
            offline: false,
        })?;
        let pid = child.id().cast_signed();
        if exec.background {
            procs::put_behind(pid);
        }
        let stat = procs::look(pid).ok_or_else(|| Error::internal("a child that was not waited for has no stat"))?;
        Ok(Tool { main: Main::of(&stat), mark, child, reaped: false })
    }

    fn kill_group(&self) {
        if let Some(pid) = Pid::from_raw(self.main.pid) {
            let _ = kill_process_group(pid, Signal::KILL); // an empty group is what is wanted
        }
    }

    /// Kills it with all that came of it and returns when nothing of it is left.
    async fn end(&mut self, held: &Held) -> Result<()> {
        self.kill_group();
        let ended = Family { mark: self.mark.clone(), main: Some(self.main.clone()) }.end(END_WITHIN).await;
        if ended.is_ok() {
            held.over().await;
            held.reap();
            self.reaped = true;
        }
        ended
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        self.kill_group();
        let (family, pid) = (Family { mark: self.mark.clone(), main: Some(self.main.clone()) }, Pid::from_raw(self.main.pid));
        let bury = async move {
            let _ = family.end(END_WITHIN).await; // nobody is left to be told; the next start looks again
            let _ = pid.map(|pid| waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG));
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(bury);
        }
    }
}

/// Feeds and reads it until it has ended. With its end its group ends too, so that a child that was
/// left behind cannot keep the pipes open.
async fn converse(tool: &mut Tool, held: &Held, input: Vec<u8>, name: &str) -> Result<(Vec<u8>, String)> {
    let stdin = tool.child.stdin().take().map(ChildStdin::from_std).transpose().doing(|| format!("could not feed {name}"))?;
    let stdout = tool.child.stdout().take().map(ChildStdout::from_std).transpose().doing(|| format!("could not read from {name}"))?;
    let stderr = tool.child.stderr().take().map(ChildStderr::from_std).transpose().doing(|| format!("could not read from {name}"))?;
    let tool = &*tool;
    let over = async {
        held.over().await;
        tool.kill_group();
        Ok(())
    };
    let (_, _, stdout, stderr) = tokio::try_join!(over, feed(stdin, &input, name), collect(stdout, name), keep_end(stderr, name))?;
    Ok((stdout, stderr))
}

/// A tool that ends without reading all of its input has seen enough.
async fn feed(stdin: Option<ChildStdin>, input: &[u8], name: &str) -> Result<()> {
    let Some(mut stdin) = stdin else { return Ok(()) };
    match stdin.write_all(input).await {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(e).doing(|| format!("could not feed {name}")),
        _ => Ok(()),
    }
}

async fn collect(pipe: Option<impl AsyncRead + Unpin>, name: &str) -> Result<Vec<u8>> {
    let Some(pipe) = pipe else { return Ok(vec![]) };
    let mut bytes = Vec::new();
    pipe.take(MOST_STDOUT as u64 + 1).read_to_end(&mut bytes).await.doing(|| format!("could not read from {name}"))?;
    if bytes.len() > MOST_STDOUT {
        let sentence = format!("{name} wrote more than {} MiB where little was expected, and was killed", MOST_STDOUT >> 20);
        return Err(Error::new(Kind::TooLarge, "too_much_output", sentence));
    }
    Ok(bytes)
}

async fn keep_end(pipe: Option<impl AsyncRead + Unpin>, name: &str) -> Result<String> {
    let Some(mut pipe) = pipe else { return Ok(String::new()) };
    let (mut kept, mut block) = (Vec::new(), vec![0; 16 << 10]);
    loop {
        let read = pipe.read(&mut block).await.doing(|| format!("could not read from {name}"))?;
        if read == 0 {
            break;
        }
        kept.extend_from_slice(&block[..read]);
        if kept.len() > 2 * STDERR_KEPT {
            kept.drain(..kept.len() - STDERR_KEPT);
        }
    }
    let from = kept.len().saturating_sub(STDERR_KEPT);
    Ok(String::from_utf8_lossy(&kept[from..]).into_owned())
}

/// Kills the tools that a former life of this runtime left running.
pub(crate) fn end_leftovers(state_dir: &Path) {
    let family = Family { mark: Mark::tools(state_dir), main: None };
    for _ in 0..100 {
        let members = family.members();
        if members.is_empty() {
            return;
        }
        members.iter().for_each(super::held::kill);
        std::thread::sleep(Duration::from_millis(20));
    }
    tracing::warn!("tools that an earlier run started do not go away after being killed");
}
