//! Visibility of a target's locks.

use std::path::Path;

use binary::{
    files::Origin,
    locate::{
        plan::Planned,
        site::{FilePlan, Generation},
    },
};
use kernel::sandbox::{self, Names};
use probes::{Choice, attachable, unprobed};

use super::{Finding, Verdict, code::CodeFile};

/// A finding for each file that has locks of its own: the program and the C library.
pub fn examine(pid: u32, files: &[CodeFile]) -> Vec<Finding> {
    let program = files.first().filter(|file| !file.is_c_library());
    let libraries = files.iter().filter(|file| file.is_c_library());
    program.into_iter().chain(libraries).filter_map(|file| of_file(pid, file)).collect()
}

fn of_file(pid: u32, file: &CodeFile) -> Option<Finding> {
    let name = file.mapping.name();
    let origin = Origin { pid, path: file.mapping.path().unwrap_or(Path::new("")).to_owned() };
    let plan = match file.open().and_then(|opened| sandbox::plan(&opened, origin)) {
        Ok(Planned { plan, .. }) => plan,
        Err(cause) => return Some(refused(format!("{name}: cannot read it: {cause}"))),
    };
    if plan.runtimes.is_empty() && plan.refusals.is_empty() {
        return None;
    }
    if attachable(&plan, Choice::default()).next().is_none() {
        let why = unprobed(&name, &plan);
        let refusals = || format!("{name}: {}", plan.refusals.join("; "));
        return Some(refused(if why.is_empty() { refusals() } else { why }));
    }
    let consequence = "contended locks can be probed there; without probes they are seen in the kernel";
    Some(Finding::ok("locks", format!("{name}: {}", found(&plan)), consequence))
}

fn refused(finding: String) -> Finding {
    Finding::bad(
        "locks",
        Verdict::Note,
        finding,
        "its locks are seen where they wait in the kernel, not while they spin",
        "none needed",
    )
}

/// Runtimes, places and how spins count, in words.
fn found(plan: &FilePlan) -> String {
    let mut text = plan.runtimes.join(", ");
    if let Some(generation) = plan.generation {
        text += match generation {
            Generation::Linear => " with linear spinning",
            Generation::Exponential => " with exponential back-off",
        };
    }
    let noun = if plan.sites.len() == 1 { "site" } else { "sites" };
    text += &format!(", {} {noun} found", plan.sites.len());
    if !plan.refusals.is_empty() {
        text += &format!("; not all: {}", plan.refusals.join("; "));
    }
    text
}

/// Finding about stacks: whether they can be followed.
pub fn stacks(pid: u32, names: &mut Names) -> Finding {
    match names.observe(pid) {
        Ok(()) if names.files_refused == 0 => Finding::ok(
            "stacks",
            "its code can be read, with what is written down about frames",
            "waits can be followed to the functions that wanted the lock",
        ),
        Ok(()) => Finding::bad(
            "stacks",
            Verdict::Note,
            format!("{} of its files could not be opened", names.files_refused),
            "stacks end where these begin",
            "CAP_SYS_PTRACE and CAP_CHECKPOINT_RESTORE, or root; see the limit of open files (`ulimit -n`)",
        ),
        Err(error) => Finding::bad(
            "stacks",
            Verdict::Note,
            error,
            "waits are counted, but not by the functions that wanted the lock",
            "CAP_SYS_PTRACE, or be the process's owner",
        ),
    }
}
