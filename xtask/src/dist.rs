//! `cargo xtask dist`: the release artefact, one static binary in a checksummed archive.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    cli,
    process::{self, capture, cargo, command},
    say, setup, workspace,
};

/// Documents that go along.
const DOCUMENTS: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"];

/// Runs the verb `dist`.
pub fn run(arguments: &[String]) -> Result<()> {
    cli::none("dist", arguments)?;
    setup::ensure()?;
    let triple = static_triple(env::consts::ARCH);
    let binary = build_static(&triple, "dist")?;
    require_static(&binary)?;
    let archive = pack(&binary, &triple)?;
    other_architecture()?;
    say::out(archive.display());
    Ok(())
}

fn static_triple(arch: &str) -> String {
    format!("{arch}-unknown-linux-musl")
}

/// Makes sure that the standard library for a target is there.
pub fn ensure_target(triple: &str) -> Result<()> {
    let libdir = capture(command("rustc").args(["--print", "target-libdir", "--target", triple]))?;
    if Path::new(libdir.trim()).is_dir() {
        return Ok(());
    }
    let toolchain = workspace::toolchain()?;
    process::run(command("rustup").args(["target", "add", triple, "--toolchain", &toolchain])).with_context(
        || {
            format!(
                "cannot build for {triple}: its standard library is missing; install it into Rust {toolchain}"
            )
        },
    )
}

/// Builds the tool as a static binary.
pub fn build_static(triple: &str, profile: &str) -> Result<PathBuf> {
    ensure_target(triple)?;
    let select = ["build", "--package", "pulse-trace", "--bin", "pulse-trace"];
    process::run(cargo(select).args(["--profile", profile, "--target", triple]))?;
    let dir = if profile == "dev" { "debug" } else { profile };
    Ok(workspace::target()?.join(triple).join(dir).join("pulse-trace"))
}

/// A static binary names no interpreter.
fn require_static(binary: &Path) -> Result<()> {
    let bytes = fs::read(binary).with_context(|| format!("cannot read {}", binary.display()))?;
    match interpreter(&bytes) {
        None => Ok(()),
        Some(name) => bail!("cannot ship {}: it is not static, it asks for {name}", binary.display()),
    }
}

/// The dynamic loader that a 64-bit little-endian ELF file asks for.
fn interpreter(elf: &[u8]) -> Option<String> {
    const PT_INTERP: u64 = 3;
    let number = |at: u64, len: u64| -> Option<u64> {
        let bytes = elf.get(at as usize..(at + len) as usize)?;
        Some(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let header = (0..count).map(|index| table + index * size).find(|at| number(*at, 4) == Some(PT_INTERP))?;
    let (start, len) = (number(header + 8, 8)?, number(header + 32, 8)?);
    let name = elf.get(start as usize..(start + len) as usize)?;
    Some(String::from_utf8_lossy(name).trim_end_matches('\0').to_owned())
}

/// Puts the binary, its completions and man page, and the documents into an archive with a checksum beside it.
fn pack(binary: &Path, triple: &str) -> Result<PathBuf> {
    let name = format!("pulse-trace-{}-{triple}", env!("CARGO_PKG_VERSION"));
    let shelf = workspace::target()?.join("dist");
    let dir = shelf.join(&name);
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    fs::copy(binary, dir.join("pulse-trace"))?;
    process::run(command(binary).arg("__generate").arg(&dir))?;
    for document in DOCUMENTS {
        fs::copy(workspace::root().join(document), dir.join(document))
            .with_context(|| format!("cannot put {document} into the archive"))?;
    }
    let archive = format!("{name}.tar.gz");
    // The same commit gives the same bytes: no names, times or orders of this machine.
    let when = format!("--mtime=@{}", commit_time());
    let steady =
        ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--use-compress-program=gzip -n9"];
    let mut tar = command("tar");
    tar.current_dir(&shelf).args(steady).args([&when, "-cf", &archive, &name]);
    process::run(&mut tar)?;
    let sum = capture(command("sha256sum").current_dir(&shelf).arg(&archive))?;
    fs::write(shelf.join(format!("{archive}.sha256")), &sum)?;
    say::note(format_args!(
        "binary {}, archive {}, sha256 {}",
        megabytes(binary)?,
        megabytes(&shelf.join(&archive))?,
        sum.split_whitespace().next().unwrap_or_default()
    ));
    Ok(shelf.join(archive))
}

fn commit_time() -> String {
    let time = capture(command("git").args(["log", "-1", "--format=%ct"]));
    time.ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).unwrap_or_else(|| "0".into())
}

fn megabytes(file: &Path) -> Result<String> {
    Ok(format!("{:.1} MB", fs::metadata(file)?.len() as f64 / 1e6))
}

/// The other architecture at least compiles, and its table of system calls is right.
fn other_architecture() -> Result<()> {
    let other = if env::consts::ARCH == "aarch64" { "x86_64" } else { "aarch64" };
    let triple = static_triple(other);
    ensure_target(&triple)?;
    process::run(&mut cargo(["check", "--package", "pulse-trace", "--target", &triple]))?;
    let mut tables = cargo(["test", "--package", "pulse-trace-model", "--lib", "--", "syscalls"]);
    let said = capture(&mut tables)?;
    if said.contains("running 0 tests") {
        bail!("cannot vouch for {other}: no test of the system call tables matches `syscalls`");
    }
    say::note(format_args!("{triple}: compiles, and the system call tables pass their tests"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dynamic_programs_are_told_from_static_ones() {
        let own = fs::read(env::current_exe().unwrap()).unwrap();
        assert!(interpreter(&own).is_some_and(|name| name.contains("ld")));
        assert_eq!(interpreter(b"\x7fELF"), None);
        let mut none = own;
        none[56..58].fill(0);
        assert_eq!(interpreter(&none), None);
    }
}
