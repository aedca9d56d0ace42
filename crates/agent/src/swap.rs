//! Exchanging a node's data for what was restored beside it, and back: two renames, each durable,
//! either of which may be the last thing a crash let happen.
//!
//! What has been done is read from the names themselves. With `data` D, the restored `label` L and
//! the old data's `aside` A (`-` absent), a swap goes `D L -` → `- L A` → `D - A`, and back
//! `D - A` → `- L A` → `D L -`. The middle is the same state: whichever verb comes finishes its own
//! way from there. So at no moment is the old data or the new one lost, and one of them is always
//! a rename away from running.

use crate::{
    Agent,
    disk::blocking,
    dispatch::Act,
    nodes::{Entry, beside_key},
    owner::Owner,
    registry::Record,
    volumes::{DATA, Label, Root, Stands},
};
use mainstay_drivers::engine::NodePlan;
use mainstay_model::{Error, NodeId, Result};
use mainstay_rpc::verbs::{Done, DropBeside, SwapBack, SwapData};

/// The next thing to do on the way to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Done,
    /// `data` was lost altogether: an empty one stands in, so that the way is the same.
    StandIn,
    /// An empty `data` is in the way of the last rename.
    Clear,
    /// `data` goes to its new name.
    Away,
    /// The other directory becomes `data`.
    In,
    /// What should come in is not there.
    Missing,
    /// The name `data` should go to is taken.
    Taken,
}

/// `data`, the directory that comes in, the name `data` goes to.
fn step(data: Stands, comes: Stands, goes: Stands) -> Step {
    use Stands::{Empty, Filled, Nothing};
    match (data, comes, goes) {
        (Nothing, Nothing, _) | (_, Nothing, Nothing) => Step::Missing,
        (_, Nothing, _) => Step::Done,
        (Nothing, _, Nothing) => Step::StandIn,
        (_, _, Nothing) => Step::Away,
        (Nothing, _, _) => Step::In,
        (Empty, _, Filled | Empty) => Step::Clear,
        (Filled, _, _) => Step::Taken,
    }
}

/// Walks to the end from wherever it stands: `data` becomes `goes`, `comes` becomes `data`.
fn exchange(root: &Root, comes: &str, goes: &str, owner: Option<&Owner>) -> Result<()> {
    loop {
        match step(root.stands(DATA)?, root.stands(comes)?, root.stands(goes)?) {
            Step::Done => return Ok(()),
            Step::StandIn => root.ensure_dir(DATA, owner)?,
            Step::Clear => root.remove_empty(DATA)?,
            Step::Away => root.rename(DATA, goes)?,
            Step::In => root.rename(comes, DATA)?,
            Step::Missing => {
                let sentence = format!("there is no directory \"{comes}\" in {} to take the place of the data", root.path().display());
                return Err(Error::new(mainstay_model::Kind::NotFound, "no_such_directory", sentence));
            }
            Step::Taken => {
                let sentence = format!("\"{goes}\" in {} exists already, and the data cannot be put there", root.path().display());
                return Err(Error::conflict("directory_exists", sentence));
            }
        }
    }
}

impl Agent {
    pub(crate) async fn swap_data(&self, verb: SwapData, act: &Act) -> Result<Done> {
        let (label, aside) = labels(&verb.label, &verb.aside)?;
        let _held = self.enter(&verb.plan, act, Entry::Known).await?;
        let _beside = self.locks.hold(beside_key(&verb.plan.id), &act.progress).await?;
        let root = self.stopped_root(&verb.plan).await?;
        let id = &verb.plan.id;
        let Some(label) = label else {
            self.note_aside(id, &aside).await?;
            self.put_aside(root, &verb.plan, &aside).await?;
            return Ok(Done {});
        };
        let marker = self.markers.get(id, &label)?;
        if marker.as_ref().is_some_and(|m| !m.is_ready()) {
            let sentence = format!("the restore into \"{}\" was not finished; do it again first", label.as_str());
            return Err(Error::conflict("restore_unfinished", sentence));
        }
        self.note_aside(id, &aside).await?;
        self.exchanged(root, &verb.plan, &label, &aside).await?;
        let came = |r: &mut Record| {
            r.initialised = r.asides.remove(label.as_str()).unwrap_or(true) || marker.is_some();
            r.fenced = r.fenced_asides.remove(label.as_str());
        };
        self.registry.change(id, came).await?;
        self.markers.remove(id, &label).await?;
        Ok(Done {})
    }

    /// Remembers, before anything moves, whether what goes aside is a complete database.
    async fn note_aside(&self, id: &NodeId, aside: &Label) -> Result<()> {
        self.registry.change(id, |r| r.note_aside(aside.as_str())).await
    }

    pub(crate) async fn swap_back(&self, verb: SwapBack, act: &Act) -> Result<Done> {
        let (label, aside) = labels(&verb.label, &verb.aside)?;
        let _held = self.enter(&verb.plan, act, Entry::Known).await?;
        let _beside = self.locks.hold(beside_key(&verb.plan.id), &act.progress).await?;
        let root = self.stopped_root(&verb.plan).await?;
        let id = verb.plan.id.clone();
        match &label {
            Some(label) => {
                if root.stands(aside.as_str())? != Stands::Nothing {
                    self.note_aside(&id, label).await?;
                }
                self.exchanged(root, &verb.plan, &aside, label).await?;
            }
            None => self.take_back(root, &aside).await?,
        }
        self.registry
            .change(&id, |r| {
                if let Some(complete) = r.asides.remove(aside.as_str()) {
                    r.initialised = complete;
                    r.fenced = r.fenced_asides.remove(aside.as_str());
                }
            })
            .await?;
        Ok(Done {})
    }

