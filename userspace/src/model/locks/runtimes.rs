//! Whose lock it is, and what a wait in it means, by the functions on its stacks. Adding a runtime is adding rows.

use super::{StackCount, Verdict};

/// A function of a runtime that leads to waits.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose it is.
    pub runtime: &'static str,
    /// What is waited for.
    pub what: &'static str,
    /// Parts of the function's name, in this order.
    parts: &'static [&'static str],
    /// What the waits mean.
    pub meaning: Verdict,
}

const fn lock(runtime: &'static str, what: &'static str, parts: &'static [&'static str]) -> Row {
    Row { runtime, what, parts, meaning: Verdict::Contention }
}

const fn idle(runtime: &'static str, what: &'static str, parts: &'static [&'static str]) -> Row {
    Row { runtime, what, parts, meaning: Verdict::Idle }
}

/// What some programs lock with, and others wait for work with.
const fn untold(runtime: &'static str, what: &'static str, parts: &'static [&'static str]) -> Row {
    Row { runtime, what, parts, meaning: Verdict::Unclear }
}

/// Of a C library: which one, the library's name on the stack tells.
const POSIX: &str = "pthread";

/// What a thread waits for that joins another.
pub const END_OF_A_THREAD: &str = "end of a thread";

/// Of Java's virtual machine.
const HOTSPOT: &str = "HotSpot";

/// The first row that fits counts.
const ROWS: &[Row] = &[
    lock("Rust std", "mutex", &["std::sys", "Mutex", "lock_contended"]),
    lock("Rust std", "rwlock", &["std::sys", "RwLock", "_contended"]),
    idle("Rust std", "condition", &["std::sys", "Condvar", "wait"]),
    lock("Rust std", "once", &["std::sys", "Once", "wait"]),
    idle("Rust std", "parked thread", &["std::thread", "::park"]),
    lock("parking_lot", "mutex", &["parking_lot", "RawMutex", "lock_slow"]),
    lock("parking_lot", "rwlock", &["parking_lot", "RawRwLock", "_slow"]),
    lock("parking_lot", "rwlock", &["parking_lot", "RawRwLock", "wait_for_readers"]),
    idle("parking_lot", "condition", &["parking_lot", "ondvar", "wait"]),
    lock("Go", "runtime lock", &["runtime.lock2"]),
    idle("Go", "idle thread", &["runtime.notesleep"]),
    idle("Go", "idle thread", &["runtime.notetsleep"]),
    lock("abseil", "mutex", &["absl", "Mutex", "LockSlow"]),
    idle("abseil", "condition", &["absl", "CondVar", "Wait"]),
    idle("abseil", "condition", &["absl", "Mutex", "Await"]),
    lock(POSIX, "mutex", &["mutex_lock"]),
    lock(POSIX, "mutex", &["mutex_timedlock"]),
    lock(POSIX, "mutex", &["mutex_clocklock"]),
    lock(POSIX, "mutex", &["mutex_cond_lock"]),
    lock(POSIX, "mutex", &["mtx_lock"]),
    lock(POSIX, "mutex", &["mtx_timedlock"]),
    lock(POSIX, "rwlock", &["pthread_rwlock_"]),
    idle(POSIX, "condition", &["pthread_cond_"]),
    idle(POSIX, "condition", &["cnd_wait"]),
    idle(POSIX, "condition", &["cnd_timedwait"]),
    untold(POSIX, "semaphore", &["sem_wait"]),
    untold(POSIX, "semaphore", &["sem_timedwait"]),
    untold(POSIX, "semaphore", &["sem_clockwait"]),
    idle(POSIX, END_OF_A_THREAD, &["pthread_", "join"]),
    idle(POSIX, END_OF_A_THREAD, &["thrd_join"]),
    idle(POSIX, "barrier", &["pthread_barrier_wait"]),
];

/// Locks that are made of conditions: they say what a wait for such a condition means.
const MADE_OF_CONDITIONS: &[Row] = &[
    lock(HOTSPOT, "monitor", &["ObjectMonitor::EnterI"]),
    lock(HOTSPOT, "monitor", &["ObjectMonitor::ReenterI"]),
    idle(HOTSPOT, "condition", &["ObjectMonitor::wait"]),
    // A lock of java.util.concurrent, or a worker without work.
    untold(HOTSPOT, "parked thread", &["Parker::park"]),
];

/// Files of musl.
const MUSL: [&str; 2] = ["ld-musl-", "libc.musl-"];

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
/// takes a mutex again on its way out of that wait takes a mutex. The code that wanted the lock is not asked, whatever
/// its functions are called.
#[must_use]
pub fn row_of(stack: &StackCount) -> Option<&'static Row> {
    let innermost =
        |rows: &'static [Row]| inside(stack).find_map(|frame| rows.iter().find(|row| row.fits(frame)));
    innermost(MADE_OF_CONDITIONS).or_else(|| innermost(ROWS))
}

/// Whose lock a stack leads to.
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

/// What most of some stacks lead to: runtime and what is waited for, such as `Rust std` and `mutex`.
#[must_use]
pub fn most(stacks: &[StackCount]) -> Option<(&'static str, &'static str)> {
    let mut counts: Vec<((&'static str, &'static str), u64)> = Vec::new();
    for stack in stacks {
        let (Some(row), Some(runtime)) = (row_of(stack), runtime_of(stack)) else { continue };
        let found = (runtime, row.what);
        match counts.iter_mut().find(|(known, _)| *known == found) {
            Some((_, count)) => *count += stack.count,
            None => counts.push((found, stack.count)),
        }
    }
    let all: u64 = stacks.iter().map(|stack| stack.count).sum();
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
        assert_eq!(found(&["ld-musl-x86_64.so.1+0x5", "pthread_mutex_timedlock"]), Some(("musl", "mutex")));
        assert_eq!(found(&["absl::lts_1::Mutex::LockSlowLoop", "x"]), Some(("abseil", "mutex")));
        let enter = ["pthread_cond_timedwait", "os::PlatformEvent::park", "ObjectMonitor::EnterI"];
        assert_eq!(found(&enter), Some((HOTSPOT, "monitor")));
        let wait =
            ["pthread_cond_wait", "os::PlatformEvent::park", "ObjectMonitor::wait", "ObjectMonitor::enter"];
        assert_eq!(row_of(&stack(&wait, None)).unwrap().meaning, Verdict::Idle);
        assert_eq!(
            row_of(&stack(&["pthread_cond_wait", "Parker::park"], None)).unwrap().meaning,
            Verdict::Unclear
        );
        assert_eq!(found(&["pthread_timedjoin_np"]), Some((POSIX, "end of a thread")));
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
