//! A `switch` as compilers write it: a bound, a table of distances, a jump.
//!
//! ```text
//! cmp $LAST,%i; ja elsewhere; lea TABLE(%rip),%t; movslq (%t,%i,4),%x; add %t,%x; jmp *%x
//! ```

use iced_x86::{FlowControl, InstructionInfoFactory, Mnemonic, OpKind, Register};

use super::{
    code::Body,
    elf::Image,
    flow::{is_immediate, written},
    register::Reg,
};

/// More cases than any lock has.
const MOST: u64 = 512;

/// Possible targets of the jump with this number, or `None` if it is not of this pattern in every point.
pub fn targets(image: &Image<'_>, body: &Body<'_>, jump: usize) -> Option<Vec<usize>> {
    let through = whole(body.instructions.get(jump)?.op0_register())?;
    let head = body.head(jump);
    let mut factory = InstructionInfoFactory::new();
    // Backwards: the instruction that wrote each register last.
    let mut writer = |register: Reg, before: usize| {
        (head..before)
            .rev()
            .find(|index| written(&body.instructions[*index], &mut factory).contains(&register))
    };
    let add = writer(through, jump)?;
    let sum = &body.instructions[add];
    let base = (sum.mnemonic() == Mnemonic::Add && sum.op1_kind() == OpKind::Register)
        .then(|| sum.op1_register())?;
    let base = whole(base)?;
    let load = writer(through, add)?;
    let entry = &body.instructions[load];
    let loads = entry.mnemonic() == Mnemonic::Movsxd
        && entry.op1_kind() == OpKind::Memory
        && whole(entry.memory_base()) == Some(base)
        && entry.memory_index_scale() == 4
        && entry.memory_displacement64() == 0;
    let index = whole(entry.memory_index()).filter(|_| loads)?;
    let lea = writer(base, add)?;
    let address = &body.instructions[lea];
    let relative = address.mnemonic() == Mnemonic::Lea && address.memory_base() == Register::RIP;
    let table = (relative && lea < load).then(|| address.memory_displacement64())?;
    // The index must be the one that was compared.
    if writer(index, load).is_some() {
        return None;
    }
    let last = bound(body, head, index)?;
    let entries = image.data(table, 4 * (last + 1))?.chunks_exact(4);
    let distances = entries.filter_map(|entry| Some(i32::from_le_bytes(entry.try_into().ok()?)));
    distances.map(|distance| body.at(table.wrapping_add_signed(i64::from(distance)))).collect()
}

/// The highest index that gets past `cmp $LAST,%index; ja elsewhere`, with or without another branch between the two.
fn bound(body: &Body<'_>, head: usize, index: Reg) -> Option<u64> {
    let above = head.checked_sub(1)?;
    if body.predecessors(head) != [above] || body.instructions[above].mnemonic() != Mnemonic::Ja {
        return None;
    }
    let mut at = above;
    // Branches leave the flags alone.
    while body.instructions[at].flow_control() == FlowControl::ConditionalBranch
        && body.is_only_fallen_into(at)
    {
        at -= 1;
    }
    let compare = &body.instructions[at];
    let compares = compare.mnemonic() == Mnemonic::Cmp
        && compare.op0_kind() == OpKind::Register
        && whole(compare.op0_register()) == Some(index)
        && compare.op0_register().size() >= 4
        && is_immediate(compare, 1);
    compares.then(|| compare.immediate(1)).filter(|last| *last < MOST)
}

fn whole(register: Register) -> Option<Reg> {
    Reg::whole(register)
}
