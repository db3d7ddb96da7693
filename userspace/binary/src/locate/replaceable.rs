//! Instructions of glibc's mutex functions that a jump can take the place of, so that what passes them can be counted
//! inside of the process.
//!
//! Only single instructions of five bytes or more are taken: then no thread's instruction pointer, no return address
//! and no interrupted signal handler can lie inside of what is replaced, at any moment. And only where nothing needs
//! the flags any more, so that counting may change them.

use serde::{Deserialize, Serialize};

use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind, Register, RflagsBits};

use super::{
    code::{Body, branch_target, call_target},
    debug_file::Nowhere,
    elf::Image,
    extents::Extents,
    flow::{self, State},
    glibc::{COND_LOCK, MUTEX_LOCK},
    plan::plan,
    register::Reg,
    site::{FilePlan, Generation, Role, Site, Wait},
};

/// Length of the jump that is written.
pub const JUMP: usize = 5;

/// Event that passing a place stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Passing {
    /// An adaptive mutex is about to be tried: once for each acquisition.
    AdaptiveAttempt,
    /// The end of a spin, with the register that holds its count (32 bits): once for each contended acquisition.
    SpinEnd(Reg),
    /// The limit of the spin was reached.
    GaveUp,
    /// The kernel is about to be called for an adaptive mutex.
    AdaptiveWait,
    /// A normal or an error-checking mutex is about to be tried: once for each acquisition.
    NormalAttempt,
    /// The kernel is about to be called for one of those: once for each contended acquisition.
    NormalWait,
}

/// Way in which the instruction does its work elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Moved {
    /// As it is: it means the same everywhere.
    Copied,
    /// A jump to this address of the file.
    Jump(u64),
    /// A call of this address of the file.
    Call(u64),
}

/// One such instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaceable {
    /// Event that passing it stands for.
    pub passing: Passing,
    /// The function that holds it.
    pub function: String,
    /// In the file's own address space.
    pub address: u64,
    /// Bytes of the instruction.
    pub bytes: Vec<u8>,
    /// Way in which it works elsewhere.
    pub moved: Moved,
    /// Holds the address of the mutex when control is here; `None` where the code does not tell.
    pub lock: Option<Reg>,
}

/// The code of a function, to be compared with what lies in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// In the file's own address space.
    pub address: u64,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// Everything that can be replaced in one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacements {
    /// The functions concerned.
    pub code: Vec<Code>,
    /// In the order of their addresses.
    pub places: Vec<Replaceable>,
    /// Functions and events that cannot be counted, each with the reason.
    pub left_out: Vec<String>,
    /// Offset relative to `fs` at which a thread keeps its own id: the library makes that the owner of a mutex.
    pub thread_id: Option<u32>,
}

/// Parts of a C library that counters need.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Offer {
    /// Instructions that can be replaced.
    pub replacements: Replacements,
    /// Offset in the file of the first of its functions.
    pub offset: Option<u64>,
    /// Way in which its spin counts.
    pub generation: Option<Generation>,
    /// Reason for which it has none.
    pub refusal: Option<String>,
}

impl Offer {
    /// Most of a C library that is read: the largest known is 3 MB.
    pub const LARGEST: u64 = 64 << 20;

    /// From the bytes of the file.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let plan = plan(bytes, &Nowhere);
        let replacements = find(bytes, &plan);
        let address = replacements.code.first().map(|code| code.address);
        let offset = address.and_then(|address| Image::parse(bytes).ok()?.offset_of(address));
        let refusal = plan.refusals.iter().chain(&replacements.left_out).next().cloned();
        Self { replacements, offset, generation: plan.generation, refusal }
    }
}

