//! The code that a target executes once, to create the memory for its counters: it runs to its end even if the tool is
//! killed.

use binary::locate::register::Reg;

use super::{
    code::Code,
    layout::{Layout, PAGE},
};

/// The code, and the addresses at which the tool acts.
pub struct Stub {
    /// Bytes to be executed.
    pub bytes: Vec<u8>,
    /// Address of the first instruction.
    pub entry: u64,
    /// System calls whose result is checked: address behind each, and its name.
    pub results: Vec<(u64, &'static str)>,
    /// Address at which the shared memory has a descriptor, in `rax`; it is still empty.
    pub shared: u64,
    /// Address behind the last call; the return follows.
    pub end: u64,
}

const FD: Reg = Reg::R15;
const ARGUMENTS: [Reg; 6] = [Reg::Rdi, Reg::Rsi, Reg::Rdx, Reg::R10, Reg::R8, Reg::R9];

/// Generates the code.
pub fn stub(entry: u64, layout: Layout) -> Stub {
    let mut code = Code::at(entry);
    let mut results = Vec::new();
    let name_at = entry - 16;
    let read_write = (libc::PROT_READ | libc::PROT_WRITE) as u64;
    let fixed = libc::MAP_FIXED_NOREPLACE as u64;
    let private = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64 | fixed;
    let shared = libc::MAP_SHARED as u64 | fixed;
    let none = Some(0);
    call(
        &mut code,
        libc::SYS_mmap,
        &[Some(layout.number()), Some(PAGE), Some(read_write), Some(private), Some(u64::MAX), none],
    );
    results.push((code.here(), "mapping memory"));
    call(
        &mut code,
        libc::SYS_madvise,
        &[Some(layout.number()), Some(PAGE), Some(libc::MADV_WIPEONFORK as u64)],
    );
    results.push((code.here(), "having memory wiped on fork"));
    // The tool resizes the memory, under its own limits. If the tool is killed first, the memory stays empty, and so
    // does the mapping that follows: no jump leads to the code that counts there.
    let how = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    call(&mut code, libc::SYS_memfd_create, &[Some(name_at), Some(how.into())]);
    let shared_made = code.here();
    results.push((shared_made, "making shared memory"));
    code.copy64(FD, Reg::Rax);
    call(
        &mut code,
        libc::SYS_mmap,
        &[Some(layout.area()), Some(layout.area_len()), Some(read_write), Some(shared), None, none],
    );
    results.push((code.here(), "mapping shared memory"));
    call(&mut code, libc::SYS_close, &[None]);
    results.push((code.here(), "closing a descriptor"));
    let end = code.here();
    code.with(&[0xb8], libc::SYS_rt_sigreturn as u32).raw(&[0x0f, 0x05]);
    Stub { bytes: code.finish(), entry, results, shared: shared_made, end }
}

/// Generates a system call; `None` among its arguments is the descriptor.
fn call(code: &mut Code, number: libc::c_long, arguments: &[Option<u64>]) {
    for (register, argument) in ARGUMENTS.into_iter().zip(arguments) {
        match argument {
            Some(value) => code.load(register, *value),
            None => code.copy64(register, FD),
        };
    }
    code.with(&[0xb8], number as u32).raw(&[0x0f, 0x05]);
}

/// Name of the shared memory, as it stands in front of the code.
pub const NAME: [u8; 16] = *b"pulse-trace\0\0\0\0\0";
