//! `cargo xtask check`: the rules that a program can hold, so that no developer has to remember them.

mod btf;
mod crates;
mod generated;
mod hooks;

mod length;
mod prototypes;

mod skips;
mod source;
mod stems;

use anyhow::{Result, bail};

use crate::{
    cli,
    process::{self, cargo},
    say, setup,
};

/// One rule: what it is called and what is wrong, one line each.
type Rule = (&'static str, fn() -> Result<Vec<String>>);

const RULES: &[Rule] = &[
    ("format", format),
    ("crates", crates::violations),
    ("file length", length::violations),
    ("silent skips", skips::violations),
    ("stems", stems::violations),
    ("prototype notes", prototypes::violations),
    ("generated files", generated::violations),
];

/// Runs the verb `check`.
pub fn run(arguments: &[String]) -> Result<()> {
    cli::none("check", arguments)?;
    setup::ensure()?;
    let mut wrong = 0;
    for (name, violations) in RULES {
        let violations = violations()?;
        let verdict =
            if violations.is_empty() { "ok".to_owned() } else { format!("{} wrong", violations.len()) };
        say::out(format_args!("{name:<16} {verdict}"));
        violations.iter().for_each(|violation| say::out(format_args!("  {violation}")));
        wrong += violations.len();
    }
    if wrong > 0 {
        bail!("cannot pass: {wrong} violations, listed above");
    }
    Ok(())
}

fn format() -> Result<Vec<String>> {
    let badly = process::quietly(&mut cargo(["fmt", "--all", "--check"])).is_err();
    Ok(badly
        .then(|| "some files are not formatted, see above; run `cargo fmt --all`".into())
        .into_iter()
        .collect())
}
