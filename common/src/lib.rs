//! Types and constants shared by the BPF programs and userspace, and nothing else.
#![no_std]

pub mod events;
pub mod hist;
pub mod loss;
pub mod pool;
pub mod probes;
pub mod stack;
pub mod target;
