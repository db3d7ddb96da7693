//! Retiring memory under an epoch guard.
#![expect(unsafe_code, reason = "the reclamation scheme cannot know that a pointer is no longer reachable")]

use crossbeam_epoch::{Guard, Owned};

/// Allocates a value and hands it over at once, to be dropped when no guard of this time is left.
#[inline]
pub fn allocate_and_retire<T: Send + 'static>(guard: &Guard, value: T) {
    let retired = Owned::new(value).into_shared(guard);
    // SAFETY: the pointer was never published, so no other thread can reach it, and it is retired exactly once; the
    // value is `Send`, so any thread may drop it.
    unsafe { guard.defer_destroy(retired) };
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_is_retired_is_dropped_once_in_the_end() {
        let value = Arc::new(());
        let collector = crossbeam_epoch::Collector::new();
        let handle = collector.register();
        for _ in 0..100 {
            allocate_and_retire(&handle.pin(), Arc::clone(&value));
        }
        for _ in 0..1_000 {
            handle.pin().flush();
        }
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
