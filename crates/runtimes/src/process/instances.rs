//! Starting, stopping and finding instances again.
//!
//! A start first records the intent with a fresh mark, then starts, then records the pid: at any
//! moment at which we may be killed, the record leads to the process. A stop first records that
//! the end is wanted, so that it is not taken for a crash.

use super::{
    Options,
    doing::{blocking, to_the_end},
    files,
    held::Held,
    owner::{self, Owner},
    procs,
    record::{self, Main, Phase, Record, Records},
    slot::Slot,
    spawn::{self, Launch},
    supervise,
};
use mainstay_drivers::runtime::{Instance, InstanceEvent, InstanceId, InstanceSpec, Signal, StopMode};
use mainstay_model::{Error, Result};
use rustix::process::{Pid, Signal as Sig, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::{
    collections::HashMap,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::broadcast;

pub(crate) struct Core {
    pub records: Records,
    pub options: Options,
    pub events: broadcast::Sender<InstanceEvent>,
    boot_id: String,
    slots: Mutex<HashMap<InstanceId, Arc<Slot>>>,
}

impl Core {
    pub fn new(records: Records, options: Options) -> Result<Self> {
        let (events, _) = broadcast::channel(256);
        Ok(Core { records, options, events, boot_id: procs::boot_id()?, slots: Mutex::default() })
    }

    pub async fn ensure(self: &Arc<Self>, id: &InstanceId, spec: &InstanceSpec) -> Result<Instance> {
        let slot = self.slot(id)?;
        let turn = slot.turn().await;
        let (core, spec) = (self.clone(), spec.clone());
        to_the_end(async move {
            let _turn = turn;
            core.load(&slot).await?;
            core.run(&slot, spec).await?;
            Ok(slot.view())
        })
        .await
    }

    pub async fn stop(self: &Arc<Self>, id: &InstanceId, mode: StopMode) -> Result<()> {
        let slot = self.slot(id)?;
        let turn = slot.turn().await;
        let core = self.clone();
        to_the_end(async move {
            let _turn = turn;
            core.load(&slot).await?;
            core.end(&slot, mode).await
        })
        .await
    }

    pub async fn remove(self: &Arc<Self>, id: &InstanceId) -> Result<()> {
        let slot = self.slot(id)?;
        let turn = slot.turn().await;
        let core = self.clone();
        to_the_end(async move {
            let _turn = turn;
            core.load(&slot).await?;
            core.end(&slot, StopMode::Graceful).await?;
            let (records, id) = (core.records.clone(), slot.id.clone());
            blocking(move || records.forget(&id)).await?;
            slot.forget();
            Ok(())
        })
        .await
    }

    pub async fn inspect(self: &Arc<Self>, id: &InstanceId) -> Result<Instance> {
        Ok(self.known(id).await?.view())
    }

    pub async fn list(self: &Arc<Self>) -> Result<Vec<Instance>> {
        let mut instances = Vec::new();
        let records = self.records.clone();
        for id in blocking(move || records.ids()).await? {
            match self.known(&id).await {
                Ok(slot) if slot.record().is_some() => instances.push(slot.view()),
                Ok(_) => {}
                // One damaged record must not hide all the others.
                Err(e) => tracing::error!(instance = %id, "{id} is left out: {e}"),
            }
        }
        instances.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(instances)
    }

    /// The slot of an instance, its record read and its process adopted.
    pub async fn known(self: &Arc<Self>, id: &InstanceId) -> Result<Arc<Slot>> {
        let slot = self.slot(id)?;
        if !slot.is_loaded() {
            let turn = slot.turn().await;
            let (core, slot) = (self.clone(), slot.clone());
            to_the_end(async move {
                let _turn = turn;
                core.load(&slot).await
            })
            .await?;
        }
        Ok(slot)
    }

    /// The log files to keep small, each once, and whose they are.
    pub fn logs(&self) -> HashMap<PathBuf, Option<Owner>> {
        let records = self.slots().into_iter().filter_map(|slot| slot.record());
        records.filter_map(|r| Some((r.spec.log_file, owner::resolve(r.spec.user.as_deref()).ok()?))).collect()
    }

    fn slot(&self, id: &InstanceId) -> Result<Arc<Slot>> {
        record::check(id)?;
        let mut slots = self.slots.lock().unwrap_or_else(|e| e.into_inner());
        Ok(slots.entry(id.clone()).or_insert_with(|| Arc::new(Slot::new(id.clone()))).clone())
    }

    fn slots(&self) -> Vec<Arc<Slot>> {
        self.slots.lock().unwrap_or_else(|e| e.into_inner()).values().cloned().collect()
    }

    /// Reads the record once in our life and finds out what became of its process meanwhile.
    async fn load(self: &Arc<Self>, slot: &Arc<Slot>) -> Result<()> {
        if slot.is_loaded() {
            return Ok(());
        }
        let (records, id, boot_id) = (self.records.clone(), slot.id.clone(), self.boot_id.clone());
        let found = blocking(move || Ok(records.load(&id)?.map(|record| find(record, &boot_id)))).await?;
        let Some(mut record) = found else {
            slot.loaded(None);
            return Ok(());
        };
        let held = record.main.as_ref().map(Held::new).transpose()?.flatten();
        let (held, gone) = match held {
            Some(held) if held.is_over() => (None, Some(held.reap().to_string())),
            Some(held) => (Some(held), None),
            None if record.boot_id != self.boot_id => (None, Some("ended when the machine was restarted".into())),
            None => (None, Some("ended while Mainstay was not running".into())),
        };
        record.phase = record::awakened(record.phase, gone.as_deref());
        let adopted = held.is_some() && matches!(record.phase, Phase::Running | Phase::Stopping);
        self.save_if_possible(&record).await;
        slot.loaded(Some(record));
        if let Some(held) = held.filter(|_| adopted) {
            self.take_charge(slot, held);
        }
        Ok(())
    }

    /// Makes a loaded instance run.
    async fn run(self: &Arc<Self>, slot: &Arc<Slot>, spec: InstanceSpec) -> Result<()> {
        if let Some(held) = slot.held().filter(|held| held.is_over()) {
            self.note_end(slot, &held).await;
        }
        let Some(mut record) = slot.record() else { return self.start(slot, spec, 0).await };
        match record.phase {
            Phase::Running if record.spec == spec => Ok(()),
            Phase::Running => {
                // A newer Mainstay may want it a little different. That is no reason to cut off
                // everybody's sessions: whoever wants the change at once stops it first.
                tracing::info!(instance = %slot.id, "{} runs as it was started; what changed takes effect at its next start", slot.id);
                record.spec = spec;
                self.save(slot, record).await
            }
            Phase::Restarting { .. } => self.start(slot, spec, record.restarted).await,
            Phase::Stopping => {
                self.end(slot, StopMode::Graceful).await?;
                self.start(slot, spec, 0).await
            }
            Phase::Starting | Phase::Crashed { .. } | Phase::Stopped => self.start(slot, spec, 0).await,
        }
    }

    pub async fn start(self: &Arc<Self>, slot: &Arc<Slot>, spec: InstanceSpec, restarted: u32) -> Result<()> {
        if let Some(old) = slot.record() {
            self.end_family(&old).await?; // two incarnations never touch the same data
        }
        let mut record = Record::intent(&slot.id, spec, &self.boot_id, restarted);
        self.save(slot, record.clone()).await?;
        match self.launch(&mut record).await {
            Ok(held) => {
                slot.know(record);
                self.take_charge(slot, held);
                Ok(())
            }
            Err(e) => {
                record.phase = Phase::Stopped;
                self.save_if_possible(&record).await;
                slot.know(record);
                Err(e.context(format!("{} was not started", slot.id)))
            }
        }
    }

    /// Starts the process of an intent and completes the record. A process whose record cannot be
    /// completed is ended again.
    async fn launch(&self, record: &mut Record) -> Result<Held> {
        let (records, mut started) = (self.records.clone(), record.clone());
        let launched = blocking(move || {
            let main = spawn_main(&started)?;
            started.main = Some(main.clone());
            started.phase = Phase::Running;
            records.save(&started).inspect_err(|_| put_down(&main))?;
            Ok(started)
        });
        *record = launched.await?;
        let main = record.main.as_ref().ok_or_else(|| Error::internal("a started instance has no process"))?;
        match Held::new(main) {
            Ok(Some(held)) => Ok(held),
            Ok(None) => Err(Error::internal("a child that was not waited for is gone")),
            Err(e) => {
                put_down(main);
                Err(e)
            }
        }
    }

    fn take_charge(self: &Arc<Self>, slot: &Arc<Slot>, held: Held) {
        let held = Arc::new(held);
        slot.hold(held.clone());
        let watcher = tokio::spawn(supervise::watch(Arc::downgrade(self), slot.clone(), held));
        slot.watched_by(watcher.abort_handle());
    }

    /// Makes a loaded instance not run.
    async fn end(&self, slot: &Slot, mode: StopMode) -> Result<()> {
        let Some(mut record) = slot.record() else { return Ok(()) };
        if let Some(held) = slot.held() {
            record.phase = Phase::Stopping;
            self.save_if_possible(&record).await; // a full disk must not keep anything running
            slot.know(record.clone());
            if mode == StopMode::Graceful {
                ask_to_end(&held, &record.spec).await?;
            }
            held.signal(Sig::KILL)?;
        }
        self.end_family(&record).await?;
        if let Some(held) = slot.held() {
            held.over().await;
            held.reap();
            slot.let_go();
        }
        record.phase = Phase::Stopped;
        record.restarted = 0;
        slot.know(record.clone());
        self.save_if_possible(&record).await;
        Ok(())
    }

    pub async fn end_family(&self, record: &Record) -> Result<()> {
        if record.boot_id != self.boot_id {
            return Ok(());
        }
        record.family().end(self.options.kill_within).await.map_err(|e| e.context(&record.id))
    }

    pub async fn save(&self, slot: &Slot, record: Record) -> Result<()> {
        let (records, copy) = (self.records.clone(), record.clone());
        blocking(move || records.save(&copy)).await?;
        slot.know(record);
        Ok(())
    }

    /// For what has happened already: the world is as it is, written down or not, and a record left
    /// behind is settled by looking at the process.
    pub async fn save_if_possible(&self, record: &Record) {
        let (records, copy) = (self.records.clone(), record.clone());
        if let Err(e) = blocking(move || records.save(&copy)).await {
            tracing::warn!(instance = %record.id, "the state of {} could not be recorded: {e}", record.id);
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.slots().iter().for_each(|slot| slot.unwatch());
    }
}

/// Looks for the process of an intent whose pid was never recorded, and forgets pids of before the
/// machine's restart.
fn find(mut record: Record, boot_id: &str) -> Record {
    if record.boot_id != boot_id {
        record.main = None;
    } else if record.phase == Phase::Starting {
        let family = record.family();
        let mut members = family.members();
        if members.is_empty() {
            // A child of a killed parent may still be between its fork and carrying the mark.
            std::thread::sleep(Duration::from_millis(100));
            members = family.members();
        }
        record.main = topmost(members);
    }
    record
}

/// Of the processes with one mark the one that none of the others started.
fn topmost(members: Vec<Main>) -> Option<Main> {
    let is_member = |pid: i32| members.iter().any(|m| m.pid == pid);
    let started_by_member = |m: &Main| procs::look(m.pid).is_some_and(|stat| is_member(stat.ppid));
    members.iter().find(|m| !started_by_member(m)).cloned()
}

fn spawn_main(record: &Record) -> Result<Main> {
    let spec = &record.spec;
    let owner = owner::resolve(spec.user.as_deref())?;
    let log = files::append(&spec.log_file, owner.as_ref())?;
    let mark = record.mark();
    let child = spawn::spawn(Launch {
        program: &spec.program,
        args: &spec.args,
        env: &spec.env,
        working_dir: &spec.working_dir,
        owner: owner.as_ref(),
        mark: &mark,
        stdin: mark.stdin()?.into(),
        stdout: log.try_clone()?.into(),
        stderr: Stdio::from(log),
        offline: spec.offline,
    })?;
    if spec.background {
        procs::put_behind(child.id().cast_signed());
    }
    let stat = procs::look(child.id().cast_signed());
    stat.as_ref().map(Main::of).ok_or_else(|| Error::internal("a child that was not waited for has no stat"))
}

/// Ends a child that was never put in anybody's charge. It was not waited for, so the pid is its.
fn put_down(main: &Main) {
    let Some(pid) = Pid::from_raw(main.pid) else { return };
    let _ = kill_process_group(pid, Sig::KILL); // it may have ended by itself
    let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
}

/// The polite half of a stop: the signal goes to the main process alone, which knows the order in
/// which its children end.
async fn ask_to_end(held: &Held, spec: &InstanceSpec) -> Result<()> {
    held.signal(match spec.stop_signal {
        Signal::Term => Sig::TERM,
        Signal::Int => Sig::INT,
        Signal::Quit => Sig::QUIT,
        Signal::Kill => Sig::KILL,
    })?;
    if tokio::time::timeout(spec.grace, held.over()).await.is_err() {
        tracing::warn!(pid = held.main.pid, "process {} did not stop within {:?} and is killed", held.main.pid, spec.grace);
    }
    Ok(())
}
