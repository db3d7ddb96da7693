//! `cargo xtask build`: the tool, with its BPF programs inside, and the bundled workloads.

use anyhow::Result;

use crate::{
    cli,
    process::{self, cargo},
    say, setup, workspace,
};

/// The verb.
pub fn run(arguments: &[String]) -> Result<()> {
    let release = cli::flag("build", arguments, "--release")?;
    setup::ensure()?;
    binaries(release)?;
    let profile = if release { "release" } else { "debug" };
    say::out(workspace::target()?.join(profile).join("pulse-trace").display());
    Ok(())
}

/// Builds all binaries of the default members.
pub fn binaries(release: bool) -> Result<()> {
    let mut build = cargo(["build"]);
    if release {
        build.arg("--release");
    }
    process::run(&mut build)
}
