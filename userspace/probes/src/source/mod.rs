//! Sources of frames.

mod booking;
pub mod costs;
mod counting;
mod events;
pub mod gather;
pub mod host;
mod inlining;
pub mod live;
mod misses;
mod pending;
pub mod probing;
mod runtimes;
pub mod seating;
mod stacks;
mod switch;
mod tree;
