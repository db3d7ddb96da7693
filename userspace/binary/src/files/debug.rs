//! Paths of debug information that is in a file of its own.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Keys by which a debug file is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Build id of the file that was stripped, in hexadecimal.
    pub build_id: Option<String>,
    /// Name that the file itself gives, and the checksum of the whole debug file.
    pub link: Option<(String, u32)>,
}

/// The directories where distributions put them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directories {
    /// Such as `/usr/lib/debug`, or the same below `/proc/PID/root`.
    pub debug: Vec<PathBuf>,
    /// Root of the process that has the file.
    pub root: PathBuf,
    /// Directory of the file, below that root.
    pub beside: Option<PathBuf>,
}

impl Directories {
    /// Paths at which the file may lie, best first.
    #[must_use]
    pub fn paths(&self, wanted: &Wanted) -> Vec<PathBuf> {
        let is_hexadecimal = |id: &&str| id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = wanted.build_id.as_deref().filter(is_hexadecimal).and_then(|id| id.split_at_checked(2));
        let by_id = id.map(|(first, rest)| {
            let name = format!(".build-id/{first}/{rest}.debug");
            self.debug.iter().map(move |debug| debug.join(&name))
        });
        // A name with a slash would lead out of the directories that are meant.
        let name = wanted.link.as_ref().map(|(name, _)| name).filter(|name| !name.contains('/'));
        let by_name = name.zip(self.beside.as_ref()).map(|(name, beside)| {
            let inside = beside.strip_prefix("/").unwrap_or(beside);
            let own = self.root.join(inside);
            let below = self.debug.iter().map(|debug| debug.join(inside).join(name));
            [own.join(name), own.join(".debug").join(name)].into_iter().chain(below).collect::<Vec<_>>()
        });
        by_id.into_iter().flatten().chain(by_name.into_iter().flatten()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_distributions_inside_of_the_processs_root() {
        let directories = Directories {
            debug: vec!["/proc/7/root/usr/lib/debug".into()],
            root: "/proc/7/root".into(),
            beside: Some("/lib/x86_64".into()),
        };
        let wanted = |id: &str, name: &str| {
            let wanted = Wanted { build_id: Some(id.into()), link: Some((name.into(), 1)) };
            directories.paths(&wanted).iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            wanted("ab12", "c.debug"),
            [
                "/proc/7/root/usr/lib/debug/.build-id/ab/12.debug",
                "/proc/7/root/lib/x86_64/c.debug",
                "/proc/7/root/lib/x86_64/.debug/c.debug",
                "/proc/7/root/usr/lib/debug/lib/x86_64/c.debug",
            ]
        );
        assert_eq!(wanted("ab12", "../../etc/shadow").len(), 1);
        assert_eq!(wanted("../../../etc/x", "../../etc/shadow").len(), 0);
    }
}
