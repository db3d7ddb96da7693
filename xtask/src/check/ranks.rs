//! A module imports only lower ranks, and some crates have one home: both as `docs/architecture.md` says.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use super::imports::{self, Mention};
use crate::workspace;

const DOCUMENT: &str = "docs/architecture.md";

/// The two tables of the document.
struct Law {
    ranks: BTreeMap<String, u32>,
    /// Crate to the modules that may name it.
    homes: BTreeMap<String, Vec<String>>,
}

/// Every import that the document forbids.
pub fn violations() -> Result<Vec<String>> {
    let document = workspace::root().join(DOCUMENT);
    let text = fs::read_to_string(&document).with_context(|| format!("cannot read {DOCUMENT}"))?;
    let law = Law::parse(&text);
    if law.ranks.is_empty() {
        bail!(
            "cannot check the import ranks: {DOCUMENT} has no table with rows like `| 1 | `model` | ... |`"
        );
    }
    let sources = workspace::root().join("userspace/src");
    let mut wrong = Vec::new();
    for file in workspace::files(&sources, ".rs")? {
        let place = Place::of(file.strip_prefix(&sources).unwrap_or(&file));
        let text = fs::read_to_string(&file)?;
        let name = workspace::relative(&file);
        wrong.extend(law.judge(&place, &text).into_iter().map(|(line, why)| format!("{name}:{line}: {why}")));
    }
    Ok(wrong)
}

/// Where in the tree of modules a file stands.
struct Place {
    /// Top module; empty for the root of the library.
    module: String,
    depth: usize,
}

impl Place {
    fn of(path: &Path) -> Self {
        let mut parts: PathBuf = path.with_extension("");
        if parts.ends_with("mod") || parts.ends_with("lib") {
            parts.pop();
        }
        let module = parts.iter().next().map(|part| part.to_string_lossy().into_owned()).unwrap_or_default();
        Self { module, depth: parts.iter().count() }
    }
}

impl Law {
    fn parse(text: &str) -> Self {
        let mut law = Self { ranks: BTreeMap::new(), homes: BTreeMap::new() };
        let mut in_homes = false;
        for line in text.lines() {
            let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
            if !line.trim_start().starts_with('|') {
                in_homes = false;
            } else if cells[0] == "crate" {
                in_homes = true;
            } else if let (Ok(rank), Some(modules)) = (cells[0].parse(), cells.get(1)) {
                law.ranks.extend(code_words(modules).map(|module| (module.to_owned(), rank)));
            } else if let (true, Some(homes)) = (in_homes, cells.get(1)) {
                let homes: Vec<String> = code_words(homes).map(str::to_owned).collect();
                law.homes.extend(code_words(cells[0]).map(|name| (name.to_owned(), homes.clone())));
            }
        }
        law
    }

    fn judge(&self, place: &Place, text: &str) -> Vec<(usize, String)> {
        let here = &place.module;
        let mut wrong = Vec::new();
        if !here.is_empty() {
            match self.ranks.get(here) {
                None => wrong.push((1, format!("`{here}` has no rank; give it one in {DOCUMENT}"))),
                Some(rank) => wrong.extend(
                    imports::modules(text, place.depth)
                        .into_iter()
                        .filter_map(|mention| Some((mention.line, self.refusal(here, *rank, &mention)?))),
                ),
            }
        }
        for (name, homes) in self.homes.iter().filter(|(_, homes)| !homes.contains(here)) {
            let why = format!("`{name}` is used outside of {}; {DOCUMENT} says why", homes.join(", "));
            wrong.extend(imports::crate_lines(text, name).into_iter().map(|line| (line, why.clone())));
        }
        wrong.sort();
        wrong
    }

    fn refusal(&self, here: &str, rank: u32, mention: &Mention) -> Option<String> {
        let there = mention.name.as_str();
        let other = *self.ranks.get(there)?;
        if there == here || other < rank {
            return None;
        }
        let direction = if other == rank { "a sibling" } else { "a higher one" };
        Some(format!(
            "`{here}` (rank {rank}) imports `{there}` (rank {other}), {direction}; move what both need down"
        ))
    }
}

/// The words between backticks.
fn code_words(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: &str = "| rank | modules | |\n| --- | --- | --- |\n| 3 | `probes` | x `y` |\n| 2 | `kernel` `tui` | |\n\
                          | 1 | `model` | |\n\n| crate | only in | why |\n| --- | --- | --- |\n| `aya` | `kernel` | z |\n";

    fn judged(path: &str, text: &str) -> Vec<(usize, String)> {
        Law::parse(TABLES).judge(&Place::of(Path::new(path)), text)
    }

    #[test]
    fn lower_ranks_and_oneself_may_be_imported() {
        assert!(judged("probes/x.rs", "use crate::{kernel, model, probes::y};\nuse super::z;").is_empty());
        assert!(judged("lib.rs", "pub mod kernel;").is_empty());
    }

    #[test]
    fn upward_and_sideways_imports_are_found() {
        assert!(judged("kernel/mod.rs", "\nuse crate::probes::X;")[0].1.contains("a higher one"));
        assert!(judged("kernel/object.rs", "use super::super::tui;")[0].1.contains("a sibling"));
        assert!(judged("model.rs", "use super::kernel;")[0].1.contains("rank 2"));
    }

    #[test]
    fn modules_without_rank_and_crates_away_from_home_are_found() {
        assert!(judged("new.rs", "")[0].1.contains("no rank"));
        assert_eq!(judged("model/mod.rs", "\nuse aya::maps;")[0].0, 2);
        assert!(judged("kernel/maps.rs", "use aya::maps;").is_empty());
    }

    #[test]
    fn the_document_ranks_the_tree() {
        let text = fs::read_to_string(workspace::root().join(DOCUMENT)).unwrap();
        let law = Law::parse(&text);
        for module in ["main", "cli", "session", "source", "probes", "kernel", "model"] {
            assert!(law.ranks.contains_key(module), "{module}");
        }
        assert_eq!(law.homes["aya"], ["kernel"]);
    }
}
