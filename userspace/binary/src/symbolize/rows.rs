//! Applying a row of call frame information to registers and to a copied piece of stack.

use gimli::{EndianSlice, EvaluationResult, Expression, LittleEndian, Location, Value};

use super::{
    cfi::{Cfa, Row, Rule},
    elf::Machine,
    unwind::Registers,
};

/// DWARF numbers of all registers that take part.
const REGISTERS: usize = 34;

/// More steps than any real expression takes.
const MOST_STEPS: u32 = 1000;

/// Reason for which a caller could not be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// There is none: the outermost frame.
    Outermost,
    /// It takes memory at this address, which was not copied.
    Memory(u64),
    /// It takes a register whose value is not known here.
    Register,
    /// The result makes no sense.
    Nonsense,
}

/// A copied piece of a thread's stack.
#[derive(Clone, Copy, Debug)]
pub struct Copied<'a> {
    /// Address of its first byte.
    pub at: u64,
    /// Bytes of the stack, upwards.
    pub bytes: &'a [u8],
}

impl Copied<'_> {
    /// The eight bytes at an address.
    pub fn word(&self, address: u64) -> Result<u64, Stop> {
        self.sized(address, 8)
    }

    fn sized(&self, address: u64, size: u8) -> Result<u64, Stop> {
        let from = address.checked_sub(self.at).and_then(|from| usize::try_from(from).ok());
        let range = from.and_then(|from| Some(from..from.checked_add(usize::from(size))?));
        let found = range.and_then(|range| self.bytes.get(range)).ok_or(Stop::Memory(address))?;
        let mut word = [0; 8];
        word.get_mut(..found.len()).ok_or(Stop::Nonsense)?.copy_from_slice(found);
        Ok(u64::from_le_bytes(word))
    }
}

/// Known registers of one frame.
#[derive(Clone, Debug)]
pub struct State {
    machine: Machine,
    registers: [Option<u64>; REGISTERS],
    /// Address of the code.
    pub ip: u64,
}

impl State {
    /// The registers as they were taken.
    pub fn new(machine: Machine, taken: &Registers) -> Self {
        let mut this = Self { machine, registers: [None; REGISTERS], ip: taken.ip };
        this.set(this.sp_number(), Some(taken.sp));
        this.set(this.frame_pointer_number(), Some(taken.bp));
        if machine == Machine::Aarch64 {
            this.set(30, Some(taken.lr));
        }
        this
    }

    fn sp_number(&self) -> u16 {
        match self.machine {
            Machine::X86_64 => 7,
            Machine::Aarch64 => 31,
        }
    }

    fn frame_pointer_number(&self) -> u16 {
        match self.machine {
            Machine::X86_64 => 6,
            Machine::Aarch64 => 29,
        }
    }

    /// True if a function has to give it back as it was.
    fn is_kept(&self, register: u16) -> bool {
        match self.machine {
            Machine::X86_64 => matches!(register, 3 | 6 | 12..=15),
            Machine::Aarch64 => matches!(register, 19..=29),
        }
    }

    fn get(&self, register: u16) -> Option<u64> {
        self.registers.get(usize::from(register)).copied().flatten()
    }

    fn set(&mut self, register: u16, value: Option<u64>) {
        if let Some(place) = self.registers.get_mut(usize::from(register)) {
            *place = value;
        }
    }

    /// Address of the stack.
    pub fn sp(&self) -> u64 {
        self.get(self.sp_number()).unwrap_or(0)
    }

    /// Value of the frame pointer register.
    pub fn frame_pointer(&self) -> Option<u64> {
        self.get(self.frame_pointer_number())
    }

    /// The caller that a chain of frame pointers leads to.
    pub fn by_frame_pointer(&self, stack: Copied<'_>) -> Result<Self, Stop> {
        let pointer = self.frame_pointer().ok_or(Stop::Register)?;
        if !pointer.is_multiple_of(8) || pointer < self.sp() {
            return Err(Stop::Nonsense);
        }
        let (outer, ip) = (stack.word(pointer)?, stack.word(pointer.wrapping_add(8))?);
        let mut caller = Self { machine: self.machine, registers: [None; REGISTERS], ip };
        caller.set(caller.frame_pointer_number(), Some(outer));
        caller.set(caller.sp_number(), Some(pointer.wrapping_add(16)));
        Ok(caller)
    }

