//! The caller of a place in code that no unwind information covers, from the instructions until the function returns:
//! on the way to its `ret` it gives back all stack that it has taken, and the registers that it has saved.
//!
//! musl's functions are built without unwind information. Code that never returns is followed, too, into the code
//! behind it; the shortest way to a `ret` avoids that, and a caller counts only if a call stands before it.

use std::collections::{HashSet, VecDeque};

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register};

use super::cfi::{Cfa, Row, Rule};

/// Bytes that are looked at on either side of the place.
pub const REACH: usize = 2048;
/// Instructions that are followed.
const MOST: usize = 2048;
/// Numbers of registers in DWARF.
const RBP: u16 = 6;
const RSP: u16 = 7;

/// Stack and registers that are given back on one way.
#[derive(Clone)]
struct Way {
    at: u64,
    /// Distance of the stack pointer from where it was at the place.
    depth: i64,
    /// Place of the saved frame pointer; `None` while it is the caller's.
    frame_pointer: Option<i64>,
    /// The stack pointer is the frame pointer plus `depth`.
    by_frame_pointer: bool,
}

/// The row for an address, by code that begins at another.
pub fn row(code: &[u8], begins: u64, address: u64) -> Option<Row> {
    let first = Way { at: address, depth: 0, frame_pointer: None, by_frame_pointer: false };
    let (mut ways, mut seen) = (VecDeque::from([first]), HashSet::new());
    while let Some(way) = ways.pop_front() {
        if seen.len() > MOST {
            return None;
        }
        if !seen.insert(way.at) {
            continue;
        }
        let Some(instruction) = decoded(code, begins, way.at) else { continue };
        match instruction.flow_control() {
            FlowControl::Return => return Some(returned(&way)),
            FlowControl::UnconditionalBranch => {
                ways.push_back(Way { at: instruction.near_branch_target(), ..way })
            }
            FlowControl::ConditionalBranch => {
                ways.push_back(Way { at: instruction.near_branch_target(), ..way.clone() });
                ways.push_back(Way { at: instruction.next_ip(), ..way });
            }
            FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => {
                ways.extend(after(way, &instruction))
            }
            _ => {}
        }
    }
    None
}

fn decoded(code: &[u8], begins: u64, at: u64) -> Option<Instruction> {
    let from = usize::try_from(at.checked_sub(begins)?).ok()?;
    let mut decoder = Decoder::with_ip(64, code.get(from..)?, at, DecoderOptions::NONE);
    let instruction = decoder.decode();
    (!instruction.is_invalid()).then_some(instruction)
}

/// The way behind an instruction; `None` where the stack pointer is lost.
fn after(mut way: Way, instruction: &Instruction) -> Option<Way> {
    way.at = instruction.next_ip();
    let writes_sp = instruction.op_count() > 0
        && instruction.op0_kind() == OpKind::Register
        && instruction.op0_register() == Register::RSP;
    let by = || instruction.immediate(1).cast_signed();
    match instruction.mnemonic() {
        Mnemonic::Push => way.depth -= 8,
        Mnemonic::Pop if writes_sp => return None,
        Mnemonic::Pop => {
            if instruction.op0_register() == Register::RBP {
                way.frame_pointer = Some(way.depth);
            }
            way.depth += 8;
        }
        Mnemonic::Leave if way.frame_pointer.is_none() => {
            way.by_frame_pointer = true;
            way.frame_pointer = Some(0);
            way.depth = 8;
        }
        Mnemonic::Add if writes_sp && is_immediate(instruction) => way.depth += by(),
        Mnemonic::Sub if writes_sp && is_immediate(instruction) => way.depth -= by(),
        Mnemonic::Lea if writes_sp && instruction.memory_base() == Register::RSP => {
            let is_plain = instruction.memory_index() == Register::None;
            way.depth += is_plain.then(|| instruction.memory_displacement64().cast_signed())?;
        }
        Mnemonic::Cmp | Mnemonic::Test => {}
        _ if writes_sp => return None,
        _ => {}
    }
    Some(way)
}

fn is_immediate(instruction: &Instruction) -> bool {
    matches!(instruction.op1_kind(), OpKind::Immediate8to64 | OpKind::Immediate32to64)
}

fn returned(way: &Way) -> Row {
    let base = if way.by_frame_pointer { RBP } else { RSP };
    // The frame's address is that of the stack behind the return address.
    let frame = way.depth + 8;
    let saved = way.frame_pointer.map(|at| (RBP, Rule::At(at - frame)));
    Row {
        cfa: Cfa::Offset(base, frame),
        return_address: Some(Rule::At(-8)),
        saved: saved.into_iter().collect(),
        is_signal: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cfa(code: &[u8]) -> Option<(Cfa, Vec<(u16, Rule)>)> {
        row(code, 0x1000, 0x1000).map(|row| (row.cfa, row.saved))
    }

    #[test]
    fn what_a_function_gives_back_is_where_it_was_called_from() {
        // add $8,%rsp; pop %rbx; pop %rbp; pop %r12; ret
        let code = [0x48, 0x83, 0xc4, 8, 0x5b, 0x5d, 0x41, 0x5c, 0xc3];
        assert_eq!(cfa(&code), Some((Cfa::Offset(RSP, 40), vec![(RBP, Rule::At(-24))])));
        // push %rax; call; pop %rdx; ret
        assert_eq!(cfa(&[0x50, 0xe8, 0, 0, 0, 0, 0x5a, 0xc3]), Some((Cfa::Offset(RSP, 8), vec![])));
        // leave; ret
        assert_eq!(cfa(&[0xc9, 0xc3]), Some((Cfa::Offset(RBP, 16), vec![(RBP, Rule::At(-16))])));
    }

    #[test]
    fn the_shortest_way_out_counts_and_loops_end() {
        // je +9; mov; call pthread_exit; (behind it another function: pop %rax; ret)
        let code = [0x74, 0x0a, 0x48, 0x83, 0xcf, 0xff, 0xe8, 0, 0, 0, 0, 0x58, 0x59, 0xc3];
        assert_eq!(cfa(&code).unwrap().0, Cfa::Offset(RSP, 16));
        assert_eq!(cfa(&[0xeb, 0xfe]), None);
        // mov %rbp,%rsp; ret: what the frame pointer holds by then was not looked at.
        assert_eq!(cfa(&[0x48, 0x89, 0xec, 0xc3]), None);
        assert_eq!(cfa(&[]), None);
    }
}
