//! Reads an ELF file that is not trusted: it may be cut, damaged or of another machine.

use object::{
    Endianness, Object as _, ObjectSection as _,
    elf::{EM_AARCH64, EM_X86_64, FileHeader64, PF_X, PT_INTERP, PT_LOAD, STT_FUNC},
    read::elf::{ElfFile64, ProgramHeader as _, Sym as _, SymbolTable},
};
use thiserror::Error;

/// Reason for which a file cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Error {
    /// It begins with something else.
    #[error("it is no ELF file")]
    NotElf,
    /// It is of a class that the probes are not made for.
    #[error("it is a 32-bit file")]
    ThirtyTwoBit,
    /// Its bytes are the other way around.
    #[error("it is of a big-endian machine")]
    BigEndian,
    /// It is of a machine whose code cannot be decoded here.
    #[error("it is of another machine ({0})")]
    Machine(String),
    /// Its tables contradict each other.
    #[error("its headers are damaged: {0}")]
    Damaged(String),
}

/// A function that a symbol table names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function<'a> {
    /// As the table writes it, without a version.
    pub name: &'a str,
    /// First address in the file's own address space.
    pub address: u64,
    /// In bytes; zero where the table does not say.
    pub size: u64,
}

struct Segment {
    address: u64,
    offset: u64,
    len: u64,
    executable: bool,
}

/// A file whose outline has been checked.
pub struct Image<'a> {
    /// The parsed file.
    pub(super) file: ElfFile64<'a, Endianness>,
    bytes: &'a [u8],
    segments: Vec<Segment>,
}

