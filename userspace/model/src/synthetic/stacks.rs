//! Stacks: whole ones, cut ones, and one whose names are not to be trusted.

use super::random::Random;
use crate::locks::StackCount;

const LOCK: &[&str] = &["__lll_lock_wait", "pthread_mutex_lock"];
const RUST_LOCK: &[&str] = &["std::sys::sync::mutex::futex::Mutex::lock_contended"];
const LONG: &str = "core::ops::function::impls::<impl core::ops::function::FnOnce<A> for &mut F>::call_once::<(alloc::sync::Arc<\
                    std::sync::poison::mutex::Mutex<app::table::Table<app::key::Key, app::value::Value>>>,)>+0x1f3";
const CONDITION: &[&str] = &["__futex_abstimed_wait_common", "pthread_cond_timedwait"];

/// Stacks of a POSIX mutex.
pub fn mutex(random: &mut Random) -> Vec<StackCount> {
    vec![
        stack(random, LOCK, &["enqueue+0x2a", "producer", "main"], None),
        stack(random, LOCK, &["dequeue+0x11", "consumer"], Some("no frame pointer in libqueue.so")),
        stack(random, LOCK, &["evil\x1b[31mfn", "start_thread"], None),
    ]
}

/// Stacks of a mutex of Rust's standard library.
pub fn rust_mutex(random: &mut Random) -> Vec<StackCount> {
    vec![
        stack(random, RUST_LOCK, &["<app::Queue<T> as app::Sink>::push", "app::worker", "app::main"], None),
        stack(random, RUST_LOCK, &[LONG, "app::main"], None),
        stack(random, RUST_LOCK, &["app::Stats::add"], Some("127 frames, more were not read")),
    ]
}

/// Stacks of a worker that waits for work.
pub fn condition(random: &mut Random) -> Vec<StackCount> {
    vec![stack(random, CONDITION, &["pool::next_job", "pool::worker", "start_thread"], None)]
}

fn stack(random: &mut Random, lock: &[&str], callers: &[&str], cut: Option<&str>) -> StackCount {
    StackCount {
        frames: lock.iter().chain(callers).map(|frame| (*frame).to_owned()).collect(),
        caller: callers.first().map(|caller| (*caller).to_owned()),
        cut: cut.map(str::to_owned),
        count: 1 + random.below(12),
    }
}
