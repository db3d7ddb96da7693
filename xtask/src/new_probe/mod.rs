//! `cargo xtask new-probe NAME`: the files of a probe that counts events by kind, and its line in each list.
//!
//! What it writes builds and attaches to a tracepoint that never fires for the target of a test; the developer puts in
//! the hooks, the kinds, the truth of the test and the page. `cargo xtask check` names what is missing.

mod lists;

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{say, workspace};

/// A file of a probe, and its template.
struct Made {
    /// Where it goes; `{stem}` is the name.
    path: &'static str,
    template: &'static str,
}

const FILES: [Made; 5] = [
    Made { path: "common/src/probes/{stem}.rs", template: include_str!("kinds.txt") },
    Made { path: "ebpf/src/probes/{stem}.rs", template: include_str!("hooks.txt") },
    Made { path: "userspace/model/src/probes/{stem}.rs", template: include_str!("spec.txt") },
    Made { path: "userspace/tests/kernel/{stem}.rs", template: include_str!("proof.txt") },
    Made { path: "docs/probes/{stem}.md", template: include_str!("page.txt") },
];

/// Runs the verb `new-probe`.
pub fn run(arguments: &[String]) -> Result<()> {
    let [stem] = arguments else {
        bail!("cannot make a probe: give one name, as in `cargo xtask new-probe retries`")
    };
    for path in make(&workspace::root(), stem)? {
        say::out(path);
    }
    say::out("edit the new files, then run `cargo xtask check`; docs/architecture.md says what each holds");
    Ok(())
}

/// Writes the files and the lists; the paths of both.
fn make(root: &Path, stem: &str) -> Result<Vec<String>> {
    let is_plain = stem.starts_with(|c: char| c.is_ascii_lowercase())
        && stem.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    ensure!(
        is_plain,
        "cannot make probe {stem:?}: a name is lower-case letters, digits and `_`; give another"
    );
    let lists = lists::with(root, stem)?;
    let path_of = |made: &Made| made.path.replace("{stem}", stem);
    if let Some(known) = FILES.iter().map(path_of).find(|path| root.join(path).exists()) {
        bail!("cannot make probe {stem:?}: {known} exists; give another name");
    }
    let mut written = Vec::new();
    for made in &FILES {
        let text = made.template.replace("{stem}", stem).replace("{before}", &lists.last);
        let path = path_of(made);
        fs::write(root.join(&path), text).with_context(|| format!("cannot write {path}"))?;
        written.push(path);
    }
    for (path, text) in lists.texts {
        fs::write(root.join(&path), text).with_context(|| format!("cannot write {path}"))?;
        written.push(path);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A copy of the lists, without the rest of the repository.
    fn lists_apart() -> tempfile::TempDir {
        let apart = tempfile::tempdir().unwrap();
        for path in lists::PATHS {
            let to = apart.path().join(path);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(workspace::root().join(path), to).unwrap();
        }
        for made in FILES {
            fs::create_dir_all(apart.path().join(made.path).parent().unwrap()).unwrap();
        }
        apart
    }

    #[test]
    fn a_new_probe_is_in_every_list_and_has_every_file() {
        let apart = lists_apart();
        let last = lists::with(apart.path(), "retries").unwrap().last;
        let written = make(apart.path(), "retries").unwrap();
        assert_eq!(written.len(), FILES.len() + lists::PATHS.len());
        let text = |path: &str| fs::read_to_string(apart.path().join(path)).unwrap();
        for path in &written {
            assert!(text(path).contains("retries"), "{path}");
            assert!(!text(path).contains("{stem}") && !text(path).contains("{before}"), "{path}");
        }
        assert!(
            text("common/src/probes/mod.rs").contains("EVENT_KINDS: u32 = retries::FIRST + retries::KINDS;")
        );
        let behind = format!("super::{last}::FIRST + super::{last}::KINDS");
        assert!(text("common/src/probes/retries.rs").contains(&behind));
        assert!(text("userspace/model/src/probes/mod.rs").contains(&format!("{last}::SPEC, retries::SPEC]")));
        // The next one comes behind it.
        make(apart.path(), "stalls").unwrap();
        assert!(
            text("common/src/probes/stalls.rs").contains("super::retries::FIRST + super::retries::KINDS")
        );
    }

    #[test]
    fn a_name_that_is_taken_or_none_is_refused_and_nothing_is_written() {
        let apart = lists_apart();
        make(apart.path(), "retries").unwrap();
        let before = fs::read_to_string(apart.path().join(lists::PATHS[0])).unwrap();
        assert!(make(apart.path(), "retries").unwrap_err().to_string().contains("exists"));
        for name in ["", "Retries", "re-tries", "../x", "9lives"] {
            assert!(make(apart.path(), name).is_err(), "{name:?}");
        }
        assert_eq!(fs::read_to_string(apart.path().join(lists::PATHS[0])).unwrap(), before);
    }
}
