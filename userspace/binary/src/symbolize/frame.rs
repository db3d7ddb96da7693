//! One function in a stack.

use serde::{Deserialize, Serialize};

use std::{fmt, sync::Arc};

use super::{internals, stack::Spot};

/// One function in a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Its name; `None` where nothing names it.
    pub function: Option<Arc<str>>,
    /// Bytes from the start of the function; `None` where that is unknown, and for one that was written into another.
    pub offset: Option<u64>,
    /// File that it was loaded from.
    pub module: Arc<str>,
    /// Address in that file, as its symbols count.
    pub address: u64,
    /// Source file and line.
    pub location: Option<(Arc<str>, u32)>,
    /// The compiler wrote it into the next one.
    pub inlined: bool,
    /// Unwind information leads from the frame before to this one. Otherwise only a frame pointer did, and callers in
    /// between may be missing.
    pub is_certain: bool,
}

impl Frame {
    /// A frame with a name and nothing else, for tests of what shows it.
    #[cfg(test)]
    pub fn named(function: &str, module: &str) -> Self {
        Self {
            function: Some(Arc::from(function)),
            offset: Some(0x2a),
            module: Arc::from(module),
            address: 0x102a,
            location: None,
            inlined: false,
            is_certain: true,
        }
    }

    /// A frame of which nothing could be read.
    #[must_use]
    pub fn unread(spot: &Spot) -> Self {
        Self {
            function: None,
            offset: None,
            module: Arc::from("[unread]"),
            address: spot.offset,
            location: None,
            inlined: false,
            is_certain: false,
        }
    }

    /// The name of the function, or its place where it has none.
    pub fn title(&self) -> String {
        match &self.function {
            Some(function) => function.to_string(),
            None => format!("{}+{:#x}", self.module, self.address),
        }
    }

    fn is_internal(&self) -> bool {
        internals::is_library(&self.module) || self.function.as_deref().is_some_and(internals::is_function)
    }
}

impl fmt::Display for Frame {
    /// As `enqueue+0x2a`, `enqueue (inlined)`, or `app+0x12f0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title())?;
        match self.offset {
            Some(offset) if self.function.is_some() => write!(f, "+{offset:#x}"),
            _ if self.inlined => f.write_str(" (inlined)"),
            _ => Ok(()),
        }
    }
}

/// Index of the first frame outside of the lock itself.
#[must_use]
pub fn first_outside(frames: &[Frame]) -> Option<usize> {
    let mut rest = frames.iter().enumerate();
    rest.find(|(at, frame)| !frame.is_internal() && !is_part_of_internal(&frames[*at..])).map(|(at, _)| at)
}

/// True if the first frame was written into a function of a lock, and has a name too bare to tell whose it is: with
/// line tables alone, compilers note no more than `lock`.
fn is_part_of_internal(frames: &[Frame]) -> bool {
    let has_path =
        |name: &str| name.starts_with('<') || name.split('<').next().is_some_and(|own| own.contains("::"));
    let is_bare = frames[0].inlined && !frames[0].function.as_deref().is_some_and(has_path);
    is_bare && frames.iter().find(|frame| !frame.inlined).is_some_and(Frame::is_internal)
}

/// The code that wanted the lock: the first frame outside of the lock itself, as `enqueue+0x2a`. `None` where that
/// cannot be told: the stack ends before, callers may be missing before it, or the lock is compiled into a
/// program without names.
#[must_use]
pub fn caller(frames: &[Frame]) -> Option<String> {
    let inside = first_outside(frames)?;
    let frame = &frames[inside];
    if !frames[..=inside].iter().all(|frame| frame.is_certain) {
        return None;
    }
    let entry = inside.checked_sub(1).and_then(|last| frames.get(last));
    let by_system_call = entry.and_then(|entry| entry.function.as_deref()).is_none_or(internals::passes_on);
    // A frame without a name may be of a lock unless it called one.
    if frame.function.is_none() && by_system_call {
        return None;
    }
    let holder = frames[inside..].iter().find(|frame| !frame.inlined).filter(|_| frame.inlined);
    Some(match holder {
        Some(holder) => format!("{} (inlined in {holder})", frame.title()),
        None => frame.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_is_the_first_outside_of_the_lock() {
        let wait = Frame::named("__futex_abstimed_wait", "libc.so.6");
        let lock = Frame::named("pthread_mutex_lock", "libc.so.6");
        let (enqueue, main) = (Frame::named("enqueue", "app"), Frame::named("main", "app"));
        let frames = [wait, lock, enqueue, main];
        assert_eq!(caller(&frames).as_deref(), Some("enqueue+0x2a"));
        assert_eq!(caller(&frames[..2]), None);
        assert_eq!(caller(&[]), None);
    }

    #[test]
    fn a_caller_that_was_inlined_names_its_holder() {
        let mut enqueue = Frame::named("enqueue", "app");
        (enqueue.inlined, enqueue.offset) = (true, None);
        let frames = [Frame::named("pthread_mutex_lock", "libc.so.6"), enqueue, Frame::named("run", "app")];
        assert_eq!(caller(&frames).as_deref(), Some("enqueue (inlined in run+0x2a)"));
    }

    #[test]
    fn a_bare_name_inside_of_a_lock_is_part_of_it() {
        let inlined = |name| Frame { inlined: true, offset: None, ..Frame::named(name, "app") };
        let (lock, work) = (Frame::named("std::sync::Mutex<T>::lock", "app"), Frame::named("work", "app"));
        let frames = [inlined("futex_wait<a::B>"), inlined("lock"), lock.clone(), work.clone()];
        assert_eq!(caller(&frames).as_deref(), Some("work+0x2a"));
        // A path says whose it is.
        let frames = [inlined("app::closure"), lock, work];
        assert!(caller(&frames).is_some_and(|caller| caller.starts_with("app::closure (inlined in")));
    }

    #[test]
    fn a_caller_behind_a_gap_is_not_named() {
        let mut enqueue = Frame::named("enqueue", "app");
        enqueue.is_certain = false;
        assert_eq!(caller(&[Frame::named("__lll_lock_wait", "libc.so.6"), enqueue]), None);
    }

    #[test]
    fn without_names_only_what_called_a_known_lock_is_its_caller() {
        let nameless = Frame { function: None, offset: None, ..Frame::named("", "app") };
        let lock = Frame::named("pthread_mutex_lock", "libc.so.6");
        assert_eq!(caller(&[lock, nameless.clone()]).as_deref(), Some("app+0x102a"));
        // It may be the slow path of a lock in the program itself.
        assert_eq!(caller(&[Frame::named("syscall", "libc.so.6"), nameless.clone()]), None);
        assert_eq!(caller(&[nameless]), None);
    }
}
