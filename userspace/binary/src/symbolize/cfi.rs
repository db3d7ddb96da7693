//! Call frame information: how to get from a place in the code to its caller, as the compiler wrote it down.

use std::sync::Arc;

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameOffset, FrameDescriptionEntry, Reader as _, RegisterRule,
    UnwindContext, UnwindExpression, UnwindSection as _, Vendor,
};

use super::{
    bytes::{Blob, View},
    elf::{Elf, Machine},
};

/// Location of the caller's value of a register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Nowhere: for the return address, this is the outermost frame.
    Undefined,
    /// In the same register.
    Same,
    /// In memory, so far from the frame's address.
    At(i64),
    /// It is the frame's address plus this.
    Value(i64),
    /// In another register.
    Register(u16),
    /// In memory, at the address that an expression yields.
    AtExpression(Box<[u8]>),
    /// It is what an expression yields.
    ValueExpression(Box<[u8]>),
}

/// Computation of the address of the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cfa {
    /// A register plus this.
    Offset(u16, i64),
    /// Result of an expression.
    Expression(Box<[u8]>),
}

/// Rules that lead from one place in the code to its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The address of the frame.
    pub cfa: Cfa,
    /// The return address; `None` where nothing is said of it.
    pub return_address: Option<Rule>,
    /// Other registers that are said something of.
    pub saved: Vec<(u16, Rule)>,
    /// This is what a signal handler returns to: the caller is the interrupted code.
    pub is_signal: bool,
}

/// Space for the work of a look-up, worth keeping.
pub type Scratch = UnwindContext<usize>;

/// The table of a file.
pub struct Cfi {
    frame: EhFrame<View>,
    bases: BaseAddresses,
    index: Option<Index>,
}

/// The sorted table of `.eh_frame_hdr`: pairs of numbers relative to its own address.
struct Index {
    table: View,
    count: usize,
    address: u64,
    frame_address: u64,
}

/// The one form of the sorted table that linkers write: a count of four bytes, then pairs of signed offsets.
const USUAL_ENCODINGS: [u8; 2] = [0x03, 0x3b];
const RELATIVE_TO_ITSELF: u8 = 0x1b;
const ENTRY: usize = 8;

impl Cfi {
    /// Opens the table of a file; `None` where it has none.
    pub fn open(elf: &Elf, blob: &Arc<Blob>) -> Option<Self> {
        let index = Index::open(elf, blob);
        let section = elf.section(".eh_frame");
        let (address, view) = match (&index, section) {
            (_, Some(section)) => (section.address, elf.bytes(blob, section)?),
            (Some(index), None) => {
                // Without section headers it reaches to the end of what is loaded there.
                let segment = elf.segment_at(index.frame_address)?;
                let into = index.frame_address - segment.address;
                (index.frame_address, blob.view(segment.offset + into, segment.len - into))
            }
            (None, None) => return None,
        };
        let text = elf.section(".text").map_or(0, |section| section.address);
        let header = index.as_ref().map_or(0, |index| index.address);
        let bases = BaseAddresses::default().set_eh_frame(address).set_eh_frame_hdr(header).set_text(text);
        let mut frame = EhFrame::from(view);
        frame.set_address_size(8);
        if elf.machine == Machine::Aarch64 {
            frame.set_vendor(Vendor::AArch64);
        }
        let index = index.filter(|index| index.frame_address == address);
        Some(Self { frame, bases, index })
    }

    /// Row for an address, counted as the file counts; `None` where there is none.
    pub fn row(&self, scratch: &mut Scratch, address: u64) -> Option<Row> {
        let entry = self.entry(address)?;
        let row = entry.unwind_info_for_address(&self.frame, &self.bases, scratch, address).ok()?;
        let cfa = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => Cfa::Offset(register.0, *offset),
            CfaRule::Expression(expression) => Cfa::Expression(self.expression(expression)?),
        };
        let return_register = entry.cie().return_address_register();
        let return_address = match row.register(return_register) {
            Some(rule) => Some(self.rule(&rule)?),
            None => None,
        };
        let others = row.registers().filter(|(register, _)| *register != return_register);
        let saved = others
            .map(|(register, rule)| Some((register.0, self.rule(rule)?)))
            .collect::<Option<Vec<_>>>()?;
        Some(Row { cfa, return_address, saved, is_signal: entry.is_signal_trampoline() })
    }

    fn entry(&self, address: u64) -> Option<FrameDescriptionEntry<View>> {
        let Some(index) = &self.index else {
            let found = self.frame.fde_for_address(&self.bases, address, EhFrame::cie_from_offset);
            return found.ok();
        };
        let offset = index.lookup(address)?;
        let entry = self.frame.fde_from_offset(&self.bases, EhFrameOffset(offset), EhFrame::cie_from_offset);
        entry.ok().filter(|entry| entry.contains(address))
    }

    fn rule(&self, rule: &RegisterRule<usize>) -> Option<Rule> {
        Some(match rule {
            RegisterRule::Undefined => Rule::Undefined,
            RegisterRule::SameValue => Rule::Same,
            RegisterRule::Offset(offset) => Rule::At(*offset),
            RegisterRule::ValOffset(offset) => Rule::Value(*offset),
            RegisterRule::Register(register) => Rule::Register(register.0),
            RegisterRule::Expression(expression) => Rule::AtExpression(self.expression(expression)?),
            RegisterRule::ValExpression(expression) => Rule::ValueExpression(self.expression(expression)?),
            // Whether a return address is signed: the sign is taken off by its looks.
            RegisterRule::Constant(_) => Rule::Undefined,
            RegisterRule::Architectural => return None,
        })
    }

    fn expression(&self, expression: &UnwindExpression<usize>) -> Option<Box<[u8]>> {
        let view = expression.get(&self.frame).ok()?.0;
        Some(view.to_slice().ok()?.into())
    }
}

impl Index {
    fn open(elf: &Elf, blob: &Arc<Blob>) -> Option<Self> {
        let segment = elf.eh_frame_hdr?;
        let mut table = blob.view(segment.offset, segment.len);
        let [version, frame_encoding, count_encoding, table_encoding] = table.read_u8_array().ok()?;
        let usual = version == 1
            && frame_encoding == RELATIVE_TO_ITSELF
            && [count_encoding, table_encoding] == USUAL_ENCODINGS;
        if !usual {
            return None;
        }
        let frame = i64::from(table.read_i32().ok()?);
        let frame_address = segment.address.wrapping_add(4).wrapping_add_signed(frame);
        let count = table.read_u32().ok()? as usize;
        let fits = count.checked_mul(ENTRY).is_some_and(|len| len <= table.len());
        fits.then_some(Self { table, count, address: segment.address, frame_address })
    }

    /// Offset in `.eh_frame` of the last entry that begins at or below an address.
    fn lookup(&self, address: u64) -> Option<usize> {
        let (mut low, mut high) = (0, self.count);
        let mut found = None;
        while low < high {
            let middle = low + (high - low) / 2;
            let (start, entry) = self.at(middle)?;
            if start <= address {
                found = Some(entry);
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        usize::try_from(found?.checked_sub(self.frame_address)?).ok()
    }

    fn at(&self, position: usize) -> Option<(u64, u64)> {
        let mut entry = self.table.clone();
        entry.skip(position * ENTRY).ok()?;
        let mut next = || Some(self.address.wrapping_add_signed(i64::from(entry.read_i32().ok()?)));
        Some((next()?, next()?))
    }
}
