//! Schedules: the planner by itself, and the standing task with a real store and journal on a clock
//! that tests turn.

mod drill;
mod groups;
mod life;
mod plan;
mod task;
mod watchdog;
mod world;
mod year;
