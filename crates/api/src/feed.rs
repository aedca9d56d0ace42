//! What changes, as it changes: `GET /events`.
//!
//! One follower a process reads what is new in the store's change notes and which operations moved,
//! renders each changed object once, exactly as the list and show routes answer it, and hands it to
//! everybody who listens to that project. So a change costs the same for one listener and for a
//! hundred, and nothing is read that did not change. While nobody listens it does nothing.
//!
//! Nobody is waited for: a listener that is slower than what happens is told to look at everything
//! anew (`reset`), and so is one that comes back too late.

mod follow;
mod objects;

use crate::{Shared, rate::lock};
use mainstay_model::ProjectId;
use serde_json::Value;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::{Notify, broadcast, watch};

/// Events of a project that are kept for whoever comes back.
const KEPT: usize = 2_000;
/// How far a listener may be behind.
const BEHIND: usize = 512;
/// How long a listener waits for the follower to begin.
const PATIENCE: Duration = Duration::from_secs(5);

/// One event, as it goes over the wire.
#[derive(Debug, Clone)]
pub struct Told {
    /// `None` for measurements: they are not sent again to whoever comes back.
    pub seq: Option<u64>,
    /// The event's data, whole.
    pub data: Arc<str>,
}

struct Channel {
    next: u64,
    kept: VecDeque<Told>,
    live: broadcast::Sender<Told>,
}

impl Default for Channel {
    fn default() -> Self {
        Channel { next: 1, kept: VecDeque::new(), live: broadcast::channel(BEHIND).0 }
    }
}

/// What is known of an object: where it was shown, and as what.
struct Shown {
    project: ProjectId,
    hash: [u8; 16],
}

#[derive(Default)]
struct State {
    channels: HashMap<ProjectId, Channel>,
    shown: HashMap<(String, String), Shown>,
}

/// Where events come together and go out from.
pub struct Feed {
    /// Another one with each start: numbers begin anew.
    pub run: String,
    state: Mutex<State>,
    /// Somebody has begun to listen.
    heard: Notify,
    /// Changes are followed right now.
    following: watch::Sender<bool>,
}

impl Default for Feed {
    fn default() -> Self {
        Feed {
            run: hex::encode(rand::random::<[u8; 6]>()),
            state: Mutex::default(),
            heard: Notify::new(),
            following: watch::channel(false).0,
        }
    }
}

/// Where a listener begins.
pub struct Subscription {
    pub missed: Vec<Told>,
    /// What was missed is no longer known: look at everything anew.
    pub is_reset: bool,
    /// The number of the last event before the first live one.
    pub at: u64,
    pub live: broadcast::Receiver<Told>,
}

impl Feed {
    /// `last` is what the listener has heard last, by the id of its event.
    pub fn subscribe(&self, project: &ProjectId, last: Option<&str>) -> Subscription {
        let mut state = lock(&self.state);
        let channel = state.channels.entry(project.clone()).or_default();
        let last = last.map(|id| id.split_once('-').filter(|(run, _)| *run == self.run).and_then(|(_, seq)| seq.parse::<u64>().ok()));
        let first = channel.kept.front().and_then(|t| t.seq).unwrap_or(channel.next);
        let (missed, is_reset) = match last {
            None => (vec![], false),
            Some(Some(seq)) if seq + 1 >= first && seq < channel.next => {
                (channel.kept.iter().filter(|t| t.seq.is_some_and(|s| s > seq)).cloned().collect(), false)
            }
            Some(_) => (vec![], true),
        };
        let subscription = Subscription { missed, is_reset, at: channel.next - 1, live: channel.live.subscribe() };
        drop(state);
        self.heard.notify_one();
        subscription
    }

    pub fn id(&self, seq: u64) -> String {
        format!("{}-{seq}", self.run)
    }

    /// Waits until changes are followed, for a while.
    pub async fn followed(&self) {
        let mut following = self.following.subscribe();
        let _ = tokio::time::timeout(PATIENCE, following.wait_for(|on| *on)).await;
    }

    pub fn listeners(&self) -> usize {
        lock(&self.state).channels.values().map(|c| c.live.receiver_count()).sum()
    }

    /// Nobody listens: what was kept is out of date from now on.
    fn forget(&self) {
        let mut state = lock(&self.state);
        state.shown.clear();
        for channel in state.channels.values_mut() {
            // The gap in the numbers tells whoever comes back.
            channel.kept.clear();
            channel.next += 1;
        }
    }

