//! Follows one pointer, the first argument, through the registers and the stack of a function.
//!
//! A register is named as the holder of the lock at an instruction only if it holds it on every path that leads there.

use std::collections::BTreeMap;

use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

use super::{code::Body, register::Reg, site::LockPointer};

/// Known contents of a register or of a stack slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// The first argument plus this many bytes.
    Lock(i64),
    /// The stack pointer at the entry plus this many bytes.
    Stack(i64),
    /// Any value: nothing is known of it.
    Unknown,
}

/// Registers and stack slots before an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    registers: [Value; 16],
    slots: BTreeMap<i64, Value>,
}

impl State {
    fn entry() -> Self {
        let mut registers = [Value::Unknown; 16];
        registers[Reg::Rdi as usize] = Value::Lock(0);
        registers[Reg::Rsp as usize] = Value::Stack(0);
        Self { registers, slots: BTreeMap::new() }
    }

    /// Value of a register.
    #[must_use]
    pub fn get(&self, register: Reg) -> Value {
        self.registers[register as usize]
    }

    fn set(&mut self, register: Reg, value: Value) {
        self.registers[register as usize] = value;
    }

    /// A register that holds the lock; one that points to its beginning is preferred.
    #[must_use]
    pub fn lock_pointer(&self) -> Option<LockPointer> {
        // The argument register comes first: it is what a reader expects.
        let order = std::iter::once(Reg::Rdi).chain(Reg::ALL);
        let holders = order.filter_map(|register| match self.get(register) {
            Value::Lock(offset) => Some(LockPointer { register, offset }),
            _ => None,
        });
        holders.min_by_key(|pointer| pointer.offset.unsigned_abs())
    }

    /// Target of a memory operand, if it is a plain base with a displacement.
    #[must_use]
    pub fn pointee(&self, instruction: &Instruction) -> Value {
        let plain = instruction.memory_index() == Register::None
            && instruction.segment_prefix() == Register::None
            && instruction.memory_base().is_gpr64();
        let Some(base) = Reg::whole(instruction.memory_base()).filter(|_| plain) else {
            return Value::Unknown;
        };
        self.get(base).plus(instruction.memory_displacement64() as i64)
    }

    fn join(&self, other: &Self) -> Self {
        let mut joined = self.clone();
        for (mine, theirs) in joined.registers.iter_mut().zip(other.registers) {
            *mine = mine.join(theirs);
        }
        let mine = std::mem::take(&mut joined.slots);
        let both = mine.into_iter().filter_map(|(at, value)| Some((at, value.join(*other.slots.get(&at)?))));
        joined.slots = both.collect();
        joined
    }
}

impl Value {
    fn plus(self, bytes: i64) -> Self {
        match self {
            Self::Lock(at) => at.checked_add(bytes).map_or(Self::Unknown, Self::Lock),
            Self::Stack(at) => at.checked_add(bytes).map_or(Self::Unknown, Self::Stack),
            Self::Unknown => Self::Unknown,
        }
    }

    fn join(self, other: Self) -> Self {
        if self == other { self } else { Self::Unknown }
    }
}

