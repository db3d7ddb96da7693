//! From what was found in a file to what is attached to.

use std::num::NonZeroU32;

use binary::locate::{
    glibc::{COND_LOCK, MUTEX_LOCK},
    instruction::Class,
    register::Reg,
    site::{Call, FilePlan, Generation, Role, Site as Found, Wait},
};
use kernel::Spot;
use pulse_trace_common::probes::mutex::{Site, class, layout, role};

use super::{Mutexes, Origin};

/// Measurements of locks besides spin counts and waits, which are always taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Measure how long spins take. The probe at the beginning of the spin delays it, and other spin counts come of it.
    pub spin_time: bool,
    /// Count how often mutexes are wanted at all. Every call has a probe on its way, and other spin counts come of it.
    pub total: bool,
    /// Measure how long mutexes are held, in one of so many parts of the time. Not together with the total: a call
    /// has one probe.
    pub hold: Option<NonZeroU32>,
}

/// Sites of a file to which probes would be attached. Those whose lock is not known are of no use.
pub fn attachable(plan: &FilePlan, choice: Choice) -> impl Iterator<Item = &Found> {
    let of_use = move |found: &&Found| {
        meaning(found.role, choice).is_some()
            && class_of(found.class).is_some()
            && found.lock_register().is_some()
    };
    plan.sites.iter().chain(&plan.calls).filter(of_use)
}

/// Places in a file and what their hits carry. The name is that of its C library, where it is one.
pub fn spots(plan: &FilePlan, library: &str, choice: Choice, mutexes: &mut Mutexes) -> Vec<Spot> {
    attachable(plan, choice).filter_map(|found| spot(plan, found, library, choice, mutexes)).collect()
}

fn spot(
    plan: &FilePlan,
    found: &Found,
    library: &str,
    choice: Choice,
    mutexes: &mut Mutexes,
) -> Option<Spot> {
    let (role, layout) = meaning(found.role, choice)?;
    let runtime = match found.role {
        Role::SlowPathEntry(runtime) => runtime,
        _ => library,
    };
    let waits_at_once = role == role::WAIT;
    // Every call of an adaptive mutex comes to the row of the spins that most of them get.
    let function = if matches!(found.role, Role::Call(_)) { MUTEX_LOCK } else { found.function.as_str() };
    let spin = plan.spins.iter().find(|spin| spin.function == function && !waits_at_once);
    let generation = spin.map(|spin| name(spin.generation).to_owned());
    let site = Site {
        role,
        layout,
        class: class_of(found.class)?,
        lock: place(found.lock_register()?),
        count: if role == role::SPIN_END { place(found.count_register?) } else { 0 },
        origin: mutexes.origin(Origin { runtime: runtime.to_owned(), generation })?,
    };
    Some(Spot { offset: found.file_offset, cookie: site.cookie() })
}

/// Role of the probe on a site, and the layout of its lock; `None` where nothing is counted.
fn meaning(of: Role, choice: Choice) -> Option<(u8, u8)> {
    match of {
        Role::Contended if choice.spin_time => Some((role::SPIN_BEGIN, layout::MUTEX)),
        Role::SpinEnd => Some((role::SPIN_END, layout::MUTEX)),
        // The same event as `GaveUp`, for a fifth of the price.
        Role::LastAttempt => Some((role::GAVE_UP, layout::MUTEX)),
        Role::KernelWait(Wait::Adaptive) => Some((role::WAIT_AFTER_SPIN, layout::MUTEX)),
        Role::KernelWait(Wait::Normal | Wait::Recursive) => Some((role::WAIT, layout::MUTEX)),
        Role::KernelWait(Wait::Timed) => Some((role::TIMED_WAIT, layout::MUTEX)),
        Role::KernelWait(Wait::Read) => Some((role::WAIT, layout::READ)),
        Role::KernelWait(Wait::Write) => Some((role::WAIT, layout::WRITE)),
        Role::SlowPathEntry(_) => Some((role::SLOW_PATH, layout::UNKNOWN)),
        Role::Call(call) => Some((of_call(call, choice)?, layout::MUTEX)),
        // An entry that uncontended acquisitions pass, too, says nothing about contention.
        Role::Contended | Role::GaveUp | Role::LockEntry(_) => None,
    }
}

