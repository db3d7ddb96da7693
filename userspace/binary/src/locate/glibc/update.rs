//! The one statement that ends every spin: `mutex->__spins += (cnt - mutex->__spins) / 8`.
//!
//! Found by executing a straight line of code on symbols: the sixteen bits stored must be that very expression, and
//! the register that played `cnt` in it is the spin count. Nothing is taken for it that only looks similar.

use std::ops::Range;

use iced_x86::{ConditionCode, Instruction, InstructionInfoFactory, Mnemonic, OpKind, Register};

use super::spin::is_spins;
use crate::locate::{
    code::Body,
    flow::{State, is_immediate, written},
    register::Reg,
};

/// A value in terms of what the registers held at the beginning of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Term {
    /// Value that this register held.
    Held(Reg),
    Constant(i64),
    /// The mutex's `__spins`.
    Spins,
    /// `cnt - __spins`, with the register that held `cnt`.
    Difference(Reg),
    /// The sign of the difference, in all bits.
    Sign(Reg),
    /// The difference plus 7.
    Biased(Reg),
    /// The difference, plus 7 if it is negative: what a shift divides as C does.
    Rounded(Reg),
    /// The difference divided by 8.
    Step(Reg),
    /// `__spins` plus the step.
    Sum(Reg),
    Other,
}

/// An update that was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update {
    /// Number of the instruction that loads `__spins` for it.
    pub load: usize,
    /// Number of the instruction that stores.
    pub store: usize,
    /// The register that holds `cnt` at the beginning of the line.
    pub count: Reg,
}

struct Machine {
    registers: [Term; 16],
    /// The value whose sign the flags tell.
    flags: Term,
}

/// Executes a line up to a store into `__spins`; `None` if something else is stored.
pub fn understand(
    body: &Body<'_>,
    states: &[Option<State>],
    line: Range<usize>,
    store: usize,
) -> Option<Update> {
    let mut machine = Machine { registers: Reg::ALL.map(Term::Held), flags: Term::Other };
    let mut factory = InstructionInfoFactory::new();
    let mut load = None;
    for index in line.start..store {
        let instruction = &body.instructions[index];
        let loads = instruction.mnemonic() == Mnemonic::Movsx && is_spins(instruction, states, index);
        if loads {
            load = Some(index);
        }
        machine.step(instruction, loads, &mut factory);
    }
    let stored = body.instructions.get(store)?;
    let Term::Sum(count) = machine.get(stored.op1_register()) else { return None };
    Some(Update { load: load?, store, count })
}

/// Instructions of the line at which a register still holds what `cnt` was at its beginning, with that register.
pub fn holders(body: &Body<'_>, line: Range<usize>, count: Reg) -> Vec<(usize, Reg)> {
    let mut machine = Machine { registers: Reg::ALL.map(Term::Held), flags: Term::Other };
    let mut factory = InstructionInfoFactory::new();
    let mut found = Vec::new();
    for index in line {
        // A copy is as good, but the register itself is what a reader of the disassembly looks for.
        let order = std::iter::once(count).chain(Reg::ALL);
        let holder =
            order.into_iter().find(|register| machine.registers[*register as usize] == Term::Held(count));
        found.extend(holder.map(|holder| (index, holder)));
        machine.step(&body.instructions[index], false, &mut factory);
    }
    found
}

impl Machine {
    fn get(&self, register: Register) -> Term {
        Reg::whole(register).map_or(Term::Other, |register| self.registers[register as usize])
    }

    fn operand(&self, instruction: &Instruction, operand: u32) -> Term {
        if is_immediate(instruction, operand) {
            return Term::Constant(instruction.immediate(operand) as i64);
        }
        match instruction.op_kind(operand) {
            // Parts of registers are other values than the registers.
            OpKind::Register if is_32_bits(instruction.op_register(operand)) => {
                self.get(instruction.op_register(operand))
            }
            _ => Term::Other,
        }
    }

