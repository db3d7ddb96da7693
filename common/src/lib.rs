//! What the BPF programs and userspace must agree on, and nothing else.
#![no_std]

pub mod hist;
