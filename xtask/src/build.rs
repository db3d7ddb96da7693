//! `cargo xtask build`: the tool, with its BPF programs inside, and the bundled workloads.

use std::process::Command;

use anyhow::Result;

use crate::{
    cli,
    process::{self, cargo},
    say, setup, workspace,
};

/// Runs the verb `build`.
pub fn run(arguments: &[String]) -> Result<()> {
    let release = cli::flag("build", arguments, "--release")?;
    setup::ensure()?;
    binaries(release)?;
    let profile = if release { "release" } else { "debug" };
    say::out(workspace::target()?.join(profile).join("pulse-trace").display());
    Ok(())
}

/// Builds all binaries.
pub fn binaries(release: bool) -> Result<()> {
    let mut build = command();
    if release {
        build.arg("--release");
    }
    process::run(&mut build)
}

/// The build command, so that every repetition of the build is the same.
pub fn command() -> Command {
    cargo(["build", "--package", "pulse-trace", "--package", "pulse-trace-workloads", "--bins"])
}
