//! The C library's own condition variable, with a mutex and a flag of its own.
#![expect(unsafe_code, reason = "calls into the C library")]

use std::cell::UnsafeCell;

/// A condition that threads wait for until another thread reports it.
pub struct Condition {
    condition: UnsafeCell<libc::pthread_cond_t>,
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    has_come: UnsafeCell<bool>,
}

// SAFETY: made to be used from several threads; the flag is only touched while the mutex is held.
unsafe impl Sync for Condition {}

impl Condition {
    /// One that has not come.
    #[must_use]
    pub fn new() -> Self {
        Self {
            condition: UnsafeCell::new(libc::PTHREAD_COND_INITIALIZER),
            mutex: UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER),
            has_come: UnsafeCell::new(false),
        }
    }

    /// Waits for it.
    pub fn wait(&self) {
        // SAFETY: valid for as long as `self`, which does not move while borrowed; the flag is read under the mutex.
        unsafe {
            libc::pthread_mutex_lock(self.mutex.get());
            while !*self.has_come.get() {
                libc::pthread_cond_wait(self.condition.get(), self.mutex.get());
            }
            libc::pthread_mutex_unlock(self.mutex.get());
        }
    }

    /// Says that it has come.
    pub fn come(&self) {
        // SAFETY: as for `wait`.
        unsafe {
            libc::pthread_mutex_lock(self.mutex.get());
            *self.has_come.get() = true;
            libc::pthread_cond_broadcast(self.condition.get());
            libc::pthread_mutex_unlock(self.mutex.get());
        }
    }
}

impl Default for Condition {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_thread_goes_on_when_it_comes() {
        let condition = Condition::new();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| condition.wait());
            condition.come();
            waiter.join().unwrap();
        });
        condition.wait();
    }
}
