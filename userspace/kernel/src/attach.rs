//! Attaches and detaches the BPF programs.

use std::thread;

use aya::{
    Btf,
    programs::{Program, ProgramError, links::FdLink},
};
use rustix::thread::{MembarrierCommand, membarrier};

use super::{Kernel, LoadError, Probes};

/// A tracepoint and the programs that can serve it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The program's name in the object.
    pub program: &'static str,
    /// The program for kernels that refuse the first.
    pub fallback: Option<&'static str>,
    /// The kernel's name of the tracepoint.
    pub tracepoint: &'static str,
}

const fn hook(program: &'static str, tracepoint: &'static str) -> Hook {
    Hook { program, fallback: None, tracepoint }
}

/// Fork, exit, exec and rename of threads; attached before any thread is given a seat, so that none is missed.
pub const LIFECYCLE: [Hook; 4] = [
    hook("lifecycle_rename", "task_rename"),
    hook("lifecycle_exit", "sched_process_exit"),
    hook("lifecycle_exec", "sched_process_exec"),
    hook("lifecycle_fork", "sched_process_fork"),
];

/// System calls, and futexes among them. The exits come first: an entry whose exit is not seen would be taken for a
/// call in flight.
pub const SYSCALLS: [Hook; 2] = [
    hook("syscalls_exit", "sys_exit"),
    Hook { fallback: Some("syscalls_enter_raw"), ..hook("syscalls_enter", "sys_enter") },
];

/// Scheduling. Wakeups before switches: a thread must not run before its wakeup has been recorded. The ends of
/// interrupts before their beginnings, so that every interrupt that was seen to begin is seen to end.
pub const SCHED: [Hook; 10] = [
    hook("sched_timer_ends", "hrtimer_expire_exit"),
    hook("sched_timer_begins", "hrtimer_expire_entry"),
    hook("sched_softirq_ends", "softirq_exit"),
    hook("sched_softirq_begins", "softirq_entry"),
    hook("sched_irq_ends", "irq_handler_exit"),
    hook("sched_irq_begins", "irq_handler_entry"),
    Hook { fallback: Some("sched_waking_old"), ..hook("sched_waking", "sched_waking") },
    hook("sched_wakeup", "sched_wakeup"),
    hook("sched_wakeup_new", "sched_wakeup_new"),
    Hook { fallback: Some("sched_switch_old"), ..hook("sched_switch", "sched_switch") },
];

/// Hooks that have to be attached for these probes, in the order of attachment: first [`LIFECYCLE`].
#[must_use]
pub fn hooks_of(probes: Probes) -> Vec<&'static [Hook]> {
    let mut hooks = vec![&LIFECYCLE[..]];
    hooks.extend((probes.syscalls || probes.futex).then_some(&SYSCALLS[..]));
    hooks.extend(probes.sched.then_some(&SCHED[..]));
    hooks
}

/// Attached programs, in the order of their attachment.
#[derive(Default)]
pub struct Attached {
    links: Vec<(Hook, FdLink)>,
}

