//! Costs of probes on instructions, and instructions that the kernel refuses.
//!
//! The rules are those of `arch/x86/kernel/uprobes.c`: a few instructions are emulated when the probe is hit, most are
//! executed out of line by a single step, some are refused. Where kernels differ, the dearer or the refusal is told.

use serde::{Deserialize, Serialize};

use crate::fixed::{self, Fixed};

use iced_x86::{Decoder, DecoderOptions, Instruction};

/// The longest instruction there is.
const LONGEST: usize = 15;

/// Reasons for which no probe can be on an instruction.
pub const REFUSALS: [&str; 7] = [
    "no instruction",
    "a `lock` prefix",
    "a segment prefix other than fs and gs",
    "a vector instruction",
    "an exchange that looks like a nop",
    "a branch with an operand-size prefix",
    "an instruction that uprobes do not support",
];

/// Way in which the kernel executes an instruction that has a probe on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Class {
    /// A five-byte nop: kernels from 6.18 on replace it by a call, older ones step over it.
    FiveByteNop,
    /// The kernel does itself what the instruction would do.
    Emulated,
    /// The instruction is copied elsewhere and executed there with the trap flag set.
    SingleStepped,
    /// No probe can be here, for this reason.
    #[serde(with = "fixed")]
    Refused(Fixed),
}

impl Class {
    /// Cost of a hit with an empty program on Linux 6.18, in nanoseconds; only a calibration on the spot is exact.
    #[must_use]
    pub fn typical_ns(self) -> Option<u32> {
        match self {
            Self::FiveByteNop => Some(1_000),
            Self::Emulated => Some(1_300),
            Self::SingleStepped => Some(6_000),
            Self::Refused(_) => None,
        }
    }

    /// Name of the class, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FiveByteNop => "five-byte nop",
            Self::Emulated => "emulated",
            Self::SingleStepped => "single-stepped",
            Self::Refused(_) => "refused",
        }
    }
}

/// Classifies the first instruction of these bytes.
#[must_use]
pub fn classify(bytes: &[u8]) -> Class {
    let bytes = bytes.get(..LONGEST.min(bytes.len())).unwrap_or_default();
    let mut decoder = Decoder::new(64, bytes, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    decoder.decode_out(&mut instruction);
    if instruction.is_invalid() {
        return Class::Refused("no instruction");
    }
    let bytes = bytes.get(..instruction.len()).unwrap_or_default();
    if bytes == [0x0f, 0x1f, 0x44, 0x00, 0x00] { Class::FiveByteNop } else { of_parts(bytes) }
}

/// By prefixes and opcode, as the kernel looks at it.
fn of_parts(bytes: &[u8]) -> Class {
    let legacy = bytes.iter().take_while(|byte| is_prefix(**byte)).count();
    let (prefixes, rest) = bytes.split_at(legacy);
    if prefixes.contains(&0xf0) {
        return Class::Refused("a `lock` prefix");
    }
    if prefixes.iter().any(|byte| matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e)) {
        return Class::Refused("a segment prefix other than fs and gs");
    }
    let (rex, opcode) = match rest.split_first() {
        Some((rex, opcode)) if rex & 0xf0 == 0x40 => (Some(*rex), opcode),
        _ => (None, rest),
    };
    match *opcode {
        [0xc4 | 0xc5 | 0x62, ..] => Class::Refused("a vector instruction"),
        // The kernel takes everything with this opcode for a nop; with this bit it exchanges two registers.
        [0x90, ..] if rex.is_some_and(|rex| rex & 1 != 0) => {
            Class::Refused("an exchange that looks like a nop")
        }
        [0x90, ..] => Class::Emulated,
        [0x50..=0x57] if legacy == 0 && matches!(rex, None | Some(0x41)) => Class::Emulated,
        [0xe8 | 0xe9 | 0xeb | 0x70..=0x7f, ..] | [0x0f, 0x80..=0x8f, ..] => {
            if prefixes.contains(&0x66) {
                Class::Refused("a branch with an operand-size prefix")
            } else {
                Class::Emulated
            }
        }
        [0x0f, second, ..] => of_table(is_good_second(second)),
        [first, ..] => of_table(is_good_first(first)),
        [] => Class::Refused("no instruction"),
    }
}

fn of_table(good: bool) -> Class {
    if good { Class::SingleStepped } else { Class::Refused("an instruction that uprobes do not support") }
}

