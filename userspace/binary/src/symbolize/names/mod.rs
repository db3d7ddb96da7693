//! Names of places in a file: from its symbols, its debug information, or a separate file that holds them.

mod debug_file;
mod demangle;
mod lines;
mod symbols;

use std::sync::Arc;

pub use debug_file::Beside;
use lines::Lines;
use object::elf::{SHT_DYNSYM, SHT_SYMTAB};
use symbols::Symbols;

use super::{
    bytes::{Blob, Pool},
    elf::Elf,
    internals,
};

/// One function at a place: several where the compiler wrote one into another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its name as a person wrote it.
    pub function: Option<Arc<str>>,
    /// First address, as the file counts; unknown for a function that was written into another.
    pub start: Option<u64>,
    /// Source file and line.
    pub location: Option<(Arc<str>, u32)>,
    /// The next one is the function that this was written into.
    pub inlined: bool,
}

/// Names of functions in one file.
pub struct Names {
    symbols: Vec<Symbols>,
    lines: Option<Lines>,
}

impl Names {
    /// Finds what there is. Nothing but headers and symbols is read.
    pub fn open(elf: &Elf, blob: &Arc<Blob>, beside: &Beside<'_>, pool: &Pool) -> Self {
        let own = Symbols::open(elf, blob, SHT_SYMTAB);
        // Of a C library symbols are enough: its debug information is packed, and large.
        let wants_lines = !internals::is_library(beside.name);
        let mut lines = wants_lines.then(|| Lines::open(elf, blob)).flatten();
        let mut symbols: Vec<Symbols> = own.into_iter().collect();
        let debug = (symbols.is_empty() || wants_lines && lines.is_none())
            .then(|| debug_file::find(elf, blob, beside, pool))
            .flatten();
        if let Some((elf, blob)) = &debug {
            if symbols.is_empty() {
                symbols.extend(Symbols::open(elf, blob, SHT_SYMTAB));
            }
            if wants_lines && lines.is_none() {
                lines = Lines::open(elf, blob);
            }
        }
        if symbols.is_empty() {
            symbols.extend(Symbols::open(elf, blob, SHT_DYNSYM));
        }
        Self { symbols, lines }
    }

    /// The functions at an address, innermost first; empty if nothing is known.
    pub fn at(&mut self, address: u64) -> Vec<Named> {
        let symbol = self.symbols.iter().find_map(|symbols| symbols.at(address));
        let mut named = self.lines.as_mut().map(|lines| lines.at(address)).unwrap_or_default();
        let Some((name, start)) = symbol else { return named };
        let name = Some(Arc::from(demangle::demangled(&name)));
        match named.last_mut() {
            // The symbol says where it begins, and of several names it has the one that is called.
            Some(outermost) => (outermost.function, outermost.start) = (name, Some(start)),
            None => {
                named.push(Named { function: name, start: Some(start), location: None, inlined: false });
            }
        }
        named
    }

    /// Drops what can be parsed again.
    pub fn rest(&mut self) {
        if let Some(lines) = &mut self.lines {
            lines.rest();
        }
    }

    /// Bytes that the tables of symbols take.
    pub fn held(&self) -> usize {
        self.symbols.iter().map(Symbols::held).sum()
    }
}
