//! Reads the arguments of a tracepoint from the kernel's own type information.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail};

const MAGIC: u32 = 0xeb9f;
const KIND_PTR: u32 = 2;
const KIND_TYPEDEF: u32 = 8;
const KIND_FUNC_PROTO: u32 = 13;

struct Type {
    kind: u32,
    name: u32,
    /// Type that a pointer, typedef or qualifier is made of.
    inner: u32,
    /// Types of the parameters of a function.
    parameters: Vec<u32>,
}

/// The types of a kernel.
pub struct Btf {
    types: Vec<Type>,
    strings: Vec<u8>,
    typedefs: HashMap<Vec<u8>, u32>,
}

struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn next(&mut self) -> Result<u32> {
        let (word, rest) = self.0.split_first_chunk().context("it ends in the middle")?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*word))
    }

    fn skip(&mut self, count: u32) -> Result<()> {
        self.0 = self.0.get(4 * count as usize..).context("it ends in the middle")?;
        Ok(())
    }
}

impl Btf {
    /// Parses the file that the kernel shows.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut header = Words(bytes);
        if header.next()? & 0xffff != MAGIC {
            bail!("it does not begin like type information");
        }
        let body = bytes.get(header.next()? as usize..).context("its header is too long")?;
        let mut section = || -> Result<&[u8]> {
            let (at, len) = (header.next()? as usize, header.next()? as usize);
            body.get(at..at + len).context("a section is cut off")
        };
        let (types, strings) = (section()?, section()?);
        // Type 0 is `void`.
        let void = Type { kind: 0, name: 0, inner: 0, parameters: Vec::new() };
        let mut btf = Self { types: vec![void], strings: strings.to_vec(), typedefs: HashMap::new() };
        let mut words = Words(types);
        while !words.0.is_empty() {
            btf.types.push(read_type(&mut words)?);
        }
        let typedefs = btf.types.iter().zip(0..).filter(|(of, _)| of.kind == KIND_TYPEDEF);
        btf.typedefs = typedefs.map(|(of, id)| (btf.name(of.name).to_vec(), id)).collect();
        Ok(btf)
    }

    /// Types of a tracepoint's arguments, as C writes them; `None` where there is no such tracepoint.
    pub fn tracepoint(&self, name: &str) -> Option<Vec<String>> {
        // `typedef void (*btf_trace_NAME)(void *context, ARGUMENTS)`
        let typedef = self.typedefs.get(format!("btf_trace_{name}").as_bytes())?;
        let pointer = self.get(self.get(*typedef)?.inner).filter(|of| of.kind == KIND_PTR)?;
        let function = self.get(pointer.inner).filter(|of| of.kind == KIND_FUNC_PROTO)?;
        Some(function.parameters.iter().skip(1).map(|id| self.in_c(*id, 0)).collect())
    }

    fn get(&self, id: u32) -> Option<&Type> {
        self.types.get(id as usize)
    }

    fn name(&self, offset: u32) -> &[u8] {
        let rest = self.strings.get(offset as usize..).unwrap_or_default();
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    fn in_c(&self, id: u32, depth: u32) -> String {
        // Malformed chains may run in a circle.
        let Some(of) = self.get(id).filter(|_| depth < 16) else { return "?".into() };
        let name = String::from_utf8_lossy(self.name(of.name));
        match of.kind {
            0 => "void".into(),
            KIND_PTR => {
                let inner = self.in_c(of.inner, depth + 1);
                if inner.ends_with('*') { format!("{inner}*") } else { format!("{inner} *") }
            }
            4 => format!("struct {name}"),
            5 => format!("union {name}"),
            6 | 19 => format!("enum {name}"),
            // A forward declaration says in its flag which of the two it is.
            7 => format!("{} {name}", if of.inner == 0 { "struct" } else { "union" }),
            9 => format!("volatile {}", self.in_c(of.inner, depth + 1)),
            10 => format!("const {}", self.in_c(of.inner, depth + 1)),
            11 | 18 => self.in_c(of.inner, depth + 1),
            _ => name.into_owned(),
        }
    }
}

fn read_type(words: &mut Words<'_>) -> Result<Type> {
    let (name, info, mut inner) = (words.next()?, words.next()?, words.next()?);
    let (kind, entries) = (info >> 24 & 0x1f, info & 0xffff);
    let mut parameters = Vec::new();
    match kind {
        KIND_FUNC_PROTO => {
            for _ in 0..entries {
                words.skip(1)?;
                parameters.push(words.next()?);
            }
        }
        // integer, variable, declaration tag
        1 | 14 | 17 => words.skip(1)?,
        // array
        3 => words.skip(3)?,
        // structure, union, data section, 64-bit enumeration
        4 | 5 | 15 | 19 => words.skip(3 * entries)?,
        // enumeration
        6 => words.skip(2 * entries)?,
        7 => inner = info >> 31,
        2 | 8..=12 | 16 | 18 => {}
        _ => bail!("it has a kind of type ({kind}) that is not known yet"),
    }
    Ok(Type { kind, name, inner, parameters })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `typedef void (*btf_trace_t)(void *, const struct s *, int)`.
    fn sample() -> Vec<u8> {
        let strings = b"\0btf_trace_t\0s\0int\0";
        let types: &[u32] = &[
            15,
            1 << 24,
            4,
            32, // 1: int
            13,
            4 << 24,
            0, // 2: struct s
            0,
            10 << 24,
            2, // 3: const struct s
            0,
            2 << 24,
            3, // 4: pointer to it
            0,
            2 << 24,
            0, // 5: void *
            0,
            13 << 24 | 3,
            0,
            0,
            5,
            0,
            4,
            0,
            1, // 6: the function
            0,
            2 << 24,
            6, // 7: pointer to it
            1,
            8 << 24,
            7, // 8: the typedef
        ];
        let len = 4 * types.len() as u32;
        let header = [MAGIC | 1 << 16, 24, 0, len, len, strings.len() as u32];
        let words = header.iter().chain(types).flat_map(|word| word.to_le_bytes());
        words.chain(strings.iter().copied()).collect()
    }

    #[test]
    fn arguments_are_written_as_in_c() {
        let btf = Btf::parse(&sample()).unwrap();
        assert_eq!(btf.tracepoint("t").unwrap(), ["const struct s *", "int"]);
        assert_eq!(btf.tracepoint("u"), None);
    }

    #[test]
    fn cut_bytes_are_refused() {
        let whole = sample();
        for len in 0..whole.len() {
            assert!(Btf::parse(&whole[..len]).is_err(), "{len}");
        }
    }
}
