//! The lists that name every probe, with one more.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

/// Files with a list.
pub const PATHS: [&str; 4] = [
    "common/src/probes/mod.rs",
    "ebpf/src/probes/mod.rs",
    "userspace/model/src/probes/mod.rs",
    "userspace/tests/kernel/main.rs",
];

/// Constant that is the end of the kinds of all probes.
const END_OF_KINDS: &str = "pub const EVENT_KINDS: u32 = ";
/// Last line of the list of descriptions.
const END_OF_SPECS: &str = "::SPEC];";

/// The lists with a new probe in them.
pub struct Lists {
    /// The probe whose kinds came last before.
    pub last: String,
    /// Path and text of each.
    pub texts: Vec<(String, String)>,
}

/// Puts a probe into the lists.
pub fn with(root: &Path, stem: &str) -> Result<Lists> {
    let mut texts = Vec::new();
    let mut last = String::new();
    for path in PATHS {
        let file = root.join(path);
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut text =
            with_module(&text, stem).with_context(|| format!("cannot find the modules in {path}"))?;
        if let Some(end) = text.lines().find_map(|line| line.strip_prefix(END_OF_KINDS)) {
            let before = end.split("::").next().unwrap_or_default().to_owned();
            let line = |name: &str| format!("{END_OF_KINDS}{name}::FIRST + {name}::KINDS;");
            text = text.replace(&line(&before), &line(stem));
            last = before;
        }
        text = text.replacen(END_OF_SPECS, &format!("::SPEC, {stem}::SPEC];"), 1);
        texts.push((path.to_owned(), text));
    }
    Ok(Lists { last, texts })
}

/// The text with one more `mod` line, in its place by name.
fn with_module(text: &str, stem: &str) -> Option<String> {
    let name = |line: &str| {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned())
    };
    let lines: Vec<&str> = text.lines().collect();
    let modules: Vec<usize> = (0..lines.len()).filter(|at| name(lines[*at]).is_some()).collect();
    let (first, last) = (*modules.first()?, *modules.last()?);
    let is_public = modules.iter().all(|at| lines[*at].starts_with("pub "));
    let new = format!("{}mod {stem};", if is_public { "pub " } else { "" });
    let later = |at: &&usize| name(lines[**at]).is_some_and(|known| known.as_str() > stem);
    let place = modules.iter().find(later).copied().unwrap_or(last + 1).max(first);
    let (before, after) = lines.split_at(place);
    Some([before, &[new.as_str()], after].concat().join("\n") + "\n")
}
