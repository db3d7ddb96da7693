//! Runtimes whose locks and functions are not all visible from outside, by the files that a process maps.

use serde::{Deserialize, Serialize};

use super::{
    module::Module,
    modules::{ModuleId, Modules},
};

/// A runtime that hides something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Runtime {
    /// Java's virtual machine.
    Java,
    /// Node.js, with V8.
    Node,
    /// .NET's common language runtime.
    DotNet,
    /// A program written in Go.
    Go,
    /// Another one that makes code while it runs.
    Other,
}

/// Files by which they are known.
const FILES: [(&str, Runtime); 4] = [
    ("libjvm.so", Runtime::Java),
    ("libcoreclr.so", Runtime::DotNet),
    ("node", Runtime::Node),
    ("nodejs", Runtime::Node),
];
/// The table of functions that a linker of Go always leaves in place.
const OF_GO: &str = ".gopclntab";

impl Runtime {
    /// The runtime of a process that maps these files.
    pub(super) fn of(modules: &Modules, mapped: impl Iterator<Item = ModuleId>) -> Self {
        let mapped: Vec<&Module> = mapped.filter_map(|id| modules.get(id)).collect();
        let known = FILES.iter().find(|(file, _)| mapped.iter().any(|module| &*module.name == *file));
        let is_go = |module: &&Module| module.elf().is_some_and(|elf| elf.section(OF_GO).is_some());
        match known {
            Some((_, runtime)) => *runtime,
            None if mapped.first().is_some_and(is_go) => Self::Go,
            None => Self::Other,
        }
    }

    /// The way to names of code that it makes, for a process; `None` where all of its code is in files.
    #[must_use]
    pub fn remedy(self, pid: u32) -> Option<String> {
        Some(match self {
            Self::Java => format!(
                "`jcmd {pid} Compiler.perfmap` (JDK 17 and newer) writes them while it runs; with \
                 -XX:+UnlockDiagnosticVMOptions -XX:+DumpPerfMapAtExit it does so as it ends"
            ),
            Self::Node => "start it with --perf-basic-prof".to_owned(),
            Self::DotNet => "start it with DOTNET_PerfMapEnabled=1 in its environment".to_owned(),
            Self::Other => "see whether its runtime can write /tmp/perf-PID.map".to_owned(),
            Self::Go => return None,
        })
    }
}
