//! glibc's mutex in its process-shared, robust kind: a lock whose owner may die.
#![expect(unsafe_code, reason = "calls into libpthread")]

use std::cell::UnsafeCell;
use std::io;
use std::marker::PhantomData;

/// A `pthread_mutex_t` with a cache line of its own. All zero is valid: an ordinary mutex, until [`Self::init`].
#[repr(C, align(64))]
pub struct RobustMutex(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: a pthread mutex is made to be used from several threads through shared memory.
unsafe impl Sync for RobustMutex {}
// SAFETY: it is moved only before it is first locked; afterwards it lives in a mapping.
unsafe impl Send for RobustMutex {}

impl std::fmt::Debug for RobustMutex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RobustMutex")
    }
}

/// Holds the lock; not `Send`, because a mutex is unlocked by the thread that locked it.
#[derive(Debug)]
pub struct RobustGuard<'a> {
    mutex: &'a RobustMutex,
    recovered: bool,
    _here: PhantomData<*const ()>,
}

impl RobustMutex {
    /// Makes it process-shared and robust; call once, before anybody else can reach it.
    ///
    /// # Errors
    ///
    /// The C library refuses (it has no reason to).
    pub fn init(&self) -> io::Result<()> {
        // SAFETY: all zero is a valid target of `pthread_mutexattr_init`, which sets it.
        let mut kind: libc::pthread_mutexattr_t = unsafe { std::mem::zeroed() };
        let kind = &raw mut kind;
        // SAFETY: `kind` outlives the calls, and no thread holds or waits for the mutex yet.
        unsafe {
            check(libc::pthread_mutexattr_init(kind))?;
            check(libc::pthread_mutexattr_setpshared(kind, libc::PTHREAD_PROCESS_SHARED))?;
            check(libc::pthread_mutexattr_setrobust(kind, libc::PTHREAD_MUTEX_ROBUST))?;
            check(libc::pthread_mutex_init(self.0.get(), kind))?;
            check(libc::pthread_mutexattr_destroy(kind))
        }
    }

    /// Waits for the lock. [`RobustGuard::recovered`] tells that the last owner died holding it.
    ///
    /// # Errors
    ///
    /// The memory does not hold a mutex, or a recovery before this one was given up.
    #[inline]
    pub fn lock(&self) -> io::Result<RobustGuard<'_>> {
        // SAFETY: the pointer is valid for as long as `self`.
        let outcome = unsafe { libc::pthread_mutex_lock(self.0.get()) };
        let recovered = outcome == libc::EOWNERDEAD;
        if recovered {
            // SAFETY: this thread holds the lock; what it protects is repaired by the caller under it.
            check(unsafe { libc::pthread_mutex_consistent(self.0.get()) })?;
        } else {
            check(outcome)?;
        }
        Ok(RobustGuard { mutex: self, recovered, _here: PhantomData })
    }
}

impl RobustGuard<'_> {
    /// The previous owner died holding the lock: what it protects may be half-done.
    #[must_use]
    pub fn recovered(&self) -> bool {
        self.recovered
    }
}

impl Drop for RobustGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the guard's thread holds the lock.
        unsafe { libc::pthread_mutex_unlock(self.mutex.0.get()) };
    }
}

fn check(outcome: libc::c_int) -> io::Result<()> {
    if outcome == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(outcome)) }
}
