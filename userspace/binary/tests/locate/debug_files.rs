//! Debug information in a file of its own: by build id, by link, compressed, missing, or of another build.

use std::{fs, path::Path, process::Command};

use binary::{
    files::Directories,
    locate::{
        glibc::MUTEX_LOCK,
        landmarks::Verdict,
        plan::plan,
        site::{FoundBy, Role, Wait},
    },
};
use object::{Object as _, ObjectSection as _};
use pulse_trace_testing::{installed, need};

use crate::specimens::{by_code, debug, read, shelf};

const BUILD: &str = "93ac61ec5a8eb1396f9fbd350e3169a558528a40";

fn verdict(bytes: &[u8], directories: &Directories) -> Verdict {
    plan(bytes, directories).checks[0].1.clone()
}

/// Position of a section's contents in a file.
fn section(bytes: &[u8], name: &str) -> usize {
    let file = object::File::parse(bytes).unwrap();
    usize::try_from(file.section_by_name(name).unwrap().file_range().unwrap().0).unwrap()
}

#[test]
fn without_a_file_or_with_another_ones_the_code_is_believed() {
    let bytes = need!(read("bookworm", "libc.so.6"));
    let missing = Verdict::NoDwarf("there is no debug file".into());
    assert_eq!(verdict(&bytes, &debug("nowhere")), missing);
    // The right name, but of another build.
    let own = shelf("bookworm").join(format!("debug/.build-id/{}/{}.debug", &BUILD[..2], &BUILD[2..]));
    need!(own.is_file(), "the mirror has no debug file of the known build any more");
    let other = need!(read("trixie", "libc.so.6"));
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join(".build-id").join(&BUILD[..2]);
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join(format!("{}.debug", &BUILD[2..])), other).unwrap();
    let wrong = Directories { debug: vec![directory.path().into()], ..Directories::default() };
    assert_eq!(verdict(&bytes, &wrong), missing);
    assert!(by_code(&bytes).sites.iter().all(|site| site.found_by != FoundBy::Both));
}

#[test]
fn a_link_is_followed_if_the_checksum_fits() {
    let mut library = need!(read("bullseye", "libpthread-2.31.so"));
    let id = by_code(&library).build_id.unwrap();
    let debug_file = format!("debug/.build-id/{}/{}.debug", &id[..2], &id[2..]);
    let mut debug_file = need!(read("bullseye", &debug_file));
    // Both lose their build id: the note becomes one of another type.
    for bytes in [&mut library, &mut debug_file] {
        let note = section(bytes, ".note.gnu.build-id");
        assert_eq!(bytes[note + 8], 3);
        bytes[note + 8] = 9;
    }
    let link = section(&library, ".gnu_debuglink");
    let name: Vec<u8> = library[link..].iter().copied().take_while(|byte| *byte != 0).collect();
    let name = String::from_utf8(name).unwrap();
    let sum = link + (name.len() + 1).next_multiple_of(4);
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join(".debug")).unwrap();
    fs::write(directory.path().join(".debug").join(&name), &debug_file).unwrap();
    let beside =
        Directories { root: "/".into(), beside: Some(directory.path().into()), ..Directories::default() };
    assert_eq!(verdict(&library, &beside), Verdict::NoDwarf("there is no debug file".into()));
    library[sum..sum + 4].copy_from_slice(&crc32(&debug_file).to_le_bytes());
    assert_eq!(verdict(&library, &beside), Verdict::Agree);
}

/// Bit by bit: slow, and obviously right.
fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { 0xedb8_8320 ^ (sum >> 1) } else { sum >> 1 };
        }
    }
    !sum
}

/// The debug file of libpthread 2.31, packed otherwise by `objcopy`.
fn repacked(kind: &str, library: &Path, directory: &Path) -> Option<Directories> {
    let id = by_code(&fs::read(library).unwrap()).build_id.unwrap();
    let name = format!(".build-id/{}/{}.debug", &id[..2], &id[2..]);
    let (from, to) = (shelf("bullseye").join("debug").join(&name), directory.join(&name));
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let option = format!("--compress-debug-sections={kind}");
    let done = Command::new("objcopy").arg(option).arg(&from).arg(&to).output().unwrap();
    done.status.success().then(|| Directories { debug: vec![directory.into()], ..Directories::default() })
}

#[test]
fn sections_may_be_packed_in_any_way() {
    let bytes = need!(read("bullseye", "libpthread-2.31.so"));
    need!(installed("objcopy"), "objcopy (package binutils) is not installed");
    let library = shelf("bullseye").join("libpthread-2.31.so");
    for kind in ["none", "zlib", "zstd"] {
        let directory = tempfile::tempdir().unwrap();
        let directories = need!(repacked(kind, &library, directory.path()), "objcopy cannot pack as {kind}");
        assert_eq!(verdict(&bytes, &directories), Verdict::Agree, "{kind}");
    }
}

#[test]
fn code_that_is_not_understood_is_found_by_its_debug_information() {
    let mut bytes = need!(read("bookworm", "libc.so.6"));
    let known = by_code(&bytes).build_id.as_deref() == Some(BUILD);
    need!(known, "the mirror has the known build of bookworm's C library no more");
    // `mov $8,%esi` becomes `mov $9,%esi`: no longer the mean that the code is known by.
    assert_eq!(std::mem::replace(&mut bytes[0x8c5a5], 9), 8);
    let reason = "pthread_mutex_lock stores something into __spins that is not its running mean";
    let alone = by_code(&bytes);
    assert_eq!(alone.refusals, [format!("cannot find spin sites in {BUILD}: {reason}; showing tier 0")]);
    assert!(alone.sites.is_empty() && alone.generation.is_none());
    let with = plan(&bytes, &debug("bookworm"));
    assert_eq!(with.checks[0], (MUTEX_LOCK, Verdict::NoSignature(reason.into())));
    let own = with.sites.iter().filter(|site| site.function == MUTEX_LOCK);
    let found: Vec<_> = own.map(|site| (site.address, site.role, site.found_by)).collect();
    assert_eq!(
        found,
        [
            (0x8c54d, Role::Contended, FoundBy::Dwarf),
            (0x8c59e, Role::SpinEnd, FoundBy::Dwarf),
            (0x8c5e1, Role::GaveUp, FoundBy::Dwarf),
            (0x8c5fc, Role::KernelWait(Wait::Adaptive), FoundBy::Dwarf),
        ]
    );
}
