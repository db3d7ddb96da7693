//! The same places by debug information: blocks, variables, lines and calls, without a look at the code.

mod function;
mod lines;
mod sections;

use gimli::{AttributeValue, Dwarf, EndianSlice, LittleEndian, Unit};
pub use sections::Sections;

use super::{
    elf::Image,
    glibc::{COND_LOCK, MUTEX_LOCK},
    landmarks::Landmarks,
};

/// The reader of all sections.
type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// Landmarks, and whether debug information has the count at the end of the spin only one byte before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Landmarks by debug information.
    pub landmarks: Landmarks,
    /// Nothing holds the count at the very statement, says the location list.
    pub count_lost: bool,
}

/// Functions to look for: ours, theirs, and the source files that are compiled into them. The same line of the same
/// source stands in both, so a line alone says nothing.
const FUNCTIONS: [(&str, &[&str], &str); 2] = [
    (MUTEX_LOCK, &["___pthread_mutex_lock", "__pthread_mutex_lock"], "pthread_mutex_lock.c"),
    (COND_LOCK, &["__pthread_mutex_cond_lock"], "pthread_mutex_cond_lock.c"),
];

/// Reads the debug information of a library.
///
/// # Errors
/// The reason for which it cannot be read at all.
pub fn find(image: &Image<'_>) -> Result<Vec<Found>, String> {
    let sections = Sections::load(image)?;
    let dwarf = sections.dwarf();
    let mut found = Vec::new();
    let mut headers = dwarf.units();
    // A damaged header ends the walk: the next one cannot be found without it.
    while let Ok(Some(header)) = headers.next() {
        let Ok(unit) = dwarf.unit(header) else { continue };
        let name = unit.name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        for (function, names, file) in FUNCTIONS {
            if name.rsplit('/').next() == Some(file) {
                found.extend(function::find(&dwarf, &unit, function, names));
            }
        }
    }
    Ok(found)
}

/// A name of an entry, as text.
fn text<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    unit: &Unit<Slice<'a>>,
    value: Option<AttributeValue<Slice<'a>>>,
) -> &'a str {
    let text = value.and_then(|value| dwarf.attr_string(unit, value).ok());
    text.and_then(|text| std::str::from_utf8(text.slice()).ok()).unwrap_or_default()
}
