//! The proof: what the tool says is held against programs that know their own truth, and against other tracers on the
//! same run. Needs root and a kernel with BPF; `cargo xtask test` runs it, one test at a time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod beginning;
mod bench;
mod budget;
mod cost;
mod counters;
mod dashboard;
mod dashboard_extremes;
mod death;
mod doctor;
mod elsewhere;
mod everybody;
mod faults;
mod futex;
mod hooks;
mod inline;
mod interpreters;
mod interrupts;
mod invoker;
mod languages;
mod ledger;
mod lifecycle;
mod locks;
mod mmaplock;
mod mortals;
mod mutex;
mod no_room;
mod oracle;
mod sandbox;
mod sched;
mod stacks;
mod stopped;
mod support;
mod switch;
mod syscalls;
mod targets;
mod tree;
mod twins;
mod unusual;
mod why;
