//! Finds places in programs and libraries.

pub mod code;
pub mod combine;
pub mod debug_file;
pub mod dwarf;
pub mod elf;
pub mod extents;
pub mod flow;
pub mod glibc;
pub mod instruction;
pub mod jump_table;
pub mod landmarks;
pub mod libc;
pub mod maps;
pub mod noreturn;
pub mod plan;
pub mod register;
pub mod replaceable;
pub mod runtimes;
pub mod site;
pub mod usdt;
