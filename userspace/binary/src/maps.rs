//! Mappings of a process: the text of `/proc/PID/maps`, as values.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    str,
};

/// A device number, as the kernel prints it in `/proc/PID/maps`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device {
    /// Its major part.
    pub major: u32,
    /// Its minor part.
    pub minor: u32,
}

/// Content of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backing {
    /// Memory without a name.
    Anonymous,
    /// Something of the kernel's own or named by the process: `[heap]`, `[vdso]`, `[anon:arena]`, `anon_inode:x`.
    Named(String),
    /// A mapped file.
    File {
        /// Its path as the process sees it, inside its own root.
        path: PathBuf,
        /// True if it cannot be opened by that path any more: it was removed or replaced, or never had
        /// one (shared memory).
        deleted: bool,
    },
}

/// One line of `/proc/PID/maps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// First address of the mapping.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    /// True if it can be read.
    pub readable: bool,
    /// True if it can be written.
    pub writable: bool,
    /// True if it can be executed.
    pub executable: bool,
    /// True if writes reach every process that maps the same object.
    pub shared: bool,
    /// Offset in the file of its first byte.
    pub offset: u64,
    /// Device of the file.
    pub device: Device,
    /// Inode of the file; 0 where there is none.
    pub inode: u64,
    /// Content that it shows.
    pub backing: Backing,
}

/// A place in an object that several processes may have mapped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object {
    /// Device that the object lies on.
    pub device: Device,
    /// Inode of the object.
    pub inode: u64,
    /// Offset of the place in it.
    pub offset: u64,
    /// Path by which the asked process knows it: for showing, since another may know it by another.
    pub path: PathBuf,
}

impl Object {
    /// True if both are the same place of the same object, even by different paths.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (self.device, self.inode, self.offset) == (other.device, other.inode, other.offset)
    }
}

impl Mapping {
    /// True if an address lies in it.
    #[must_use]
    pub fn contains(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// Identity of its file: the device, in two parts, and the inode.
    #[must_use]
    pub fn identity(&self) -> ((u32, u32), u64) {
        ((self.device.major, self.device.minor), self.inode)
    }

    /// Offset in the file of an address.
    #[must_use]
    pub fn file_offset(&self, address: u64) -> u64 {
        (address - self.start).wrapping_add(self.offset)
    }

    /// Path of the file, if it is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.backing {
            Backing::File { path, .. } => Some(path),
            _ => None,
        }
    }

    /// Last part of the path, or the name in brackets.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.backing {
            Backing::Anonymous => "[anon]".to_owned(),
            Backing::Named(name) => name.clone(),
            Backing::File { path, .. } => {
                path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
            }
        }
    }
}

/// Everything that is mapped in a process, by rising address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maps {
    mappings: Vec<Mapping>,
    unreadable: usize,
}

impl Maps {
    /// Reads the text of `/proc/PID/maps`. Bytes, since a path may be any.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let mut maps = Self::default();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match parse_line(line) {
                Some(mapping) => maps.mappings.push(mapping),
                None => maps.unreadable += 1,
            }
        }
        // The kernel writes them in order; a look-up depends on it.
        maps.mappings.sort_by_key(|mapping| mapping.start);
        maps
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Mapping] {
        &self.mappings
    }

    /// Lines that no mapping could be made of.
    #[must_use]
    pub fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// The mapping that an address lies in.
    #[must_use]
    pub fn at(&self, address: u64) -> Option<&Mapping> {
        let behind = self.mappings.partition_point(|mapping| mapping.start <= address);
        self.mappings.get(behind.checked_sub(1)?).filter(|mapping| mapping.contains(address))
    }

    /// The place in a shared object that an address stands for: two processes with the same one mean the same memory.
    /// `None` where the memory belongs to this process alone.
    #[must_use]
    pub fn object_of(&self, address: u64) -> Option<Object> {
        let mapping = self.at(address).filter(|mapping| mapping.shared && mapping.inode != 0)?;
        let path = mapping.path().map_or_else(|| PathBuf::from(mapping.name()), Path::to_path_buf);
        let offset = mapping.file_offset(address);
        Some(Object { device: mapping.device, inode: mapping.inode, offset, path })
    }
}

fn parse_line(line: &[u8]) -> Option<Mapping> {
    let mut rest = line;
    let (start, end) = pair(field(&mut rest)?, b'-')?;
    let modes = field(&mut rest)?;
    let offset = hex(field(&mut rest)?)?;
    let (major, minor) = pair(field(&mut rest)?, b':')?;
    let inode = str::from_utf8(field(&mut rest)?).ok()?.parse().ok()?;
    let &[read, write, execute, share] = modes else { return None };
    let device = Device { major: u32::try_from(major).ok()?, minor: u32::try_from(minor).ok()? };
    let valid = start < end && matches!(share, b's' | b'p');
    valid.then(|| Mapping {
        start,
        end,
        readable: read == b'r',
        writable: write == b'w',
        executable: execute == b'x',
        shared: share == b's',
        offset,
        device,
        inode,
        // The kernel pads with blanks; a name that begins with one is always preceded by a slash.
        backing: backing(rest.trim_ascii_start()),
    })
}

/// Takes the next word.
fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let text = rest.trim_ascii_start();
    let end = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
    let (word, behind) = text.split_at(end);
    *rest = behind;
    (!word.is_empty()).then_some(word)
}

fn hex(text: &[u8]) -> Option<u64> {
    u64::from_str_radix(str::from_utf8(text).ok()?, 16).ok()
}

