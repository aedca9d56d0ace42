//! `mainstay cluster pitr …`

use super::cluster;
use crate::{
    args::cluster::{Pitr, PitrState},
    exit::{Exit, Outcome},
    output::{Show, card, clean, local, note, or_dash, yes_no},
    session::{Ask, Session},
};
use mainstay_api_types::{PointInTime, SetPointInTime};

pub async fn set(s: &Session, a: Pitr) -> Outcome {
    let path = format!("{}/point-in-time", cluster::path(&a.name));
    if a.state == PitrState::Show {
        return show(s, &path).await;
    }
    let body = SetPointInTime { on: a.state == PitrState::On, storages: a.storages, keep_days: a.keep_days };
    if s.perform(Ask::put(&path, &body)).await?.is_none() {
        return Ok(Exit::Done);
    }
    show(s, &path).await?;
    if a.state == PitrState::On {
        note(format!("next: mainstay restore plan --until MOMENT --to {0}, or --from-cluster {0} --new NAME", a.name));
    }
    Ok(Exit::Done)
}

async fn show(s: &Session, path: &str) -> Outcome {
    s.show(&s.get::<PointInTime>(path).await?)?;
    Ok(Exit::Done)
}

/// One line of a cluster's card.
pub fn line(p: &PointInTime) -> String {
    match (p.on, p.from, p.to) {
        (_, Some(from), Some(to)) => {
            let gaps = if p.gaps.is_empty() { String::new() } else { format!(", {} gaps", p.gaps.len()) };
            format!("{} to {}{gaps}{}", local(from), local(to), if p.on { "" } else { " (no longer kept)" })
        }
        (true, ..) => "no window yet: it begins with a good backup".into(),
        (false, ..) => "off".into(),
    }
}

impl Show for PointInTime {
    fn people(&self) -> String {
        let fields =
            [("on", yes_no(self.on)), ("any moment", line(self)), ("kept for", or_dash(self.keep_days, |d| format!("{d} days at least")))];
        let mut lines = vec![card(&fields)];
        lines.extend(self.gaps.iter().map(|g| format!("gap: {} to {}", local(g.from), local(g.to))));
        lines.extend(self.storages.iter().map(|p| {
            let trouble = p.trouble.as_ref().map(|t| format!("; {}", clean(t))).unwrap_or_default();
            format!("storage {}: stored to {}{trouble}", clean(&p.storage), or_dash(p.to, local))
        }));
        lines.extend(self.trouble.iter().map(|t| format!("trouble: {}", clean(t))));
        lines.extend(self.breaks.iter().map(|b| format!("interrupted {}: {}", local(b.at), clean(&b.sentence))));
        lines.join("\n")
    }
}
