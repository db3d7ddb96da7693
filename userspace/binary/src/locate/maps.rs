//! Files of a process that are worth reading: everything that holds code of its own.

use std::path::PathBuf;

/// One line of `/proc/PID/maps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// First address of the mapping.
    pub start: u64,
    /// The address after the last.
    pub end: u64,
    /// True if it may be executed.
    pub executable: bool,
    /// Offset in the file of its first byte.
    pub offset: u64,
    /// Major and minor number of the file system.
    pub device: (u32, u32),
    /// Number of the file; zero where there is none.
    pub inode: u64,
    /// As the line shows it: with ` (deleted)` behind a path that leads there no more.
    pub path: String,
}

/// A file with code that a process has mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// As the process sees it.
    pub path: String,
    /// The path leads nowhere, or to another file, such as the new version of a library.
    pub deleted: bool,
    /// Major and minor number of the file system.
    pub device: (u32, u32),
    /// Inode of the file. A caller that opens it by path checks that it is still this one.
    pub inode: u64,
    /// Its first executable mapping, which names it below `/proc/PID/map_files`.
    pub range: (u64, u64),
    /// Address in memory minus offset in the file, for that mapping.
    pub bias: u64,
}

impl Candidate {
    /// Paths at which it can be opened, best first: through the process's own root, which is right in a container too,
    /// and through the mapping itself, which also finds a file that has been deleted but asks for more privilege.
    #[must_use]
    pub fn sources(&self, pid: u32) -> Vec<PathBuf> {
        let by_path = (!self.deleted).then(|| format!("/proc/{pid}/root{}", self.path).into());
        let (start, end) = self.range;
        by_path.into_iter().chain([format!("/proc/{pid}/map_files/{start:x}-{end:x}").into()]).collect()
    }
}

/// The files of a process in the order of its memory, each once.
#[must_use]
pub fn candidates(mappings: &[Mapping]) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    for mapping in mappings.iter().filter(|mapping| mapping.executable && mapping.inode != 0) {
        let known = |known: &Candidate| (known.device, known.inode) == (mapping.device, mapping.inode);
        // Memory without a name in any directory: code written at run time has no symbols either.
        let nameless = ["/memfd:", "/dev/zero", "/SYSV", "/anon_hugepage"];
        let named = mapping.path.starts_with('/') && !nameless.iter().any(|of| mapping.path.starts_with(of));
        if !named || found.iter().any(known) {
            continue;
        }
        let path = mapping.path.strip_suffix(" (deleted)");
        found.push(Candidate {
            path: path.unwrap_or(&mapping.path).to_owned(),
            deleted: path.is_some(),
            device: mapping.device,
            inode: mapping.inode,
            range: (mapping.start, mapping.end),
            bias: mapping.start.wrapping_sub(mapping.offset),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(start: u64, executable: bool, inode: u64, path: &str) -> Mapping {
        let device = (254, 1);
        Mapping { start, end: start + 0x1000, executable, offset: 0x200, device, inode, path: path.into() }
    }

    #[test]
    fn each_file_with_code_comes_once() {
        let found = candidates(&[
            mapping(0x1000, false, 7, "/usr/bin/x"),
            mapping(0x2000, true, 7, "/usr/bin/x"),
            mapping(0x3000, true, 7, "/usr/bin/x"),
            mapping(0x4000, true, 8, "/lib/libc.so.6 (deleted)"),
            mapping(0x5000, true, 0, "[vdso]"),
            mapping(0x6000, true, 9, "/memfd:jit (deleted)"),
        ]);
        let shown: Vec<_> = found.iter().map(|of| (of.path.as_str(), of.deleted, of.bias)).collect();
        assert_eq!(shown, [("/usr/bin/x", false, 0x1e00), ("/lib/libc.so.6", true, 0x3e00)]);
        let sources = |index: usize| -> Vec<String> {
            found[index].sources(42).iter().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(sources(0), ["/proc/42/root/usr/bin/x", "/proc/42/map_files/2000-3000"]);
        assert_eq!(sources(1), ["/proc/42/map_files/4000-5000"]);
    }
}
