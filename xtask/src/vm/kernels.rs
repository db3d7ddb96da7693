//! The known kernels and their sources.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{packages::Apt, say, workspace};

/// Versions and the Debian releases that ship them. The last release moves on: there, the newest one is taken.
pub const KNOWN: [(&str, &str); 5] = [
    ("5.10", "bullseye"),
    ("6.1", "bookworm"),
    ("6.12", "trixie"),
    ("6.18", "trixie-backports"),
    ("7.2", "sid"),
];
const MOVING: &str = "sid";

/// A kernel that can be booted.
pub struct Kernel {
    /// As the package calls it, such as `6.1.0-50-cloud-amd64`.
    pub release: String,
    /// Path of the kernel image.
    pub image: PathBuf,
}

/// All that has to come from elsewhere.
pub struct Fetched {
    /// In the order asked for.
    pub kernels: Vec<Kernel>,
    /// A shell for the inside of the machine.
    pub busybox: PathBuf,
}

/// The rows for the versions asked for.
pub fn known(versions: &[String]) -> Result<Vec<(&'static str, &'static str)>> {
    let row = |version: &String| KNOWN.iter().find(|(known, _)| known == version).copied();
    let choices = || KNOWN.map(|(version, _)| version).join(", ");
    versions
        .iter()
        .map(|version| {
            row(version).with_context(|| format!("cannot boot {version}: known are {}", choices()))
        })
        .collect()
}

/// Brings the kernels and the shell; what is there from an earlier run is not fetched again.
pub fn fetch(dir: &Path, wanted: &[(&'static str, &'static str)]) -> Result<Fetched> {
    fs::create_dir_all(dir)?;
    let busybox = dir.join("busybox");
    let missing: Vec<_> = wanted.iter().filter(|(version, _)| cached(dir, version).is_none()).collect();
    if !missing.is_empty() || !busybox.is_file() {
        let releases: BTreeSet<&str> = wanted.iter().map(|(_, release)| *release).collect();
        let since = std::time::Instant::now();
        say::note(format_args!("fetching kernels as packages into {}", workspace::relative(dir)));
        let apt = Apt::of(dir, &releases)?;
        for (version, release) in missing {
            fetch_kernel(&apt, dir, version, *release == MOVING)?;
        }
        if !busybox.is_file() {
            fetch_busybox(&apt, dir, &busybox)?;
        }
        say::note(format_args!("fetching: {}", say::elapsed(since)));
    }
    let kernels = wanted.iter().map(|(version, _)| {
        cached(dir, version).with_context(|| format!("cannot find kernel {version} after its download"))
    });
    Ok(Fetched { kernels: kernels.collect::<Result<_>>()?, busybox })
}

/// The kernel that an earlier run left, in a directory named like the version asked for.
fn cached(dir: &Path, version: &str) -> Option<Kernel> {
    let images = fs::read_dir(dir.join("kernels").join(version)).ok()?;
    let image = images.filter_map(Result::ok).map(|entry| entry.path()).find(|path| path.is_file())?;
    let release = image.file_name()?.to_string_lossy().strip_prefix("vmlinuz-")?.to_owned();
    Some(Kernel { release, image })
}

fn fetch_kernel(apt: &Apt, dir: &Path, version: &str, moving: bool) -> Result<()> {
    let names = apt.search("^linux-(image|binary)-[0-9].*-cloud-amd64(-unsigned)?$")?;
    let package = choose(&names, version, moving)
        .with_context(|| format!("cannot fetch kernel {version}: the mirror has no package of it"))?;
    say::note(format_args!("  {version}: {package}"));
    let unpacked = dir.join("unpacked");
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked)?;
    }
    apt.unpack(package, &unpacked)?;
    let image = image_in(&unpacked)?.with_context(|| format!("cannot find the image in {package}"))?;
    let shelf = dir.join("kernels").join(version);
    fs::create_dir_all(&shelf)?;
    fs::rename(&image, shelf.join(format!("vmlinuz-{}", release_of(package))))?;
    fs::remove_dir_all(&unpacked)?;
    Ok(())
}

/// Older packages have the image in `boot`, newer ones beside the modules.
fn image_in(unpacked: &Path) -> Result<Option<PathBuf>> {
    let files = workspace::files(unpacked, "")?;
    Ok(files.into_iter().find(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"))
            && !path.is_symlink()
    }))
}

fn fetch_busybox(apt: &Apt, dir: &Path, busybox: &Path) -> Result<()> {
    let unpacked = dir.join("unpacked");
    apt.unpack("busybox-static", &unpacked)?;
    let found = workspace::files(&unpacked, "/busybox")?.into_iter().find(|path| path.is_file());
    let Some(found) = found else { bail!("cannot find busybox in its package") };
    fs::rename(found, busybox)?;
    fs::remove_dir_all(&unpacked)?;
    Ok(())
}

/// `linux-image-6.1.0-50-cloud-amd64-unsigned` is release `6.1.0-50-cloud-amd64`.
fn release_of(package: &str) -> &str {
    let release = package.trim_start_matches("linux-image-").trim_start_matches("linux-binary-");
    release.trim_end_matches("-unsigned")
}

/// The newest package of a version; where the release moves on, the newest of all if the version is gone.
fn choose<'a>(packages: &'a [String], version: &str, moving: bool) -> Option<&'a str> {
    let dotted = format!("{version}.");
    let of_version = || packages.iter().filter(|package| release_of(package).starts_with(&dotted));
    // Of one release, the package that holds the image itself: later ones left `linux-image` empty.
    let rank = |package: &&String| (numbers(release_of(package)), package.starts_with("linux-binary-"));
    let newest = of_version().max_by_key(rank);
    let newest = newest.or_else(|| packages.iter().filter(|_| moving).max_by_key(rank));
    newest.map(String::as_str)
}

fn numbers(release: &str) -> Vec<u32> {
    release.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages() -> Vec<String> {
        [
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-50-cloud-amd64-unsigned",
            "linux-image-6.1.0-0.deb11.52-cloud-amd64",
            "linux-image-6.12.107+deb13-cloud-amd64",
            "linux-binary-7.3.1+deb14-cloud-amd64",
            "linux-image-7.3.1+deb14-cloud-amd64",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    #[test]
    fn the_newest_of_a_version_is_chosen() {
        let packages = packages();
        assert_eq!(choose(&packages, "6.1", false), Some("linux-image-6.1.0-50-cloud-amd64-unsigned"));
        assert_eq!(choose(&packages, "6.12", false), Some("linux-image-6.12.107+deb13-cloud-amd64"));
        assert_eq!(choose(&packages, "5.10", false), None);
        assert_eq!(choose(&packages, "7.2", true), Some("linux-binary-7.3.1+deb14-cloud-amd64"));
        assert_eq!(release_of("linux-image-6.1.0-50-cloud-amd64-unsigned"), "6.1.0-50-cloud-amd64");
    }

    #[test]
    fn unknown_versions_are_refused() {
        assert_eq!(known(&["6.1".into()]).unwrap(), [("6.1", "bookworm")]);
        assert!(known(&["4.19".into()]).unwrap_err().to_string().contains("5.10, 6.1"));
    }
}
