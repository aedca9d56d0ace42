//! The judge by a clock of the test's own, and a reader that waits.

use super::*;
use mainstay_model::Time;

fn way() -> GivingWay {
    GivingWay {
        primary: mainstay_testkit::FakeWorld::new().plan("memo", &mainstay_model::ClusterId::new(), 1),
        lag_bytes: 100 << 20,
        lag_seconds: 60.0,
        wait_seconds: 600,
    }
}

fn judge() -> Judge {
    Judge { way: way(), name: "shop-2".into(), since: None, last: Lag::default() }
}

fn mib(n: u64) -> Lag {
    Lag { bytes: Some(n << 20), seconds: None }
}

fn unknown() -> Lag {
    Lag::default()
}

#[test]
fn it_stops_beyond_the_limit_and_goes_on_at_half_of_it() {
    let (mut judge, start) = (judge(), Instant::now());
    let at = |s: u64| start + Duration::from_secs(s);
    let paused =
        |verdict: Verdict, seconds: u64| assert!(matches!(verdict, Verdict::Pause(said) if said.ends_with(&format!("(for {seconds} s)"))));
    assert_eq!(judge.look(unknown(), at(0)), Verdict::Go, "what nobody knows stops nobody");
    assert_eq!(judge.look(mib(100), at(1)), Verdict::Go);
    assert_eq!(judge.look(mib(101), at(2)), Verdict::Pause("pauses: shop-2 is 101 MiB behind its primary (for 0 s)".into()));
    paused(judge.look(mib(60), at(40)), 30);
    paused(judge.look(unknown(), at(70)), 60);
    assert_eq!(judge.look(mib(50), at(80)), Verdict::Go);
    assert_eq!(judge.look(mib(60), at(90)), Verdict::Go, "only while it is paused half counts");
    let late = Lag { bytes: Some(0), seconds: Some(61.0) };
    assert_eq!(judge.look(late, at(100)), Verdict::Pause("pauses: shop-2 is 0 MiB and 61 s behind its primary (for 0 s)".into()));
}

#[test]
fn a_pause_has_an_end_and_each_begins_anew() {
    let (mut judge, start) = (judge(), Instant::now());
    let at = |s: u64| start + Duration::from_secs(s);
    assert!(matches!(judge.look(mib(200), at(0)), Verdict::Pause(_)));
    assert!(matches!(judge.look(mib(200), at(599)), Verdict::Pause(_)));
    assert_eq!(judge.look(mib(10), at(599)), Verdict::Go);
    assert!(matches!(judge.look(mib(200), at(700)), Verdict::Pause(_)));
    assert!(matches!(judge.look(unknown(), at(1299)), Verdict::Pause(_)));
    let Verdict::GiveUp(e) = judge.look(mib(300), at(1300)) else { panic!("it waits for ever") };
    assert!(e.code == "source_behind" && e.is_transient() && e.message.contains("300 MiB"), "{e:?}");
}

#[test]
fn a_reader_waits_until_it_may_go_on_and_ends_when_it_may_not() {
    let progress = Progress::default();
    let brake = Arc::new(Brake::new(&way(), "shop-2", &progress));
    let mut open = braked(Box::new(|| Ok(Box::new(io::Cursor::new(vec![7; 10])))), brake.clone())().unwrap();
    let mut byte = [0];
    open.read_exact(&mut byte).unwrap();
    brake.obey(Verdict::Pause("pauses".into()));
    assert_eq!(progress.look().sentence, "pauses");
    let waits = std::thread::spawn(move || {
        let mut rest = vec![];
        let read = open.read_to_end(&mut rest);
        read.map(|_| rest)
    });
    std::thread::sleep(Duration::from_millis(50));
    assert!(!waits.is_finished());
    brake.obey(Verdict::Go);
    assert_eq!(waits.join().unwrap().unwrap(), [7; 9]);
    assert_eq!(progress.look().sentence, "");
    brake.obey(Verdict::GiveUp(Error::unavailable("source_behind", "too far behind")));
    assert!(braked(Box::new(|| Ok(Box::new(io::empty()))), brake.clone())().is_err());
    assert_eq!(brake.verdict().unwrap().code, "source_behind");
}

#[test]
fn positions_say_more_than_the_replica_itself() {
    let seen = |bytes: u64, lag: Option<u64>| Observed {
        position: Some(mainstay_model::node::Position { history: "h".into(), text: String::new(), bytes }),
        lag_bytes: lag,
        ..Observed::unknown(Time(0), "")
    };
    assert_eq!(Lag::of(&seen(10, Some(1)), &seen(50, None)).bytes, Some(40));
    assert_eq!(Lag::of(&seen(10, Some(1)), &Observed::unknown(Time(0), "gone")).bytes, Some(1));
}
