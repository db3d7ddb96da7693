//! Output files, created so that no other user can make root write where it should not: no symbolic link is followed,
//! nothing but a regular file is truncated, and a new file belongs to the user behind `sudo` and to no other user.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{self, FileType, Mode, OFlags, ResolveFlags},
    io::Errno,
    process::{Gid, Uid},
};
use thiserror::Error;

/// Has a write beyond the limit of a file's size fail, as on a full disk, where it would kill the process (SIGXFSZ).
/// Programs that it starts have it as it is by default.
pub fn outlive_size_limit() {
    // If it cannot be heard, the limit kills as before.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

/// Canonical form of a path: equal results are one file, also where it is not there yet.
#[must_use]
pub fn place(path: &Path) -> PathBuf {
    let whole = path.canonicalize().or_else(|_| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        Ok::<_, io::Error>(folder.unwrap_or(Path::new(".")).canonicalize()?.join(name))
    });
    whole.unwrap_or_else(|_| path.to_owned())
}

/// Reason why a file could not be created or written.
#[derive(Debug, Error)]
pub enum FileError {
    /// A symbolic link in the path, as root.
    #[error(
        "cannot create {}: it is, or leads through, a symbolic link, and root follows none; name the file itself, or - \
         for standard output", .0.display()
    )]
    Symlink(PathBuf),
    /// The path is a directory.
    #[error("cannot create {}: it is a directory; name a file in it", .0.display())]
    Directory(PathBuf),
    /// Neither a regular file nor a terminal or the like.
    #[error("cannot write to {}: it is a {what}, not a regular file; name another file", .path.display())]
    NotRegular {
        /// Path of the file.
        path: PathBuf,
        /// Type of the file, in words.
        what: &'static str,
    },
    /// A file of another user, as root.
    #[error("cannot overwrite {}: it belongs to another user; remove it first, or name another file", .0.display())]
    Foreign(PathBuf),
    /// A file with a second name, as root.
    #[error("cannot overwrite {}: it has other names (hard links); remove it first, or name another file", .0.display())]
    HardLinked(PathBuf),
    /// Opening failed for another reason.
    #[error("cannot create {}: {cause}; {remedy}", .path.display())]
    Create {
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        cause: String,
        /// Advice to the user.
        remedy: &'static str,
    },
    /// The system refused to write.
    #[error("cannot write to {}: {cause}; {remedy}", .path.display())]
    Write {
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        cause: String,
        /// Advice to the user.
        remedy: &'static str,
    },
}

/// A file that is being written.
#[derive(Debug)]
pub struct OutputFile {
    file: File,
    path: PathBuf,
}

/// The user on whose behalf a file is created.
#[derive(Clone, Copy, Debug, Default)]
struct Caller {
    /// True if the process has rights that its user lacks.
    root: bool,
    /// The user behind `sudo`.
    owner: Option<(Uid, Gid)>,
}

/// Creates a file, or empties it where it exists.
///
/// # Errors
/// If it cannot be created, or must not be overwritten.
pub fn create(path: &Path) -> Result<OutputFile, FileError> {
    let root = rustix::process::geteuid().is_root();
    let id = |name| std::env::var(name).ok()?.parse::<u32>().ok().filter(|id| *id != u32::MAX);
    let owner = id("SUDO_UID").zip(id("SUDO_GID")).filter(|_| root);
    let owner = owner.map(|(uid, gid)| (Uid::from_raw(uid), Gid::from_raw(gid)));
    create_for(path, Caller { root, owner })
}

fn create_for(path: &Path, caller: Caller) -> Result<OutputFile, FileError> {
    let (fd, new) = open(path, caller).map_err(|errno| refused(path, errno))?;
    let failed = |errno| refused(path, errno);
    let stat = fs::fstat(&fd).map_err(failed)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if new => {
            if let Some((uid, gid)) = caller.owner {
                fs::fchown(&fd, Some(uid), Some(gid)).map_err(failed)?;
            }
        }
        FileType::RegularFile => {
            let mine = stat.st_uid == 0 || caller.owner.is_some_and(|(uid, _)| uid.as_raw() == stat.st_uid);
            if caller.root && !mine {
                return Err(FileError::Foreign(path.to_owned()));
            }
            if caller.root && stat.st_nlink > 1 {
                return Err(FileError::HardLinked(path.to_owned()));
            }
            fs::ftruncate(&fd, 0).map_err(failed)?;
        }
        // Terminals, /dev/null: opened without waiting, but written to like anything else.
        FileType::CharacterDevice => fs::fcntl_setfl(&fd, OFlags::empty()).map_err(failed)?,
        FileType::Directory => return Err(FileError::Directory(path.to_owned())),
        other => return Err(FileError::NotRegular { path: path.to_owned(), what: kind(other) }),
    }
    Ok(OutputFile { file: File::from(fd), path: path.to_owned() })
}

/// The descriptor, and whether the file is new. Never waits for the other end of a pipe.
fn open(path: &Path, caller: Caller) -> rustix::io::Result<(rustix::fd::OwnedFd, bool)> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let mode = Mode::RUSR | Mode::WUSR;
    if !caller.root {
        return Ok((fs::openat(fs::CWD, path, flags | OFlags::CREATE, mode)?, false));
    }
    match open_without_links(path, flags | OFlags::CREATE | OFlags::EXCL, mode) {
        Err(Errno::EXIST) => Ok((open_without_links(path, flags, Mode::empty())?, false)),
        created => Ok((created?, true)),
    }
}

fn open_without_links(path: &Path, flags: OFlags, mode: Mode) -> rustix::io::Result<rustix::fd::OwnedFd> {
    match fs::openat2(fs::CWD, path, flags, mode, ResolveFlags::NO_SYMLINKS) {
        // Sandboxes that do not know the call: at least the last name is no link.
        Err(Errno::NOSYS) => fs::openat(fs::CWD, path, flags | OFlags::NOFOLLOW, mode),
        answer => answer,
    }
}

