//! Stored forms of a comparison: terminal, Markdown, CSV.

use std::{fs, path::PathBuf};

use super::{csv, markdown, synthetic, text};

/// Compares with the stored text; `UPDATE_GOLDEN=1` stores it.
fn holds(name: &str, found: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/compare/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, found).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == found, "{} differs; UPDATE_GOLDEN=1 stores what is new:\n{found}", path.display());
}

fn options(width: usize, all: bool) -> text::Options {
    text::Options { width, all, histograms: 1 }
}

#[test]
fn the_terminal_shows_it_in_80_and_in_120_columns() {
    let comparison = synthetic::comparison(5);
    for width in [80, 120] {
        let shown = text::render(&comparison, options(width, false));
        let widest = shown.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= width, "{widest} columns of {width}");
        holds(&format!("{width}.txt"), &shown);
    }
    holds("all.txt", &text::render(&synthetic::comparison(2), options(80, true)));
}

#[test]
fn markdown_and_csv_have_every_row() {
    let comparison = synthetic::comparison(5);
    let (page, table) = (markdown(&comparison), csv(&comparison));
    let rows = comparison.rows.len();
    assert_eq!(page.lines().filter(|line| line.starts_with("| ")).count(), rows + 2);
    let cells: usize = comparison.rows.iter().map(|row| row.cells.iter().flatten().count()).sum();
    assert_eq!(table.lines().count(), 1 + cells);
    holds("page.md", &page);
    holds("table.csv", &table);
}

/// Nothing at all, a single variant, and numbers that invite a division by zero.
#[test]
fn missing_values_are_shown_as_missing() {
    let empty = super::build(super::Frame::default(), &[]);
    assert!(!text::render(&empty, options(80, true)).contains("NaN"));
    let mut variants = synthetic::variants(1);
    variants.truncate(1);
    variants[0].rounds[0].measures.iter_mut().for_each(|measure| measure.value = 0.0);
    variants[0].rounds[0].distributions[0].values = model::hist::Hist::default();
    let zero = super::build(super::Frame::default(), &variants);
    for shown in [text::render(&zero, options(80, true)), markdown(&zero), csv(&zero)] {
        assert!(!shown.contains("NaN") && !shown.contains("inf"), "{shown}");
    }
}