    /// An object as it is now; nothing where that is how it was shown last.
    fn put(&self, noun: &str, id: &str, project: &ProjectId, object: &Value) {
        let hash = hash(object);
        let mut state = lock(&self.state);
        let key = (noun.to_string(), id.to_string());
        if state.shown.get(&key).is_some_and(|shown| shown.hash == hash) {
            return;
        }
        state.shown.insert(key, Shown { project: project.clone(), hash });
        state.channels.entry(project.clone()).or_default().tell(noun, id, "put", object);
    }

    fn remove(&self, noun: &str, id: &str, project: &ProjectId) {
        let mut state = lock(&self.state);
        let shown = state.shown.remove(&(noun.to_string(), id.to_string()));
        let project = shown.map_or_else(|| project.clone(), |s| s.project);
        state.channels.entry(project).or_default().tell(noun, id, "remove", &Value::Null);
    }
}

impl Channel {
    fn tell(&mut self, noun: &str, id: &str, action: &str, object: &Value) {
        let seq = self.next;
        self.next += 1;
        let data = serde_json::json!({ "seq": seq, "noun": noun, "id": id, "action": action, "object": object }).to_string();
        let told = Told { seq: Some(seq), data: data.into() };
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(told.clone());
        let _ = self.live.send(told);
    }
}

/// Of what matters: the moment of a look is none of it, or every look would be a change.
fn hash(object: &Value) -> [u8; 16] {
    use sha2::{Digest, Sha256};
    let mut object = object.clone();
    if let Some(nodes) = object.get_mut("nodes").and_then(Value::as_array_mut) {
        for node in nodes.iter_mut().filter_map(Value::as_object_mut) {
            node.remove("observed_at");
        }
    }
    let digest = Sha256::digest(object.to_string().as_bytes());
    let mut out = [0; 16];
    out.copy_from_slice(&digest[..16]);
    out
}

/// Starts the follower. It ends with the server.
pub fn start(shared: &Shared) {
    tokio::spawn(follow::run(shared.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seqs(told: &[Told]) -> Vec<u64> {
        told.iter().filter_map(|t| t.seq).collect()
    }

    #[test]
    fn whoever_comes_back_hears_what_was_missed_or_to_look_anew() {
        let (feed, project) = (Feed::default(), ProjectId::new());
        let mut live = feed.subscribe(&project, None).live;
        for n in 0..3 {
            feed.put("backup", "bk_1", &project, &json!({ "n": n }));
        }
        feed.put("backup", "bk_1", &project, &json!({ "n": 2 }));
        feed.remove("backup", "bk_1", &project);
        assert_eq!(live.try_recv().unwrap().seq, Some(1));
        let back = feed.subscribe(&project, Some(&feed.id(2)));
        assert_eq!((seqs(&back.missed), back.is_reset, back.at), (vec![3, 4], false, 4), "a change that is none was told");
        assert!(feed.subscribe(&project, Some(&feed.id(4))).missed.is_empty());
        for strange in ["", "x-1", "other-3", &feed.id(99)] {
            assert!(feed.subscribe(&project, Some(strange)).is_reset, "{strange}");
        }
        for n in 0..KEPT {
            feed.put("backup", "bk_1", &project, &json!({ "n": n }));
        }
        assert!(feed.subscribe(&project, Some(&feed.id(1))).is_reset, "too long ago");
        feed.forget();
        assert!(feed.subscribe(&project, Some(&feed.id(KEPT as u64 + 4))).is_reset, "nobody followed in between");
    }

    #[test]
    fn another_projects_events_are_not_heard() {
        let (feed, ours, theirs) = (Feed::default(), ProjectId::new(), ProjectId::new());
        let mut live = feed.subscribe(&ours, None).live;
        feed.put("backup", "bk_1", &theirs, &json!({}));
        assert!(live.try_recv().is_err());
    }

    #[test]
    fn a_look_that_saw_the_same_is_no_change() {
        let seen = |at: &str, lag: u64| hash(&json!({ "nodes": [{ "observed_at": at, "lag_bytes": lag }] }));
        assert_eq!(seen("1", 0), seen("2", 0));
        assert_ne!(seen("1", 0), seen("1", 7));
    }
}
