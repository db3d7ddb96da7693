//! Reads `/proc` for processes and threads.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
};

use pulse_trace_common::target::COMM_LEN;

use super::TargetError;

const PF_KTHREAD: u64 = 0x0020_0000;

/// Fields of `/proc/PID/stat` that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Letter of the state.
    pub state: char,
    /// Id of the parent process.
    pub parent: u32,
    /// Flags of the kernel's task.
    pub flags: u64,
    /// Minor and major page faults so far.
    pub faults: [u64; 2],
    /// Start time, in clock ticks since boot: with the id, it identifies a process for good.
    pub started: u64,
}

impl Stat {
    /// True for a kernel thread.
    pub fn is_kernel_thread(&self) -> bool {
        self.flags & PF_KTHREAD != 0
    }

    /// True if it has ended already.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// Reads a file that contains names: those may be no UTF-8, and the rest of the file is still needed.
///
/// # Errors
/// When the file cannot be read.
pub fn text(path: &str) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}

/// Reads `/proc/PID/stat`; `None` where there is no such process.
pub fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&text(&format!("/proc/{pid}/stat")).ok()?)
}

/// Reads `/proc/PID/stat` of a process that is alive: its first thread may have ended while others live.
pub fn living(pid: u32) -> Option<Stat> {
    stat(pid).filter(|stat| !stat.is_dead() || lives_on(pid))
}

/// True if the first thread of a process has ended and others live on.
pub fn lives_on(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| stat.is_dead())
        && threads(pid).into_iter().any(|tid| tid != pid && has_thread(pid, tid))
}

/// Reads the stat line of one thread. For a process the kernel would add up all of its threads, at every request.
pub fn thread_stat(tid: u32) -> Option<Stat> {
    parse_stat(&text(&format!("/proc/{tid}/task/{tid}/stat")).ok()?)
}

/// Resident memory of a process, bytes. Pages of BPF maps that are mapped there belong to the kernel, and are counted
/// with its memory.
pub fn resident_bytes(pid: u32) -> u64 {
    let field = |name: &str| {
        let field = status_field(pid, name)?;
        field.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    (field("RssAnon:").unwrap_or(0) + field("RssFile:").unwrap_or(0)) * 1024
}

/// Parses a stat line. The name in parentheses may hold anything, parentheses included.
fn parse_stat(line: &str) -> Option<Stat> {
    let mut fields = line[line.rfind(')')? + 1..].split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let flags = fields.nth(4)?.parse().ok()?;
    let minor = fields.next()?.parse().ok()?;
    let major = fields.nth(1)?.parse().ok()?;
    let started = fields.nth(9)?.parse().ok()?;
    Some(Stat { state, parent, flags, faults: [minor, major], started })
}

/// The name of a process or thread, as the kernel has it.
pub fn comm(tid: u32) -> Option<[u8; COMM_LEN]> {
    let name = fs::read(format!("/proc/{tid}/comm")).ok()?;
    let mut comm = [0; COMM_LEN];
    let name = name.strip_suffix(b"\n").unwrap_or(&name);
    let len = name.len().min(COMM_LEN - 1);
    comm[..len].copy_from_slice(&name[..len]);
    Some(comm)
}

/// Text of `/proc/PID/maps`; `None` where it cannot be read.
pub fn maps(pid: u32) -> Option<Vec<u8>> {
    fs::read(format!("/proc/{pid}/maps")).ok()
}

/// Process id of a thread.
pub fn tgid(tid: u32) -> Option<u32> {
    status_field(tid, "Tgid:")?.parse().ok()
}

/// A field of `/proc/PID/status`.
pub fn status_field(pid: u32, field: &str) -> Option<String> {
    let status = text(&format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim().to_owned())
}

/// Thread ids of a process; empty once it is gone.
pub fn threads(pid: u32) -> Vec<u32> {
    numbers(&format!("/proc/{pid}/task")).unwrap_or_default()
}

/// Ids of all processes.
pub fn processes() -> Result<Vec<u32>, TargetError> {
    numbers("/proc").map_err(|cause| TargetError::Procfs { path: "/proc".to_owned(), cause })
}

/// Live descendants of these processes, each with its parent; without the tool itself.
pub fn descendants(roots: &[u32]) -> Vec<(u32, u32)> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for (pid, parent) in parents() {
        children.entry(parent).or_default().push(pid);
    }
    let mut seen: HashSet<u32> = roots.iter().copied().chain([std::process::id()]).collect();
    let (mut open, mut found) = (roots.to_vec(), Vec::new());
    while let Some(parent) = open.pop() {
        for pid in children.remove(&parent).into_iter().flatten().filter(|pid| seen.insert(*pid)) {
            found.push((pid, parent));
            open.push(pid);
        }
    }
    found
}

/// A process, and all of its live descendants.
pub fn family(pid: u32) -> Vec<u32> {
    [pid].into_iter().chain(descendants(&[pid]).into_iter().map(|(pid, _)| pid)).collect()
}

/// All live processes, each with its parent.
pub fn parents() -> Vec<(u32, u32)> {
    let all = processes().unwrap_or_default();
    all.into_iter().filter_map(|pid| Some((pid, living(pid)?.parent))).collect()
}

/// Number of threads of each live process, without kernel threads.
pub fn processes_of_users() -> impl Iterator<Item = usize> {
    let all = processes().unwrap_or_default().into_iter();
    let of_users = all.filter(|pid| living(*pid).is_some_and(|stat| !stat.is_kernel_thread()));
    of_users.map(|pid| threads(pid).len())
}

fn numbers(directory: &str) -> io::Result<Vec<u32>> {
    Ok(fs::read_dir(directory)?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect())
}

/// True if a thread exists as a part of a process.
pub fn has_thread(pid: u32, tid: u32) -> bool {
    let stat = text(&format!("/proc/{pid}/task/{tid}/stat"));
    stat.ok().and_then(|line| parse_stat(&line)).is_some_and(|stat| !stat.is_dead())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_full_of_parentheses_does_not_shift_the_fields() {
        let line = "7 (a) S (b) R 1 7 7 0 -1 4194560 10 0 3 0 1 2 0 0 20 0 1 0 4242 1000 50";
        let stat = Stat { state: 'R', parent: 1, flags: 4_194_560, faults: [10, 3], started: 4242 };
        assert_eq!(parse_stat(line), Some(stat));
        assert_eq!(parse_stat("7 (cut) S 1"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn this_process_is_found() {
        let me = std::process::id();
        assert!(stat(me).is_some_and(|stat| !stat.is_dead() && !stat.is_kernel_thread()));
        assert!(has_thread(me, me));
        assert_eq!(tgid(me), Some(me));
        assert!(threads(me).contains(&me));
    }

    #[test]
    fn a_thread_whose_name_is_no_text_is_found_too() {
        let named = std::thread::spawn(|| {
            rustix::thread::set_name(c"\xff) R \x1b\n").unwrap();
            let (me, tid) = (std::process::id(), rustix::thread::gettid().as_raw_nonzero().get() as u32);
            (thread_stat(tid).map(|stat| stat.state), has_thread(me, tid), tgid(tid) == Some(me), comm(tid))
        });
        let (state, found, of_us, comm) = named.join().unwrap();
        assert_eq!((state, found, of_us), (Some('R'), true, true));
        assert_eq!(&comm.unwrap()[..7], b"\xff) R \x1b\n");
    }
}
