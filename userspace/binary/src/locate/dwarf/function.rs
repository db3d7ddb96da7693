//! One function in the tree of debug information.

use gimli::{
    AttributeValue, DebuggingInformationEntry, Dwarf, EntriesCursor, Operation, Unit, UnitOffset,
    constants as dw,
};

use super::{Found, Slice, lines, text};
use crate::locate::{landmarks::Landmarks, register::Reg, site::Generation};

type Entry<'a> = DebuggingInformationEntry<Slice<'a>>;
type Ranges = Vec<(u64, u64)>;

/// The function in which the wait happens.
const WAIT: &str = "__lll_lock_wait";
/// More entries than any function has.
const MOST_ENTRIES: usize = 1 << 16;
const MOST_RANGES: usize = 1 << 10;

/// The block that holds `cnt`.
struct SpinBlock {
    depth: isize,
    ranges: Ranges,
    file: u64,
    /// Location of `cnt`, by address; `None` where it is no plain register.
    count: Vec<(u64, u64, Option<Reg>)>,
    exponential: bool,
}

/// Findings on the way through the function.
#[derive(Default)]
struct Gathered {
    /// Open blocks: their depth and addresses.
    open: Vec<(isize, Ranges)>,
    spin: Option<SpinBlock>,
    /// The spin's block is still open.
    in_spin: bool,
    /// First address of the block that holds the adaptive wait, and the address to which that wait returns.
    adaptive: Vec<(u64, u64)>,
    returns: Vec<u64>,
}

/// Finds the landmarks of the function with one of these names.
pub fn find(
    dwarf: &Dwarf<Slice<'_>>,
    unit: &Unit<Slice<'_>>,
    function: &'static str,
    names: &[&str],
) -> Option<Found> {
    let mut entries = unit.entries();
    let mut left = MOST_ENTRIES;
    while let Ok(Some(entry)) = entries.next_dfs() {
        left = left.checked_sub(1)?;
        let named = entry.tag() == dw::DW_TAG_subprogram
            && names.contains(&text(dwarf, unit, entry.attr_value(dw::DW_AT_name)));
        if !named {
            continue;
        }
        let ranges = ranges(dwarf, unit, entry);
        let depth = entry.depth();
        if let [range] = ranges.as_slice() {
            let range = *range;
            return landmarks(unit, function, range, gather(dwarf, unit, &mut entries, depth)?);
        }
    }
    None
}

fn gather<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    unit: &Unit<Slice<'a>>,
    entries: &mut EntriesCursor<'_, Slice<'a>>,
    depth: isize,
) -> Option<Gathered> {
    let mut gathered = Gathered::default();
    for _ in 0..MOST_ENTRIES {
        match entries.next_dfs() {
            Ok(Some(entry)) if entry.depth() > depth => gathered.take(dwarf, unit, entry),
            Ok(_) => return Some(gathered),
            Err(_) => return None,
        }
    }
    None
}

impl Gathered {
    fn take<'a>(&mut self, dwarf: &Dwarf<Slice<'a>>, unit: &Unit<Slice<'a>>, entry: &Entry<'a>) {
        let depth = entry.depth();
        self.open.retain(|(open, _)| *open < depth);
        self.in_spin = self.spin.as_ref().is_some_and(|spin| depth > spin.depth) && self.in_spin;
        let name = || text(dwarf, unit, entry.attr_value(dw::DW_AT_name));
        match entry.tag() {
            dw::DW_TAG_lexical_block | dw::DW_TAG_inlined_subroutine => {
                self.open.push((depth, ranges(dwarf, unit, entry)));
            }
            dw::DW_TAG_variable if name() == "cnt" && self.spin.is_none() => {
                self.enter_spin(dwarf, unit, entry)
            }
            dw::DW_TAG_variable if self.in_spin && name() == "exp_backoff" => {
                if let Some(spin) = &mut self.spin {
                    spin.exponential = true;
                }
            }
            dw::DW_TAG_call_site | dw::DW_TAG_GNU_call_site => self.take_call(dwarf, unit, entry),
            _ => {}
        }
    }

    fn enter_spin<'a>(&mut self, dwarf: &Dwarf<Slice<'a>>, unit: &Unit<Slice<'a>>, entry: &Entry<'a>) {
        let Some((depth, ranges)) = self.open.last().cloned() else { return };
        let Some(AttributeValue::FileIndex(file)) = entry.attr_value(dw::DW_AT_decl_file) else { return };
        let count = locations(dwarf, unit, entry);
        self.spin = Some(SpinBlock { depth, ranges, file, count, exponential: false });
        self.in_spin = true;
    }

    fn take_call<'a>(&mut self, dwarf: &Dwarf<Slice<'a>>, unit: &Unit<Slice<'a>>, entry: &Entry<'a>) {
        let tail = [dw::DW_AT_call_tail_call, dw::DW_AT_GNU_tail_call].iter().any(|of| entry.has_attr(*of));
        let origin =
            entry.attr_value(dw::DW_AT_call_origin).or_else(|| entry.attr_value(dw::DW_AT_abstract_origin));
        if tail || name_of(dwarf, unit, origin) != WAIT {
            return;
        }
        let value = entry.attr_value(dw::DW_AT_call_return_pc).or_else(|| entry.attr_value(dw::DW_AT_low_pc));
        let Some(address) = value.and_then(|value| dwarf.attr_address(unit, value).ok().flatten()) else {
            return;
        };
        self.returns.push(address);
        let spin_depth = self.spin.as_ref().filter(|_| self.in_spin).map(|spin| spin.depth);
        let inner = self.open.iter().find(|(depth, _)| spin_depth.is_some_and(|spin| *depth > spin));
        if let Some(lowest) = inner.and_then(|(_, ranges)| ranges.iter().map(|(from, _)| *from).min()) {
            self.adaptive.push((lowest, address));
        }
    }
}

