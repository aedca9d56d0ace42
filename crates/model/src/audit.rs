//! An audit entry: who did what, when, from where, with what result.
//!
//! Texts in it come from callers, so they are cut to a length before they are kept: an entry must
//! always fit, whatever somebody put into a header or a field, because an act that cannot be
//! recorded must not happen.

use crate::{AuditId, ProjectId, Time};
use serde::{Deserialize, Serialize};

/// Most characters one text of an entry keeps.
pub const MAX_TEXT: usize = 1_000;
/// Most bytes the JSON of `detail` may take.
pub const MAX_DETAIL: usize = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditResult {
    Done,
    /// Not allowed, or a precondition did not hold: nothing was changed.
    Refused,
    Failed,
}

impl AuditResult {
    pub const ALL: [AuditResult; 3] = [AuditResult::Done, AuditResult::Refused, AuditResult::Failed];
    pub fn as_str(self) -> &'static str {
        match self {
            AuditResult::Done => "done",
            AuditResult::Refused => "refused",
            AuditResult::Failed => "failed",
        }
    }
    pub fn parse(s: &str) -> Option<AuditResult> {
        AuditResult::ALL.into_iter().find(|r| r.as_str() == s)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditEntry {
    #[schema(value_type = String)]
    pub id: AuditId,
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    /// `token:admin`, `system`.
    pub actor: String,
    /// Verb and noun: `cluster.delete`.
    pub action: String,
    #[schema(value_type = Option<String>)]
    pub project: Option<ProjectId>,
    /// `cluster`, `backup`, ...; empty where nothing in particular was acted on.
    pub object_kind: String,
    pub object_id: Option<String>,
    pub object_name: Option<String>,
    pub result: AuditResult,
    /// The caller's address.
    pub from: Option<String>,
    /// What changed, or why it was refused. Never a secret.
    #[schema(value_type = Object)]
    pub detail: serde_json::Value,
}

impl AuditEntry {
    /// The entry with every text cut to [`MAX_TEXT`] characters and a `detail` beyond
    /// [`MAX_DETAIL`] replaced by its beginning.
    pub fn clipped(mut self) -> Self {
        for text in [&mut self.actor, &mut self.action, &mut self.object_kind] {
            clip(text);
        }
        for text in [&mut self.object_id, &mut self.object_name, &mut self.from].into_iter().flatten() {
            clip(text);
        }
        let detail = self.detail.to_string();
        if detail.len() > MAX_DETAIL {
            let start: String = detail.chars().take(MAX_TEXT).collect();
            self.detail = serde_json::json!({ "cut": true, "start": start });
        }
        self
    }
}

fn clip(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
        text.truncate(end);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_cut_to_size() {
        let entry = AuditEntry {
            id: AuditId::new(),
            at: Time::default(),
            actor: "é".repeat(5_000),
            action: "cluster.delete".into(),
            project: None,
            object_kind: "cluster".into(),
            object_id: None,
            object_name: Some("x".repeat(MAX_TEXT)),
            result: AuditResult::Refused,
            from: None,
            detail: serde_json::json!({ "a": "y".repeat(100_000) }),
        };
        let cut = entry.clipped();
        assert_eq!(cut.actor.chars().count(), MAX_TEXT + 1);
        assert_eq!(cut.object_name.as_deref().map(str::len), Some(MAX_TEXT));
        assert!(cut.detail.to_string().len() < MAX_DETAIL);
        assert_eq!(cut.clone().clipped(), cut.clone().clipped().clipped());
    }
}