/// Role of the probe on a call; `None` if the call needs none.
const fn of_call(call: Call, choice: Choice) -> Option<u8> {
    match call {
        Call::Lock | Call::Timed if choice.total => Some(role::CALL),
        _ if choice.hold.is_none() => None,
        Call::Lock => Some(role::TAKE),
        Call::Timed | Call::Try => Some(role::TRY),
        Call::Unlock | Call::Wait => Some(role::RELEASE),
    }
}

/// Functions without which nothing is known of how long mutexes are held.
pub const HOLD_NEEDS: [&str; 5] =
    [MUTEX_LOCK, COND_LOCK, "pthread_mutex_unlock", "pthread_cond_wait", "pthread_cond_timedwait"];

/// The class by which hits of such an instruction are counted; `None` where there are none.
#[must_use]
pub const fn class_of(of: Class) -> Option<u8> {
    match of {
        Class::FiveByteNop => Some(class::NOP),
        Class::Emulated => Some(class::EMULATED),
        Class::SingleStepped => Some(class::STEPPED),
        Class::Refused(_) => None,
    }
}

/// As people name it.
const fn name(generation: Generation) -> &'static str {
    match generation {
        Generation::Linear => "linear",
        Generation::Exponential => "exponential back-off",
    }
}

/// Index of a register in the kernel's `pt_regs`, in double words.
const fn place(register: Reg) -> u8 {
    match register {
        Reg::R15 => 0,
        Reg::R14 => 1,
        Reg::R13 => 2,
        Reg::R12 => 3,
        Reg::Rbp => 4,
        Reg::Rbx => 5,
        Reg::R11 => 6,
        Reg::R10 => 7,
        Reg::R9 => 8,
        Reg::R8 => 9,
        Reg::Rax => 10,
        Reg::Rcx => 11,
        Reg::Rdx => 12,
        Reg::Rsi => 13,
        Reg::Rdi => 14,
        Reg::Rsp => 19,
    }
}

#[cfg(test)]
mod tests {
    use binary::locate::site::{FoundBy, LockPointer, Spin};

    use super::*;

    fn found(role: Role, function: &str, class: Class) -> Found {
        Found {
            role,
            function: function.to_owned(),
            address: 0x10,
            file_offset: 0x20,
            class,
            count_register: (role == Role::SpinEnd).then_some(Reg::Rbx),
            lock: Some(LockPointer { register: Reg::Rdi, offset: 0 }),
            found_by: FoundBy::Both,
        }
    }

    fn plan(sites: Vec<Found>) -> FilePlan {
        let spins = vec![Spin { function: "lock".to_owned(), generation: Generation::Exponential }];
        FilePlan { sites, spins, ..FilePlan::default() }
    }

    #[test]
    fn a_spin_and_a_plain_wait_of_one_function_have_different_origins() {
        let normal = found(Role::KernelWait(Wait::Normal), "lock", Class::Emulated);
        let plan = plan(vec![found(Role::SpinEnd, "lock", Class::Emulated), normal]);
        let mut mutexes = Mutexes::default();
        let sites: Vec<Site> = spots(&plan, "glibc 2.36", Choice::default(), &mut mutexes)
            .iter()
            .map(|spot| Site::of(spot.cookie))
            .collect();
        let [spin, wait] = sites[..] else { panic!("{sites:?}") };
        assert_eq!((spin.lock, spin.count, spin.class), (14, 5, class::EMULATED));
        assert_eq!(
            mutexes.origins[usize::from(spin.origin)].generation.as_deref(),
            Some("exponential back-off")
        );
        assert_eq!(mutexes.origins[usize::from(wait.origin)].generation, None);
    }

    #[test]
    fn what_is_dear_or_says_nothing_is_left_out() {
        let contended = found(Role::Contended, "lock", Class::SingleStepped);
        let entry = found(Role::LockEntry("Go"), "lock2", Class::Emulated);
        let refused = found(Role::SpinEnd, "lock", Class::Refused("no"));
        let plan = plan(vec![contended, entry, refused]);
        let mut mutexes = Mutexes::default();
        assert_eq!(spots(&plan, "", Choice::default(), &mut mutexes), []);
        assert_eq!(spots(&plan, "", Choice { spin_time: true, ..Choice::default() }, &mut mutexes).len(), 1);
    }
}
