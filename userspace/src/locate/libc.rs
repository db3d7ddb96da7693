//! Which C library a process uses.

use std::{fs, io};

use object::Object as _;

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
    let maps = fs::read(format!("/proc/{pid}/maps"))?;
    // Paths of other files may be no UTF-8.
    let maps = String::from_utf8_lossy(&maps);
    let Some((path, family)) = maps.lines().find_map(library) else { return Ok(None) };
    // Through the process's own root: inside a container the path leads elsewhere.
    let bytes = fs::read(format!("/proc/{pid}/root{path}")).unwrap_or_default();
    Ok(Some(Libc { path: path.to_owned(), family, build_id: build_id(&bytes) }))
}

/// Path and family, if a line of `/proc/PID/maps` is of a C library.
fn library(line: &str) -> Option<(&str, &'static str)> {
    let path = line.get(line.find('/')?..)?.trim_end_matches(" (deleted)");
    let name = path.rsplit('/').next()?;
    let family = match name {
        _ if name.starts_with("libc.so.6") || (name.starts_with("libc-2.") && name.ends_with(".so")) => {
            "glibc"
        }
        // glibc's file of this name is a script for the linker.
        "libc.so" => "musl",
        _ if name.starts_with("ld-musl-") || name == "libc.musl-x86_64.so.1" => "musl",
        _ => return None,
    };
    Some((path, family))
}

fn build_id(bytes: &[u8]) -> Option<String> {
    let file = object::File::parse(bytes).ok()?;
    let id = file.build_id().ok()??;
    Some(id.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_told_by_their_names() {
        let line = |path: &str| format!("7f00-7f01 r-xp 00000000 fe:00 123   {path}");
        let family = |path: &str| library(&line(path)).map(|(_, family)| family);
        assert_eq!(family("/usr/lib/x86_64-linux-gnu/libc.so.6"), Some("glibc"));
        assert_eq!(family("/lib/x86_64-linux-gnu/libc-2.31.so"), Some("glibc"));
        assert_eq!(family("/lib/ld-musl-x86_64.so.1"), Some("musl"));
        assert_eq!(family("/usr/lib/x86_64-linux-musl/libc.so"), Some("musl"));
        assert_eq!(family("/usr/lib/libcrypt.so.1"), None);
        assert_eq!(
            library(&line("/lib/libc.so.6 (deleted)")).map(|(path, _)| path.to_owned()),
            Some("/lib/libc.so.6".into())
        );
        assert_eq!(library("7f00-7f01 rw-p 00000000 00:00 0"), None);
    }

    #[test]
    fn noise_has_no_build_id() {
        assert_eq!(build_id(b""), None);
        assert_eq!(build_id(b"\x7fELF and then nothing"), None);
    }
}