fn pair(text: &[u8], separator: u8) -> Option<(u64, u64)> {
    let at = text.iter().position(|byte| *byte == separator)?;
    Some((hex(&text[..at])?, hex(&text[at + 1..])?))
}

fn backing(name: &[u8]) -> Backing {
    match name {
        [] => Backing::Anonymous,
        [b'/', ..] => {
            let kept = name.strip_suffix(b" (deleted)");
            let path = unescaped(kept.unwrap_or(name));
            Backing::File { path: PathBuf::from(OsStr::from_bytes(&path)), deleted: kept.is_some() }
        }
        _ => Backing::Named(String::from_utf8_lossy(name).into_owned()),
    }
}

/// The kernel writes a line feed in a path as `\012` and nothing else: a backslash stays one.
fn unescaped(path: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&first, behind)) = rest.split_first() {
        let feed = rest.strip_prefix(b"\\012");
        bytes.push(if feed.is_some() { b'\n' } else { first });
        rest = feed.unwrap_or(behind);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
55d0c0a00000-55d0c0a02000 r--p 00000000 fe:00 1234                       /usr/bin/a b (x)
55d0c0a02000-55d0c0a04000 r-xp 00002000 fe:00 1234                       /usr/bin/a b (x)
55d0c1000000-55d0c1021000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000021000 rw-p 00000000 00:00 0 \n\
7f0000100000-7f0000102000 rw-s 00001000 00:1a 77                         /dev/shm/q (deleted)
7f0000200000-7f0000201000 rw-s 00000000 00:01 1030                       /dev/zero (deleted)
7f0000300000-7f0000301000 r-xp 00000000 00:00 0                          [vdso]
7f0000400000-7f0000401000 rw-p 00000000 00:00 0                          [anon:a b]
7f0000500000-7f0000501000 r--p 00000000 103:02 99                        /tmp/line\\012feed\\x
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";

    #[test]
    fn every_kind_of_line_is_read() {
        let maps = Maps::parse(TEXT.as_bytes());
        assert_eq!((maps.all().len(), maps.unreadable()), (10, 0));
        let code = maps.at(0x55d0_c0a0_2fff).unwrap();
        assert!(code.executable && code.readable && !code.writable && !code.shared);
        assert_eq!((code.offset, code.inode, code.device), (0x2000, 1234, Device { major: 0xfe, minor: 0 }));
        assert_eq!(code.path(), Some(Path::new("/usr/bin/a b (x)")));
        assert_eq!(code.file_offset(0x55d0_c0a0_2fff), 0x2fff);
        let names: Vec<String> = maps.all().iter().map(Mapping::name).collect();
        let expected = ["a b (x)", "a b (x)", "[heap]", "[anon]", "q", "zero", "[vdso]", "[anon:a b]"];
        assert_eq!(names[..8], expected);
        assert_eq!(names[8..], ["line\nfeed\\x", "[vsyscall]"]);
        assert!(matches!(&maps.all()[4].backing, Backing::File { deleted: true, .. }));
        assert_eq!(maps.all()[8].device, Device { major: 0x103, minor: 2 });
    }

    #[test]
    fn an_address_between_two_mappings_is_in_none() {
        let maps = Maps::parse(TEXT.as_bytes());
        for address in [0, 0x55d0_c09f_ffff, 0x55d0_c0a0_4000, 0x7f00_0002_1000, u64::MAX] {
            assert_eq!(maps.at(address), None, "{address:#x}");
        }
        assert_eq!(maps.at(0x55d0_c0a0_0000).unwrap().start, 0x55d0_c0a0_0000);
    }

    #[test]
    fn one_object_mapped_at_two_addresses_is_one() {
        let other = "600000-602000 rw-s 00000000 00:1a 77   /somewhere/else\n\
                     700000-701000 rw-p 00000000 00:1a 77   /dev/shm/q\n";
        let (maps, other) = (Maps::parse(TEXT.as_bytes()), Maps::parse(other.as_bytes()));
        let here = maps.object_of(0x7f00_0010_0040).unwrap();
        assert_eq!((here.offset, here.inode, here.path.as_path()), (0x1040, 77, Path::new("/dev/shm/q")));
        assert!(here.is_same(&other.object_of(0x60_1040).unwrap()));
        assert!(!here.is_same(&other.object_of(0x60_1044).unwrap()));
        // What is mapped privately belongs to one process, though it began as the same file.
        assert_eq!(other.object_of(0x70_0040), None);
        assert_eq!(maps.object_of(0x55d0_c100_0000), None);
        assert_eq!(maps.object_of(0x7f00_0020_0010).unwrap().inode, 1030);
    }

    #[test]
    fn lines_that_are_none_are_counted() {
        let text = b"\n7f00-7e00 r-xp 0 0:0 0\nzz-7f r-xp 0 0:0 0\n7f00-7f01 r-x 0 0:0 0\n7f00-7f01 r-xp 0 0:0\n\xff\n";
        let maps = Maps::parse(text);
        assert_eq!((maps.all().len(), maps.unreadable()), (0, 5));
        let path = b"7f00-7f01 r-xp 0 0:0 5 /a\xffb";
        assert_eq!(Maps::parse(path).all()[0].path(), Some(Path::new(OsStr::from_bytes(b"/a\xffb"))));
    }

    #[test]
    fn this_process_is_understood() {
        let maps = Maps::parse(&std::fs::read("/proc/self/maps").unwrap());
        let here = maps.at(this_process_is_understood as *const () as u64).unwrap();
        assert!(here.executable && maps.unreadable() == 0);
        assert_eq!(here.path(), Some(std::env::current_exe().unwrap().as_path()));
    }
}