impl<'a> Image<'a> {
    /// Reads the outline.
    ///
    /// # Errors
    /// The reason for which the file is unreadable.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        check_identity(bytes)?;
        let file =
            ElfFile64::<Endianness>::parse(bytes).map_err(|error| Error::Damaged(error.to_string()))?;
        let endian = file.endian();
        let segments = file.elf_program_headers().iter().filter(|header| header.p_type(endian) == PT_LOAD);
        let segments = segments.filter_map(|header| {
            let offset = header.p_offset(endian);
            // What the file lacks cannot be in memory.
            let len = header.p_filesz(endian).min((bytes.len() as u64).checked_sub(offset)?);
            let address = header.p_vaddr(endian);
            address.checked_add(len)?;
            let executable = header.p_flags(endian).contains(PF_X);
            Some(Segment { address, offset, len, executable })
        });
        let segments = segments.collect();
        Ok(Self { file, bytes, segments })
    }

    /// True if it is started, and not loaded by something that is.
    #[must_use]
    pub fn is_program(&self) -> bool {
        self.file.entry() != 0
    }

    /// True if it names a loader that brings it its libraries.
    #[must_use]
    pub fn loads_libraries(&self) -> bool {
        let endian = self.file.endian();
        self.file.elf_program_headers().iter().any(|header| header.p_type(endian) == PT_INTERP)
    }

    /// Build id, in hexadecimal.
    #[must_use]
    pub fn build_id(&self) -> Option<String> {
        let id = self.file.build_id().ok()??;
        (!id.is_empty() && id.len() <= 64).then(|| hexadecimal(id))
    }

    /// Offset in the file of the code at an address.
    #[must_use]
    pub fn offset_of(&self, address: u64) -> Option<u64> {
        let segment = self.executable().find(|segment| segment.holds(address, 1))?;
        Some(segment.offset + (address - segment.address))
    }

    /// The address of the code at an offset in the file.
    #[must_use]
    pub fn address_of(&self, offset: u64) -> Option<u64> {
        let holds =
            |segment: &&Segment| offset.checked_sub(segment.offset).is_some_and(|at| at < segment.len);
        let segment = self.executable().find(holds)?;
        Some(segment.address + (offset - segment.offset))
    }

    /// The code in a range of addresses, if it lies in one executable segment.
    #[must_use]
    pub fn code(&self, address: u64, len: u64) -> Option<&'a [u8]> {
        self.executable().find(|segment| segment.holds(address, len))?;
        self.data(address, len)
    }

    /// Contents of a range of addresses, if that lies in one segment of the file.
    #[must_use]
    pub fn data(&self, address: u64, len: u64) -> Option<&'a [u8]> {
        let segment = self.segments.iter().find(|segment| segment.holds(address, len))?;
        let from = usize::try_from(segment.offset + (address - segment.address)).ok()?;
        self.bytes.get(from..from.checked_add(usize::try_from(len).ok()?)?)
    }

    /// The code from an address on: as many bytes as asked for, or fewer at the end of its segment.
    #[must_use]
    pub fn code_from(&self, address: u64, at_most: u64) -> &'a [u8] {
        let Some(segment) = self.executable().find(|segment| segment.holds(address, 1)) else { return &[] };
        let left = segment.len - (address - segment.address);
        self.code(address, left.min(at_most)).unwrap_or_default()
    }

    fn executable(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|segment| segment.executable)
    }

    /// Functions that the dynamic and the full symbol table define, in the order of the file.
    pub fn functions(&self) -> impl Iterator<Item = Function<'a>> {
        let of = |table: &SymbolTable<'a, FileHeader64<Endianness>>| {
            let (endian, strings) = (self.file.endian(), table.strings());
            table.symbols().iter().filter_map(move |symbol: &'a _| {
                let defined = symbol.st_type() == STT_FUNC && !symbol.is_undefined(endian);
                let name = defined.then(|| symbol.name(endian, strings).ok())??;
                let name = std::str::from_utf8(name).ok()?;
                Some(Function { name, address: symbol.st_value(endian), size: symbol.st_size(endian) })
            })
        };
        let (dynamic, full) = (self.file.elf_dynamic_symbol_table(), self.file.elf_symbol_table());
        of(dynamic).chain(of(full))
    }

    /// All functions of this name, each address once: a name may have several versions.
    #[must_use]
    pub fn named(&self, name: &str) -> Vec<Function<'a>> {
        let mut found: Vec<Function<'a>> = Vec::new();
        for function in self.functions().filter(|function| function.name == name) {
            if !found.iter().any(|known| known.address == function.address) {
                found.push(function);
            }
        }
        found
    }

    /// The contents of a section and where it is in memory; compressed ones are unpacked by the debug reader only.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<(u64, &'a [u8])> {
        let section = self.file.section_by_name(name)?;
        Some((section.address(), section.data().ok()?))
    }
}

impl Segment {
    fn holds(&self, address: u64, len: u64) -> bool {
        let at = address.checked_sub(self.address);
        at.is_some_and(|at| at < self.len && len <= self.len - at)
    }
}

/// The first bytes say whether the rest can be understood at all.
fn check_identity(bytes: &[u8]) -> Result<(), Error> {
    if !bytes.starts_with(b"\x7fELF") {
        return Err(Error::NotElf);
    }
    let (Some(class), Some(order)) = (bytes.get(4), bytes.get(5)) else { return Err(Error::NotElf) };
    match (class, order) {
        (1, _) => return Err(Error::ThirtyTwoBit),
        (2, 2) => return Err(Error::BigEndian),
        (2, 1) => {}
        _ => return Err(Error::Damaged("of no known class".into())),
    }
    let machine = bytes.get(18..20).map(|of| u16::from_le_bytes([of[0], of[1]])).ok_or(Error::NotElf)?;
    match machine {
        of if of == EM_X86_64.0 => Ok(()),
        of if of == EM_AARCH64.0 => Err(Error::Machine("aarch64".into())),
        243 => Err(Error::Machine("riscv".into())),
        21 => Err(Error::Machine("ppc64".into())),
        22 => Err(Error::Machine("s390".into())),
        other => Err(Error::Machine(format!("number {other}"))),
    }
}

/// Bytes as people write them.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
