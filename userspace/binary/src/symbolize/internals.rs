//! Code that belongs to a lock itself, and not to the code that wanted it.

/// Libraries that hold locks or lead to them: every frame in one is internal.
const LIBRARIES: &[&str] =
    &["libc.so", "libc-2.", "libpthread", "ld-musl-", "libc.musl-", "ld-linux", "[vdso]"];

/// Functions, by how their names begin, or by all of it where the row ends with `$`. Any program may contain them.
const FUNCTIONS: &[&str] = &[
    // The C library, where it is part of the program.
    "pthread_mutex_",
    "pthread_rwlock_",
    "pthread_cond_",
    "pthread_spin_",
    "pthread_barrier_",
    "pthread_once$",
    "pthread_join$",
    "pthread_timedjoin_np$",
    "pthread_clockjoin_np$",
    "__pthread_",
    "___pthread_",
    "__GI___pthread_",
    "__lll_",
    "__GI___lll_",
    "lll_lock",
    "__futex_",
    "__GI___futex_",
    "futex_wait",
    "futex_abstimed_wait",
    "do_futex_wait",
    "__new_sem_",
    "__old_sem_",
    "sem_wait$",
    "sem_timedwait$",
    "sem_clockwait$",
    "mtx_lock$",
    "mtx_timedlock$",
    "cnd_wait$",
    "cnd_timedwait$",
    "thrd_join$",
    "syscall$",
    "__syscall_cp",
    "__cancellable_syscall",
    "__internal_syscall_cancel",
    "__syscall_cancel",
    "__timedwait",
    "__wait$",
    "__clone_internal",
    // C++.
    "std::mutex::",
    "std::timed_mutex::",
    "std::recursive_mutex::",
    "std::shared_mutex::",
    "std::shared_timed_mutex::",
    "std::__mutex_base",
    "std::__shared_mutex_pthread::",
    "std::lock_guard<",
    "std::unique_lock<",
    "std::shared_lock<",
    "std::scoped_lock<",
    "std::condition_variable",
    "std::_V2::condition_variable",
    "std::__atomic_wait",
    "std::__detail::__waiter",
    "std::__detail::__platform_wait",
    "std::__1::mutex::",
    "std::__1::recursive_mutex::",
    "std::__1::shared_mutex::",
    "std::__1::lock_guard<",
    "std::__1::unique_lock<",
    "std::__1::condition_variable",
    "__gthread_",
    "__gthrw_",
    "absl::Mutex::",
    "absl::MutexLock::",
    "absl::ReaderMutexLock::",
    "absl::WriterMutexLock::",
    "absl::CondVar::",
    "absl::synchronization_internal::",
    "AbslInternal",
    // Java's virtual machine.
    "os::PlatformEvent::",
    "ObjectMonitor::",
    "ObjectSynchronizer::",
    "Parker::park",
    "Unsafe_Park$",
    "InterpreterRuntime::monitorenter$",
    "SharedRuntime::monitor_enter_helper$",
    "SharedRuntime::complete_monitor_locking_C$",
    "Runtime1::monitorenter$",
    "monitorenter Runtime1 stub$",
    "monitorenter_nofpu Runtime1 stub$",
    "_complete_monitor_locking_Java$",
    // CPython: its interpreter lock, and what its other locks are made of.
    "take_gil",
    "drop_gil",
    "PyCOND_TIMEDWAIT",
    "eval_frame_handle_pending",
    "_Py_HandlePending$",
    "_PyThreadState_Attach$",
    "PyEval_RestoreThread$",
    "PyEval_SaveThread$",
    "PyEval_AcquireThread$",
    "PyEval_AcquireLock$",
    "PyGILState_Ensure$",
    "PyThread_acquire_lock",
    "acquire_timed$",
    "lock_PyThread_acquire_lock$",
    "_PySemaphore_",
    "_PyParkingLot_Park$",
    "_PyMutex_Lock",
    "PyMutex_Lock$",
    "PyEvent_Wait",
    // Node.
    "v8::internal::FutexEmulation::",
    "v8::base::ConditionVariable::",
    "v8::base::Mutex::",
    "uv_cond_",
    "uv_mutex_lock$",
    "uv_sem_wait$",
    // Rust.
    "std::sys::sync::",
    "std::sys::pal::unix::futex",
    "std::sys::pal::unix::sync",
    "std::sys::unix::futex",
    "std::sys::unix::locks",
    "std::sys_common::mutex",
    "std::sync::",
    "std::thread::park",
    "std::thread::thread::Thread>::park",
    "std::thread::thread::Thread::park",
    "std::thread::Thread::park",
    "std::thread::Inner::park",
    "std::thread::current::park",
    "parking_lot::",
    "parking_lot_core::",
    "lock_api::",
    "libc::unix::",
    "core::sync::atomic::",
    // Go.
    "runtime.futex",
    "runtime.lock",
    "runtime.notesleep",
    "runtime.notetsleep",
    "runtime.sema",
    "runtime.gopark",
    "sync.(*Mutex)",
    "sync.(*RWMutex)",
    "sync.(*WaitGroup)",
    "sync.(*Cond)",
    "internal/sync.(*Mutex)",
    "sync.runtime_Semacquire",
];

