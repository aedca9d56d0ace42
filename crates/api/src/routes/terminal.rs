//! The terminal of a node: a WebSocket to the console of its engine.

use super::{clusters::find, nodes::topology};
use crate::{
    Shared,
    auth::{Caller, Visitor, too_many_openings},
    endpoint::{ADMIN, Endpoint, Method::*, Noun},
    problem::Answer,
    terminal::{self, Held, PROTOCOL},
};
use axum::{
    Extension,
    extract::{
        Path, State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use mainstay_api_types as dto;
use mainstay_control::{nodes, terminals};
use mainstay_model::{Error, console::STATEMENT_BYTES};

/// The largest message that is read: what is beyond it ends the connection.
const MESSAGE: usize = 4 * STATEMENT_BYTES;

pub fn routes() -> Noun {
    Noun::new("terminal").route(
        Endpoint::new(
            Get,
            "/clusters/{id}/nodes/{node}/terminal",
            "openTerminal",
            "A WebSocket to the console of the node's engine, as the cluster's user: `ConsoleAsked` goes in, `ConsoleSaid` comes out, \
             each as one text message. Its start and its end are in the audit; what is typed is not",
            ADMIN,
        )
        .status(101)
        .reply::<dto::ConsoleSaid>()
        .speaks::<dto::ConsoleAsked>()
        .audited(),
        open,
    )
}

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

async fn open(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Extension(v): Extension<Visitor>,
    Path((id, node)): Path<(String, String)>,
    upgrade: Upgrade,
) -> Answer<Response> {
    let cluster = find(&s, &c, &id).await?;
    nodes::find(&topology(&s, &cluster).await?, &node)?;
    terminals::check(&s.app, &cluster, &node).await?;
    let plain = |_| Error::malformed("this address speaks WebSocket; open it with `mainstay cluster connect`").with_code("not_a_websocket");
    let upgrade = upgrade.map_err(plain)?;
    if let Some(wait) = s.openings.note(c.actor.name.clone()) {
        return Err(too_many_openings(wait).into());
    }
    let terminal = terminals::open(&s.app, &c.actor, &cluster, &node).await?;
    let held = Held { app: s.app.clone(), shutdown: s.shutdown.clone(), caller: c, cluster, peer: v.peer, terminal };
    let tracker = s.app.terminals.held.clone();
    let upgrade = upgrade.protocols([PROTOCOL]).max_message_size(MESSAGE).max_frame_size(MESSAGE);
    Ok(upgrade.on_upgrade(move |socket| tracker.track_future(terminal::hold(held, socket))))
}
