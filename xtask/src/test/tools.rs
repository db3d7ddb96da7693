//! Programs that only tests and benchmarks need. The tool itself needs none of them.

use std::{collections::BTreeSet, path::Path, time::Instant};

use anyhow::Result;

use crate::{
    process::{self, capture, command},
    say,
};

/// A package of a Debian-like system and what it is for.
pub struct Tool {
    package: &'static str,
    /// A program of it, to look for where there is no Debian-like system to ask.
    program: Option<&'static str>,
    purpose: &'static str,
}

const fn tool(package: &'static str, program: &'static str, purpose: &'static str) -> Tool {
    Tool { package, program: Some(program), purpose }
}

/// Tools that boot other kernels.
pub const VM: &[Tool] = &[tool("qemu-system-x86", "qemu-system-x86_64", "boots other kernels")];

/// Everything that any test uses.
pub const ALL: &[Tool] = &[
    tool("bpftrace", "bpftrace", "oracle: counts the same thing independently"),
    tool("strace", "strace", "oracle: counts system calls"),
    tool("gcc", "gcc", "compiles programs whose stacks are known"),
    tool("g++", "g++", "the same in C++"),
    Tool { package: "libabsl-dev", program: None, purpose: "a library with locks of its own" },
    tool("openjdk-17-jdk-headless", "javac", "compiles and runs a program in Java"),
    tool("golang-go", "go", "compiles a program in Go"),
    tool("musl-tools", "musl-gcc", "compiles against another C library"),
    tool("binutils", "objcopy", "takes their symbols away"),
    tool("gdb", "gdb", "oracle: in which register debug information says that a number is"),
    tool("libbpf-tools", "syscount", "peer to compare with"),
    tool("linux-perf", "perf", "peer to compare with"),
    tool("bpftool", "bpftool", "shows what is left in the kernel"),
    tool("tmux", "tmux", "a terminal for the dashboard"),
    tool("chromium", "chromium", "shows the HTML page"),
    Tool { package: "libc6-dbg", program: None, purpose: "debug information of the C library" },
    tool("qemu-system-x86", "qemu-system-x86_64", "boots other kernels"),
];

/// Servers and runtimes that `cargo xtask real` puts under load.
const SERVERS: &[Tool] = &[
    tool("bpftrace", "bpftrace", "oracle: counts the same thing independently"),
    tool("redis-server", "redis-server", "under load: one thread"),
    tool("memcached", "memcached", "under load: four threads"),
    tool("nginx-light", "nginx", "under load: two processes"),
    tool("postgresql", "psql", "under load: a process per client"),
    tool("python3", "python3", "under load: a thread per client"),
    tool("nodejs", "node", "under load: one thread and its helpers"),
    tool("golang-go", "go", "under load: goroutines"),
    tool("openjdk-17-jdk-headless", "javac", "under load: a pool of threads"),
    tool("stress-ng", "stress-ng", "load of many kinds"),
];

/// Brings what `cargo xtask real` needs. Debian's packages start their servers, so they are only installed where that
/// is forbidden or where there is nothing to start them.
pub fn ensure_servers() {
    let quiet = Path::new("/usr/sbin/policy-rc.d").exists() || !Path::new("/run/systemd/system").exists();
    if quiet { ensure(SERVERS) } else { list(&missing(SERVERS)) }
}

/// Installs what is missing where the caller is root on a Debian-like system, and otherwise lists it. Nothing fails:
/// the tests that miss something say so themselves.
pub fn ensure(tools: &[Tool]) {
    let missing = missing(tools);
    if missing.is_empty() {
        return;
    }
    if is_debian_like() && process::is_root() {
        install(&missing);
        return;
    }
    list(&missing);
}

fn list(missing: &[&Tool]) {
    if missing.is_empty() {
        return;
    }
    say::note("not installed; only tests that use them are skipped without them:");
    for tool in missing {
        say::note(format_args!("  {:<16} {}", tool.package, tool.purpose));
    }
    if is_debian_like() {
        let packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
        say::note(format_args!("  sudo apt-get install {}", packages.join(" ")));
    }
}

fn is_debian_like() -> bool {
    process::which("apt-get").is_some() && process::which("dpkg-query").is_some()
}

fn missing(tools: &[Tool]) -> Vec<&Tool> {
    let installed = is_debian_like().then(installed_packages);
    // A program counts wherever it came from.
    let is_there = |tool: &Tool| tool.program.is_some_and(|program| process::which(program).is_some());
    let is_missing = |tool: &&Tool| match &installed {
        Some(packages) => !packages.contains(tool.package) && !is_there(tool),
        None => tool.program.is_some_and(|program| process::which(program).is_none()),
    };
    tools.iter().filter(is_missing).collect()
}

fn installed_packages() -> BTreeSet<String> {
    let listing = capture(command("dpkg-query").args(["-W", "-f=${db:Status-Abbrev}${Package}\n"]));
    installed_of(&listing.unwrap_or_default())
}

fn installed_of(listing: &str) -> BTreeSet<String> {
    listing.lines().filter_map(|line| line.strip_prefix("ii ")).map(str::to_owned).collect()
}

fn install(missing: &[&Tool]) {
    let since = Instant::now();
    let packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    say::note(format_args!("installing for the tests (a minute at most): {}", packages.join(" ")));
    let all = apt_get(&["update"]).and_then(|()| apt_install(&packages));
    if let Err(error) = all {
        say::note(format_args!("{error:#}; trying one at a time"));
        for tool in missing {
            if let Err(error) = apt_install(&[tool.package]) {
                say::note(format_args!("{} ({}) is not to be had: {error:#}", tool.package, tool.purpose));
            }
        }
    }
    say::note(format_args!("installing: {}", say::elapsed(since)));
}

fn apt_install(packages: &[&str]) -> Result<()> {
    apt_get(&[&["install", "--yes", "--no-install-recommends"], packages].concat())
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut apt = command("apt-get");
    // Its chatter is of interest only when it fails, and then the error carries it.
    capture(apt.env("DEBIAN_FRONTEND", "noninteractive").arg("--quiet").args(arguments)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_installed_packages_count() {
        let packages = installed_of("ii strace\nrc bpftrace\nun tmux\nii bpftool\n");
        assert!(packages.contains("strace") && packages.contains("bpftool"));
        assert_eq!(packages.len(), 2);
    }

    #[test]
    fn a_program_that_is_not_installed_is_missing() {
        let never = [tool("no-such-package-anywhere", "no-such-program-anywhere", "nothing")];
        assert_eq!(missing(&never).len(), 1);
    }
}
