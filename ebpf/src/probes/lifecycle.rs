//! Follows births, deaths and changes of program, so that the thread table is always right.

use aya_ebpf::{
    helpers::{bpf_get_current_comm, bpf_get_current_pid_tgid},
    macros::{map, raw_tracepoint},
    maps::RingBuf,
    programs::RawTracePointContext,
};
use aya_log_ebpf::debug;
use pulse_trace_common::target::{COMM_LEN, Finished, Row, Thread, phase, row_flag};

use crate::{
    config, holds,
    kernel::{self, Object},
    memory::add32,
    probes::{sched, syscalls},
    stage, targets, tree,
};

/// Wakes userspace up when a row is finished, so that it is read and given back soon, or when something about it can be
/// found out only while it lives. Only the waking counts: a record that does not fit is no loss, userspace looks
/// at all rows.
#[map]
static FINISHED: RingBuf = RingBuf::with_byte_size(4096, 0);

/// `signal_struct.flags`: the whole process is exiting.
const SIGNAL_GROUP_EXIT: u32 = 4;

/// `void (struct task_struct *parent, struct task_struct *child)`
///
/// Runs before the child can: nothing of it is missed.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn lifecycle_fork(ctx: RawTracePointContext) -> i32 {
    let child = Object::at(ctx.arg(1));
    let (tid, tgid) = (child.word(config::TASK_PID()), child.word(config::TASK_TGID()));
    targets::born(tid, tgid, Object::at(ctx.arg(0)));
    if let Some(thread) = targets::find(tid) {
        if tid == tgid {
            changed(thread.process, tgid);
        }
        debug!(&ctx, "thread {} of process {} was born", tid, tgid);
    }
    0
}

/// `void (struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)`
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn lifecycle_exec(ctx: RawTracePointContext) -> i32 {
    let old_tid = ctx.arg::<u64>(1) as u32;
    if try_exec(old_tid).is_some() {
        debug!(&ctx, "thread {} replaced its program", old_tid);
    }
    0
}

#[inline(always)]
fn try_exec(old_tid: u32) -> Option<()> {
    let tid = bpf_get_current_pid_tgid() as u32;
    if old_tid != tid {
        targets::moved(old_tid, tid);
    }
    let thread = targets::find(tid)?;
    if thread.phase == phase::HELD {
        thread.phase = phase::SEEN;
        sched::released(thread);
    }
    rename(thread, bpf_get_current_comm().unwrap_or_default());
    let process = targets::row(thread.process)?;
    process.execs += 1;
    if old_tid != tid {
        process.flags |= row_flag::MOVED;
    }
    call_userspace(thread.process, thread.tgid);
    Some(())
}

/// A thread has another name from now on.
#[inline(always)]
fn rename(thread: &Thread, comm: [u8; COMM_LEN]) {
    sched::renamed(thread.seat, comm);
    targets::rename(thread, comm);
}

/// `void (struct task_struct *task, const char *comm)`
///
/// Runs before the name changes, in whichever task changes it: by `prctl`, `exec` or a write into `/proc`.
#[raw_tracepoint(tracepoint = "task_rename")]
pub fn lifecycle_rename(ctx: RawTracePointContext) -> i32 {
    let task = Object::at(ctx.arg(0));
    if let Some(thread) = targets::find(task.word(config::TASK_PID())) {
        rename(thread, Object::at(ctx.arg(1)).text());
    }
    0
}

/// `void (struct task_struct *task)`
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn lifecycle_exit(ctx: RawTracePointContext) -> i32 {
    let id = bpf_get_current_pid_tgid();
    if config::FOLLOW_CHILDREN() != 0 && !stage::has_begun() {
        tree::bequeath((id >> 32) as u32);
    }
    if try_exit((id >> 32) as u32, id as u32).is_some() {
        debug!(&ctx, "thread {} of process {} died", id as u32, id >> 32);
    }
    targets::leave(id as u32);
    0
}

#[inline(always)]
fn try_exit(tgid: u32, tid: u32) -> Option<()> {
    let (id, now) = match targets::find(tid) {
        Some(thread) => thread_exits(thread)?,
        // It found no seat, or none has been given to it yet: its process ends all the same.
        None => (targets::process_of(tgid), kernel::now()),
    };
    if id == 0 {
        return None;
    }
    let process = targets::row(id)?;
    if config::TASK_SIGNAL() == 0 {
        process.flags |= row_flag::STATUS_UNKNOWN;
        return Some(());
    }
    let task = Object::current_task();
    let signal = task.follow(config::TASK_SIGNAL());
    if signal.word(config::SIGNAL_LIVE()) == 0 {
        process.exit_status = exit_status(task, signal);
        if process.comm[0] == 0 {
            process.comm = kernel::process_comm();
        }
        let is_first = targets::close_process(tgid);
        if id == config::OTHERS() {
            return Some(());
        }
        if is_first && process.live == 0 && process.parent != 0 && !stage::has_begun() {
            targets::recycle(id);
        } else {
            finish(id, process, now);
        }
    }
    Some(())
}

/// A thread in its seat ends. Its process, and when.
#[inline(always)]
fn thread_exits(thread: &mut Thread) -> Option<(u32, u64)> {
    syscalls::died(thread);
    let now = kernel::now();
    sched::died(thread, now);
    holds::died(thread.seat);
    if thread.row != thread.process {
        finish(thread.row, targets::row(thread.row)?, now);
    }
    add32(&mut targets::row(thread.process)?.live, u32::MAX);
    Some((thread.process, now))
}

/// The status that `wait` will report: the group's, or without a group exit, that of its first thread.
#[inline(always)]
fn exit_status(task: Object, signal: Object) -> u32 {
    if signal.word(config::SIGNAL_FLAGS()) & SIGNAL_GROUP_EXIT != 0 {
        signal.word(config::SIGNAL_GROUP_EXIT_CODE())
    } else {
        task.follow(config::TASK_GROUP_LEADER()).word(config::TASK_EXIT_CODE())
    }
}

#[inline(always)]
fn finish(id: u32, row: &mut Row, now: u64) {
    row.exited_ns = now;
    call_userspace(id, row.tgid);
}

/// A process is new: where probes belong into its code, they should be in soon.
#[inline(always)]
fn changed(row: u32, tgid: u32) {
    if config::PROBE_MUTEX() != 0 {
        call_userspace(row, tgid);
    }
}

/// Asks userspace to look at a row now.
#[inline(always)]
pub fn call_userspace(row: u32, tgid: u32) {
    let _ = FINISHED.output::<Finished>(Finished { row, tgid }, 0);
}