impl Kernel {
    /// Attaches hooks in their order. Returns the programs that replace refused ones.
    ///
    /// # Errors
    /// When the kernel refuses a program or has no such tracepoint.
    pub fn attach(
        &mut self,
        hooks: &[Hook],
        attached: &mut Attached,
    ) -> Result<Vec<&'static str>, LoadError> {
        let mut fallbacks = Vec::new();
        for hook in hooks {
            let link = match (self.attach_program(hook.program, hook.tracepoint), hook.fallback) {
                (Err(LoadError::Program { .. }), Some(fallback)) => {
                    fallbacks.push(fallback);
                    self.attach_program(fallback, hook.tracepoint)?
                }
                (link, _) => link?,
            };
            attached.links.push((*hook, link));
        }
        Ok(fallbacks)
    }

    /// Has the kernel verify the programs of these hooks, several at a time: verification takes most of the start-up
    /// time. A program that is refused is tried again when it is to be attached, and the refusal is reported then.
    pub fn load_ahead(&mut self, hooks: &[Hook]) {
        let Some(btf) = self.btf.take().or_else(|| Btf::from_sys_fs().ok()) else { return };
        thread::scope(|scope| {
            for (name, program) in self.ebpf.programs_mut() {
                let Some(hook) = hooks.iter().find(|hook| hook.program == name) else { continue };
                let load = || drop(verify(program, hook.tracepoint, &btf));
                // Without room for another thread it is loaded when it is attached.
                let _ = thread::Builder::new().spawn_scoped(scope, load);
            }
        });
        self.btf = Some(btf);
    }

    fn attach_program(&mut self, name: &'static str, tracepoint: &str) -> Result<FdLink, LoadError> {
        // A program that was detached is still loaded.
        if self.program(name)?.fd().is_err() {
            self.load_program(name, tracepoint)?;
        }
        let attach = |cause| LoadError::Attach { name, cause };
        match self.program(name)? {
            Program::RawTracePoint(program) => {
                let id = program.attach(tracepoint).map_err(attach)?;
                Ok(program.take_link(id).map_err(attach)?.into())
            }
            Program::BtfTracePoint(program) => {
                let id = program.attach().map_err(attach)?;
                Ok(program.take_link(id).map_err(attach)?.into())
            }
            _ => Err(LoadError::Attach { name, cause: ProgramError::UnexpectedProgramType }),
        }
    }

    /// Drops the kernel's type information, which is needed only to load programs and takes some 14 MB.
    pub fn forget_types(&mut self) {
        self.btf = None;
    }

    /// Has the kernel verify a program.
    ///
    /// # Errors
    /// When it refuses.
    pub fn load_program(&mut self, name: &'static str, tracepoint: &str) -> Result<(), LoadError> {
        let refused = |cause| LoadError::Program { name, cause };
        // Parsing all of the kernel's types takes a while: once is enough.
        let btf = match self.btf.take() {
            Some(btf) => btf,
            None => Btf::from_sys_fs().map_err(|cause| refused(ProgramError::Btf(cause)))?,
        };
        let btf = self.btf.insert(btf);
        let program = self.ebpf.program_mut(name).ok_or(LoadError::Missing { name })?;
        verify(program, tracepoint, btf).map_err(refused)
    }

    /// Instructions that the verifier walked for a loaded program; `None` where this kernel does not report it.
    pub fn verified_instructions(&mut self, name: &'static str) -> Option<u32> {
        self.program(name).ok()?.info().ok()?.verified_instruction_count()
    }

    fn program(&mut self, name: &'static str) -> Result<&mut Program, LoadError> {
        self.ebpf.program_mut(name).ok_or(LoadError::Missing { name })
    }
}

/// Has the kernel verify a program for a tracepoint.
fn verify(program: &mut Program, tracepoint: &str, btf: &Btf) -> Result<(), ProgramError> {
    match program {
        Program::RawTracePoint(program) => program.load(),
        Program::BtfTracePoint(program) => program.load(tracepoint, btf),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

impl Attached {
    /// Detaches the hook of one tracepoint; when this returns, its program runs on no CPU any more.
    pub fn detach(&mut self, tracepoint: &str) {
        self.links.retain(|(hook, _)| hook.tracepoint != tracepoint);
        settle();
    }

    /// Detaches hooks, the last attached first.
    pub fn detach_hooks(&mut self, hooks: &[Hook]) {
        self.release(hooks);
        settle();
    }

    /// Detaches hooks without waiting for programs that run at this moment.
    pub fn release(&mut self, hooks: &[Hook]) {
        while let Some(at) = self.links.iter().rposition(|(hook, _)| hooks.contains(hook)) {
            self.links.remove(at);
        }
    }

    /// Detaches all programs, the last attached first.
    pub fn detach_all(&mut self) {
        while self.links.pop().is_some() {}
        settle();
    }
}

/// Waits until programs that were running on other CPUs have ended: BPF programs run with preemption off, and this
/// call returns once every CPU has passed through the scheduler.
pub(super) fn settle() {
    // Kernels built for isolated CPUs refuse the call; there a short sleep has to do.
    if membarrier(MembarrierCommand::Global).is_err() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
