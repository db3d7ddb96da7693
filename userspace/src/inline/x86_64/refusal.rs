//! Processes that are left alone, each for a reason with a name.

use std::{fs, io, os::unix::fs::MetadataExt as _};

use super::InlineError;
use crate::target;

/// Looks at a process from outside.
pub fn check(pid: u32) -> Result<(), InlineError> {
    let status = target::text(&format!("/proc/{pid}/status")).map_err(|_| InlineError::Gone(pid))?;
    let owner = fs::metadata(format!("/proc/{pid}")).map_err(|_| InlineError::Gone(pid))?.uid();
    let refuse = |(reason, remedy): (String, &'static str)| Err(InlineError::refused(pid, reason, remedy));
    if let Some(refusal) = by_status(&status, owner) {
        return refuse(refusal);
    }
    // Who may not look may not write either.
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
    match fs::read(format!("/proc/{pid}/exe")) {
        Ok(bytes) if bytes.get(4) == Some(&1) => refuse((
            "it is a 32-bit program".to_owned(),
            "only 64-bit ones can be counted in; leave --inline away",
        )),
        _ => Ok(()),
    }
}

/// Whether one of its threads may be forbidden system calls.
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

/// What the text of `/proc/PID/status` and the owner of its directory speak against.
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
