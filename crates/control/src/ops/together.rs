//! How the restores of a group keep step, so that clients see all members at the point or none.
//!
//! Each member restores beside its live data and waits; when all have, each swaps its data in while
//! its clients are held, and waits again; when all have, all let clients in. What is decided lies in
//! the store, written by the group's operation alone: a member that is not told to go on has not lost
//! anything yet, and one that was told does not turn back.

use crate::App;
use mainstay_model::{Error, OperationId, Result};
use mainstay_operations::{Cx, Status, StepStatus, StepView, Tx, View};
use mainstay_store as store;
use std::time::Duration;

/// Members wait here, with the data restored beside.
pub const GATHER: &str = "gather";
/// And here, with the data swapped in and clients held.
pub const MEET: &str = "meet";

const SWAP: &str = "swap";
const GO: &str = "go";
const ABORT: &str = "abort";
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// Looks between two words about it: once a second.
const SAY_EVERY: u64 = 40;

fn key(party: &str) -> String {
    format!("group_restore/{party}")
}

/// What the group has decided so far.
async fn decided(app: &App, party: &str) -> Result<Option<String>> {
    store::kv::get(&mut *app.store.read().await?, &key(party)).await
}

/// Waits until the member may leave `step`. Without a party it may at once.
pub async fn wait(cx: &Cx<App>, party: Option<&str>, step: &str) -> Result<()> {
    let Some(party) = party else { return Ok(()) };
    let mut looks = 0u64;
    loop {
        match decided(&cx.world, party).await?.as_deref() {
            Some(GO) => return Ok(()),
            Some(SWAP) if step == GATHER => return Ok(()),
            Some(ABORT) => return Err(Error::failed("group_given_up", "the restore of the group was given up; the data stays as it was")),
            _ => {}
        }
        if looks.is_multiple_of(SAY_EVERY) {
            cx.progress(None, &format!("waits for the other members of the group ({} s)", looks / SAY_EVERY));
        }
        looks += 1;
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = cx.cancelled() => return Err(Error::conflict("cancelled", "cancelled")),
        }
    }
}

/// A member that is undone here would be at another point than those that went on.
pub async fn may_turn_back(cx: &Cx<App>, party: Option<&str>) -> Result<()> {
    let Some(party) = party else { return Ok(()) };
    match decided(&cx.world, party).await?.as_deref() {
        Some(GO) => Err(Error::failed("group_went_on", "the other members of the group went on; let this one go on too: retry it")),
        _ => Ok(()),
    }
}

/// Waits until every member stands at `step` or is past it.
pub async fn all_at(cx: &Cx<App>, members: &[OperationId], step: &str) -> Result<()> {
    for looks in 0u64.. {
        let mut waiting = 0;
        for member in members {
            let view = cx.world.runner.get(member).await?;
            alive(&view)?;
            waiting += usize::from(!is_at(&view, step));
        }
        if waiting == 0 {
            break;
        }
        if looks.is_multiple_of(SAY_EVERY) {
            cx.progress(None, &format!("{waiting} of {} members are under way ({} s)", members.len(), looks / SAY_EVERY));
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = cx.cancelled() => return Err(Error::conflict("cancelled", "cancelled")),
        }
    }
    Ok(())
}

/// Cancelled where it can still turn back, waited for in any case.
pub async fn end(cx: &Cx<App>, operation: &OperationId) -> Result<View> {
    // One that has ended, or is past its point of no return, refuses.
    let _ = cx.world.runner.cancel(operation, cx.operation.as_str()).await;
    cx.world.runner.wait(operation).await
}

fn alive(view: &View) -> Result<()> {
    if matches!(view.status, Status::Queued | Status::Running | Status::Succeeded) {
        return Ok(());
    }
    let cluster = view.cluster.as_deref().unwrap_or("a member");
    Err(Error::failed("member_failed", format!("the restore to {cluster} ({}) did not succeed: {}", view.id, view.sentence)))
}

/// New clusters have nothing to swap and know one of the two places only: who stands at the second is
/// past the first.
fn is_at(view: &View, step: &str) -> bool {
    let begun = |s: &StepView| (s.name == step || s.name == MEET) && s.status != StepStatus::Pending;
    view.status == Status::Succeeded || view.steps.iter().any(begun)
}

pub async fn may_swap(tx: &mut Tx, party: &str) -> Result<()> {
    store::kv::put(tx, &key(party), SWAP).await
}

/// Says once a second how many of several are still under way, until `done` is: whoever waits for hours
/// must not be taken to hang.
pub async fn waiting<T>(cx: &Cx<App>, members: &[OperationId], done: impl Future<Output = T>) -> T {
    tokio::pin!(done);
    let mut seconds = 0u64;
    loop {
        let mut left = 0;
        for member in members {
            let over = cx.world.runner.get(member).await.is_ok_and(|view| view.status.is_final());
            left += usize::from(!over);
        }
        cx.progress(None, &format!("{left} of {} members are under way ({seconds} s)", members.len()));
        tokio::select! {
            outcome = &mut done => return outcome,
            () = tokio::time::sleep(Duration::from_secs(1)) => seconds += 1,
        }
    }
}

/// Refused where it was given up: members may have turned back.
pub async fn must_go_on(tx: &mut Tx, party: &str) -> Result<()> {
    match store::kv::get(tx, &key(party)).await?.as_deref() {
        Some(ABORT) => Err(Error::failed("group_given_up", "the restore of the group was given up")),
        _ => store::kv::put(tx, &key(party), GO).await,
    }
}

/// Unless it is too late for that.
pub async fn give_up(tx: &mut Tx, party: &str) -> Result<()> {
    match store::kv::get(tx, &key(party)).await?.as_deref() {
        Some(GO) => Ok(()),
        _ => store::kv::put(tx, &key(party), ABORT).await,
    }
}
