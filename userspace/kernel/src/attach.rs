//! Attaches and detaches the BPF programs.

use std::{
    os::fd::{AsFd as _, OwnedFd},
    thread,
};

use aya::{
    Btf,
    programs::{Program, ProgramError, links::FdLink},
};
use model::probes::{Hook, Point, ProbeSet, hook};
use rustix::thread::{MembarrierCommand, membarrier};

use super::{
    Kernel, LoadError,
    event::{count_at_end, on_each_cpu},
};

/// Fork, exit, exec and rename of threads; attached before any thread is given a seat, so that none is missed.
pub const LIFECYCLE: [Hook; 4] = [
    hook("lifecycle_rename", "task_rename"),
    hook("lifecycle_exit", "sched_process_exit"),
    hook("lifecycle_exec", "sched_process_exec"),
    hook("lifecycle_fork", "sched_process_fork"),
];

/// Hooks that have to be attached for these probes, in the order of attachment: first [`LIFECYCLE`]. Probes that share
/// hooks have them once.
#[must_use]
pub fn hooks_of(probes: ProbeSet) -> Vec<&'static [Hook]> {
    let mut hooks = vec![&LIFECYCLE[..]];
    for of_probe in probes.specs().map(|spec| spec.hooks).filter(|of_probe| !of_probe.is_empty()) {
        if !hooks.contains(&of_probe) {
            hooks.push(of_probe);
        }
    }
    hooks
}

/// Attached programs, in the order of their attachment.
#[derive(Default)]
pub struct Attached {
    links: Vec<(Hook, Link)>,
    /// Software events that the kernel has counted while their programs were attached, of those that are not any more.
    software_events: u64,
}

/// Descriptors that keep a program attached.
enum Link {
    /// One of the kernel's links.
    #[expect(dead_code, reason = "only dropped: that detaches the program")]
    One(FdLink),
    /// An event of perf on each CPU.
    Events(Vec<OwnedFd>),
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
            let link = match (self.attach_program(hook.program, hook.point), hook.fallback) {
                (Err(LoadError::Program { .. }), Some(fallback)) => {
                    fallbacks.push(fallback);
                    self.attach_program(fallback, hook.point)?
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
                let load = || drop(verify(program, hook.point, &btf));
                // Without room for another thread it is loaded when it is attached.
                let _ = thread::Builder::new().spawn_scoped(scope, load);
            }
        });
        self.btf = Some(btf);
    }

    fn attach_program(&mut self, name: &'static str, point: Point) -> Result<Link, LoadError> {
        // A program that was detached is still loaded.
        if self.program(name)?.fd().is_err() {
            self.load_program(name, point)?;
        }
        let attach = |cause| LoadError::Attach { name, cause };
        match (self.program(name)?, point) {
            (Program::RawTracePoint(program), Point::Tracepoint(tracepoint)) => {
                let id = program.attach(tracepoint).map_err(attach)?;
                Ok(Link::One(program.take_link(id).map_err(attach)?.into()))
            }
            (Program::BtfTracePoint(program), Point::Tracepoint(_)) => {
                let id = program.attach().map_err(attach)?;
                Ok(Link::One(program.take_link(id).map_err(attach)?.into()))
            }
            (Program::PerfEvent(program), Point::Software(_, number)) => {
                let descriptor = program.fd().map_err(attach)?.as_fd();
                let events =
                    on_each_cpu(number, descriptor).map_err(|cause| LoadError::Event { name, cause })?;
                Ok(Link::Events(events))
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
    pub fn load_program(&mut self, name: &'static str, point: Point) -> Result<(), LoadError> {
        let refused = |cause| LoadError::Program { name, cause };
        // Parsing all of the kernel's types takes a while: once is enough.
        let btf = match self.btf.take() {
            Some(btf) => btf,
            None => Btf::from_sys_fs().map_err(|cause| refused(ProgramError::Btf(cause)))?,
        };
        let btf = self.btf.insert(btf);
        let program = self.ebpf.program_mut(name).ok_or(LoadError::Missing { name })?;
        verify(program, point, btf).map_err(refused)
    }

    /// Instructions that the verifier walked for a loaded program; `None` where this kernel does not report it.
    pub fn verified_instructions(&mut self, name: &'static str) -> Option<u32> {
        self.program(name).ok()?.info().ok()?.verified_instruction_count()
    }

    fn program(&mut self, name: &'static str) -> Result<&mut Program, LoadError> {
        self.ebpf.program_mut(name).ok_or(LoadError::Missing { name })
    }
}

/// Has the kernel verify a program for a place.
fn verify(program: &mut Program, point: Point, btf: &Btf) -> Result<(), ProgramError> {
    match (program, point) {
        (Program::RawTracePoint(program), _) => program.load(),
        (Program::BtfTracePoint(program), Point::Tracepoint(tracepoint)) => program.load(tracepoint, btf),
        (Program::PerfEvent(program), _) => program.load(),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

impl Attached {
    /// Detaches the hook of one tracepoint; when this returns, its program runs on no CPU any more.
    pub fn detach(&mut self, tracepoint: &'static str) {
        self.links.retain(|(hook, _)| hook.point != Point::Tracepoint(tracepoint));
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
            let (_, link) = self.links.remove(at);
            self.end(link);
        }
    }

    fn end(&mut self, link: Link) {
        if let Link::Events(events) = &link {
            self.software_events += events.iter().map(count_at_end).sum::<u64>();
        }
    }

    /// Software events that the kernel has counted while programs were attached to them.
    #[must_use]
    pub fn software_events(&self) -> u64 {
        self.software_events
    }

    /// Detaches all programs, the last attached first.
    pub fn detach_all(&mut self) {
        while let Some((_, link)) = self.links.pop() {
            self.end(link);
        }
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
