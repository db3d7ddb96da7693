//! The C library's own `pthread_mutex_t`, process-shared, of every kind it has.
#![expect(unsafe_code, reason = "calls into the C library")]

use std::cell::UnsafeCell;
use std::io;

/// `PTHREAD_MUTEX_ADAPTIVE_NP`: glibc's number; a C library without that kind refuses it.
const ADAPTIVE: libc::c_int = 3;

/// Behaviour of a mutex towards its owner and its waiters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The default kind: one attempt, then the kernel.
    Normal,
    /// Spins for a while first.
    Adaptive,
    /// The owner may lock again.
    Recursive,
    /// Misuse is an error.
    ErrorCheck,
}

/// Attributes that a mutex is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Kind of the mutex.
    pub kind: Kind,
    /// The next owner learns that the last one died.
    pub robust: bool,
    /// The owner inherits the priority of its waiters; the kernel then hands the lock over.
    pub inherit: bool,
}

/// A process-shared mutex, to be placed in shared memory; all zero is valid, an ordinary mutex.
#[repr(transparent)]
pub struct PthreadMutex(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: a pthread mutex is made to be used from several threads.
unsafe impl Sync for PthreadMutex {}

impl std::fmt::Debug for PthreadMutex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PthreadMutex")
    }
}

/// Answer of a critical section, and whether the owner before it had died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held<R> {
    /// The section's answer.
    pub value: R,
    /// The previous owner died holding the lock; the mutex has been made consistent again.
    pub owner_died: bool,
}

impl PthreadMutex {
    /// An ordinary mutex, until [`Self::init`].
    #[must_use]
    pub fn new() -> Self {
        Self(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER))
    }

    /// Makes it process-shared and of the kind asked for.
    ///
    /// # Errors
    ///
    /// The C library does not have that kind.
    pub fn init(&mut self, attributes: Attributes) -> io::Result<()> {
        let kind = match attributes.kind {
            Kind::Normal => libc::PTHREAD_MUTEX_NORMAL,
            Kind::Adaptive => ADAPTIVE,
            Kind::Recursive => libc::PTHREAD_MUTEX_RECURSIVE,
            Kind::ErrorCheck => libc::PTHREAD_MUTEX_ERRORCHECK,
        };
        // SAFETY: all zero is a valid target of `pthread_mutexattr_init`, which sets it.
        let mut attr: libc::pthread_mutexattr_t = unsafe { std::mem::zeroed() };
        let attr = &raw mut attr;
        // SAFETY: `attr` outlives the calls, and `&mut self` means that no other thread uses the mutex yet.
        unsafe {
            check(libc::pthread_mutexattr_init(attr))?;
            check(libc::pthread_mutexattr_setpshared(attr, libc::PTHREAD_PROCESS_SHARED))?;
            check(libc::pthread_mutexattr_settype(attr, kind))?;
            if attributes.robust {
                check(libc::pthread_mutexattr_setrobust(attr, libc::PTHREAD_MUTEX_ROBUST))?;
            }
            if attributes.inherit {
                check(libc::pthread_mutexattr_setprotocol(attr, libc::PTHREAD_PRIO_INHERIT))?;
            }
            check(libc::pthread_mutex_init(self.0.get(), attr))?;
            check(libc::pthread_mutexattr_destroy(attr))
        }
    }

    /// Runs `section` while holding the lock. A section that panics leaves it locked.
    ///
    /// # Errors
    ///
    /// The C library refuses the lock: the caller holds it already (error-checking kind), the memory holds no mutex, or
    /// an owner's death was never repaired.
    #[inline]
    pub fn with<R>(&self, section: impl FnOnce() -> R) -> io::Result<Held<R>> {
        // SAFETY: the pointer is valid for as long as `self`.
        let outcome = unsafe { libc::pthread_mutex_lock(self.0.get()) };
        let owner_died = if outcome == 0 { false } else { self.recover(outcome)? };
        let value = section();
        // SAFETY: this thread locked it above.
        check(unsafe { libc::pthread_mutex_unlock(self.0.get()) })?;
        Ok(Held { value, owner_died })
    }

    #[cold]
    fn recover(&self, outcome: libc::c_int) -> io::Result<bool> {
        if outcome != libc::EOWNERDEAD {
            return Err(io::Error::from_raw_os_error(outcome));
        }
        // SAFETY: EOWNERDEAD means that this thread holds the lock now.
        check(unsafe { libc::pthread_mutex_consistent(self.0.get()) })?;
        Ok(true)
    }

    /// glibc's running mean of the spin count of an adaptive mutex (`__spins`).
    #[cfg(all(target_env = "gnu", target_pointer_width = "64"))]
    #[must_use]
    pub fn running_mean(&self) -> i16 {
        const OFFSET: usize = 20;
        const _: () = assert!(size_of::<libc::pthread_mutex_t>() >= OFFSET + size_of::<i16>());
        // SAFETY: inside the mutex and aligned; the field's place is part of glibc's ABI.
        unsafe { self.0.get().cast::<u8>().add(OFFSET).cast::<i16>().read_volatile() }
    }

    /// Other C libraries keep no such mean.
    #[cfg(not(all(target_env = "gnu", target_pointer_width = "64")))]
    #[must_use]
    pub fn running_mean(&self) -> i16 {
        0
    }
}

