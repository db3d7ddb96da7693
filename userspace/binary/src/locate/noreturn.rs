//! Calls from which control does not come back. Without them, the code behind a failed assertion looks as if it led
//! into the code that the compiler happened to place next.

use iced_x86::{Decoder, DecoderOptions, Mnemonic, Register};
use object::{Object as _, ObjectSymbol as _, ObjectSymbolTable as _, RelocationTarget};

use super::{code::Body, elf::Image, extents::Extents};

/// Functions of other files that C libraries end in.
const NAMES: [&str; 6] =
    ["__assert_fail", "__assert", "__stack_chk_fail", "__libc_fatal", "__chk_fail", "abort"];

/// True if a call to this address never returns, as far as can be seen.
#[must_use]
pub fn never_returns(image: &Image<'_>, extents: &Extents, target: u64) -> bool {
    let body = extents.size_at(target).and_then(|size| Body::decode_alone(image, target, size).ok());
    match body {
        Some(body) => body.has_no_way_out(),
        None => imported(image, target).is_some_and(|name| NAMES.contains(&name)),
    }
}

/// The function of another file that a stub of the linkage table jumps to.
fn imported<'a>(image: &Image<'a>, stub: u64) -> Option<&'a str> {
    let decoder = Decoder::with_ip(64, image.code_from(stub, 16), stub, DecoderOptions::NONE);
    let jump = decoder.into_iter().take(2).find(|instruction| instruction.mnemonic() == Mnemonic::Jmp)?;
    let slot = (jump.memory_base() == Register::RIP).then(|| jump.memory_displacement64())?;
    let (_, relocation) = image.file.dynamic_relocations()?.find(|(address, _)| *address == slot)?;
    let RelocationTarget::Symbol(symbol) = relocation.target() else { return None };
    image.file.dynamic_symbol_table()?.symbol_by_index(symbol).ok()?.name().ok()
}
