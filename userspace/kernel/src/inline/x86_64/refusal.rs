//! Processes that are left alone, each with a named reason.

use std::{
    fs, io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
};

use binary::input;

use super::{InlineError, layout::PAGE};
use crate::target;

/// Checks a process from outside.
pub fn check(pid: u32) -> Result<(), InlineError> {
    let status = target::text(&format!("/proc/{pid}/status")).map_err(|_| InlineError::Gone(pid))?;
    let owner = fs::metadata(format!("/proc/{pid}")).map_err(|_| InlineError::Gone(pid))?.uid();
    let refuse = |(reason, remedy): (String, &'static str)| Err(InlineError::refused(pid, reason, remedy));
    if let Some(refusal) = by_status(&status, owner) {
        return refuse(refusal);
    }
    // Without the right to read there is none to write.
    if let Err(cause) = fs::read_link(format!("/proc/{pid}/exe"))
        && cause.kind() == io::ErrorKind::PermissionDenied
    {
        return Err(InlineError::unreadable(pid)(cause));
    }
    for tid in target::threads(pid) {
        let status = target::text(&format!("/proc/{pid}/task/{tid}/status")).unwrap_or_default();
        if let Some(refusal) = by_status(&status, owner) {
            return refuse(refusal);
        }
    }
    let mut head = [0; 5];
    match input::regular(format!("/proc/{pid}/exe").as_ref()).and_then(|exe| exe.read_exact_at(&mut head, 0))
    {
        Ok(()) if head[4] == 1 => refuse((
            "it is a 32-bit program".to_owned(),
            "only 64-bit ones can be counted in; leave --inline away",
        )),
        _ => Ok(()),
    }
}

/// Checks that a process's own limits leave room for so many bytes of counters: an operation that a limit forbids
/// is not tried.
pub fn check_limits(pid: u32, len: u64) -> Result<(), InlineError> {
    let read = |file: &str| target::text(&format!("/proc/{pid}/{file}")).map_err(|_| InlineError::Gone(pid));
    let (limits, status) = (read("limits")?, read("status")?);
    // Without the right to list another user's descriptors, the process itself fails to open one.
    let open = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |files| files.count() as u64);
    match by_limits(&limits, &status, open, len) {
        None => Ok(()),
        Some(reason) => {
            Err(InlineError::refused(pid, reason, "raise it with `prlimit -p PID`, or leave --inline away"))
        }
    }
}

/// The limit that leaves no room, in words.
fn by_limits(limits: &str, status: &str, open: u64, len: u64) -> Option<String> {
    const CAP_IPC_LOCK: u32 = 14;
    let limit = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    let used = |name: &str| {
        let words = field(status, name).unwrap_or_default().split_ascii_whitespace().next()?;
        words.parse::<u64>().ok().map(|kib| kib << 10)
    };
    let locks = field(status, "CapEff:").and_then(|all| u64::from_str_radix(all, 16).ok());
    let may_lock = locks.is_some_and(|all| all >> CAP_IPC_LOCK & 1 == 1);
    let locked = used("VmLck:").filter(|used| *used > 0 && !may_lock);
    let checks = [
        ("Max address space", "address space (ulimit -v)", used("VmSize:"), len),
        ("Max data size", "data (ulimit -d)", used("VmData:"), PAGE),
        ("Max locked memory", "locked memory (ulimit -l)", locked, len),
        ("Max open files", "open files (ulimit -n)", Some(open), 1),
    ];
    let exceeded = checks.into_iter().find(|(name, _, used, more)| {
        limit(name).zip(*used).is_some_and(|(limit, used)| used.saturating_add(*more) > limit)
    });
    exceeded.map(|(_, words, ..)| format!("its limit of {words} leaves no room for counters"))
}

