//! Builds the BPF programs from source and hands the object to `src/object.rs`.

use std::env;

use aya_build::{Package, Toolchain};

const TOOLCHAIN: &str = "1.95.0";

fn main() -> aya_build::Result<()> {
    println!("cargo:rerun-if-changed=../../common/src");
    // The core library has to be built for the BPF target, which stable cargo allows to those who insist.
    #[expect(unsafe_code, reason = "the variables are for the one cargo that aya-build starts")]
    // SAFETY: a build script that has not started a thread.
    unsafe {
        env::set_var("RUSTC_BOOTSTRAP", "1");
        // Its progress would be shown as warnings of this build.
        env::set_var("CARGO_TERM_QUIET", "true");
        // 32-bit arithmetic and jumps, known to every kernel since 5.1: shorter programs. aya-build sets RUSTFLAGS
        // itself; a profile's flags come on top.
        env::set_var("CARGO_UNSTABLE_PROFILE_RUSTFLAGS", "true");
        env::set_var("CARGO_PROFILE_RELEASE_RUSTFLAGS", "-Ctarget-cpu=v3");
        // Not for build scripts, which run here.
        env::set_var("CARGO_PROFILE_RELEASE_BUILD_OVERRIDE_RUSTFLAGS", "-Cdebuginfo=0");
    }
    let root_dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ebpf");
    let package = Package { name: "pulse-trace-ebpf", root_dir, ..Package::default() };
    aya_build::build_ebpf([package], Toolchain::Custom(TOOLCHAIN))
}
