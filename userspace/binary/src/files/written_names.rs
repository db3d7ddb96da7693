//! The file in which a runtime writes names of code that it makes: `/tmp/perf-PID.map`.
//!
//! It lies in a directory that others may write to. It is opened only if it is a regular file, no symbolic link, of the
//! target's user or of root, not too large, and not older than the process, whose id another one may have had.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use rustix::fs::{Mode, OFlags, open, openat};

/// Larger files are left alone: some 500,000 functions.
pub const LARGEST_NAMES: u64 = 64 << 20;
/// Seconds by which the clocks may differ that times of files and of processes are taken from.
const SLACK: i64 = 2;

/// Place of the file that a process would write.
pub struct Place {
    /// The target's `/tmp`, kept open: the file is often written only as the process ends.
    directory: File,
    name: String,
    owner: u32,
    /// Start of the process, in seconds of the wall clock.
    started: i64,
}

impl Place {
    /// That of a process; `None` where it cannot be looked at.
    pub fn of(pid: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let (inner, owner) = inner_pid_and_user(&status)?;
        Self::at(Path::new(&format!("/proc/{pid}/root/tmp")), inner, owner, started(pid)?)
    }

    fn at(directory: &Path, pid: u32, owner: u32, started: i64) -> Option<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = File::from(open(directory, flags, Mode::empty()).ok()?);
        Some(Self { directory, name: format!("perf-{pid}.map"), owner, started })
    }

    /// The file, if there is one that can be trusted so far.
    pub fn open(&self) -> Option<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = openat(&self.directory, &self.name, flags, Mode::empty()).map(File::from).ok()?;
        let about = file.metadata().ok()?;
        let is_theirs = about.uid() == self.owner || about.uid() == 0;
        let is_stale = about.mtime() + SLACK < self.started;
        (about.is_file() && is_theirs && !is_stale && about.len() <= LARGEST_NAMES).then_some(file)
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_that_comes_later_is_found_even_where_its_directory_is_gone() {
        let shop = tempfile::tempdir().unwrap();
        let (before, after) = (shop.path().join("before"), shop.path().join("after"));
        fs::create_dir(&before).unwrap();
        let owner = fs::metadata(&before).unwrap().uid();
        let place = Place::at(&before, 7, owner, 0).unwrap();
        assert!(place.open().is_none());
        fs::rename(&before, &after).unwrap();
        fs::write(after.join("perf-7.map"), "7f00 20 f\n").unwrap();
        assert!(place.open().is_some());
    }

    #[test]
    fn a_file_that_is_not_the_targets_own_is_not_opened() {
        let directory = tempfile::tempdir().unwrap();
        let owner = fs::metadata(directory.path()).unwrap().uid();
        let named = |pid: u32| directory.path().join(format!("perf-{pid}.map"));
        fs::write(directory.path().join("real"), "7f00 20 f\n").unwrap();
        symlink(directory.path().join("real"), named(1)).unwrap();
        fs::create_dir(named(2)).unwrap();
        let large = File::create(named(3)).unwrap();
        large.set_len(LARGEST_NAMES + 1).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, named(4), rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        for pid in 1..=4 {
            assert!(Place::at(directory.path(), pid, owner, 0).unwrap().open().is_none(), "{pid}");
        }
        // A directory that is a link leads to another one.
        symlink(directory.path(), directory.path().join("tmp")).unwrap();
        assert!(Place::at(&directory.path().join("tmp"), 1, owner, 0).is_none());
        // Of another user, unless that is root.
        fs::write(named(5), "7f00 20 f\n").unwrap();
        let place = Place::at(directory.path(), 5, owner + 1, 0).unwrap();
        assert_eq!(place.open().is_some(), owner == 0);
        // Of a process that had the same id before.
        let written = fs::metadata(named(5)).unwrap().mtime();
        for (started, is_opened) in [(written + SLACK, true), (written + SLACK + 1, false)] {
            let place = Place::at(directory.path(), 5, owner, started).unwrap();
            assert_eq!(place.open().is_some(), is_opened);
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