/// True if one of its threads may be forbidden system calls.
pub fn has_filter(pid: u32) -> bool {
    let is_free = |tid: u32| {
        let status = target::text(&format!("/proc/{pid}/task/{tid}/status")).unwrap_or_default();
        field(&status, "Seccomp:").is_none_or(|mode| mode == "0")
    };
    !target::threads(pid).into_iter().all(is_free)
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// Reason against the process from the text of `/proc/PID/status` and the owner of its directory, with advice.
fn by_status(status: &str, owner: u32) -> Option<(String, &'static str)> {
    const LEAVE: &str = "leave --inline away";
    let field = |name: &str| field(status, name);
    let first = |name: &str| field(name).and_then(|value| value.split_ascii_whitespace().next());
    if let Some(tracer) = first("TracerPid:").filter(|tracer| *tracer != "0") {
        return Some((format!("process {tracer} traces it already"), "end that debugger first"));
    }
    if first("Seccomp:").is_some_and(|mode| mode != "0") {
        return Some(("a seccomp filter forbids it system calls".to_owned(), LEAVE));
    }
    if field("x86_Thread_features:").is_some_and(|features| features.contains("shstk")) {
        return Some(("it has a shadow stack (CET)".to_owned(), LEAVE));
    }
    let ids = |name: &str| -> Vec<u32> {
        let words = field(name).unwrap_or_default().split_ascii_whitespace();
        words.filter_map(|word| word.parse().ok()).collect()
    };
    for name in ["Uid:", "Gid:"] {
        let ids = ids(name);
        if ids.iter().take(3).any(|id| Some(id) != ids.first()) {
            return Some(("it runs set-user-ID or set-group-ID".to_owned(), LEAVE));
        }
    }
    if owner == 0 && ids("Uid:").get(1).is_some_and(|uid| *uid != 0) {
        return Some(("it is not dumpable: it does not want to be looked into".to_owned(), LEAVE));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "Name:\tx\nTracerPid:\t0\nUid:\t1000\t1000\t1000\t1000\nGid:\t5\t5\t5\t5\nSeccomp:\t0\nx86_Thread_features:\t\n";

    fn reason(status: &str, owner: u32) -> String {
        by_status(status, owner).map_or_else(String::new, |(reason, _)| reason)
    }

    #[test]
    fn a_plain_process_is_not_refused() {
        assert_eq!(by_status(PLAIN, 1000), None);
    }

    #[test]
    fn a_limit_that_leaves_no_room_has_its_name() {
        const LIMITS: &str = "\
Limit                     Soft Limit           Hard Limit           Units     
Max file size             0                    0                    bytes     
Max data size             unlimited            unlimited            bytes     
Max open files            20                   20000                files     
Max locked memory         8388608              8388608              bytes     
Max address space         104857600            unlimited            bytes     
";
        let status =
            "VmSize:\t   90000 kB\nVmLck:\t       0 kB\nVmData:\t    4000 kB\nCapEff:\t0000000000000000\n";
        let reason =
            |status: &str, open: u64, len: u64| by_limits(LIMITS, status, open, len).unwrap_or_default();
        assert_eq!(reason(status, 19, 6 << 20), "");
        assert!(reason(status, 19, 18 << 20).contains("address space"));
        assert!(reason(status, 20, 6 << 20).contains("open files"));
        let locked = status.replace("VmLck:\t       0", "VmLck:\t    4096");
        assert!(reason(&locked, 19, 6 << 20).contains("locked memory"));
        // A process that may lock any amount of memory has no such limit.
        assert_eq!(reason(&locked.replace("0000000000000000", "0000000000004000"), 19, 6 << 20), "");
    }

    #[test]
    fn every_refusal_has_its_name() {
        let with = |from: &str, to: &str| PLAIN.replace(from, to);
        assert_eq!(reason(&with("TracerPid:\t0", "TracerPid:\t77"), 1000), "process 77 traces it already");
        assert!(reason(&with("Seccomp:\t0", "Seccomp:\t2"), 1000).contains("seccomp"));
        assert!(reason(&with("features:\t", "features:\tshstk wrss"), 1000).contains("shadow stack"));
        assert!(reason(&with("1000\t1000\t1000\t1000", "1000\t0\t0\t0"), 1000).contains("set-user-ID"));
        assert!(reason(&with("5\t5\t5\t5", "5\t6\t6\t6"), 1000).contains("set-group-ID"));
        assert!(reason(PLAIN, 0).contains("not dumpable"));
        assert_eq!(reason(&with("1000\t1000\t1000\t1000", "0\t0\t0\t0"), 0), "");
    }
}
