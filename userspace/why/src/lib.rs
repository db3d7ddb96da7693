//! Who waits for whom, at this moment: threads and what each is in, what it waits for, who could end that, and what
//! follows from it: deadlocks, convoys, and what the threads at their roots do. Everything is read from `/proc` and from
//! the memory of the processes; nothing is traced, stopped or changed.
#![forbid(unsafe_code)]

mod edge;
mod files;
mod futex;
mod graph;
mod look;
mod picture;
mod stacks;
mod text;
mod thread;
mod unix;

pub use look::{LookError, look};
pub use picture::{Convoy, Idle, Picture, Root, Told, Waiting};
pub use text::render;
