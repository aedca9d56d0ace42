//! The API over a real store and a real socket, with an agent that says yes.

mod access;
mod documents;
mod requests;
mod support;
