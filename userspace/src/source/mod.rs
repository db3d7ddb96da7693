//! Where frames come from.

pub mod costs;
mod counting;
pub mod gather;
pub mod host;
mod inlining;
pub mod live;
mod pending;
pub mod probing;
pub mod seating;
mod stacks;
mod switch;
