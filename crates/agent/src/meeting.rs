//! Where the captures of a group meet, so that the points of all are one.
//!
//! Each member's capture runs on its own, and does what takes long without deciding its point. When
//! all have come to the gate, writes are held on every member; then each decides its point; then the
//! holds are confirmed and released. Nobody publishes anything before that: a member's source ends
//! well only after the meeting did.
//!
//! A meeting in which anything goes wrong ends badly for all its members, and the next try is a new
//! one under the same name. The holds end by themselves, in the engines, when nobody is left here.

use mainstay_drivers::{
    engine::{Engine, Held, Node},
    gate::Gate,
    progress::{Progress, Snapshot},
    storage::{Entry, Keeper, Source},
};
use mainstay_model::{Error, Result, backup::Facts};
use mainstay_rpc::verbs::Party;
use std::{
    collections::HashMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, sync::Notify};

/// How often one who waits looks whether it was cancelled.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often one who waits says so: who says nothing for long is taken to hang.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// The meetings under way, by name.
#[derive(Default)]
pub(crate) struct Meetings(Mutex<HashMap<String, Weak<Meeting>>>);

struct Meeting {
    party: Party,
    handle: Handle,
    state: Mutex<State>,
    changed: Condvar,
    /// All have passed, or it ended badly.
    turn: Notify,
}

struct State {
    phase: Phase,
    members: Vec<(Arc<dyn Engine>, Node)>,
    came: usize,
    passed: usize,
    begun: Instant,
}

#[derive(Clone)]
enum Phase {
    Gathering,
    Holding,
    Open,
    Good,
    Bad(Error),
}

impl Meetings {
    /// Takes part; the member leaves when the returned value is dropped.
    pub fn join(&self, party: &Party, engine: Arc<dyn Engine>, node: Node, progress: &Progress) -> Arc<Member> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, m| m.strong_count() > 0);
        let open = all.get(&party.id).and_then(Weak::upgrade).filter(|m| m.is_open());
        let meeting = open.unwrap_or_else(|| Arc::new(Meeting::new(party)));
        all.insert(party.id.clone(), Arc::downgrade(&meeting));
        meeting.state().members.push((engine, node));
        Arc::new(Member { meeting, progress: progress.clone() })
    }
}

