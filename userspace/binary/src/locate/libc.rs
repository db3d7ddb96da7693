//! The C library that a process uses.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use crate::{
    input,
    maps::{Mapping, Maps},
};

/// A C library, as it is mapped into a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Libc {
    /// Its path, as the process sees it.
    pub path: String,
    /// Name of the library: glibc or musl.
    pub family: &'static str,
    /// Build id, in hexadecimal.
    pub build_id: Option<String>,
}

/// The C library of a process, whose build id another tells; `None` where none is mapped.
///
/// # Errors
/// When this user may not look.
pub fn find(pid: u32, build_id: impl Fn(&File) -> Option<String>) -> io::Result<Option<Libc>> {
    let maps = Maps::parse(&fs::read(format!("/proc/{pid}/maps"))?);
    let libraries = maps.all().iter().filter(|mapping| mapping.inode != 0);
    let Some((mapping, path, family)) = libraries.filter_map(library).next() else { return Ok(None) };
    let file = input::mapped(pid, (mapping.start, mapping.end), path, mapping.identity());
    let build_id = file.ok().and_then(|file| build_id(&file));
    Ok(Some(Libc { path: path.display().to_string(), family, build_id }))
}

/// Path and family, if a mapping is of a C library.
fn library(mapping: &Mapping) -> Option<(&Mapping, &Path, &'static str)> {
    let path = mapping.path()?;
    let name = mapping.name();
    let family = match name.as_str() {
        name if name.starts_with("libc.so.6") || (name.starts_with("libc-2.") && name.ends_with(".so")) => {
            "glibc"
        }
        // glibc's file of this name is a script for the linker.
        "libc.so" => "musl",
        name if name.starts_with("ld-musl-") || name == "libc.musl-x86_64.so.1" => "musl",
        _ => return None,
    };
    Some((mapping, path, family))
}

/// The release of the GNU C library, as that says it itself, or else the file's name.
#[must_use]
pub fn release(bytes: &[u8], path: &Path) -> String {
    const SAYS: &[u8] = b"stable release version ";
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(release) = name.strip_prefix("libpthread-").and_then(|rest| rest.strip_suffix(".so")) {
        return format!("glibc {release}");
    }
    let Some(at) = memchr::memmem::find(bytes, SAYS) else { return name };
    let is_number = |byte: &&u8| byte.is_ascii_digit() || **byte == b'.';
    let release: String =
        bytes[at + SAYS.len()..].iter().take_while(is_number).map(|byte| char::from(*byte)).collect();
    format!("glibc {}", release.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_told_by_their_names() {
        let found = |path: &str| {
            let maps = Maps::parse(format!("7f00-7f01 r-xp 00000000 fe:00 123   {path}\n").as_bytes());
            let found = library(&maps.all()[0]);
            found.map(|(_, path, family)| (path.display().to_string(), family))
        };
        let family = |path: &str| found(path).map(|(_, family)| family);
        assert_eq!(family("/usr/lib/x86_64-linux-gnu/libc.so.6"), Some("glibc"));
        assert_eq!(family("/lib/x86_64-linux-gnu/libc-2.31.so"), Some("glibc"));
        assert_eq!(family("/lib/ld-musl-x86_64.so.1"), Some("musl"));
        assert_eq!(family("/usr/lib/x86_64-linux-musl/libc.so"), Some("musl"));
        assert_eq!(family("/usr/lib/libcrypt.so.1"), None);
        assert_eq!(found("/lib/libc.so.6 (deleted)"), Some(("/lib/libc.so.6".into(), "glibc")));
        assert_eq!(family(""), None);
    }

    #[test]
    fn a_library_says_which_release_it_is() {
        let bytes = b"..GNU C Library (Distro 2.36-9) stable release version 2.36.\nCopyright";
        assert_eq!(release(bytes, Path::new("/lib/libc.so.6")), "glibc 2.36");
        assert_eq!(release(b"", Path::new("/lib/libpthread-2.31.so")), "glibc 2.31");
        assert_eq!(release(b"", Path::new("/usr/bin/server")), "server");
    }

    #[test]
    fn this_process_has_one_with_a_build_id() {
        let found = find(std::process::id(), input::build_id).unwrap().unwrap();
        assert!(found.build_id.is_some_and(|id| id.len() >= 16), "{}", found.path);
    }
}
