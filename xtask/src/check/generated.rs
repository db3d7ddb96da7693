//! Committed files that are made from types are those of today's types. The tests that make them also compare them;
//! their names say `stored`.

use anyhow::Result;

use crate::process::{capture, cargo};

/// Committed files that differ from what is generated.
pub fn violations() -> Result<Vec<String>> {
    let mut compare = cargo([
        "test",
        "--quiet",
        "--package",
        "pulse-trace-tui",
        "--package",
        "pulse-trace-views",
        "--lib",
        "--",
        "stored",
    ]);
    Ok(match capture(&mut compare) {
        Ok(said) if said.contains("running 0 tests") => vec!["no test named `stored` compares any".into()],
        Ok(_) => Vec::new(),
        Err(error) => {
            vec![format!("{error:#}"), "UPDATE_GOLDEN=1 in front of the tests writes them anew".into()]
        }
    })
}
