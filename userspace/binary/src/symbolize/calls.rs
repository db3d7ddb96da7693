//! Recognizes a call by the bytes before an address.

use super::elf::Machine;

/// Longest call of x86: a prefix, `ff`, and a full address form.
pub const LONGEST: usize = 8;

/// True if these bytes end with a call.
pub fn ends_with_call(machine: Machine, before: &[u8]) -> bool {
    match machine {
        Machine::X86_64 => x86(before),
        Machine::Aarch64 => arm(before),
    }
}

fn x86(before: &[u8]) -> bool {
    let at = |back: usize| before.len().checked_sub(back).and_then(|at| before.get(at)).copied();
    // call rel32
    if at(5) == Some(0xe8) {
        return true;
    }
    // call r/m64: its length follows from the mode byte.
    (2..=7).any(|len| {
        at(len) == Some(0xff) && at(len - 1).is_some_and(|mode| indirect_len(mode, at(len - 2)) == Some(len))
    })
}

/// Length of `ff /2` with this mode byte and the byte after it.
fn indirect_len(mode: u8, scale: Option<u8>) -> Option<usize> {
    let (kind, operation, base) = (mode >> 6, mode >> 3 & 7, mode & 7);
    if operation != 2 {
        return None;
    }
    let scaled = kind != 3 && base == 4;
    let displacement = match kind {
        0 if base == 5 || scaled && scale.is_some_and(|scale| scale & 7 == 5) => 4,
        1 => 1,
        2 => 4,
        _ => 0,
    };
    Some(2 + usize::from(scaled) + displacement)
}

fn arm(before: &[u8]) -> bool {
    let Some(&[a, b, c, d]) = before.last_chunk::<4>() else { return false };
    let word = u32::from_le_bytes([a, b, c, d]);
    let direct = word & 0xfc00_0000 == 0x9400_0000;
    let indirect = word & 0xffff_fc1f == 0xd63f_0000;
    // With authentication of the pointer: blraa and its kin.
    let authenticated = word & 0xfeff_f800 == 0xd63f_0800;
    direct || indirect || authenticated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_x86_are_known_in_every_form() {
        let calls: [&[u8]; 9] = [
            &[0xe8, 1, 2, 3, 4],
            &[0xff, 0xd0],
            &[0x41, 0xff, 0xd4],
            &[0xff, 0x10],
            &[0xff, 0x50, 0x18],
            &[0xff, 0x15, 1, 2, 3, 4],
            &[0xff, 0x94, 0xc3, 1, 2, 3, 4],
            &[0xff, 0x54, 0x24, 8],
            &[0xff, 0x14, 0xc5, 1, 2, 3, 4],
        ];
        for call in calls {
            assert!(ends_with_call(Machine::X86_64, call), "{call:x?}");
            let mut padded = vec![0x90; LONGEST];
            padded.extend_from_slice(call);
            assert!(ends_with_call(Machine::X86_64, &padded), "{call:x?}");
        }
        let others: [&[u8]; 6] =
            [&[], &[0x90; 8], &[0xff, 0xe0], &[0xe9, 1, 2, 3, 4], &[0xff, 0x50], &[0x0f, 0x05]];
        for other in others {
            assert!(!ends_with_call(Machine::X86_64, other), "{other:x?}");
        }
    }

    #[test]
    fn calls_of_arm_are_known() {
        for call in [0x9400_0001_u32, 0x97ff_ffff, 0xd63f_0000, 0xd63f_0260, 0xd63f_0800, 0xd73f_0a8a] {
            assert!(ends_with_call(Machine::Aarch64, &call.to_le_bytes()), "{call:x}");
        }
        for other in [0x1400_0001_u32, 0xd61f_0200, 0xd65f_03c0, 0xd503_201f] {
            assert!(!ends_with_call(Machine::Aarch64, &other.to_le_bytes()), "{other:x}");
        }
    }
}
