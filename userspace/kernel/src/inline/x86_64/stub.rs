//! The code that a target executes once, to make the memory for its counters: whatever becomes of the tool, it runs to
//! its end.

use binary::locate::register::Reg;

use super::{
    code::Code,
    layout::{Layout, PAGE},
};

/// The code and the places at which the tool has something to do.
pub struct Stub {
    /// To be executed.
    pub bytes: Vec<u8>,
    /// Its address.
    pub entry: u64,
    /// After each of these system calls, the result is looked at.
    pub results: Vec<(u64, &'static str)>,
    /// The shared memory has a descriptor now, in `rax`; it is empty still.
    pub shared: u64,
    /// All is done; next is the return.
    pub end: u64,
}

const FD: Reg = Reg::R15;
const ARGUMENTS: [Reg; 6] = [Reg::Rdi, Reg::Rsi, Reg::Rdx, Reg::R10, Reg::R8, Reg::R9];

/// Puts it together.
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
    // The tool makes it as large as it has to be, under its own limits. If the tool is killed first it stays empty, and so
    // does what is mapped next: no jump leads to what counts there.
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

/// A system call; `None` among its arguments is the descriptor.
fn call(code: &mut Code, number: libc::c_long, arguments: &[Option<u64>]) {
    for (register, argument) in ARGUMENTS.into_iter().zip(arguments) {
        match argument {
            Some(value) => code.load(register, *value),
            None => code.copy64(register, FD),
        };
    }
    code.with(&[0xb8], number as u32).raw(&[0x0f, 0x05]);
}

/// What the shared memory is called, as it stands before the code.
pub const NAME: [u8; 16] = *b"pulse-trace\0\0\0\0\0";