/// Functions that only hand on a system call: their caller may still be a lock.
const PASSES_ON: &[&str] = &["syscall", "__syscall_cp", "__GI_syscall"];

/// True if a file is a library of which everything is internal.
pub fn is_library(module: &str) -> bool {
    LIBRARIES.iter().any(|library| module.starts_with(library))
}

/// True if a function belongs to a lock.
pub fn is_function(name: &str) -> bool {
    // `<std::sync::poison::mutex::Mutex<T>>::lock` is one too.
    let plain = name.trim_start_matches(['<', '&']);
    let abseil = release_of_abseil(plain).map(|rest| format!("absl::{rest}"));
    let plain = abseil.as_deref().unwrap_or(plain);
    FUNCTIONS.iter().any(|row| match row.strip_suffix('$') {
        Some(whole) => plain == whole,
        None => plain.starts_with(row),
    })
}

/// Rest of a name of Abseil after its release, which is a part of every name: `lts_20220623`, or `debian3`.
fn release_of_abseil(name: &str) -> Option<&str> {
    let (release, rest) = name.strip_prefix("absl::")?.split_once("::")?;
    let number = release.strip_prefix("lts_").or_else(|| release.strip_prefix("debian"))?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some(rest)
}

/// True if a function tells nothing of what its caller is.
pub fn passes_on(name: &str) -> bool {
    PASSES_ON.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_told_from_those_who_want_them() {
        for inside in [
            "pthread_mutex_lock",
            "___pthread_mutex_lock",
            "__lll_lock_wait",
            "std::sys::sync::mutex::futex::Mutex::lock_contended",
            "<std::sync::poison::mutex::Mutex<T>>::lock",
            "std::sync::poison::mutex::Mutex<T>::lock",
            "parking_lot::raw_mutex::RawMutex::lock_slow",
            "lock_api::mutex::Mutex<R,T>::lock",
            "std::lock_guard<std::mutex>::lock_guard",
            "sync.(*Mutex).lockSlow",
            "absl::Mutex::LockSlow",
            "absl::lts_20220623::Mutex::LockSlowLoop",
            "absl::debian3::synchronization_internal::Waiter::Wait",
            "ObjectMonitor::EnterI",
        ] {
            assert!(is_function(inside), "{inside}");
        }
        for outside in [
            "enqueue",
            "main",
            "syncer",
            "std::vec::Vec<T>::push",
            "mtx_lock_all",
            "my::std::sync::lock",
            "absl::debian3::StrCat",
            "absl::lts_x::Mutex::Lock",
        ] {
            assert!(!is_function(outside), "{outside}");
        }
        assert!(is_library("libc.so.6") && is_library("ld-musl-x86_64.so.1") && is_library("libc-2.31.so"));
        assert!(!is_library("libcrypto.so.3") && !is_library("libc++.so.1"));
    }

    #[test]
    fn no_row_is_there_twice() {
        let mut rows = FUNCTIONS.to_vec();
        rows.sort_unstable();
        rows.dedup();
        assert_eq!(rows.len(), FUNCTIONS.len());
    }
}
