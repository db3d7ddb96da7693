//! Every probe has its page and its kernel test, named like it.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::Result;

use crate::workspace;

/// Files that a stem lacks.
pub fn violations() -> Result<Vec<String>> {
    of(&workspace::root())
}

fn of(root: &Path) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for stem in stems(root)? {
        for (needed, what) in [
            (
                format!("docs/probes/{stem}.md"),
                "the page that says what it means, its hooks, units, cost and caveats",
            ),
            (
                format!("userspace/tests/kernel/{stem}.rs"),
                "the proof against a workload whose truth is known",
            ),
        ] {
            if !root.join(&needed).is_file() {
                wrong.push(format!("probe `{stem}` lacks {needed}: {what}"));
            }
        }
    }
    Ok(wrong)
}

/// Names of the files and directories that the probes live in.
fn stems(root: &Path) -> Result<BTreeSet<String>> {
    let dir = root.join("userspace/probes/src");
    if !dir.is_dir() {
        return Ok(BTreeSet::new());
    }
    let names = fs::read_dir(dir)?.map(|entry| Ok(entry?.path().file_stem().unwrap_or_default().to_owned()));
    let names =
        names.collect::<Result<Vec<_>>>()?.into_iter().map(|name| name.to_string_lossy().into_owned());
    Ok(names.filter(|name| !["lib", "source"].contains(&name.as_str())).collect())
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
        put("userspace/probes/src/lib.rs");
        put("userspace/probes/src/syscalls.rs");
        put("docs/probes/syscalls.md");
        let wrong = of(&root).unwrap();
        put("userspace/tests/kernel/syscalls.rs");
        let right = of(&root).unwrap();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(wrong.len(), 1);
        assert!(wrong[0].contains("userspace/tests/kernel/syscalls.rs"));
        assert!(right.is_empty());
    }
}
