//! Builds the BPF programs from source and hands the object to `src/kernel/object.rs`.

use std::env;

use aya_build::{Package, Toolchain};

const TOOLCHAIN: &str = "1.95.0";

fn main() -> aya_build::Result<()> {
    println!("cargo:rerun-if-changed=../common/src");
    // The core library has to be built for the BPF target, which stable cargo allows to those who insist.
    #[expect(unsafe_code, reason = "the variable is for the one cargo that aya-build starts")]
    // SAFETY: a build script that has not started a thread.
    unsafe {
        env::set_var("RUSTC_BOOTSTRAP", "1");
    }
    let root_dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../ebpf");
    let package = Package { name: "pulse-trace-ebpf", root_dir, ..Package::default() };
    aya_build::build_ebpf([package], Toolchain::Custom(TOOLCHAIN))
}
