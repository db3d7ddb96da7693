//! `docs/architecture.md` says what each crate of the tracer uses, and which crates of others have one home. Cargo
//! holds the direction; this holds the document.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, Result};

use crate::workspace;

const DOCUMENT: &str = "docs/architecture.md";

/// Names by name: what a crate uses, or where it may be used.
type Table = BTreeMap<String, BTreeSet<String>>;

/// Every difference between the document and the manifests.
pub fn violations() -> Result<Vec<String>> {
    let text = fs::read_to_string(workspace::root().join(DOCUMENT))
        .with_context(|| format!("cannot read {DOCUMENT}"))?;
    Ok(differences(&text, &manifests(&workspace::root().join("userspace"))?))
}

/// Crate to the crates that its manifest names, tests apart.
fn manifests(userspace: &Path) -> Result<Table> {
    let mut table = Table::new();
    for file in workspace::files(userspace, "Cargo.toml")? {
        let dir = file.parent().unwrap_or(&file);
        let name = dir.strip_prefix(userspace).unwrap_or(dir).display().to_string();
        let name = if name.is_empty() { "pulse-trace".to_owned() } else { name };
        table.insert(name, dependencies(&fs::read_to_string(&file)?));
    }
    Ok(table)
}

fn dependencies(manifest: &str) -> BTreeSet<String> {
    let lines = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once(['.', ' ', '=']))
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn differences(document: &str, manifests: &Table) -> Vec<String> {
    let mut wrong = Vec::new();
    let used = table(document, "crate", 2);
    for (name, dependencies) in manifests {
        let own: BTreeSet<String> =
            dependencies.iter().filter(|it| manifests.contains_key(*it)).cloned().collect();
        match used.get(name) {
            None => wrong.push(format!("{DOCUMENT} does not say what `{name}` uses")),
            Some(said) if *said != own => {
                wrong.push(format!("`{name}` uses {own:?}, where {DOCUMENT} says {said:?}"));
            }
            Some(_) => {}
        }
    }
    for (foreign, homes) in table(document, "crate of others", 1) {
        for (name, _) in manifests.iter().filter(|(_, uses)| uses.contains(&foreign)) {
            if !homes.contains(name) {
                wrong
                    .push(format!("`{name}` uses `{foreign}`, whose home is {homes:?}; {DOCUMENT} says why"));
            }
        }
    }
    wrong
}

/// The table whose first heading is this one: words in backticks of the first column to those of another.
fn table(document: &str, heading: &str, column: usize) -> Table {
    let cells = |line: &str| line.trim_matches('|').split('|').map(|it| it.trim().to_owned()).collect();
    let lines = document.lines().map(cells).skip_while(|cells: &Vec<String>| cells[0] != heading);
    let rows = lines.skip(2).take_while(|cells| cells.len() > column);
    rows.flat_map(|cells| {
        let values: BTreeSet<String> = code_words(&cells[column]).map(str::to_owned).collect();
        code_words(&cells[0]).map(|name| (name.to_owned(), values.clone())).collect::<Vec<_>>()
    })
    .collect()
}

/// The words between backticks.
fn code_words(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "| crate | what | uses |\n| --- | --- | --- |\n| `top` | a | `low` |\n| `low` | `b` | |\n\n\
                            | crate of others | only in |\n| --- | --- |\n| `aya` `libc` | `low` |\n";

    fn found(top: &[&str], low: &[&str]) -> Vec<String> {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let manifests = [("top".to_owned(), names(top)), ("low".to_owned(), names(low))];
        differences(DOCUMENT, &Table::from(manifests))
    }

    #[test]
    fn what_the_document_says_passes_and_nothing_else_does() {
        assert_eq!(found(&["low", "serde"], &["aya"]), [""; 0]);
        assert!(found(&[], &[])[0].contains("`top` uses {}"));
        assert!(found(&["low", "aya"], &[])[0].contains("`top` uses `aya`"));
        let unknown = Table::from([("new".to_owned(), BTreeSet::new())]);
        assert!(differences(DOCUMENT, &unknown)[0].contains("does not say what `new` uses"));
    }

    #[test]
    fn dependencies_of_tests_do_not_count() {
        let manifest = "[package]\nname = \"x\"\n\n[dependencies]\na.workspace = true\nb = \"1\"\n\n[dev-dependencies]\nc = \"1\"\n";
        assert_eq!(dependencies(manifest).into_iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn every_crate_has_a_manifest_that_is_read() {
        let manifests = manifests(&workspace::root().join("userspace")).unwrap();
        assert!(manifests["kernel"].contains("aya") && manifests["pulse-trace"].contains("clap"));
    }
}