impl Default for PthreadMutex {
    fn default() -> Self {
        Self::new()
    }
}

/// Name and version of the C library in use, such as `glibc 2.36`.
#[must_use]
pub fn c_library() -> String {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: answers a constant, null-terminated string.
        let version = unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) };
        format!("glibc {}", version.to_string_lossy())
    }
    #[cfg(not(target_env = "gnu"))]
    {
        String::from("not glibc")
    }
}

fn check(outcome: libc::c_int) -> io::Result<()> {
    if outcome == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(outcome)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutex(kind: Kind) -> PthreadMutex {
        let mut mutex = PthreadMutex::new();
        mutex.init(Attributes { kind, robust: false, inherit: false }).unwrap();
        mutex
    }

    #[test]
    fn each_kind_answers_a_second_lock_in_its_own_way() {
        let recursive = mutex(Kind::Recursive);
        let twice = recursive.with(|| recursive.with(|| 7).unwrap().value).unwrap();
        assert_eq!(twice, Held { value: 7, owner_died: false });

        let checked = mutex(Kind::ErrorCheck);
        let inner = checked.with(|| checked.with(|| ()).map_err(|error| error.raw_os_error())).unwrap();
        assert_eq!(inner.value, Err(Some(libc::EDEADLK)));
    }

    #[test]
    fn a_mutex_excludes() {
        for inherit in [false, true] {
            let mut mutex = PthreadMutex::new();
            mutex.init(Attributes { kind: Kind::Normal, robust: true, inherit }).unwrap();
            let total = std::sync::atomic::AtomicU64::new(0);
            // Load and store apart: without exclusion additions get lost.
            let add = || {
                for _ in 0..20_000 {
                    let relaxed = std::sync::atomic::Ordering::Relaxed;
                    mutex.with(|| total.store(total.load(relaxed) + 1, relaxed)).unwrap();
                }
            };
            std::thread::scope(|scope| {
                scope.spawn(add);
                scope.spawn(add);
            });
            assert_eq!(total.into_inner(), 40_000);
        }
    }

    #[test]
    fn the_next_owner_learns_of_a_death() {
        let mut mutex = PthreadMutex::new();
        mutex.init(Attributes { kind: Kind::Normal, robust: true, inherit: false }).unwrap();
        let mutex = &mutex;
        // A section that panics leaves the lock held, and its thread ends.
        std::thread::scope(|scope| {
            let dying = scope.spawn(|| mutex.with(|| std::panic::resume_unwind(Box::new("dies"))));
            assert!(dying.join().is_err());
        });
        assert!(mutex.with(|| ()).unwrap().owner_died);
        assert!(!mutex.with(|| ()).unwrap().owner_died);
    }
}
