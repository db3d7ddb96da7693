//! Fetches and unpacks Debian packages without installing them: apt with a list and a state of its own.
//!
//! The mirror is the one that this machine already uses, so nothing here names a host.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::process::{self, capture, command};

/// Paths of the Debian project's keys, newest name first.
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.pgp", "/usr/share/keyrings/debian-archive-keyring.gpg"];

/// An apt that knows other releases than this machine's.
pub struct Apt {
    dir: PathBuf,
}

/// A mirror and the suites on it: `bookworm` beside `bookworm-security` elsewhere.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mirror {
    uri: String,
    security: bool,
}

impl Apt {
    /// Reads the package lists of the given releases.
    pub fn of(dir: &Path, releases: &BTreeSet<&str>) -> Result<Self> {
        for tool in ["apt-get", "apt-cache", "dpkg"] {
            if process::which(tool).is_none() {
                bail!("cannot fetch packages: there is no {tool} here (they are Debian packages)");
            }
        }
        let listing = capture(command("apt-get").args([
            "indextargets",
            "--format",
            "$(REPO_URI) $(RELEASE) $(COMPONENT)",
            "Created-By: Packages",
        ]))?;
        let mirrors = mirrors(&listing);
        if mirrors.is_empty() {
            bail!("cannot fetch packages: apt is configured for no Debian mirror");
        }
        let apt = Self { dir: dir.join("apt") };
        for part in ["state/lists/partial", "cache/archives/partial", "download"] {
            fs::create_dir_all(apt.dir.join(part))?;
        }
        fs::write(apt.dir.join("sources.list"), sources(&mirrors, releases))?;
        fs::write(apt.dir.join("status"), "")?;
        // A release whose security suite is gone leaves a warning; what is missing is found out below.
        let mut update = apt.command("apt-get");
        capture(update.args(["--quiet", "update"])).context("cannot read the package lists")?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut apt = command(program);
        let own = |name: &str, path: &str| format!("{name}={}", self.dir.join(path).display());
        for option in [
            own("Dir::State", "state"),
            own("Dir::State::status", "status"),
            own("Dir::Cache", "cache"),
            own("Dir::Etc::sourcelist", "sources.list"),
            "Dir::Etc::sourceparts=/dev/null".into(),
            "Acquire::Languages=none".into(),
            "Acquire::Retries=3".into(),
            // An old release's lists are past their date, which is no secret.
            "Acquire::Check-Valid-Until=false".into(),
            // Root's apt would fetch as a user who may not write here.
            "APT::Sandbox::User=root".into(),
        ] {
            apt.arg("-o").arg(option);
        }
        apt
    }

    /// Names of all packages that match an extended regular expression.
    pub fn search(&self, pattern: &str) -> Result<Vec<String>> {
        let listing = capture(self.command("apt-cache").args(["search", "--names-only", pattern]))?;
        Ok(listing.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
    }

    /// Fetches a package, `NAME` or `NAME/RELEASE`, and unpacks it into a directory. Gives the name of its file, which
    /// ends in the version.
    pub fn unpack(&self, package: &str, into: &Path) -> Result<String> {
        let download = self.dir.join("download");
        fs::remove_dir_all(&download)?;
        fs::create_dir_all(&download)?;
        capture(self.command("apt-get").current_dir(&download).args(["--quiet", "download", package]))
            .with_context(|| format!("cannot fetch {package}"))?;
        let deb = fs::read_dir(&download)?
            .next()
            .with_context(|| format!("cannot find {package} after its download"))??;
        capture(command("dpkg").arg("-x").arg(deb.path()).arg(into))
            .with_context(|| format!("cannot unpack {package}"))?;
        fs::remove_dir_all(&download)?;
        fs::create_dir_all(&download)?;
        Ok(deb.file_name().to_string_lossy().into_owned())
    }
}

/// The Debian mirrors among the lists that apt is configured for, told by the names of Debian's releases.
fn mirrors(listing: &str) -> BTreeSet<Mirror> {
    const RELEASES: [&str; 11] = [
        "bullseye",
        "bookworm",
        "trixie",
        "forky",
        "duke",
        "sid",
        "oldoldstable",
        "oldstable",
        "stable",
        "testing",
        "unstable",
    ];
    let of_line = |line: &str| {
        let mut words = line.split_whitespace();
        let (uri, release, component) = (words.next()?, words.next()?, words.next()?);
        let (name, pocket) = release.split_once('-').unwrap_or((release, ""));
        let security = pocket == "security";
        let debian = component == "main" && RELEASES.contains(&name) && (security || pocket.is_empty());
        debian.then(|| Mirror { uri: uri.trim_end_matches('/').to_owned(), security })
    };
    listing.lines().filter_map(of_line).collect()
}

fn sources(mirrors: &BTreeSet<Mirror>, releases: &BTreeSet<&str>) -> String {
    let keyring = KEYRINGS.iter().find(|path| Path::new(path).is_file());
    let signed = keyring.map_or(String::new(), |path| format!(" signed-by={path}"));
    let mut text = String::new();
    for mirror in mirrors {
        for release in releases {
            // What is unstable or backported has no security suite.
            if mirror.security && (*release == "sid" || release.ends_with("-backports")) {
                continue;
            }
            let suite = if mirror.security { format!("{release}-security") } else { (*release).to_owned() };
            let _ = writeln!(text, "deb [arch=amd64 target=Packages{signed}] {} {suite} main", mirror.uri);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "http://m.test/debian/ bookworm main\nhttp://m.test/debian/ bookworm-updates main\n\
                           http://s.test/security/ bookworm-security main\nhttp://m.test/debian/ bookworm contrib\n\
                           http://other.test/ubuntu/ noble main\nhttp://tool.test/ nodistro main\n";

    #[test]
    fn only_debian_mirrors_are_taken() {
        let found: Vec<(String, bool)> =
            mirrors(LISTING).into_iter().map(|mirror| (mirror.uri, mirror.security)).collect();
        assert_eq!(found, [("http://m.test/debian".into(), false), ("http://s.test/security".into(), true)]);
    }

    #[test]
    fn each_release_gets_its_suites() {
        let text = sources(&mirrors(LISTING), &BTreeSet::from(["bullseye", "sid"]));
        assert_eq!(text.lines().count(), 3);
        assert!(text.contains("/debian bullseye main") && text.contains("/security bullseye-security main"));
        assert!(text.contains("/debian sid main") && !text.contains("sid-security"));
    }
}