/// The state before each instruction; `None` where control never comes.
///
/// # Errors
/// When the function is too tangled to be followed.
pub fn follow(body: &Body<'_>) -> Result<Vec<Option<State>>, &'static str> {
    let count = body.instructions.len();
    let mut states: Vec<Option<State>> = vec![None; count];
    let mut factory = InstructionInfoFactory::new();
    let mut open = vec![0];
    if let Some(first) = states.first_mut() {
        *first = Some(State::entry());
    }
    // Every register can change twice on its way down to "anything"; real code needs two or three rounds.
    let mut budget = 64 * count;
    while let Some(index) = open.pop() {
        budget = budget.checked_sub(1).ok_or("is too tangled to be followed")?;
        let Some(before) = states[index].clone() else { continue };
        let after = step(before, &body.instructions[index], &mut factory);
        for next in body.successors(index) {
            let joined = states[next].as_ref().map_or_else(|| after.clone(), |known| known.join(&after));
            if states[next].as_ref() != Some(&joined) {
                states[next] = Some(joined);
                open.push(next);
            }
        }
    }
    Ok(states)
}

fn step(mut state: State, instruction: &Instruction, factory: &mut InstructionInfoFactory) -> State {
    if instruction.flow_control() == FlowControl::Call
        || instruction.flow_control() == FlowControl::IndirectCall
    {
        for register in Reg::ALL.into_iter().filter(|register| register.is_lost_in_calls()) {
            state.set(register, Value::Unknown);
        }
        return state;
    }
    let result = known_result(&state, instruction);
    let stored = stored_value(&state, instruction);
    forget_overwritten(&mut state, instruction, factory);
    for register in written(instruction, factory) {
        state.set(register, Value::Unknown);
    }
    if let Some((at, value)) = stored {
        state.slots.insert(at, value);
    }
    for (register, value) in result.into_iter().flatten() {
        state.set(register, value);
    }
    state
}

/// Registers that an instruction may change, in part or as a whole.
#[must_use]
pub fn written(instruction: &Instruction, factory: &mut InstructionInfoFactory) -> Vec<Reg> {
    let used = factory.info(instruction).used_registers().iter();
    used.filter(|used| writes(used.access())).filter_map(|used| Reg::whole(used.register())).collect()
}

fn writes(access: OpAccess) -> bool {
    matches!(access, OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite)
}

/// Registers whose new value is known: copies, sums with constants, loads from the stack, the stack pointer.
fn known_result(state: &State, instruction: &Instruction) -> [Option<(Reg, Value)>; 2] {
    let gpr = |operand: u32| {
        let register =
            (instruction.op_kind(operand) == OpKind::Register).then(|| instruction.op_register(operand));
        register.filter(|register| register.is_gpr64()).and_then(Reg::whole)
    };
    let sp = state.get(Reg::Rsp);
    let slot = |value: Value| match value {
        Value::Stack(at) => state.slots.get(&at).copied().unwrap_or(Value::Unknown),
        _ => Value::Unknown,
    };
    let memory = |operand: u32| instruction.op_kind(operand) == OpKind::Memory;
    match (instruction.mnemonic(), gpr(0)) {
        (Mnemonic::Mov, Some(to)) if memory(1) => [Some((to, slot(state.pointee(instruction)))), None],
        (Mnemonic::Mov, Some(to)) => [gpr(1).map(|from| (to, state.get(from))), None],
        (Mnemonic::Lea, Some(to)) => [Some((to, state.pointee(instruction))), None],
        (Mnemonic::Add | Mnemonic::Sub, Some(to)) if is_immediate(instruction, 1) => {
            let amount = instruction.immediate(1) as i64;
            let amount =
                if instruction.mnemonic() == Mnemonic::Sub { amount.checked_neg() } else { Some(amount) };
            [amount.map(|amount| (to, state.get(to).plus(amount))), None]
        }
        (Mnemonic::Push, _) => [Some((Reg::Rsp, sp.plus(-8))), None],
        (Mnemonic::Pop, Some(to)) => [Some((Reg::Rsp, sp.plus(8))), Some((to, slot(sp)))],
        (Mnemonic::Leave, _) => {
            let frame = state.get(Reg::Rbp);
            [Some((Reg::Rsp, frame.plus(8))), Some((Reg::Rbp, slot(frame)))]
        }
        _ => [None, None],
    }
}

/// The stack slot that a push or a plain store fills, and with what.
fn stored_value(state: &State, instruction: &Instruction) -> Option<(i64, Value)> {
    let source = |operand: u32| {
        let register =
            (instruction.op_kind(operand) == OpKind::Register).then(|| instruction.op_register(operand))?;
        register.is_gpr64().then(|| Reg::whole(register))?.map(|register| state.get(register))
    };
    match instruction.mnemonic() {
        Mnemonic::Push => match state.get(Reg::Rsp).plus(-8) {
            Value::Stack(at) => Some((at, source(0)?)),
            _ => None,
        },
        Mnemonic::Mov if instruction.op0_kind() == OpKind::Memory => match state.pointee(instruction) {
            Value::Stack(at) => Some((at, source(1)?)),
            _ => None,
        },
        _ => None,
    }
}

/// Slots that a store touches. Stores elsewhere leave them alone: the compiler's own slots have no other name.
fn forget_overwritten(state: &mut State, instruction: &Instruction, factory: &mut InstructionInfoFactory) {
    for used in factory.info(instruction).used_memory() {
        if !writes(used.access()) {
            continue;
        }
        let base = Reg::whole(used.base()).map_or(Value::Unknown, |base| state.get(base));
        let len = used.memory_size().size() as i64;
        match base.plus(used.displacement() as i64) {
            Value::Stack(at) if used.index() == Register::None && len > 0 => {
                state.slots.retain(|slot, _| slot.saturating_add(8) <= at || *slot >= at.saturating_add(len));
            }
            Value::Stack(_) => state.slots.clear(),
            _ => {}
        }
    }
}

/// True if an operand is a constant.
#[must_use]
pub fn is_immediate(instruction: &Instruction, operand: u32) -> bool {
    use OpKind::{
        Immediate8, Immediate8to16, Immediate8to32, Immediate8to64, Immediate16, Immediate32,
        Immediate32to64, Immediate64,
    };
    matches!(
        instruction.op_kind(operand),
        Immediate8
            | Immediate8to16
            | Immediate8to32
            | Immediate8to64
            | Immediate16
            | Immediate32
            | Immediate32to64
            | Immediate64
    )
}
