//! The API over a real store and a real socket: with an agent that does nothing where what is tested
//! comes before it, with the real one in a fake world where things are to happen.

mod access;
mod documents;
mod events;
mod isolation;
mod journey;
mod notices;
mod once;
mod people;
mod requests;
mod retention;
mod schedules;
mod storages;
mod streams;
mod support;
mod terminal;
