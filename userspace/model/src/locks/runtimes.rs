//! Runtime of a lock and meaning of a wait in it, by the functions on its stacks. Adding a runtime is adding rows.

use super::{StackCount, Verdict};

/// A function of a runtime that leads to waits.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// Name of the runtime.
    pub runtime: &'static str,
    /// Name of the thing that is waited for.
    pub what: &'static str,
    /// Parts of the function's name, in this order.
    parts: &'static [&'static str],
    /// Meaning of the waits.
    pub meaning: Verdict,
}

const fn lock(runtime: &'static str, what: &'static str, parts: &'static [&'static str]) -> Row {
    Row { runtime, what, parts, meaning: Verdict::Contention }
}

/// A condition or an event, on which locks may be built that this table does not know.
const fn waiting(runtime: &'static str, what: &'static str, parts: &'static [&'static str]) -> Row {
    Row { runtime, what, parts, meaning: Verdict::Waiting }
}

const fn idle(runtime: &'static str, what: &'static str, parts: &'static [&'static str]) -> Row {
    Row { runtime, what, parts, meaning: Verdict::Idle }
}

/// An object that some programs lock with and others wait for work with.
const fn untold(runtime: &'static str, what: &'static str, parts: &'static [&'static str]) -> Row {
    Row { runtime, what, parts, meaning: Verdict::Unclear }
}

/// Of a C library: which one, the library's name on the stack tells.
const POSIX: &str = "pthread";

/// Name of the wait of a thread that joins another.
pub const END_OF_A_THREAD: &str = "end of a thread";

/// Of Java's virtual machine.
const HOTSPOT: &str = "HotSpot";
/// A lock of Java's, which waits at an event of the thread that wants it.
pub const MONITOR: &str = "monitor";

/// Of Python's usual interpreter.
const CPYTHON: &str = "CPython";
/// The lock of that interpreter, which its threads run under.
pub const GIL: &str = "GIL";

/// The first row that fits counts.
const ROWS: &[Row] = &[
    lock("Rust std", "mutex", &["std::sys", "Mutex", "lock_contended"]),
    lock("Rust std", "rwlock", &["std::sys", "RwLock", "_contended"]),
    waiting("Rust std", "condition", &["std::sys", "Condvar", "wait"]),
    lock("Rust std", "once", &["std::sys", "Once", "wait"]),
    waiting("Rust std", "parked thread", &["std::thread", "::park"]),
    lock("parking_lot", "mutex", &["parking_lot", "RawMutex", "lock_slow"]),
    lock("parking_lot", "rwlock", &["parking_lot", "RawRwLock", "_slow"]),
    lock("parking_lot", "rwlock", &["parking_lot", "RawRwLock", "wait_for_readers"]),
    waiting("parking_lot", "condition", &["parking_lot", "ondvar", "wait"]),
    lock("Go", "runtime lock", &["runtime.lock2"]),
    idle("Go", "idle thread", &["runtime.notesleep"]),
    idle("Go", "idle thread", &["runtime.notetsleep"]),
    lock("abseil", "mutex", &["absl", "Mutex", "LockSlow"]),
    waiting("abseil", "condition", &["absl", "CondVar", "Wait"]),
    waiting("abseil", "condition", &["absl", "Mutex", "Await"]),
    lock(POSIX, "mutex", &["mutex_lock"]),
    lock(POSIX, "mutex", &["mutex_timedlock"]),
    lock(POSIX, "mutex", &["mutex_clocklock"]),
    lock(POSIX, "mutex", &["mutex_cond_lock"]),
    lock(POSIX, "mutex", &["mtx_lock"]),
    lock(POSIX, "mutex", &["mtx_timedlock"]),
    lock(POSIX, "rwlock", &["pthread_rwlock_"]),
    waiting(POSIX, "condition", &["pthread_cond_"]),
    waiting(POSIX, "condition", &["cnd_wait"]),
    waiting(POSIX, "condition", &["cnd_timedwait"]),
    untold(POSIX, "semaphore", &["sem_wait"]),
    untold(POSIX, "semaphore", &["sem_timedwait"]),
    untold(POSIX, "semaphore", &["sem_clockwait"]),
    idle(POSIX, END_OF_A_THREAD, &["pthread_", "join"]),
    idle(POSIX, END_OF_A_THREAD, &["thrd_join"]),
    waiting(POSIX, "barrier", &["pthread_barrier_wait"]),
];

