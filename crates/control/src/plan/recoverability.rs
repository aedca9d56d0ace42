//! The one sentence: to when can this cluster be brought back, and how is that known.

use mainstay_model::{Time, backup::Backup};

#[derive(Debug, Clone, PartialEq)]
pub struct Recoverability {
    pub to: Option<Time>,
    pub copies_verified: u32,
    pub copies: u32,
    pub last_drill_at: Option<Time>,
    pub last_drill_seconds: Option<f64>,
    pub sentence: String,
}

/// `newest_good` is the newest backup that counts; `drilled` the newest with a passed drill.
pub fn recoverability(newest_good: Option<&Backup>, drilled: Option<&Backup>) -> Recoverability {
    let drill = drilled.and_then(|b| b.drill.as_ref()).filter(|d| d.ok);
    let to = newest_good.and_then(recovery_point);
    let verified = newest_good.map_or(0, |b| b.copies.iter().filter(|c| c.is_good()).count() as u32);
    let copies = newest_good.map_or(0, |b| b.copies.len() as u32);
    Recoverability {
        to,
        copies_verified: verified,
        copies,
        last_drill_at: drill.map(|d| d.at),
        last_drill_seconds: drill.map(|d| d.seconds),
        sentence: sentence(to, verified, copies, drill.map(|d| d.seconds)),
    }
}

/// A backup brings back everything that was acknowledged before it began.
fn recovery_point(backup: &Backup) -> Option<Time> {
    Some(backup.created_at)
}

fn sentence(to: Option<Time>, verified: u32, copies: u32, drill: Option<f64>) -> String {
    let Some(to) = to else {
        return "Not recoverable: there is no good backup.".into();
    };
    let drill = match drill {
        Some(s) => format!("last drill restored in {s:.0} s"),
        None => "never drilled".into(),
    };
    format!("Recoverable to {to}; {verified} of {copies} copies verified; {drill}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_good_backup_nothing_sounds_good() {
        let r = recoverability(None, None);
        assert_eq!((r.to, r.copies), (None, 0));
        assert!(r.sentence.starts_with("Not recoverable"));
    }

    #[test]
    fn the_sentence_names_copies_and_drill() {
        let s = sentence(Some(Time(0)), 1, 2, Some(41.2));
        assert!(s.contains("1 of 2 copies verified") && s.contains("41 s"), "{s}");
        assert!(sentence(Some(Time(0)), 1, 1, None).contains("never drilled"));
    }
}
