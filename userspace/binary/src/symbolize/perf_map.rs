//! Names of code that a process makes at run time, as its own runtime writes them down: `/tmp/perf-PID.map`. The file
//! is the target's word about itself: its names are cleaned.

use std::{fs::File, io::Read as _, os::unix::fs::MetadataExt as _, sync::Arc};

use model::text::printable;

use crate::files::{LARGEST_NAMES, WrittenNames};

/// Longer names are cut.
const LONGEST: usize = 512;
/// Functions that may have been made at the same address, one after the other, before an older one is found no more.
const OVERLAPS: usize = 32;

/// The names of one process.
pub struct PerfMap {
    /// File in which they are written.
    pub of: WrittenNames,
    /// Inode, length and time of the last change of what was read.
    read: Option<(u64, u64, i64, i64)>,
    /// Sorted by first address, and for equal ones as they were written.
    functions: Vec<Function>,
}

struct Function {
    start: u64,
    end: u64,
    name: Arc<str>,
}

impl PerfMap {
    /// One that has not been read yet.
    pub fn new(of: WrittenNames) -> Self {
        Self { of, read: None, functions: Vec::new() }
    }

    /// Reads the file, unless that is what was read last.
    pub fn refresh(&mut self, file: File) {
        let Ok(about) = file.metadata() else { return };
        let seen = Some((about.ino(), about.len(), about.mtime(), about.mtime_nsec()));
        if self.read == seen {
            return;
        }
        let mut bytes = Vec::new();
        // It may grow meanwhile.
        if file.take(LARGEST_NAMES).read_to_end(&mut bytes).is_ok() {
            self.read = seen;
            self.functions = parse(&bytes);
        }
    }

    /// True where it has no names.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    /// The function at an address, and where it begins.
    pub fn at_address(&self, address: u64) -> Option<(Arc<str>, u64)> {
        let behind = self.functions.partition_point(|function| function.start <= address);
        let near = self.functions[..behind].iter().rev().take(OVERLAPS);
        let found = near.into_iter().find(|function| address < function.end)?;
        Some((found.name.clone(), found.start))
    }
}

/// Number of functions that such a file names.
pub fn count(bytes: &[u8]) -> usize {
    parse(bytes).len()
}

/// Lines read `START SIZE NAME`, numbers in hexadecimal; others are left out, as is a last one that is not whole.
fn parse(bytes: &[u8]) -> Vec<Function> {
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(&[][..], |end| &bytes[..end]);
    let function = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        let mut words = line.splitn(3, ' ');
        let mut number = || u64::from_str_radix(words.next()?.trim_start_matches("0x"), 16).ok();
        let (start, size) = (number()?, number()?);
        let name: String = words.next()?.trim().chars().take(LONGEST).collect();
        let end = start.checked_add(size)?;
        (!name.is_empty() && size > 0).then(|| Function { start, end, name: Arc::from(printable(&name)) })
    };
    let mut functions: Vec<Function> = whole.split(|byte| *byte == b'\n').filter_map(function).collect();
    functions.sort_by_key(|function| function.start);
    functions
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const MAP: &str = "7f00 20 void Queue.put()\n7f20 10 LazyCompile:*take /a.js:1:2\nnonsense\n\
                       7f00 8 evil\x1b[2J name\n9000 0 empty\nffffffffffffffff 2 beyond\n7f40 10 not whole";

    fn name(map: &PerfMap, address: u64) -> Option<String> {
        map.at_address(address).map(|(name, _)| name.to_string())
    }

    #[test]
    fn what_was_written_last_is_there_now() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("perf-7.map");
        let mut map = PerfMap::new(WrittenNames(0));
        assert_eq!(name(&map, 0x7f10), None);
        fs::write(&path, MAP).unwrap();
        map.refresh(File::open(&path).unwrap());
        assert_eq!(name(&map, 0x7f07).as_deref(), Some("evil\\x1b[2J name"));
        assert_eq!(map.at_address(0x7f08), Some((Arc::from("void Queue.put()"), 0x7f00)));
        assert_eq!(name(&map, 0x7f2f).as_deref(), Some("LazyCompile:*take /a.js:1:2"));
        for nothing in [0x7eff, 0x7f30, 0x7f40, 0x9000, u64::MAX] {
            assert_eq!(name(&map, nothing), None, "{nothing:#x}");
        }
        fs::write(&path, [MAP, "\n8000 8 later\n"].concat()).unwrap();
        map.refresh(File::open(&path).unwrap());
        assert_eq!(name(&map, 0x8001).as_deref(), Some("later"));
        assert_eq!(name(&map, 0x7f40).as_deref(), Some("not whole"));
    }
}