/// Locks that are built on other locks, conditions and semaphores: they say what a wait for such a part means.
const BUILT_ON_OTHERS: &[Row] = &[
    lock(HOTSPOT, MONITOR, &["ObjectMonitor::EnterI"]),
    lock(HOTSPOT, MONITOR, &["ObjectMonitor::ReenterI"]),
    waiting(HOTSPOT, "condition", &["ObjectMonitor::wait"]),
    // A lock of java.util.concurrent, or a worker without work.
    untold(HOTSPOT, "parked thread", &["Parker::park"]),
    lock(CPYTHON, GIL, &["take_gil"]),
    // A thread that was asked for it waits until another one has it.
    lock(CPYTHON, GIL, &["drop_gil"]),
    waiting(CPYTHON, "event", &["PyEvent_Wait"]),
    // Locks, queues and events of the module threading are all made of these.
    untold(CPYTHON, "lock", &["PyThread_acquire_lock"]),
    untold(CPYTHON, "lock", &["PyMutex_Lock"]),
    untold("V8", "Atomics.wait", &["FutexEmulation::Wait"]),
];

/// The lock that a stripped interpreter takes in functions without names.
const NAMELESS_GIL: Row = lock(CPYTHON, GIL, &[]);

/// Files that CPython's interpreter is in.
const CPYTHON_FILES: [&str; 2] = ["python3", "libpython3"];
/// Exported functions of CPython that take the GIL or hand it on, by way of functions that are not.
const GIL_USERS: [&str; 8] = [
    "_PyEval_EvalFrameDefault",
    "PyEval_RestoreThread",
    "PyEval_SaveThread",
    "PyEval_AcquireThread",
    "PyEval_ReleaseThread",
    "PyEval_AcquireLock",
    "PyGILState_Ensure",
    "PyGILState_Release",
];

/// Files of musl.
const MUSL: [&str; 3] = ["ld-musl-", "libc.musl-", "libc.so+"];

impl Row {
    fn fits(&self, function: &str) -> bool {
        let mut rest = function;
        self.parts.iter().all(|part| match rest.split_once(part) {
            Some((_, behind)) => {
                rest = behind;
                true
            }
            None => false,
        })
    }
}

/// The row of the innermost function that has one: a thread that waits for a condition may hold nothing, and one that
/// takes a mutex again on its way out of that wait takes a mutex. The names of the functions that wanted the lock
/// do not matter.
#[must_use]
pub fn row_of(stack: &StackCount) -> Option<&'static Row> {
    let innermost =
        |rows: &'static [Row]| inside(stack).find_map(|frame| rows.iter().find(|row| row.fits(frame)));
    innermost(BUILT_ON_OTHERS)
        .or_else(|| takes_nameless_gil(stack).then_some(&NAMELESS_GIL))
        .or_else(|| innermost(ROWS))
}

/// True of a function without a name that a user of the GIL calls and that waits for a mutex or a condition. The
/// interpreter itself has no other ones: its further locks are semaphores, and those of extensions lie in files
/// of their own.
fn takes_nameless_gil(stack: &StackCount) -> bool {
    let is_nameless = |frame: &&String| {
        let file = frame.rsplit_once("+0x").map(|(file, _)| file);
        file.is_some_and(|file| CPYTHON_FILES.iter().any(|name| file.starts_with(name)))
    };
    let Some(at) = stack.frames.iter().position(|frame| is_nameless(&frame)) else { return false };
    let (waits, callers) = stack.frames.split_at(at);
    let is_part = |frame: &String| frame.contains("mutex_lock") || frame.contains("pthread_cond_");
    // What the C library exports no name for may come first.
    let user = callers.iter().find(|frame| !is_nameless(frame));
    let user = user.map(|frame| frame.split('+').next().unwrap_or(frame));
    waits.iter().any(is_part) && user.is_some_and(|name| GIL_USERS.contains(&name))
}

