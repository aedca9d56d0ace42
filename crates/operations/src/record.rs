//! One row of the journal, typed.

use crate::{
    lock::Lock,
    operation::Step,
    view::{Status, StepStatus, StepView, View},
};
use mainstay_model::{Error, OperationId, Time};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::{Row, any::AnyRow};

/// How an operation that turned back will end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Failed,
    Cancelled,
}

impl Ending {
    pub fn as_str(self) -> &'static str {
        match self {
            Ending::Failed => "failed",
            Ending::Cancelled => "cancelled",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub id: OperationId,
    pub kind: String,
    pub version: i64,
    pub project: Option<String>,
    pub cluster: Option<String>,
    pub cluster_key: Option<String>,
    pub lock: Lock,
    pub parent: Option<OperationId>,
    pub child_key: Option<String>,
    pub status: Status,
    /// Set from the moment the operation turns back.
    pub ending: Option<Ending>,
    pub past_return: bool,
    /// Who asked to cancel. Written by whoever asks, only read by the runner.
    pub cancelled_by: Option<String>,
    pub state: Value,
    pub steps: Vec<StepView>,
    pub percent: u8,
    pub sentence: String,
    pub requested_by: String,
    pub created_at: Time,
    pub finished_at: Option<Time>,
    /// Why it turned back.
    pub error: Option<Error>,
    /// Why it is stuck.
    pub stuck_error: Option<Error>,
    pub output: Value,
    pub generation: i64,
    pub owner: Option<String>,
    pub lease_until: Time,
}

impl Record {
    /// Finished steps in a hundred; what was undone counts as not done.
    pub fn percent_done(&self) -> u8 {
        let done = self.steps_done();
        (done * 100 / self.steps.len().max(1)) as u8
    }
    pub fn steps_done(&self) -> usize {
        self.steps.iter().filter(|s| matches!(s.status, StepStatus::Done | StepStatus::Skipped)).count()
    }
    /// Nobody works on it any more.
    pub fn release(&mut self) {
        self.owner = None;
        self.lease_until = Time::default();
    }
    fn step(&self) -> Option<String> {
        let runs = |s: &&StepView| matches!(s.status, StepStatus::Running | StepStatus::Undoing);
        let named = self.steps.iter().find(runs).or_else(|| self.steps.iter().rev().find(|s| s.error.is_some()));
        named.filter(|_| self.status != Status::Succeeded).map(|s| s.name.clone())
    }
    /// The view without what is only for the log.
    pub fn view(&self) -> View {
        let outside = |e: &Error| Error { inside: None, ..e.clone() };
        let mut steps = self.steps.clone();
        steps.iter_mut().for_each(|s| s.error = s.error.as_ref().map(outside));
        View {
            id: self.id.clone(),
            kind: self.kind.clone(),
            project: self.project.clone(),
            cluster: self.cluster.clone(),
            cluster_key: self.cluster_key.clone(),
            parent: self.parent.clone(),
            status: self.status,
            step: self.step(),
            percent: self.percent,
            sentence: self.sentence.clone(),
            requested_by: self.requested_by.clone(),
            created_at: self.created_at,
            finished_at: self.finished_at,
            error: self.stuck_error.as_ref().or(self.error.as_ref()).map(outside),
            output: self.output.clone(),
            steps,
            point_of_no_return_passed: self.past_return,
        }
    }
}

/// The steps of an operation that has not begun.
pub(crate) fn pending(plan: &[Step]) -> Vec<StepView> {
    let step = |s: &Step| StepView {
        name: s.name.into(),
        title: s.title.into(),
        status: StepStatus::Pending,
        started_at: None,
        finished_at: None,
        error: None,
    };
    plan.iter().map(step).collect()
}

type Read<T> = Result<T, sqlx::Error>;

fn unreadable(column: &str, why: impl std::fmt::Display) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.into(), source: format!("{why}").into() }
}

fn text(row: &AnyRow, column: &str) -> Read<String> {
    row.try_get(column)
}

fn maybe(row: &AnyRow, column: &str) -> Read<Option<String>> {
    row.try_get(column)
}

fn number(row: &AnyRow, column: &str) -> Read<i64> {
    row.try_get(column)
}

fn document<T: DeserializeOwned>(row: &AnyRow, column: &str) -> Read<T> {
    serde_json::from_str(&text(row, column)?).map_err(|e| unreadable(column, e))
}

fn maybe_document<T: DeserializeOwned>(row: &AnyRow, column: &str) -> Read<Option<T>> {
    let Some(text) = maybe(row, column)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|e| unreadable(column, e))
}

fn word<T>(row: &AnyRow, column: &str, known: impl Fn(&str) -> Option<T>) -> Read<T> {
    let text = text(row, column)?;
    known(&text).ok_or_else(|| unreadable(column, format!("unknown word {text}")))
}

fn id(column: &str, text: String) -> Read<OperationId> {
    OperationId::parse(&text).ok_or_else(|| unreadable(column, "not an operation's id"))
}

impl sqlx::FromRow<'_, AnyRow> for Record {
    fn from_row(row: &AnyRow) -> Read<Record> {
        let ending = |s: &str| [Ending::Failed, Ending::Cancelled].into_iter().find(|e| e.as_str() == s);
        Ok(Record {
            id: id("id", text(row, "id")?)?,
            kind: text(row, "kind")?,
            version: number(row, "version")?,
            project: maybe(row, "project")?,
            cluster: maybe(row, "cluster")?,
            cluster_key: maybe(row, "cluster_key")?,
            lock: word(row, "lock_kind", Lock::parse)?,
            parent: maybe(row, "parent")?.map(|t| id("parent", t)).transpose()?,
            child_key: maybe(row, "child_key")?,
            status: word(row, "status", Status::parse)?,
            ending: maybe(row, "ending")?.map(|_| word(row, "ending", ending)).transpose()?,
            past_return: number(row, "past_return")? != 0,
            cancelled_by: maybe(row, "cancelled_by")?,
            state: document(row, "state")?,
            steps: document(row, "steps")?,
            percent: number(row, "percent")?.clamp(0, 100) as u8,
            sentence: text(row, "sentence")?,
            requested_by: text(row, "requested_by")?,
            created_at: Time(number(row, "created_at")?),
            finished_at: row.try_get::<Option<i64>, _>("finished_at")?.map(Time),
            error: maybe_document(row, "error")?,
            stuck_error: maybe_document(row, "stuck_error")?,
            output: document(row, "output")?,
            generation: number(row, "generation")?,
            owner: maybe(row, "owner")?,
            lease_until: Time(number(row, "lease_until")?),
        })
    }
}