    fn step(&mut self, instruction: &Instruction, loads: bool, factory: &mut InstructionInfoFactory) {
        let (first, second) = (self.operand(instruction, 0), self.operand(instruction, 1));
        let result = if loads { Some(Term::Spins) } else { self.result(instruction, first, second) };
        let divides = instruction.mnemonic() == Mnemonic::Idiv;
        let quotient = divides.then(|| self.quotient(first)).flatten();
        let flags = match instruction.mnemonic() {
            Mnemonic::Test if instruction.op0_register() == instruction.op1_register() => first,
            Mnemonic::Sub => result.unwrap_or(Term::Other),
            Mnemonic::Mov | Mnemonic::Movsx | Mnemonic::Lea | Mnemonic::Cdq => self.flags,
            _ => Term::Other,
        };
        let extended = match (instruction.mnemonic(), self.registers[Reg::Rax as usize]) {
            (Mnemonic::Cdq, Term::Difference(count)) => Some(Term::Sign(count)),
            _ => None,
        };
        for register in written(instruction, factory) {
            self.registers[register as usize] = Term::Other;
        }
        self.flags = flags;
        if let (Some(result), Some(to)) = (result, destination(instruction)) {
            self.registers[to as usize] = result;
        }
        if let Some(extended) = extended {
            self.registers[Reg::Rdx as usize] = extended;
        }
        if let Some(quotient) = quotient {
            self.registers[Reg::Rax as usize] = quotient;
        }
    }

    /// Value of the first operand after the instruction.
    fn result(&self, instruction: &Instruction, first: Term, second: Term) -> Option<Term> {
        use Term::{Biased, Constant, Difference, Held, Rounded, Spins, Step, Sum};
        Some(match (instruction.mnemonic(), first, second) {
            (Mnemonic::Mov, _, value) => value,
            (Mnemonic::Sub, Held(count), Spins) => Difference(count),
            (Mnemonic::Lea, ..) => self.address(instruction),
            (Mnemonic::Sar, Rounded(count), Constant(3)) => Step(count),
            (Mnemonic::Add, Spins, Step(count)) | (Mnemonic::Add, Step(count), Spins) => Sum(count),
            (_, Biased(count), Difference(other)) | (_, Difference(count), Biased(other))
                if count == other && self.flags == Difference(count) =>
            {
                // The plain difference must be taken where it is not negative.
                let taken_if_positive = matches!(second, Difference(_));
                let wanted = if taken_if_positive { ConditionCode::ns } else { ConditionCode::s };
                let moves = matches!(instruction.mnemonic(), Mnemonic::Cmovns | Mnemonic::Cmovs);
                if moves && instruction.condition_code() == wanted { Rounded(count) } else { Term::Other }
            }
            _ => return None,
        })
    }

    /// `lea 7(difference)` and `lea (spins, step)`.
    fn address(&self, instruction: &Instruction) -> Term {
        if instruction.memory_index_scale() != 1 || instruction.segment_prefix() != Register::None {
            return Term::Other;
        }
        let base = self.get(instruction.memory_base());
        let index = instruction.memory_index();
        match (base, instruction.memory_displacement64(), index != Register::None) {
            (Term::Difference(count), 7, false) => Term::Biased(count),
            (base, 0, true) => match (base, self.get(index)) {
                (Term::Spins, Term::Step(count)) | (Term::Step(count), Term::Spins) => Term::Sum(count),
                _ => Term::Other,
            },
            _ => Term::Other,
        }
    }

    fn quotient(&self, divisor: Term) -> Option<Term> {
        let (low, high) = (self.registers[Reg::Rax as usize], self.registers[Reg::Rdx as usize]);
        match (low, high, divisor) {
            (Term::Difference(count), Term::Sign(other), Term::Constant(8)) if count == other => {
                Some(Term::Step(count))
            }
            _ => None,
        }
    }
}

fn is_32_bits(register: Register) -> bool {
    register.is_gpr32()
}

fn destination(instruction: &Instruction) -> Option<Reg> {
    let register = (instruction.op0_kind() == OpKind::Register).then(|| instruction.op0_register())?;
    is_32_bits(register).then(|| Reg::whole(register))?
}
