//! `cargo xtask test`: everything that proves the repository right, in the order in which failures are cheapest.

mod cargo_tests;
pub mod libraries;
pub mod soak;
mod tally;
pub mod tools;

use std::{env, thread, time::Instant};

use anyhow::{Result, bail};

use crate::{
    build, check, cli, dist,
    process::{self, cargo, command},
    real, say, setup, vm, workspace,
};
use tally::Tally;

/// Runs the verb `test`.
pub fn run(arguments: &[String]) -> Result<()> {
    let [quick, with_kernels, with_real] = cli::flags("test", arguments, ["--quick", "--vm", "--real"])?;
    let since = Instant::now();
    if quick {
        if with_kernels || with_real {
            bail!("cannot be quick and thorough at once: leave --quick or the other option away");
        }
        return inner_loop(since);
    }
    setup::ensure()?;
    tools::ensure(tools::ALL);
    // One test is of a static program in Rust; without this it says so itself.
    let _ = dist::ensure_target("x86_64-unknown-linux-musl");
    let mut tally = Tally::default();
    // Packages are fetched beside: that takes time, and hardly any of a processor's.
    thread::scope(|scope| {
        scope.spawn(|| {
            libraries::ensure();
            if with_kernels {
                vm::fetch_ahead();
            }
        });
        tally.step("format", || process::run(&mut cargo(["fmt", "--all", "--check"])));
        tally.step("clippy", clippy);
        tally.step("clippy of the BPF programs", clippy_bpf);
        tally.step("build", || build::binaries(false));
        tally.step("check", || check::run(&[]));
    });
    cargo_tests::unprivileged(&mut tally);
    cargo_tests::interleavings(&mut tally);
    cargo_tests::privileged(&mut tally, "kernel tests", &[]);
    tally.step("second build", no_op_rebuild);
    if with_real {
        real_programs(&mut tally, &real::chosen(&[])?);
    }
    if with_kernels {
        kernels(&mut tally);
    }
    conclude(&tally, since)
}

/// Checks and unit tests after an edit, without clippy, programs, privileges or packages: under two minutes.
fn inner_loop(since: Instant) -> Result<()> {
    let mut tally = Tally::default();
    tally.step("check", || check::run(&[]));
    cargo_tests::units(&mut tally);
    conclude(&tally, since)
}

fn clippy() -> Result<()> {
    let everything = ["--workspace", "--exclude", workspace::EBPF, "--all-targets"];
    process::run(cargo(["clippy"]).args(everything).args(["--", "-D", "warnings"]))?;
    let kernel_tests = ["--package", "pulse-trace", "--test", "kernel"];
    process::run(cargo(["clippy"]).args(kernel_tests).args(["--", "-D", "warnings"]))
}

/// Clippy for the crate that builds for the kernel's target only, with the flags of `userspace/kernel/build.rs`.
fn clippy_bpf() -> Result<()> {
    let mut clippy =
        cargo(["clippy", "--package", workspace::EBPF, "--target", "bpfel-unknown-none", "--release"]);
    clippy.args(["-Z", "build-std=core", "--", "-D", "warnings"]);
    clippy.env("RUSTC_BOOTSTRAP", "1");
    clippy.env("CARGO_ENCODED_RUSTFLAGS", format!("--cfg=bpf_target_arch=\"{}\"", env::consts::ARCH));
    process::run(&mut clippy)
}

/// A second build must have nothing to do.
fn no_op_rebuild() -> Result<()> {
    let output = build::command().output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let compiled: Vec<&str> =
        said.lines().filter(|line| line.trim_start().starts_with("Compiling")).collect();
    if !output.status.success() || !compiled.is_empty() {
        bail!("a build right after a build is not a no-op: {}", said.trim());
    }
    Ok(())
}

/// The verb `real`: programs that other people wrote, and nothing else.
pub fn real_only(arguments: &[String]) -> Result<()> {
    let (chosen, since) = (real::chosen(arguments)?, Instant::now());
    setup::ensure()?;
    build::binaries(false)?;
    let mut tally = Tally::default();
    real_programs(&mut tally, &chosen);
    conclude(&tally, since)
}

fn real_programs(tally: &mut Tally, chosen: &[&'static real::Subject]) {
    say::title("programs that other people wrote");
    let since = Instant::now();
    for (name, outcome) in real::trace(chosen) {
        match outcome {
            real::Outcome::Ran(verdict) => tally.test(&format!("real {name}"), verdict),
            real::Outcome::Skipped(reason) => tally.skip(&format!("real {name}"), &reason),
        }
    }
    say::note(format_args!("real programs: {}", say::elapsed(since)));
}

fn kernels(tally: &mut Tally) {
    say::title("other kernels");
    match vm::matrix(&vm::all()) {
        Ok(vm::Outcome::Booted(kernels)) => {
            for (kernel, verdict) in kernels {
                tally.test(&format!("vm {kernel}"), verdict);
            }
        }
        Ok(vm::Outcome::Skipped(reason)) => {
            for version in vm::all() {
                tally.skip(&format!("vm {version}"), &reason);
            }
        }
        Err(error) => tally.test("vm", Err(format!("{error:#}"))),
    }
}

/// Reads `PULSE_REQUIRE`: `all` makes a skip a failure.
pub fn everything_is_required() -> Result<bool> {
    match env::var("PULSE_REQUIRE") {
        Ok(value) if value == "all" => Ok(true),
        Ok(value) if !value.is_empty() => {
            bail!("cannot heed PULSE_REQUIRE={value}: the only known value is `all`")
        }
        _ => Ok(false),
    }
}

fn conclude(tally: &Tally, since: Instant) -> Result<()> {
    let strict = everything_is_required()?;
    let commit = process::capture(command("git").args(["rev-parse", "--short", "HEAD"]));
    say::note(format_args!(
        "\ncommit {}, {}",
        commit.as_deref().unwrap_or("unknown").trim(),
        say::elapsed(since)
    ));
    say::out(tally.summary(strict));
    if tally.failed(strict) > 0 {
        bail!("cannot call this tested: the failures are listed above");
    }
    Ok(())
}
