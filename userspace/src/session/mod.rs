//! Drives a session: source to sinks, until its time is over, its targets are gone or it is interrupted.

mod clockwork;
mod harvest;
mod looks;
mod rhythm;
mod setup;

pub use clockwork::{Answer, Control, Ending, Plan, SessionError, Sink, run};
pub use setup::{Request, Scope, kernel_setup};
