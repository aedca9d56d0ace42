//! Toy operations over a toy world, which can be told what goes wrong.

use async_trait::async_trait;
use mainstay_model::{Error, Result};
use mainstay_operations::{Cx, End, Operation, Registry, Step, Tx, Undo, unknown_step};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
};

/// What a step does besides its work.
#[derive(Clone)]
pub enum Act {
    Fail(Error),
    /// Fails so often, then works.
    FailTimes(usize, Error),
    Panic,
    Hang,
    /// Says something every few milliseconds, so often.
    Talk(usize),
    UntilCancelled,
}

#[derive(Default)]
pub struct World {
    /// Things made outside, and how often.
    pub things: Mutex<BTreeMap<String, i64>>,
    log: Mutex<Vec<String>>,
    acts: Mutex<HashMap<String, Act>>,
    pub generations: Mutex<Vec<i64>>,
}

impl World {
    /// `step` or `undo step`.
    pub fn when(&self, step: &str, act: Act) {
        self.acts.lock().unwrap().insert(step.into(), act);
    }
    pub fn calm(&self) {
        self.acts.lock().unwrap().clear();
    }
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
    pub fn saw(&self, what: &str) -> bool {
        self.log().iter().any(|l| l == what)
    }
    pub fn times(&self, what: &str) -> usize {
        self.log().iter().filter(|l| *l == what).count()
    }
    pub fn things(&self) -> Vec<String> {
        self.things.lock().unwrap().iter().map(|(k, n)| format!("{k}×{n}")).collect()
    }
    fn note(&self, what: String) -> usize {
        let mut log = self.log.lock().unwrap();
        log.push(what.clone());
        log.iter().filter(|l| **l == what).count()
    }

