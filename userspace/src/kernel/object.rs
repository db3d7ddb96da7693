//! The BPF object, built from `ebpf/` and carried inside the binary.

/// ELF bytes, aligned as the loader needs them.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/pulse-trace"));
