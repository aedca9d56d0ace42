//! What `--dry-run` prints.

use crate::output::Show;
use mainstay_api_types::Plan;

impl Show for Plan {
    fn people(&self) -> String {
        let mut lines = self.summary.clone();
        lines.extend(self.numbers.iter().map(|(name, value)| format!("{}: {}", name.replace('_', " "), number(name, *value))));
        lines.extend(self.warnings.iter().map(|w| format!("warning: {w}")));
        if !self.steps.is_empty() {
            lines.push("Steps:".into());
        }
        for (i, step) in self.steps.iter().enumerate() {
            let mark = if step.point_of_no_return { "   <- from here on only forward" } else { "" };
            lines.push(format!("{:>3}. {}{mark}", i + 1, step.title));
        }
        crate::output::clean(&lines.join("\n"))
    }
}

/// With its unit; what is not known is said as that.
fn number(name: &str, value: Option<u64>) -> String {
    match value {
        None => "unknown".into(),
        Some(n) if name.starts_with("bytes") => crate::output::bytes(n),
        Some(n) => n.to_string(),
    }
}
