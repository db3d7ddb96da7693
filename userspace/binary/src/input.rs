//! Files of others, opened and read so that none of them can hold the tool up or fill its memory: regular files only,
//! the very one that is mapped, and of a binary what its own headers speak of.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use object::{
    Endianness,
    elf::{ELF_NOTE_GNU, FileHeader64, NT_GNU_BUILD_ID, SHT_NOBITS, SectionHeader64},
    read::{
        ReadCache,
        elf::{FileHeader as _, NoteIterator, ProgramHeader as _, SectionHeader as _},
    },
};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

/// Identity of a file, as `/proc/PID/maps` has it: its device, in two parts, and its inode.
pub type Identity = ((u32, u32), u64);

/// Opens a file and nothing else: no pipe, which would hold the tool up, and no device, which would take notice.
///
/// # Errors
/// When there is none, or it is something else.
pub fn regular(path: &Path) -> io::Result<File> {
    let is_file = |about: fs::Metadata| about.is_file().then_some(()).ok_or(io::ErrorKind::InvalidInput);
    is_file(fs::metadata(path)?)?;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    is_file(file.metadata()?)?;
    Ok(file)
}

/// The same of a path below a root that links cannot lead out of: they mean what they mean to a process with that root.
///
/// # Errors
/// When there is none, or it is something else.
pub fn regular_below(root: &Path, path: &Path) -> io::Result<File> {
    let look = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(root, look, Mode::empty())?;
    let inside = path.strip_prefix("/").unwrap_or(path);
    let open = |flags| openat2(&root, inside, flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT);
    let is_file = |file: &File| Ok(file.metadata()?.is_file());
    let refused = io::Error::from(io::ErrorKind::InvalidInput);
    // Looked at before it is opened: a device would take notice.
    if !is_file(&open(OFlags::PATH)?.into())? {
        return Err(refused);
    }
    let file = File::from(open(OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?);
    is_file(&file).and_then(|is| is.then_some(file).ok_or(refused))
}

/// Opens the file that a process has mapped from one address to another, even if its path now leads elsewhere. By the
/// mapping itself that takes `CAP_CHECKPOINT_RESTORE`; by its path inside of the process's root the file must
/// be the same.
///
/// # Errors
/// When it cannot be had in either way.
pub fn mapped(pid: u32, (start, end): (u64, u64), path: &Path, identity: Identity) -> io::Result<File> {
    regular(Path::new(&format!("/proc/{pid}/map_files/{start:x}-{end:x}"))).or_else(|_| {
        let inside = path.strip_prefix("/").unwrap_or(path);
        let file = regular(&Path::new(&format!("/proc/{pid}/root")).join(inside))?;
        is(&file, identity)?.then_some(file).ok_or_else(|| io::ErrorKind::NotFound.into())
    })
}

/// Reports whether a file has this identity. File systems of several devices (btrfs, overlayfs) tell of one of their
/// own (major 0) here and of another in `maps`: there the inode decides.
///
/// # Errors
/// When it cannot be asked.
pub fn is(file: &File, (device, inode): Identity) -> io::Result<bool> {
    let (found, its_inode) = identity(file)?;
    Ok(its_inode == inode && (found == device || found.0 == 0))
}

/// Identity of an open file.
///
/// # Errors
/// When it cannot be asked.
pub fn identity(file: &File) -> io::Result<Identity> {
    let about = file.metadata()?;
    Ok(((rustix::fs::major(about.dev()), rustix::fs::minor(about.dev())), about.ino()))
}

/// Reads a binary as far as its headers reach: a file that was made longer is not read farther.
///
/// # Errors
/// When it cannot be read, or is larger than it may be.
pub fn binary(file: &File, largest: u64) -> io::Result<Vec<u8>> {
    let len = file.metadata()?.len();
    let len = extent(file).unwrap_or(len).min(len);
    if len > largest {
        return Err(io::Error::other(format!("it is larger than {} MiB", largest >> 20)));
    }
    let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// End of the last thing that the headers of a 64-bit ELF file speak of; `None` if it is no such file.
fn extent(file: &File) -> Option<u64> {
    let cache = ReadCache::new(file);
    let (header, endian) = header(&cache)?;
    let segments = header.program_headers(endian, &cache).ok()?;
    let sections = header.section_headers(endian, &cache).ok()?;
    let of_segments = segments.iter().map(|it| it.p_offset(endian).saturating_add(it.p_filesz(endian)));
    let has_bytes = |it: &&SectionHeader64<Endianness>| it.sh_type(endian) != SHT_NOBITS;
    let of_sections = sections.iter().filter(has_bytes);
    let of_sections = of_sections.map(|it| it.sh_offset(endian).saturating_add(it.sh_size(endian)));
    let table = |offset: u64, size: u16, count: usize| offset.saturating_add(u64::from(size) * count as u64);
    let tables = [
        table(header.e_phoff(endian), header.e_phentsize(endian), segments.len()),
        table(header.e_shoff(endian), header.e_shentsize(endian), sections.len()),
    ];
    of_segments.chain(of_sections).chain(tables).max()
}

/// The header of a 64-bit ELF file. Files with more segments or sections than it can count are refused: their number
/// stands elsewhere, and can be anything.
fn header<'data>(cache: &'data ReadCache<&File>) -> Option<(&'data FileHeader64<Endianness>, Endianness)> {
    let header = FileHeader64::<Endianness>::parse(cache).ok()?;
    let endian = header.endian().ok()?;
    let counted = header.e_shnum(endian) != 0 || header.e_shoff(endian) == 0;
    (counted && header.e_phnum(endian) != u16::MAX).then_some((header, endian))
}

/// The build id of a 64-bit ELF file, in hexadecimal, without reading more of it than that takes.
#[must_use]
pub fn build_id(file: &File) -> Option<String> {
    /// Longest note that is looked into.
    const LONGEST: u64 = 1 << 16;
    let cache = ReadCache::new(file);
    let (header, endian) = header(&cache)?;
    let of_notes = |mut notes: NoteIterator<'_, FileHeader64<Endianness>>| {
        while let Ok(Some(note)) = notes.next() {
            if note.name() == ELF_NOTE_GNU && note.n_type(endian) == NT_GNU_BUILD_ID {
                return Some(note.desc().iter().map(|byte| format!("{byte:02x}")).collect());
            }
        }
        None
    };
    let segments = header.program_headers(endian, &cache).ok()?;
    let in_segments = segments.iter().filter(|it| it.p_filesz(endian) <= LONGEST);
    let found = in_segments.filter_map(|it| it.notes(endian, &cache).ok().flatten()).find_map(of_notes);
    found.or_else(|| {
        let sections = header.section_headers(endian, &cache).ok()?;
        let in_sections = sections.iter().filter(|it| it.sh_size(endian) <= LONGEST);
        in_sections.filter_map(|it| it.notes(endian, &cache).ok().flatten()).find_map(of_notes)
    })
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, process::Command};

    use super::*;

    #[test]
    fn pipes_devices_directories_and_what_leads_to_them_are_refused_at_once() {
        let shop = tempfile::tempdir().unwrap();
        let pipe = shop.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let link = shop.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        for path in [pipe.as_path(), &link, Path::new("/dev/zero"), shop.path(), Path::new("/nonexistent")] {
            assert!(regular(path).is_err(), "{}", path.display());
        }
        assert!(regular(&std::env::current_exe().unwrap()).is_ok());
    }

    #[test]
    fn a_link_leads_nowhere_but_into_its_root() {
        let (shop, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("secret"), "secret").unwrap();
        fs::write(shop.path().join("own"), "own").unwrap();
        let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, shop.path().join(name)).unwrap();
        link(&outside.path().join("secret"), "away");
        link(Path::new("/own"), "home");
        link(Path::new("../../../../own"), "up");
        let opened = |name: &str| {
            regular_below(shop.path(), Path::new(name)).ok().map(|file| io::read_to_string(file).unwrap())
        };
        assert_eq!(opened("away"), None);
        for name in ["own", "/own", "home", "up"] {
            assert_eq!(opened(name).as_deref(), Some("own"), "{name}");
        }
        assert!(regular_below(shop.path(), Path::new(".")).is_err());
    }

    #[test]
    fn a_binary_that_was_made_longer_is_read_as_far_as_its_headers_reach() {
        let shop = tempfile::tempdir().unwrap();
        let path = shop.path().join("binary");
        fs::copy("/bin/sh", &path).unwrap();
        let before = fs::read(&path).unwrap();
        let longer = OpenOptions::new().write(true).open(&path).unwrap();
        longer.set_len(8 << 30).unwrap();
        let read = binary(&regular(&path).unwrap(), 64 << 20).unwrap();
        assert!(read.len() <= before.len() && read == before[..read.len()]);
        let whole = object::File::parse(&*before).unwrap();
        let part = object::File::parse(&*read).unwrap();
        use object::Object as _;
        assert_eq!(whole.sections().count(), part.sections().count());
        let in_hexadecimal = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(build_id(&regular(&path).unwrap()), whole.build_id().unwrap().map(in_hexadecimal));
        // No ELF file: nothing tells how much of it there is.
        let mut plain = File::create(&path).unwrap();
        plain.write_all(b"text").unwrap();
        assert_eq!(binary(&regular(&path).unwrap(), 64 << 20).unwrap(), b"text");
        plain.set_len(8 << 30).unwrap();
        assert!(binary(&regular(&path).unwrap(), 64 << 20).is_err());
        assert_eq!(build_id(&regular(&path).unwrap()), None);
    }

    #[test]
    fn the_file_at_a_path_must_be_the_one_that_is_mapped() {
        let own = std::env::current_exe().unwrap();
        let wanted = identity(&File::open(&own).unwrap()).unwrap();
        let nowhere = (1, 2);
        assert!(mapped(std::process::id(), nowhere, &own, wanted).is_ok());
        assert!(mapped(std::process::id(), nowhere, Path::new("/bin/sh"), wanted).is_err());
    }
}
