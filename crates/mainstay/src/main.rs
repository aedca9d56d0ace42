//! The binary: arguments, then configuration, then the run. The only crate that wires
//! implementations, and the only one that reads arguments and environment.

mod args;
mod cli;
mod context;
mod demo;
mod exit;
mod follow;
mod output;
mod process;
mod progress;
mod session;

use args::{Args, Command, Common};
use exit::{Exit, Failure, Outcome};
use mainstay_model::Error;
use output::note;
use process::{data_dir, down, gateway, up};
use session::{Begun, Session};
use std::{path::PathBuf, sync::PoisonError, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

fn main() {
    let exit = match Args::read(std::env::args_os()) {
        Ok(args) => start(args),
        Err(e) => usage(&e),
    };
    // Not by returning: a question that nobody answers would hold the runtime's threads.
    std::process::exit(exit as i32)
}

/// Help goes to standard output, a mistake to standard error, without the control bytes it may echo.
fn usage(e: &clap::Error) -> Exit {
    let text = e.render().to_string();
    if e.use_stderr() {
        note(text.trim_end());
        return Exit::Usage;
    }
    let _ = output::write(&text);
    Exit::Done
}

fn start(args: Args) -> Exit {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return told(Err(Error::from(e).context("the runtime cannot start").into())),
    };
    told(runtime.block_on(run(args)))
}

fn told(outcome: Outcome) -> Exit {
    match outcome {
        Ok(exit) => exit,
        Err(failure) => {
            if !failure.message.is_empty() {
                note(format!("error: {}", failure.message.replace('\n', " ")));
            }
            failure.exit
        }
    }
}

async fn run(args: Args) -> Outcome {
    let Args { common, command } = args;
    match command {
        Command::Up(a) => {
            alone(&common, "up")?;
            process::log_to_stderr(&a.log)?;
            up::run(configured(a)).await?;
        }
        Command::Down(a) => {
            alone(&common, "down")?;
            down::run(&a.data_dir.unwrap_or_else(data_dir::default_path), a.engines).await?;
        }
        Command::Gateway(a) => {
            process::log_to_stderr("info")?;
            gateway::run(&a.data_dir).await?;
        }
        Command::Demo(a) => return demo::run(a).await,
        Command::Recover(a) => return cli::recover::run(common, *a).await,
        Command::Openapi => output::write(&serde_json::to_string_pretty(&mainstay_api::openapi()).map_err(Error::internal)?)?,
        verb => return ask(common, verb).await,
    }
    Ok(Exit::Done)
}

/// What only means something to a server is refused rather than ignored.
fn alone(common: &Common, command: &str) -> Outcome<()> {
    let given = common.server.is_some() || common.token.is_some() || common.project.is_some() || common.data_dir.is_some();
    if given || common.dry_run || common.no_wait || common.timeout.is_some() {
        return Err(Failure::usage(format!(
            "options before `{command}` are for verbs that talk to a server; see `mainstay {command} --help`"
        )));
    }
    Ok(())
}

fn configured(a: args::process::Up) -> up::Config {
    up::Config {
        data_dir: a.data_dir.unwrap_or_else(data_dir::default_path),
        listen: a.listen,
        endpoint_address: a.endpoint_address,
        log_spool_bytes: a.log_spool << 20,
        engine_user: a.engine_user,
        engine_dirs: named(a.engine_dirs),
        public_url: a.public_url,
        tls: a.tls_cert.zip(a.tls_key),
        copy_again_after: a.copy_again_after,
    }
}

/// An empty variable names no folder.
fn named(dirs: Vec<PathBuf>) -> Vec<PathBuf> {
    dirs.into_iter().filter(|d| !d.as_os_str().is_empty()).collect()
}

/// A verb that talks to a server: to its end, to the end of the caller's patience, or to a Ctrl-C.
async fn ask(common: Common, verb: Command) -> Outcome {
    let begun = Begun::default();
    let patience = common.timeout;
    let session = Session::open(common, begun.clone())?;
    // A console takes a Ctrl-C itself: it is about the statement that runs.
    let takes_interrupts = matches!(&verb, Command::Cluster(args::cluster::Cluster { verb: args::cluster::Verb::Connect(_) }));
    let operation = || begun.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let goes_on = |id: &str| format!("operation {id} goes on; follow it with: mainstay operation watch {id}");
    tokio::select! {
        outcome = cli::run(&session, verb) => outcome,
        () = interrupted(), if !takes_interrupts => Err(Failure::new(Exit::Interrupted, match operation() {
            Some(id) => format!("interrupted; {}", goes_on(&id)),
            None => "interrupted before anything was begun".into(),
        })),
        () = elapsed(patience) => Err(Failure::new(Exit::TimedOut, match operation() {
            Some(id) => format!("timed out; {}", goes_on(&id)),
            None => "timed out before the server had answered".into(),
        })),
    }
}

async fn elapsed(patience: Option<Duration>) {
    match patience {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

async fn interrupted() {
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut int), Ok(mut term)) => {
            tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
        }
        _ => std::future::pending().await,
    }
}
