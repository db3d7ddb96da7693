//! `cargo xtask setup`: brings what the build needs and nothing else; every other verb calls it.
//!
//! Each need has its routes, tried in order; where all of them fail, the message says what to install by hand.

use std::{path::Path, time::Instant};

use anyhow::{Context as _, Result, bail};

use crate::{
    cli,
    process::{self, capture, cargo, command},
    say, workspace,
};

/// Works with the LLVM of the pinned compiler; later ones want a newer LLVM on the system.
const BPF_LINKER: &str = "0.10.3";

/// The verb: says how things stand even when nothing is missing.
pub fn run(arguments: &[String]) -> Result<()> {
    cli::none("set up", arguments)?;
    ensure()?;
    let rustc = capture(command("rustc").arg("--version"))?;
    say::out(format_args!("ready: {}, with rust-src, and bpf-linker {}", rustc.trim(), linker_version()?));
    Ok(())
}

/// Brings what is missing; silent and quick when nothing is.
pub fn ensure() -> Result<()> {
    ensure_rust_src()?;
    ensure_linker()
}

fn ensure_rust_src() -> Result<()> {
    let sysroot = capture(command("rustc").args(["--print", "sysroot"]))?;
    let sources = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.lock");
    if sources.is_file() {
        return Ok(());
    }
    let toolchain = workspace::toolchain()?;
    say::note(format_args!(
        "setup: fetching the source of `core` for Rust {toolchain} (rust-src, some seconds)"
    ));
    let since = Instant::now();
    let outcome =
        process::run(command("rustup").args(["component", "add", "rust-src", "--toolchain", &toolchain]));
    if outcome.is_ok() && sources.is_file() {
        say::note(format_args!("setup: rust-src is there, {}", say::elapsed(since)));
        return Ok(());
    }
    let cause =
        outcome.err().map_or_else(|| "rustup did not install it".to_owned(), |error| format!("{error:#}"));
    bail!(
        "cannot bring rust-src, of which the BPF programs' `core` is built: {cause}; install one of\n  \
         rustup, then `rustup component add rust-src --toolchain {toolchain}`\n  \
         on Debian, as root and without rustup: `apt-get install rustc-web cargo-web rust-web-src` (a matched pair)\n\
         so that {} exists",
        sources.display()
    )
}

fn linker_version() -> Result<String> {
    let said = capture(command("bpf-linker").arg("--version"))?;
    Ok(said.trim().trim_start_matches("bpf-linker").trim().to_owned())
}

fn ensure_linker() -> Result<()> {
    let found = linker_version().ok();
    if found.as_deref() == Some(BPF_LINKER) {
        return Ok(());
    }
    say::note(format_args!("setup: installing bpf-linker {BPF_LINKER}; it is built from source, about 90 s"));
    let since = Instant::now();
    let package = format!("bpf-linker@{BPF_LINKER}");
    // Its build directory is its own: that of the workspace may be locked by the cargo that called us.
    let build = workspace::target()?.join("bpf-linker");
    let install = |lock: &[&str]| {
        let mut install = cargo(["install", &package, "--force"]);
        process::run(install.args(lock).arg("--target-dir").arg(&build))
    };
    let outcome = install(&["--locked"]).or_else(|error| {
        say::note(format_args!("setup: {error:#}; trying with newer dependencies"));
        install(&[])
    });
    match (outcome, found) {
        (Ok(()), _) => {
            let version = linker_version().context("bpf-linker is installed, but does not run")?;
            say::note(format_args!("setup: bpf-linker {version} is there, {}", say::elapsed(since)));
            Ok(())
        }
        (Err(error), Some(other)) => {
            say::note(format_args!("setup: {error:#}; using bpf-linker {other}, which is already there"));
            Ok(())
        }
        (Err(error), None) => bail!(
            "cannot bring bpf-linker: {error:#}; with a C compiler and a way to the crate registry, run\n  \
             cargo install {package} --locked"
        ),
    }
}
