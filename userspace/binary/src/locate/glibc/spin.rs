//! The spin of an adaptive mutex inside one function, found by what the code does to the mutex.
//!
//! `__spins`, a 16-bit field 0x14 bytes into a `pthread_mutex_t`, is part of the ABI. A function that spins loads it
//! once to compute its limit (contended) and once, to update it, wherever the spin ends.

use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind};

use super::update::{self, Update};
use crate::locate::{
    code::{Body, call_target},
    flow::{State, Value},
    register::Reg,
    site::Generation,
};

const SPINS: i64 = 0x14;

/// A spin, as numbers of instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spin {
    /// The load with which every contended acquisition begins, and the cheapest instruction of the same line.
    pub contended: Place,
    /// Ends of spins; `pthread_mutex_lock` has one of these.
    pub ends: Vec<End>,
    /// Begin of the line that makes the last attempt, and the branch behind that attempt.
    pub gave_up: Option<(Place, usize)>,
    /// Way in which the spin counts.
    pub generation: Generation,
}

/// An event with the cheapest instruction that stands for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its first instruction.
    pub first: usize,
    /// The cheapest to probe of those that are passed as often.
    pub best: usize,
}

/// The end of a spin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The load, and the instruction to probe.
    pub place: Place,
    /// The register that holds the count at the instruction to probe.
    pub count: Reg,
    /// The register that holds it at the load.
    pub count_at_first: Reg,
}

/// True if the 16 bits that an instruction touches are the mutex's `__spins`.
pub fn is_spins(instruction: &Instruction, states: &[Option<State>], index: usize) -> bool {
    touches(instruction, states, index, SPINS) && instruction.memory_size().size() == 2
}

fn touches(instruction: &Instruction, states: &[Option<State>], index: usize, field: i64) -> bool {
    let memory = instruction.op0_kind() == OpKind::Memory || instruction.op1_kind() == OpKind::Memory;
    let state = states.get(index).and_then(Option::as_ref);
    memory && state.is_some_and(|state| state.pointee(instruction) == Value::Lock(field))
}

