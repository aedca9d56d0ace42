//! What a run does next: a pure function of the journal's record and the operation's table.
//!
//! Nothing else decides it, so a run that was adopted after a crash goes on exactly where an
//! undisturbed one would have been.

use crate::{
    operation::{Step, StepKind, Undo},
    record::Record,
    view::StepStatus,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Somebody cancelled and it may still be undone.
    TurnBack,
    Do(usize),
    Undo(usize),
    End,
}

pub(crate) fn next(record: &Record, plan: &[Step]) -> Next {
    if record.ending.is_some() {
        return to_undo(record, plan).map_or(Next::End, Next::Undo);
    }
    if record.cancelled_by.is_some() && !record.past_return {
        return Next::TurnBack;
    }
    to_do(record).map_or(Next::End, Next::Do)
}

/// The first step that is not behind us.
pub(crate) fn to_do(record: &Record) -> Option<usize> {
    record.steps.iter().position(|s| !matches!(s.status, StepStatus::Done | StepStatus::Skipped))
}

/// The last step that left something to undo.
pub(crate) fn to_undo(record: &Record, plan: &[Step]) -> Option<usize> {
    record.steps.iter().zip(plan).rposition(|(seen, step)| step.undo == Undo::With && left_something(seen.status, step.kind))
}

/// An effect that failed or was interrupted may have happened, in part or whole; a `db` step that
/// failed was rolled back.
fn left_something(status: StepStatus, kind: StepKind) -> bool {
    match status {
        StepStatus::Done | StepStatus::Undoing => true,
        StepStatus::Running | StepStatus::Failed => kind == StepKind::Effect,
        StepStatus::Pending | StepStatus::Undone | StepStatus::Skipped => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        lock::Lock,
        record::{Ending, pending},
        view::Status,
    };
    use mainstay_model::{OperationId, Time};

    const PLAN: &[Step] = &[
        Step::db("choose", "Chooses", Undo::With),
        Step::effect("look", "Looks", Undo::Nothing("reads only")),
        Step::effect("make", "Makes", Undo::With),
        Step::db("record", "Records", Undo::With),
    ];

    fn record(statuses: [StepStatus; 4]) -> Record {
        let mut steps = pending(PLAN);
        steps.iter_mut().zip(statuses).for_each(|(s, status)| s.status = status);
        Record {
            id: OperationId::new(),
            kind: "toy".into(),
            version: 1,
            project: None,
            cluster: None,
            cluster_key: None,
            lock: Lock::None,
            parent: None,
            child_key: None,
            status: Status::Running,
            ending: None,
            past_return: false,
            cancelled_by: None,
            state: serde_json::Value::Null,
            steps,
            percent: 0,
            sentence: String::new(),
            requested_by: String::new(),
            created_at: Time(0),
            finished_at: None,
            error: None,
            stuck_error: None,
            output: serde_json::Value::Null,
            generation: 1,
            owner: None,
            lease_until: Time(0),
        }
    }

    #[test]
    fn forward_is_the_first_unfinished_step() {
        use StepStatus::*;
        assert_eq!(next(&record([Pending; 4]), PLAN), Next::Do(0));
        assert_eq!(next(&record([Done, Running, Pending, Pending]), PLAN), Next::Do(1));
        assert_eq!(next(&record([Done, Skipped, Failed, Pending]), PLAN), Next::Do(2));
        assert_eq!(next(&record([Done; 4]), PLAN), Next::End);
    }

    #[test]
    fn a_cancel_turns_back_until_the_point_of_no_return() {
        let mut r = record([StepStatus::Pending; 4]);
        r.cancelled_by = Some("ann".into());
        assert_eq!(next(&r, PLAN), Next::TurnBack);
        r.past_return = true;
        assert_eq!(next(&r, PLAN), Next::Do(0));
    }

    #[test]
    fn backward_is_the_last_step_that_left_something() {
        use StepStatus::*;
        let back = |statuses| {
            let mut r = record(statuses);
            r.ending = Some(Ending::Failed);
            next(&r, PLAN)
        };
        assert_eq!(back([Done, Done, Done, Failed]), Next::Undo(2), "a failed db step was rolled back");
        assert_eq!(back([Done, Done, Failed, Pending]), Next::Undo(2), "a failed effect may have happened");
        assert_eq!(back([Done, Done, Running, Pending]), Next::Undo(2));
        assert_eq!(back([Done, Failed, Pending, Pending]), Next::Undo(0), "nothing to undo in a look");
        assert_eq!(back([Undoing, Done, Undone, Undone]), Next::Undo(0));
        assert_eq!(back([Undone, Done, Skipped, Undone]), Next::End);
    }
}