impl Meeting {
    fn new(party: &Party) -> Meeting {
        let state = State { phase: Phase::Gathering, members: vec![], came: 0, passed: 0, begun: Instant::now() };
        Meeting { party: party.clone(), handle: Handle::current(), state: Mutex::new(state), changed: Condvar::new(), turn: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether another may still take part.
    fn is_open(&self) -> bool {
        let state = self.state();
        matches!(state.phase, Phase::Gathering) && state.members.len() < self.party.members
    }

    fn turn_to(&self, phase: Phase) {
        self.state().phase = phase;
        self.changed.notify_all();
    }

    /// Once bad stays bad, and good stays good.
    fn fail(&self, why: Error) {
        let mut state = self.state();
        if !matches!(state.phase, Phase::Good | Phase::Bad(_)) {
            state.phase = Phase::Bad(why);
            drop(state);
            self.changed.notify_all();
            self.turn.notify_one();
        }
    }

    /// Writes are held, everybody decides, and the holds are confirmed.
    async fn lead(self: Arc<Self>) {
        let members = self.state().members.clone();
        let mut holds = vec![];
        let led = self.hold_and_open(&members, &mut holds).await;
        for hold in holds {
            if let Err(e) = hold.release().await {
                tracing::warn!("a hold on writes was not released and ends by itself: {e}");
            }
        }
        match led {
            Ok(()) => self.turn_to(Phase::Good),
            Err(e) => self.fail(e),
        }
    }

    async fn hold_and_open(&self, members: &[(Arc<dyn Engine>, Node)], holds: &mut Vec<Box<dyn Held>>) -> Result<()> {
        let at_most = Duration::from_millis(self.party.hold_ms);
        let mut members: Vec<_> = members.iter().map(|(e, n)| Ok((able(e.as_ref())?, n))).collect::<Result<_>>()?;
        members.sort_by_key(|(engine, _)| !engine.waits_for_transactions());
        for (engine, node) in members {
            holds.push(engine.hold(node, at_most).await?);
        }
        self.open()?;
        if tokio::time::timeout(at_most, self.turn.notified()).await.is_err() {
            let sentence = format!("the members' points were not decided within {at_most:?}, for which writes are held at most");
            return Err(Error::unavailable("hold_too_short", sentence));
        }
        if let Phase::Bad(e) = self.state().phase.clone() {
            return Err(e);
        }
        for hold in holds {
            hold.confirm().await?;
        }
        Ok(())
    }

    fn open(&self) -> Result<()> {
        let mut state = self.state();
        if let Phase::Bad(e) = &state.phase {
            return Err(e.clone());
        }
        state.phase = Phase::Open;
        drop(state);
        self.changed.notify_all();
        Ok(())
    }
}

/// The capability, or a sentence.
pub(crate) fn able(engine: &dyn Engine) -> Result<&dyn mainstay_drivers::engine::Consistency> {
    let title = engine.info().title;
    engine.consistency().ok_or_else(|| Error::conflict("no_group", format!("{title} cannot be backed up at one point with others")))
}

/// One capture in a meeting.
pub(crate) struct Member {
    meeting: Arc<Meeting>,
    progress: Progress,
}

impl Member {
    /// Waits on a storage's thread until `is` says so; whatever ends the meeting badly ends this.
    fn wait(&self, is: impl Fn(&Phase) -> bool) -> Result<()> {
        let mut state = self.meeting.state();
        let (began, mut told) = (Instant::now(), Duration::ZERO);
        loop {
            if began.elapsed() >= told + TELL_EVERY {
                told = began.elapsed();
                self.tell(&state, told);
            }
            match &state.phase {
                Phase::Bad(e) => return Err(e.clone()),
                phase if is(phase) => return Ok(()),
                Phase::Gathering if self.is_late(&state) => {
                    drop(state);
                    self.meeting.fail(self.incomplete());
                    return Err(self.incomplete());
                }
                _ if self.progress.is_cancelled() => {
                    return Err(Error::conflict("cancelled", "it was cancelled before the group met"));
                }
                _ => {}
            }
            state = self.meeting.changed.wait_timeout(state, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A slower member may take hours over what the others have done: waiting for it is no standstill.
    fn tell(&self, state: &State, waited: Duration) {
        let sentence = format!("waits for {} of {} members, for {} min", state.came, self.meeting.party.members, waited.as_secs() / 60);
        self.progress.show(&Snapshot { sentence, ..self.progress.look() });
    }

    fn is_late(&self, state: &State) -> bool {
        let party = &self.meeting.party;
        state.members.len() < party.members && state.begun.elapsed() > Duration::from_millis(party.gather_ms)
    }

    fn incomplete(&self) -> Error {
        let Party { members, gather_ms, .. } = &self.meeting.party;
        let sentence = format!("not all {members} members of the group began their backup within {} s", gather_ms / 1000);
        Error::failed("group_incomplete", sentence)
    }
}

impl Gate for Member {
    fn pass(&self) -> Result<()> {
        let mut state = self.meeting.state();
        state.came += 1;
        let lead = state.came == self.meeting.party.members && matches!(state.phase, Phase::Gathering);
        if lead {
            state.phase = Phase::Holding;
        }
        drop(state);
        if lead {
            self.meeting.handle.spawn(self.meeting.clone().lead());
        }
        self.progress.say("waiting for the other members of the group");
        self.wait(|phase| matches!(phase, Phase::Open | Phase::Good))
    }

    fn passed(&self) {
        let mut state = self.meeting.state();
        state.passed += 1;
        if state.passed == self.meeting.party.members {
            self.meeting.turn.notify_one();
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let sentence = "another member of the group could not be captured, so that there is no common point; its own backup says why";
        self.meeting.fail(Error::unavailable("group_broken", sentence));
    }
}

/// A member's source: it ends well only after the meeting did.
pub(crate) struct Met {
    pub source: Box<dyn Source>,
    pub member: Arc<Member>,
}

impl Source for Met {
    fn next(&mut self) -> Option<Result<Entry>> {
        self.source.next()
    }

    fn finish(&mut self) -> Result<Facts> {
        let facts = self.source.finish()?;
        self.member.wait(|phase| matches!(phase, Phase::Good))?;
        Ok(facts)
    }

    fn expected_bytes(&self) -> Option<u64> {
        self.source.expected_bytes()
    }

    fn offer(&mut self, keeper: Arc<dyn Keeper>) {
        self.source.offer(keeper);
    }

    fn base(&self) -> Option<&str> {
        self.source.base()
    }
}
