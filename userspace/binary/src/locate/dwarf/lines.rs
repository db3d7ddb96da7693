//! Lines of source and their addresses.

use gimli::Unit;

use super::Slice;

/// More rows than any compiled file has.
const MOST_ROWS: usize = 1 << 20;

/// The lowest address of the last line of a file within these ranges.
///
/// A spin ends with the last statement of its block.
pub fn last_statement(unit: &Unit<Slice<'_>>, file: u64, ranges: &[(u64, u64)]) -> Option<u64> {
    let program = unit.line_program.clone()?;
    let mut rows = program.rows();
    let mut best: Option<(u64, u64)> = None;
    let mut pending: Option<(u64, u64)> = None;
    for _ in 0..MOST_ROWS {
        let Ok(Some((_, row))) = rows.next_row() else { break };
        // Of several rows at one address only the last has code of its own.
        if let Some((line, address)) = pending.take().filter(|(_, address)| *address != row.address()) {
            best = Some(match best {
                Some((known, lowest)) if known > line => (known, lowest),
                Some((known, lowest)) if known == line => (known, lowest.min(address)),
                _ => (line, address),
            });
        }
        let inside = ranges.iter().any(|(from, to)| (*from..*to).contains(&row.address()));
        if inside && !row.end_sequence() && row.file_index() == file {
            pending = row.line().map(|line| (line.get(), row.address()));
        }
    }
    best.map(|(_, address)| address)
}
