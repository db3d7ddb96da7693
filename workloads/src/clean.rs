//! Nothing is left behind: unique names, removal on every way out, and a sweep after runs that were killed.
//!
//! A name carries the pid and the start time of its owner, so a leftover of a killed run can be told from a file of a
//! living one even after the pid was used again. Best of all is still to unlink a name as soon as all processes have it
//! open.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sys::mqueue;

const PREFIX: &str = "pulse-trace";
/// Directories of named objects; files of POSIX shared memory and message queues are plain files here.
const PLACES: [&str; 3] = ["/dev/shm", "/dev/mqueue", "/tmp"];

/// A name no other run has: `pulse-trace.<family>.<pid>-<start>.<n>`. No slash; prepend one for `shm_open`, `mq_open`.
#[must_use]
pub fn unique_name(family: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let nth = NEXT.fetch_add(1, Ordering::Relaxed);
    let pid = process::id();
    format!("{PREFIX}.{family}.{pid}-{}.{nth}", start_time(pid).unwrap_or(0))
}

/// A unique path in the directory for temporary files (`TMPDIR`, else `/tmp`).
#[must_use]
pub fn unique_path(family: &str) -> PathBuf {
    std::env::temp_dir().join(unique_name(family))
}

/// Removes a name when dropped: on return, on an error, on a panic and, because the stop signals only set a flag, on
/// those too.
#[derive(Debug)]
pub struct Removal {
    thing: Option<Thing>,
}

#[derive(Debug)]
enum Thing {
    Path(PathBuf),
    /// `/dev/mqueue` need not be mounted, so a queue is no path.
    Queue(String),
}

impl Removal {
    /// Guards a file or a directory; for shared memory give `/dev/shm/NAME`.
    #[must_use]
    pub fn of(path: impl Into<PathBuf>) -> Self {
        Self { thing: Some(Thing::Path(path.into())) }
    }

    /// Guards a POSIX message queue, named `/NAME`.
    #[must_use]
    pub fn of_queue(name: impl Into<String>) -> Self {
        Self { thing: Some(Thing::Queue(name.into())) }
    }

    /// The guarded path, for as long as it is guarded; none for a queue.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.thing {
            Some(Thing::Path(path)) => Some(path),
            _ => None,
        }
    }

    /// Removes now: right after everybody has it open, so that even SIGKILL leaves nothing.
    pub fn now(&mut self) {
        match self.thing.take() {
            Some(Thing::Path(path)) => {
                remove(&path);
            }
            // Gone already when another side was first.
            Some(Thing::Queue(name)) => drop(mqueue::unlink(&name)),
            None => {}
        }
    }

    /// Removes nothing any more.
    pub fn keep(&mut self) {
        self.thing = None;
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        self.now();
    }
}

/// Removes what killed runs of `family` left; answers how many things. Living owners are never touched.
pub fn sweep(family: &str) -> usize {
    let temporary = std::env::temp_dir();
    let mut places: Vec<&Path> = PLACES.iter().map(Path::new).collect();
    if !places.contains(&temporary.as_path()) {
        places.push(&temporary);
    }
    places.into_iter().map(|place| sweep_in(place, family)).sum()
}

fn sweep_in(place: &Path, family: &str) -> usize {
    // A place that does not exist or may not be read holds nothing of ours.
    let Ok(entries) = fs::read_dir(place) else { return 0 };
    let dead = |name: &str| owner(name, family).is_some_and(|(pid, start)| start_time(pid) != Some(start));
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(dead) && remove(&entry.path()))
        .count()
}

fn remove(path: &Path) -> bool {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => fs::remove_dir_all(path).is_ok(),
        outcome => outcome.is_ok(),
    }
}

/// Pid and start time in a name of `family`.
fn owner(name: &str, family: &str) -> Option<(u32, u64)> {
    let rest = name.strip_prefix(PREFIX)?.strip_prefix('.')?.strip_prefix(family)?.strip_prefix('.')?;
    let (pid, start) = rest.split('.').next()?.split_once('-')?;
    Some((pid.parse().ok()?, start.parse().ok()?))
}

/// Start time of a process in clock ticks since boot; none when it is gone.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may itself hold blanks and parentheses: count from the last one.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_carry_their_owner() {
        let (one, two) = (unique_name("test"), unique_name("test"));
        assert_ne!(one, two);
        let (pid, start) = owner(&one, "test").unwrap();
        assert_eq!((pid, Some(start)), (process::id(), start_time(pid)));
        assert_eq!(owner(&one, "tes"), None);
        assert_eq!(owner("other.user", "test"), None);
    }

    #[test]
    fn the_sweep_takes_the_dead_and_spares_the_living() {
        let family = format!("sweep{}", process::id());
        let living = unique_path(&family);
        let dead = std::env::temp_dir().join(format!("{PREFIX}.{family}.{}-1.0", process::id()));
        fs::write(&living, "x").unwrap();
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join("inside"), "x").unwrap();
        assert_eq!(sweep(&family), 1);
        assert!(living.exists() && !dead.exists());
        drop(Removal::of(&living));
        assert!(!living.exists());
    }

    #[test]
    fn a_guard_can_be_told_to_keep() {
        let path = unique_path("keep");
        fs::write(&path, "x").unwrap();
        let mut guard = Removal::of(&path);
        guard.keep();
        drop(guard);
        assert!(path.exists());
        fs::remove_file(path).unwrap();
    }
}
