//! Names of code that a process makes at run time, as its own runtime writes them down: `/tmp/perf-PID.map`.
//!
//! The file is the target's word about itself, in a directory that others may write to. It is read only if it is a
//! regular file, no symbolic link, of the target's user or of root, not too large, and not older than the process, whose
//! id another one may have had; its names are cleaned.

use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::Arc,
};

use model::text::printable;
use rustix::fs::{Mode, OFlags, open, openat};

/// Larger files are left alone: some 500,000 functions.
const LARGEST: u64 = 64 << 20;
/// Longer names are cut.
const LONGEST: usize = 512;
/// Seconds by which the clocks may differ that times of files and of processes are taken from.
const SLACK: i64 = 2;
/// Functions that may have been made at the same address, one after the other, before an older one is found no more.
const OVERLAPS: usize = 32;

/// The names of one process.
pub struct PerfMap {
    /// The target's `/tmp`, kept open: the file is often written only as the process ends.
    directory: File,
    name: String,
    owner: u32,
    /// Start of the process, in seconds of the wall clock.
    started: i64,
    /// Inode, length and time of the last change of what was read.
    read: Option<(u64, u64, i64, i64)>,
    /// Sorted by first address, and for equal ones as they were written.
    functions: Vec<Function>,
}

struct Function {
    start: u64,
    end: u64,
    name: Arc<str>,
}

impl PerfMap {
    /// The place where a process would write its file; `None` where that cannot be looked at.
    pub fn of(pid: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let (inner, owner) = inner_pid_and_user(&status)?;
        Self::at(Path::new(&format!("/proc/{pid}/root/tmp")), inner, owner, started(pid)?)
    }

    fn at(directory: &Path, pid: u32, owner: u32, started: i64) -> Option<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = File::from(open(directory, flags, Mode::empty()).ok()?);
        Some(Self {
            directory,
            name: format!("perf-{pid}.map"),
            owner,
            started,
            read: None,
            functions: Vec::new(),
        })
    }

    /// Reads the file if it has come or changed.
    pub fn refresh(&mut self) {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let Ok(file) = openat(&self.directory, &self.name, flags, Mode::empty()).map(File::from) else {
            return;
        };
        let Ok(about) = file.metadata() else { return };
        let is_theirs = about.uid() == self.owner || about.uid() == 0;
        let seen = Some((about.ino(), about.len(), about.mtime(), about.mtime_nsec()));
        let is_stale = about.mtime() + SLACK < self.started;
        if !about.is_file() || !is_theirs || is_stale || about.len() > LARGEST || self.read == seen {
            return;
        }
        let mut bytes = Vec::new();
        // It may grow meanwhile.
        if file.take(LARGEST).read_to_end(&mut bytes).is_ok() {
            self.read = seen;
            self.functions = parse(&bytes);
        }
    }

    /// True where it has no names.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    /// The function at an address, and where it begins.
    pub fn at_address(&self, address: u64) -> Option<(Arc<str>, u64)> {
        let behind = self.functions.partition_point(|function| function.start <= address);
        let near = self.functions[..behind].iter().rev().take(OVERLAPS);
        let found = near.into_iter().find(|function| address < function.end)?;
        Some((found.name.clone(), found.start))
    }
}

/// The id that a process has in its own PID namespace, and its effective user, from `/proc/PID/status`.
fn inner_pid_and_user(status: &str) -> Option<(u32, u32)> {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    let pid = field("NSpid:").or_else(|| field("Pid:"))?.split_ascii_whitespace().next_back()?;
    let user = field("Uid:")?.split_ascii_whitespace().nth(1)?;
    Some((pid.parse().ok()?, user.parse().ok()?))
}

/// Start of a process, in seconds of the wall clock.
fn started(pid: u32) -> Option<i64> {
    let booted = fs::read_to_string("/proc/stat").ok()?;
    let booted: i64 = booted.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    // The name may hold anything; 20 fields behind it stands the time since booting, in ticks.
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let ticks: i64 = stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()?;
    Some(booted + ticks / rustix::param::clock_ticks_per_second().max(1).cast_signed())
}

/// How many functions such a file names.
pub fn count(bytes: &[u8]) -> usize {
    parse(bytes).len()
}

