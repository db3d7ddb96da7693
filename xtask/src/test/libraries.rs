//! Libraries of other releases, as specimens for tests that read them or run under them: `target/libraries/RELEASE/`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result};

use crate::{cli, packages::Apt, say, workspace};

/// A library, its package, and which files of it are kept.
struct Specimen {
    release: &'static str,
    package: &'static str,
    /// Beginnings of the names of files that are kept.
    keep: &'static [&'static str],
}

const fn specimen(release: &'static str, package: &'static str, keep: &'static [&'static str]) -> Specimen {
    Specimen { release, package, keep }
}

/// The name that a loader's begins with.
const LOADER: &str = "ld-";
const GLIBC: &[&str] = &["libc.so.6", "libc-2.", "libpthread-2.", LOADER];

/// glibc 2.31, 2.36, 2.41 and that of sid, each with its debug information; musl; abseil.
const SPECIMENS: [Specimen; 10] = [
    specimen("bullseye", "libc6", GLIBC),
    specimen("bullseye", "libc6-dbg", &[]),
    specimen("bookworm", "libc6", GLIBC),
    specimen("bookworm", "libc6-dbg", &[]),
    specimen("trixie", "libc6", GLIBC),
    specimen("trixie", "libc6-dbg", &[]),
    specimen("sid", "libc6", GLIBC),
    specimen("sid", "libc6-dbg", &[]),
    specimen("bookworm", "musl", &["libc.so"]),
    specimen("bookworm", "libabsl20220623", &["libabsl_synchronization.so"]),
];

/// Runs the verb `libraries`.
pub fn run(arguments: &[String]) -> Result<()> {
    cli::none("libraries", arguments)?;
    ensure();
    Ok(())
}

/// Brings what is missing. Nothing fails: the tests that miss something say so themselves.
pub fn ensure() {
    let dir = match workspace::target() {
        Ok(target) => target.join("libraries"),
        Err(error) => return say::note(format_args!("{error:#}")),
    };
    let missing: Vec<&Specimen> = SPECIMENS.iter().filter(|specimen| !specimen.is_complete(&dir)).collect();
    if missing.is_empty() {
        return;
    }
    let since = Instant::now();
    say::note(format_args!("fetching libraries as specimens into {}", workspace::relative(&dir)));
    if let Err(error) = fetch(&dir, &missing) {
        // For the tests, which run in another process.
        let _ = fs::write(dir.join("why-missing"), format!("{error:#}"));
        return say::note(format_args!("{error:#}"));
    }
    let _ = fs::remove_file(dir.join("why-missing"));
    say::note(format_args!("fetching: {}", say::elapsed(since)));
}

impl Specimen {
    /// True when it is here. Those that were fetched before tests ran under them have no loader.
    fn is_complete(&self, dir: &Path) -> bool {
        let shelf = dir.join(self.release);
        let has_loader = || {
            let mut names = fs::read_dir(&shelf).into_iter().flatten().flatten().map(|it| it.file_name());
            names.any(|name| name.to_string_lossy().starts_with(LOADER))
        };
        self.note(dir).is_file() && (!self.keep.contains(&LOADER) || has_loader())
    }

    /// Says which version is here; written last.
    fn note(&self, dir: &Path) -> PathBuf {
        dir.join(self.release).join(format!("{}.version", self.package))
    }
}

fn fetch(dir: &Path, missing: &[&Specimen]) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let releases: BTreeSet<&str> = missing.iter().map(|specimen| specimen.release).collect();
    let apt = Apt::of(dir, &releases)?;
    for specimen in missing {
        let unpacked = dir.join("unpacked");
        if unpacked.exists() {
            fs::remove_dir_all(&unpacked)?;
        }
        let file = apt.unpack(&format!("{}/{}", specimen.package, specimen.release), &unpacked)?;
        let shelf = dir.join(specimen.release);
        fs::create_dir_all(&shelf)?;
        keep(specimen, &unpacked, &shelf)?;
        fs::remove_dir_all(&unpacked)?;
        fs::write(specimen.note(dir), &file)?;
        say::note(format_args!("  {file}"));
    }
    Ok(())
}

/// Moves what tests read to where they look for it: libraries by name, debug files by build id.
fn keep(specimen: &Specimen, unpacked: &Path, shelf: &Path) -> Result<()> {
    let by_id = unpacked.join("usr/lib/debug/.build-id");
    if by_id.is_dir() {
        let kept = shelf.join("debug");
        if kept.exists() {
            fs::remove_dir_all(&kept)?;
        }
        fs::create_dir_all(&kept)?;
        fs::rename(by_id, kept.join(".build-id"))?;
    }
    for file in workspace::files(unpacked, "")? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // In older releases the names that programs ask for are links to names with the version.
        let wanted = specimen.keep.iter().any(|beginning| name.starts_with(beginning));
        if wanted && !file.is_symlink() && !file.starts_with(unpacked.join("usr/lib/debug")) {
            let name = if specimen.package == "musl" { "ld-musl-x86_64.so.1".into() } else { name };
            fs::rename(&file, shelf.join(name))?;
        }
    }
    Ok(())
}
