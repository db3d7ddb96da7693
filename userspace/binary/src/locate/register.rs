//! General-purpose registers, as a probe reads them.

use serde::{Deserialize, Serialize};

use std::fmt;

/// A register of x86-64. The discriminant is the number that the instruction set gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it all")]
pub enum Reg {
    Rax,
    Rcx,
    Rdx,
    Rbx,
    Rsp,
    Rbp,
    Rsi,
    Rdi,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
}

impl Reg {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 16] = [
        Self::Rax,
        Self::Rcx,
        Self::Rdx,
        Self::Rbx,
        Self::Rsp,
        Self::Rbp,
        Self::Rsi,
        Self::Rdi,
        Self::R8,
        Self::R9,
        Self::R10,
        Self::R11,
        Self::R12,
        Self::R13,
        Self::R14,
        Self::R15,
    ];

    /// Names as assemblers write them, without the percent sign.
    #[must_use]
    pub fn name(self) -> &'static str {
        const NAMES: [&str; 16] = [
            "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
            "r14", "r15",
        ];
        NAMES[self as usize]
    }

    /// The register that DWARF calls by this number: it swaps some of the first eight.
    #[must_use]
    pub fn from_dwarf(number: u16) -> Option<Self> {
        const FIRST: [Reg; 8] =
            [Reg::Rax, Reg::Rdx, Reg::Rcx, Reg::Rbx, Reg::Rsi, Reg::Rdi, Reg::Rbp, Reg::Rsp];
        FIRST.get(usize::from(number)).or_else(|| Self::ALL.get(usize::from(number))).copied()
    }

    /// True if a called function may destroy it.
    #[must_use]
    pub fn is_lost_in_calls(self) -> bool {
        !matches!(self, Self::Rbx | Self::Rsp | Self::Rbp | Self::R12 | Self::R13 | Self::R14 | Self::R15)
    }

    /// The whole of which the decoder's register is a part; `None` where it is no general-purpose one.
    pub(super) fn whole(of: iced_x86::Register) -> Option<Self> {
        let whole = of.full_register();
        whole.is_gpr64().then(|| Self::ALL.get(whole.number()).copied()).flatten()
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_belong_to_their_whole() {
        assert_eq!(Reg::whole(iced_x86::Register::BX), Some(Reg::Rbx));
        assert_eq!(Reg::whole(iced_x86::Register::AH), Some(Reg::Rax));
        assert_eq!(Reg::whole(iced_x86::Register::R9D), Some(Reg::R9));
        assert_eq!(Reg::whole(iced_x86::Register::XMM1), None);
        assert_eq!(Reg::whole(iced_x86::Register::RIP), None);
    }

    #[test]
    fn dwarf_has_an_order_of_its_own() {
        let names: Vec<&str> = (0..9).filter_map(Reg::from_dwarf).map(Reg::name).collect();
        assert_eq!(names, ["rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8"]);
        assert_eq!(Reg::from_dwarf(16), None);
    }
}