/// Lines read `START SIZE NAME`, numbers in hexadecimal; others are left out, as is a last one that is not whole.
fn parse(bytes: &[u8]) -> Vec<Function> {
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(&[][..], |end| &bytes[..end]);
    let function = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        let mut words = line.splitn(3, ' ');
        let mut number = || u64::from_str_radix(words.next()?.trim_start_matches("0x"), 16).ok();
        let (start, size) = (number()?, number()?);
        let name: String = words.next()?.trim().chars().take(LONGEST).collect();
        let end = start.checked_add(size)?;
        (!name.is_empty() && size > 0).then(|| Function { start, end, name: Arc::from(printable(&name)) })
    };
    let mut functions: Vec<Function> = whole.split(|byte| *byte == b'\n').filter_map(function).collect();
    functions.sort_by_key(|function| function.start);
    functions
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const MAP: &str = "7f00 20 void Queue.put()\n7f20 10 LazyCompile:*take /a.js:1:2\nnonsense\n\
                       7f00 8 evil\x1b[2J name\n9000 0 empty\nffffffffffffffff 2 beyond\n7f40 10 not whole";

    fn name(map: &PerfMap, address: u64) -> Option<String> {
        map.at_address(address).map(|(name, _)| name.to_string())
    }

    #[test]
    fn what_was_written_last_is_there_now() {
        let directory = tempfile::tempdir().unwrap();
        let owner = fs::metadata(directory.path()).unwrap().uid();
        let mut map = PerfMap::at(directory.path(), 7, owner, 0).unwrap();
        map.refresh();
        assert_eq!(name(&map, 0x7f10), None);
        let file = directory.path().join("perf-7.map");
        fs::write(&file, MAP).unwrap();
        map.refresh();
        assert_eq!(name(&map, 0x7f07).as_deref(), Some("evil\\x1b[2J name"));
        assert_eq!(map.at_address(0x7f08), Some((Arc::from("void Queue.put()"), 0x7f00)));
        assert_eq!(name(&map, 0x7f2f).as_deref(), Some("LazyCompile:*take /a.js:1:2"));
        for nothing in [0x7eff, 0x7f30, 0x7f40, 0x9000, u64::MAX] {
            assert_eq!(name(&map, nothing), None, "{nothing:#x}");
        }
        // It grows, and the directory is gone from its place.
        fs::write(&file, [MAP, "\n8000 8 later\n"].concat()).unwrap();
        map.refresh();
        assert_eq!(name(&map, 0x8001).as_deref(), Some("later"));
        assert_eq!(name(&map, 0x7f40).as_deref(), Some("not whole"));
    }

    #[test]
    fn a_file_that_is_not_the_targets_own_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let owner = fs::metadata(directory.path()).unwrap().uid();
        let named = |pid: u32| directory.path().join(format!("perf-{pid}.map"));
        fs::write(directory.path().join("real"), MAP).unwrap();
        symlink(directory.path().join("real"), named(1)).unwrap();
        fs::create_dir(named(2)).unwrap();
        let large = File::create(named(3)).unwrap();
        large.set_len(LARGEST + 1).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, named(4), rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        for pid in 1..=4 {
            let mut map = PerfMap::at(directory.path(), pid, owner, 0).unwrap();
            map.refresh();
            assert!(map.read.is_none() && map.functions.is_empty(), "{pid}");
        }
        // A directory that is a link leads to another one.
        symlink(directory.path(), directory.path().join("tmp")).unwrap();
        assert!(PerfMap::at(&directory.path().join("tmp"), 1, owner, 0).is_none());
        // Of another user, unless that is root.
        fs::write(named(5), MAP).unwrap();
        let mut map = PerfMap::at(directory.path(), 5, owner + 1, 0).unwrap();
        map.refresh();
        assert_eq!(map.read.is_some(), owner == 0);
        // Of a process that had the same id before.
        let written = fs::metadata(named(5)).unwrap().mtime();
        for (started, is_read) in [(written + SLACK, true), (written + SLACK + 1, false)] {
            let mut map = PerfMap::at(directory.path(), 5, owner, started).unwrap();
            map.refresh();
            assert_eq!(map.read.is_some(), is_read);
        }
        let (first, this) = (started(1).unwrap(), started(std::process::id()).unwrap());
        assert!(first <= this && this <= written + SLACK, "{first} {this} {written}");
    }

    #[test]
    fn a_process_in_a_namespace_writes_the_id_that_it_has_there() {
        let status = "Name:\tjava\nPid:\t4711\nUid:\t1000\t1001\t1000\t1000\nNSpid:\t4711\t12\t1\n";
        assert_eq!(inner_pid_and_user(status), Some((1, 1001)));
        assert_eq!(inner_pid_and_user("Pid:\t9\nUid:\t0\t0\t0\t0\n"), Some((9, 0)));
        assert_eq!(inner_pid_and_user(""), None);
    }
}
