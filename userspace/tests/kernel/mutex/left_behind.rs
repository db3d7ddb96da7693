//! The code of targets is afterwards what it was before.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::Path,
    time::Duration,
};

use binary::maps::Maps;
use rustix::process::{Pid, Signal, kill_process};

use super::{library::SYSTEM, ping_pong, sites};
use crate::support::{How, Tool, Trace, need, within};

const BREAKPOINT: u8 = 0xcc;
const PATIENCE: Duration = Duration::from_secs(60);

/// The first bytes of all sites in a process's C library, as that process has them.
pub fn bytes(pid: u32) -> Vec<u8> {
    let maps = Maps::parse(&fs::read(format!("/proc/{pid}/maps")).unwrap());
    let is_code = |mapping: &&binary::maps::Mapping| {
        mapping.executable && mapping.path().is_some_and(|path| path.ends_with("libc.so.6"))
    };
    let code = maps.all().iter().find(is_code).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let read = |offset: u64| {
        let mut byte = [0];
        memory.read_exact_at(&mut byte, code.start + offset - code.offset).unwrap();
        byte[0]
    };
    sites(Path::new(SYSTEM)).into_iter().map(read).collect()
}

/// True if any probe is in a process's C library.
pub fn is_probed(pid: u32) -> bool {
    bytes(pid).contains(&BREAKPOINT)
}

#[test]
fn code_is_restored_after_an_interrupt_and_after_the_tool_was_killed() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    let (_program, pinned) = ping_pong("adaptive", "1000000");
    let pid = pinned[0].pid;
    let before = bytes(pid);
    assert!(!before.is_empty() && !is_probed(pid));
    for signal in [Signal::INT, Signal::KILL] {
        let mut tool =
            Tool::start(["attach", "--plain", "--quiet", "--probes", "mutex", "-p", &pid.to_string()]);
        within(PATIENCE, "probes to be in", || is_probed(pid) && tool.listens_to(Signal::INT));
        tool.signal(signal);
        within(PATIENCE, "the tool to end", || tool.has_ended());
        within(PATIENCE, "probes to be out", || bytes(pid) == before);
    }
}

#[test]
fn nothing_is_left_of_probes_in_a_target_that_crashed() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    let on_disk = fs::read(SYSTEM).unwrap();
    let (mut program, pinned) = ping_pong("adaptive", "1000000");
    let trace = Trace::of_pinned(&pinned[0], &How { probes: &["mutex"], ..How::default() });
    assert!(is_probed(pinned[0].pid));
    assert!(!is_probed(pinned[1].pid), "that one was not asked for");
    kill_process(Pid::from_raw(pinned[0].pid.cast_signed()).unwrap(), Signal::SEGV).unwrap();
    program.kill();
    trace.finish();
    assert_eq!(fs::read(SYSTEM).unwrap(), on_disk);
    let (_program, pinned) = ping_pong("adaptive", "1000000");
    assert!(!is_probed(pinned[0].pid));
}
