//! Wakers of a thread: an interrupt is not the doing of the task below, and strangers are told apart by program.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use model::{
    hist::Hist,
    sched::{Interrupt, Waker, WakerContext},
    session::Session,
};

use crate::{
    sched::only,
    support::{How, Running, Trace, in_call, need, within},
};

/// Wakers and how often each woke the only process.
fn wakers(session: &Session) -> Vec<(&Waker, u64)> {
    let wakers = &only(session).sched.as_ref().unwrap().wakers;
    wakers.iter().map(|(waker, latency)| (waker, Hist::count(latency))).collect()
}

#[test]
fn a_disk_that_wakes_is_not_the_program_that_it_interrupts() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = directory.path().join("data");
    fs::write(&file, vec![7; 64 << 20]).unwrap();
    File::open(&file).unwrap().sync_all().unwrap();
    let mut once = Command::new("dd");
    once.arg(format!("if={}", file.display())).args(["of=/dev/null", "bs=4k", "count=1", "iflag=direct"]);
    let reads = once.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    need!(reads, "this file system has no direct reads");
    // They are in the kernel nearly all the time, on every CPU, and wake no one.
    let bystanders: Vec<Running> = (0..std::thread::available_parallelism().unwrap().get())
        .map(|_| Running::start("sh", &["-c", "exec cat /dev/zero > /dev/null"]))
        .collect();
    let input = format!("if={}", file.display());
    let reader = Running::start("dd", &[&input, "of=/dev/null", "bs=4k", "iflag=direct"]);
    reader.stop();
    let mut trace = Trace::of(reader.pid(), &How { probes: &["sched"], ..How::default() });
    reader.go_on();
    while !trace.is_over() {
        trace.steps(1);
    }
    drop(bystanders);
    let session = trace.finish();
    let wakers = wakers(&session);
    let of = |holds: &dyn Fn(&Waker) -> bool| -> u64 {
        wakers.iter().filter(|(waker, _)| holds(waker)).map(|(_, count)| count).sum()
    };
    let by_disk = of(&|waker| waker.context == WakerContext::Interrupt(Interrupt::Block));
    assert_eq!(of(&|waker| waker.comm == "cat"), 0, "{wakers:?}");
    assert!(by_disk > 100 && by_disk * 2 > of(&|_| true), "{wakers:?}");
}

#[test]
fn strangers_are_told_apart_by_program_and_do_not_fill_the_table() {
    const NAMES: usize = 40;
    const TIMES: usize = 30;
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let cat = Running::start("sh", &["-c", "exec cat <> \"$0\"", fifo.to_str().unwrap()]);
    let reads = || in_call(cat.pid(), cat.pid()) == Some(libc::SYS_read as u32);
    within(Duration::from_secs(10), "cat to read", reads);
    let programs: Vec<_> = (0..NAMES).map(|at| directory.path().join(format!("stranger{at}"))).collect();
    for program in &programs {
        fs::copy("/bin/echo", program).unwrap();
    }
    let mut trace = Trace::of(cat.pid(), &How { probes: &["sched"], ..How::default() });
    let write = |program: &Path| {
        let fifo = File::options().read(true).write(true).open(&fifo).unwrap();
        assert!(Command::new(program).stdout(fifo).status().unwrap().success());
        within(Duration::from_secs(10), "cat to read", reads);
    };
    (0..TIMES).for_each(|_| write(&programs[0]));
    programs.iter().for_each(|program| write(program));
    // Those that wake it no more make room for one that does.
    trace.steps(12);
    (0..TIMES).for_each(|_| write(&programs[NAMES - 1]));
    let session = trace.finish();
    assert!(crate::support::whole(&session.ledger), "{:?}", session.ledger);
    let wakers = wakers(&session);
    let count = |name: &str| -> u64 {
        let mut named = wakers.iter().filter(|(waker, _)| waker.comm == name);
        named.next().map_or(0, |(waker, count)| {
            assert_eq!((waker.context, waker.pid), (WakerContext::Task, 0));
            *count
        })
    };
    let missing = session.ledger.degraded.get("wakeup_unseen").copied().unwrap_or(0);
    assert!(count("stranger0").abs_diff(TIMES as u64 + 1) <= missing, "{wakers:?}");
    let named = wakers.iter().filter(|(waker, _)| waker.comm.starts_with("stranger")).count();
    assert!((10..=17).contains(&named) && count("stranger39") >= TIMES as u64 - missing, "{wakers:?}");
    let all: u64 = wakers.iter().map(|(_, count)| count).sum();
    let told: u64 = wakers.iter().filter(|(waker, _)| !waker.comm.is_empty()).map(|(_, count)| count).sum();
    assert!(count("") >= (NAMES - named) as u64 - missing && told + count("") <= all, "{wakers:?}");
}
