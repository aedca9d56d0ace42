//! What an operation is: a kind, a table of steps, and one function for each way of running them.

use async_trait::async_trait;
use mainstay_model::{Error, OperationId, Result};
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, sync::Arc};

/// The transaction a `db` step runs in: the journal's own, so that what the step writes and the
/// note that it ran are committed together.
pub type Tx = sqlx::AnyConnection;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// Runs in the journal's own transaction: exactly once.
    Db,
    /// Touches the world: at least once, idempotent, never inside a transaction.
    Effect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undo {
    /// [`Operation::undo`] (or [`Operation::undo_db`] for a `db` step) is called with the step's name.
    With,
    /// Nothing is to be undone, and why.
    Nothing(&'static str),
}

/// One row of an operation's table. Shown to people before it runs, so the name is theirs to read:
/// `stop_writes`, `wait_for_position`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub name: &'static str,
    pub kind: StepKind,
    pub undo: Undo,
    /// From the moment this step starts the operation only goes forward.
    pub point_of_no_return: bool,
    /// What the step does, for `--dry-run`.
    pub title: &'static str,
}

impl Step {
    pub const fn db(name: &'static str, title: &'static str, undo: Undo) -> Self {
        Step { name, kind: StepKind::Db, undo, point_of_no_return: false, title }
    }
    pub const fn effect(name: &'static str, title: &'static str, undo: Undo) -> Self {
        Step { name, kind: StepKind::Effect, undo, point_of_no_return: false, title }
    }
    pub const fn no_return(mut self) -> Self {
        self.point_of_no_return = true;
        self
    }
}

/// A durable operation over the services `W` (its world).
///
/// The methods are called with the step's own `name`; a name that is not in `STEPS` cannot come in,
/// and a `match` ends with [`unknown_step`].
#[async_trait]
pub trait Operation: Send + Sync + 'static {
    type World: Send + Sync + 'static;
    /// What was asked for and what the steps found out: the only thing carried between steps.
    /// It is stored after each step.
    type State: Serialize + DeserializeOwned + Send + Sync + 'static;

    const KIND: &'static str;
    /// Bumped when steps change their meaning; a journal entry of another version is stuck, never
    /// guessed at.
    const VERSION: i64;
    const STEPS: &'static [Step];

    async fn effect(&self, step: &str, cx: &Cx<Self::World>, state: &mut Self::State) -> Result<()>;

    async fn db(&self, step: &str, cx: &Cx<Self::World>, tx: &mut Tx, state: &mut Self::State) -> Result<()>;

    async fn undo(&self, step: &str, cx: &Cx<Self::World>, state: &mut Self::State) -> Result<()> {
        let _ = (cx, state);
        Err(unknown_step(Self::KIND, step))
    }

    async fn undo_db(&self, step: &str, cx: &Cx<Self::World>, tx: &mut Tx, state: &mut Self::State) -> Result<()> {
        let _ = (cx, tx, state);
        Err(unknown_step(Self::KIND, step))
    }

    /// Runs in the transaction that ends the operation, whatever the end: `succeeded`, `failed`
    /// (after everything was undone), `cancelled`, `stuck` or `abandoned`. The place for "the
    /// backup's row says failed and why".
    async fn finished(&self, end: End<'_>, cx: &Cx<Self::World>, tx: &mut Tx, state: &mut Self::State) -> Result<()> {
        let _ = (end, cx, tx, state);
        Ok(())
    }

    /// What a waiting caller gets: the id of the finished object, say.
    fn output(&self, state: &Self::State) -> serde_json::Value {
        let _ = state;
        serde_json::Value::Null
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum End<'a> {
    Succeeded,
    /// Failed and fully undone.
    Failed(&'a Error),
    Cancelled,
    /// Failed past the point of no return, or an undo failed: a person must choose.
    Stuck(&'a Error),
    /// A person gave it up while it was stuck.
    Abandoned,
}

/// An operation as it ends or gets stuck, for whoever is told of all of them.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    pub id: &'a OperationId,
    pub kind: &'a str,
    /// Of its subject, where it has one.
    pub project: Option<&'a str>,
    pub cluster: Option<&'a str>,
    pub key: Option<&'a str>,
    /// The operation it was a part of.
    pub parent: Option<&'a OperationId>,
    pub requested_by: &'a str,
    pub state: &'a serde_json::Value,
    pub end: End<'a>,
}

/// Told of every end there is, beside the operation itself.
#[async_trait]
pub trait Listener<W>: Send + Sync + 'static {
    /// Runs after [`Operation::finished`] in the same transaction, so that what is noted here and the
    /// end itself are committed together. An error is the end's error: only what must not be lost
    /// belongs here.
    async fn ended(&self, ended: &Ended<'_>, world: &W, tx: &mut Tx) -> Result<()>;
}

pub fn unknown_step(kind: &str, step: &str) -> Error {
    Error::internal(format!("operation {kind} has no step {step}"))
}

/// What a step is given besides its state.
pub struct Cx<W> {
    pub world: Arc<W>,
    pub operation: OperationId,
    /// Grows with every adoption of any operation, across restarts and even an older store: the
    /// fencing number that goes with every effect.
    pub generation: i64,
    pub requested_by: String,
    pub(crate) handle: Arc<dyn Handle>,
}

impl<W> Clone for Cx<W> {
    fn clone(&self) -> Self {
        Cx {
            world: self.world.clone(),
            operation: self.operation.clone(),
            generation: self.generation,
            requested_by: self.requested_by.clone(),
            handle: self.handle.clone(),
        }
    }
}

impl<W> Cx<W> {
    /// Says how far the running step is (0 to 1, where known) in one sentence. Also the heartbeat:
    /// a step that says something is not stalled. Cheap to call often.
    pub fn progress(&self, part: Option<f64>, sentence: &str) {
        self.handle.progress(part, sentence);
    }
    /// Becomes true when somebody asked to cancel and the operation may still be undone.
    pub fn is_cancelled(&self) -> bool {
        self.handle.is_cancelled()
    }
    /// Resolves when [`Cx::is_cancelled`] becomes true.
    pub async fn cancelled(&self) {
        self.handle.cancelled().await
    }
    /// While what is returned lives, the operation only waits for its turn, and takes nobody's place among
    /// those that are worked on at once.
    pub fn aside(&self) -> Aside {
        self.handle.set_aside(true);
        Aside(self.handle.clone())
    }
    /// Runs another operation to its end under this one's lock and returns its output. `key` makes
    /// it one child however often the step is run: a child that is already there is waited for.
    /// A child that failed is this step's error.
    pub async fn child(&self, key: &str, kind: &str, state: serde_json::Value) -> Result<serde_json::Value> {
        self.handle.child(key, kind, state).await
    }
}

/// See [`Cx::aside`].
pub struct Aside(Arc<dyn Handle>);

impl Drop for Aside {
    fn drop(&mut self) {
        self.0.set_aside(false);
    }
}

/// The runner's side of a [`Cx`].
#[async_trait]
pub(crate) trait Handle: Send + Sync {
    fn progress(&self, part: Option<f64>, sentence: &str);
    fn is_cancelled(&self) -> bool;
    fn set_aside(&self, aside: bool);
    async fn cancelled(&self);
    async fn child(&self, key: &str, kind: &str, state: serde_json::Value) -> Result<serde_json::Value>;
}

/// Every operation there is, by kind. Tests enumerate it, so that no operation escapes its loops.
pub struct Registry<W> {
    entries: BTreeMap<&'static str, Arc<dyn Erased<W>>>,
    listener: Option<Arc<dyn Listener<W>>>,
}

impl<W: Send + Sync + 'static> Default for Registry<W> {
    fn default() -> Self {
        Registry { entries: BTreeMap::new(), listener: None }
    }
}