/// Finds them, from the plan of the same file.
#[must_use]
pub fn find(bytes: &[u8], plan: &FilePlan) -> Replacements {
    let mut all = Replacements::default();
    let Ok(image) = Image::parse(bytes) else { return all };
    let extents = Extents::of(&image);
    for function in [MUTEX_LOCK, COND_LOCK] {
        let sites: Vec<&Site> = plan.sites.iter().filter(|site| site.function == function).collect();
        let Some(first) = sites.first() else { continue };
        let Some((from, to)) = extents.around(first.address) else { continue };
        let body = Body::decode(&image, &extents, from, to - from);
        let found = body.map_err(str::to_owned).and_then(|body| {
            all.thread_id = all.thread_id.or_else(|| thread_id(&body));
            of_function(&body, &sites)
        });
        let (places, code) = match (found, image.code(from, to - from)) {
            (Ok(places), Some(code)) => (places, code),
            (Err(reason), _) => {
                all.left_out.push(format!("{function} {reason}"));
                continue;
            }
            (_, None) => continue,
        };
        let bytes_of = |place: &Place| {
            let at = usize::try_from(place.instruction.ip() - from).ok()?;
            code.get(at..at + place.instruction.len()).map(<[u8]>::to_vec)
        };
        all.places.extend(places.iter().filter_map(|place| {
            Some(Replaceable {
                passing: place.passing,
                function: function.to_owned(),
                address: place.instruction.ip(),
                bytes: bytes_of(place)?,
                moved: moved(&place.instruction)?,
                lock: place.lock,
            })
        }));
        all.code.push(Code { address: from, bytes: code.to_vec() });
    }
    all.places.sort_by_key(|place| place.address);
    all
}

struct Place {
    passing: Passing,
    instruction: Instruction,
    lock: Option<Reg>,
}

/// All six places of a function, or none: numbers that do not belong together are worse than none.
fn of_function(body: &Body<'_>, sites: &[&Site]) -> Result<Vec<Place>, String> {
    let site = |role: Role| {
        let site = sites.iter().find(|site| site.role == role)?;
        Some((body.at(site.address)?, site.count_register))
    };
    let the = |role: Role| site(role).ok_or_else(|| format!("has no site for {role:?}"));
    let (contended, _) = the(Role::Contended)?;
    let (adaptive_wait, _) = the(Role::KernelWait(Wait::Adaptive))?;
    let (normal_wait, _) = the(Role::KernelWait(Wait::Normal))?;
    let (end, count) = the(Role::SpinEnd)?;
    let (gave_up, _) = the(Role::GaveUp)?;
    let count = count.ok_or("does not say where the spin count is")?;
    let places = [
        (Passing::AdaptiveAttempt, before_join(body, body.head(contended))),
        (Passing::SpinEnd(count), replaceable(body, end).then_some(end)),
        (Passing::GaveUp, locked_after(body, gave_up).and_then(|to| first_in(body, gave_up, to))),
        (Passing::AdaptiveWait, last_in(body, adaptive_wait)),
        (Passing::NormalAttempt, before_join(body, body.head(normal_wait))),
        (Passing::NormalWait, last_in(body, normal_wait)),
    ];
    let states = flow::follow(body)?;
    let mut taken: Vec<usize> = Vec::new();
    let mut found = Vec::new();
    for (passing, index) in places {
        let index = index.filter(|index| !taken.contains(index));
        let index =
            index.ok_or_else(|| format!("has no instruction for {passing:?} that a jump can replace"))?;
        taken.push(index);
        let pointer = states[index].as_ref().and_then(State::lock_pointer);
        let lock = pointer.filter(|pointer| pointer.offset == 0).map(|pointer| pointer.register);
        found.push(Place { passing, instruction: body.instructions[index], lock });
    }
    Ok(found)
}

/// The one place of its own block that a function takes 32 bits from: the thread's id, for the owner of the mutex.
fn thread_id(body: &Body<'_>) -> Option<u32> {
    let own = body.instructions.iter().filter(|it| {
        it.mnemonic() == Mnemonic::Mov
            && it.segment_prefix() == Register::FS
            && it.memory_base() == Register::None
            && it.memory_index() == Register::None
            && it.op0_register().is_gpr32()
    });
    let mut places: Vec<u64> = own.map(Instruction::memory_displacement64).collect();
    places.sort_unstable();
    places.dedup();
    let [place] = places.as_slice() else { return None };
    // The constant is one of 31 bits.
    u32::try_from(*place).ok().filter(|place| i32::try_from(*place).is_ok())
}

