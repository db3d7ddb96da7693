//! The programs that run in the kernel: they count, and decide nothing else.
#![no_std]
#![no_main]
#![expect(internal_features, reason = "the BPF target has no AtomicU32; the intrinsic below it exists")]
#![feature(core_intrinsics)]

#[expect(unsafe_code, reason = "userspace replaces these statics at load")]
mod config;
mod events;
mod holds;
#[expect(unsafe_code, reason = "wraps the kernel's helpers")]
mod kernel;
mod loss;
#[expect(unsafe_code, reason = "the one place that touches map values")]
mod memory;
mod pool;
mod probes;
mod registry;
#[expect(unsafe_code, reason = "fills a record of a ring in place: it is larger than the stack of a program")]
mod stacks;
mod stage;
mod targets;
mod tree;

/// Helpers that the kernel offers to GPL-compatible programs only are used.
#[expect(unsafe_code, reason = "a symbol and section that the loader looks for")]
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
