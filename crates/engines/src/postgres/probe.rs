//! One look at a node: a short login on the private socket and two statements. A log position says
//! how far a replica is; time alone does not, for an idle primary's last transaction grows old.

use super::{
    connect::{Session, try_admin},
    tools::{parse_lsn, position},
};
use crate::common::served_instance;
use mainstay_drivers::{
    engine::{Exposure, Node},
    runtime::InstanceState,
};
use mainstay_model::{
    Time,
    node::{EngineState, NodeRole, Observed, Position},
};
use std::time::Duration;
use tokio_postgres::error::SqlState;

/// Below the three seconds a probe may take.
const PATIENCE: Duration = Duration::from_millis(2500);

/// A replica that is behind is looked at again after this long, to tell a record in flight from lag.
const SECOND_LOOK: Duration = Duration::from_millis(50);

/// A replica's timeline is that of what it receives, or of the newest log it ever received: its
/// control file learns of a new one much later.
///
/// A receiver calls itself streaming as soon as it is connected, before its primary agreed to send
/// anything. It has fetched the primary's newer history by then: while it is not on the newest one
/// it knows of, it has not followed yet, and never will where it holds writes of its own. Until a
/// first message came, the times of sending and receipt are one.
const WHERE: &str = "
SELECT r.recovering,
       (SELECT system_identifier::text FROM pg_control_system()) AS system,
       CASE WHEN r.recovering
            THEN coalesce(w.received_tli, (SELECT max(('x' || substr(name, 1, 8))::bit(32)::int) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'))
            ELSE ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int
       END AS timeline,
       CASE WHEN r.recovering
            THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
            ELSE pg_current_wal_flush_lsn()
       END::text AS held,
       CASE WHEN r.recovering THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END::text AS replayed,
       w.status AS link,
       w.pid AS receiver,
       w.last_msg_send_time IS DISTINCT FROM w.last_msg_receipt_time AS spoken_to,
       CASE WHEN r.recovering
            THEN (SELECT max(('x' || substr(name, 1, 8))::bit(32)::int) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{8}[.]history$')
       END AS newest,
       w.latest_end_lsn::text AS sent,
       extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8 AS since
  FROM (SELECT pg_is_in_recovery() AS recovering) r
  LEFT JOIN pg_stat_wal_receiver w ON true";

const WHO: &str = "
SELECT (SELECT count(*) FROM pg_stat_activity
         WHERE backend_type = 'client backend' AND usename NOT IN ('mainstay', 'mainstay_replication')) AS clients,
       (SELECT coalesce(array_agg(application_name ORDER BY application_name), '{}') FROM pg_stat_replication
         WHERE state IN ('streaming', 'catchup') AND application_name NOT IN ('pg_basebackup', 'mainstay_log')) AS replicas,
       (SELECT string_agg(slot_name, ', ' ORDER BY slot_name) FROM pg_replication_slots WHERE wal_status = 'lost') AS lost";

/// Where a running server stands.
pub(super) struct Standing {
    pub recovering: bool,
    pub system: String,
    pub timeline: Option<u32>,
    pub held: Option<u64>,
    pub replayed: Option<u64>,
    link: Option<String>,
    receiver: Option<i32>,
    spoken_to: bool,
    /// The newest timeline anybody told this replica of.
    newest: Option<u32>,
    sent: Option<u64>,
    since: Option<f64>,
}

impl Standing {
    pub async fn look(session: &Session) -> Result<Standing, tokio_postgres::Error> {
        let row = session.query_one(WHERE, &[]).await?;
        let bytes = |column: &str| row.get::<_, Option<&str>>(column).and_then(parse_lsn);
        Ok(Standing {
            recovering: row.get("recovering"),
            system: row.get("system"),
            timeline: row.get::<_, Option<i32>>("timeline").and_then(|t| u32::try_from(t).ok()),
            held: bytes("held"),
            replayed: bytes("replayed"),
            link: row.get("link"),
            receiver: row.get("receiver"),
            spoken_to: row.get("spoken_to"),
            newest: row.get::<_, Option<i32>>("newest").and_then(|t| u32::try_from(t).ok()),
            sent: bytes("sent"),
            since: row.get("since"),
        })
    }

    pub fn position(&self) -> Option<Position> {
        Some(position(&self.system, self.timeline?, self.held?))
    }

    fn is_streaming(&self) -> bool {
        self.link.as_deref() == Some("streaming") && self.newer_timeline().is_none()
    }

    /// A timeline of the primary's that this replica has not come to.
    fn newer_timeline(&self) -> Option<u32> {
        self.newest.filter(|newest| self.timeline.is_some_and(|here| here < *newest))
    }

    /// Bytes not yet replayed of what the primary said it has. Without a link nobody says.
    fn lag_bytes(&self) -> Option<u64> {
        self.is_streaming().then_some(())?;
        Some(self.sent?.saturating_sub(self.replayed?))
    }
}

pub(super) async fn probe(node: &Node, now: Time) -> Observed {
    match tokio::time::timeout(PATIENCE, look(node, now)).await {
        Ok(observed) => observed,
        Err(_) => Observed::unknown(now, format!("PostgreSQL did not answer within {PATIENCE:?}")),
    }
}

async fn look(node: &Node, now: Time) -> Observed {
    let session = match try_admin(node).await {
        Ok(session) => session,
        Err(e) if e.code() == Some(&SqlState::CANNOT_CONNECT_NOW) => return starting(now, &e),
        Err(e) if e.as_db_error().is_some() => return Observed::unknown(now, format!("PostgreSQL refused Mainstay's login: {e}")),
        Err(e) => return without_server(node, now, &e).await,
    };
    match observe(&session, now).await {
        Ok(observed) => observed,
        Err(e) => Observed::unknown(now, format!("PostgreSQL answered a login, then no question: {e}")),
    }
}

fn starting(now: Time, e: &tokio_postgres::Error) -> Observed {
    let said = e.as_db_error().map(|db| db.message().to_string());
    Observed { state: EngineState::Starting, detail: said, ..Observed::unknown(now, "") }
}

/// Nobody listens: the runtime knows whether there is a process.
async fn without_server(node: &Node, now: Time, e: &tokio_postgres::Error) -> Observed {
    let unseen = Observed::unknown(now, format!("nothing answers on the socket: {e}"));
    if node.exposure == Exposure::Isolated {
        return unseen;
    }
    let (state, detail) = match node.runtime.inspect(&served_instance(node)).await.map(|i| i.state) {
        Ok(InstanceState::Running) => (EngineState::Starting, Some("the process runs and does not listen yet".to_string())),
        Ok(InstanceState::Crashed { detail }) => (EngineState::Crashed, Some(detail)),
        Ok(InstanceState::Stopped) => (EngineState::Stopped, None),
        Err(_) => return unseen,
    };
    Observed { state, detail, ..unseen }
}

async fn observe(session: &Session, now: Time) -> Result<Observed, tokio_postgres::Error> {
    let (standing, who) = tokio::try_join!(settled(session), session.query_one(WHO, &[]))?;
    let lost: Option<String> = who.get("lost");
    let mut seen = Observed {
        state: EngineState::Ready,
        role: Some(if standing.recovering { NodeRole::Replica } else { NodeRole::Primary }),
        position: standing.position(),
        connections: u64::try_from(who.get::<_, i64>("clients")).ok(),
        replicas: who.get("replicas"),
        detail: lost.map(|slots| format!("the log that {slots} needed is gone: seed these nodes again")),
        ..Observed::unknown(now, "")
    };
    if standing.recovering {
        seen.link_up = Some(standing.is_streaming());
        seen.lag_bytes = standing.lag_bytes();
        seen.lag_seconds = lag_seconds(session, &standing).await?;
        if !standing.is_streaming() {
            seen.detail = Some(match standing.newer_timeline() {
                Some(newest) => format!("has not come to its primary's timeline {newest}; if it does not, seed it again"),
                None => "not receiving from its primary".into(),
            });
        }
    }
    Ok(seen)
}

/// A receiver that was not spoken to yet may be turned away the next moment: looked at again, it is
/// another one then, or none.
async fn settled(session: &Session) -> Result<Standing, tokio_postgres::Error> {
    let first = Standing::look(session).await?;
    if !first.is_streaming() || first.spoken_to {
        return Ok(first);
    }
    tokio::time::sleep(SECOND_LOOK).await;
    let second = Standing::look(session).await?;
    let same = second.receiver == first.receiver;
    Ok(if same { second } else { Standing { link: None, ..second } })
}

/// Zero when nothing is missing. Where something is, a second look shows whether that was on its way.
async fn lag_seconds(session: &Session, first: &Standing) -> Result<Option<f64>, tokio_postgres::Error> {
    match first.lag_bytes() {
        None => return Ok(None),
        Some(0) => return Ok(Some(0.0)),
        Some(_) => {}
    }
    tokio::time::sleep(SECOND_LOOK).await;
    let second = Standing::look(session).await?;
    if second.replayed >= first.sent {
        return Ok(Some(SECOND_LOOK.as_secs_f64()));
    }
    Ok(second.since)
}
