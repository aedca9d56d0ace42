//! Holds one terminal between a browser or a command line and the agent.
//!
//! It ends with whatever let it be opened: the session or token, the role, the membership are looked at
//! again before each line, and every two seconds while nobody types. What is typed goes through and is
//! kept nowhere: the audit has who, where, how long and how many statements.

use crate::{audit, auth::Caller};
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use mainstay_control::{App, people, terminals::Terminal};
use mainstay_model::{
    AuditEntry, AuditId, AuditResult, Error, Role,
    cluster::Cluster,
    console::{ConsoleAsked, ConsoleEnded, ConsoleSaid},
};
use serde_json::json;
use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::mpsc,
    time::{Interval, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

/// What a browser names, and gets back.
pub const PROTOCOL: &str = "mainstay.terminal.v1";
/// How often it is looked whether it may go on.
const LOOK: Duration = Duration::from_secs(2);
const PING: Duration = Duration::from_secs(20);
/// A peer that says nothing, not even that it is there, is gone.
const SILENCE: Duration = Duration::from_secs(70);
/// How long one message may take to be taken.
const PATIENCE: Duration = Duration::from_secs(30);
/// Lines a second; what is faster waits.
const LINES: u32 = 50;

pub struct Held {
    pub app: Arc<App>,
    pub shutdown: CancellationToken,
    pub caller: Caller,
    pub cluster: Cluster,
    pub peer: IpAddr,
    pub terminal: Terminal,
}

pub async fn hold(mut held: Held, mut socket: WebSocket) {
    let begun = Instant::now();
    let mut counted = Counted::default();
    let ended = serve(&mut held, &mut socket, &mut counted).await;
    let Held { app, caller, cluster, peer, terminal, .. } = held;
    let entry = entry(&app, &caller, &cluster, peer, &terminal.opened.node, begun.elapsed(), counted.statements, &ended);
    // First in the engine: whoever reads that it ended finds nothing of it running.
    drop(terminal);
    if let Err(e) = audit::append(&app, &entry).await {
        tracing::error!("the end of a terminal could not be written to the audit: {e}");
    }
    let code = if ended.code == "server_stops" { 1001 } else { 1000 };
    let last = async {
        send(&mut socket, &ConsoleSaid::Ended(ended.clone())).await?;
        let frame = CloseFrame { code, reason: ended.code.clone().into() };
        socket.send(Message::Close(Some(frame))).await.map_err(|_| gone())
    };
    let _ = timeout(Duration::from_secs(2), last).await;
}

#[derive(Default)]
struct Counted {
    statements: u64,
}

/// The end, with nothing of what was typed.
#[allow(clippy::too_many_arguments, reason = "they are the entry")]
fn entry(
    app: &App,
    caller: &Caller,
    cluster: &Cluster,
    peer: IpAddr,
    node: &str,
    lasted: Duration,
    statements: u64,
    ended: &ConsoleEnded,
) -> AuditEntry {
    AuditEntry {
        id: AuditId::new(),
        at: app.now(),
        actor: caller.actor.name.clone(),
        action: "closeTerminal".into(),
        project: Some(caller.project.id.clone()),
        object_kind: "cluster".into(),
        object_id: Some(cluster.id.to_string()),
        object_name: Some(cluster.name.to_string()),
        result: AuditResult::Done,
        from: Some(peer.to_string()),
        detail: json!({ "node": node, "seconds": lasted.as_secs(), "statements": statements, "ended": ended.code }),
    }
}

fn gone() -> ConsoleEnded {
    ConsoleEnded::new("closed", "ended")
}

/// Lines, one after the other, not faster than a database should be asked by hand.
struct Pace {
    since: Instant,
    lines: u32,
}

impl Pace {
    async fn wait(&mut self) {
        let second = Duration::from_secs(1);
        if self.since.elapsed() >= second {
            *self = Pace { since: Instant::now(), lines: 0 };
        }
        self.lines += 1;
        if self.lines > LINES {
            tokio::time::sleep(second.saturating_sub(self.since.elapsed())).await;
        }
    }
}

fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn serve(held: &mut Held, socket: &mut WebSocket, counted: &mut Counted) -> ConsoleEnded {
    let first = ConsoleSaid::Opened(held.terminal.opened.clone());
    if let Err(ended) = send(socket, &first).await {
        return ended;
    }
    let (mut looks, mut pings) = (every(LOOK), every(PING));
    let (troubles, mut trouble) = mpsc::channel(4);
    let (mut heard, mut pace) = (Instant::now(), Pace { since: Instant::now(), lines: 0 });
    let shutdown = held.shutdown.clone();
    loop {
        let step = tokio::select! {
            said = held.terminal.next() => match said {
                Ok(Some(ConsoleSaid::Ended(ended))) => Err(ended),
                Ok(Some(said)) => {
                    counted.statements += u64::from(said.ends_statement());
                    send(socket, &said).await
                }
                Ok(None) => Err(gone()),
                Err(e) => Err(ConsoleEnded::new("node_gone", e.message)),
            },
            message = socket.recv() => {
                heard = Instant::now();
                told(held, socket, &mut pace, &troubles, message).await
            }
            Some(e) = trouble.recv() => send(socket, &ConsoleSaid::notice(format!("not interrupted: {e}"))).await,
            _ = looks.tick() => match may(held).await {
                Ok(false) => Err(not_allowed()),
                // Nobody knows for a moment: the next line finds out.
                Ok(true) | Err(_) => Ok(()),
            },
            _ = pings.tick() => match heard.elapsed() < SILENCE {
                true => timeout(PATIENCE, socket.send(Message::Ping(Default::default()))).await.map(drop).map_err(|_| gone()),
                false => Err(ConsoleEnded::new("closed", "the other side was gone")),
            },
            () = shutdown.cancelled() => Err(ConsoleEnded::new("server_stops", "Mainstay stops; databases go on")),
        };
        if let Err(ended) = step {
            return ended;
        }
    }
}

fn not_allowed() -> ConsoleEnded {
    ConsoleEnded::new("not_allowed", "the session, the token or the role it was opened with has ended")
}

async fn may(held: &mut Held) -> Result<bool, Error> {
    people::stays(&held.app, &held.caller.actor, &held.caller.project.id, Role::Admin).await
}

async fn send(socket: &mut WebSocket, said: &ConsoleSaid) -> Result<(), ConsoleEnded> {
    let text = serde_json::to_string(said).map_err(|_| ConsoleEnded::new("failed", "an answer could not be written"))?;
    match timeout(PATIENCE, socket.send(Message::Text(text.into()))).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(gone()),
    }
}

