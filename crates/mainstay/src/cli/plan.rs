//! What `--dry-run` prints.

use crate::output::Show;
use mainstay_api_types::Plan;

impl Show for Plan {
    fn people(&self) -> String {
        let mut lines = self.summary.clone();
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
