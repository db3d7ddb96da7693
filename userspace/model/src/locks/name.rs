//! Names of locks.

use super::LockPlace;
use crate::text::printable;

const SHARED_MEMORY: &str = "/dev/shm";

impl LockPlace {
    /// Its address where it is a process's own, else its place in the object; fit to be shown.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Private { address: 0 } => "other locks".to_owned(),
            Self::Private { address } | Self::Unresolved { address } => format!("{address:#x}"),
            Self::Shared { .. } => self.object().unwrap_or_default(),
        }
    }

    /// Object and offset of a shared lock: `shm /q +0`, `/tmp/file +0x40`.
    #[must_use]
    pub fn object(&self) -> Option<String> {
        let Self::Shared { path, offset, inode, .. } = self else {
            return None;
        };
        let offset = if *offset == 0 { "+0".to_owned() } else { format!("+{offset:#x}") };
        let path = printable(path);
        Some(match path.strip_prefix(SHARED_MEMORY) {
            Some(rest) if rest.starts_with('/') => format!("shm {rest} {offset}"),
            _ if path.is_empty() => format!("inode {inode} {offset}"),
            _ => format!("{path} {offset}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_harmless() {
        let shared =
            |path: &str, offset| LockPlace::Shared { device: 1, inode: 7, offset, path: path.to_owned() };
        assert_eq!(LockPlace::Private { address: 0x7f00 }.name(), "0x7f00");
        assert_eq!(LockPlace::Unresolved { address: 1 }.name(), "0x1");
        assert_eq!(shared("/dev/shm/q", 0).name(), "shm /q +0");
        assert_eq!(shared("/dev/shmem", 64).name(), "/dev/shmem +0x40");
        assert_eq!(shared("/a\x1b[2J", 0).name(), "/a\\x1b[2J +0");
        assert_eq!(shared("", 0).name(), "inode 7 +0");
    }
}
