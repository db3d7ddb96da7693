//! Which C library a process uses.

use std::{fs, io, path::Path};

use crate::{
    input,
    maps::{Mapping, Maps},
};

/// A C library, as it is mapped into a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Libc {
    /// Its path, as the process sees it.
    pub path: String,
    /// Whose it is.
    pub family: &'static str,
    /// What identifies this very build, in hexadecimal.
    pub build_id: Option<String>,
}

/// The C library of a process; `None` where none is mapped.
///
/// # Errors
/// When this user may not look.
pub fn find(pid: u32) -> io::Result<Option<Libc>> {
    let maps = Maps::parse(&fs::read(format!("/proc/{pid}/maps"))?);
    let libraries = maps.all().iter().filter(|mapping| mapping.inode != 0);
    let Some((mapping, path, family)) = libraries.filter_map(library).next() else { return Ok(None) };
    let file = input::mapped(pid, (mapping.start, mapping.end), path, mapping.identity());
    let build_id = file.ok().and_then(|file| input::build_id(&file));
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
    fn this_process_has_one_with_a_build_id() {
        let found = find(std::process::id()).unwrap().unwrap();
        assert!(found.build_id.is_some_and(|id| id.len() >= 16), "{}", found.path);
    }
}