/// One message of the other side.
async fn told(
    held: &mut Held,
    socket: &mut WebSocket,
    pace: &mut Pace,
    troubles: &mpsc::Sender<Error>,
    message: Option<Result<Message, axum::Error>>,
) -> Result<(), ConsoleEnded> {
    let text = match message {
        Some(Ok(Message::Text(text))) => text,
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
        Some(Ok(Message::Binary(_))) => return send(socket, &ConsoleSaid::refused("a message is JSON in a text frame")).await,
        Some(Ok(Message::Close(_))) | None => return Err(gone()),
        Some(Err(e)) => {
            let large = e.to_string().to_lowercase().contains("too long") || e.to_string().to_lowercase().contains("capacity");
            return Err(if large { ConsoleEnded::new("too_large", "a message was larger than a statement may be") } else { gone() });
        }
    };
    let Ok(asked) = serde_json::from_str::<ConsoleAsked>(&text) else {
        return send(socket, &ConsoleSaid::refused("a message is {\"type\": \"line\", \"text\": …} or {\"type\": \"cancel\"}")).await;
    };
    match asked {
        ConsoleAsked::Cancel => {
            let (line, troubles) = (held.terminal.line.clone(), troubles.clone());
            // Beside the loop: what is interrupted has to be heard meanwhile.
            tokio::spawn(async move {
                if let Err(e) = line.interrupt().await {
                    let _ = troubles.try_send(e);
                }
            });
            Ok(())
        }
        ConsoleAsked::Line { text } => {
            pace.wait().await;
            match may(held).await {
                Ok(true) => {}
                Ok(false) => return Err(not_allowed()),
                Err(_) => return send(socket, &ConsoleSaid::refused("whether you may could not be looked up; say it again")).await,
            }
            match held.terminal.line.tell(text).await {
                Ok(()) => Ok(()),
                // What is over says so itself.
                Err(e) if e.code == "console_ended" => Ok(()),
                Err(e) => send(socket, &ConsoleSaid::refused(e.message)).await,
            }
        }
    }
}