/// The runtime of the lock that a stack leads to.
#[must_use]
pub fn runtime_of(stack: &StackCount) -> Option<&'static str> {
    let row = row_of(stack)?;
    let is_musl = || inside(stack).any(|frame| MUSL.iter().any(|file| frame.starts_with(file)));
    Some(if row.runtime == POSIX && is_musl() { "musl" } else { row.runtime })
}

/// Frames of the lock itself.
fn inside(stack: &StackCount) -> impl Iterator<Item = &String> {
    let caller = stack.caller.as_ref();
    stack.frames.iter().take_while(move |frame| Some(*frame) != caller)
}

/// Runtime and kind of wait that most of some stacks lead to, such as `Rust std` and `mutex`.
#[must_use]
pub fn most<'a>(stacks: impl IntoIterator<Item = &'a StackCount>) -> Option<(&'static str, &'static str)> {
    let mut counts: Vec<((&'static str, &'static str), u64)> = Vec::new();
    let mut all = 0;
    for stack in stacks {
        all += stack.count;
        let (Some(row), Some(runtime)) = (row_of(stack), runtime_of(stack)) else { continue };
        let found = (runtime, row.what);
        match counts.iter_mut().find(|(known, _)| *known == found) {
            Some((_, count)) => *count += stack.count,
            None => counts.push((found, stack.count)),
        }
    }
    counts.into_iter().max_by_key(|(_, count)| *count).filter(|(_, count)| count * 2 > all).map(|(it, _)| it)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(frames: &[&str], caller: Option<&str>) -> StackCount {
        let frames = frames.iter().map(|frame| (*frame).to_owned()).collect();
        StackCount { frames, caller: caller.map(str::to_owned), cut: None, count: 1 }
    }

    fn found(frames: &[&str]) -> Option<(&'static str, &'static str)> {
        most(&[stack(frames, None)])
    }

    #[test]
    fn each_runtime_has_its_own_names_in_either_mangling() {
        let rust = Some(("Rust std", "mutex"));
        assert_eq!(found(&["syscall", "std::sys::sync::mutex::futex::Mutex::lock_contended", "work"]), rust);
        assert_eq!(found(&["syscall", "<std::sys::sync::mutex::futex::Mutex>::lock_contended"]), rust);
        assert_eq!(
            found(&["syscall", "std::sys::sync::rwlock::futex::RwLock::write_contended"]),
            Some(("Rust std", "rwlock"))
        );
        assert_eq!(found(&["parking_lot::raw_mutex::RawMutex::lock_slow"]), Some(("parking_lot", "mutex")));
        let parker = "<parking_lot_core::thread_parker::imp::ThreadParker as ..>::park";
        let condvar = "parking_lot::condvar::Condvar::wait_until_internal";
        assert_eq!(found(&["syscall", parker, condvar]), Some(("parking_lot", "condition")));
        assert_eq!(found(&["runtime.futex", "runtime.futexsleep", "runtime.lock2"]).unwrap().0, "Go");
        assert_eq!(found(&["libc.so.6+0x85f04", "pthread_mutex_lock"]), Some((POSIX, "mutex")));
        for library in ["ld-musl-x86_64.so.1+0x5", "libc.so+0x5"] {
            assert_eq!(found(&[library, "pthread_mutex_timedlock"]), Some(("musl", "mutex")));
        }
        assert_eq!(found(&["absl::lts_1::Mutex::LockSlowLoop", "x"]), Some(("abseil", "mutex")));
        let enter = ["pthread_cond_timedwait", "os::PlatformEvent::park", "ObjectMonitor::EnterI"];
        assert_eq!(found(&enter), Some((HOTSPOT, "monitor")));
        let wait =
            ["pthread_cond_wait", "os::PlatformEvent::park", "ObjectMonitor::wait", "ObjectMonitor::enter"];
        assert_eq!(row_of(&stack(&wait, None)).unwrap().meaning, Verdict::Waiting);
        assert_eq!(
            row_of(&stack(&["pthread_cond_wait", "Parker::park"], None)).unwrap().meaning,
            Verdict::Unclear
        );
        assert_eq!(found(&["pthread_timedjoin_np"]), Some((POSIX, "end of a thread")));
    }

    #[test]
    fn the_lock_of_an_interpreter_is_no_condition_with_or_without_names() {
        let gil = Some((CPYTHON, GIL));
        let named =
            ["__futex_abstimed_wait_common64", "pthread_cond_timedwait", "PyCOND_TIMEDWAIT", "take_gil"];
        assert_eq!(found(&named), gil);
        assert_eq!(found(&["pthread_mutex_lock", "take_gil.constprop.0", "PyEval_RestoreThread"]), gil);
        assert_eq!(found(&["pthread_cond_wait", "drop_gil", "_Py_HandlePending"]), gil);
        let nameless = ["libc.so.6+0x85e53", "pthread_cond_timedwait", "python3.11+0x4f94ee"];
        for user in ["_PyEval_EvalFrameDefault", "PyEval_RestoreThread", "PyEval_RestoreThread+0x1f"] {
            assert_eq!(found(&[&nameless[..], &[user]].concat()), gil, "{user}");
            let deeper = ["libpython3.13.so.1.0+0x1", "libpython3.13.so.1.0+0x2", user];
            assert_eq!(found(&[&nameless[..2], &deeper].concat()), gil, "{user}");
        }
        // A condition of an extension, and of a function that the interpreter calls by an object.
        let condition = Some((POSIX, "condition"));
        assert_eq!(found(&["pthread_cond_wait", "_ext.so+0x10", "_PyEval_EvalFrameDefault"]), condition);
        assert_eq!(found(&["pthread_cond_wait", "python3.11+0x10", "PyObject_Vectorcall"]), condition);
        // Locks of programs wait for semaphores; so do queues.
        let lock =
            ["sem_wait", "PyThread_acquire_lock_timed", "python3.11+0x5899af", "_PyEval_EvalFrameDefault"];
        assert_eq!(found(&lock), Some((CPYTHON, "lock")));
        assert_eq!(row_of(&stack(&lock, None)).unwrap().meaning, Verdict::Unclear);
    }

    #[test]
    fn a_wait_of_shared_memory_in_a_script_may_be_a_lock() {
        let frames =
            ["pthread_cond_wait", "v8::internal::FutexEmulation::WaitSync<int>", "Builtin_AtomicsWait"];
        let row = row_of(&stack(&frames, None)).unwrap();
        assert_eq!((row.runtime, row.what, row.meaning), ("V8", "Atomics.wait", Verdict::Unclear));
    }

    #[test]
    fn who_wants_a_lock_does_not_say_what_it_is() {
        assert_eq!(most(&[stack(&["syscall", "test_mutex_lock", "main"], Some("test_mutex_lock"))]), None);
        assert_eq!(found(&["syscall", "enqueue"]), None);
    }

    #[test]
    fn what_most_stacks_say_counts_and_half_is_not_most() {
        let lock = stack(&["pthread_mutex_lock"], None);
        let other = stack(&["enqueue"], None);
        assert_eq!(most(&[lock.clone(), other.clone()]), None);
        assert_eq!(most(&[lock.clone(), lock, other]), Some((POSIX, "mutex")));
    }
}
