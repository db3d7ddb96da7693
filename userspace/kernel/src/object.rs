//! The BPF object, built from `ebpf/` and carried inside the binary.

use std::borrow::Cow;

use object::{Object as _, ObjectSection as _, SectionKind};

/// ELF bytes, aligned as the loader needs them.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/pulse-trace"));

/// Size of an instruction.
const INSTRUCTION: usize = 8;
/// `BPF_STX | BPF_ATOMIC | BPF_DW` with `BPF_CMPXCHG`.
const COMPARE_AND_SWAP: (u8, [u8; 4]) = (0xdb, 0xf1_u32.to_le_bytes());
/// `BPF_STX | BPF_MEM | BPF_DW`.
const STORE: (u8, [u8; 4]) = (0x7b, [0; 4]);

/// The object as a kernel of this release takes it. Compare and swap came with Linux 5.12, for arm64 with 5.18: before,
/// it is a plain store, which leaves the expected value in the register of the result and so looks like success.
pub(super) fn for_kernel(release: &str) -> Cow<'static, [u8]> {
    let since = if cfg!(target_arch = "aarch64") { (5, 18) } else { (5, 12) };
    if version(release).is_none_or(|version| version >= since) {
        return Cow::Borrowed(OBJECT);
    }
    let mut bytes = OBJECT.to_vec();
    for place in compare_and_swaps(OBJECT) {
        bytes[place] = STORE.0;
        bytes[place + 4..place + INSTRUCTION].copy_from_slice(&STORE.1);
    }
    Cow::Owned(bytes)
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|it: char| !it.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Offsets of those instructions in the file.
fn compare_and_swaps(elf: &[u8]) -> Vec<usize> {
    let Ok(file) = object::File::parse(elf) else { return Vec::new() };
    let programs = file.sections().filter(|section| section.kind() == SectionKind::Text);
    let ranges = programs.filter_map(|section| section.file_range());
    let places = ranges.flat_map(|(start, size)| (start..start + size).step_by(INSTRUCTION));
    let is_one = |place: &usize| {
        let instruction = elf.get(*place..*place + INSTRUCTION);
        instruction.is_some_and(|it| it[0] == COMPARE_AND_SWAP.0 && it[4..] == COMPARE_AND_SWAP.1)
    };
    places.map(|place| place as usize).filter(is_one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_kernels_get_stores_where_new_ones_compare_and_swap() {
        for (release, is_old) in [("5.10.0-32-amd64", true), ("5.18", false), ("6.1.0", false), ("?", false)]
        {
            let object = for_kernel(release);
            assert_eq!(compare_and_swaps(&object).is_empty(), is_old, "{release}");
            let changed = object.iter().zip(OBJECT).filter(|(ours, theirs)| ours != theirs).count();
            // Opcode and operation.
            assert_eq!(changed, if is_old { 2 * compare_and_swaps(OBJECT).len() } else { 0 });
        }
    }
}
