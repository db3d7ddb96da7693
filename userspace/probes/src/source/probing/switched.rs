//! All probes of a session, out and in again while it runs.

use kernel::Kernel;

use super::{Budget, Probing, host};
use crate::source::gather::Gatherer;

impl Probing {
    /// Since when they are out because they cost too much, ns since the session began.
    pub const fn taken_out_ns(&self) -> Option<u64> {
        self.detached_at_ns
    }

    /// Takes them out, and puts none in until they are switched on again.
    pub fn switch_off(&mut self, kernel: &Kernel) {
        if self.is_in() {
            self.detach(kernel);
        }
        self.lives.watch(None);
        self.detached_at_ns = None;
    }

    /// Puts them in again, with a budget that begins anew.
    pub fn switch_on(&mut self, kernel: &mut Kernel, gatherer: &mut Gatherer) {
        self.detached_at_ns = None;
        self.in_since_ns = Some(host::monotonic_ns());
        self.budget = Budget::new(self.budget.percent());
        // Every process is looked at as a new one: it may run other code by now.
        self.processes.clear();
        kernel.forget_spins();
        self.follow_again(kernel);
        self.has_begun = false;
        self.look_around(kernel, gatherer);
        self.has_begun = true;
        self.lives.watch(Some(host::monotonic_ns()));
    }
}
