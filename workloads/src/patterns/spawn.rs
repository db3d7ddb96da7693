//! Spawning a task and awaiting it: from a worker, from outside, on one thread, on the blocking pool; and a thread.

use std::hint::black_box;

use tokio::runtime::Runtime;

use super::solo::{Driven, Solo, multi_threaded, single_threaded};
use super::tasks::Tasks;
use super::work::AsyncWork;
use super::{Built, Setup};

struct SpawnAndAwait;

impl AsyncWork for SpawnAndAwait {
    async fn once(&mut self) {
        black_box(tokio::spawn(async { 42 }).await.unwrap_or(0));
    }
}

/// From a worker: the new task goes into that worker's own queue.
pub fn local(setup: &Setup, _: usize) -> Built {
    Ok(Box::new(Tasks::new(setup, vec![SpawnAndAwait])?))
}

/// The operation published as "local": `spawn` inside `block_on`. The thread in `block_on` is no worker, so each task
/// takes the way of a remote one.
pub fn local_as_published(setup: &Setup, _: usize) -> Built {
    Ok(Box::new(Driven::new(multi_threaded(setup)?, SpawnAndAwait)))
}

/// From a thread outside the runtime, which then waits for the task.
pub fn remote(setup: &Setup, _: usize) -> Built {
    let runtime: Runtime = multi_threaded(setup)?;
    Ok(Box::new(Solo::of(move || {
        let task = runtime.spawn(async { 42 });
        black_box(runtime.block_on(task).unwrap_or(0));
    })))
}

/// On a runtime that is one thread.
pub fn current_thread(_: &Setup, _: usize) -> Built {
    Ok(Box::new(Driven::new(single_threaded()?, SpawnAndAwait)))
}

struct Blocking;

impl AsyncWork for Blocking {
    async fn once(&mut self) {
        black_box(tokio::task::spawn_blocking(|| 42).await.unwrap_or(0));
    }
}

/// A closure on the pool of threads that may block.
pub fn blocking(setup: &Setup, _: usize) -> Built {
    Ok(Box::new(Driven::new(multi_threaded(setup)?, Blocking)))
}

/// A thread, started and joined: for scale, and what a benchmark measures that starts threads inside its timed part.
pub fn thread(_: &Setup, _: usize) -> Built {
    Ok(Box::new(Solo::of(|| {
        black_box(std::thread::spawn(|| 42).join().unwrap_or(0));
    })))
}