impl<W: Send + Sync + 'static> Registry<W> {
    pub fn with<O: Operation<World = W>>(mut self, operation: O) -> Self {
        self.entries.insert(O::KIND, Arc::new(Typed(operation)));
        self
    }
    /// In place of the one there.
    pub fn heard_by(mut self, listener: impl Listener<W>) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.entries.keys().copied()
    }
    pub fn steps(&self, kind: &str) -> Option<&'static [Step]> {
        self.entries.get(kind).map(|o| o.steps())
    }
    pub(crate) fn get(&self, kind: &str) -> Option<Arc<dyn Erased<W>>> {
        self.entries.get(kind).cloned()
    }
    pub(crate) fn listener(&self) -> Option<Arc<dyn Listener<W>>> {
        self.listener.clone()
    }
}

/// An operation with its state as JSON, so that a registry can hold all of them.
#[async_trait]
pub(crate) trait Erased<W>: Send + Sync {
    fn version(&self) -> i64;
    fn steps(&self) -> &'static [Step];
    async fn effect(&self, step: &str, undo: bool, cx: &Cx<W>, state: &mut serde_json::Value) -> Result<()>;
    async fn db(&self, step: &str, undo: bool, cx: &Cx<W>, tx: &mut Tx, state: &mut serde_json::Value) -> Result<()>;
    async fn finished(&self, end: End<'_>, cx: &Cx<W>, tx: &mut Tx, state: &mut serde_json::Value) -> Result<()>;
    fn output(&self, state: &serde_json::Value) -> Result<serde_json::Value>;
}

struct Typed<O>(O);

fn read<S: DeserializeOwned>(state: &serde_json::Value) -> Result<S> {
    serde_json::from_value(state.clone()).map_err(|e| Error::internal(format!("operation state does not read: {e}")))
}

fn write<S: Serialize>(state: &S) -> Result<serde_json::Value> {
    serde_json::to_value(state).map_err(|e| Error::internal(format!("operation state does not write: {e}")))
}

#[async_trait]
impl<O: Operation> Erased<O::World> for Typed<O> {
    fn version(&self) -> i64 {
        O::VERSION
    }
    fn steps(&self) -> &'static [Step] {
        O::STEPS
    }
    async fn effect(&self, step: &str, undo: bool, cx: &Cx<O::World>, state: &mut serde_json::Value) -> Result<()> {
        let mut typed = read::<O::State>(state)?;
        let result = if undo { self.0.undo(step, cx, &mut typed).await } else { self.0.effect(step, cx, &mut typed).await };
        *state = write(&typed)?;
        result
    }
    async fn db(&self, step: &str, undo: bool, cx: &Cx<O::World>, tx: &mut Tx, state: &mut serde_json::Value) -> Result<()> {
        let mut typed = read::<O::State>(state)?;
        let result = if undo { self.0.undo_db(step, cx, tx, &mut typed).await } else { self.0.db(step, cx, tx, &mut typed).await };
        *state = write(&typed)?;
        result
    }
    async fn finished(&self, end: End<'_>, cx: &Cx<O::World>, tx: &mut Tx, state: &mut serde_json::Value) -> Result<()> {
        let mut typed = read::<O::State>(state)?;
        self.0.finished(end, cx, tx, &mut typed).await?;
        *state = write(&typed)?;
        Ok(())
    }
    fn output(&self, state: &serde_json::Value) -> Result<serde_json::Value> {
        Ok(self.0.output(&read::<O::State>(state)?))
    }
}