    /// The caller, as a row says.
    pub fn caller(&self, row: &Row, stack: Copied<'_>) -> Result<Self, Stop> {
        let cfa = match &row.cfa {
            Cfa::Offset(register, offset) => {
                self.get(*register).ok_or(Stop::Register)?.wrapping_add_signed(*offset)
            }
            Cfa::Expression(expression) => self.evaluate(expression, None, stack)?,
        };
        let mut caller = Self { machine: self.machine, registers: [None; REGISTERS], ip: 0 };
        for register in 0..REGISTERS as u16 {
            let rule = row.saved.iter().find(|(of, _)| *of == register).map(|(_, rule)| rule);
            let value = match rule {
                // Lost is not fatal here: it is if the caller's row asks for it.
                Some(rule) => self.value(rule, register, cfa, stack).ok(),
                None if self.is_kept(register) => self.get(register),
                None => None,
            };
            caller.set(register, value);
        }
        let sp_saved = row.saved.iter().any(|(of, _)| *of == self.sp_number());
        if !sp_saved {
            caller.set(self.sp_number(), Some(cfa));
        }
        caller.get(self.sp_number()).ok_or(Stop::Nonsense)?;
        caller.ip = match &row.return_address {
            Some(rule) => self.value(rule, self.return_number(), cfa, stack)?,
            // A leaf function of Arm leaves it in its register.
            None if self.machine == Machine::Aarch64 => self.get(30).ok_or(Stop::Register)?,
            None => return Err(Stop::Nonsense),
        };
        Ok(caller)
    }

    fn return_number(&self) -> u16 {
        match self.machine {
            Machine::X86_64 => 16,
            Machine::Aarch64 => 30,
        }
    }

    fn value(&self, rule: &Rule, register: u16, cfa: u64, stack: Copied<'_>) -> Result<u64, Stop> {
        match rule {
            Rule::Undefined => Err(Stop::Outermost),
            Rule::Same => self.get(register).ok_or(Stop::Register),
            Rule::At(offset) => stack.word(cfa.wrapping_add_signed(*offset)),
            Rule::Value(offset) => Ok(cfa.wrapping_add_signed(*offset)),
            Rule::Register(other) => self.get(*other).ok_or(Stop::Register),
            Rule::AtExpression(expression) => stack.word(self.evaluate(expression, Some(cfa), stack)?),
            Rule::ValueExpression(expression) => self.evaluate(expression, Some(cfa), stack),
        }
    }

    fn evaluate(&self, expression: &[u8], initial: Option<u64>, stack: Copied<'_>) -> Result<u64, Stop> {
        let encoding = gimli::Encoding { address_size: 8, format: gimli::Format::Dwarf32, version: 4 };
        let mut evaluation = Expression(EndianSlice::new(expression, LittleEndian)).evaluation(encoding);
        evaluation.set_max_iterations(MOST_STEPS);
        if let Some(initial) = initial {
            evaluation.set_initial_value(initial);
        }
        let mut result = evaluation.evaluate();
        loop {
            result = match result.map_err(|_| Stop::Nonsense)? {
                EvaluationResult::Complete => break,
                EvaluationResult::RequiresMemory { address, size, .. } => {
                    evaluation.resume_with_memory(Value::Generic(stack.sized(address, size)?))
                }
                EvaluationResult::RequiresRegister { register, .. } => {
                    let value = self.get(register.0).ok_or(Stop::Register)?;
                    evaluation.resume_with_register(Value::Generic(value))
                }
                _ => return Err(Stop::Nonsense),
            };
        }
        match evaluation.result().as_slice() {
            [piece] => match piece.location {
                Location::Address { address } => Ok(address),
                _ => Err(Stop::Nonsense),
            },
            _ => Err(Stop::Nonsense),
        }
    }
}
