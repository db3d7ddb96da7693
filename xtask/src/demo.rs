//! `cargo xtask demo`: builds everything and traces a bundled program, to show what one gets.

use anyhow::{Result, bail};

use crate::{
    build, cli,
    process::{self, command},
    setup, workspace,
};

/// What is traced: two producers that send to an aggregator as fast as it takes, for about a second.
const WORKLOAD: &str = "logagg";
const LOAD: &[&str] =
    &["run", "--flood", "--blocking", "--producers", "2", "--messages", "20000", "--output", "none"];

/// The verb.
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
    trace.args(["run", "--plain", "--top", "8", "--"]).arg(&workload).args(LOAD);
    process::run(&mut trace)
}
