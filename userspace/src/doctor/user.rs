//! Findings about the user.

use std::fs;

use kernel::{
    privileges,
    sandbox::{self, Confined},
    switch_on_statistics,
    target::{TargetError, in_initial_namespace},
};

use super::{Finding, Verdict};

/// Everything about the user and what the administrator has set.
pub fn examine() -> Vec<Finding> {
    let mut findings: Vec<Finding> = privileges::CAPABILITIES.iter().map(capability).collect();
    findings.extend([statistics(), paranoia(), namespace(), reading()]);
    findings
}

fn capability(capability: &privileges::Capability) -> Finding {
    if capability.is_held() {
        return Finding::ok(capability.name, "held", &format!("may {}", capability.purpose));
    }
    let verdict = if capability.required { Verdict::Fault } else { Verdict::Note };
    let consequence = format!("may not {}", capability.purpose);
    Finding::bad(capability.name, verdict, "missing", &consequence, &remedy(capability.name))
}

/// Remedy that gives it to the user, with what tracing needs anyway.
fn remedy(capability: &str) -> String {
    const USUAL: &str = "cap_bpf,cap_perfmon,cap_sys_ptrace";
    let name = capability.to_lowercase();
    let set =
        if USUAL.split(',').any(|one| one == name) { USUAL.to_owned() } else { format!("{USUAL},{name}") };
    privileges::advice(&set)
}

fn statistics() -> Finding {
    if switch_on_statistics().is_some() {
        return Finding::ok(
            "BPF statistics",
            "can be switched on",
            "the report tells what each program cost",
        );
    }
    Finding::bad(
        "BPF statistics",
        Verdict::Note,
        "cannot be switched on by this user",
        "the report cannot tell what tracing cost",
        "run as root (CAP_SYS_ADMIN)",
    )
}

fn paranoia() -> Finding {
    let level = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    let level = level.trim();
    let strict = level.parse::<i32>().is_ok_and(|level| level > 2);
    if strict && !privileges::CAPABILITIES.iter().any(|one| one.name == "CAP_PERFMON" && one.is_held()) {
        return Finding::bad(
            "perf_event_paranoid",
            Verdict::Note,
            level,
            "this user may not open performance counters",
            "sysctl kernel.perf_event_paranoid=2, or CAP_PERFMON",
        );
    }
    Finding::ok("perf_event_paranoid", level, "does not stand in the way of this user")
}

fn namespace() -> Finding {
    match in_initial_namespace() {
        Err(error @ TargetError::Namespace) => Finding::bad(
            "PID namespace",
            Verdict::Fault,
            "not the initial one",
            &error.to_string(),
            "run it on the host, or in a container with the host's PID namespace",
        ),
        _ => Finding::ok("PID namespace", "the initial one", "process ids are the kernel's"),
    }
}

fn reading() -> Finding {
    const SUBJECT: &str = "reading files";
    let confined = match sandbox::confined() {
        Ok(confined) => confined,
        Err(cause) => {
            let finding = format!("no process could be started for it: {cause}");
            let consequence = "functions have no names, and locks are not probed";
            let remedy = "see the limits of processes and descriptors (`ulimit -u`, `ulimit -n`)";
            return Finding::bad(SUBJECT, Verdict::Note, finding, consequence, remedy);
        }
    };
    let Confined { user, without_privileges, seccomp, landlock } = confined;
    let walls = [
        (without_privileges, "capabilities"),
        (seccomp, "system calls but those of its work (seccomp)"),
        (landlock, "files of its own (landlock)"),
    ];
    let those = |held: bool| {
        let all: Vec<&str> = walls.iter().filter(|(is, _)| *is == held).map(|(_, what)| *what).collect();
        all.join(", ")
    };
    let finding = format!("a process of user {user} does it, without {}", those(true));
    if user != 0 && walls.iter().all(|(is, _)| *is) {
        return Finding::ok(SUBJECT, finding, "a file of a target that is made to harm harms names only");
    }
    let lacking = if user == 0 { format!("the user root, {}", those(false)) } else { those(false) };
    Finding::bad(
        SUBJECT,
        Verdict::Note,
        format!("{finding}; not without {}", lacking.trim_end_matches(", ")),
        "a file of a target that is made to harm has fewer walls around it",
        "landlock is in Linux 5.13 and newer, where it is switched on (lsm=); seccomp needs CONFIG_SECCOMP_FILTER",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_capability_has_a_remedy_that_gives_it() {
        for one in &privileges::CAPABILITIES {
            let remedy = remedy(one.name);
            assert_eq!(remedy.matches(&one.name.to_lowercase()).count(), 1, "{remedy}");
        }
    }
}