    pub(crate) async fn drop_beside(&self, verb: DropBeside, act: &Act) -> Result<Done> {
        let label = Label::parse(&verb.label)?;
        self.cancel(&verb.node, &beside_key(&verb.node), act)?;
        // The node itself is held only for its record: removing a large directory takes a while.
        let held = self.enter_by_id(&verb.node, act).await?;
        let Some(mut record) = self.registry.find(&verb.node)? else { return Ok(Done {}) };
        let plan = record.plan.clone();
        record.asides.remove(label.as_str());
        record.fenced_asides.remove(label.as_str());
        self.registry.put(record).await?;
        drop(held);
        let _beside = self.locks.hold(beside_key(&verb.node), &act.progress).await?;
        self.clear_beside(&plan, &label).await?;
        Ok(Done {})
    }

    /// The node's own root, of which nothing is in use.
    async fn stopped_root(&self, plan: &NodePlan) -> Result<Root> {
        if self.runs(&plan.id).await? {
            let sentence = format!("{} runs; its data is exchanged only while it is stopped", plan.name);
            return Err(Error::conflict("node_running", sentence));
        }
        self.volumes.own_root(plan)
    }

    async fn exchanged(&self, root: Root, plan: &NodePlan, comes: &Label, goes: &Label) -> Result<()> {
        let owner = self.owner_of(plan).await?;
        let (comes, goes) = (comes.clone(), goes.clone());
        blocking(move || exchange(&root, comes.as_str(), goes.as_str(), owner.as_ref())).await
    }

    /// `data` is put aside and nothing takes its place.
    async fn put_aside(&self, root: Root, plan: &NodePlan, aside: &Label) -> Result<()> {
        let (goes, owner) = (aside.clone(), self.owner_of(plan).await?);
        let emptied = blocking(move || match (root.stands(DATA)?, root.stands(goes.as_str())?) {
            // Lost altogether: an empty one stands in, so that the undo finds what it looks for.
            (Stands::Nothing, Stands::Nothing) => root.ensure_dir(goes.as_str(), owner.as_ref()).map(|()| true),
            (_, Stands::Nothing) => root.rename(DATA, goes.as_str()).map(|()| true),
            (data, _) => Ok(data != Stands::Filled),
        });
        if emptied.await? {
            self.registry.change(&plan.id, |r| (r.initialised, r.fenced) = (false, false)).await?;
        }
        Ok(())
    }

    /// The reverse: `aside` is the data again, and a copy made meanwhile is given up for it.
    async fn take_back(&self, root: Root, aside: &Label) -> Result<()> {
        let comes = aside.clone();
        blocking(move || {
            if root.stands(comes.as_str())? == Stands::Nothing {
                return if root.stands(DATA)? == Stands::Nothing { Err(no_data(&root)) } else { Ok(()) };
            }
            root.discard(DATA)?;
            root.rename(comes.as_str(), DATA)
        })
        .await
    }

    pub(crate) async fn owner_of(&self, plan: &NodePlan) -> Result<Option<Owner>> {
        let installed = self.installed(self.engine(&plan.engine)?.as_ref(), &plan.version).await?;
        Owner::of(installed.user.as_deref())
    }
}

fn no_data(root: &Root) -> Error {
    Error::integrity(format!("there is no data in {}", root.path().display())).with_code("data_missing")
}

/// Both names, checked and different; an empty `label` is none.
fn labels(label: &str, aside: &str) -> Result<(Option<Label>, Label)> {
    let aside = Label::parse(aside)?;
    let label = if label.is_empty() { None } else { Some(Label::parse(label)?) };
    if label.as_ref() == Some(&aside) {
        return Err(Error::invalid("aside", "the restored directory and the one put aside need different names"));
    }
    Ok((label, aside))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Stands::{Empty, Filled, Nothing};

    const ALL: [Stands; 3] = [Nothing, Empty, Filled];

    /// Walks from one state to its end.
    fn walk(mut data: Stands, mut comes: Stands, mut goes: Stands) -> (Step, Stands, Stands, Stands) {
        for _ in 0..4 {
            match step(data, comes, goes) {
                Step::StandIn => data = Empty,
                Step::Clear => (data, _) = (Nothing, assert_eq!(data, Empty)),
                Step::Away => (goes, data, _) = (data, Nothing, assert_eq!(goes, Nothing)),
                Step::In => (data, comes, _) = (comes, Nothing, assert_eq!(data, Nothing)),
                end => return (end, data, comes, goes),
            }
        }
        panic!("it does not end");
    }

    /// From every state the walk ends, at the goal or at a refusal, and overwrites nothing.
    #[test]
    fn every_state_leads_somewhere() {
        for data in ALL {
            for comes in ALL {
                for goes in ALL {
                    let (end, d, c, g) = walk(data, comes, goes);
                    match end {
                        Step::Done => assert!(d != Nothing && c == Nothing && g != Nothing),
                        Step::Missing => assert_eq!(comes, Nothing),
                        Step::Taken => assert!(d == Filled && c != Nothing && g != Nothing),
                        other => panic!("{other:?} is no end"),
                    }
                    assert!(end == Step::Done || (d, c, g) == (data, comes, goes), "a refusal changes nothing");
                }
            }
        }
    }
}
