//! The skeleton of an ELF file: what is loaded where, and which sections there are.

use std::sync::Arc;

use object::{
    LittleEndian as LE,
    elf::{
        self, CompressionHeader64, FileHeader64, NoteHeader64, ProgramHeader64, SectionHeader64, SectionType,
    },
    pod,
    read::{CompressedData, CompressionFormat},
};

use super::bytes::{Blob, View};

/// Processor that a program was compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// Intel and AMD, 64 bit.
    X86_64,
    /// Arm, 64 bit.
    Aarch64,
}

impl Machine {
    /// The one that this program runs on; `None` on one that stacks are not understood of.
    pub const fn here() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::X86_64)
        } else if cfg!(target_arch = "aarch64") {
            Some(Self::Aarch64)
        } else {
            None
        }
    }
}

/// A part of the file that is loaded.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Offset in the file of its first byte.
    pub offset: u64,
    /// Its address, as the file counts.
    pub address: u64,
    /// Bytes of it in the file.
    pub len: u64,
    executable: bool,
}

/// A section of the file.
#[derive(Clone, Debug)]
pub struct Section {
    name: String,
    kind: SectionType,
    is_packed: bool,
    /// Its address, if it is loaded.
    pub address: u64,
    offset: u64,
    /// Bytes of it in the file.
    pub size: u64,
    /// The section that belongs to it.
    link: usize,
}

/// An ELF file of 64 bits, little-endian.
#[derive(Debug)]
pub struct Elf {
    /// Processor that it was compiled for.
    pub machine: Machine,
    segments: Vec<Segment>,
    sections: Vec<Section>,
    /// Segment of the table for finding unwind information.
    pub eh_frame_hdr: Option<Segment>,
    notes: Vec<Segment>,
}

/// More headers than any linker writes: beyond it the file is nonsense.
const MOST_HEADERS: u16 = 8192;

/// Largest section that is unpacked.
const LARGEST_UNPACKED: u64 = 64 << 20;

impl Elf {
    /// Reads the headers; `None` if the file is of another kind or damaged.
    pub fn parse(blob: &Arc<Blob>) -> Option<Self> {
        let bytes: [u8; size_of::<FileHeader64<LE>>()] = array(blob, 0)?;
        let (header, _) = pod::from_bytes::<FileHeader64<LE>>(&bytes).ok()?;
        let ident = &header.e_ident;
        let known =
            ident.magic == elf::ELFMAG && ident.class == elf::ELFCLASS64 && ident.data == elf::ELFDATA2LSB;
        let machine = match header.e_machine.get(LE) {
            elf::EM_X86_64 if known => Machine::X86_64,
            elf::EM_AARCH64 if known => Machine::Aarch64,
            _ => return None,
        };
        let mut this = Self {
            machine,
            segments: Vec::new(),
            sections: Vec::new(),
            eh_frame_hdr: None,
            notes: Vec::new(),
        };
        let programs = table::<ProgramHeader64<LE>>(blob, header.e_phoff.get(LE), header.e_phnum.get(LE))?;
        for bytes in programs.chunks_exact(size_of::<ProgramHeader64<LE>>()) {
            this.take_segment(pod::from_bytes::<ProgramHeader64<LE>>(bytes).ok()?.0);
        }
        // A file without section headers can still be unwound.
        this.sections = sections(blob, header).unwrap_or_default();
        Some(this)
    }

    fn take_segment(&mut self, header: &ProgramHeader64<LE>) {
        let segment = Segment {
            offset: header.p_offset.get(LE),
            address: header.p_vaddr.get(LE),
            len: header.p_filesz.get(LE),
            executable: header.p_flags.get(LE).0 & elf::PF_X.0 != 0,
        };
        match header.p_type.get(LE) {
            elf::PT_LOAD => self.segments.push(segment),
            elf::PT_GNU_EH_FRAME => self.eh_frame_hdr = Some(segment),
            elf::PT_NOTE => self.notes.push(segment),
            _ => {}
        }
    }

    /// The address, as the file counts, of code at an offset in the file.
    pub fn address_of(&self, offset: u64) -> Option<u64> {
        let loaded = self.segments.iter().filter(|segment| segment.executable);
        let at = |segment: &Segment| offset.checked_sub(segment.offset).filter(|into| *into < segment.len);
        loaded.filter_map(|segment| Some(segment.address.wrapping_add(at(segment)?))).next()
    }

    /// The loaded part of the file that an address lies in.
    pub fn segment_at(&self, address: u64) -> Option<&Segment> {
        self.segments
            .iter()
            .find(|segment| address.checked_sub(segment.address).is_some_and(|into| into < segment.len))
    }

