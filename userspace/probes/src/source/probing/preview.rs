//! Sites at which probes would be put, without putting any.

use binary::locate::{
    plan::TIER_0,
    site::{FilePlan, Site},
};
use kernel::{Kernel, LoadError, Setup, TrapCosts};

use super::files;
use crate::{Choice, attachable};

/// A file with code of a process, and what would be probed in it.
pub struct Preview {
    /// As the process sees it.
    pub path: String,
    /// Name: the C library with its release, or the last part of its path.
    pub library: String,
    /// All that is known of it.
    pub plan: FilePlan,
    /// Sites that would be probed, by address.
    pub sites: Vec<Site>,
    /// Added to an offset in the file, the address in the process.
    pub bias: u64,
}

/// The files of a process in which something can be probed, or could have been; and sentences about those that
/// cannot be read.
pub fn preview(pid: u32, choice: Choice) -> (Vec<Preview>, Vec<String>) {
    let (mut previews, mut refused) = (Vec::new(), Vec::new());
    for candidate in files::of_process(pid) {
        match files::examine(pid, &candidate) {
            Ok(files::Examined { library, plan, .. }) => {
                let mut sites: Vec<Site> = attachable(&plan, choice).cloned().collect();
                sites.sort_by_key(|site| site.address);
                if !sites.is_empty() || !plan.refusals.is_empty() {
                    let (path, bias) = (candidate.path, candidate.bias);
                    previews.push(Preview { path, library, plan, sites, bias });
                }
            }
            Err(cause) => refused.push(format!("cannot read {}: {cause}; {TIER_0}", candidate.path)),
        }
    }
    (previews, refused)
}

/// Cost of a hit here, found out on code of the tool's own; `None` where that is not to be had.
///
/// # Errors
/// When the kernel or the user cannot have probes at all.
pub fn costs(setup: &Setup) -> Result<Option<TrapCosts>, LoadError> {
    let mut kernel = Kernel::load(setup)?;
    kernel.load_sites()?;
    Ok(kernel.calibrate_traps().ok())
}
