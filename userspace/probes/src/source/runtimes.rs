//! Notes on processes whose runtimes hide names or locks.

use std::collections::BTreeSet;

use binary::symbolize::Runtime;
use kernel::sandbox::Names;

/// Notes that have not been taken yet; each is made once for a process.
#[derive(Default)]
pub struct Notes {
    nameless: BTreeSet<u32>,
    seen: BTreeSet<u32>,
    notes: Vec<String>,
    of_go: Vec<String>,
}

impl Notes {
    /// Looks at a process of which stacks have been named just now.
    pub fn see(&mut self, pid: u32, lacks_names: bool, names: &Names) {
        if lacks_names && self.nameless.insert(pid) {
            self.notes.extend(nameless(pid, names.runtime(pid)));
        }
        if self.seen.insert(pid) && names.runtime(pid) == Runtime::Go {
            self.of_go.push(of_go(pid));
        }
    }

    /// Takes them. Where probes are put into mutexes, the probe itself reports what it cannot see of Go.
    pub fn take(&mut self, probes_mutexes: bool) -> Vec<String> {
        let mut notes = std::mem::take(&mut self.notes);
        let of_go = std::mem::take(&mut self.of_go);
        notes.extend(of_go.into_iter().filter(|_| !probes_mutexes));
        notes
    }
}

fn nameless(pid: u32, runtime: Runtime) -> Option<String> {
    let remedy = runtime.remedy(pid)?;
    Some(format!(
        "stacks: process {pid} makes code while it runs, and no file names its functions ([anon]); /tmp/perf-PID.map \
         of the process does: {remedy}"
    ))
}

fn of_go(pid: u32) -> String {
    format!(
        "futex: process {pid} is a Go program: contention of sync.Mutex is not visible here, since goroutines wait for \
         it without a system call; --probes auto,mutex counts it, unless the program is stripped"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_runtime_has_its_own_way_to_names() {
        let note = nameless(7, Runtime::Java).unwrap();
        assert!(note.starts_with("stacks: process 7 ") && note.contains("jcmd 7 Compiler.perfmap"), "{note}");
        assert!(nameless(7, Runtime::Node).unwrap().ends_with("start it with --perf-basic-prof"));
        assert!(nameless(7, Runtime::DotNet).unwrap().contains("DOTNET_PerfMapEnabled=1"));
        assert_eq!(nameless(7, Runtime::Go), None);
    }

    #[test]
    fn the_probe_of_mutexes_speaks_for_itself() {
        let notes = || Notes { of_go: vec![of_go(7)], ..Notes::default() };
        assert!(notes().take(false)[0].contains("sync.Mutex is not visible"));
        assert_eq!(notes().take(true), Vec::<String>::new());
    }
}
