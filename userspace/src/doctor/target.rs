//! Findings about a target.

use binary::locate::libc::{Libc, find};
use kernel::{
    sandbox::{self, Names},
    target::Pinned,
};

use super::{Finding, Verdict, code, foreign, sites};

/// Everything about one process.
#[must_use]
pub fn examine(pid: u32) -> Vec<Finding> {
    let pinned = match Pinned::process(pid) {
        Ok(pinned) => pinned,
        Err(error) => {
            let remedy = "choose another process";
            return vec![Finding::bad(
                "target",
                Verdict::Fault,
                error.to_string(),
                "it cannot be traced",
                remedy,
            )];
        }
    };
    let threads = pinned.threads().len();
    let mut findings = vec![
        Finding::ok(
            "target",
            format!("process {pid} with {threads} threads"),
            "its system calls can be traced",
        ),
        libc(pid),
    ];
    let mut names = Names::default();
    findings.push(sites::stacks(pid, &mut names));
    if let Some(files) = code::files(pid) {
        findings.extend(sites::examine(pid, &files));
        findings.extend(foreign::examine(pid, &files, &mut names));
    }
    findings
}

fn libc(pid: u32) -> Finding {
    match find(pid, sandbox::build_id) {
        Ok(Some(Libc { path, family, build_id })) => {
            let build_id = build_id.unwrap_or_else(|| "without build-id".to_owned());
            Finding::ok(
                "C library",
                format!("{family}, {path}, {build_id}"),
                "its locks are those of this library",
            )
        }
        Ok(None) => Finding::bad(
            "C library",
            Verdict::Note,
            "none is mapped: a static program, or a runtime of its own",
            "system calls are traced all the same",
            "none needed",
        ),
        Err(cause) => Finding::bad(
            "C library",
            Verdict::Note,
            format!("cannot look: {cause}"),
            "system calls are traced all the same",
            "CAP_SYS_PTRACE, or be the process's owner",
        ),
    }
}
