//! Following an operation to its end, whatever becomes of the connection meanwhile: the operation
//! is durable, so a server that restarts is only a pause.

use crate::{
    exit::{Exit, Failure, Outcome},
    progress::Progress,
};
use mainstay_api_types::Operation;
use mainstay_client::Client;
use mainstay_model::{Error, Result};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long a server may be away before it is given up.
const AWAY: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(300);
/// A stream that says nothing for this long is opened anew: the current state comes first.
const SILENCE: Duration = Duration::from_secs(45);

/// The operation once it is over, well or not.
pub async fn to_the_end(client: &Client, mut last: Operation) -> Outcome<Operation> {
    let mut progress = Progress::new();
    progress.show(&last);
    let mut away_since: Option<Instant> = None;
    while !last.status.is_over() {
        match until_cut(client, &mut last, &mut progress).await {
            Ok(true) => away_since = None,
            Ok(false) => sleep(PAUSE).await,
            Err(e) if e.is_transient() => {
                let since = *away_since.get_or_insert_with(|| {
                    progress.say("the connection to the server was lost; waiting for it to come back");
                    Instant::now()
                });
                if since.elapsed() > AWAY {
                    return Err(given_up(client, &last));
                }
                sleep(PAUSE).await;
            }
            Err(e) => return Err(e.into()),
        }
    }
    Ok(last)
}

/// Follows one stream; says whether it brought anything.
async fn until_cut(client: &Client, last: &mut Operation, progress: &mut Progress) -> Result<bool> {
    let mut events = client.watch(&last.id).await?;
    let mut heard = false;
    loop {
        match timeout(SILENCE, events.next()).await {
            Ok(Ok(Some(o))) => *last = o,
            Ok(Ok(None)) | Err(_) => return Ok(heard),
            Ok(Err(e)) => return Err(Error { kind: mainstay_model::Kind::Unavailable, ..e }),
        }
        heard = true;
        progress.show(last);
        if last.status.is_over() {
            return Ok(true);
        }
    }
}

fn given_up(client: &Client, o: &Operation) -> Failure {
    let why = format!(
        "no answer from {} for {} s; operation {id} goes on there once it runs: mainstay operation watch {id}",
        client.server(),
        AWAY.as_secs(),
        id = o.id
    );
    Failure::new(Exit::Unreachable, why)
}