    async fn act(&self, step: &str, undo: bool, cx: &Cx<World>) -> Result<()> {
        let name = format!("{}{step}", if undo { "undo " } else { "" });
        let times = self.note(name.clone());
        self.generations.lock().unwrap().push(cx.generation);
        let act = self.acts.lock().unwrap().get(&name).cloned();
        match act {
            None => Ok(()),
            Some(Act::Fail(e)) => Err(e),
            Some(Act::FailTimes(n, e)) => (times > n).then_some(()).ok_or(e),
            Some(Act::Panic) => panic!("toy {name}"),
            Some(Act::Hang) => std::future::pending().await,
            Some(Act::UntilCancelled) => {
                cx.cancelled().await;
                Err(Error::conflict("cancelled", "was cancelled"))
            }
            Some(Act::Talk(n)) => {
                for i in 0..n {
                    cx.progress(Some(i as f64 / n as f64), &format!("part {i}"));
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
                Ok(())
            }
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    name: String,
    #[serde(default)]
    tuned: bool,
}

pub fn state(name: &str) -> serde_json::Value {
    serde_json::json!({ "name": name })
}

/// What is wrong with a toy; the loops must find out.
pub const SOUND: u8 = 0;
pub const FORGETFUL_UNDO: u8 = 1;
pub const COUNTING_EFFECT: u8 = 2;
pub const FRAGILE_UNDO: u8 = 3;

/// Chooses a name, makes a thing, tunes it, switches over to it, records it. With `RETURN` there
/// is no point of no return.
pub struct Build<const RETURN: bool, const FAULT: u8>;

const KINDS: [[&str; 4]; 2] =
    [["build", "build_forgetful", "build_counting", "build_fragile"], ["draft", "draft_forgetful", "draft_counting", "draft_fragile"]];

#[async_trait]
impl<const RETURN: bool, const FAULT: u8> Operation for Build<RETURN, FAULT> {
    type World = World;
    type State = State;
    const KIND: &'static str = KINDS[RETURN as usize][FAULT as usize];
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::db("choose", "Chooses a name", Undo::With),
        Step::effect("make", "Makes the thing", Undo::With),
        Step::effect("tune", "Tunes the thing", Undo::With),
        if RETURN {
            Step::effect("switch", "Switches to the thing", Undo::With)
        } else {
            Step::effect("switch", "Switches to the thing", Undo::Nothing("no way back")).no_return()
        },
        Step::db("record", "Records the thing", Undo::With),
    ];

    async fn effect(&self, step: &str, cx: &Cx<World>, state: &mut State) -> Result<()> {
        let acted = cx.world.act(step, false, cx).await;
        let mut things = cx.world.things.lock().unwrap();
        match step {
            "make" if FAULT == COUNTING_EFFECT => *things.entry(state.name.clone()).or_default() += 1,
            "make" => drop(things.insert(state.name.clone(), 1)),
            "tune" => {
                state.tuned = true;
                things.insert(format!("{} tuned", state.name), 1);
            }
            "switch" => drop(things.insert("current".into(), 1)),
            _ => return Err(unknown_step(Self::KIND, step)),
        }
        acted
    }

    async fn db(&self, step: &str, cx: &Cx<World>, tx: &mut Tx, state: &mut State) -> Result<()> {
        let acted = cx.world.act(step, false, cx).await;
        match step {
            "choose" => toy(tx, &state.name, "chosen").await?,
            "record" => toy(tx, &state.name, "recorded").await?,
            _ => return Err(unknown_step(Self::KIND, step)),
        }
        acted
    }

    async fn undo(&self, step: &str, cx: &Cx<World>, state: &mut State) -> Result<()> {
        cx.world.act(step, true, cx).await?;
        let mut things = cx.world.things.lock().unwrap();
        let name = match step {
            "make" => state.name.clone(),
            "tune" => format!("{} tuned", state.name),
            _ => "current".into(),
        };
        let gone = if step == "make" && FAULT == FORGETFUL_UNDO { Some(1) } else { things.remove(&name) };
        if step == "tune" && FAULT == FRAGILE_UNDO && gone.is_none() {
            return Err(Error::failed("gone", "nothing to remove"));
        }
        Ok(())
    }

    async fn undo_db(&self, step: &str, cx: &Cx<World>, tx: &mut Tx, state: &mut State) -> Result<()> {
        cx.world.act(step, true, cx).await?;
        let note = if step == "choose" { "chosen" } else { "recorded" };
        let query = sqlx::query("DELETE FROM toys WHERE name = $1 AND note = $2").bind(&state.name).bind(note);
        query.execute(tx).await.map_err(busy)?;
        Ok(())
    }

    async fn finished(&self, end: End<'_>, cx: &Cx<World>, _: &mut Tx, _: &mut State) -> Result<()> {
        cx.world.act("finished", false, cx).await?;
        let word = match end {
            End::Succeeded => "succeeded",
            End::Failed(_) => "failed",
            End::Cancelled => "cancelled",
            End::Stuck(_) => "stuck",
            End::Abandoned => "abandoned",
        };
        cx.world.note(format!("finished {word}"));
        Ok(())
    }

    fn output(&self, state: &State) -> serde_json::Value {
        serde_json::json!({ "thing": state.name })
    }
}

async fn toy(tx: &mut Tx, name: &str, note: &str) -> Result<()> {
    sqlx::query("INSERT INTO toys (name, note) VALUES ($1, $2)").bind(name).bind(note).execute(tx).await.map_err(busy)?;
    Ok(())
}

/// On PostgreSQL another write may come first.
fn busy(e: sqlx::Error) -> Error {
    Error::unavailable("store_busy", e.to_string())
}

/// Its `db` step writes what only the commit refuses.
pub struct Late;

#[async_trait]
impl Operation for Late {
    type World = World;
    type State = State;
    const KIND: &'static str = "late";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[Step::db("late", "Writes what the commit refuses", Undo::Nothing("never there"))];

    async fn effect(&self, step: &str, _: &Cx<World>, _: &mut State) -> Result<()> {
        Err(unknown_step(Self::KIND, step))
    }
    async fn db(&self, _: &str, _: &Cx<World>, tx: &mut Tx, _: &mut State) -> Result<()> {
        sqlx::query("INSERT INTO late (note) VALUES ('nowhere')").execute(tx).await.map_err(busy)?;
        Ok(())
    }
}

/// Runs two children at the same time, then a step of its own.
pub struct Family;

#[async_trait]
impl Operation for Family {
    type World = World;
    type State = State;
    const KIND: &'static str = "family";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] =
        &[Step::effect("children", "Builds two things", Undo::With), Step::effect("after", "Looks at them", Undo::Nothing("only looks"))];

    async fn effect(&self, step: &str, cx: &Cx<World>, _: &mut State) -> Result<()> {
        let acted = cx.world.act(step, false, cx).await;
        if step == "children" {
            let (one, two) = futures::join!(cx.child("one", "draft", state("one")), cx.child("two", "draft", state("two")));
            cx.world.note(format!("got {}", one?["thing"]));
            cx.world.note(format!("got {}", two?["thing"]));
        }
        acted
    }
    async fn db(&self, step: &str, _: &Cx<World>, _: &mut Tx, _: &mut State) -> Result<()> {
        Err(unknown_step(Self::KIND, step))
    }
    async fn undo(&self, step: &str, cx: &Cx<World>, _: &mut State) -> Result<()> {
        cx.world.act(step, true, cx).await?;
        cx.child("undo", "raze", state("")).await?;
        Ok(())
    }
}

/// Takes down what a family's children built.
pub struct Raze;

#[async_trait]
impl Operation for Raze {
    type World = World;
    type State = State;
    const KIND: &'static str = "raze";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::effect("raze", "Takes everything down", Undo::Nothing("gone is gone")).no_return(),
        Step::db("forget", "Forgets everything", Undo::Nothing("gone is gone")),
    ];

    async fn effect(&self, step: &str, cx: &Cx<World>, _: &mut State) -> Result<()> {
        cx.world.act(step, false, cx).await?;
        cx.world.things.lock().unwrap().clear();
        Ok(())
    }
    async fn db(&self, step: &str, cx: &Cx<World>, tx: &mut Tx, _: &mut State) -> Result<()> {
        cx.world.act(step, false, cx).await?;
        sqlx::query("DELETE FROM toys").execute(tx).await.map_err(busy)?;
        Ok(())
    }
}

pub fn registry() -> Registry<World> {
    Registry::default()
        .with(Build::<false, SOUND>)
        .with(Build::<true, SOUND>)
        .with(Build::<true, FORGETFUL_UNDO>)
        .with(Build::<false, COUNTING_EFFECT>)
        .with(Build::<true, FRAGILE_UNDO>)
        .with(Late)
        .with(Family)
        .with(Raze)
}
