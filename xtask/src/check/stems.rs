//! Every probe has its page and its kernel test, named like it.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Result;

use crate::workspace;

/// Files that a stem lacks.
pub fn violations() -> Result<Vec<String>> {
    of(&workspace::root())
}

/// A file that a probe needs, and what it holds.
type Needed = (&'static str, &'static str);

/// Files of every probe.
const OF_ALL: [Needed; 2] = [
    ("docs/probes/{}.md", "the page that says what it means, its hooks, units, cost and caveats"),
    ("userspace/tests/kernel/{}.rs", "the proof against a workload whose truth is known"),
];

/// Those of a probe that counts events by kind, besides.
const OF_EVENTS: [Needed; 2] = [
    ("common/src/probes/{}.rs", "the numbers of its kinds"),
    ("ebpf/src/probes/{}.rs", "its hooks, each under a note of the kernel's prototype"),
];

fn of(root: &Path) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for (stem, counts_events) in stems(root)? {
        for (path, what) in OF_ALL.iter().chain(OF_EVENTS.iter().filter(|_| counts_events)) {
            let needed = path.replace("{}", &stem);
            if !root.join(&needed).is_file() {
                wrong.push(format!("probe `{stem}` lacks {needed}: {what}"));
            }
        }
    }
    Ok(wrong)
}

/// Names of the probes that are described, and whether each counts events by kind.
fn stems(root: &Path) -> Result<BTreeMap<String, bool>> {
    let dir = root.join("userspace/model/src/probes");
    if !dir.is_dir() {
        return Ok(BTreeMap::new());
    }
    let mut stems = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if stem != "mod" {
            stems.insert(stem, fs::read_to_string(&path)?.contains("EventTable"));
        }
    }
    Ok(stems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stem_lacks_is_named() {
        let root = std::env::temp_dir().join(format!("stems-{}", std::process::id()));
        let put = |path: &str| {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), "").unwrap();
        };
        put("userspace/model/src/probes/mod.rs");
        put("userspace/model/src/probes/syscalls.rs");
        put("docs/probes/syscalls.md");
        let wrong = of(&root).unwrap();
        put("userspace/tests/kernel/syscalls.rs");
        let right = of(&root).unwrap();
        fs::write(root.join("userspace/model/src/probes/syscalls.rs"), "EventTable").unwrap();
        let of_events = of(&root).unwrap();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(wrong.len(), 1);
        assert!(wrong[0].contains("userspace/tests/kernel/syscalls.rs"));
        assert!(right.is_empty());
        assert_eq!(of_events.len(), 2);
    }
}