fn kind(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "pipe",
        FileType::Socket => "socket",
        FileType::BlockDevice => "block device",
        _ => "special file",
    }
}

fn refused(path: &Path, errno: Errno) -> FileError {
    let path = path.to_owned();
    let remedy = match errno {
        Errno::LOOP => return FileError::Symlink(path),
        Errno::ISDIR => return FileError::Directory(path),
        Errno::NXIO => return FileError::NotRegular { path, what: "pipe or socket" },
        Errno::NOENT => "create its directory first",
        Errno::NOTDIR => "a part of the path is a file, not a directory",
        Errno::ACCESS | Errno::PERM => "name a file in a directory that you may write to",
        Errno::ROFS => "name a file on a file system that can be written to",
        Errno::NOSPC | Errno::DQUOT => "free some space, or name a file elsewhere",
        _ => "name another file",
    };
    FileError::Create { path, cause: cause(&errno.into()), remedy }
}

/// Message of the system for an error, without its number, fit to stand within a sentence.
#[must_use]
pub fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = words.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}

impl OutputFile {
    /// Appends bytes. What was written can be read by others at once, even if this process dies.
    ///
    /// # Errors
    /// If the file system refuses: the file then holds a part.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.file.write_all(bytes).map_err(|error| self.failed(&error))
    }

    /// A failure to write this file.
    #[must_use]
    pub fn failed(&self, error: &io::Error) -> FileError {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let remedy = if full {
            "free some space; the file holds what was written so far"
        } else {
            "the file holds what was written so far"
        };
        FileError::Write { path: self.path.clone(), cause: cause(error), remedy }
    }

    /// Its path, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    const USER: Caller = Caller { root: false, owner: None };
    const ROOT: Caller = Caller { root: true, owner: None };

    fn message(path: &Path, caller: Caller) -> String {
        create_for(path, caller).unwrap_err().to_string()
    }

    /// Root's rules with the uid of the running tests as owner: files made here would not belong to root.
    fn as_root() -> Caller {
        let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
        Caller { root: true, owner: Some((uid, gid)) }
    }

    #[test]
    fn a_new_file_is_private_and_an_old_one_is_emptied() {
        let directory = tempfile::tempdir().unwrap();
        for caller in [USER, as_root()] {
            let path = directory.path().join(format!("out-{}", caller.root));
            create_for(&path, caller).unwrap().put(b"first, longer").unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            create_for(&path, caller).unwrap().put(b"second").unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"second");
        }
    }

    #[test]
    fn root_follows_no_link_neither_last_nor_before_and_leaves_the_target_alone() {
        let directory = tempfile::tempdir().unwrap();
        let victim = directory.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        symlink(&victim, directory.path().join("link")).unwrap();
        symlink(directory.path(), directory.path().join("way")).unwrap();
        symlink(directory.path().join("nowhere"), directory.path().join("dangling")).unwrap();
        for name in ["link", "way/victim", "way/new", "dangling"] {
            let text = message(&directory.path().join(name), as_root());
            assert!(
                text.contains("symbolic link") && text.contains("; name the file itself"),
                "{name}: {text}"
            );
        }
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
        assert!(!directory.path().join("nowhere").exists() && !directory.path().join("new").exists());
        create_for(&directory.path().join("link"), USER).unwrap();
    }

    #[test]
    fn what_is_no_file_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        fs::mknodat(fs::CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        for caller in [USER, as_root()] {
            let text = message(directory.path(), caller);
            assert!(text.ends_with("it is a directory; name a file in it"), "{text}");
            assert!(message(&pipe, caller).contains("it is a pipe"), "{}", message(&pipe, caller));
            let text = message(&directory.path().join("no/such"), caller);
            assert!(text.ends_with("no such file or directory; create its directory first"), "{text}");
        }
    }

    #[test]
    fn root_overwrites_neither_a_strangers_file_nor_one_with_two_names() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "precious").unwrap();
        let stranger = Caller { owner: Some((Uid::from_raw(54_321), Gid::from_raw(54_321))), ..ROOT };
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
        }
        assert!(message(&path, stranger).contains("belongs to another user"));
        let twice = directory.path().join("first");
        std::fs::write(&twice, "precious").unwrap();
        std::fs::hard_link(&twice, directory.path().join("second")).unwrap();
        assert!(message(&twice, as_root()).contains("hard links"));
        assert_eq!(
            std::fs::read_to_string(&path).unwrap() + &std::fs::read_to_string(&twice).unwrap(),
            "preciousprecious"
        );
    }

    #[test]
    fn a_new_file_belongs_to_the_user_behind_sudo() {
        // Only root can give files away.
        let user = if rustix::process::geteuid().is_root() {
            (Uid::from_raw(4321), Gid::from_raw(4322))
        } else {
            (rustix::process::getuid(), rustix::process::getgid())
        };
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        for _ in 0..2 {
            create_for(&path, Caller { owner: Some(user), ..ROOT }).unwrap();
            let metadata = std::fs::metadata(&path).unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (user.0.as_raw(), user.1.as_raw()));
        }
    }

    #[test]
    fn a_full_disk_is_told_as_such() {
        let mut full = create_for(Path::new("/dev/full"), ROOT).unwrap();
        let text = full.put(b"x").unwrap_err().to_string();
        assert!(
            text.starts_with("cannot write to /dev/full: no space left on device; free some space"),
            "{text}"
        );
        create_for(Path::new("/dev/null"), ROOT).unwrap().put(b"x").unwrap();
    }
}