fn landmarks(
    unit: &Unit<Slice<'_>>,
    function: &'static str,
    range: (u64, u64),
    mut gathered: Gathered,
) -> Option<Found> {
    let spin = gathered.spin?;
    let [(gave_up, adaptive_return)] = gathered.adaptive.as_slice() else { return None };
    let spin_end = lines::last_statement(unit, spin.file, &spin.ranges)?;
    let at = |address: u64| {
        let covers = |(from, to, _): &&(u64, u64, Option<Reg>)| (*from..*to).contains(&address);
        spin.count.iter().find(covers).and_then(|(.., register)| *register)
    };
    // At the statement that uses a variable for the last time its location may have ended; what held it one byte
    // before holds it still when the statement begins.
    let (count, count_lost) = match at(spin_end) {
        Some(register) => (Some(register), false),
        None => (at(spin_end.checked_sub(1)?), true),
    };
    gathered.returns.sort_unstable();
    gathered.returns.dedup();
    let generation = if spin.exponential { Generation::Exponential } else { Generation::Linear };
    let landmarks = Landmarks {
        function,
        range,
        contended: spin.ranges.iter().map(|(from, _)| *from).min()?,
        spin_end,
        count,
        gave_up: *gave_up,
        adaptive_return: *adaptive_return,
        returns: gathered.returns,
        generation,
    };
    Some(Found { landmarks, count_lost })
}

fn ranges<'a>(dwarf: &Dwarf<Slice<'a>>, unit: &Unit<Slice<'a>>, entry: &Entry<'a>) -> Ranges {
    let mut found = Vec::new();
    let Ok(mut ranges) = dwarf.die_ranges(unit, entry) else { return found };
    while let Ok(Some(range)) = ranges.next() {
        if range.begin < range.end && found.len() < MOST_RANGES {
            found.push((range.begin, range.end));
        }
    }
    found
}

/// Register that holds a variable, by address; `None` for everything that is no plain register.
fn locations<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    unit: &Unit<Slice<'a>>,
    entry: &Entry<'a>,
) -> Vec<(u64, u64, Option<Reg>)> {
    let mut found = Vec::new();
    let value = entry.attr_value(dw::DW_AT_location);
    let list = value.and_then(|value| dwarf.attr_locations(unit, value).ok().flatten());
    let Some(mut list) = list else { return found };
    while let Ok(Some(location)) = list.next() {
        let mut operations = location.data.operations(unit.encoding());
        let register = match (operations.next(), operations.next()) {
            (Ok(Some(Operation::Register { register })), Ok(None)) => Reg::from_dwarf(register.0),
            _ => None,
        };
        if found.len() < MOST_RANGES {
            found.push((location.range.begin, location.range.end, register));
        }
    }
    found
}

/// The name of the entry that an attribute points to, if it is of the same unit.
fn name_of<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    unit: &Unit<Slice<'a>>,
    value: Option<AttributeValue<Slice<'a>>>,
) -> &'a str {
    let mut value = value;
    // A declaration may stand behind a definition behind an abstract origin, no deeper.
    for _ in 0..3 {
        let offset: Option<UnitOffset> = match value {
            Some(AttributeValue::UnitRef(offset)) => Some(offset),
            Some(AttributeValue::DebugInfoRef(offset)) => offset.to_unit_offset(&unit.header),
            _ => None,
        };
        let Some(entry) = offset.and_then(|offset| unit.entry(offset).ok()) else { return "" };
        let name = text(dwarf, unit, entry.attr_value(dw::DW_AT_name));
        if !name.is_empty() {
            return name;
        }
        value =
            entry.attr_value(dw::DW_AT_abstract_origin).or_else(|| entry.attr_value(dw::DW_AT_specification));
    }
    ""
}