/// Finds the spin; `Ok(None)` where the function never touches `__spins`.
///
/// # Errors
/// The reason for which it is not understood, for a sentence that names the function.
pub fn find(body: &Body<'_>, states: &[Option<State>]) -> Result<Option<Spin>, &'static str> {
    let touching = |wanted: fn(&Instruction) -> bool| -> Vec<usize> {
        let all = body.instructions.iter().enumerate();
        let all =
            all.filter(|(index, instruction)| is_spins(instruction, states, *index) && wanted(instruction));
        all.map(|(index, _)| index).collect()
    };
    let stores = touching(|instruction| instruction.op0_kind() == OpKind::Memory);
    let loads = touching(|instruction| instruction.op0_kind() != OpKind::Memory);
    if stores.is_empty() && loads.is_empty() {
        return Ok(None);
    }
    let updates: Option<Vec<Update>> =
        stores.iter().map(|store| update::understand(body, states, body.line(*store), *store)).collect();
    let updates = updates.ok_or("stores something into __spins that is not its running mean")?;
    let mut first = loads.iter().filter(|load| updates.iter().all(|update| update.load != **load));
    let (Some(first), None) = (first.next(), first.next()) else {
        return Err("does not load __spins once before the spin and once at each end of it");
    };
    if updates.is_empty() || loads.len() != updates.len() + 1 {
        return Err("does not update __spins");
    }
    check_entry(body, states, *first)?;
    let ends: Option<Vec<End>> = updates.iter().map(|update| end(body, update)).collect();
    let ends = ends.ok_or("has no instruction at the end of the spin that can be probed")?;
    let is_end = |index: usize| updates.iter().any(|update| body.line(update.load).contains(&index));
    let loop_and_wait = body.reachable(*first, is_end);
    let gave_up = gave_up(body, states, &loop_and_wait, is_end);
    let in_loop: Vec<usize> = match &gave_up {
        Some((place, _)) => body.reachable(*first, |index| is_end(index) || index == place.first),
        None => loop_and_wait,
    };
    let generation = generation(body, &in_loop, &updates)?;
    let contended =
        cheapest(body, body.line(*first), *first).ok_or("cannot be probed where it is contended")?;
    Ok(Some(Spin { contended, ends, gave_up, generation }))
}

/// The line of the first load is entered after a failed attempt to lock, and in no other way.
fn check_entry(body: &Body<'_>, states: &[Option<State>], load: usize) -> Result<(), &'static str> {
    const WRONG: &str = "reaches its spin in another way than by a failed attempt to lock";
    let line = body.line(load);
    // Nothing that can be skipped or repeated may stand between the entry and the load.
    if line.clone().any(|index| index < load && is_attempt(body, states, index)) {
        return Err(WRONG);
    }
    let mut attempts = 0;
    for from in body.predecessors(line.start).iter().copied() {
        let instruction = &body.instructions[from];
        let taken = body.successors(from).last() == Some(&line.start);
        let fails = match instruction.mnemonic() {
            Mnemonic::Jne => taken,
            Mnemonic::Je => from + 1 == line.start,
            _ => false,
        };
        if !fails || from == 0 || !is_attempt(body, states, from - 1) || !body.is_only_fallen_into(from) {
            return Err(WRONG);
        }
        attempts += 1;
    }
    if attempts == 1 { Ok(()) } else { Err(WRONG) }
}

/// `lock cmpxchg` on the lock's word.
fn is_attempt(body: &Body<'_>, states: &[Option<State>], index: usize) -> bool {
    let instruction = &body.instructions[index];
    instruction.mnemonic() == Mnemonic::Cmpxchg
        && instruction.has_lock_prefix()
        && touches(instruction, states, index, 0)
}

/// Any atomic write to the lock's word.
fn is_atomic(body: &Body<'_>, states: &[Option<State>], index: usize) -> bool {
    let instruction = &body.instructions[index];
    let exchanges = instruction.mnemonic() == Mnemonic::Xchg && touches(instruction, states, index, 0);
    exchanges || is_attempt(body, states, index)
}

fn end(body: &Body<'_>, update: &Update) -> Option<End> {
    let line = body.line(update.load);
    // From the load on: before it, the line may still belong to the spin.
    let holders = update::holders(body, line, update.count);
    let count_at_first = holders.iter().find(|(index, _)| *index == update.load)?.1;
    let holders = holders.into_iter().filter(|(index, _)| *index >= update.load);
    let priced = holders.filter_map(|(index, holder)| Some((cost(body, index)?, index, holder)));
    let (_, best, count) = priced.min_by_key(|(cost, index, _)| (*cost, *index))?;
    Some(End { place: Place { first: update.load, best }, count, count_at_first })
}

/// The one atomic operation after the loop, if there is exactly one.
fn gave_up(
    body: &Body<'_>,
    states: &[Option<State>],
    region: &[usize],
    is_end: impl Fn(usize) -> bool,
) -> Option<(Place, usize)> {
    let outside_loops = |index: &usize| {
        let mut next = body.successors(*index).into_iter().filter(|next| !is_end(*next));
        !next.any(|next| body.reachable(next, &is_end).contains(index))
    };
    let mut last =
        region.iter().copied().filter(|index| is_atomic(body, states, *index)).filter(outside_loops);
    let (Some(attempt), None) = (last.next(), last.next()) else { return None };
    let line = body.line(attempt);
    let branch = line.clone().last().filter(|branch| {
        *branch > attempt && body.instructions[*branch].flow_control() == FlowControl::ConditionalBranch
    })?;
    // Outside of the critical section means before the attempt.
    let place = cheapest(body, line.start..attempt, line.start)?;
    cost(body, branch)?;
    Some((place, branch))
}

/// One by one, or by the length of the pause; a function that mixes both is not known.
fn generation(body: &Body<'_>, region: &[usize], updates: &[Update]) -> Result<Generation, &'static str> {
    let (mut pauses, mut clock, mut ones, mut sums) = (0, 0, 0, 0);
    let counts = |register| updates.iter().any(|update| Reg::whole(register) == Some(update.count));
    for instruction in region.iter().map(|index| &body.instructions[*index]) {
        let to_count = instruction.op0_kind() == OpKind::Register && counts(instruction.op0_register());
        let by_register = instruction.op1_kind() == OpKind::Register;
        match instruction.mnemonic() {
            Mnemonic::Pause => pauses += 1,
            Mnemonic::Rdtsc | Mnemonic::Rdtscp => clock += 1,
            Mnemonic::Inc if to_count => ones += 1,
            Mnemonic::Add if to_count && by_register => sums += 1,
            Mnemonic::Add if to_count && instruction.immediate(1) == 1 => ones += 1,
            Mnemonic::Lea if to_count && instruction.memory_displacement64() == 1 => ones += 1,
            _ => {}
        }
    }
    match (pauses > 0, clock > 0, ones > 0, sums > 0) {
        (true, false, true, false) => Ok(Generation::Linear),
        (true, true, false, true) => Ok(Generation::Exponential),
        _ => Err("spins in a way that is not known"),
    }
}

/// The cheapest instruction of a line from some point on.
fn cheapest(body: &Body<'_>, line: std::ops::Range<usize>, first: usize) -> Option<Place> {
    let priced = line.filter(|index| *index >= first).filter_map(|index| Some((cost(body, index)?, index)));
    priced.min().map(|(_, best)| Place { first, best })
}

fn cost(body: &Body<'_>, index: usize) -> Option<u32> {
    body.class(index).typical_ns()
}

/// Direct calls that pass the lock, or a part of it, as the first argument.
pub fn calls_with_lock(body: &Body<'_>, states: &[Option<State>]) -> Vec<(usize, u64, i64)> {
    let of = |(index, instruction): (usize, &Instruction)| {
        let target = call_target(instruction)?;
        match states.get(index)?.as_ref()?.get(Reg::Rdi) {
            Value::Lock(offset) => Some((index, target, offset)),
            _ => None,
        }
    };
    body.instructions.iter().enumerate().filter_map(of).collect()
}
