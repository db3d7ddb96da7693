//! The machine, as far as it decides whether two runs may be compared.

use serde::{Deserialize, Serialize};

/// Conditions that a result depends on besides the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    pub arch: String,
    pub cpu: String,
    pub cpus: usize,
    pub kernel: String,
    /// True when the program was built with optimisation; without it every result is meaningless.
    pub optimised: bool,
}

impl Host {
    /// The machine that this process runs on.
    pub fn here() -> Self {
        let text = |path| std::fs::read_to_string(path).unwrap_or_default();
        Self {
            arch: std::env::consts::ARCH.to_owned(),
            cpu: model(&text("/proc/cpuinfo")),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            optimised: !cfg!(debug_assertions),
        }
    }

    /// In what respects another one differs, if that forbids a comparison.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let mut found = Vec::new();
        let mut look = |name, same: bool| {
            if !same {
                found.push(name);
            }
        };
        look("architecture", self.arch == other.arch);
        look("CPU model", self.cpu == other.cpu);
        look("number of CPUs", self.cpus == other.cpus);
        look("kernel", self.kernel == other.kernel);
        look("build profile", self.optimised == other.optimised);
        found
    }
}

/// `model name` on x86, nothing where the kernel does not tell.
fn model(cpuinfo: &str) -> String {
    let named = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    named.and_then(|rest| rest.split_once(':')).map_or("unknown", |(_, name)| name.trim()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_read_or_unknown() {
        assert_eq!(model("processor\t: 0\nmodel name\t: Some CPU 9000\n"), "Some CPU 9000");
        assert_eq!(model("Processor : x\n"), "unknown");
    }

    #[test]
    fn a_host_equals_itself_and_differences_are_named() {
        let here = Host::here();
        assert!(here.differences(&here).is_empty());
        let other = Host { cpus: here.cpus + 1, optimised: !here.optimised, ..here.clone() };
        assert_eq!(here.differences(&other), ["number of CPUs", "build profile"]);
    }
}
