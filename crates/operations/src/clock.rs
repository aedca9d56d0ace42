//! Time as an argument: leases and generations follow this clock, so that tests can turn it.

use mainstay_model::Time;

pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Time;
}

pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        jiff::Timestamp::now().into()
    }
}
