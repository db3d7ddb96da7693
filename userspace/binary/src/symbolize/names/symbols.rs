//! The symbols of a file that stand for functions, in order of their addresses.

use std::sync::Arc;

use gimli::Reader as _;
use object::{
    LittleEndian as LE,
    elf::{SHN_UNDEF, SHT_SYMTAB, STB_LOCAL, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE, SectionType, Sym64},
    pod,
};

use crate::symbolize::{
    bytes::{Blob, View},
    elf::Elf,
};

/// More than any program has; beyond it the rest goes unnamed.
const MOST: usize = 2_000_000;

/// Symbols read at a time.
const CHUNK: usize = 512;

/// Number of symbols to search backwards for one that covers an address: nested ones are rare.
const NESTED: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    start: u64,
    len: u32,
    name: u32,
    is_local: bool,
}

/// Functions by address. Their names stay in the file.
pub struct Symbols {
    entries: Vec<Entry>,
    names: View,
    /// True if every function is in it, so that one without a length ends where the next begins.
    is_full: bool,
}

impl Symbols {
    /// Reads a table of symbols; `None` where there is none, or no function in it.
    pub fn open(elf: &Elf, blob: &Arc<Blob>, kind: SectionType) -> Option<Self> {
        let (section, names) = elf.linked(kind)?;
        let names = elf.bytes(blob, names)?;
        let mut table = elf.bytes(blob, section)?;
        let mut entries = Vec::new();
        let mut chunk = vec![0; CHUNK * size_of::<Sym64<LE>>()];
        while !table.is_empty() && entries.len() < MOST {
            let len = chunk.len().min(table.len() / size_of::<Sym64<LE>>() * size_of::<Sym64<LE>>());
            if len == 0 || table.read_slice(&mut chunk[..len]).is_err() {
                break;
            }
            entries.extend(chunk[..len].chunks_exact(size_of::<Sym64<LE>>()).filter_map(function));
        }
        entries.sort_unstable();
        entries.shrink_to_fit();
        (!entries.is_empty()).then_some(Self { entries, names, is_full: kind == SHT_SYMTAB })
    }

    /// Name and start of the function that an address lies in.
    pub fn at(&self, address: u64) -> Option<(String, u64)> {
        let behind = self.entries.partition_point(|entry| entry.start <= address);
        let before = self.entries[..behind].iter().rev();
        let mut starts = 0;
        let mut last = None;
        let mut found: Option<(u64, Vec<&Entry>)> = None;
        for entry in before {
            if last != Some(entry.start) {
                // All names of the innermost function have been seen.
                if found.is_some() || starts == NESTED {
                    break;
                }
                (last, starts) = (Some(entry.start), starts + 1);
            }
            if self.covers(entry, address, starts == 1, behind) {
                found.get_or_insert((entry.start, Vec::new())).1.push(entry);
            }
        }
        let (start, entries) = found?;
        let names = entries.into_iter().filter_map(|entry| Some((entry.is_local, self.name(entry)?)));
        let best = names.min_by_key(|(is_local, name)| (*is_local, preference(name)))?;
        Some((best.1, start))
    }

    fn covers(&self, entry: &Entry, address: u64, is_nearest: bool, behind: usize) -> bool {
        if entry.len > 0 {
            return address - entry.start < u64::from(entry.len);
        }
        // Written by hand without a length.
        self.is_full && is_nearest && behind < self.entries.len()
    }

    fn name(&self, entry: &Entry) -> Option<String> {
        let name = self.names.text_at(entry.name as usize)?;
        // Symbols of libraries may carry a version: `pthread_mutex_lock@@GLIBC_2.34`.
        let plain = name.split_once('@').map_or(name.as_str(), |(plain, _)| plain);
        (!plain.is_empty() && !plain.starts_with('$')).then(|| plain.to_owned())
    }

    /// Bytes that this takes.
    pub fn held(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }
}

/// Of several names for one function the plainest comes first.
fn preference(name: &str) -> (usize, usize, String) {
    let underscores = name.len() - name.trim_start_matches('_').len();
    (underscores, name.len(), name.to_owned())
}

fn function(bytes: &[u8]) -> Option<Entry> {
    let (symbol, _) = pod::from_bytes::<Sym64<LE>>(bytes).ok()?;
    let (kind, start) = (symbol.st_type(), symbol.st_value.get(LE));
    let section = symbol.st_shndx.get(LE);
    let is_code = matches!(kind, STT_FUNC | STT_GNU_IFUNC)
        // The entry of a program is often of no kind.
        || kind == STT_NOTYPE && symbol.st_size.get(LE) > 0;
    (is_code && section != SHN_UNDEF && start != 0).then(|| Entry {
        start,
        len: u32::try_from(symbol.st_size.get(LE)).unwrap_or(u32::MAX),
        name: symbol.st_name.get(LE),
        is_local: symbol.st_bind() == STB_LOCAL,
    })
}
