//! The two shapes of an operation: one that a thread does, one that a task awaits.

use std::time::Instant;

use super::lap::Observed;

/// Operations between two looks at the loop counter, so that the loop does not weigh on an operation of a few ns.
pub const BATCH: u64 = 100;

/// Operations that one thread does again and again.
pub trait Work: Send {
    /// Does operations as fast as it can; returns how many it did.
    fn run(&mut self, operations: u64) -> u64;

    /// Does operations and times them in batches of `batch`.
    fn observe(&mut self, operations: u64, batch: u64, seen: &mut Observed) {
        let mut left = operations;
        while left > 0 {
            let began = Instant::now();
            let done = self.run(left.min(batch));
            let ended = Instant::now();
            if done == 0 {
                return;
            }
            seen.record(done, ended - began);
            left -= done.min(left);
        }
    }
}

/// [`Work`] made of a closure that is one operation.
pub struct Each<F>(F);

impl<F: FnMut() + Send> Work for Each<F> {
    #[inline]
    fn run(&mut self, operations: u64) -> u64 {
        for _ in 0..operations / BATCH {
            for _ in 0..BATCH {
                (self.0)();
            }
        }
        for _ in 0..operations % BATCH {
            (self.0)();
        }
        operations
    }
}

/// Boxes a closure that is one operation.
pub fn each(operation: impl FnMut() + Send + 'static) -> Box<dyn Work> {
    Box::new(Each(operation))
}

/// Operations that one task awaits again and again.
pub trait AsyncWork: Send + 'static {
    /// Does one operation.
    fn once(&mut self) -> impl Future<Output = ()> + Send;

    /// One operation that also tells whether it found its lock taken.
    fn once_told(&mut self) -> impl Future<Output = Option<bool>> + Send {
        async {
            self.once().await;
            None
        }
    }

    /// Does operations as fast as the runtime lets it; returns how many it did.
    fn run(&mut self, operations: u64) -> impl Future<Output = u64> + Send {
        async move {
            for _ in 0..operations {
                self.once().await;
            }
            operations
        }
    }
}

/// Does operations and times them in batches; contention is asked for only where each operation is timed alone.
pub async fn observe_async(work: &mut impl AsyncWork, operations: u64, batch: u64, seen: &mut Observed) {
    let mut left = operations;
    while left > 0 {
        let now = left.min(batch);
        let began = Instant::now();
        for _ in 0..now {
            if let Some(contended) = work.once_told().await {
                seen.count_contended(contended);
            }
        }
        seen.record(now, began.elapsed());
        left -= now;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn every_operation_is_done_exactly_once_for_every_batch_size() {
        for operations in [0, 1, 99, 100, 101, 12_345] {
            let count = Arc::new(AtomicU64::new(0));
            let counter = Arc::clone(&count);
            let mut work = each(move || {
                counter.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(work.run(operations), operations);
            assert_eq!(count.swap(0, Ordering::Relaxed), operations);
            for batch in [1, 7, 100] {
                let mut seen = Observed::default();
                work.observe(operations, batch, &mut seen);
                assert_eq!(seen.operations, operations);
                assert_eq!(count.swap(0, Ordering::Relaxed), operations);
                assert_eq!(seen.latency.count(), operations.div_ceil(batch));
            }
        }
    }
}