fn is_prefix(byte: u8) -> bool {
    matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3)
}

/// The kernel's table of one-byte opcodes for 64-bit programs.
fn is_good_first(opcode: u8) -> bool {
    match opcode {
        0x00..=0x3f => matches!(opcode & 0x0f, 0x00..=0x05 | 0x08..=0x0d),
        0x60..=0x62 | 0x6c..=0x6f | 0x82 | 0x9a => false,
        0xcc..=0xcf | 0xd4..=0xd6 | 0xe4..=0xe7 | 0xea | 0xec..=0xef => false,
        0xf0 | 0xf1 | 0xf4 | 0xfa | 0xfb => false,
        _ => true,
    }
}

/// The kernel's table of opcodes behind the byte 0x0f.
fn is_good_second(opcode: u8) -> bool {
    let refused = matches!(
        opcode,
        0x00..=0x0d | 0x18 | 0x24..=0x27 | 0x30 | 0x34..=0x3f | 0x78..=0x7d | 0xa6 | 0xa7 | 0xae | 0xb8 | 0xd0 | 0xf0 | 0xff
    );
    !refused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_in_the_list() {
        let source = include_str!("instruction.rs");
        let product = &source[..source.find("#[cfg(test)]").unwrap()];
        let reasons = product.split("Class::Refused(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
        reasons.for_each(|reason| assert!(REFUSALS.contains(&reason), "{reason}"));
    }

    #[test]
    fn cheap_ones() {
        assert_eq!(classify(&[0x0f, 0x1f, 0x44, 0, 0]), Class::FiveByteNop);
        for emulated in [
            &[0x90_u8] as &[u8],
            &[0xf3, 0x90],
            &[0x53],
            &[0x41, 0x54],
            &[0x75, 0x52],
            &[0x0f, 0x85, 0, 1, 0, 0],
            &[0xe8, 1, 2, 3, 4],
            &[0xe9, 1, 2, 3, 4],
            &[0xeb, 3],
        ] {
            assert_eq!(classify(emulated), Class::Emulated, "{emulated:02x?}");
        }
    }

    #[test]
    fn dear_ones() {
        for stepped in [
            &[0x0f_u8, 0xbf, 0x47, 0x14] as &[u8], // movswl 0x14(%rdi),%eax
            &[0x31, 0xc0],                         // xor %eax,%eax
            &[0xb8, 1, 0, 0, 0],                   // mov $1,%eax
            &[0x64, 0x8b, 0x0c, 0x25, 0xd0, 2, 0, 0],
            &[0x87, 0x07],             // xchg %eax,(%rdi): locks without the prefix
            &[0xf3, 0x0f, 0x1e, 0xfa], // endbr64
            &[0x0f, 0x31],             // rdtsc
            &[0xc3],
        ] {
            assert_eq!(classify(stepped), Class::SingleStepped, "{stepped:02x?}");
        }
    }

    #[test]
    fn impossible_ones() {
        let reason = |bytes: &[u8]| match classify(bytes) {
            Class::Refused(reason) => reason,
            class => panic!("{class:?}"),
        };
        assert_eq!(reason(&[0xf0, 0x0f, 0xb1, 0x17]), "a `lock` prefix");
        assert_eq!(reason(&[0x66, 0x2e, 0x0f, 0x1f, 0x44, 0, 0]), "a segment prefix other than fs and gs");
        assert_eq!(reason(&[0x3e, 0xff, 0xe0]), "a segment prefix other than fs and gs");
        assert_eq!(reason(&[0x49, 0x90]), "an exchange that looks like a nop");
        for refused in [&[0x0f_u8, 0x05] as &[u8], &[0xcc], &[0xf4], &[0x0f, 0x0b], &[0x0f, 0xae, 0xf0]] {
            assert_eq!(reason(refused), "an instruction that uprobes do not support");
        }
        assert_eq!(reason(&[]), "no instruction");
        assert_eq!(reason(&[0x0f]), "no instruction");
        assert_eq!(reason(&[0xc5, 0xf8, 0x77]), "a vector instruction");
    }

    #[test]
    fn costs_are_ordered_like_the_classes() {
        let costs: Vec<_> = [Class::FiveByteNop, Class::Emulated, Class::SingleStepped, Class::Refused("x")]
            .map(Class::typical_ns)
            .to_vec();
        assert_eq!(costs, [Some(1_000), Some(1_300), Some(6_000), None]);
    }
}
