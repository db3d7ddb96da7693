//! Field offsets of kernel structures, read from the running kernel's own type information.
//!
//! BPF programs written in Rust carry no relocations for kernel structures; the offsets they need are looked up here
//! and handed to them as constants.

use std::{collections::HashMap, fs, io};

/// Path at which the running kernel shows its types.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xeb9f;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;

/// Reason for which an offset cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The file cannot be read.
    #[error("cannot read {VMLINUX}: {0}; this needs a kernel built with CONFIG_DEBUG_INFO_BTF=y")]
    Unreadable(#[source] io::Error),
    /// The file is not what it should be.
    #[error("cannot read {VMLINUX}: {0}; the kernel's type information is not in the known format")]
    Malformed(&'static str),
    /// The kernel has no such field.
    #[error(
        "cannot find {0} in the kernel's types: this kernel lays it out differently; please report the version"
    )]
    NoField(String),
}

struct Member {
    name: u32,
    kind: u32,
    bits: u32,
}

struct Aggregate {
    name: u32,
    members: Vec<Member>,
}

/// Structures and unions of the kernel.
pub struct Btf {
    aggregates: HashMap<u32, Aggregate>,
    modifiers: HashMap<u32, u32>,
    strings: Vec<u8>,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn word(&mut self) -> Result<u32, BtfError> {
        let end = self.at + 4;
        let bytes =
            self.bytes.get(self.at..end).ok_or(BtfError::Malformed("it ends in the middle of a type"))?;
        self.at = end;
        Ok(u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn skip(&mut self, bytes: u32) {
        self.at = self.at.saturating_add(bytes as usize);
    }
}

impl Btf {
    /// The running kernel's types.
    ///
    /// # Errors
    /// When the kernel has none or they are malformed.
    pub fn of_kernel() -> Result<Self, BtfError> {
        Self::parse(&fs::read(VMLINUX).map_err(BtfError::Unreadable)?)
    }

    /// Parses type information in the kernel's format.
    ///
    /// # Errors
    /// When the bytes are malformed.
    pub fn parse(bytes: &[u8]) -> Result<Self, BtfError> {
        let mut header = Reader { bytes, at: 0 };
        if header.word()? as u16 != MAGIC {
            return Err(BtfError::Malformed("the magic number is wrong"));
        }
        let header_len = header.word()? as usize;
        let (types_at, types_len) = (header.word()? as usize, header.word()? as usize);
        let (strings_at, strings_len) = (header.word()? as usize, header.word()? as usize);
        let section = |at: usize, len: usize| {
            let start = header_len.checked_add(at)?;
            bytes.get(start..start.checked_add(len)?)
        };
        let types = section(types_at, types_len).ok_or(BtfError::Malformed("its types are cut off"))?;
        let strings = section(strings_at, strings_len).ok_or(BtfError::Malformed("its names are cut off"))?;
        let mut btf =
            Self { aggregates: HashMap::new(), modifiers: HashMap::new(), strings: strings.to_vec() };
        btf.read_types(types)?;
        Ok(btf)
    }

    fn read_types(&mut self, types: &[u8]) -> Result<(), BtfError> {
        let mut reader = Reader { bytes: types, at: 0 };
        for id in 1.. {
            if reader.at >= types.len() {
                break;
            }
            let (name, info, size_or_type) = (reader.word()?, reader.word()?, reader.word()?);
            let (kind, entries, bitfields) = (info >> 24 & 0x1f, info & 0xffff, info >> 31 != 0);
            match kind {
                KIND_STRUCT | KIND_UNION => {
                    let members = (0..entries)
                        .map(|_| {
                            let (name, kind, offset) = (reader.word()?, reader.word()?, reader.word()?);
                            Ok(Member {
                                name,
                                kind,
                                bits: if bitfields { offset & 0xff_ffff } else { offset },
                            })
                        })
                        .collect::<Result<_, BtfError>>()?;
                    self.aggregates.insert(id, Aggregate { name, members });
                }
                // typedef, volatile, const, restrict, type tag
                8..=11 | 18 => {
                    self.modifiers.insert(id, size_or_type);
                }
                // integer, variable, declaration tag
                1 | 14 | 17 => reader.skip(4),
                // array
                3 => reader.skip(12),
                // enumeration, function prototype
                6 | 13 => reader.skip(8 * entries),
                // data section, 64-bit enumeration
                15 | 19 => reader.skip(12 * entries),
                // pointer, forward declaration, function, float
                2 | 7 | 12 | 16 => {}
                _ => return Err(BtfError::Malformed("it has a kind of type that is not known yet")),
            }
        }
        Ok(())
    }

    fn name(&self, offset: u32) -> &[u8] {
        let rest = self.strings.get(offset as usize..).unwrap_or_default();
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    fn resolve(&self, mut kind: u32) -> Option<&Aggregate> {
        // Chains of modifiers are short; the bound keeps malformed ones from turning in a circle.
        for _ in 0..32 {
            match self.modifiers.get(&kind) {
                Some(next) => kind = *next,
                None => break,
            }
        }
        self.aggregates.get(&kind)
    }

    /// Offset in bytes of a field, named as in C: `offset("task_struct", "thread_info.status")`. Members of
    /// anonymous structures and unions count as members of what contains them.
    ///
    /// # Errors
    /// When the kernel has no such structure or field.
    pub fn offset(&self, structure: &str, path: &str) -> Result<u32, BtfError> {
        let missing = || BtfError::NoField(format!("{structure}.{path}"));
        let candidates =
            self.aggregates.values().filter(|aggregate| self.name(aggregate.name) == structure.as_bytes());
        for candidate in candidates {
            let mut here = candidate;
            let mut bits = 0;
            let mut steps = path.split('.').peekable();
            while let Some((offset, kind)) =
                steps.next().and_then(|step| self.member(here, step.as_bytes(), 0))
            {
                bits = u32::saturating_add(bits, offset);
                if steps.peek().is_none() {
                    return Ok(bits / 8);
                }
                let Some(next) = self.resolve(kind) else { break };
                here = next;
            }
        }
        Err(missing())
    }

    fn member(&self, aggregate: &Aggregate, name: &[u8], depth: u32) -> Option<(u32, u32)> {
        aggregate.members.iter().find_map(|member| {
            if self.name(member.name) == name {
                return Some((member.bits, member.kind));
            }
            if member.name != 0 || depth == 16 {
                return None;
            }
            let (bits, kind) = self.member(self.resolve(member.kind)?, name, depth + 1)?;
            Some((bits.saturating_add(member.bits), kind))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct outer { int a; union { int b; struct inner c; }; }` with `struct inner { int x; int y; }`.
    fn sample() -> Vec<u8> {
        let strings = b"\0outer\0a\0b\0c\0inner\0x\0y\0int\0";
        let structure = |entries: u32| KIND_STRUCT << 24 | entries;
        let types: Vec<u32> = [
            vec![23, 1 << 24, 4, 32],
            vec![13, structure(2), 8, 19, 1, 0, 21, 1, 32],
            vec![0, KIND_UNION << 24 | 2, 8, 9, 1, 0, 11, 2, 0],
            vec![1, structure(2), 12, 7, 1, 0, 0, 3, 32],
        ]
        .concat();
        let types: Vec<u8> = types.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let header =
            [u32::from(MAGIC) | 1 << 16, 24, 0, types.len() as u32, types.len() as u32, strings.len() as u32];
        let mut bytes: Vec<u8> = header.iter().flat_map(|word| word.to_ne_bytes()).collect();
        bytes.extend(types);
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn fields_are_found_through_anonymous_members() {
        let btf = Btf::parse(&sample()).unwrap();
        assert_eq!(btf.offset("outer", "a").unwrap(), 0);
        assert_eq!(btf.offset("outer", "b").unwrap(), 4);
        assert_eq!(btf.offset("outer", "c.y").unwrap(), 8);
        assert!(btf.offset("outer", "c.z").is_err());
        assert!(btf.offset("nothing", "a").is_err());
    }

    #[test]
    fn cut_or_changed_bytes_never_panic() {
        let whole = sample();
        for len in 0..whole.len() {
            let _ = Btf::parse(&whole[..len]);
        }
        for at in 0..whole.len() {
            for value in [0, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                if let Ok(btf) = Btf::parse(&bytes) {
                    let _ = btf.offset("outer", "c.y");
                }
            }
        }
    }
}