/// The last instruction that every acquisition passes once before it has the lock, given where those continue that
/// found it taken: the branch to there falls through to where all come together.
fn before_join(body: &Body<'_>, taken: usize) -> Option<usize> {
    let to_there = |branch: &usize| {
        let instruction = &body.instructions[*branch];
        instruction.flow_control() == FlowControl::ConditionalBranch
            && branch_target(instruction) == Some(body.address(taken))
    };
    let mut branches = body.predecessors(taken).iter().copied().filter(to_there);
    let (Some(branch), None) = (branches.next(), branches.next()) else { return None };
    let join = branch + 1;
    let from_join = body.reachable(join, |_| false);
    let once = |index: &usize| {
        replaceable(body, *index)
            && !from_join.contains(index)
            && !body.reachable(0, |other| other == *index).contains(&join)
            && !leaves_without(body, *index, join)
    };
    let candidates: Vec<usize> =
        (1..body.instructions.len()).filter(|index| *index != join).filter(once).collect();
    // The nearest is the one from which all others can no longer be reached.
    candidates.iter().copied().find(|index| {
        let later = body.reachable(*index, |other| other == join);
        candidates.iter().all(|other| other == index || !later.contains(other))
    })
}

/// True if the function can be left from an instruction without passing another.
fn leaves_without(body: &Body<'_>, from: usize, passing: usize) -> bool {
    body.reachable(from, |index| index == passing).into_iter().any(|index| {
        let instruction = &body.instructions[index];
        match instruction.flow_control() {
            FlowControl::Return | FlowControl::IndirectBranch => true,
            FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch => {
                branch_target(instruction).is_none_or(|target| !body.holds(target))
            }
            _ => false,
        }
    })
}

/// The instruction with a `lock` in the straight line that begins here, explicit or not.
fn locked_after(body: &Body<'_>, from: usize) -> Option<usize> {
    let locked = |index: &usize| {
        let instruction = &body.instructions[*index];
        instruction.has_lock_prefix()
            || (instruction.mnemonic() == Mnemonic::Xchg && instruction.op0_kind() == OpKind::Memory)
    };
    body.line(from).filter(|index| *index >= from).find(locked)
}

fn first_in(body: &Body<'_>, from: usize, to: usize) -> Option<usize> {
    (from..to).find(|index| replaceable(body, *index))
}

/// The last replaceable one of the straight line that leads to a call, the call included.
fn last_in(body: &Body<'_>, call: usize) -> Option<usize> {
    let before = (body.head(call)..call).rev().find(|index| replaceable(body, *index));
    before.or_else(|| replaceable(body, call).then_some(call))
}

/// True if a jump can take its place.
fn replaceable(body: &Body<'_>, index: usize) -> bool {
    let Some(instruction) = body.instructions.get(index) else { return false };
    instruction.len() >= JUMP && moved(instruction).is_some() && flags_are_dead(body, index)
}

fn moved(instruction: &Instruction) -> Option<Moved> {
    match instruction.flow_control() {
        FlowControl::UnconditionalBranch => Some(Moved::Jump(branch_target(instruction)?)),
        FlowControl::Call => Some(Moved::Call(call_target(instruction)?)),
        FlowControl::Next => {
            let plain = !instruction.is_ip_rel_memory_operand() && !instruction.has_lock_prefix();
            // What moves the stack pointer or looks at it relies on nothing that changes: it runs after everything has
            // been put back.
            plain.then_some(Moved::Copied)
        }
        _ => None,
    }
}

/// Instructions that are looked at for what they do to the flags.
const LOOKAHEAD: usize = 8;

/// True if the following code sets the flags before it reads them.
fn flags_are_dead(body: &Body<'_>, mut index: usize) -> bool {
    const ALL: u32 =
        RflagsBits::OF | RflagsBits::SF | RflagsBits::ZF | RflagsBits::AF | RflagsBits::CF | RflagsBits::PF;
    let mut set = 0;
    for _ in 0..LOOKAHEAD {
        let Some(instruction) = body.instructions.get(index) else { return false };
        if instruction.rflags_read() & ALL & !set != 0 {
            return false;
        }
        set |= instruction.rflags_modified() & ALL;
        if set == ALL {
            return true;
        }
        index = match instruction.flow_control() {
            FlowControl::Next => index + 1,
            // No function expects anything in the flags, and none leaves anything there for its caller.
            FlowControl::Call => return true,
            FlowControl::UnconditionalBranch => {
                match branch_target(instruction).and_then(|target| body.at(target)) {
                    Some(target) => target,
                    None => return false,
                }
            }
            _ => return false,
        };
    }
    false
}
