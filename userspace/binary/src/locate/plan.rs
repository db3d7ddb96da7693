//! From the bytes of a file to its plan.

use serde::{Deserialize, Serialize};

use super::{
    combine,
    debug_file::DebugFiles,
    elf::Image,
    glibc,
    runtimes::{self, is_musl},
    site::FilePlan,
    usdt,
};

/// Name in a refusal for a file that has no name of its own.
pub const NAMELESS: &str = "a file without build-id";

/// End of a refusal: probes at futexes remain.
pub const TIER_0: &str = "showing tier 0";

/// Larger files are no programs.
pub const LARGEST: u64 = 2 << 30;

/// A file that has been read for places to probe.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Planned {
    /// Name: the C library with its release, or the last part of its path.
    pub library: String,
    /// Sites that can be probed.
    pub plan: FilePlan,
}

/// Finds everything that can be probed in a file.
#[must_use]
pub fn plan(bytes: &[u8], debug: &dyn DebugFiles) -> FilePlan {
    let image = match Image::parse(bytes) {
        Ok(image) => image,
        Err(error) => {
            return FilePlan { refusals: vec![refusal(None, &error.to_string())], ..FilePlan::default() };
        }
    };
    let mut plan = FilePlan { build_id: image.build_id(), marks: usdt::marks(&image), ..FilePlan::default() };
    let others = runtimes::find(&image);
    plan.runtimes = others.runtimes;
    plan.sites = others.sites;
    let build = plan.build_id.clone();
    let left_out = |what: &String| format!("cannot find sites of {what}");
    plan.refusals.extend(others.left_out.iter().map(left_out));
    if !is_musl(&image) && !image.named(glibc::MUTEX_LOCK).is_empty() {
        plan.runtimes.push("glibc");
        let (checks, found) = combine::find(&image, debug);
        plan.checks = checks;
        match found {
            Ok(found) => {
                plan.generation = found.generation;
                plan.spins = found.spins;
                plan.sites.extend(found.sites);
                plan.calls = found.calls;
                plan.refusals.extend(found.left_out.iter().map(left_out));
            }
            Err(reason) => plan.refusals.push(refusal(build.as_deref(), &reason)),
        }
    }
    if is_static_without_symbols(&image) {
        // Go's linker leaves this table in place even in a stripped program.
        let kind = if image.section(".gopclntab").is_some() { "Go" } else { "static" };
        plan.refusals.push(refusal(build.as_deref(), &format!("it is a {kind} program without symbols")));
    }
    plan.sites.sort_by_key(|site| (site.address, site.role));
    plan
}

/// A program that loads no library has its locks inside, and nothing tells where.
fn is_static_without_symbols(image: &Image<'_>) -> bool {
    image.is_program() && !image.loads_libraries() && image.functions().next().is_none()
}

/// The sentence for a library that is not understood.
fn refusal(build_id: Option<&str>, reason: &str) -> String {
    let build_id = build_id.unwrap_or(NAMELESS);
    format!("cannot find spin sites in {build_id}: {reason}; {TIER_0}")
}