    /// A section by name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name && section.kind != elf::SHT_NOBITS)
    }

    /// A section by kind, and the one that belongs to it.
    pub fn linked(&self, kind: SectionType) -> Option<(&Section, &Section)> {
        let section = self.sections.iter().find(|section| section.kind == kind)?;
        Some((section, self.sections.get(section.link)?))
    }

    /// The bytes of a section, unpacked if they are packed.
    pub fn bytes(&self, blob: &Arc<Blob>, section: &Section) -> Option<View> {
        if !section.is_packed {
            return Some(blob.view(section.offset, section.size));
        }
        let bytes: [u8; size_of::<CompressionHeader64<LE>>()] = array(blob, section.offset)?;
        let (header, _) = pod::from_bytes::<CompressionHeader64<LE>>(&bytes).ok()?;
        let format = match header.ch_type.get(LE) {
            elf::ELFCOMPRESS_ZLIB => CompressionFormat::Zlib,
            elf::ELFCOMPRESS_ZSTD => CompressionFormat::Zstandard,
            _ => return None,
        };
        let uncompressed_size = header.ch_size.get(LE);
        let packed = section.size.checked_sub(bytes.len() as u64)?;
        if uncompressed_size > LARGEST_UNPACKED || packed > LARGEST_UNPACKED {
            return None;
        }
        let mut data = vec![0; usize::try_from(packed).ok()?];
        blob.read(section.offset + bytes.len() as u64, &mut data)?;
        let unpacked = CompressedData { format, data: &data, uncompressed_size }.decompress().ok()?;
        let len = unpacked.len() as u64;
        Some(Blob::memory(Arc::from(unpacked.into_owned())).view(0, len))
    }

    /// Build id of the file.
    pub fn build_id(&self, blob: &Blob) -> Option<Vec<u8>> {
        let sections = self.sections.iter().filter(|section| section.kind == elf::SHT_NOTE);
        let places = sections.map(|section| (section.offset, section.size));
        let mut places = places.chain(self.notes.iter().map(|note| (note.offset, note.len)));
        places.find_map(|(offset, len)| build_id_in(blob, offset, len.min(4096)))
    }
}

fn array<const N: usize>(blob: &Blob, offset: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    blob.read(offset, &mut bytes)?;
    Some(bytes)
}

fn table<T>(blob: &Blob, offset: u64, count: u16) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::from(count.min(MOST_HEADERS)) * size_of::<T>()];
    blob.read(offset, &mut bytes)?;
    Some(bytes)
}

fn sections(blob: &Arc<Blob>, header: &FileHeader64<LE>) -> Option<Vec<Section>> {
    let bytes = table::<SectionHeader64<LE>>(blob, header.e_shoff.get(LE), header.e_shnum.get(LE))?;
    let headers: Vec<&SectionHeader64<LE>> = bytes
        .chunks_exact(size_of::<SectionHeader64<LE>>())
        .filter_map(|bytes| Some(pod::from_bytes::<SectionHeader64<LE>>(bytes).ok()?.0))
        .collect();
    let names = headers.get(usize::from(header.e_shstrndx.get(LE).0))?;
    let names = blob.view(names.sh_offset.get(LE), names.sh_size.get(LE));
    let section = |header: &&SectionHeader64<LE>| Section {
        name: names.text_at(header.sh_name.get(LE) as usize).unwrap_or_default(),
        kind: header.sh_type.get(LE),
        is_packed: header.sh_flags.get(LE).0 & elf::SHF_COMPRESSED.0 != 0,
        address: header.sh_addr.get(LE),
        offset: header.sh_offset.get(LE),
        size: header.sh_size.get(LE),
        link: header.sh_link.get(LE) as usize,
    };
    Some(headers.iter().map(section).collect())
}

fn build_id_in(blob: &Blob, offset: u64, len: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(len).ok()?];
    blob.read(offset, &mut bytes)?;
    let mut rest = bytes.as_slice();
    loop {
        let (header, behind) = pod::from_bytes::<NoteHeader64<LE>>(rest).ok()?;
        let name_len = header.n_namesz.get(LE) as usize;
        let text_len = header.n_descsz.get(LE) as usize;
        let text_at = name_len.checked_next_multiple_of(4)?;
        let text = behind.get(text_at..text_at.checked_add(text_len)?)?;
        if header.n_type.get(LE) == elf::NT_GNU_BUILD_ID && behind.get(..name_len)? == b"GNU\0" {
            return Some(text.to_vec());
        }
        rest = behind.get(text_at + text_len.checked_next_multiple_of(4)?..)?;
    }
}
