//! One function, decoded: its instructions and how control passes between them.

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, OpKind};

use super::{
    elf::Image,
    extents::Extents,
    instruction::{Class, classify},
    jump_table,
    noreturn::never_returns,
};

/// No function that is looked at here is longer; a damaged size may say anything.
const LONGEST_FUNCTION: u64 = 1 << 16;

/// The instructions of one function, in the order of their addresses.
pub struct Body<'a> {
    /// Instructions in the order of their addresses; never empty.
    pub instructions: Vec<Instruction>,
    code: &'a [u8],
    end: u64,
    /// Calls that never return, by number.
    last_calls: Vec<usize>,
    /// Jumps through a table: their numbers and where they lead.
    switches: Vec<(usize, Vec<usize>)>,
    /// For each instruction, those of the same function from which control reaches it.
    predecessors: Vec<Vec<usize>>,
}

impl<'a> Body<'a> {
    /// Decodes a function from its first byte to its last, and looks at what it calls: some calls never return.
    ///
    /// # Errors
    /// The reason, for a sentence that names the function.
    pub fn decode(
        image: &Image<'a>,
        extents: &Extents,
        address: u64,
        size: u64,
    ) -> Result<Self, &'static str> {
        let mut body = Self::decode_alone(image, address, size)?;
        let calls =
            body.instructions.iter().enumerate().filter_map(|(index, of)| Some((index, call_target(of)?)));
        let last = calls.filter(|(_, target)| never_returns(image, extents, *target));
        body.last_calls = last.map(|(index, _)| index).collect();
        body.connect();
        let jumps = body.instructions.iter().enumerate();
        let jumps = jumps.filter(|(_, of)| of.flow_control() == FlowControl::IndirectBranch);
        let switches: Option<Vec<_>> =
            jumps.map(|(index, _)| Some((index, jump_table::targets(image, &body, index)?))).collect();
        body.switches = switches.ok_or("jumps to where its code does not say")?;
        body.connect();
        if body.is_entered_from_elsewhere(image, extents) { Err("is split in two") } else { Ok(body) }
    }

    /// True if a part of the function that lies elsewhere jumps back into its middle.
    fn is_entered_from_elsewhere(&self, image: &Image<'a>, extents: &Extents) -> bool {
        let jumps = self.instructions.iter().filter(|of| of.flow_control() != FlowControl::Call);
        let away = jumps.filter_map(branch_target).filter(|target| !self.holds(*target));
        let mut parts = away.filter_map(|target| extents.around(target));
        parts.any(|(from, to)| {
            let part = Self::decode_alone(image, from, to - from);
            let back = |of: &Instruction| {
                branch_target(of).is_some_and(|target| self.holds(target) && target != self.address(0))
            };
            part.is_ok_and(|part| part.instructions.iter().any(back))
        })
    }

    /// Decodes a function without a look at what it calls and at its tables.
    ///
    /// # Errors
    /// The reason, as for [`Self::decode`].
    pub fn decode_alone(image: &Image<'a>, address: u64, size: u64) -> Result<Self, &'static str> {
        if size == 0 || size > LONGEST_FUNCTION {
            return Err("has no believable size");
        }
        let code = image.code(address, size).ok_or("lies outside of the code")?;
        let instructions: Vec<Instruction> =
            Decoder::with_ip(64, code, address, DecoderOptions::NONE).into_iter().collect();
        if instructions.iter().any(Instruction::is_invalid) {
            return Err("holds bytes that are no instructions");
        }
        let predecessors = vec![Vec::new(); instructions.len()];
        let end = address.checked_add(size).ok_or("has no believable size")?;
        let mut body =
            Self { predecessors, instructions, code, end, last_calls: Vec::new(), switches: Vec::new() };
        body.connect();
        Ok(body)
    }

    fn connect(&mut self) {
        self.predecessors.iter_mut().for_each(Vec::clear);
        for from in 0..self.instructions.len() {
            for to in self.successors(from) {
                if !self.predecessors[to].contains(&from) {
                    self.predecessors[to].push(from);
                }
            }
        }
    }

    /// True if control cannot leave but by a call: nothing returns, and nothing jumps elsewhere.
    #[must_use]
    pub fn has_no_way_out(&self) -> bool {
        self.instructions.iter().all(|instruction| match instruction.flow_control() {
            FlowControl::Return | FlowControl::IndirectBranch => false,
            FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch => {
                branch_target(instruction).is_some_and(|target| self.holds(target))
            }
            _ => true,
        })
    }

    /// Number of the instruction at an address.
    #[must_use]
    pub fn at(&self, address: u64) -> Option<usize> {
        self.instructions.binary_search_by_key(&address, Instruction::ip).ok()
    }

    /// Address of an instruction.
    #[must_use]
    pub fn address(&self, index: usize) -> u64 {
        self.instructions.get(index).map_or(self.end, Instruction::ip)
    }

    /// Cost class of a probe on an instruction.
    #[must_use]
    pub fn class(&self, index: usize) -> Class {
        let Some(instruction) = self.instructions.get(index) else { return classify(&[]) };
        let from = usize::try_from(instruction.ip() - self.address(0)).unwrap_or(usize::MAX);
        classify(self.code.get(from..).unwrap_or_default())
    }

    /// The address after the last.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// True if the function holds an address.
    #[must_use]
    pub fn holds(&self, address: u64) -> bool {
        self.address(0) <= address && address < self.end
    }

    /// Instructions to which control passes from this one within the function.
    #[must_use]
    pub fn successors(&self, index: usize) -> Vec<usize> {
        let instruction = &self.instructions[index];
        let next = (index + 1 < self.instructions.len()).then_some(index + 1);
        let target = branch_target(instruction).and_then(|target| self.at(target));
        match instruction.flow_control() {
            FlowControl::UnconditionalBranch => target.into_iter().collect(),
            FlowControl::ConditionalBranch => next.into_iter().chain(target).collect(),
            FlowControl::IndirectBranch => {
                let switch = self.switches.iter().find(|(jump, _)| *jump == index);
                switch.map(|(_, targets)| targets.clone()).unwrap_or_default()
            }
            FlowControl::Return | FlowControl::Exception => Vec::new(),
            FlowControl::Call if self.last_calls.contains(&index) => Vec::new(),
            _ => next.into_iter().collect(),
        }
    }

    /// Instructions from which control reaches this one.
    #[must_use]
    pub fn predecessors(&self, index: usize) -> &[usize] {
        self.predecessors.get(index).map_or(&[], Vec::as_slice)
    }

    /// True if control can only come from the instruction before.
    #[must_use]
    pub fn is_only_fallen_into(&self, index: usize) -> bool {
        index > 0 && self.predecessors(index) == [index - 1]
    }

    /// The first instruction of the straight line that holds this one.
    #[must_use]
    pub fn head(&self, mut index: usize) -> usize {
        while self.is_only_fallen_into(index) && !self.ends_line(index - 1) {
            index -= 1;
        }
        index
    }

    /// The straight line that holds this instruction, up to and with the branch that ends it.
    #[must_use]
    pub fn line(&self, index: usize) -> std::ops::Range<usize> {
        let head = self.head(index);
        let mut end = head + 1;
        while end < self.instructions.len() && !self.ends_line(end - 1) && self.is_only_fallen_into(end) {
            end += 1;
        }
        head..end
    }

    fn ends_line(&self, index: usize) -> bool {
        !matches!(self.instructions[index].flow_control(), FlowControl::Next | FlowControl::Call)
    }

    /// Everything that can be reached from an instruction, itself included, without entering what is excluded.
    #[must_use]
    pub fn reachable(&self, from: usize, excluded: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut seen = vec![false; self.instructions.len()];
        let mut open = vec![from];
        while let Some(index) = open.pop() {
            if !std::mem::replace(&mut seen[index], true) {
                open.extend(
                    self.successors(index).into_iter().filter(|next| !excluded(*next) && !seen[*next]),
                );
            }
        }
        (0..seen.len()).filter(|index| seen[*index]).collect()
    }
}

/// Target of a direct branch or call.
#[must_use]
pub fn branch_target(instruction: &Instruction) -> Option<u64> {
    let direct = instruction.op_count() == 1 && instruction.op0_kind() == OpKind::NearBranch64;
    direct.then(|| instruction.near_branch64())
}

/// Target of a direct call.
#[must_use]
pub fn call_target(instruction: &Instruction) -> Option<u64> {
    (instruction.flow_control() == FlowControl::Call).then(|| branch_target(instruction))?
}
