//! `cargo xtask demo`: builds everything and sets five ways of inter-process communication side by side, as a first
//! example.

use anyhow::{Result, bail};

use crate::{
    build, cli,
    process::{self, command},
    say, setup, workspace,
};

/// The suite's program, which the tool looks for beside itself.
const WORKLOAD: &str = "logagg";
/// A short form of the suite: five ways, five rounds of each, well below a minute.
const SUITE: &[&str] = &["bench", "ipc", "--rounds", "5"];
const EACH: &[&str] = &["--", "--messages", "100"];
/// The same as a page, in the directory that is built into.
const PAGE: &str = "demo.html";

/// Runs the verb `demo`.
pub fn run(arguments: &[String]) -> Result<()> {
    cli::none("demo", arguments)?;
    setup::ensure()?;
    build::binaries(true)?;
    let built = workspace::target()?.join("release");
    let tool = built.join("pulse-trace");
    let workload = built.join(WORKLOAD);
    for binary in [&tool, &workload] {
        if !binary.is_file() {
            bail!("cannot show anything: the build made no {}", binary.display());
        }
    }
    let as_root = process::as_root()?;
    let mut trace = match as_root.split_first() {
        Some((sudo, options)) => {
            let mut sudo = command(sudo);
            sudo.args(options).arg(&tool);
            sudo
        }
        None => command(&tool),
    };
    let page = workspace::target()?.join(PAGE);
    process::run(trace.args(SUITE).arg("--html").arg(&page).args(EACH))?;
    say::note(format_args!("the same as a page, for any browser: {}", page.display()));
    Ok(())
}
